//! `sock_ops`: who opened a connection, where its streams begin, and where they end.

use core::{arch::asm, mem::offset_of};

use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB,
        BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG, BPF_TCP_CLOSE, bpf_sock_ops,
    },
    helpers::{bpf_get_netns_cookie, bpf_ktime_get_boot_ns},
    programs::SockOpsContext,
};
use twintap_abi::{
    CloseRecord, Config, FlowKey, FlowState, RecordHeader, RecordKind, Role, Roles, StreamState,
};

use crate::{
    emit,
    maps::{self, FLOWS, HANDSHAKES, ORDERS, ROLES},
    packet::mapped,
};

/// Reads 32 bits of the context at a constant offset: the verifier refuses computed pointers into
/// the context, which the compiler likes to make of neighbouring fields.
macro_rules! field {
    ($ops:expr, $field:ident) => {
        field!($ops, $field, 0)
    };
    ($ops:expr, $field:ident, $word:literal) => {{
        let value: u64;
        // SAFETY: the field lies in the context and has at least this many words.
        unsafe {
            asm!(
                "{0} = *(u32 *)({1} + {2})",
                out(reg) value,
                in(reg) $ops,
                const offset_of!(bpf_sock_ops, $field) + 4 * $word,
            );
        }
        value as u32
    }};
}

/// Reads an IPv6 address of the context.
macro_rules! address {
    ($ops:expr, $field:ident) => {{
        let words = [
            field!($ops, $field, 0),
            field!($ops, $field, 1),
            field!($ops, $field, 2),
            field!($ops, $field, 3),
        ];
        // SAFETY: both types are 16 bytes of integers.
        unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) }
    }};
}

const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

/// Create the entry or replace it (`BPF_ANY`).
const ANY: u64 = 0;

/// Handles one event of one socket.
#[inline(always)]
pub fn handle(ctx: &SockOpsContext) {
    let Some(config) = maps::config() else {
        return;
    };
    if config.roles == 0 {
        return;
    }
    let op = ctx.op();
    // In a pause, and while nobody listens, flows end all the same, and their ids with them:
    // what there is no room for is counted.
    let captures_nothing = config.paused != 0 || !maps::is_attended(config);
    if captures_nothing && op != BPF_SOCK_OPS_STATE_CB {
        return;
    }
    match op {
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => established(ctx, config, Role::Server),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => established(ctx, config, Role::Client),
        BPF_SOCK_OPS_STATE_CB if ctx.arg(1) == BPF_TCP_CLOSE => closed(ctx, config),
        _ => {}
    }
}

#[inline(always)]
fn established(ctx: &SockOpsContext, config: &Config, role: Role) {
    if !Roles(config.roles).contains(role) {
        return;
    }
    let Some(key) = flow_key(ctx.ops) else {
        return;
    };
    let flags = ctx.cb_flags() | BPF_SOCK_OPS_STATE_CB_FLAG;
    let _ = ctx.set_cb_flags(flags as i32);

    // No byte has moved yet but what came with the SYN, which the handshake knows already.
    let (received, sent) = (field!(ctx.ops, rcv_nxt), field!(ctx.ops, snd_nxt));
    if let Some(flow) = FLOWS.get_ptr_mut(key) {
        // SAFETY: a pointer into a map's value.
        let state = unsafe { &mut *flow };
        begin_if_unknown(state, received, sent);
        return;
    }
    let mut state = match HANDSHAKES.get_ptr_mut(key) {
        // SAFETY: a pointer into a map's value.
        Some(handshake) => unsafe { *handshake },
        // Neither the cgroup nor the filters are known here: the first packet decides.
        None => FlowState {
            id: maps::next_flow_id(),
            cgroup_id: 0,
            dropped_bytes: 0,
            ingress: StreamState::default(),
            egress: StreamState::default(),
            generation: 0,
            role: role as u8,
            captured: 0,
            reserved: 0,
        },
    };
    begin_if_unknown(&mut state, received, sent);
    // A full table is counted by the first packet that finds no entry.
    if FLOWS.insert(key, state, ANY).is_ok() {
        let _ = HANDSHAKES.remove(key);
    }
}

#[inline(always)]
fn begin_if_unknown(state: &mut FlowState, received: u32, sent: u32) {
    if state.ingress.known == 0 {
        state.ingress = StreamState::from_begin(received);
    }
    if state.egress.known == 0 {
        state.egress = StreamState::from_begin(sent);
    }
}

#[inline(always)]
fn closed(ctx: &SockOpsContext, config: &Config) {
    let Some(key) = flow_key(ctx.ops) else {
        return;
    };
    let Some(flow) = FLOWS.get_ptr_mut(key) else {
        return;
    };
    // SAFETY: a pointer into a map's value.
    let flow = unsafe { &*flow };
    let (received, sent) = (field!(ctx.ops, rcv_nxt), field!(ctx.ops, snd_nxt));
    if flow.captured == 1 {
        let known = flow.ingress.known & flow.egress.known;
        let record = CloseRecord {
            header: RecordHeader {
                // SAFETY: a helper without arguments.
                boottime_ns: unsafe { bpf_ktime_get_boot_ns() },
                flow: flow.id,
                offset: 0,
                netns_cookie: key.netns_cookie,
                cgroup_id: flow.cgroup_id,
                local_address: key.local_address,
                remote_address: key.remote_address,
                local_port: key.local_port,
                remote_port: key.remote_port,
                sequence_number: 0,
                acknowledgement: 0,
                payload_bytes: 0,
                tcp_flags: 0,
                kind: RecordKind::Close as u8,
                role: flow.role,
                direction: 0,
                withheld_bytes: 0,
            },
            ingress_final_offset: final_offset(&flow.ingress, received),
            egress_final_offset: final_offset(&flow.egress, sent),
            dropped_bytes: flow.dropped_bytes,
            final_offsets_known: known,
            reserved: 0,
        };
        emit::close(config, &record);
        if config.ordered_flows != 0 {
            let _ = ORDERS.remove(flow.id);
        }
    }
    let _ = FLOWS.remove(key);
    let _ = ROLES.remove(key);
}

/// One past the last byte: a FIN takes a sequence number of its own (RFC 9293, 3.4).
#[inline(always)]
fn final_offset(stream: &StreamState, next: u32) -> u64 {
    if stream.known == 0 {
        return 0;
    }
    let offset = stream.offset(next);
    if stream.fin_offset_plus_one != 0 && offset >= stream.fin_offset_plus_one {
        stream.fin_offset_plus_one - 1
    } else {
        offset
    }
}

/// The flow of a socket.
#[inline(always)]
fn flow_key(ops: *mut bpf_sock_ops) -> Option<FlowKey> {
    let (local_address, remote_address) = match field!(ops, family) {
        AF_INET => (
            mapped(field!(ops, local_ip4).to_ne_bytes()),
            mapped(field!(ops, remote_ip4).to_ne_bytes()),
        ),
        AF_INET6 => (address!(ops, local_ip6), address!(ops, remote_ip6)),
        _ => return None,
    };
    Some(FlowKey {
        // SAFETY: the helper takes the context.
        netns_cookie: unsafe { bpf_get_netns_cookie(ops.cast()) },
        local_address,
        remote_address,
        local_port: field!(ops, local_port) as u16,
        // Network order, in the upper half on little-endian machines.
        remote_port: u32::from_be(field!(ops, remote_port)) as u16,
        reserved: 0,
    })
}
