//! The ledger of one boot: what the kernel counted, and what the agent did with it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::time::{ClockId, clock_gettime};
use twintap_abi::{Cause, Ledger};
use twintap_proto::v1;

/// Payload that the agent gave up because its memory budget was used up.
pub const AGENT_BUDGET: &str = "agent_budget";
/// Frames that the daemon would not have taken.
pub const FRAME_TOO_LARGE: &str = "frame_too_large";

/// What the agent counts itself. Bytes are of TCP payload.
#[derive(Debug, Default)]
pub struct Counts {
    /// In frames.
    pub delivered_bytes: AtomicU64,
    /// Shed for want of memory.
    pub shed_bytes: AtomicU64,
    /// Records shed for want of memory.
    pub shed_records: AtomicU64,
    /// In frames that the daemon would not have taken.
    pub too_large_bytes: AtomicU64,
    /// Frames that the daemon would not have taken.
    pub too_large_frames: AtomicU64,
    /// Of flows that look like TLS.
    pub tls_bytes: AtomicU64,
    /// Frames let go after they were received, before they were durable.
    pub unprotected_frames: AtomicU64,
    /// In those frames.
    pub unprotected_bytes: AtomicU64,
    /// Frames sealed.
    pub frames: AtomicU64,
    /// Their size, compressed.
    pub frame_bytes: AtomicU64,
    /// Records taken from the rings.
    pub records: AtomicU64,
    /// Entries of the rings that could not be read.
    pub unreadable: AtomicU64,
    /// Memory that frames hold.
    pub outbox_bytes: AtomicU64,
    /// Memory that records hold before they are in a frame.
    pub open_bytes: AtomicU64,
    /// Flows that are followed.
    pub flows: AtomicU64,
    /// Connections to the daemon so far.
    pub connections: AtomicU64,
    /// 1 while connected to the daemon.
    pub connected: AtomicU64,
    /// 1 while nothing is captured because the daemon said so.
    pub paused: AtomicU64,
    /// What the kernel programs ran, nanoseconds, where the machine keeps statistics.
    pub kernel_cpu_ns: AtomicU64,
    /// How far the agent has backed off for its CPU budget.
    pub back_off_level: AtomicU64,
}

impl Counts {
    /// The whole ledger, given the kernel's. What is neither in a frame nor dropped is pending.
    pub fn ledger(&self, kernel: &Ledger) -> v1::KernelLedger {
        let mut dropped: Vec<v1::Drop> = Cause::ALL
            .iter()
            .map(|&cause| {
                let count = kernel.dropped[cause as usize];
                drop_of(cause.name(), count.bytes, count.records)
            })
            .collect();
        dropped.push(drop_of(
            AGENT_BUDGET,
            self.shed_bytes.load(Relaxed),
            self.shed_records.load(Relaxed),
        ));
        dropped.push(drop_of(
            FRAME_TOO_LARGE,
            self.too_large_bytes.load(Relaxed),
            self.too_large_frames.load(Relaxed),
        ));
        dropped.retain(|drop| drop.records != 0);
        let delivered_bytes = self.delivered_bytes.load(Relaxed);
        let dropped_bytes: u64 = dropped.iter().map(|drop| drop.bytes).sum();
        v1::KernelLedger {
            seen_bytes: kernel.seen.bytes,
            delivered_bytes,
            dropped,
            pending_bytes: kernel
                .seen
                .bytes
                .saturating_sub(delivered_bytes + dropped_bytes),
            tls_bytes: self.tls_bytes.load(Relaxed),
            unprotected_frames: self.unprotected_frames.load(Relaxed),
            unprotected_bytes: self.unprotected_bytes.load(Relaxed),
        }
    }
}

fn drop_of(cause: &str, bytes: u64, records: u64) -> v1::Drop {
    v1::Drop {
        cause: cause.to_owned(),
        bytes,
        records,
    }
}

/// Nanoseconds of the boot-time clock.
pub fn boottime_ns() -> u64 {
    nanoseconds(ClockId::Boottime) as u64
}

/// Nanoseconds of the monotonic clock, which stands still while the machine sleeps.
pub fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::Monotonic) as u64
}

/// One reading of both clocks.
pub fn clock_reading() -> v1::ClockReading {
    let before = boottime_ns();
    let unix_ns = nanoseconds(ClockId::Realtime);
    let after = boottime_ns();
    let width = after.saturating_sub(before);
    v1::ClockReading {
        boottime_ns: before + width / 2,
        unix_ns,
        uncertainty_ns: width.div_ceil(2),
    }
}

fn nanoseconds(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use twintap_abi::{Cause, Count, Ledger};

    use super::Counts;

    #[test]
    fn the_ledger_closes() {
        let mut kernel = Ledger::default();
        kernel.seen.bytes = 1_000;
        kernel.dropped[Cause::RingFull as usize] = Count {
            bytes: 100,
            records: 1,
        };
        let counts = Counts::default();
        counts.delivered_bytes.store(700, Relaxed);
        counts.shed_bytes.store(150, Relaxed);
        counts.shed_records.store(2, Relaxed);
        let ledger = counts.ledger(&kernel);
        let dropped: u64 = ledger.dropped.iter().map(|drop| drop.bytes).sum();
        assert_eq!(dropped, 250);
        assert_eq!(ledger.pending_bytes, 50);
        assert_eq!(ledger.dropped[1].cause, "agent_budget");
    }
}
