//! Texts: header values, strings, and bodies that are neither JSON nor binary.

use twintap_scrub::{Leaf, LinkTag, Part};

use super::{BODY, Comparison, Difference, Sameness, Side};
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
        let mut leaves: Vec<&Leaf> = side.leaves_in(part).collect();
        leaves.sort_by_key(|leaf| leaf.start);
        let mut text = Self::of_value(whole, None);
        let mut end_of_last = 0;
        for leaf in leaves {
            let start = leaf.start as usize;
            let end = start + leaf.len as usize;
            if start >= end_of_last && end > start && whole.get(start..end).is_some() {
                text.spans.push((start, end));
                text.leaves.push(leaf);
                end_of_last = end;
            }
        }
        if text.spans == [(0, whole.len())] {
            text.tag = Some(text.leaves[0].tag);
        }
        text
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

impl<'a> Comparison<'a> {
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

    /// Compares two bodies word by word.
    pub(super) fn text_bodies(&mut self, left: &str, right: &str) {
        let left_text = Text::of_part(self.left, Part::Body, left);
        let right_text = Text::of_part(self.right, Part::Body, right);
        let (left_runs, right_runs) = (left_text.runs(), right_text.runs());
        let is_framed_alike = have_same_frame(&left_runs, &right_runs);
        if !is_framed_alike {
            let offset = left
                .bytes()
                .zip(right.bytes())
                .take_while(|(one, other)| one == other)
                .count();
            let note = format!(
                "{} → {} bytes, different from byte {offset} on",
                left.len(),
                right.len()
            );
            let pair = (text_hash(left), text_hash(right));
            self.push_at(BODY, Kind::BodyChanged, false, None, pair, note);
            return;
        }
        let seen = self.witness_text();
        let seen_runs = seen
            .as_ref()
            .map(|(_, text)| text.runs())
            .filter(|runs| have_same_frame(runs, &left_runs));
        let mut is_after_difference = false;
        for (index, (one, other)) in left_runs.iter().zip(&right_runs).enumerate() {
            let of_left = (self.left, &left_text, one);
            if is_same_word(of_left, (self.right, &right_text, other)) {
                is_after_difference = false;
                continue;
            }
            let witness = seen.as_ref().zip(seen_runs.as_ref());
            let witness = witness.map(|((side, text), runs)| {
                let run = &runs[index];
                (run.word, is_same_word((side, text, run), of_left))
            });
            let (mask, is_hard) = match self.weigh(one.word, other.word, witness) {
                Sameness::Same => continue,
                Sameness::Masked(mask) => (Some(mask), false),
                Sameness::Broken => (None, true),
                Sameness::Different => (None, false),
            };
            // Neighbours that differ together are one difference.
            if mask.is_none() && std::mem::replace(&mut is_after_difference, true) {
                continue;
            }
            let place = match left_text.leaf_of(one) {
                Some(leaf) => leaf.path.clone(),
                None => place_after(index.checked_sub(1).map(|index| left_runs[index].word)),
            };
            self.found.push(Difference {
                at_left: byte_of(left, one.word),
                at_right: byte_of(right, other.word),
                place,
                kind: Kind::BodyChanged,
                is_hard,
                mask,
                pair: (text_hash(one.word), text_hash(other.word)),
                note: format!("{} → {}", one.word, other.word),
            });
        }
    }

    fn witness_text(&self) -> Option<(&'a Side<'a>, Text<'a>)> {
        let super::Witness::Seen(side) = self.witness else {
            return None;
        };
        let super::Parsed::Text(whole) = side.body else {
            return None;
        };
        Some((side, Text::of_part(side, Part::Body, whole)))
    }
}

/// A name for a word that has none.
fn place_after(word: Option<&str>) -> String {
    match word {
        Some(word) if word.len() <= 24 && !word.bytes().any(|byte| byte.is_ascii_digit()) => {
            format!("text after {word:?}")
        }
        _ => "text".to_owned(),
    }
}

/// Where a word lies in the text that it was cut from.
fn byte_of(text: &str, word: &str) -> String {
    let offset = (word.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    format!("byte {offset}")
}
