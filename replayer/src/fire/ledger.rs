//! What a run counts, and its own precision.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The run ledger of one twin: planned = answered + errored + refused + skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwinLedger {
    /// Requests of the plan.
    pub planned: u64,
    /// Requests that the twin answered.
    pub answered: u64,
    /// Requests that it did not answer, by kind.
    pub errored: BTreeMap<String, u64>,
    /// Requests that a limit of the run kept back, by limit.
    pub refused: BTreeMap<String, u64>,
    /// Requests that the plan says not to fire, by reason.
    pub skipped: BTreeMap<String, u64>,
}

impl TwinLedger {
    /// planned minus everything that explains it: 0 when the ledger closes.
    pub fn unexplained(&self) -> i64 {
        // No plan comes near 2^63 requests.
        self.planned as i64 - self.settled() as i64
    }

    /// True when it closes.
    pub fn closes(&self) -> bool {
        self.unexplained() == 0
    }

    /// Requests with an outcome.
    pub fn settled(&self) -> u64 {
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        self.answered + sum(&self.errored) + sum(&self.refused) + sum(&self.skipped)
    }
}

/// Quantiles of a span of time, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Values.
    pub count: u64,
    /// The median.
    pub p50_us: f64,
    /// The 90th percentile.
    pub p90_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
    /// The 99.9th percentile.
    pub p999_us: f64,
    /// The largest.
    pub max_us: f64,
}

impl Spread {
    /// The spread of a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Spread {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Spread {
            count: histogram.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max() as f64 / 1000.0,
        }
    }
}

/// What firing at one twin came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TwinSummary {
    /// Its ledger.
    pub ledger: TwinLedger,
    /// From ready to first byte written.
    pub release_error: Spread,
    /// From due to ready: how long dependencies kept requests back.
    pub lateness: Spread,
    /// Requests fired though a dependency was still open.
    pub wait_expired: u64,
    /// Requests fired with a recorded value where the twin gave none of its own, and
    /// those that use the answers to them.
    pub fired_unbound: u64,
    /// Requests in which a value of the twin, a rewriting or the clean form took the place
    /// of recorded bytes. All others went out as they were recorded.
    pub mended: u64,
    /// The values that it did not give: the request's leaf and the answer's, with how
    /// often. There are at most 1,000; others count under `others`.
    pub missing: BTreeMap<String, u64>,
    /// Connections opened.
    pub connections: u64,
    /// Connections opened because the twin had closed the flow's one early.
    pub reopened: u64,
    /// Connections opened because the flow's one was still busy when a wait ran out.
    pub extra_connections: u64,
    /// Safe requests sent again because a kept-alive connection ended under them.
    pub resent: u64,
    /// Requests sent again because the twin went away or refused the stream, and so said
    /// that it had not processed them.
    pub unprocessed: u64,
    /// Requests that waited because the twin took no more streams at a time.
    pub stream_waits: u64,
    /// Answers whose body was too large to hold, or came while memory was short.
    pub digest_only: u64,
    /// Messages of the twin over WebSockets beyond the first 65,535 of each: they are
    /// compared by their bytes together.
    pub messages_not_kept: u64,
    /// Bytes written.
    pub sent_bytes: u64,
    /// Bytes read.
    pub received_bytes: u64,
}

impl TwinSummary {
    /// Counts a value that the twin did not give.
    pub(crate) fn count_missing(&mut self, named: String) {
        const MOST: usize = 1000;
        let is_known = self.missing.len() < MOST || self.missing.contains_key(&named);
        let name = if is_known { named.as_str() } else { "others" };
        count(&mut self.missing, name);
    }
}

/// What a run's firing came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FireSummary {
    /// The candidate.
    pub candidate: TwinSummary,
    /// The baseline.
    pub baseline: TwinSummary,
    /// The second baseline, where the run has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_baseline: Option<TwinSummary>,
    /// From ready to first byte written, of candidate and baseline.
    pub release_error: Spread,
    /// True when it was stopped early.
    pub stopped: bool,
    /// From T0 to the last outcome, pauses included, in nanoseconds.
    pub wall_ns: u64,
    /// Of it paused.
    pub paused_ns: u64,
    /// Processor time of the thread that fires and reads, in nanoseconds.
    pub wire_cpu_ns: u64,
    /// Of it spun before due times.
    pub spun_ns: u64,
    /// How often a firing thread did not wake in time and was taken over to the processor
    /// of another.
    #[serde(default)]
    pub moved: u64,
    /// Whether idle processors stayed awake for it.
    #[serde(default)]
    pub stayed_awake: bool,
    /// Processor time of the thread that compares, in nanoseconds.
    pub compare_cpu_ns: u64,
    /// Processor time of the thread that reads the archive, in nanoseconds.
    pub load_cpu_ns: u64,
    /// Time that the hypervisor took from this machine's processors meanwhile;
    /// absent where the kernel does not tell.
    pub steal_ns: Option<u64>,
}

/// A histogram of nanoseconds up to a day; longer counts as a day.
pub(crate) fn histogram() -> Histogram<u64> {
    const DAY_NS: u64 = 86_400_000_000_000;
    Histogram::new_with_bounds(1, DAY_NS, 3).expect("1 < a day, and 3 digits are within 0..=5")
}

/// Counts one under `key`.
pub(crate) fn count(counts: &mut BTreeMap<String, u64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => {
            counts.insert(key.to_owned(), 1);
        }
    }
}

/// Processor time of the calling thread.
pub(crate) fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Stolen time of all processors since the machine started (proc(5), `/proc/stat`).
pub(crate) fn steal_ns() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: u64 = stat
        .lines()
        .next()?
        .split_whitespace()
        .nth(8)?
        .parse()
        .ok()?;
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    (ticks * 1_000_000_000).checked_div(ticks_per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_values_that_were_recorded() {
        let mut histogram = histogram();
        for ns in 1..=1000 {
            histogram.saturating_record(ns * 1_000_000);
        }
        histogram.saturating_record(u64::MAX);
        let spread = Spread::of(&histogram);
        assert_eq!(spread.count, 1001);
        let is_near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.002;
        assert!(is_near(spread.p50_us, 501_000.0), "{spread:?}");
        assert!(is_near(spread.p99_us, 991_000.0), "{spread:?}");
        assert!(is_near(spread.max_us, 86_400e6), "{spread:?}");
    }

    #[test]
    fn a_ledger_closes_when_all_is_explained() {
        let mut ledger = TwinLedger {
            planned: 4,
            answered: 1,
            ..TwinLedger::default()
        };
        count(&mut ledger.errored, "reset");
        count(&mut ledger.refused, "stopped");
        assert_eq!(ledger.unexplained(), 1);
        count(&mut ledger.skipped, "unbound");
        assert!(ledger.closes());
    }
}
