//! How long the twins take, and whether the candidate takes longer.
//!
//! A latency counts from the moment a request is ready to the last byte of its
//! answer; lateness before that is reported apart.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::evidence::Evidence;
use crate::facts::Quantiles;
use crate::observation::Timing;
use crate::options::Options;
use crate::stats::{median, signed_rank_test};
use crate::tally::Session;

/// Paired differences kept for one session and endpoint.
const MOST_PAIRS: usize = 256;
/// Examples kept for one endpoint.
const MOST_EXAMPLES: usize = 3;

/// The latencies of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct LatencyTally {
    pub(crate) baseline_us: Spread,
    pub(crate) candidate_us: Spread,
    /// Candidate minus baseline in microseconds, request by request.
    pairs_us: BTreeMap<Session, Vec<f32>>,
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
        let (baseline, candidate) = (latency_us(baseline), latency_us(candidate));
        self.baseline_us.add(baseline);
        self.candidate_us.add(candidate);
        let pairs = self.pairs_us.entry(session).or_default();
        if pairs.len() < MOST_PAIRS {
            pairs.push((candidate - baseline) as f32);
        }
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
        self.pairs_us.len()
    }

    /// The requests that the candidate was slowest at, against the baseline.
    pub(crate) fn examples(&self, most: usize) -> Vec<Evidence> {
        let slowest = self.slowest.iter().take(most);
        slowest.map(|(_, evidence)| evidence.clone()).collect()
    }

    pub(crate) fn merge(&mut self, other: LatencyTally) {
        self.baseline_us.merge(&other.baseline_us);
        self.candidate_us.merge(&other.candidate_us);
        for (session, pairs) in other.pairs_us {
            self.pairs_us.entry(session).or_default().extend(pairs);
        }
        self.slowest.extend(other.slowest);
        self.trim();
    }

    /// Tests whether the candidate is slower by more than half of what would
    /// matter; none where there are too few samples.
    ///
    /// The sample is one median for each session, since requests of a session
    /// are not independent; with few sessions it is the requests.
    pub(crate) fn shift(&self, options: &Options) -> Option<Shift> {
        let rules = &options.latency;
        let pairs: usize = self.pairs_us.values().map(Vec::len).sum();
        if pairs < rules.min_samples.max(1) {
            return None;
        }
        let as_ms = |us: &f32| f64::from(*us) / 1000.0;
        let by_session = self.pairs_us.len() >= rules.min_sessions;
        let mut sample: Vec<f64> = if by_session {
            self.pairs_us
                .values()
                .map(|pairs| median(&mut pairs.iter().map(as_ms).collect::<Vec<_>>()))
                .collect()
        } else {
            self.pairs_us.values().flatten().map(as_ms).collect()
        };
        let baseline_ms = self.baseline_us.quantiles().p50 / 1000.0;
        let needed_ms = rules.min_shift_ms.max(rules.min_shift_ratio * baseline_ms);
        let null_ms = needed_ms / 2.0;
        let shifted: Vec<f64> = sample.iter().map(|shift| shift - null_ms).collect();
        let median_ms = median(&mut sample);
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
            pairs,
            null_ms,
            is_large: median_ms >= needed_ms,
        })
    }
}

fn latency_us(timing: &Timing) -> f64 {
    timing.last_byte_ns.saturating_sub(timing.ready_ns) as f64 / 1000.0
}

/// A distribution of times in microseconds, to two significant digits or better.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    /// Tenths of a microsecond; made with the first value.
    histogram: Option<Histogram<u64>>,
}

impl Spread {
    pub(crate) fn add(&mut self, us: f64) {
        if self.histogram.is_none() {
            // 2 is a number of digits that it takes.
            self.histogram = Histogram::new(2).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            // It grows by itself; a count that can't be kept is one too many for memory.
            let _ = histogram.record((us.max(0.0) * 10.0) as u64);
        }
    }

    pub(crate) fn merge(&mut self, other: &Spread) {
        match (&mut self.histogram, &other.histogram) {
            (Some(own), Some(others)) => {
                // Fails only for a histogram that can't grow.
                let _ = own.add(others);
            }
            (None, Some(others)) => self.histogram = Some(others.clone()),
            (_, None) => {}
        }
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let Some(histogram) = &self.histogram else {
            return Quantiles::default();
        };
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 10.0;
        Quantiles {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: histogram.max() as f64 / 10.0,
        }
    }

    /// Values at evenly spaced quantiles, for a curve.
    pub(crate) fn curve(&self, steps: u32) -> Vec<f64> {
        let Some(histogram) = &self.histogram else {
            return Vec::new();
        };
        (0..=steps)
            .map(|step| {
                histogram.value_at_quantile(f64::from(step) / f64::from(steps)) as f64 / 10.0
            })
            .collect()
    }
}
