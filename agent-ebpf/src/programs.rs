//! The entry points and the table of what becomes of a packet.

use core::mem::MaybeUninit;

use aya_ebpf::{
    macros::{cgroup_skb, sock_ops},
    programs::{SkBuffContext, SockOpsContext},
};
use twintap_abi::Direction;

use crate::{admit::admit, emit, maps, packet::Segment, sockets};

/// Lets a packet through: the one answer that these programs give.
const PASS: i32 = 1;

/// What `sock_ops` answers when it wants nothing.
const NO_REPLY: u32 = 0;

/// Packets towards the sockets of a cgroup.
#[cgroup_skb(ingress)]
pub fn twintap_ingress(ctx: SkBuffContext) -> i32 {
    decide(&handle(&ctx, Direction::Ingress))
}

/// Packets from the sockets of a cgroup.
#[cgroup_skb(egress)]
pub fn twintap_egress(ctx: SkBuffContext) -> i32 {
    decide(&handle(&ctx, Direction::Egress))
}

/// Roles and ends of the sockets of a cgroup.
#[sock_ops]
pub fn twintap_sockets(ctx: SockOpsContext) -> u32 {
    sockets::handle(&ctx);
    NO_REPLY
}

/// What became of a packet.
pub enum Outcome {
    /// Its bytes are in a ring, or counted as dropped.
    Recorded,
    /// An order stopped its flow, or its client is shed; counted as dropped.
    Unwanted,
    /// Nothing is captured at all.
    Idle,
    /// User space gives no sign of life.
    Inert,
    /// Not TCP.
    NotTcp,
    /// A TCP segment without payload that neither opens nor ends a stream.
    Empty,
    /// Headers that could not be read.
    Malformed,
    /// A fragment: sockets see whole packets, so that this is not one.
    Fragment,
    /// No filter names its flow, or the flow's role is not wanted.
    NotNamed,
    /// Neither payload nor the begin of a connection, in a flow that nobody knows.
    NoFlow,
    /// Nothing tells who opened the connection.
    RoleUnknown,
    /// Its flow found no place in the table; counted as dropped.
    TableFull,
}

/// The verdict table: each outcome is counted where it should be, and every packet passes.
#[inline(always)]
fn decide(outcome: &Outcome) -> i32 {
    match outcome {
        Outcome::Recorded
        | Outcome::Unwanted
        | Outcome::Idle
        | Outcome::NotTcp
        | Outcome::Empty
        | Outcome::NotNamed
        | Outcome::NoFlow
        | Outcome::TableFull => PASS,
        Outcome::Inert => counted(|ledger| &raw mut ledger.inert_packets),
        Outcome::Malformed => counted(|ledger| &raw mut ledger.malformed),
        Outcome::Fragment => counted(|ledger| &raw mut ledger.fragments),
        Outcome::RoleUnknown => counted(|ledger| &raw mut ledger.roles_unknown),
    }
}

#[inline(always)]
fn counted(field: impl Fn(&mut twintap_abi::Ledger) -> *mut u64) -> i32 {
    maps::count(field, 1);
    PASS
}

#[inline(always)]
fn handle(ctx: &SkBuffContext, direction: Direction) -> Outcome {
    let Some(config) = maps::config() else {
        return Outcome::Idle;
    };
    if config.roles == 0 || config.paused != 0 {
        return Outcome::Idle;
    }
    if !maps::is_attended(config) {
        return Outcome::Inert;
    }
    // Not set to zero first: that would be a loop over its bytes.
    let mut segment = MaybeUninit::uninit();
    if let Err(outcome) = Segment::parse(&mut segment, ctx, direction) {
        return outcome;
    }
    // SAFETY: `parse` wrote it.
    let segment = unsafe { segment.assume_init_mut() };
    match admit(ctx, config, segment) {
        // SAFETY: a pointer into a map's value, which the kernel keeps while the program runs.
        Ok(flow) => emit::segment(ctx, config, segment, unsafe { &mut *flow }),
        Err(outcome) => outcome,
    }
}
