//! Observations in, a report out.

use std::collections::{BTreeMap, HashMap};

use crate::compare::{Difference, Mask, Side, Witness, compare};
use crate::conclude::conclude;
use crate::endpoint::shape;
use crate::evidence::{self, Evidence};
use crate::facts::RunFacts;
use crate::fidelity::Unequal;
use crate::kind::Kind;
use crate::latency::Spread;
use crate::observation::{Answer, Observation, Outcome, Timing, Twin};
use crate::options::Options;
use crate::order::Reorder;
use crate::report::Report;
use crate::roles::Roles;
use crate::tally::{EndpointTally, Session, SignalKey, Spot, masks};

/// Where an answer as a whole lies, when there is none.
pub(crate) const ANSWER: &str = "answer";
/// Where differences lie when there are too many places to tell apart.
const ELSEWHERE: &str = "elsewhere";
/// The most shapes of targets told apart, before templates are inferred.
const MOST_SHAPES: usize = 4096;

/// Judges a run: [`Judge::observe`] each planned request once, in any order,
/// then [`Judge::conclude`].
///
/// Holds counts for each endpoint, place and session, a few examples of each
/// difference, and observations that came before their turn; no answer is kept.
#[derive(Debug)]
pub struct Judge {
    options: Options,
    waiting: Reorder,
    tally: Tally,
}

/// Everything counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) shapes: BTreeMap<String, EndpointTally>,
    pub(crate) places: usize,
    pub(crate) sessions: Vec<String>,
    session_numbers: HashMap<String, Session>,
    pub(crate) candidate: TwinTally,
    pub(crate) baseline: TwinTally,
    /// Observations of a position that was observed before.
    pub(crate) repeated: u64,
    pub(crate) compared: u64,
    /// Planned requests of the warm-up.
    pub(crate) warm_up: u64,
    /// Exchanges that production and baseline answered.
    pub(crate) witnessed: u64,
}

/// What became of one twin's requests.
#[derive(Debug, Default)]
pub(crate) struct TwinTally {
    roles: Roles,
    pub(crate) answered: u64,
    pub(crate) errored: BTreeMap<String, u64>,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) skipped: BTreeMap<String, u64>,
    pub(crate) wait_expired: u64,
    pub(crate) ready_after_due_us: Spread,
    pub(crate) release_after_ready_us: Spread,
}

impl Judge {
    /// A judge that has seen nothing.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            waiting: Reorder::default(),
            tally: Tally::default(),
        }
    }

    /// Takes one planned request; the order does not matter.
    pub fn observe(&mut self, observation: Observation) {
        match self.waiting.push(observation) {
            Ok(()) => self.drain(self.options.reorder_bytes),
            Err(_) => self.tally.repeated += 1,
        }
    }

    /// The report on all that was observed.
    #[must_use]
    pub fn conclude(mut self, facts: RunFacts) -> Report {
        self.drain(0);
        while let Some(observation) = self.waiting.pop(0) {
            self.tally.add(&observation, &self.options);
        }
        conclude(self.tally, facts, self.options)
    }

    fn drain(&mut self, most_bytes: usize) {
        while let Some(observation) = self.waiting.pop(most_bytes) {
            self.tally.add(&observation, &self.options);
        }
    }
}

impl Tally {
    fn add(&mut self, observation: &Observation, options: &Options) {
        self.candidate.add(&observation.candidate);
        self.baseline.add(&observation.baseline);
        let production = observation.production.as_ref();
        if let Some((answer, _)) = answered(&observation.baseline) {
            self.baseline
                .roles
                .learn(observation.copy, &observation.produced, production, answer);
        }
        if let Some((answer, _)) = answered(&observation.candidate) {
            self.candidate
                .roles
                .learn(observation.copy, &observation.produced, production, answer);
        }
        if observation.is_warm_up {
            self.warm_up += 1;
            return;
        }
        let session = self.session(&observation.session);
        let passing = Passing {
            observation,
            session,
            options,
            production: production.map(|answer| Side::new(answer, None)),
            baseline: answered(&observation.baseline)
                .map(|(answer, _)| Side::new(answer, Some(&self.baseline.roles))),
            candidate: answered(&observation.candidate)
                .map(|(answer, _)| Side::new(answer, Some(&self.candidate.roles))),
        };
        let shape = shape(&observation.request.method, &observation.request.target);
        let shape = if self.shapes.len() < MOST_SHAPES || self.shapes.contains_key(&shape) {
            shape
        } else {
            let method = String::from_utf8_lossy(&observation.request.method);
            format!("{method} /{{other}}")
        };
        let endpoint = self.shapes.entry(shape).or_default();
        let counts = passing.count(endpoint, &mut self.places);
        self.compared += counts.compared;
        self.witnessed += counts.witnessed;
    }

    fn session(&mut self, name: &str) -> Session {
        if let Some(number) = self.session_numbers.get(name) {
            return *number;
        }
        // A plan counts its sessions in 32 bits too.
        let number = self.sessions.len() as Session;
        self.sessions.push(name.to_owned());
        self.session_numbers.insert(name.to_owned(), number);
        number
    }
}

impl TwinTally {
    fn add(&mut self, outcome: &Outcome) {
        let timing = match outcome {
            Outcome::Answered { timing, .. } => {
                self.answered += 1;
                Some(timing)
            }
            Outcome::Errored { kind, timing, .. } => {
                *self.errored.entry(kind.clone()).or_default() += 1;
                timing.as_ref()
            }
            Outcome::Refused(limit) => {
                *self.refused.entry(limit.clone()).or_default() += 1;
                None
            }
            Outcome::Skipped(cause) => {
                *self.skipped.entry(cause.clone()).or_default() += 1;
                None
            }
        };
        if let Some(timing) = timing {
            self.wait_expired += u64::from(timing.wait_expired);
            let us = |later: u64, earlier: u64| later.saturating_sub(earlier) as f64 / 1000.0;
            self.ready_after_due_us
                .add(us(timing.ready_ns, timing.due_ns));
            self.release_after_ready_us
                .add(us(timing.released_ns, timing.ready_ns));
        }
    }

    /// What it took of the plan, by what came of it.
    pub(crate) fn planned(&self) -> u64 {
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        self.answered + sum(&self.errored) + sum(&self.refused) + sum(&self.skipped)
    }
}

#[derive(Default)]
struct Counts {
    compared: u64,
    witnessed: u64,
}

/// One observation on its way through the counts.
struct Passing<'a> {
    observation: &'a Observation,
    session: Session,
    options: &'a Options,
    production: Option<Side<'a>>,
    baseline: Option<Side<'a>>,
    candidate: Option<Side<'a>>,
}

impl Passing<'_> {
    fn count(&self, endpoint: &mut EndpointTally, places: &mut usize) -> Counts {
        endpoint.seen += 1;
        let observation = self.observation;
        if let (Outcome::Skipped(cause), Outcome::Skipped(_)) =
            (&observation.baseline, &observation.candidate)
        {
            *endpoint.skipped.entry(cause.clone()).or_default() += 1;
        }
        let noise = self.noise(endpoint, places);
        let counts = Counts {
            witnessed: u64::from(noise.is_some()),
            compared: u64::from(self.signal(endpoint, places)),
        };
        if let Some(verdict) = self.fidelity(noise) {
            endpoint.fidelity.add(verdict);
        }
        counts
    }

    /// Compares the baseline with production; whether they are equal, masked
    /// places aside.
    fn noise(&self, endpoint: &mut EndpointTally, places: &mut usize) -> Option<bool> {
        let production = self.production.as_ref()?;
        endpoint
            .known_statuses
            .insert(production.answer.head.status);
        if is_unbound(&self.observation.baseline) {
            return None;
        }
        if let Outcome::Errored { .. } = &self.observation.baseline {
            let spot = spot(endpoint, places, ANSWER, self.options);
            *spot.noise.entry(self.session).or_default() += 1;
            spot.hard_noise += 1;
        }
        let baseline = self.baseline.as_ref()?;
        if is_late(&self.observation.baseline) {
            return None;
        }
        endpoint.known_statuses.insert(baseline.answer.head.status);
        endpoint.witnessed += 1;
        let found = compare(production, baseline, Witness::NotNeeded, self.options);
        for (place, differences) in by_place(&found) {
            spot(endpoint, places, place, self.options).add_noise(self.session, &differences);
        }
        Some(found.iter().all(|difference| difference.mask.is_some()))
    }

    /// Compares the candidate with the baseline; whether it could be.
    fn signal(&self, endpoint: &mut EndpointTally, places: &mut usize) -> bool {
        let observation = self.observation;
        if is_unbound(&observation.baseline) || is_unbound(&observation.candidate) {
            // Whatever comes of it comes of the answer that lacked the value.
            endpoint.unbound += 1;
            return false;
        }
        match (&observation.baseline, &observation.candidate) {
            (Outcome::Answered { .. }, Outcome::Errored { kind, .. }) => {
                self.no_answer(endpoint, places, &format!("no answer: {kind}"));
            }
            (Outcome::Answered { .. }, Outcome::Skipped(cause)) => {
                self.no_answer(endpoint, places, &format!("could not be fired: {cause}"));
            }
            _ => {}
        }
        let (Some(baseline), Some(candidate)) = (&self.baseline, &self.candidate) else {
            return false;
        };
        if is_late(&observation.baseline) || is_late(&observation.candidate) {
            // What was fired need not be the same request.
            endpoint.late += 1;
            return false;
        }
        *endpoint.compared.entry(self.session).or_default() += 1;
        let witness = self
            .production
            .as_ref()
            .map_or(Witness::Unseen, Witness::Seen);
        let found = compare(baseline, candidate, witness, self.options);
        for (place, differences) in by_place(&found) {
            self.differences(spot(endpoint, places, place, self.options), &differences);
        }
        let (one, other) = (&observation.baseline, &observation.candidate);
        if baseline.answer.head.status == candidate.answer.head.status
            && let (Some((_, one)), Some((_, other))) = (answered(one), answered(other))
        {
            endpoint.latency.add(self.session, one, other, || {
                evidence::of_outcomes(observation, "latency", "slower")
            });
        }
        true
    }

    fn differences(&self, spot: &mut Spot, differences: &[&Difference]) {
        let mut by_key: BTreeMap<SignalKey, Vec<&Difference>> = BTreeMap::new();
        for difference in differences {
            let is_unwitnessed = difference.mask == Some(Mask::Unwitnessed);
            if difference.mask.is_some() && !is_unwitnessed {
                continue;
            }
            let status = match difference.kind {
                // A status code is all that the pair holds then.
                Kind::Status => u16::try_from(difference.pair.1).unwrap_or_default(),
                _ => 0,
            };
            let key = SignalKey {
                kind: difference.kind,
                is_hard: difference.is_hard,
                status,
                is_unwitnessed,
            };
            by_key.entry(key).or_default().push(difference);
        }
        if by_key.is_empty() {
            for mask in masks(differences) {
                *spot.masked.entry(mask).or_default() += 1;
            }
        }
        for (key, differences) in by_key {
            let can_cause = differences
                .iter()
                .any(|difference| self.can_cause(difference));
            // Both sides were there to be compared.
            let (Some(baseline), Some(candidate)) = (&self.baseline, &self.candidate) else {
                continue;
            };
            self.hit(spot, key, can_cause, || {
                evidence::of_difference(
                    self.observation,
                    differences[0],
                    self.production.as_ref(),
                    baseline,
                    candidate,
                )
            });
        }
    }

    fn no_answer(&self, endpoint: &mut EndpointTally, places: &mut usize, change: &str) {
        let key = SignalKey {
            kind: Kind::Error,
            is_hard: true,
            status: 0,
            is_unwitnessed: false,
        };
        let can_cause = self.is_unsafe() || !self.observation.produced.is_empty();
        let spot = spot(endpoint, places, ANSWER, self.options);
        self.hit(spot, key, can_cause, || {
            evidence::of_outcomes(self.observation, ANSWER, change)
        });
    }

    fn hit(
        &self,
        spot: &mut Spot,
        key: SignalKey,
        can_cause: bool,
        evidence: impl FnOnce() -> Evidence,
    ) {
        let signal = spot.signals.entry(key).or_default();
        signal.add(self.session, self.observation.position, can_cause);
        if signal.wants_example(&self.observation.session, self.options.examples * 2) {
            signal.examples.push(evidence());
        }
    }

    /// Whether a difference can be why later answers of the session differ: the
    /// request changes state (is not safe, RFC 9110, section 9.2.1) and its
    /// answer says that it did otherwise, or the value goes into later requests.
    fn can_cause(&self, difference: &Difference) -> bool {
        let says_outcome = difference.kind == Kind::Status || difference.kind.is_of_body();
        if says_outcome && self.is_unsafe() {
            return true;
        }
        let mut produced = self
            .observation
            .produced
            .iter()
            .map(|(path, _)| path.as_str());
        if difference.kind == Kind::Status {
            return produced.next().is_some();
        }
        let place = difference.place.as_str();
        let of_header = place.strip_prefix("header.").unwrap_or(place);
        let of_body = format!("json.{}", difference.at_left);
        produced.any(|path| {
            path == place
                || is_at_or_below(path, of_header, '.')
                || is_at_or_below(path, &of_body, '/')
        })
    }

    fn is_unsafe(&self) -> bool {
        let method: &[u8] = &self.observation.request.method;
        !matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
    }

    /// How this exchange counts: equal, unequal, or not at all.
    fn fidelity(&self, is_equal: Option<bool>) -> Option<Result<(), Unequal>> {
        let verdict = match &self.observation.baseline {
            Outcome::Skipped(cause) => match cause.as_str() {
                "filtered" | "incomplete" => return None,
                "unbound" => Err(Unequal::Unbound),
                _ => Err(Unequal::Skipped),
            },
            Outcome::Refused(_) => Err(Unequal::Refused),
            // Without production's answer the recorded exchange is incomplete.
            _ if self.production.is_none() => return None,
            baseline if is_unbound(baseline) => Err(Unequal::Unbound),
            Outcome::Errored { .. } => Err(Unequal::Errored),
            Outcome::Answered { timing, .. } if timing.wait_expired => Err(Unequal::Late),
            Outcome::Answered { .. } if is_equal == Some(true) => Ok(()),
            Outcome::Answered { .. } => Err(Unequal::Difference),
        };
        Some(verdict)
    }
}

fn is_at_or_below(path: &str, place: &str, separator: char) -> bool {
    path.strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

fn spot<'a>(
    endpoint: &'a mut EndpointTally,
    places: &mut usize,
    place: &str,
    options: &Options,
) -> &'a mut Spot {
    let is_new = !endpoint.spots.contains_key(place);
    let name = if is_new && *places >= options.max_places {
        ELSEWHERE
    } else {
        *places += usize::from(is_new);
        place
    };
    endpoint.spots.entry(name.to_owned()).or_default()
}

fn by_place(found: &[Difference]) -> BTreeMap<&str, Vec<&Difference>> {
    let mut places: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
    for difference in found {
        places
            .entry(&difference.place)
            .or_default()
            .push(difference);
    }
    places
}

fn answered(outcome: &Outcome) -> Option<(&Answer, &Timing)> {
    match outcome {
        Outcome::Answered { answer, timing } => Some((answer, timing)),
        _ => None,
    }
}

/// True when it went out without the twin's own values.
fn is_unbound(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Answered { timing, .. } => timing.unbound,
        Outcome::Errored { timing, .. } => timing.is_some_and(|timing| timing.unbound),
        Outcome::Refused(_) | Outcome::Skipped(_) => false,
    }
}

fn is_late(outcome: &Outcome) -> bool {
    answered(outcome).is_some_and(|(_, timing)| timing.wait_expired)
}

impl Tally {
    pub(crate) fn twin(&self, twin: Twin) -> &TwinTally {
        match twin {
            Twin::Candidate => &self.candidate,
            Twin::Baseline => &self.baseline,
        }
    }
}
