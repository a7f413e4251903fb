//! Puts what a packet carries into a ring, or counts why not.

use core::arch::asm;

use aya_ebpf::{
    bindings::{__sk_buff, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_ktime_get_boot_ns, bpf_loop, bpf_skb_load_bytes},
    maps::RingBuf,
    programs::SkBuffContext,
};
use twintap_abi::{
    Cause, CloseRecord, Config, FlowState, MAX_RECORD_PAYLOAD, Order, RecordHeader, RecordKind,
    Role, StreamState, client_share, tcp_flags,
};

use crate::{
    admit::streams_mut,
    maps::{self, LATE_CLOSES, ORDERS},
    packet::Segment,
    programs::Outcome,
};

const HEADERS_ONLY: u8 = Order::HeadersOnly as u8;

const HEADER_BYTES: usize = size_of::<RecordHeader>();

/// Records up to this size are small: so many of them between two questions whether the reader has to
/// be woken fill a fraction of the smallest ring.
const SMALL_RECORD_BYTES: usize = HEADER_BYTES + 2048;
/// A power of two.
const SMALL_RECORDS_PER_QUESTION: u64 = 16;

/// Create the entry or replace it (`BPF_ANY`).
const ANY: u64 = 0;

/// Records a segment: moves the flow on, then copies the payload.
#[inline(always)]
pub fn segment(
    ctx: &SkBuffContext,
    config: &Config,
    segment: &mut Segment,
    flow: &mut FlowState,
) -> Outcome {
    maps::count_seen(segment.payload_bytes);
    let (stream, _) = streams_mut(flow, segment.direction());
    segment.offset = advance(stream, segment);
    segment.flow = flow.id;
    segment.cgroup_id = flow.cgroup_id;
    segment.role = flow.role;

    if config.shed_shares | config.ordered_flows != 0 {
        let payload_bytes = segment.payload_bytes;
        let left = twintap_withhold(segment);
        if left != wanted::ALL {
            maps::add(&raw mut flow.dropped_bytes, u64::from(payload_bytes));
        }
        if left == wanted::NOTHING {
            return Outcome::Unwanted;
        }
    }
    let dropped = twintap_write(ctx.skb.skb, segment);
    if dropped != 0 {
        maps::add(&raw mut flow.dropped_bytes, u64::from(dropped));
    }
    Outcome::Recorded
}

/// Drops and counts the payload where the CPU budget or an order says so; tells what is wanted of
/// the segment.
///
/// Not inlined and with C's calling convention, so that what it needs of the stack, of which there
/// are 512 bytes over all calls, is not there while payload is written.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn twintap_withhold(segment: *mut Segment) -> u32 {
    let Some(config) = maps::config() else {
        return wanted::ALL;
    };
    // SAFETY: the caller passes its own segment; the verifier wants the test for null.
    let Some(segment) = (unsafe { segment.as_mut() }) else {
        return wanted::ALL;
    };
    let (cause, left) = if is_shed(config, segment) {
        (Cause::CpuBudget, wanted::NOTHING)
    } else {
        match order(config, segment) {
            0 => return wanted::ALL,
            HEADERS_ONLY => (Cause::HeadersOnly, wanted::HEADERS),
            _ => (Cause::Stopped, wanted::NOTHING),
        }
    };
    maps::count_dropped(cause, segment.payload_bytes);
    segment.withheld_bytes = segment.payload_bytes;
    segment.payload_bytes = 0;
    left
}

/// What [`twintap_withhold`] answers.
mod wanted {
    pub const ALL: u32 = 0;
    pub const HEADERS: u32 = 1;
    pub const NOTHING: u32 = 2;
}

/// Whether the segment's client is among those that the CPU budget has no room for.
#[inline(always)]
fn is_shed(config: &Config, segment: &Segment) -> bool {
    if config.shed_shares == 0 {
        return false;
    }
    let client = if segment.role == Role::Server as u8 {
        &segment.key.remote_address
    } else {
        &segment.key.local_address
    };
    client_share(client) < config.shed_shares
}

/// The order for the segment's flow; 0 for none.
#[inline(always)]
fn order(config: &Config, segment: &Segment) -> u8 {
    if config.ordered_flows == 0 {
        return 0;
    }
    // SAFETY: the value is copied at once.
    unsafe { ORDERS.get(segment.flow) }.copied().unwrap_or(0)
}

/// The offset of the segment, and what the stream remembers of it.
#[inline(always)]
fn advance(stream: &mut StreamState, segment: &Segment) -> u64 {
    if stream.known == 0 {
        *stream = if segment.is_syn() {
            StreamState::from_begin(segment.sequence)
        } else {
            StreamState::from_middle(segment.sequence)
        };
    }
    let offset = stream.offset(segment.sequence);
    let end = offset.wrapping_add(u64::from(segment.payload_bytes));
    if end > stream.high {
        stream.high = end;
    }
    if segment.flags & tcp_flags::FIN != 0 {
        stream.fin_offset_plus_one = end.wrapping_add(1);
    }
    offset
}

/// A segment that is being written, record by record.
struct Split<'a> {
    skb: *mut __sk_buff,
    segment: &'a Segment,
    ring: &'static RingBuf,
    boottime_ns: u64,
    wake_bytes: u32,
    /// Payload bytes that were dealt with.
    done: u32,
    /// Of those, dropped.
    dropped: u32,
}

/// Writes the payload into records; gives the number of bytes that were dropped.
///
/// Not inlined and with C's calling convention, so that the verifier takes it once, whichever way
/// the flow was found.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn twintap_write(skb: *mut __sk_buff, segment: *mut Segment) -> u32 {
    let Some(config) = maps::config() else {
        return 0;
    };
    // SAFETY: the caller passes its own segment; the verifier wants the test for null.
    let Some(segment) = (unsafe { segment.as_ref() }) else {
        return 0;
    };
    let mut split = Split {
        skb,
        segment,
        ring: maps::ring(config),
        // SAFETY: a helper without arguments.
        boottime_ns: unsafe { bpf_ktime_get_boot_ns() },
        wake_bytes: config.wake_bytes,
        done: 0,
        dropped: 0,
    };
    if segment.payload_bytes <= MAX_RECORD_PAYLOAD as u32 {
        step(&mut split);
    } else {
        let records = segment.payload_bytes.div_ceil(MAX_RECORD_PAYLOAD as u32);
        // SAFETY: the callback has the signature that the helper calls, and takes a `Split`.
        unsafe {
            bpf_loop(
                records,
                next_record as *mut core::ffi::c_void,
                (&raw mut split).cast(),
                0,
            );
        }
    }
    split.dropped
}

/// `bpf_loop` calls this once for each record of a large segment; 1 would end the loop.
extern "C" fn next_record(_index: u64, split: *mut Split<'_>) -> i64 {
    // SAFETY: the helper hands back the pointer that it was given.
    step(unsafe { &mut *split });
    0
}

/// Writes the next record of a segment.
#[inline(always)]
fn step(split: &mut Split<'_>) {
    let left = split.segment.payload_bytes.wrapping_sub(split.done);
    let payload = left.min(MAX_RECORD_PAYLOAD as u32);
    if let Err(cause) = put_in_class(split, payload) {
        maps::count_dropped(cause, payload);
        split.dropped += payload;
    }
    split.done += payload;
}

/// The header of the next record.
#[inline(always)]
fn header(split: &Split<'_>, payload: u32) -> RecordHeader {
    let segment = split.segment;
    let mut hidden = 0;
    if split.done.wrapping_add(payload) != segment.payload_bytes {
        hidden |= tcp_flags::FIN | tcp_flags::RST;
    }
    if split.done != 0 {
        hidden |= tcp_flags::SYN;
    }
    RecordHeader {
        boottime_ns: split.boottime_ns,
        flow: segment.flow,
        offset: segment.offset.wrapping_add(u64::from(split.done)),
        netns_cookie: segment.key.netns_cookie,
        cgroup_id: segment.cgroup_id,
        local_address: segment.key.local_address,
        remote_address: segment.key.remote_address,
        local_port: segment.key.local_port,
        remote_port: segment.key.remote_port,
        sequence_number: segment.sequence.wrapping_add(split.done),
        acknowledgement: segment.acknowledgement,
        payload_bytes: payload,
        tcp_flags: segment.flags & !hidden,
        kind: RecordKind::Segment as u8,
        role: segment.role,
        direction: segment.direction,
        withheld_bytes: segment.withheld_bytes,
    }
}

/// Reserves the smallest class that holds the payload: the verifier wants constant sizes.
#[inline(always)]
fn put_in_class(split: &Split<'_>, payload: u32) -> Result<(), Cause> {
    macro_rules! classes {
        ($($class:literal),+) => {
            $(if payload <= $class { return put::<$class>(split, payload); })+
        };
    }
    if payload == 0 {
        return put_empty(split);
    }
    classes!(
        128, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
        65536
    );
    // `step` never asks for more than the largest class.
    Err(Cause::CopyFailed)
}

#[inline(always)]
fn put<const CLASS: usize>(split: &Split<'_>, payload: u32) -> Result<(), Cause> {
    let Some(bytes) = bounded::<CLASS>(payload) else {
        return Err(Cause::CopyFailed);
    };
    let Some(mut entry) = split.ring.reserve_bytes(HEADER_BYTES + CLASS, 0) else {
        return Err(Cause::RingFull);
    };
    let start = entry.as_mut_ptr();
    // SAFETY: the entry holds a header and CLASS bytes, and `bytes` is at most CLASS.
    let copied = unsafe {
        start.cast::<RecordHeader>().write(header(split, payload));
        bpf_skb_load_bytes(
            split.skb.cast(),
            split.segment.payload_at + split.done,
            start.add(HEADER_BYTES).cast(),
            bytes,
        )
    };
    if copied != 0 {
        entry.discard(u64::from(BPF_RB_NO_WAKEUP));
        return Err(Cause::CopyFailed);
    }
    // Before it is submitted, which nothing can prevent any more.
    let before = maps::count_submitted(payload);
    entry.submit(wake_flag(split, before, HEADER_BYTES + CLASS));
    Ok(())
}

/// A record of a segment without payload.
#[inline(always)]
fn put_empty(split: &Split<'_>) -> Result<(), Cause> {
    let Some(mut entry) = split.ring.reserve_bytes(HEADER_BYTES, 0) else {
        return Err(Cause::RingFull);
    };
    // SAFETY: the entry holds a header.
    unsafe {
        entry
            .as_mut_ptr()
            .cast::<RecordHeader>()
            .write(header(split, 0))
    };
    let before = maps::count_submitted(0);
    entry.submit(wake_flag(split, before, HEADER_BYTES));
    Ok(())
}

/// `payload` in a register of which the verifier knows that it lies in `1..=MAX`. The compiler knows
/// so already, and would leave out the comparison or make it with another register.
#[inline(always)]
fn bounded<const MAX: usize>(payload: u32) -> Option<u32> {
    let mut less_one = u64::from(payload).wrapping_sub(1);
    // SAFETY: no instruction, only a register that the compiler no longer reasons about.
    unsafe { asm!("/* {0} */", inout(reg) less_one, options(nomem, nostack)) };
    (less_one < MAX as u64).then_some(less_one as u32 + 1)
}

/// Whether to wake the reader, asked for large records each time and for small ones, for which the
/// question would be dear, every so often.
#[inline(always)]
fn wake_flag(split: &Split<'_>, records_before: u64, record_bytes: usize) -> u64 {
    if record_bytes > SMALL_RECORD_BYTES {
        return wake_at(split.ring, split.wake_bytes, record_bytes);
    }
    if records_before & (SMALL_RECORDS_PER_QUESTION - 1) != 0 {
        return u64::from(BPF_RB_NO_WAKEUP);
    }
    let since = SMALL_RECORD_BYTES * SMALL_RECORDS_PER_QUESTION as usize;
    wake_at(split.ring, split.wake_bytes, since)
}

/// Wakes the reader when the ring fills past the threshold within the last `since` bytes; below it
/// the reader's own timer comes in time, and above it the reader is awake.
#[inline(always)]
fn wake_at(ring: &RingBuf, wake_bytes: u32, since: usize) -> u64 {
    let waiting = ring.query(u64::from(BPF_RB_AVAIL_DATA));
    let wake_bytes = u64::from(wake_bytes);
    if waiting >= wake_bytes && waiting < wake_bytes + since as u64 {
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        u64::from(BPF_RB_NO_WAKEUP)
    }
}

/// Records the end of a flow. Where the ring has no room the record waits in a table.
#[inline(always)]
pub fn close(config: &Config, record: &CloseRecord) {
    let ring = maps::ring(config);
    if let Some(mut entry) = ring.reserve_bytes(size_of::<CloseRecord>(), 0) {
        // SAFETY: the entry has the size of the record.
        unsafe { entry.as_mut_ptr().cast::<CloseRecord>().write(*record) };
        entry.submit(wake_at(ring, config.wake_bytes, size_of::<CloseRecord>()));
        maps::count(|ledger| &raw mut ledger.submitted.records, 1);
    } else if LATE_CLOSES.insert(record.header.flow, record, ANY).is_ok() {
        maps::count(|ledger| &raw mut ledger.closes_deferred, 1);
    } else {
        maps::count_lost_close();
    }
}
