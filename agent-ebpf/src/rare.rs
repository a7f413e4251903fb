//! Log lines about what should not happen, and never about each packet: on each CPU the first time
//! that something came, then every 65,536th time.

use aya_log_ebpf::warn;
use twintap_abi::Cause;

/// Between two lines about the same thing, on one CPU; a power of two.
const TIMES_PER_LINE: u64 = 1 << 16;

const RING_FULL: u32 = Cause::RingFull as u32;
const COPY_FAILED: u32 = Cause::CopyFailed as u32;
const FLOW_TABLE: u32 = Cause::FlowTable as u32;
/// Beside the causes: the end of a flow found room nowhere.
const CLOSE_LOST: u32 = Cause::COUNT as u32;

/// A record was dropped, for the `times`th time on this CPU. Where an order or
/// the budget wanted that, it is nothing to tell.
#[inline(always)]
pub fn dropped(cause: Cause, times: u64) {
    let is_wanted = matches!(
        cause,
        Cause::Stopped | Cause::HeadersOnly | Cause::CpuBudget
    );
    if is_due(times) && !is_wanted {
        twintap_log(cause as u32, times);
    }
}

/// The end of a flow was lost, for the `times`th time on this CPU.
#[inline(always)]
pub fn close_lost(times: u64) {
    if is_due(times) {
        twintap_log(CLOSE_LOST, times);
    }
}

#[inline(always)]
const fn is_due(times: u64) -> bool {
    times == 1 || times & (TIMES_PER_LINE - 1) == 0
}

/// Writes the line. Not inlined and with C's calling convention, so that the verifier takes it once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn twintap_log(what: u32, times: u64) -> u32 {
    match what {
        RING_FULL => warn!((), "a ring has no room, {} times on this CPU", times),
        COPY_FAILED => warn!((), "a packet cannot be read, {} times on this CPU", times),
        FLOW_TABLE => warn!((), "the flow table is full, {} times on this CPU", times),
        CLOSE_LOST => warn!((), "the end of a flow is lost, {} times on this CPU", times),
        _ => {}
    }
    0
}
