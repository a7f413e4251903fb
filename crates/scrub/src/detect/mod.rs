//! Personal and secret things in a text value.
//!
//! One automaton (`anchors`) scans the text for places where something may
//! begin. A reader for each shape takes it from there: it finds the end, holds it
//! against its checksum and its rules, and looks at the words around it and at the
//! field's name (`topics`). What these weigh together decides.

mod anchors;
mod by_name;
mod checksum;
mod date;
mod kind;
mod lettered;
mod national;
mod net;
mod number;
mod persons;
mod secret;
#[cfg(test)]
mod tests;
mod topics;

use std::cell::OnceCell;
use std::ops::Range;

use self::anchors::{Anchors, Shape};
use self::topics::{Topic, TopicWords, Topics};

pub use self::kind::Kind;

/// From this score on something is found.
const THRESHOLD: u8 = 50;
/// What a word that speaks for a kind adds.
const FOR: u8 = 40;
/// What a word that speaks of other numbers takes away.
const AGAINST: u8 = 30;
/// As many bytes before a candidate, and after it, are looked at for such words.
const BEFORE: usize = 40;
const AFTER: usize = 20;

/// Where a value stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The way to it, such as `customer.phones[0].number`; empty when there is none.
    pub path: &'a str,
    /// The name of its own field, such as `number`; empty when there is none.
    pub name: &'a str,
}

/// Something personal or secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The bytes of the text; both ends are borders of characters.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
    /// How sure that is, from 50 to 100.
    pub score: u8,
    /// Why it is thought to be that.
    pub reason: Reason,
}

/// Why something is thought to be personal or secret. It has nothing of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The form that matched.
    pub pattern: &'static str,
    /// Whether a checksum held.
    pub is_checked: bool,
    /// The topic of a word nearby, or of the field's name, that speaks for it.
    pub context: Option<&'static str>,
    /// The topic of a word that speaks against it.
    pub against: Option<&'static str>,
}

/// All detectors, built once and shared.
#[derive(Debug)]
pub struct Detectors {
    anchors: Anchors,
    topics: TopicWords,
}

impl Default for Detectors {
    fn default() -> Detectors {
        Detectors::new()
    }
}

impl Detectors {
    /// Builds the automata: some tens of milliseconds, once.
    pub fn new() -> Detectors {
        Detectors {
            anchors: Anchors::new(persons::GIVEN_NAMES),
            topics: TopicWords::new(),
        }
    }

    /// What is personal or secret in `text`, in the order of the text and without overlaps.
    ///
    /// Numbers are given as they are spelt. Nothing is allocated where nothing is found.
    pub fn detect(&self, context: &Context<'_>, text: &str) -> Vec<Found> {
        let mut search = Search {
            topics: &self.topics,
            name: self.topics.of_name(context.name),
            path: context.path,
            of_path: OnceCell::new(),
            text,
            found: Vec::new(),
        };
        by_name::read(&mut search);
        let mut at = 0;
        while let Some(anchor) = self.anchors.next(text, at) {
            at = search.read(anchor.shape, anchor.span);
        }
        without_overlaps(search.found)
    }
}

/// Of those that overlap, the one with the highest score stays; then the longest.
fn without_overlaps(mut found: Vec<Found>) -> Vec<Found> {
    if found.len() < 2 {
        return found;
    }
    found.sort_by_key(|found| {
        (
            std::cmp::Reverse((found.score, found.span.len())),
            found.span.start,
        )
    });
    let mut kept: Vec<Found> = Vec::with_capacity(found.len());
    let mut ends = std::collections::BTreeMap::new();
    for one in found {
        // Those kept don't overlap, so the last that begins before this one's end is the only
        // one that can reach into it.
        let neighbour = ends.range(..one.span.end).next_back();
        if neighbour.is_none_or(|(_, &end)| end <= one.span.start) {
            ends.insert(one.span.start, one.span.end);
            kept.push(one);
        }
    }
    kept.sort_by_key(|found| found.span.start);
    kept
}

/// What a reader knows of a candidate before its context.
#[derive(Clone, Copy, Debug)]
struct Evidence {
    kind: Kind,
    /// The name of the form.
    pattern: &'static str,
    /// What form and checksum weigh.
    weight: u8,
    is_checked: bool,
    /// Topics that speak for it.
    topics: &'static [Topic],
}

impl Evidence {
    /// A form without a checksum, of which no words tell.
    fn form(kind: Kind, pattern: &'static str, weight: u8) -> Evidence {
        Evidence {
            kind,
            pattern,
            weight,
            is_checked: false,
            topics: &[],
        }
    }

    /// A form whose checksum holds.
    fn checked(kind: Kind, pattern: &'static str, weight: u8) -> Evidence {
        Evidence {
            is_checked: true,
            ..Evidence::form(kind, pattern, weight)
        }
    }

    /// With the topics of words that speak for it.
    fn about(self, topics: &'static [Topic]) -> Evidence {
        Evidence { topics, ..self }
    }
}

/// One text under search.
struct Search<'a> {
    topics: &'a TopicWords,
    name: Topics,
    path: &'a str,
    /// The topics of the path: most values have no candidate that would ask.
    of_path: OnceCell<Topics>,
    text: &'a str,
    found: Vec<Found>,
}

impl Search<'_> {
    /// Reads what may begin at an anchor, and says where to go on.
    fn read(&mut self, shape: Shape, span: Range<usize>) -> usize {
        let start = span.start;
        let end = match shape {
            Shape::Pem => secret::pem(self, span),
            Shape::Jwt => secret::jwt(self, span),
            Shape::Issued(kind) => secret::issued(self, kind, span),
            Shape::Assignment => secret::assignment(self, span),
            Shape::Authority => net::authority(self, span),
            Shape::At => net::email(self, span),
            Shape::Hex40 => lettered::ethereum(self, span),
            Shape::Bech32 => lettered::bech32(self, span),
            Shape::Base58 => lettered::base58(self, span),
            Shape::Mac => net::mac(self, span),
            Shape::Colons => net::ipv6(self, span),
            Shape::Pair => by_name::pair(self, span),
            Shape::NamedDate => date::named(self, span),
            Shape::Iban => lettered::iban(self, span),
            Shape::FiscalCode => lettered::fiscal_code(self, span),
            Shape::Dni => lettered::dni(self, span),
            Shape::Nino => lettered::nino(self, span),
            Shape::Finnish => lettered::finnish(self, span),
            Shape::Person => persons::person(self, span),
            Shape::Street => persons::street(self, span),
            Shape::Number => Some(number::read(self, start)),
        };
        end.unwrap_or_else(|| self.skip(start))
    }

    /// Goes on behind what turned out to be nothing: a number may begin there, else a word ends.
    fn skip(&mut self, start: usize) -> usize {
        match self.text.as_bytes()[start] {
            b'0'..=b'9' | b'+' | b'(' => number::read(self, start),
            _ => start + 1,
        }
    }

    /// Weighs a candidate together with what stands around it, and keeps it if that is enough;
    /// the search goes on behind it.
    fn weigh(&mut self, span: Range<usize>, evidence: Evidence) -> Option<usize> {
        let end = span.end;
        let near = self.near(&span);
        if let Some((score, reason)) = score(&evidence, near) {
            self.found.push(Found {
                span,
                kind: evidence.kind,
                score,
                reason,
            });
        }
        Some(end)
    }

    /// The topics of the field's name and path, and of the words around a span.
    fn near(&self, span: &Range<usize>) -> Topics {
        let bytes = self.text.as_bytes();
        let before = &bytes[span.start.saturating_sub(BEFORE)..span.start];
        let after = &bytes[span.end..bytes.len().min(span.end + AFTER)];
        let around = self.topics.of_text(before).and(self.topics.of_text(after));
        let path = self.of_path.get_or_init(|| self.topics.of_name(self.path));
        self.name.and(*path).and(around)
    }
}

/// The score of a candidate among topics, if it is enough.
fn score(evidence: &Evidence, near: Topics) -> Option<(u8, Reason)> {
    let context = near.first_of(evidence.topics);
    let against = match context {
        Some(_) => None,
        None => near.first_of(&[Topic::Other, Topic::Version]),
    };
    let mut score = evidence.weight;
    if context.is_some() {
        score = (score + FOR).min(100);
    }
    if against.is_some() {
        score = score.saturating_sub(AGAINST);
    }
    let reason = Reason {
        pattern: evidence.pattern,
        is_checked: evidence.is_checked,
        context: context.map(Topic::name),
        against: against.map(Topic::name),
    };
    (score >= THRESHOLD).then_some((score, reason))
}
