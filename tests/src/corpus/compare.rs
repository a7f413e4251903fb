//! Our messages against the ground truth, by source and protocol.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;
use twintap_stream::message::{MessageState, Protocol};
use twintap_stream::{Event, EventKind};

use super::differences::{Explanation, Key, explanations};
use super::items::{Item, Items, Kind, of_events};
use super::peer::{self, Counts};
use super::{Corpus, Listed, replay, truth};

/// Everything that the comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// By source and protocol.
    pub rows: Vec<Row>,
    /// Every difference, with its explanation where it has one.
    pub differences: Vec<Difference>,
    /// Explanations of differences that are no more.
    pub stale: Vec<Difference>,
    /// Captures after which a ledger did not close.
    pub unclosed: Vec<String>,
}

impl Comparison {
    /// True when each difference is explained, each explanation has its difference, and all
    /// ledgers closed.
    pub fn is_sound(&self) -> bool {
        let all_explained = self.differences.iter().all(|found| found.why.is_some());
        all_explained && self.stale.is_empty() && self.unclosed.is_empty()
    }
}

/// One source and one protocol.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// The project that the captures come from.
    pub source: String,
    /// The protocol.
    pub protocol: String,
    /// Captures with traffic of this protocol, in the ground truth or found.
    pub captures: u64,
    /// Exchanges found.
    pub exchanges: u64,
    /// Of them, those with a complete request and response.
    pub complete: u64,
    /// Requests against the ground truth.
    pub requests: Tally,
    /// Responses against the ground truth.
    pub responses: Tally,
    /// Messages and control frames of WebSockets against the ground truth.
    pub parts: Tally,
    /// Where the peer's counts are at hand: those captures alone.
    pub peer: Option<Beside>,
}

/// Messages against the ground truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// In the ground truth.
    pub truth: u64,
    /// Found just so.
    pub equal: u64,
    /// Found between the same ports, but different.
    pub wrong: u64,
    /// Not found.
    pub missing: u64,
    /// Found, and not in the ground truth.
    pub extra: u64,
    /// Of wrong, missing and extra, those without an explanation.
    pub unexplained: u64,
}

impl Tally {
    /// Adds another one.
    pub fn add(&mut self, other: &Tally) {
        self.truth += other.truth;
        self.equal += other.equal;
        self.wrong += other.wrong;
        self.missing += other.missing;
        self.extra += other.extra;
        self.unexplained += other.unexplained;
    }
}

/// How many messages each tool counts in the captures that the peer has read.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Beside {
    /// The ground truth.
    pub truth: Counts,
    /// This project.
    pub ours: Counts,
    /// The peer.
    pub theirs: Counts,
}

/// One difference from the ground truth.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// The capture.
    pub capture: String,
    /// `lacks` when the truth has it and we don't, `has` the other way round.
    pub what: String,
    /// How many.
    pub count: u64,
    /// The message.
    pub item: String,
    /// The explanation, where there is one.
    pub why: Option<String>,
}

/// Compares all captures of the index.
///
/// # Errors
/// When a capture or a table can't be read.
pub fn compare(corpus: &Corpus) -> Result<Comparison> {
    let mut rows = BTreeMap::new();
    let mut differences = Vec::new();
    let mut unclosed = Vec::new();
    let mut explained = explanations()?;
    explained.retain(|(_, _, item), _| !item.starts_with("stream"));
    let peer = peer::counts(corpus)?;
    for listed in corpus.listed()?.into_values() {
        let replayed = replay(&corpus.capture(&listed.name))
            .with_context(|| format!("reading {}", listed.name))?;
        if let Some(what) = &replayed.unclosed {
            unclosed.push(format!("{}: {what}", listed.name));
        }
        let truth = corpus.truth(&listed.name);
        let mut capture = Capture {
            listed: &listed,
            rows: &mut rows,
            explained: &mut explained,
            differences: &mut differences,
        };
        capture.count_exchanges(&replayed.events);
        if let Some(path) = truth {
            let (truth, ours) = (truth::read(&path)?, of_events(&replayed.events));
            capture.count_beside(&truth, &ours, peer.get(&listed.name));
            capture.compare(truth, ours);
        }
    }
    let stale = explained
        .into_iter()
        .map(|((capture, what, item), explanation)| Difference {
            capture,
            what,
            count: explanation.count,
            item,
            why: Some(explanation.reason),
        });
    Ok(Comparison {
        rows: rows.into_values().collect(),
        differences,
        stale: stale.collect(),
        unclosed,
    })
}

/// Sums by source and protocol.
type Rows = BTreeMap<(String, Protocol), Row>;

/// One capture on its way into the sums.
struct Capture<'a> {
    listed: &'a Listed,
    rows: &'a mut Rows,
    explained: &'a mut BTreeMap<Key, Explanation>,
    differences: &'a mut Vec<Difference>,
}

impl Capture<'_> {
    fn row(&mut self, protocol: Protocol) -> &mut Row {
        let source = self.listed.source();
        let row = self.rows.entry((source.to_owned(), protocol)).or_default();
        if row.source.is_empty() {
            row.source = source.to_owned();
            row.protocol = protocol.name().to_owned();
        }
        row
    }

    fn count_exchanges(&mut self, events: &[Event]) {
        let mut found: BTreeMap<Protocol, (u64, u64)> = BTreeMap::new();
        let complete = |request, response| {
            u64::from((request, response) == (MessageState::Complete, MessageState::Complete))
        };
        for event in events {
            let (protocol, is_complete) = match &event.kind {
                EventKind::Exchange(exchange) => (
                    exchange.protocol,
                    complete(exchange.request.state, exchange.response.state),
                ),
                EventKind::Command(exchange) => (
                    exchange.protocol,
                    complete(exchange.request.state, exchange.response.state),
                ),
                _ => continue,
            };
            let counts = found.entry(protocol).or_default();
            counts.0 += 1;
            counts.1 += is_complete;
        }
        for (protocol, (exchanges, complete)) in found {
            let row = self.row(protocol);
            row.captures += 1;
            row.exchanges += exchanges;
            row.complete += complete;
        }
    }

    fn count_beside(&mut self, truth: &Items, ours: &Items, theirs: Option<&Counts>) {
        let Some(theirs) = theirs else { return };
        let beside = self
            .row(Protocol::Http1)
            .peer
            .get_or_insert_with(Beside::default);
        for (sum, items) in [(&mut beside.truth, truth), (&mut beside.ours, ours)] {
            sum.requests += items.count(Protocol::Http1, Kind::Request);
            sum.responses += items.count(Protocol::Http1, Kind::Response);
        }
        beside.theirs.requests += theirs.requests;
        beside.theirs.responses += theirs.responses;
    }

    /// Takes from both what is in both; the rest are differences.
    fn compare(&mut self, mut truth: Items, mut ours: Items) {
        let mut tallies: BTreeMap<(Protocol, Kind), Tally> = BTreeMap::new();
        for (item, count) in &mut truth.0 {
            let tally = tallies.entry((item.protocol, item.kind)).or_default();
            let found = ours.take(item, *count);
            tally.truth += *count;
            tally.equal += found;
            *count -= found;
        }
        let missing = truth.0.into_iter().filter(|(_, count)| *count > 0);
        let extra = ours.0.into_iter().filter(|(_, count)| *count > 0);
        let (missing, extra): (Vec<_>, Vec<_>) = (missing.collect(), extra.collect());
        for ((protocol, kind), (lacks, has)) in by_ends(&missing, &extra) {
            let tally = tallies.entry((protocol, kind)).or_default();
            tally.wrong += lacks.min(has);
            tally.missing += lacks.saturating_sub(has);
            tally.extra += has.saturating_sub(lacks);
        }
        let lacking = missing.into_iter().map(|found| ("lacks", found));
        let having = extra.into_iter().map(|found| ("has", found));
        for (what, (item, count)) in lacking.chain(having) {
            let is_explained = self.note(what, &item, count);
            if !is_explained {
                let tally = tallies.entry((item.protocol, item.kind)).or_default();
                tally.unexplained += count;
            }
        }
        for ((protocol, kind), tally) in tallies {
            let row = self.row(protocol);
            let sum = match kind {
                Kind::Request => &mut row.requests,
                Kind::Response => &mut row.responses,
                Kind::Part => &mut row.parts,
            };
            sum.add(&tally);
        }
    }

    fn note(&mut self, what: &str, item: &Item, count: u64) -> bool {
        let key = (self.listed.name.clone(), what.to_owned(), item.text.clone());
        let why = match self.explained.get(&key) {
            Some(explanation) if explanation.count == count => self.explained.remove(&key),
            _ => None,
        };
        let is_explained = why.is_some();
        self.differences.push(Difference {
            capture: key.0,
            what: key.1,
            count,
            item: key.2,
            why: why.map(|explanation| explanation.reason),
        });
        is_explained
    }
}

/// How many are missing and extra between the same ports, for each of them.
fn by_ends(missing: &[(Item, u64)], extra: &[(Item, u64)]) -> Vec<((Protocol, Kind), (u64, u64))> {
    let mut counts: BTreeMap<(Protocol, Kind, &str), (u64, u64)> = BTreeMap::new();
    for (item, count) in missing {
        let key = (item.protocol, item.kind, item.ends.as_str());
        counts.entry(key).or_default().0 += count;
    }
    for (item, count) in extra {
        let key = (item.protocol, item.kind, item.ends.as_str());
        counts.entry(key).or_default().1 += count;
    }
    let pairs = counts
        .into_iter()
        .map(|((protocol, kind, _), counts)| ((protocol, kind), counts));
    pairs.collect()
}
