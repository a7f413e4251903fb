//! Bodies that are text: line by line, and in a line word by word.

use std::hash::{DefaultHasher, Hash, Hasher};

use twintap_scrub::Part;

use super::align::{Alignment, Parts, align};
use super::head::short;
use super::markup::after;
use super::text::{Named, SeenText, Word, is_same};
use super::{Comparison, Difference, Parsed, Side, TEXT, Text, Witness, in_order};
use crate::generated::{form, looks_random, runs};
use crate::kind::Kind;

/// What a line is called that came or went.
const LINE: &str = "text/*";
/// The most words by which a line is compared with others to find which it is.
const MOST_HELD: usize = 64;

impl<'a> Comparison<'a> {
    /// Compares two bodies.
    pub(super) fn text_bodies(&mut self, left: &'a str, right: &'a str) {
        let one = Text::of_part(self.left, Part::Body, left);
        let other = Text::of_part(self.right, Part::Body, right);
        if is_same(self.left, &one, self.right, &other) {
            return;
        }
        let seen = self.seen_text();
        let name = |word: &Word<'_>| name(left, right, word);
        if !one.is_kept() || !other.is_kept() {
            // Where lines end says nothing of what scrubbing made up.
            self.words(&one, &other, seen.as_ref(), &name);
            return;
        }
        let (one, other) = (Lines::new(self.left, left), Lines::new(self.right, right));
        let seen = seen.filter(|(_, text)| text.is_kept());
        let seen = seen.map(|(side, text)| (side, Lines::new(side, text.whole())));
        let found = align(&one, &other, true);
        if found.is_reordered {
            let note = "the same lines in another order".to_owned();
            self.push_at(
                &in_order(TEXT),
                Kind::BodyOrder,
                false,
                None,
                (one.order(), other.order()),
                note,
            );
        }
        let of_seen = seen
            .as_ref()
            .map(|(side, lines)| (*side, lines, partners(&one, lines)));
        for (index, other_index) in &found.pairs {
            let seen = of_seen.as_ref().and_then(|(side, lines, partners)| {
                let line = lines.lines[partners[*index]?];
                Some((*side, Text::of_value(line, None)))
            });
            let line = Text::of_value(one.lines[*index], None);
            let other_line = Text::of_value(other.lines[*other_index], None);
            if !is_same(self.left, &line, self.right, &other_line) {
                self.words(&line, &other_line, seen.as_ref(), &name);
            }
        }
        self.line_presence(&one, &other, &found);
    }

    /// What production said.
    fn seen_text(&self) -> Option<SeenText<'a>> {
        let Witness::Seen(side) = self.witness else {
            return None;
        };
        let Parsed::Text(whole) = &side.body else {
            return None;
        };
        Some((side, Text::of_part(side, Part::Body, whole)))
    }

    fn line_presence(&mut self, left: &Lines<'_>, right: &Lines<'_>, found: &Alignment) {
        let counts = format!("{} → {} lines", left.lines.len(), right.lines.len());
        if let Some(first) = found.missing.first() {
            let note = format!("{counts}; gone: {}", short(left.lines[*first]));
            let pair = (left.keys[*first], 0);
            self.push_line(Kind::BodyMissing, left.at(*first), pair, note);
        }
        if let Some(first) = found.added.first() {
            let note = format!("{counts}; new: {}", short(right.lines[*first]));
            let pair = (0, right.keys[*first]);
            self.push_line(Kind::BodyAdded, right.at(*first), pair, note);
        }
    }

    fn push_line(&mut self, kind: Kind, at: String, pair: (u64, u64), note: String) {
        self.found.push(Difference {
            place: LINE.to_owned(),
            at_left: at.clone(),
            at_right: at,
            kind,
            is_hard: true,
            mask: None,
            pair,
            note,
            leaf: None,
        });
    }
}

/// The lines of a text, made ready to be aligned.
struct Lines<'t> {
    side: &'t Side<'t>,
    whole: &'t str,
    lines: Vec<&'t str>,
    keys: Vec<u64>,
}

impl<'t> Lines<'t> {
    fn new(side: &'t Side<'t>, whole: &'t str) -> Lines<'t> {
        let lines: Vec<&str> = whole.lines().collect();
        let keys = lines.iter().map(|line| {
            let mut hasher = DefaultHasher::new();
            for run in runs(line, &[]) {
                (run.before, word_key(side, run.word)).hash(&mut hasher);
            }
            hasher.finish()
        });
        Lines {
            side,
            whole,
            keys: keys.collect(),
            lines,
        }
    }

    /// A digest of the order of the lines.
    fn order(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.keys.hash(&mut hasher);
        hasher.finish()
    }

    fn at(&self, index: usize) -> String {
        byte_of(self.whole, self.lines[index])
    }
}

impl Parts for Lines<'_> {
    fn keys(&self) -> &[u64] {
        &self.keys
    }

    fn holds(&self, index: usize) -> Vec<u64> {
        let words = runs(self.lines[index], &[]);
        let keys = words.iter().map(|run| word_key(self.side, run.word));
        keys.take(MOST_HELD).collect()
    }

    fn sort(&self, _: usize) -> u64 {
        0
    }
}

/// Equal for words that play the same role, or look generated.
pub(super) fn word_key(side: &Side<'_>, word: &str) -> u64 {
    match form(word).is_some() || looks_random(word) {
        true => 0,
        false => side.role_of_text(word),
    }
}

fn partners(lines: &Lines<'_>, seen: &Lines<'_>) -> Vec<Option<usize>> {
    let mut partners = vec![None; lines.lines.len()];
    for (index, other) in align(lines, seen, true).pairs {
        partners[index] = Some(other);
    }
    partners
}

fn name(left: &str, right: &str, word: &Word<'_>) -> Named {
    let place = match word.leaf {
        Some(leaf) => leaf.path.clone(),
        None => after(TEXT, word.before),
    };
    Named {
        place,
        at_left: byte_of(left, word.left),
        at_right: byte_of(right, word.right),
    }
}

/// Where a word lies in the text that it was cut from.
fn byte_of(text: &str, word: &str) -> String {
    let offset = (word.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    format!("byte {offset}")
}
