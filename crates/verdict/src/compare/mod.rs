//! Two answers to the same request, and where they differ.

mod align;
mod cookies;
mod events;
mod field;
mod form;
mod grpc;
mod head;
mod json;
mod lines;
mod markup;
mod parse;
mod text;

use std::borrow::Cow;
use std::collections::HashMap;

use twintap_scrub::{Leaf, LinkTag, Part};

use crate::generated::{alike, breaks_mould};
use crate::kind::Kind;
use crate::observation::{Answer, Body};
use crate::options::Options;
use crate::roles::{Roles, text_hash};

pub(crate) use cookies::value_at as cookie_at;
pub(crate) use parse::{Parsed, Reading, place_of};
pub(crate) use text::Text;

/// Where the status code lies.
pub(crate) const STATUS: &str = "status";
/// Where a body lies that has no parts.
pub(crate) const BODY: &str = "body";
/// Where a text lies, and what places in it begin with.
const TEXT: &str = "text";
/// What the place of an order ends in.
const ORDER: &str = " (order)";
/// What places in HTML begin with.
const PAGE: &str = "html";

/// What the order of what is at a place is called: that it varies hides nothing of what is
/// there.
fn in_order(place: &str) -> String {
    format!("{}{ORDER}", if place.is_empty() { BODY } else { place })
}

/// The place that a place in a body lies in, if it is a part of one.
pub(crate) fn around(place: &str) -> Option<&str> {
    match place {
        _ if place.ends_with(ORDER) => place.strip_suffix(ORDER),
        _ if place.starts_with('/') => {
            let around = place
                .split_once(markup::AFTER)
                .or_else(|| place.rsplit_once('/'));
            around.map(|(around, _)| if around.is_empty() { BODY } else { around })
        }
        _ if place.starts_with(PAGE) => markup::around(place).or(Some(BODY)),
        TEXT => Some(BODY),
        _ if place.starts_with(TEXT) => Some(TEXT),
        _ => None,
    }
}

/// Whether a place is in a head, or in trailers.
pub(crate) fn is_in_head(place: &str) -> bool {
    let sections = ["header.", "trailer.", "set-cookie."];
    sections.iter().any(|section| place.starts_with(section))
}

/// Whether a place is one of the many in a page or a text.
pub(crate) fn is_in_text(place: &str) -> bool {
    place.starts_with(TEXT) || place.starts_with(PAGE)
}

/// One place at which two answers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The place with what varies left out, such as array indices.
    pub(crate) place: String,
    /// The very place in the left answer.
    pub(crate) at_left: String,
    /// The very place in the right answer.
    pub(crate) at_right: String,
    pub(crate) kind: Kind,
    /// True where the structure differs (presence, type, form), not a value alone.
    pub(crate) is_hard: bool,
    /// Why it says nothing, if it doesn't.
    pub(crate) mask: Option<Mask>,
    /// Digests of both values.
    pub(crate) pair: (u64, u64),
    /// What changed into what, where that can be said in a few words.
    pub(crate) note: String,
    /// The leaf of the left answer that it lies in, where its place has another name.
    pub(crate) leaf: Option<String>,
}

/// Why a difference says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Mask {
    /// Both values are made up anew each time, and are alike.
    Generated,
    /// A header field that is never compared by value.
    Volatile,
    /// As [`Mask::Generated`], but production's answer, which would show it, was not seen.
    Unwitnessed,
}

/// An answer made ready for comparison.
pub(crate) struct Side<'a> {
    pub(crate) answer: &'a Answer,
    pub(crate) body: Parsed<'a>,
    leaves: HashMap<Cow<'a, str>, &'a Leaf>,
    roles: Option<&'a Roles>,
    /// Digests of the nodes of a document.
    keys: Vec<markup::Key>,
}

impl<'a> Side<'a> {
    /// `roles` are the twin's; none for production, whose values name the roles.
    pub(crate) fn new(answer: &'a Answer, roles: Option<&'a Roles>, reading: Reading<'_>) -> Self {
        let (body, places) = parse::parse(answer, reading);
        let mut leaves: HashMap<Cow<'a, str>, &'a Leaf> = HashMap::new();
        for leaf in &answer.leaves {
            let place = match places.get(&leaf.path) {
                Some(place) => Cow::Owned(place.clone()),
                None => match place_of(&leaf.path) {
                    Some(place) => Cow::Owned(place),
                    None => Cow::Borrowed(leaf.path.as_str()),
                },
            };
            leaves.insert(place, leaf);
        }
        let mut side = Self {
            answer,
            body,
            leaves,
            roles,
            keys: Vec::new(),
        };
        if let Parsed::Markup(document) = &side.body {
            side.keys = document.keys(&side);
        }
        side
    }

    fn role(&self, tag: LinkTag) -> LinkTag {
        self.roles.map_or(tag, |roles| roles.role(tag))
    }

    fn role_of_text(&self, text: &str) -> u64 {
        self.roles
            .map_or_else(|| text_hash(text), |roles| roles.role_of_text(text))
    }

    /// The leaf at a path.
    pub(crate) fn leaf(&self, path: &str) -> Option<&'a Leaf> {
        self.leaves.get(path).copied()
    }

    fn leaves_in(&self, part: Part) -> impl Iterator<Item = &'a Leaf> {
        self.answer
            .leaves
            .iter()
            .filter(move |leaf| leaf.part == part)
    }
}

/// The third answer, which shows what varies by itself.
#[derive(Clone, Copy)]
pub(crate) enum Witness<'a> {
    /// The comparison itself asks what varies.
    NotNeeded,
    /// It was not seen.
    Unseen,
    Seen(&'a Side<'a>),
}

/// Where `right` differs from `left`. An answer with another status is another
/// answer: then nothing else is compared.
pub(crate) fn compare(
    left: &Side<'_>,
    right: &Side<'_>,
    witness: Witness<'_>,
    endpoint: &str,
    options: &Options,
) -> Vec<Difference> {
    let mut comparison = Comparison {
        endpoint,
        left,
        right,
        witness,
        options,
        found: Vec::new(),
    };
    comparison.answers();
    comparison.found
}

struct Comparison<'a> {
    left: &'a Side<'a>,
    right: &'a Side<'a>,
    witness: Witness<'a>,
    endpoint: &'a str,
    options: &'a Options,
    found: Vec<Difference>,
}

/// What comparing two values gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sameness {
    Same,
    Masked(Mask),
    /// The right value has lost the form that the others share.
    Broken,
    Different,
}

impl<'a> Comparison<'a> {
    fn answers(&mut self) {
        let (left, right) = (&self.left.answer.head, &self.right.answer.head);
        if left.status != right.status {
            let note = format!("{} → {}", left.status, right.status);
            let pair = (u64::from(left.status), u64::from(right.status));
            self.push_at(STATUS, Kind::Status, true, None, pair, note);
            return;
        }
        self.heads();
        self.bodies();
    }

    fn bodies(&mut self) {
        let (left, right) = (self.left, self.right);
        if is_identical(left, right) {
            return;
        }
        match (&left.body, &right.body) {
            (Parsed::Empty, Parsed::Empty) => {}
            (Parsed::Json(one), Parsed::Json(other)) => self.json(one, other),
            (Parsed::Markup(one), Parsed::Markup(other)) if one.dialect == other.dialect => {
                self.documents();
            }
            (Parsed::Text(one), Parsed::Text(other)) => self.text_bodies(one, other),
            (Parsed::Binary(one), Parsed::Binary(other)) => {
                if one != other {
                    let note = format!("{} bytes → {} bytes", one.len(), other.len());
                    let pair = (hash_bytes(one), hash_bytes(other));
                    self.push_at(BODY, Kind::BodyChanged, false, None, pair, note);
                }
            }
            (
                Parsed::Digest { bytes, tag },
                Parsed::Digest {
                    bytes: other_bytes,
                    tag: other_tag,
                },
            ) => {
                let tags_differ = matches!((tag, other_tag), (Some(a), Some(b)) if a != b);
                if bytes != other_bytes || tags_differ {
                    let note = format!("{bytes} bytes → {other_bytes} bytes");
                    let pair = (
                        tag.map_or(*bytes, |tag| tag.0),
                        other_tag.map_or(*other_bytes, |tag| tag.0),
                    );
                    self.push_at(BODY, Kind::BodyChanged, false, None, pair, note);
                }
            }
            (_, Parsed::Empty) => self.push_formats(Kind::BodyMissing),
            (Parsed::Empty, _) => self.push_formats(Kind::BodyAdded),
            _ => self.push_formats(Kind::BodyType),
        }
    }

    fn push_formats(&mut self, kind: Kind) {
        let (left, right) = (format_name(&self.left.body), format_name(&self.right.body));
        let pair = (text_hash(left), text_hash(right));
        self.push_at(BODY, kind, true, None, pair, format!("{left} → {right}"));
    }

    fn push_at(
        &mut self,
        place: &str,
        kind: Kind,
        is_hard: bool,
        mask: Option<Mask>,
        pair: (u64, u64),
        note: String,
    ) {
        self.found.push(Difference {
            place: place.to_owned(),
            at_left: place.to_owned(),
            at_right: place.to_owned(),
            kind,
            is_hard,
            mask,
            pair,
            note,
            leaf: None,
        });
    }

    /// What two different values are to each other, the third at the same place
    /// considered: `witness` is it, and whether it is the same as the left one.
    fn weigh(&self, left: &str, right: &str, witness: Option<(&str, bool)>) -> Sameness {
        match (self.witness, witness) {
            (Witness::NotNeeded, _) if alike(&[left, right]) => Sameness::Masked(Mask::Generated),
            // Nor does an answer show it that has no such place.
            (Witness::Unseen, _) | (Witness::Seen(_), None) if alike(&[left, right]) => {
                Sameness::Masked(Mask::Unwitnessed)
            }
            (Witness::Seen(_), Some((seen, false))) => {
                if alike(&[seen, left, right]) {
                    Sameness::Masked(Mask::Generated)
                } else if breaks_mould([seen, left], right) {
                    Sameness::Broken
                } else {
                    Sameness::Different
                }
            }
            _ => Sameness::Different,
        }
    }
}

/// Whether nothing in two bodies differs, told without a closer look.
fn is_identical(left: &Side<'_>, right: &Side<'_>) -> bool {
    let (Body::Whole(one), Body::Whole(other)) = (&left.answer.body, &right.answer.body) else {
        return false;
    };
    let of_body = |side: &Side<'_>| -> Vec<LinkTag> {
        side.leaves_in(Part::Body).map(|leaf| leaf.tag).collect()
    };
    **one == **other && of_body(left) == of_body(right)
}

fn format_name(body: &Parsed<'_>) -> &'static str {
    match body {
        Parsed::Empty => "nothing",
        Parsed::Json(_) => "JSON",
        Parsed::Markup(document) => document.dialect.name(),
        Parsed::Text(_) => "text",
        Parsed::Binary(_) => "binary",
        Parsed::Digest { .. } => "a body that was not kept",
    }
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
