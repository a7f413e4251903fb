//! Which flow a packet belongs to, and whether that flow is captured.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock, bpf_sock_tuple},
    helpers::{bpf_sk_cgroup_id, bpf_sk_fullsock, bpf_sk_lookup_tcp, bpf_sk_release},
    maps::lpm_trie::Key,
    programs::SkBuffContext,
};
use twintap_abi::{
    Cause, Config, Direction, Endpoint, FILTER_CGROUPS, FILTER_PORTS, FILTER_PREFIXES, FlowKey,
    FlowState, Role, Roles, StreamState, tcp_flags,
};

use crate::{
    maps::{self, CGROUPS, EXCLUDED, FLOWS, HANDSHAKES, PORTS, PREFIXES, ROLES},
    packet::Segment,
    programs::Outcome,
};

/// Socket states (`enum` in the kernel's `tcp_states.h`).
const STATE_SYN_SENT: u32 = 2;
const STATE_LISTEN: u32 = 10;

/// Create the entry or replace it (`BPF_ANY`).
const ANY: u64 = 0;

/// Where [`twintap_admit`] left the flow, or why there is none: it is verified on its own, and such
/// functions return integers alone.
mod answer {
    pub const FLOW: u32 = 0;
    pub const HANDSHAKE: u32 = 1;
    pub const NOT_NAMED: u32 = 2;
    pub const NO_FLOW: u32 = 3;
    pub const ROLE_UNKNOWN: u32 = 4;
    pub const TABLE_FULL: u32 = 5;
}

/// The entry of the segment's flow, when it is captured. The common case is one look into the table.
#[inline(always)]
pub fn admit(
    ctx: &SkBuffContext,
    config: &Config,
    segment: &mut Segment,
) -> Result<*mut FlowState, Outcome> {
    if !segment.is_syn()
        && let Some(flow) = FLOWS.get_ptr_mut(&segment.key)
    {
        // SAFETY: a pointer into a map's value.
        let state = unsafe { &*flow };
        if state.generation == config.generation {
            return if state.captured == 1 {
                Ok(flow)
            } else {
                Err(Outcome::NotNamed)
            };
        }
    }
    let entry = match twintap_admit(ctx.skb.skb, segment) {
        answer::FLOW => FLOWS.get_ptr_mut(&segment.key),
        answer::HANDSHAKE => HANDSHAKES.get_ptr_mut(&segment.key),
        answer::NOT_NAMED => return Err(Outcome::NotNamed),
        answer::NO_FLOW => return Err(Outcome::NoFlow),
        answer::ROLE_UNKNOWN => return Err(Outcome::RoleUnknown),
        _ => return Err(table_full(segment)),
    };
    // An entry may be evicted at any time.
    entry.ok_or_else(|| table_full(segment))
}

/// Decides about a segment that begins a flow, or whose flow is new or has to be decided anew.
///
/// Not inlined and with C's calling convention, so that the verifier takes it once, whatever the
/// packet's headers looked like.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn twintap_admit(skb: *mut __sk_buff, segment: *mut Segment) -> u32 {
    let Some(config) = maps::config() else {
        return answer::NO_FLOW;
    };
    // SAFETY: the caller passes its own segment; the verifier wants the test for null.
    let Some(segment) = (unsafe { segment.as_ref() }) else {
        return answer::NO_FLOW;
    };
    let ctx = SkBuffContext::new(skb);
    let socket = Socket::of(&ctx);
    if segment.is_syn() {
        return admit_syn(config, segment, &socket);
    }
    match FLOWS.get_ptr_mut(&segment.key) {
        // SAFETY: a pointer into a map's value.
        Some(flow) => decide_anew(config, segment, &socket, unsafe { &mut *flow }),
        None => admit_new(&ctx, config, segment, &socket),
    }
}

#[inline(always)]
fn decide_anew(config: &Config, segment: &Segment, socket: &Socket, state: &mut FlowState) -> u32 {
    let was_captured = state.captured;
    state.cgroup_id = socket.cgroup_id;
    state.captured = u8::from(
        Role::from_u8(state.role)
            .is_some_and(|role| is_named(config, &segment.key, role, socket.cgroup_id)),
    );
    state.generation = config.generation;
    if state.captured == 0 {
        return answer::NOT_NAMED;
    }
    if was_captured == 0 {
        maps::count(|ledger| &raw mut ledger.flows, 1);
    }
    answer::FLOW
}

/// A SYN begins a flow, unless it repeats the one that began it.
#[inline(always)]
fn admit_syn(config: &Config, segment: &Segment, socket: &Socket) -> u32 {
    let key = &segment.key;
    let direction = segment.direction();
    if let Some(flow) = FLOWS.get_ptr_mut(key) {
        // SAFETY: a pointer into a map's value.
        let state = unsafe { &mut *flow };
        let (stream, _) = streams_mut(state, direction);
        if stream.known == 1 && stream.base_sequence == segment.sequence {
            return decide_anew(config, segment, socket, state);
        }
    }
    let answers = segment.flags & tcp_flags::ACK != 0;
    let role = match (direction, answers) {
        (Direction::Ingress, false) if socket.state == STATE_LISTEN => Role::Server,
        (Direction::Ingress, _) if socket.state == STATE_SYN_SENT => Role::Client,
        (Direction::Egress, false) => Role::Client,
        (Direction::Egress, true) => Role::Server,
        // A stray SYN at a live connection begins nothing (RFC 5961, 4).
        (Direction::Ingress, _) => return answer::NO_FLOW,
    };
    if !is_named(config, key, role, socket.cgroup_id) {
        return answer::NOT_NAMED;
    }
    let own = StreamState::from_begin(segment.sequence);
    let other = if answers {
        StreamState::from_begin(segment.acknowledgement)
    } else {
        StreamState::default()
    };
    if let Some(handshake) = HANDSHAKES.get_ptr_mut(key) {
        // SAFETY: a pointer into a map's value.
        let state = unsafe { &mut *handshake };
        let (mine, theirs) = streams_mut(state, direction);
        let repeats = mine.known == 0 || mine.base_sequence == own.base_sequence;
        let fits = theirs.known == 0 || !answers || theirs.base_sequence == other.base_sequence;
        if repeats && fits {
            *mine = own;
            if answers {
                *theirs = other;
            }
            return answer::HANDSHAKE;
        }
    }
    // What an earlier connection between the same endpoints left behind is over.
    let _ = FLOWS.remove(key);
    let (ingress, egress) = match direction {
        Direction::Ingress => (own, other),
        Direction::Egress => (other, own),
    };
    let begun = FlowState {
        ingress,
        egress,
        ..new_flow(config, socket, role, true)
    };
    if HANDSHAKES.insert(key, begun, ANY).is_err() {
        return answer::TABLE_FULL;
    }
    maps::count(|ledger| &raw mut ledger.flows, 1);
    answer::HANDSHAKE
}

/// The first segment after a handshake, or one in the middle of a flow.
#[inline(always)]
fn admit_new(ctx: &SkBuffContext, config: &Config, segment: &Segment, socket: &Socket) -> u32 {
    let key = &segment.key;
    if let Some(handshake) = HANDSHAKES.get_ptr_mut(key) {
        if segment.payload_bytes == 0 {
            // A refusal, or an end without a word: no flow comes of it.
            return answer::HANDSHAKE;
        }
        // SAFETY: a pointer into a map's value, which is copied.
        if FLOWS.insert(key, unsafe { *handshake }, ANY).is_err() {
            return answer::TABLE_FULL;
        }
        let _ = HANDSHAKES.remove(key);
        return answer::FLOW;
    }
    if segment.payload_bytes == 0 {
        return answer::NO_FLOW;
    }
    let Some(role) = find_role(ctx, segment, socket) else {
        return answer::ROLE_UNKNOWN;
    };
    let captured = is_named(config, key, role, socket.cgroup_id);
    let inserted = FLOWS.insert(key, new_flow(config, socket, role, captured), ANY);
    match (captured, inserted) {
        (false, _) => answer::NOT_NAMED,
        (true, Err(_)) => answer::TABLE_FULL,
        (true, Ok(())) => {
            maps::count(|ledger| &raw mut ledger.flows, 1);
            answer::FLOW
        }
    }
}

#[inline(always)]
fn new_flow(config: &Config, socket: &Socket, role: Role, captured: bool) -> FlowState {
    FlowState {
        id: maps::next_flow_id(),
        cgroup_id: socket.cgroup_id,
        dropped_bytes: 0,
        ingress: StreamState::default(),
        egress: StreamState::default(),
        generation: config.generation,
        role: role as u8,
        captured: u8::from(captured),
        reserved: 0,
    }
}

#[inline(always)]
fn table_full(segment: &Segment) -> Outcome {
    maps::count_seen(segment.payload_bytes);
    maps::count_dropped(Cause::FlowTable, segment.payload_bytes);
    Outcome::TableFull
}

/// Whether the filters name a flow.
#[inline(always)]
pub fn is_named(config: &Config, key: &FlowKey, role: Role, cgroup_id: u64) -> bool {
    if !Roles(config.roles).contains(role) {
        return false;
    }
    if config.excluded_cgroup != 0 && config.excluded_cgroup == cgroup_id {
        return false;
    }
    let server_port = match role {
        Role::Server => key.local_port,
        Role::Client => key.remote_port,
    };
    // SAFETY: values are only tested for presence.
    unsafe {
        if config.filters & FILTER_PORTS != 0 && PORTS.get(server_port).is_none() {
            return false;
        }
        if config.filters & FILTER_CGROUPS != 0 && CGROUPS.get(cgroup_id).is_none() {
            return false;
        }
        if config.filters & FILTER_PREFIXES != 0
            && PREFIXES.get(Key::new(128, key.remote_address)).is_none()
        {
            return false;
        }
        !(is_excluded(key.local_address, key.local_port)
            || is_excluded([0; 16], key.local_port)
            || is_excluded(key.remote_address, key.remote_port))
    }
}

#[inline(always)]
unsafe fn is_excluded(address: [u8; 16], port: u16) -> bool {
    let endpoint = Endpoint {
        address,
        port,
        reserved: 0,
    };
    // SAFETY: the value is only tested for presence.
    unsafe { EXCLUDED.get(endpoint) }.is_some()
}

/// What the packet's socket says of itself.
struct Socket {
    state: u32,
    cgroup_id: u64,
}

impl Socket {
    #[inline(always)]
    fn of(ctx: &SkBuffContext) -> Self {
        const NONE: Socket = Socket {
            state: 0,
            cgroup_id: 0,
        };
        // SAFETY: the context's socket may be null, which is tested before use; the helpers take
        // what the one before gave.
        unsafe {
            let socket: *mut bpf_sock = (*ctx.skb.skb).__bindgen_anon_2.sk;
            if socket.is_null() {
                return NONE;
            }
            let socket = bpf_sk_fullsock(socket);
            if socket.is_null() {
                return NONE;
            }
            Self {
                state: (*socket).state,
                cgroup_id: bpf_sk_cgroup_id(socket.cast()),
            }
        }
    }
}

/// Who opened a connection whose begin was not seen.
#[inline(always)]
fn find_role(ctx: &SkBuffContext, segment: &Segment, socket: &Socket) -> Option<Role> {
    // With TCP_DEFER_ACCEPT, or when the third acknowledgement was lost, the first request arrives
    // at the listener.
    if socket.state == STATE_LISTEN {
        return Some(Role::Server);
    }
    if socket.state == STATE_SYN_SENT && matches!(segment.direction(), Direction::Egress) {
        return Some(Role::Client);
    }
    // SAFETY: the value is copied at once.
    if let Some(role) = unsafe { ROLES.get(&segment.key) } {
        return Role::from_u8(*role);
    }
    // Somebody listens where this socket is bound: it was accepted there.
    if has_listener(ctx, &segment.key) {
        Some(Role::Server)
    } else {
        Some(Role::Client)
    }
}

/// Whether a socket listens at the flow's local address and port. The tuple's source is one that no
/// connection has, so that only a listener can match.
#[inline(always)]
fn has_listener(ctx: &SkBuffContext, key: &FlowKey) -> bool {
    const CURRENT_NETNS: u64 = u64::MAX;
    const IPV4_BYTES: u32 = 12;
    const IPV6_BYTES: u32 = 36;
    // SAFETY: all zero is a value of this union of integers; the socket is released.
    unsafe {
        let mut tuple: bpf_sock_tuple = core::mem::zeroed();
        let local = &key.local_address;
        let is_ipv4 = local[10] == 0xFF && local[11] == 0xFF && local[0] == 0 && local[1] == 0;
        let bytes = if is_ipv4 {
            let part = &mut tuple.__bindgen_anon_1.ipv4;
            part.daddr = u32::from_ne_bytes([local[12], local[13], local[14], local[15]]);
            part.dport = key.local_port.to_be();
            IPV4_BYTES
        } else {
            let part = &mut tuple.__bindgen_anon_1.ipv6;
            part.daddr = core::mem::transmute::<[u8; 16], [u32; 4]>(*local);
            part.dport = key.local_port.to_be();
            IPV6_BYTES
        };
        let found = bpf_sk_lookup_tcp(ctx.skb.skb.cast(), &mut tuple, bytes, CURRENT_NETNS, 0);
        if found.is_null() {
            return false;
        }
        let listens = (*found).state == STATE_LISTEN;
        bpf_sk_release(found.cast());
        listens
    }
}

/// The stream of `direction` and the other one.
#[inline(always)]
pub fn streams_mut(
    state: &mut FlowState,
    direction: Direction,
) -> (&mut StreamState, &mut StreamState) {
    match direction {
        Direction::Ingress => (&mut state.ingress, &mut state.egress),
        Direction::Egress => (&mut state.egress, &mut state.ingress),
    }
}
