//! Two documents, and where they differ.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::place::{Place, after};
use super::{Content, Dialect, Document, Key, Marked};
use crate::compare::align::{Parts, align};
use crate::compare::head::short;
use crate::compare::text::{Spot, Word, is_same};
use crate::compare::{BODY, Comparison, Difference, Parsed, Side, Witness, in_order};
use crate::kind::Kind;
use crate::roles::text_hash;

/// A document with its side and the digests of its nodes.
#[derive(Clone, Copy)]
struct View<'v> {
    side: &'v Side<'v>,
    document: &'v Document<'v>,
    digests: &'v [Key],
}

impl<'v> View<'v> {
    fn of(side: &'v Side<'v>) -> Option<View<'v>> {
        match &side.body {
            Parsed::Markup(document) => Some(View {
                side,
                document,
                digests: &side.keys,
            }),
            _ => None,
        }
    }

    fn children(&self, node: usize) -> Children<'v> {
        let nodes: &'v [usize] = &self.document.nodes[node].children;
        Children {
            view: *self,
            nodes,
            keys: nodes.iter().map(|node| self.digests[*node].loose).collect(),
        }
    }
}

/// The children of an element, made ready to be aligned.
struct Children<'v> {
    view: View<'v>,
    nodes: &'v [usize],
    keys: Vec<u64>,
}

impl Children<'_> {
    fn order(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.keys.hash(&mut hasher);
        hasher.finish()
    }
}

impl Parts for Children<'_> {
    fn keys(&self) -> &[u64] {
        &self.keys
    }

    fn holds(&self, index: usize) -> Vec<u64> {
        self.view.document.holds(self.view.side, self.nodes[index])
    }

    fn sort(&self, index: usize) -> u64 {
        match &self.view.document.nodes[self.nodes[index]].content {
            Content::Element(element) => text_hash(&format!("{}}}{}", element.space, element.name)),
            Content::Text(_) => 0,
        }
    }
}

impl<'a> Comparison<'a> {
    /// Compares the bodies, which are documents.
    pub(in crate::compare) fn documents(&mut self) {
        let (Some(left), Some(right)) = (View::of(self.left), View::of(self.right)) else {
            return;
        };
        let seen = match self.witness {
            Witness::Seen(side) => View::of(side),
            Witness::NotNeeded | Witness::Unseen => None,
        };
        let seen = seen.map(|view| (view, 0));
        self.nodes((left, 0), (right, 0), seen, None, &mut Place::default());
    }

    fn nodes(
        &mut self,
        left: (View<'a>, usize),
        right: (View<'a>, usize),
        seen: Option<(View<'a>, usize)>,
        outer: Option<&str>,
        place: &mut Place,
    ) {
        if left.0.digests[left.1].exact == right.0.digests[right.1].exact {
            return;
        }
        self.attributes(left, right, seen, place);
        let (one, other) = (left.0.children(left.1), right.0.children(right.1));
        let found = align(&one, &other, true);
        if found.is_reordered {
            let note = "what is in it stands in another order".to_owned();
            let general = in_order(&place.general);
            let spot = Spot::of(&general, &place.left, &place.right);
            let pair = (one.order(), other.order());
            self.push_spot(&spot, Kind::BodyOrder, false, pair, note);
        }
        let of_seen = seen.map(|(view, node)| {
            let children = view.children(node);
            let mut partner = vec![None; one.nodes.len()];
            for (index, other) in align(&one, &children, true).pairs {
                partner[index] = Some((view, children.nodes[other]));
            }
            partner
        });
        for (index, other_index) in found.pairs {
            let seen = of_seen.as_ref().and_then(|partner| partner[index]);
            let child = (left.0, one.nodes[index]);
            let other_child = (right.0, other.nodes[other_index]);
            // What stands before an element stands before the text that begins it.
            let label = left.0.document.label(child.1);
            let label = label.or(outer.filter(|_| index == 0));
            self.children(child, other_child, seen, label, place);
        }
        self.node_presence(&left.0, &one, &found.missing, Kind::BodyMissing, place);
        self.node_presence(&right.0, &other, &found.added, Kind::BodyAdded, place);
    }

    fn children(
        &mut self,
        left: (View<'a>, usize),
        right: (View<'a>, usize),
        seen: Option<(View<'a>, usize)>,
        label: Option<&str>,
        place: &mut Place,
    ) {
        let (one, other) = (left.0.document, right.0.document);
        match (&one.nodes[left.1].content, &other.nodes[right.1].content) {
            (Content::Element(_), Content::Element(_)) => {
                let lengths = place.lengths();
                place.enter((one, left.1), (other, right.1));
                self.nodes(left, right, seen, label, place);
                place.truncate(lengths);
            }
            (Content::Text(left_text), Content::Text(right_text)) => {
                let seen = seen.and_then(|(view, node)| match &view.document.nodes[node].content {
                    Content::Text(text) => Some((view, text)),
                    Content::Element(_) => None,
                });
                let general = after(&place.general, label);
                let spot = Spot::of(&general, &place.left, &place.right);
                self.marked((left.0, left_text), (right.0, right_text), seen, &spot);
            }
            // Nodes of two sorts are never the same one.
            _ => {}
        }
    }

    fn attributes(
        &mut self,
        (left, left_node): (View<'a>, usize),
        (right, right_node): (View<'a>, usize),
        seen: Option<(View<'a>, usize)>,
        place: &Place,
    ) {
        let (Some(one), Some(other)) = (
            left.document.element(left_node),
            right.document.element(right_node),
        ) else {
            return;
        };
        let separator = match left.document.dialect {
            Dialect::Html => "@",
            Dialect::Xml => "/@",
        };
        let at = |path: &str, name: &str| format!("{path}{separator}{name}");
        for (name, value) in &one.attributes {
            let general = at(&place.general, name);
            let (at_left, at_right) = (at(&place.left, name), at(&place.right, name));
            let spot = Spot::of(&general, &at_left, &at_right);
            match other.attributes.get(name) {
                Some(other) => {
                    let seen = seen.and_then(|(view, node)| {
                        Some((view, view.document.element(node)?.attributes.get(name)?))
                    });
                    self.marked((left, value), (right, other), seen, &spot);
                }
                None => {
                    let note = format!("{} → none", short(&value.text));
                    let pair = (text_hash(&value.text), 0);
                    self.push_spot(&spot, Kind::BodyMissing, true, pair, note);
                }
            }
        }
        for (name, value) in &other.attributes {
            if !one.attributes.contains_key(name) {
                let general = at(&place.general, name);
                let (at_left, at_right) = (at(&place.left, name), at(&place.right, name));
                let spot = Spot::of(&general, &at_left, &at_right);
                let note = format!("none → {}", short(&value.text));
                let pair = (0, text_hash(&value.text));
                self.push_spot(&spot, Kind::BodyAdded, true, pair, note);
            }
        }
    }

    /// Compares two texts, word by word.
    fn marked(
        &mut self,
        (left, one): (View<'a>, &'a Marked),
        (right, other): (View<'a>, &'a Marked),
        seen: Option<(View<'a>, &'a Marked)>,
        spot: &Spot<'_>,
    ) {
        let texts = (left.document.text_of(one), right.document.text_of(other));
        let seen = seen.map(|(view, text)| (view.side, view.document.text_of(text)));
        if is_same(self.left, &texts.0, self.right, &texts.1) {
            return;
        }
        let name = |word: &Word<'_>| spot.name(word);
        self.words(&texts.0, &texts.1, seen.as_ref(), &name);
    }

    /// What has no counterpart: the first of each kind of element.
    fn node_presence(
        &mut self,
        view: &View<'a>,
        children: &Children<'_>,
        indices: &[usize],
        kind: Kind,
        place: &mut Place,
    ) {
        let mut named: Vec<String> = Vec::new();
        for index in indices {
            let node = children.nodes[*index];
            let lengths = place.lengths();
            let here = (view.document, node);
            if let Content::Element(_) = &view.document.nodes[node].content {
                place.enter(here, here);
            }
            let is_first = !named.contains(&place.general);
            if is_first {
                let shown = short(view.document.around_node(node).trim());
                let key = view.digests[node].exact;
                let (note, pair) = match kind {
                    Kind::BodyMissing => (format!("{shown} → none"), (key, 0)),
                    _ => (format!("none → {shown}"), (0, key)),
                };
                let spot = Spot::of(&place.general, &place.left, &place.right);
                self.push_spot(&spot, kind, true, pair, note);
                named.push(place.general.clone());
            }
            place.truncate(lengths);
        }
    }

    fn push_spot(
        &mut self,
        spot: &Spot<'_>,
        kind: Kind,
        is_hard: bool,
        pair: (u64, u64),
        note: String,
    ) {
        let place = match spot.place {
            "" => BODY,
            place => place,
        };
        self.found.push(Difference {
            place: place.to_owned(),
            at_left: spot.at_left.to_owned(),
            at_right: spot.at_right.to_owned(),
            kind,
            is_hard,
            mask: None,
            pair,
            note,
            leaf: None,
        });
    }
}
