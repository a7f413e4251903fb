//! Texts: header values, strings, texts in documents, and bodies that are nothing else.

use twintap_scrub::{Action, Leaf, LinkTag, Part};

use super::head::short;
use super::markup::{after, is_wordy};
use super::{Comparison, Difference, Mask, Sameness, Side};
use crate::generated::{Run, runs};
use crate::kind::Kind;
use crate::roles::text_hash;

/// A text of one side, and the leaves that scrubbing named in it.
pub(crate) struct Text<'a> {
    whole: &'a str,
    /// The tag of the whole, when the whole is one leaf.
    tag: Option<LinkTag>,
    spans: Vec<(usize, usize)>,
    leaves: Vec<&'a Leaf>,
}

impl<'a> Text<'a> {
    /// A text that is one value.
    pub(crate) fn of_value(whole: &'a str, tag: Option<LinkTag>) -> Self {
        Self {
            whole,
            tag,
            spans: Vec::new(),
            leaves: Vec::new(),
        }
    }

    /// The text of a whole part, with leaves in it.
    pub(crate) fn of_part(side: &Side<'a>, part: Part, whole: &'a str) -> Self {
        Self::of_span(side, part, whole, 0, whole.len())
    }

    /// The text of `len` bytes of a part from `start` on, which are characters, with the leaves
    /// in it.
    pub(super) fn of_span(
        side: &Side<'a>,
        part: Part,
        whole: &'a str,
        start_of_span: usize,
        len: usize,
    ) -> Self {
        let whole = &whole[start_of_span..start_of_span + len];
        let mut leaves: Vec<&Leaf> = side.leaves_in(part).collect();
        leaves.sort_by_key(|leaf| leaf.start);
        let (mut spans, mut named) = (Vec::new(), Vec::new());
        let mut end_of_last = 0;
        for leaf in leaves {
            let Some(start) = (leaf.start as usize).checked_sub(start_of_span) else {
                continue;
            };
            let end = start + leaf.len as usize;
            if start >= end_of_last && end > start && whole.get(start..end).is_some() {
                spans.push((start, end));
                named.push(leaf);
                end_of_last = end;
            }
        }
        Self::with_leaves(whole, spans, named)
    }

    /// A text with leaves at `spans`, which ascend on character boundaries.
    pub(crate) fn with_leaves(
        whole: &'a str,
        spans: Vec<(usize, usize)>,
        leaves: Vec<&'a Leaf>,
    ) -> Self {
        let tag = match (&spans[..], &leaves[..]) {
            ([span], [leaf]) if *span == (0, whole.len()) => Some(leaf.tag),
            _ => None,
        };
        Text {
            whole,
            tag,
            spans,
            leaves,
        }
    }

    /// Whether scrubbing kept it as it was.
    pub(super) fn is_kept(&self) -> bool {
        let mut leaves = self.leaves.iter();
        leaves.all(|leaf| leaf.action == Action::Allowed)
    }

    pub(super) fn whole(&self) -> &'a str {
        self.whole
    }

    fn runs(&self) -> Vec<Run<'a>> {
        runs(self.whole, &self.spans)
    }

    fn leaf_of(&self, run: &Run<'_>) -> Option<&'a Leaf> {
        self.leaves.get(run.span?).copied()
    }
}

/// Whether two words play the same role.
fn is_same_word(
    (left, left_text, left_run): (&Side<'_>, &Text<'_>, &Run<'_>),
    (right, right_text, right_run): (&Side<'_>, &Text<'_>, &Run<'_>),
) -> bool {
    if let (Some(one), Some(other)) = (left_text.leaf_of(left_run), right_text.leaf_of(right_run)) {
        return one.tag == other.tag || left.role(one.tag) == right.role(other.tag);
    }
    left_run.word == right_run.word
        || left.role_of_text(left_run.word) == right.role_of_text(right_run.word)
}

/// Whether two texts are the same, values by their roles.
pub(super) fn is_same(
    left: &Side<'_>,
    left_text: &Text<'_>,
    right: &Side<'_>,
    right_text: &Text<'_>,
) -> bool {
    if let (Some(one), Some(other)) = (left_text.tag, right_text.tag) {
        if one == other || left.role(one) == right.role(other) {
            return true;
        }
        // Replaced values can have the same filler and yet not be the same.
        if left_text.whole == right_text.whole {
            return false;
        }
    } else if left_text.whole == right_text.whole && left_text.leaves.is_empty() {
        return true;
    }
    let (left_runs, right_runs) = (left_text.runs(), right_text.runs());
    have_same_frame(&left_runs, &right_runs)
        && left_runs
            .iter()
            .zip(&right_runs)
            .all(|(one, other)| is_same_word((left, left_text, one), (right, right_text, other)))
}

fn have_same_frame(left: &[Run<'_>], right: &[Run<'_>]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(one, other)| one.before == other.before)
}

/// A word of two texts, by which its place is named.
pub(super) struct Word<'w> {
    pub(super) left: &'w str,
    pub(super) right: &'w str,
    /// The word before it in the same text that tells it from others.
    pub(super) before: Option<&'w str>,
    pub(super) leaf: Option<&'w Leaf>,
}

/// What a place in a text is called: in general, and in either answer.
pub(super) struct Named {
    pub(super) place: String,
    pub(super) at_left: String,
    pub(super) at_right: String,
}

/// Where a text stands as a whole.
pub(super) struct Spot<'p> {
    pub(super) place: &'p str,
    pub(super) at_left: &'p str,
    pub(super) at_right: &'p str,
}

impl<'p> Spot<'p> {
    pub(super) fn of(place: &'p str, at_left: &'p str, at_right: &'p str) -> Spot<'p> {
        Spot {
            place,
            at_left,
            at_right,
        }
    }

    pub(super) fn name(&self, word: &Word<'_>) -> Named {
        Named {
            place: after(self.place, word.before),
            at_left: self.at_left.to_owned(),
            at_right: self.at_right.to_owned(),
        }
    }
}

/// A text of the third answer.
pub(super) type SeenText<'s> = (&'s Side<'s>, Text<'s>);

impl Comparison<'_> {
    /// Compares two texts as one value each.
    pub(super) fn texts(
        &self,
        left: &Text<'_>,
        right: &Text<'_>,
        witness: Option<(&Side<'_>, &Text<'_>)>,
    ) -> Sameness {
        if is_same(self.left, left, self.right, right) {
            return Sameness::Same;
        }
        let witness =
            witness.map(|(side, text)| (text.whole, is_same(side, text, self.left, left)));
        self.weigh(left.whole, right.whole, witness)
    }

    /// Compares two texts word by word; `name` says what the place of a word is called.
    pub(super) fn words(
        &mut self,
        left: &Text<'_>,
        right: &Text<'_>,
        seen: Option<&SeenText<'_>>,
        name: &dyn Fn(&Word<'_>) -> Named,
    ) {
        let (left_runs, right_runs) = (left.runs(), right.runs());
        if !have_same_frame(&left_runs, &right_runs) {
            let witness = seen.map(|(side, text)| (*side, text));
            let sameness = self.texts(left, right, witness);
            let word = Word {
                left: left.whole,
                right: right.whole,
                before: None,
                leaf: left.leaves.first().copied(),
            };
            self.push_word(&word, sameness, name);
            return;
        }
        let seen_runs = seen
            .map(|(_, text)| text.runs())
            .filter(|runs| have_same_frame(runs, &left_runs));
        let mut is_after_difference = false;
        for (index, (one, other)) in left_runs.iter().zip(&right_runs).enumerate() {
            let of_left = (self.left, left, one);
            if is_same_word(of_left, (self.right, right, other)) {
                is_after_difference = false;
                continue;
            }
            let seen = seen.zip(seen_runs.as_ref());
            let seen = seen.map(|((side, text), runs)| (*side, text, &runs[index]));
            if let Some(inner) = inner_texts((left, one), (right, other)) {
                let seen = seen.map(|(side, _, run)| (side, Text::of_value(run.word, None)));
                self.words(&inner.0, &inner.1, seen.as_ref(), name);
                continue;
            }
            let witness = seen.map(|seen| (seen.2.word, is_same_word(seen, of_left)));
            let sameness = self.weigh(one.word, other.word, witness);
            let is_open = !matches!(sameness, Sameness::Same | Sameness::Masked(_));
            // Neighbours that differ together are one difference.
            if is_open && std::mem::replace(&mut is_after_difference, true) {
                continue;
            }
            let word = Word {
                left: one.word,
                right: other.word,
                before: label_before(&left_runs[..index]),
                leaf: left.leaf_of(one),
            };
            self.push_word(&word, sameness, name);
        }
    }

    fn push_word(
        &mut self,
        word: &Word<'_>,
        sameness: Sameness,
        name: &dyn Fn(&Word<'_>) -> Named,
    ) {
        let (mask, is_hard): (Option<Mask>, bool) = match sameness {
            Sameness::Same => return,
            Sameness::Masked(mask) => (Some(mask), false),
            Sameness::Broken => (None, true),
            Sameness::Different => (None, false),
        };
        let named = name(word);
        self.found.push(Difference {
            place: named.place,
            at_left: named.at_left,
            at_right: named.at_right,
            kind: Kind::BodyChanged,
            is_hard,
            mask,
            pair: (text_hash(word.left), text_hash(word.right)),
            note: format!("{} → {}", short(word.left), short(word.right)),
            leaf: word.leaf.map(|leaf| leaf.path.clone()),
        });
    }
}

/// The texts that two leaves are, where scrubbing kept them and they have several words, so
/// that each counts for itself.
fn inner_texts<'t>(
    (left, one): (&Text<'t>, &Run<'t>),
    (right, other): (&Text<'t>, &Run<'t>),
) -> Option<(Text<'t>, Text<'t>)> {
    let is_kept = |text: &Text<'t>, run: &Run<'t>| {
        text.leaf_of(run)
            .is_some_and(|leaf| leaf.action == Action::Allowed)
    };
    let has_words = |run: &Run<'t>| runs(run.word, &[]).len() > 1;
    let are_texts = is_kept(left, one) && is_kept(right, other);
    (are_texts && (has_words(one) || has_words(other))).then(|| {
        (
            Text::of_value(one.word, None),
            Text::of_value(other.word, None),
        )
    })
}

/// The nearest of the words before one that is no number.
fn label_before<'t>(runs: &[Run<'t>]) -> Option<&'t str> {
    const MOST: usize = 4;
    let words = runs.iter().rev().take(MOST).map(|run| run.word);
    words.into_iter().find(|word| is_wordy(word))
}
