//! What is counted while observations pass.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::ages::Ages;
use crate::compare::{Difference, Mask};
use crate::errors::ErrorTally;
use crate::evidence::Evidence;
use crate::fidelity::FidelityTally;
use crate::kind::Kind;
use crate::latency::LatencyTally;
use crate::mould::Mould;
use crate::report::ApartCause;
use crate::second::SecondTally;

/// A session by number, in the order of their first observations.
pub(crate) type Session = u32;

/// What is known of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct EndpointTally {
    /// Exchanges seen, fired or not.
    pub(crate) seen: u64,
    /// Exchanges that both twins answered, by session.
    pub(crate) compared: BTreeMap<Session, u32>,
    /// Exchanges that production and baseline answered, by session.
    pub(crate) witnessed: BTreeMap<Session, u32>,
    /// Those of them that raced with a write.
    pub(crate) witnessed_racing: u64,
    /// Exchanges of which the run itself made the twins' states differ, by why.
    pub(crate) events: BTreeMap<ApartCause, Signal>,
    /// Exchanges left out because a twin's wait for a value ran out.
    pub(crate) late: u64,
    /// Exchanges left out because a twin had not given a value that they use.
    pub(crate) unbound: u64,
    /// Exchanges that production answered with a status from 400 on.
    pub(crate) errors_seen: u64,
    /// Those of them that were compared.
    pub(crate) errors_compared: u64,
    /// Exchanges skipped by both twins, by cause.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// Status codes that production or the baseline answered.
    pub(crate) known_statuses: BTreeSet<u16>,
    pub(crate) fidelity: FidelityTally,
    pub(crate) latency: LatencyTally,
    pub(crate) errors: ErrorTally,
    pub(crate) second: SecondTally,
    pub(crate) spots: HashMap<String, Spot>,
}

/// What is known of one place at one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Spot {
    /// Where production and baseline differ.
    pub(crate) noise: Noise,
    pub(crate) uniformity: Uniformity,
    /// Where both baselines differ.
    pub(crate) second: Noise,
    /// Exchanges whose difference says nothing: candidate against baseline.
    pub(crate) masked: BTreeMap<Mask, u64>,
    pub(crate) signals: BTreeMap<SignalKey, Signal>,
    /// Differences of exchanges that raced with a write, and that this may explain.
    pub(crate) races: BTreeMap<SignalKey, Signal>,
    /// What values look like here, where they differ.
    pub(crate) mould: Mould,
    /// The candidate's exchanges with values that are never compared.
    pub(crate) volatile: Signal,
    /// Times that the twins made up here, where they differ.
    pub(crate) ages: Ages,
}

/// How often another answer of the same release differs from the baseline's at one place.
#[derive(Debug, Default)]
pub(crate) struct Noise {
    /// Exchanges, by session.
    pub(crate) sessions: BTreeMap<Session, u32>,
    /// Exchanges in which they differ in structure.
    pub(crate) hard: u64,
    /// Exchanges that raced with a write, by session.
    pub(crate) racing: BTreeMap<Session, u32>,
    /// Exchanges whose difference says nothing.
    pub(crate) masked: BTreeMap<Mask, u64>,
}

/// What sets differences at one place apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SignalKey {
    pub(crate) kind: Kind,
    pub(crate) is_hard: bool,
    /// For [`Kind::Status`], the candidate's; else 0.
    pub(crate) status: u16,
    /// True when it counts only where nothing else varies.
    pub(crate) is_unwitnessed: bool,
}

/// Differences of one kind at one place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signal {
    pub(crate) hits: BTreeMap<Session, Hit>,
    pub(crate) examples: Vec<Evidence>,
    /// Those that later requests depend on, and that can be why these
    /// differ: position and session.
    pub(crate) awaited: Vec<(u32, Session)>,
}

/// The differences of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Position of the first in the plan.
    pub(crate) first: u32,
    /// Position of the first that can be the cause of later ones.
    pub(crate) cause: Option<u32>,
    /// Exchanges.
    pub(crate) exchanges: u32,
}

/// Whether production and baseline always differ by the same two values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Uniformity {
    #[default]
    Unknown,
    Uniform((u64, u64)),
    Mixed,
}

impl Uniformity {
    fn add(&mut self, pair: (u64, u64)) {
        *self = match *self {
            Uniformity::Unknown => Uniformity::Uniform(pair),
            Uniformity::Uniform(known) if known == pair => *self,
            Uniformity::Uniform(_) | Uniformity::Mixed => Uniformity::Mixed,
        };
    }

    fn merge(&mut self, other: Uniformity) {
        match other {
            Uniformity::Unknown => {}
            Uniformity::Uniform(pair) => self.add(pair),
            Uniformity::Mixed => *self = Uniformity::Mixed,
        }
    }
}

impl Spot {
    /// Counts one exchange's differences here between production and baseline.
    pub(crate) fn add_noise(
        &mut self,
        session: Session,
        differences: &[&Difference],
        is_racing: bool,
    ) {
        self.noise.add(session, differences, is_racing);
        if is_racing {
            return;
        }
        for difference in open(differences) {
            self.uniformity.add(difference.pair);
        }
    }

    pub(crate) fn merge(&mut self, other: Spot) {
        self.noise.merge(other.noise);
        self.second.merge(other.second);
        self.uniformity.merge(other.uniformity);
        for (mask, count) in other.masked {
            *self.masked.entry(mask).or_default() += count;
        }
        for (key, signal) in other.signals {
            self.signals.entry(key).or_default().merge(signal);
        }
        for (key, signal) in other.races {
            self.races.entry(key).or_default().merge(signal);
        }
        self.mould.merge(other.mould);
        self.volatile.merge(other.volatile);
        self.ages.merge(other.ages);
    }
}

impl Noise {
    pub(crate) fn exchanges(&self) -> u64 {
        self.sessions.values().copied().map(u64::from).sum()
    }

    /// Counts one exchange's differences here.
    pub(crate) fn add(&mut self, session: Session, differences: &[&Difference], is_racing: bool) {
        if open(differences).next().is_none() {
            for mask in masks(differences) {
                *self.masked.entry(mask).or_default() += 1;
            }
            return;
        }
        if is_racing {
            *self.racing.entry(session).or_default() += 1;
            return;
        }
        *self.sessions.entry(session).or_default() += 1;
        self.hard += u64::from(open(differences).any(|difference| difference.is_hard));
    }

    fn merge(&mut self, other: Noise) {
        for (session, count) in other.sessions {
            *self.sessions.entry(session).or_default() += count;
        }
        self.hard += other.hard;
        for (session, count) in other.racing {
            *self.racing.entry(session).or_default() += count;
        }
        for (mask, count) in other.masked {
            *self.masked.entry(mask).or_default() += count;
        }
    }
}

/// Those of an exchange's differences at one place that say something.
pub(crate) fn open<'a>(differences: &'a [&'a Difference]) -> impl Iterator<Item = &'a Difference> {
    let all = differences.iter().copied();
    all.filter(|difference| difference.mask.is_none())
}

/// The masks of an exchange's differences at one place, each once.
pub(crate) fn masks(differences: &[&Difference]) -> BTreeSet<Mask> {
    differences
        .iter()
        .filter_map(|difference| difference.mask)
        .collect()
}

impl Signal {
    pub(crate) fn exchanges(&self) -> u64 {
        self.hits.values().map(|hit| u64::from(hit.exchanges)).sum()
    }

    pub(crate) fn add(&mut self, session: Session, position: u32, can_cause: bool) {
        let cause = can_cause.then_some(position);
        let hit = Hit {
            first: position,
            cause,
            exchanges: 1,
        };
        self.hits
            .entry(session)
            .and_modify(|known| known.merge(hit))
            .or_insert(hit);
    }

    /// Whether another example from this session would be kept.
    pub(crate) fn wants_example(&self, session: &str, most: usize) -> bool {
        self.examples.len() < most
            && self
                .examples
                .iter()
                .all(|example| example.session != session)
    }

    pub(crate) fn merge(&mut self, other: Signal) {
        for (session, hit) in other.hits {
            self.hits
                .entry(session)
                .and_modify(|known| known.merge(hit))
                .or_insert(hit);
        }
        self.awaited.extend(other.awaited);
        self.examples.extend(other.examples);
        self.examples.sort_by_key(|example| example.position);
    }
}

impl Hit {
    fn merge(&mut self, other: Hit) {
        self.first = self.first.min(other.first);
        self.cause = match (self.cause, other.cause) {
            (Some(one), Some(another)) => Some(one.min(another)),
            (one, another) => one.or(another),
        };
        self.exchanges += other.exchanges;
    }
}

impl EndpointTally {
    pub(crate) fn compared_exchanges(&self) -> u64 {
        self.compared.values().copied().map(u64::from).sum()
    }

    pub(crate) fn witnessed_exchanges(&self) -> u64 {
        self.witnessed.values().copied().map(u64::from).sum()
    }

    pub(crate) fn merge(&mut self, other: EndpointTally) {
        self.seen += other.seen;
        for (session, count) in other.compared {
            *self.compared.entry(session).or_default() += count;
        }
        for (session, count) in other.witnessed {
            *self.witnessed.entry(session).or_default() += count;
        }
        self.witnessed_racing += other.witnessed_racing;
        for (cause, signal) in other.events {
            self.events.entry(cause).or_default().merge(signal);
        }
        self.errors_seen += other.errors_seen;
        self.errors_compared += other.errors_compared;
        self.late += other.late;
        self.unbound += other.unbound;
        for (cause, count) in other.skipped {
            *self.skipped.entry(cause).or_default() += count;
        }
        self.known_statuses.extend(other.known_statuses);
        self.fidelity.merge(&other.fidelity);
        self.latency.merge(other.latency);
        self.errors.merge(other.errors);
        self.second.merge(other.second);
        for (place, spot) in other.spots {
            self.spots.entry(place).or_default().merge(spot);
        }
    }
}
