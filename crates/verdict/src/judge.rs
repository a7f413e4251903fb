//! Observations in, a report out.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use twintap_scrub::LinkTag;
use twintap_stream::ExchangeId;

use crate::business::Business;
use crate::closeup::{Closeups, Refired, closeup};
use crate::compare::{Reading, Side};
use crate::conclude::{draft, run_ledgers};
use crate::confirm::Draft;
use crate::endpoint::Shape;
use crate::errors::{ErrorTrail, failed};
use crate::facts::RunFacts;
use crate::history::History;
use crate::latency::Spread;
use crate::observation::{Observation, Outcome};
use crate::order::Reorder;
use crate::passing::{Passing, answered};
use crate::report::Report;
use crate::roles::{Roles, is_given};
use crate::rules::Rules;
use crate::second::Second;
use crate::sequential::Watch;
use crate::tally::{EndpointTally, Session};

/// The most exchanges kept by name, for consequences to name what caused them.
const MOST_NAMED: usize = 1 << 16;
/// The most causes that one request may have in others.
const MOST_CAUSES: usize = 4;
/// The most shapes of targets told apart, before templates are inferred.
const MOST_SHAPES: usize = 4096;

/// Judges a run: [`Judge::observe`] each planned request once, in any order,
/// then [`Judge::conclude`].
///
/// Holds counts for each endpoint, place and session, a few examples of each
/// difference, and observations that came before their turn; no answer is kept.
#[derive(Debug)]
pub struct Judge {
    rules: Rules,
    waiting: Reorder,
    /// None where another watches the run as a whole.
    watch: Option<Watch>,
    tally: Tally,
}

/// Everything counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) shapes: BTreeMap<Shape, EndpointTally>,
    pub(crate) places: usize,
    pub(crate) sessions: Vec<String>,
    session_numbers: HashMap<String, Session>,
    pub(crate) candidate: TwinTally,
    pub(crate) baseline: TwinTally,
    /// Where the run has one.
    pub(crate) second: Option<Second>,
    /// Observations of a position that was observed before.
    pub(crate) repeated: u64,
    pub(crate) compared: u64,
    /// Planned requests of the warm-up.
    pub(crate) warm_up: u64,
    /// Exchanges that production and baseline answered.
    pub(crate) witnessed: u64,
    pub(crate) trail: Trail,
    pub(crate) error_trail: ErrorTrail,
    pub(crate) business: Business,
    history: History,
    closeups: Closeups,
}

/// What leads from one difference to another.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// Positions that requests depend on, and whose differences can be why these
    /// differ.
    blamed: HashSet<u32>,
    /// By position, those of `blamed` that a request depends on which others depend
    /// on in turn: it need not show what it hands on.
    carried: HashMap<u32, Vec<u32>>,
    /// By session and position, those of `blamed` that a request depends on.
    pub(crate) imports: HashMap<(Session, u32), Vec<u32>>,
    /// The exchanges at positions that can be causes, as far as there is room.
    pub(crate) exchanges: HashMap<u32, ExchangeId>,
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
    pub fn new(rules: impl Into<Rules>) -> Self {
        let rules = rules.into().settled();
        Self {
            watch: Some(Watch::new(&rules.options)),
            rules,
            waiting: Reorder::default(),
            tally: Tally::default(),
        }
    }

    /// A judge of one period of a run, which a [`Watch`] of its own sees as a whole: what
    /// that says comes with the facts.
    #[must_use]
    pub fn of_period(rules: impl Into<Rules>) -> Self {
        Self {
            watch: None,
            ..Self::new(rules)
        }
    }

    /// Looks at the requests at these positions one by one, too.
    #[must_use]
    pub fn with_closeups(mut self, positions: impl IntoIterator<Item = u32>) -> Self {
        self.tally.closeups.wanted.extend(positions);
        self
    }

    /// Takes one planned request; the order does not matter.
    pub fn observe(&mut self, observation: Observation) {
        if let Some(watch) = &mut self.watch {
            watch.observe(&observation);
        }
        match self.waiting.push(observation) {
            Ok(()) => self.drain(self.rules.options.reorder_bytes),
            Err(_) => self.tally.repeated += 1,
        }
    }

    /// Whether what was observed so far is evidence enough to end the run ([`Watch`]).
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_alarm)
    }

    /// The report on all that was observed.
    #[must_use]
    pub fn conclude(self, facts: RunFacts) -> Report {
        self.draft(facts).finish()
    }

    /// Likewise, with findings that can still be confirmed.
    #[must_use]
    pub fn draft(mut self, mut facts: RunFacts) -> Draft {
        let watched = || self.watch.as_ref().map(Watch::report);
        facts.sequential = facts.sequential.or_else(watched);
        self.drain(0);
        draft(self.tally, facts, self.rules)
    }

    /// What came of the requests that were to be looked at; `planned` were observed, if all
    /// went well.
    #[must_use]
    pub fn into_closeups(mut self, planned: u64) -> Refired {
        self.drain(0);
        let ledgers = run_ledgers(&self.tally, Some(planned));
        Refired {
            exchanges: self.tally.closeups.seen,
            ledgers,
        }
    }

    fn drain(&mut self, most_bytes: usize) {
        while let Some(observation) = self.waiting.pop(most_bytes) {
            self.tally.add(&observation, &self.rules);
        }
    }
}

impl Tally {
    fn add(&mut self, observation: &Observation, rules: &Rules) {
        self.candidate.add(&observation.candidate);
        self.baseline.add(&observation.baseline);
        let production = observation.production.as_ref();
        self.baseline.roles.learn_sent(&observation.sent);
        self.candidate.roles.learn_sent(&observation.sent);
        if let Some((answer, _)) = answered(&observation.baseline) {
            self.baseline
                .roles
                .learn(observation.copy, &observation.produced, production, answer);
        }
        self.candidate
            .learn_own(observation, &observation.candidate);
        let is_witness = observation.second_baseline.as_ref().is_some_and(|outcome| {
            let second = self.second.get_or_insert_default();
            second.tally.roles.learn_sent(&observation.sent);
            second.tally.learn_own(observation, outcome);
            second.take(observation, outcome)
        });
        if observation.is_warm_up {
            self.warm_up += 1;
            return;
        }
        let session = self.session(&observation.session);
        let shape = Shape::of(observation, &rules.options.endpoints);
        let shape = if self.shapes.len() < MOST_SHAPES || self.shapes.contains_key(&shape) {
            shape
        } else {
            Shape::other(&observation.request.method)
        };
        let reading = Reading {
            target: &observation.request.target,
            descriptors: &rules.descriptors,
        };
        let passing = Passing {
            observation,
            session,
            options: &rules.options,
            endpoint: &shape.name,
            history: &self.history,
            can_cause: Cell::new(false),
            production: production.map(|answer| Side::new(answer, None, reading)),
            baseline: answered(&observation.baseline)
                .map(|(answer, _)| Side::new(answer, Some(&self.baseline.roles), reading)),
            candidate: answered(&observation.candidate)
                .map(|(answer, _)| Side::new(answer, Some(&self.candidate.roles), reading)),
            second: self
                .second
                .as_ref()
                .filter(|_| is_witness)
                .and_then(|second| {
                    let (answer, _) = answered(observation.second_baseline.as_ref()?)?;
                    Some(Side::new(answer, Some(&second.tally.roles), reading))
                }),
        };
        let twins = [&observation.candidate, &observation.baseline];
        if let [Some(candidate), Some(baseline)] = twins.map(failed)
            && let Some(timing) = twins.iter().find_map(|outcome| outcome.timing())
        {
            let at_ns = timing.ready_ns;
            self.error_trail.add(at_ns, candidate, baseline);
        }
        if self.closeups.wanted.contains(&observation.position) {
            self.closeups.seen.push(closeup(&passing));
        }
        let endpoint = self.shapes.entry(shape.clone()).or_default();
        let counts = passing.count(endpoint, &mut self.places);
        self.compared += counts.compared;
        self.witnessed += counts.witnessed;
        self.business.add(&rules.metrics, &passing);
        let can_cause = passing.can_cause.get();
        self.trail.add(observation, session, can_cause);
        self.history.add(session, observation);
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

impl Trail {
    /// Notes what an observation depends on, and whether it can be a cause itself.
    fn add(&mut self, observation: &Observation, session: Session, can_cause: bool) {
        let position = observation.position;
        let mut causes: Vec<u32> = Vec::new();
        for cause in &observation.depends_on {
            causes.extend(self.blamed.get(cause));
            causes.extend(self.carried.get(cause).into_iter().flatten());
        }
        // The newest first: it is what the request follows from directly.
        causes.sort_unstable_by_key(|cause| Reverse(*cause));
        causes.dedup();
        causes.truncate(MOST_CAUSES);
        if !causes.is_empty() {
            if observation.is_awaited {
                self.carried.insert(position, causes.clone());
            }
            self.imports.insert((session, position), causes);
        }
        if !can_cause {
            return;
        }
        if observation.is_awaited {
            self.blamed.insert(position);
        }
        if self.exchanges.len() < MOST_NAMED {
            self.exchanges
                .insert(position, observation.exchange.clone());
        }
    }
}

impl TwinTally {
    /// Learns the part that a twin's own values play, where the baseline gave others than the
    /// recorded ones, too.
    fn learn_own(&mut self, observation: &Observation, outcome: &Outcome) {
        let Some((answer, _)) = answered(outcome) else {
            return;
        };
        let baseline = answered(&observation.baseline).map(|(answer, _)| answer);
        let own: Vec<(String, LinkTag)> = observation
            .produced
            .iter()
            .filter(|produced| !baseline.is_some_and(|answer| is_given(answer, produced)))
            .cloned()
            .collect();
        let production = observation.production.as_ref();
        self.roles.learn(observation.copy, &own, production, answer);
    }

    pub(crate) fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Answered { .. } => self.answered += 1,
            Outcome::Errored { kind, .. } => *self.errored.entry(kind.clone()).or_default() += 1,
            Outcome::Refused(limit) => *self.refused.entry(limit.clone()).or_default() += 1,
            Outcome::Skipped(cause) => *self.skipped.entry(cause.clone()).or_default() += 1,
        }
        if let Some(timing) = outcome.timing() {
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
