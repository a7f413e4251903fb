//! Spans of time, counted by their size while others look on.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

/// Four for each power of two of nanoseconds.
const BUCKETS: usize = 252;

/// Counts that one thread adds to and others read.
#[derive(Debug)]
pub(crate) struct LatenessCounters([AtomicU64; BUCKETS]);

impl Default for LatenessCounters {
    fn default() -> LatenessCounters {
        LatenessCounters(array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl LatenessCounters {
    /// Counts a span of so many nanoseconds.
    pub(crate) fn add(&self, ns: u64) {
        self.0[bucket(ns)].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn read(&self) -> LatenessCounts {
        LatenessCounts(array::from_fn(|place| {
            self.0[place].load(Ordering::Relaxed)
        }))
    }
}

/// How many spans of time were how long, to a quarter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatenessCounts([u64; BUCKETS]);

impl Default for LatenessCounts {
    fn default() -> LatenessCounts {
        LatenessCounts([0; BUCKETS])
    }
}

impl LatenessCounts {
    /// Counts a span of so many nanoseconds.
    pub fn add(&mut self, ns: u64) {
        self.0[bucket(ns)] += 1;
    }

    /// What was counted after `earlier`, which was read before.
    pub fn since(&self, earlier: &LatenessCounts) -> LatenessCounts {
        LatenessCounts(array::from_fn(|place| {
            self.0[place].saturating_sub(earlier.0[place])
        }))
    }

    /// The span that `quantile` of all are at most as long as, about, in microseconds;
    /// 0 without any.
    pub fn quantile_us(&self, quantile: f64) -> f64 {
        let all: u64 = self.0.iter().sum();
        let wanted = (quantile * all as f64).ceil().max(1.0);
        let mut below = 0;
        for (place, count) in self.0.iter().enumerate() {
            below += count;
            if *count > 0 && below as f64 >= wanted {
                return middle_ns(place) / 1000.0;
            }
        }
        0.0
    }
}

fn bucket(ns: u64) -> usize {
    match ns.checked_ilog2() {
        Some(power @ 2..) => (power as usize - 1) * 4 + (ns >> (power - 2)) as usize % 4,
        _ => ns as usize,
    }
}

fn middle_ns(bucket: usize) -> f64 {
    if bucket < 4 {
        return bucket as f64;
    }
    let unit = 2f64.powi(bucket as i32 / 4 - 1);
    (4.5 + (bucket % 4) as f64) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_span_has_a_bucket_near_it() {
        let mut last = 0;
        let quarters = |power: u32| [0u64, 1, 2, 3].map(|n| (1 << power) + n * ((1 << power) / 4));
        let spans = (0..64).flat_map(quarters);
        for ns in spans.chain([u64::MAX]) {
            let place = bucket(ns);
            assert!(place >= last && place < BUCKETS, "{ns}: {place}");
            last = place;
            if ns >= 4 {
                let error = middle_ns(place) / ns as f64 - 1.0;
                assert!((-0.15..0.15).contains(&error), "{ns}: {error}");
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_of_what_was_counted() {
        let counters = LatenessCounters::default();
        assert_eq!(counters.read().quantile_us(0.5), 0.0);
        for _ in 0..98 {
            counters.add(10_000);
        }
        let before = counters.read();
        counters.add(5_000_000);
        counters.add(5_000_000);
        let counts = counters.read();
        let is_near = |us: f64, expected: f64| (us / expected - 1.0).abs() < 0.15;
        assert!(is_near(counts.quantile_us(0.5), 10.0));
        assert!(is_near(counts.quantile_us(0.99), 5000.0));
        assert!(is_near(counts.since(&before).quantile_us(0.1), 5000.0));
    }
}
