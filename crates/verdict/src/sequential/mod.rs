//! Tests that may be looked at any time: for runs without end, and for such that end as soon
//! as they know enough.

mod bet;
mod recent;

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bet::Bet;

use crate::endpoint::{EndpointPattern, Shape};
use crate::errors::failed;
use crate::latency::{Spread, latency_us};
use crate::observation::{Observation, Outcome, Timing};
use crate::options::{LatencyOptions, Options};
use crate::passing::answered;
use recent::Recent;

/// Endpoints whose latencies are watched; those that come later are not.
const MOST_ENDPOINTS: usize = 256;
/// Streams named in a report, the strongest first.
const MOST_REPORTED: usize = 8;
/// Shifts of one second and endpoint that its median is taken from.
const MOST_SHIFTS: usize = 256;
const NS_OF_SECOND: u64 = 1_000_000_000;
/// The part of the level that errors have.
const ERROR_SHARE: f64 = 0.5;

/// Watches a run from its first request on, across all of its periods, and raises an alarm
/// that is false with a chance of at most the level, however often and however long one
/// looks: each stream of evidence is a bet against its null hypothesis ([`Bet`]), and an
/// alarm is a stream whose winnings are above what Ville's inequality allows it.
///
/// The streams share the level: half of it is for errors, half for latencies, of which the
/// k-th endpoint that was seen has the 1/(k(k+1))-th part.
///
/// - *Errors*: each session tosses once, with its first request that failed at one twin alone.
/// - *Latency*: each second tosses once for each endpoint, with the median over the sessions
///   whose first request there it has: whether the candidate was slower by more than half of
///   what would matter. Seconds, since what holds up one twin holds up all sessions then.
#[derive(Clone, Debug)]
pub struct Watch {
    level: f64,
    rules: LatencyOptions,
    patterns: Vec<EndpointPattern>,
    sessions: u64,
    errors: Bet,
    /// Sessions that were seen, and those that tossed.
    seen: Recent,
    latency: HashMap<String, LatencyStream>,
    /// The strongest evidence so far.
    peak: f64,
}

/// One endpoint's latencies.
#[derive(Clone, Debug)]
struct LatencyStream {
    /// The how many-th endpoint it is, from 1 on.
    number: usize,
    bet: Bet,
    baseline_us: Spread,
    second: Option<Second>,
}

/// The second that is under way.
#[derive(Clone, Debug)]
struct Second {
    number: u64,
    /// What a shift must be above of, known before its first.
    margin_us: f64,
    shifts_us: Vec<f64>,
}

/// What watching a run came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SequentialReport {
    /// The chance of a false alarm, ever.
    pub level: f64,
    /// Whether it covers all periods of a run so far, and not just what the report is on.
    pub over_all_periods: bool,
    /// Sessions watched.
    pub sessions: u64,
    /// The strongest evidence so far, as an e-value: an alarm from 1 over the level on.
    pub peak: f64,
    /// Whether there is an alarm.
    pub is_alarm: bool,
    /// The strongest streams of evidence.
    pub streams: Vec<StreamReport>,
}

/// One stream of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamReport {
    /// `errors` or `latency`.
    pub what: String,
    /// Method and path, as far as one request shows it; none for errors.
    pub endpoint: Option<String>,
    /// What tosses: `session` or `second`.
    pub unit: String,
    /// Tosses against the candidate.
    pub pluses: u64,
    /// Tosses for it.
    pub minuses: u64,
    /// The part of the level that it has.
    pub share: f64,
    /// What was won so far, times its share.
    pub e_value: f64,
    /// The most that this ever was.
    pub peak: f64,
}

impl Watch {
    /// A watch that has seen nothing.
    pub fn new(options: &Options) -> Watch {
        Watch {
            level: options.level,
            rules: options.latency.clone(),
            patterns: options.endpoints.clone(),
            sessions: 0,
            errors: Bet::default(),
            seen: Recent::default(),
            latency: HashMap::new(),
            peak: 0.0,
        }
    }

    /// Takes a request with what became of it, in about the order of time.
    pub fn observe(&mut self, observation: &Observation) {
        let twins = [&observation.candidate, &observation.baseline];
        let tells = |outcome: &&Outcome| !outcome.is_unbound() && !outcome.is_late();
        if observation.is_warm_up || !twins.iter().all(tells) {
            return;
        }
        let [Some(candidate), Some(baseline)] = twins.map(failed) else {
            return;
        };
        let session = observation.session.as_str();
        self.sessions += u64::from(self.seen.is_first(&(session, "session")));
        if candidate != baseline && self.seen.is_first(&(session, "errors")) {
            self.errors.toss(candidate);
            self.peak = self.peak.max(self.errors.peak() * ERROR_SHARE);
        }
        if let [Some((one, candidate)), Some((other, baseline))] = twins.map(answered)
            && one.head.status == other.head.status
        {
            self.latencies(observation, baseline, candidate);
        }
    }

    fn latencies(&mut self, observation: &Observation, baseline: &Timing, candidate: &Timing) {
        let endpoint = Shape::of(observation, &self.patterns).name;
        let number = self.latency.len() + 1;
        if number > MOST_ENDPOINTS && !self.latency.contains_key(&endpoint) {
            return;
        }
        let is_first = self.seen.is_first(&(&observation.session, &endpoint));
        let stream = self.latency.entry(endpoint);
        let stream = stream.or_insert_with(|| LatencyStream {
            number,
            bet: Bet::default(),
            baseline_us: Spread::default(),
            second: None,
        });
        if is_first {
            let second = baseline.ready_ns / NS_OF_SECOND;
            let shift_us = latency_us(candidate) - latency_us(baseline);
            stream.shift(second, shift_us, &self.rules);
            self.peak = self.peak.max(stream.bet.peak() * stream.share());
        }
        stream.baseline_us.add(latency_us(baseline));
    }

    /// Whether the evidence is enough to end a run.
    pub fn is_alarm(&self) -> bool {
        self.peak >= 1.0 / self.level
    }

    /// Each with its part of the level.
    fn streams(&self) -> impl Iterator<Item = (&'static str, Option<&String>, &Bet, f64)> {
        let latency = self
            .latency
            .iter()
            .map(|(endpoint, stream)| ("latency", Some(endpoint), &stream.bet, stream.share()));
        std::iter::once(("errors", None, &self.errors, ERROR_SHARE)).chain(latency)
    }

    /// What it came to.
    pub fn report(&self) -> SequentialReport {
        let mut streams: Vec<StreamReport> = self
            .streams()
            .filter(|(_, _, bet, _)| bet.tosses() > 0)
            .map(|(what, endpoint, bet, share)| StreamReport {
                what: what.to_owned(),
                endpoint: endpoint.cloned(),
                unit: if endpoint.is_none() {
                    "session"
                } else {
                    "second"
                }
                .to_owned(),
                pluses: bet.pluses(),
                minuses: bet.minuses(),
                share,
                e_value: bet.e_value() * share,
                peak: bet.peak() * share,
            })
            .collect();
        streams.sort_by(|one, other| {
            let by_name = || one.endpoint.cmp(&other.endpoint);
            other.peak.total_cmp(&one.peak).then_with(by_name)
        });
        streams.truncate(MOST_REPORTED);
        SequentialReport {
            level: self.level,
            over_all_periods: false,
            sessions: self.sessions,
            peak: self.peak,
            is_alarm: self.is_alarm(),
            streams,
        }
    }
}

impl LatencyStream {
    /// Its part of the level: all parts sum to what errors leave.
    fn share(&self) -> f64 {
        let number = self.number as f64;
        (1.0 - ERROR_SHARE) / (number * (number + 1.0))
    }

    /// A session's first request here, in its second; one of a second that is over comes
    /// too late to count.
    fn shift(&mut self, number: u64, shift_us: f64, rules: &LatencyOptions) {
        if self
            .second
            .as_ref()
            .is_some_and(|second| second.number < number)
            && let Some(second) = self.second.take()
        {
            self.bet.toss(second.is_slower());
        }
        if self.second.is_none() {
            let baseline_us = self.baseline_us.quantiles();
            // Too little is known of what would matter.
            if baseline_us.count < rules.min_samples as u64 {
                return;
            }
            self.second = Some(Second {
                number,
                margin_us: rules.needed_ms(baseline_us.p50 / 1000.0) / 2.0 * 1000.0,
                shifts_us: Vec::new(),
            });
        }
        if let Some(second) = &mut self.second
            && second.number == number
            && second.shifts_us.len() < MOST_SHIFTS
        {
            second.shifts_us.push(shift_us);
        }
    }
}

impl Second {
    /// Whether more than half of the shifts are above the margin.
    fn is_slower(&self) -> bool {
        let above = self
            .shifts_us
            .iter()
            .filter(|shift| **shift > self.margin_us);
        above.count() * 2 > self.shifts_us.len()
    }
}

impl SequentialReport {
    /// What raised an alarm, in a sentence.
    pub fn statement(&self) -> Option<String> {
        let stream = self.streams.first().filter(|_| self.is_alarm)?;
        let what = match &stream.endpoint {
            None => "requests fail at the candidate alone".to_owned(),
            Some(endpoint) => format!("{endpoint} is slower at the candidate"),
        };
        let (pluses, minuses, unit) = (stream.pluses, stream.minuses, &stream.unit);
        Some(format!(
            "{what}: {pluses} {unit}s against it and {minuses} for it, of {} sessions watched; \
             an e-value of {:.0}, where one of {:.0} is an alarm that is false in at most {} of \
             runs, however long they go on.",
            self.sessions,
            self.peak,
            1.0 / self.level,
            crate::reasons::percent(self.level),
        ))
    }
}
