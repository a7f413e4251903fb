//! The maps that the programs share with user space.

use core::arch::asm;

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
};
use twintap_abi::{Cause, CloseRecord, Config, Endpoint, FlowKey, FlowState, Ledger};

use crate::rare;

/// Sizes are set when the programs are loaded.
const RING_BYTES: u32 = 4096;

#[map]
static CONFIG: Array<Config> = Array::with_max_entries(1, 0);
#[map]
static LEDGER: PerCpuArray<Ledger> = PerCpuArray::with_max_entries(1, 0);
/// When user space last said that it is there, nanoseconds of the monotonic clock.
#[map]
static HEARTBEAT: Array<u64> = Array::with_max_entries(1, 0);
#[map]
static FLOW_IDS: Array<u64> = Array::with_max_entries(1, 0);
/// Flows that carried payload or were established.
#[map]
pub static FLOWS: LruHashMap<FlowKey, FlowState> = LruHashMap::with_max_entries(65_536, 0);
/// Connections of which only the SYNs were seen: kept apart so that a flood of them evicts no flow.
#[map]
pub static HANDSHAKES: LruHashMap<FlowKey, FlowState> = LruHashMap::with_max_entries(16_384, 0);
/// Roles of sockets that lived before the programs, from user space.
#[map]
pub static ROLES: LruHashMap<FlowKey, u8> = LruHashMap::with_max_entries(65_536, 0);
/// Orders for flows ([`twintap_abi::Order`]), by their ids.
#[map]
pub static ORDERS: LruHashMap<u64, u8> = LruHashMap::with_max_entries(65_536, 0);
/// Server ports that are captured, when [`twintap_abi::FILTER_PORTS`] is set.
#[map]
pub static PORTS: HashMap<u16, u8> = HashMap::with_max_entries(1024, 0);
/// Cgroup ids that are captured, when [`twintap_abi::FILTER_CGROUPS`] is set.
#[map]
pub static CGROUPS: HashMap<u64, u8> = HashMap::with_max_entries(16_384, 0);
/// Peers that are captured, when [`twintap_abi::FILTER_PREFIXES`] is set.
#[map]
pub static PREFIXES: LpmTrie<[u8; 16], u8> = LpmTrie::with_max_entries(4096, 0);
/// Endpoints that are never captured.
#[map]
pub static EXCLUDED: HashMap<Endpoint, u8> = HashMap::with_max_entries(256, 0);
/// Close records that found no room in a ring, by flow id; user space collects them.
#[map]
pub static LATE_CLOSES: HashMap<u64, CloseRecord> = HashMap::with_max_entries(16_384, 0);

#[map]
static RING_0: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
static RING_1: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
static RING_2: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
static RING_3: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
static RING_4: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
static RING_5: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
static RING_6: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
static RING_7: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// The configuration as it stands.
#[inline(always)]
pub fn config() -> Option<&'static Config> {
    CONFIG.get(0)
}

/// Whether user space is there: what nobody would drain is not worth a copy, and a program whose
/// link outlived its agent captures nothing.
#[inline(always)]
pub fn is_attended(config: &Config) -> bool {
    let Some(beat_ns) = HEARTBEAT.get(0) else {
        return false;
    };
    // SAFETY: a helper without arguments.
    let now_ns = unsafe { aya_ebpf::helpers::bpf_ktime_get_coarse_ns() };
    now_ns.saturating_sub(*beat_ns) < config.heartbeat_limit_ns
}

/// The ring of the CPU that runs the program.
#[inline(always)]
pub fn ring(config: &Config) -> &'static RingBuf {
    // SAFETY: a helper without arguments.
    let cpu = unsafe { aya_ebpf::helpers::bpf_get_smp_processor_id() };
    match cpu & config.ring_mask {
        0 => &RING_0,
        1 => &RING_1,
        2 => &RING_2,
        3 => &RING_3,
        4 => &RING_4,
        5 => &RING_5,
        6 => &RING_6,
        _ => &RING_7,
    }
}

/// A flow id that was never given before.
#[inline(always)]
pub fn next_flow_id() -> u64 {
    let Some(next) = FLOW_IDS.get_ptr_mut(0) else {
        return 0;
    };
    add_one(next)
}

/// Adds one atomically and gives the sum.
#[inline(always)]
fn add_one(target: *mut u64) -> u64 {
    let mut before: u64 = 1;
    // SAFETY: callers pass pointers into map values, which are aligned and live; see `add` for the
    // instruction.
    unsafe {
        asm!("{0} = atomic_fetch_add((u64 *)({1} + 0), {0})", inout(reg) before, in(reg) target);
    }
    before.wrapping_add(1)
}

/// Adds to one count of this CPU's ledger.
#[inline(always)]
pub fn count(field: impl Fn(&mut Ledger) -> *mut u64, amount: u64) {
    if let Some(ledger) = LEDGER.get_ptr_mut(0) {
        // SAFETY: a pointer into a map's value.
        add(field(unsafe { &mut *ledger }), amount);
    }
}

/// Counts one segment as seen.
#[inline(always)]
pub fn count_seen(bytes: u32) {
    if let Some(ledger) = LEDGER.get_ptr_mut(0) {
        // SAFETY: a pointer into a map's value.
        unsafe {
            add(&raw mut (*ledger).seen.bytes, u64::from(bytes));
            add(&raw mut (*ledger).seen.records, 1);
        }
    }
}

/// Counts one record as submitted to a ring; gives how many there were on this CPU before.
#[inline(always)]
pub fn count_submitted(bytes: u32) -> u64 {
    let Some(ledger) = LEDGER.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: a pointer into a map's value.
    unsafe {
        let count = &raw mut (*ledger).submitted;
        add(&raw mut (*count).bytes, u64::from(bytes));
        add_one(&raw mut (*count).records).wrapping_sub(1)
    }
}

/// Counts one record's payload as dropped, which may be worth a line in the log.
#[inline(always)]
pub fn count_dropped(cause: Cause, bytes: u32) {
    let Some(ledger) = LEDGER.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a pointer into a map's value.
    let times = unsafe {
        let count = &raw mut (*ledger).dropped[cause as usize];
        add(&raw mut (*count).bytes, u64::from(bytes));
        add_one(&raw mut (*count).records)
    };
    rare::dropped(cause, times);
}

/// Counts the end of a flow for which there was no room at all.
#[inline(always)]
pub fn count_lost_close() {
    if let Some(ledger) = LEDGER.get_ptr_mut(0) {
        // SAFETY: a pointer into a map's value.
        rare::close_lost(add_one(unsafe { &raw mut (*ledger).closes_lost }));
    }
}

/// Adds atomically: a program on the way out may be interrupted by one on the way in, on the same
/// CPU, and the ledgers are exact.
///
/// As an instruction, since `core` has no atomic arithmetic for a target without compare-and-swap.
#[inline(always)]
pub fn add(target: *mut u64, amount: u64) {
    // SAFETY: callers pass pointers into map values, which are aligned and live.
    unsafe { asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) target, in(reg) amount) };
}
