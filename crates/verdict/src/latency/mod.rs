//! How long the twins take, and whether the candidate takes longer.
//!
//! A latency counts from the moment a request is ready to the last byte of its
//! answer; lateness before that is reported apart. Both twins get each request at the same
//! time, so that its two latencies are of one load: the sample is always of such pairs.

mod compared;
mod drift;
mod load;
mod pairs;
mod spread;
mod tail;

use std::collections::BTreeMap;

use crate::evidence::Evidence;
use crate::observation::Timing;
use crate::options::{LatencyOptions, Options};
use crate::stats::{median, signed_rank_test};
use crate::tally::Session;
use pairs::{Pair, Pairs};

pub(crate) use compared::{Compared, compared};
pub use compared::{EffectSize, LoadShift, QuantileShifts, ShiftInterval, TailTest};
pub(crate) use drift::Drifting;
pub(crate) use spread::Spread;

/// Examples kept for one endpoint.
const MOST_EXAMPLES: usize = 3;
/// Fewer seconds can't be told from chance at the level that ships.
const FEWEST_SECONDS: usize = 7;

/// The latencies of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct LatencyTally {
    pub(crate) baseline_us: Spread,
    pub(crate) candidate_us: Spread,
    pairs: Pairs,
    /// Where the candidate was slowest against the baseline, by microseconds.
    slowest: Vec<(f64, Evidence)>,
}

/// What a test of one endpoint's latencies says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shift {
    /// Median of the sample: by session, or by request.
    pub(crate) median_ms: f64,
    /// The same as a share of the baseline's median.
    pub(crate) ratio: f64,
    pub(crate) p_value: f64,
    /// What the test's sample is made of.
    pub(crate) unit: &'static str,
    pub(crate) sample: usize,
    pub(crate) pairs: usize,
    /// What a shift must be above of, in the null hypothesis.
    pub(crate) null_ms: f64,
    /// Whether it is large enough to matter.
    pub(crate) is_large: bool,
    /// As `p_value`, of one median for each second of the run.
    pub(crate) p_by_second: f64,
    /// How many seconds these are.
    pub(crate) seconds: usize,
}

impl LatencyTally {
    /// Counts one request that both twins answered; `example` is asked for when
    /// it is among the slowest.
    pub(crate) fn add(
        &mut self,
        session: Session,
        baseline: &Timing,
        candidate: &Timing,
        example: impl FnOnce() -> Evidence,
    ) {
        let at_ms = u32::try_from(baseline.ready_ns / 1_000_000).unwrap_or(u32::MAX);
        let (baseline, candidate) = (latency_us(baseline), latency_us(candidate));
        self.baseline_us.add(baseline);
        self.candidate_us.add(candidate);
        let pair = Pair {
            at_ms,
            baseline_us: baseline as f32,
            candidate_us: candidate as f32,
        };
        self.pairs.add(session, pair);
        let shift = candidate - baseline;
        let is_among = self.slowest.len() < MOST_EXAMPLES
            || self.slowest.last().is_some_and(|(least, _)| shift > *least);
        if shift > 0.0 && is_among {
            self.slowest.push((shift, example()));
            self.trim();
        }
    }

    fn trim(&mut self) {
        self.slowest
            .sort_by(|(one, _), (other, _)| other.total_cmp(one));
        self.slowest.truncate(MOST_EXAMPLES);
    }

    pub(crate) fn sessions(&self) -> usize {
        self.pairs.sessions()
    }

    /// The requests that the candidate was slowest at, against the baseline.
    pub(crate) fn examples(&self, most: usize) -> Vec<Evidence> {
        let slowest = self.slowest.iter().take(most);
        slowest.map(|(_, evidence)| evidence.clone()).collect()
    }

    pub(crate) fn merge(&mut self, other: LatencyTally) {
        self.baseline_us.merge(&other.baseline_us);
        self.candidate_us.merge(&other.candidate_us);
        self.pairs.merge(other.pairs);
        self.slowest.extend(other.slowest);
        self.trim();
    }

    /// Tests whether the candidate is slower by more than half of what would
    /// matter; none where there are too few samples.
    ///
    /// The sample is one median for each session, since requests of a session
    /// are not independent; with few sessions it is the requests.
    pub(crate) fn shift(&self, options: &Options) -> Option<Shift> {
        let baseline_ms = self.baseline_us.quantiles().p50 / 1000.0;
        Shift::of(&self.pairs, baseline_ms, &options.latency)
    }
}

impl Shift {
    fn of(pairs: &Pairs, baseline_ms: f64, rules: &LatencyOptions) -> Option<Shift> {
        let count = pairs.count();
        if count < rules.min_samples.max(1) {
            return None;
        }
        let by_session = pairs.sessions() >= rules.min_sessions;
        let mut sample: Vec<f64> = if by_session {
            let shifts =
                |of: &[Pair]| median(&mut of.iter().map(Pair::shift_ms).collect::<Vec<_>>());
            pairs.by_session().map(|(_, of)| shifts(of)).collect()
        } else {
            pairs.all().map(|(_, pair)| pair.shift_ms()).collect()
        };
        let needed_ms = rules.needed_ms(baseline_ms);
        let null_ms = needed_ms / 2.0;
        let shifted: Vec<f64> = sample.iter().map(|shift| shift - null_ms).collect();
        let median_ms = median(&mut sample);
        let seconds = pairs.by_second();
        Some(Shift {
            median_ms,
            ratio: if baseline_ms > 0.0 {
                median_ms / baseline_ms
            } else {
                0.0
            },
            p_value: signed_rank_test(&shifted),
            unit: if by_session { "session" } else { "request" },
            sample: sample.len(),
            pairs: count,
            null_ms,
            is_large: median_ms >= needed_ms,
            p_by_second: by_second(&seconds, null_ms),
            seconds: seconds.len(),
        })
    }

    /// Whether it is there throughout, as far as the run is long enough to tell: a machine
    /// that is busy with something else holds up one twin for a while, and all sessions then.
    pub(crate) fn is_steady(&self, options: &Options) -> bool {
        self.seconds < FEWEST_SECONDS || self.p_by_second <= options.level
    }
}

fn by_second(seconds: &BTreeMap<u32, Vec<Pair>>, null_ms: f64) -> f64 {
    let medians = seconds.values().map(|pairs| {
        let mut shifts: Vec<f64> = pairs.iter().map(Pair::shift_ms).collect();
        median(&mut shifts) - null_ms
    });
    signed_rank_test(&medians.collect::<Vec<_>>())
}

/// From ready to the answer's last byte.
pub(crate) fn latency_us(timing: &Timing) -> f64 {
    timing.last_byte_ns.saturating_sub(timing.ready_ns) as f64 / 1000.0
}
