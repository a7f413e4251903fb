//! Requests that fail: how often at the candidate, and how often at the baseline.

mod trail;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::observation::Outcome;
use crate::options::Options;
use crate::stats::{PairedCounts, benjamini_hochberg};
use crate::tally::{EndpointTally, Session};

pub(crate) use trail::ErrorTrail;

/// The share of intervals that hold the true value.
const CONFIDENCE: f64 = 0.95;
/// Examples kept for one endpoint.
const MOST_EXAMPLES: usize = 3;

/// Failed requests of one endpoint, of those that both twins had.
#[derive(Debug, Default)]
pub(crate) struct ErrorTally {
    by_session: BTreeMap<Session, Failures>,
    /// Requests that failed at the candidate alone.
    examples: Vec<Evidence>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    requests: u32,
    candidate: u32,
    baseline: u32,
}

/// How often an endpoint's requests fail: without an answer, or with a status of 500 and above.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointErrors {
    /// Method and path template.
    pub endpoint: String,
    /// Requests that both twins had.
    pub requests: u64,
    /// Those that failed at the candidate.
    pub candidate: u64,
    /// Those that failed at the baseline.
    pub baseline: u64,
    /// Sessions that these requests are of.
    pub sessions: u64,
    /// Sessions in which more of them failed at the candidate.
    pub candidate_sessions: u64,
    /// Sessions in which more of them failed at the baseline.
    pub baseline_sessions: u64,
    /// By how much larger the share of the candidate's sessions is.
    pub difference: f64,
    /// The lower end of its interval of 95 %.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The chance of so many sessions against the candidate, before correction for the number
    /// of endpoints.
    pub p_value: f64,
    /// Whether the candidate fails more often, at the level after correction.
    pub is_more: bool,
}

/// Whether a request failed; none where it was not fired.
pub(crate) fn failed(outcome: &Outcome) -> Option<bool> {
    match outcome {
        _ if outcome.kept_back().is_some() => None,
        Outcome::Answered { answer, .. } => Some(answer.head.status >= 500),
        Outcome::Errored { .. } => Some(true),
        Outcome::Refused(_) | Outcome::Skipped(_) => None,
    }
}

impl ErrorTally {
    /// Counts a request that both twins had: whether it failed there. `example` is asked for
    /// where more are to be kept.
    pub(crate) fn add(
        &mut self,
        session: Session,
        candidate: bool,
        baseline: bool,
        example: impl FnOnce() -> Evidence,
    ) {
        let failures = self.by_session.entry(session).or_default();
        failures.requests += 1;
        failures.candidate += u32::from(candidate);
        failures.baseline += u32::from(baseline);
        if candidate && !baseline && self.examples.len() < MOST_EXAMPLES {
            self.examples.push(example());
        }
    }

    pub(crate) fn examples(&self, most: usize) -> Vec<Evidence> {
        self.examples.iter().take(most).cloned().collect()
    }

    pub(crate) fn merge(&mut self, other: ErrorTally) {
        for (session, failures) in other.by_session {
            let known = self.by_session.entry(session).or_default();
            known.requests += failures.requests;
            known.candidate += failures.candidate;
            known.baseline += failures.baseline;
        }
        self.examples.extend(other.examples);
        self.examples.truncate(MOST_EXAMPLES);
    }

    fn counts(&self) -> PairedCounts {
        let mut counts = PairedCounts::default();
        for failures in self.by_session.values() {
            let place = match (failures.candidate, failures.baseline) {
                (0, 0) => &mut counts.neither,
                (candidate, baseline) if candidate > baseline => &mut counts.candidate,
                (candidate, baseline) if candidate < baseline => &mut counts.baseline,
                _ => &mut counts.both,
            };
            *place += 1;
        }
        counts
    }

    fn report(&self, endpoint: &str) -> EndpointErrors {
        let sum = |of: fn(&Failures) -> u32| self.by_session.values().map(of).map(u64::from).sum();
        let counts = self.counts();
        let (low, high) = counts.interval(CONFIDENCE);
        EndpointErrors {
            endpoint: endpoint.to_owned(),
            requests: sum(|failures| failures.requests),
            candidate: sum(|failures| failures.candidate),
            baseline: sum(|failures| failures.baseline),
            sessions: counts.sessions(),
            candidate_sessions: counts.candidate,
            baseline_sessions: counts.baseline,
            difference: counts.difference(),
            low,
            high,
            p_value: counts.p_value(),
            is_more: false,
        }
    }
}

/// The errors of all endpoints, by index; none where no request was had by both twins.
pub(crate) fn errors(
    names: &[String],
    endpoints: &[EndpointTally],
    options: &Options,
) -> Vec<Option<EndpointErrors>> {
    let rows = names.iter().zip(endpoints).map(|(name, endpoint)| {
        let row = endpoint.errors.report(name);
        (row.requests > 0).then_some(row)
    });
    let mut rows: Vec<Option<EndpointErrors>> = rows.collect();
    let p_values: Vec<f64> = rows.iter().flatten().map(|row| row.p_value).collect();
    let significant = benjamini_hochberg(&p_values, options.level);
    for (row, is_significant) in rows.iter_mut().flatten().zip(significant) {
        let either = row.candidate_sessions + row.baseline_sessions;
        let more = row.candidate_sessions.saturating_sub(row.baseline_sessions);
        let share = more as f64 / either.max(1) as f64;
        row.is_more = is_significant && share >= options.min_rate_difference;
    }
    rows
}
