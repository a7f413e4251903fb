//! All that is said of one endpoint's latencies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::drift::{Drifting, drift};
use super::load::{Busy, busy};
use super::pairs::{Pair, Pairs};
use super::tail::tail;
use super::{LatencyTally, Shift};
use crate::options::Options;
use crate::stats::{Chance, Interval, SessionPairs, mann_whitney, median};

/// Requests below which nothing is said of the slowest in a hundred.
const FEWEST_FOR_P99: usize = 100;
/// Pairs that an interval is made from.
const MOST_FOR_INTERVAL: usize = 4096;

/// By how much the candidate is slower, and whether that is so by chance.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Compared {
    pub(crate) shift: Option<Shift>,
    pub(crate) quantiles: Option<QuantileShifts>,
    pub(crate) effect: Option<EffectSize>,
    pub(crate) tail: Option<TailTest>,
    pub(crate) busy: Option<Busy>,
    pub(crate) drift: Option<Drifting>,
}

/// Quantiles of the candidate's latencies less those of the baseline's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuantileShifts {
    /// Of the median.
    pub p50: ShiftInterval,
    /// Of nine in ten.
    pub p90: ShiftInterval,
    /// Of 99 in a hundred; none with fewer than 100 requests.
    pub p99: Option<ShiftInterval>,
}

/// A difference of latencies with its interval of 95 %, by a bootstrap of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShiftInterval {
    /// Milliseconds that the candidate takes longer.
    pub shift_ms: f64,
    /// The interval's lower end.
    pub low_ms: f64,
    /// The interval's upper end.
    pub high_ms: f64,
}

/// How far the two twins' latencies lie apart, whatever the unit (Mann and Whitney, 1947).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectSize {
    /// The chance of as much, if the latencies came from one distribution: one-sided, of one
    /// median for each session and twin.
    pub p_value: f64,
    /// The chance that one of the candidate's is above one of the baseline's: 0.5 is no effect.
    pub common_language: f64,
    /// The chance that it is above less that it is below: -1 to 1.
    pub cliffs_delta: f64,
}

/// Whether slow answers are more often the candidate's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TailTest {
    /// The slow ones are above it, in milliseconds.
    pub above_ms: f64,
    /// Of the candidate's.
    pub candidate: u64,
    /// Of the baseline's.
    pub baseline: u64,
    /// The chance of as many, before correction.
    pub p_value: f64,
    /// Whether 99 in a hundred are slower by so much that it matters.
    pub is_large: bool,
}

/// How much slower the candidate is when there is little to do, and when there is much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadShift {
    /// Requests of the endpoint in a second count as many from here on, and as few below.
    pub busy_from: u64,
    /// The median of the paired differences in quiet seconds, in milliseconds.
    pub quiet_shift_ms: f64,
    /// The same in busy seconds.
    pub busy_shift_ms: f64,
}

/// Compares one endpoint's latencies, of `endpoints` that are compared.
pub(crate) fn compared(tally: &LatencyTally, endpoints: usize, options: &Options) -> Compared {
    let rules = &options.latency;
    let pairs = &tally.pairs;
    let baseline = tally.baseline_us.quantiles();
    let quantiles = quantiles(pairs, rules.min_samples);
    let p99_ms = baseline.p99 / 1000.0;
    let p50_ms = baseline.p50 / 1000.0;
    Compared {
        shift: tally.shift(options),
        effect: effect(pairs, options),
        tail: quantiles
            .and_then(|quantiles| quantiles.p99)
            .and_then(|shift| tail(pairs, shift, p99_ms, rules)),
        busy: busy(pairs, p50_ms, rules),
        drift: drift(
            pairs,
            p50_ms,
            options.level / endpoints.max(1) as f64,
            rules,
        ),
        quantiles,
    }
}

fn quantiles(pairs: &Pairs, fewest: usize) -> Option<QuantileShifts> {
    if pairs.count() < fewest.max(1) {
        return None;
    }
    // Whole sessions, spread evenly, until there are enough pairs.
    let step = pairs.count().div_ceil(MOST_FOR_INTERVAL);
    let sessions: Vec<Vec<(f64, f64)>> = pairs
        .by_session()
        .step_by(step.min(pairs.sessions()).max(1))
        .map(|(_, of)| of.iter().map(Pair::both_ms).collect())
        .collect();
    let sampled = SessionPairs::new(sessions.iter().map(Vec::as_slice));
    let mut chance = Chance::new(pairs.count() as u64);
    let found = sampled.quantile_differences(&[0.5, 0.9, 0.99], &mut chance)?;
    let [p50, p90, p99] = found.as_slice() else {
        return None;
    };
    let of = |interval: &Interval| ShiftInterval {
        shift_ms: interval.value,
        low_ms: interval.low,
        high_ms: interval.high,
    };
    Some(QuantileShifts {
        p50: of(p50),
        p90: of(p90),
        p99: (pairs.count() >= FEWEST_FOR_P99).then(|| of(p99)),
    })
}

fn effect(pairs: &Pairs, options: &Options) -> Option<EffectSize> {
    let rules = &options.latency;
    if pairs.count() < rules.min_samples.max(1) {
        return None;
    }
    let by_session = pairs.sessions() >= rules.min_sessions;
    let medians = |of: &[Pair]| {
        let (mut baseline, mut candidate): (Vec<f64>, Vec<f64>) =
            of.iter().map(Pair::both_ms).unzip();
        (median(&mut baseline), median(&mut candidate))
    };
    let (baseline, candidate): (Vec<f64>, Vec<f64>) = if by_session {
        pairs.by_session().map(|(_, of)| medians(of)).unzip()
    } else {
        pairs.all().map(|(_, pair)| pair.both_ms()).unzip()
    };
    let found = mann_whitney(&baseline, &candidate)?;
    Some(EffectSize {
        p_value: found.p_value,
        common_language: found.common_language,
        cliffs_delta: found.cliffs_delta,
    })
}
