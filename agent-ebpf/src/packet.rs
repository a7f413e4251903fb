//! Reads the headers of a packet. It begins at its IP header; lengths come from the socket buffer,
//! since the 16 bits of the IP header are too few for large segments.

use core::{arch::asm, mem::MaybeUninit};

use aya_ebpf::{helpers::bpf_get_netns_cookie, programs::SkBuffContext};
use twintap_abi::{Direction, FlowKey, tcp_flags};

use crate::programs::Outcome;

const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86DD;
const PROTOCOL_TCP: u8 = 6;
const TCP_HEADER_BYTES: u32 = 20;

/// IPv6 extension headers (IANA registry "IPv6 Extension Header Types").
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;
/// Real packets have one or two.
const MAX_EXTENSION_HEADERS: usize = 8;

/// A TCP segment, where its payload lies, and what was found out about its flow.
#[repr(C)]
pub struct Segment {
    pub key: FlowKey,
    /// The flow's id; 0 until it is known.
    pub flow: u64,
    pub cgroup_id: u64,
    /// The stream offset of the first payload byte.
    pub offset: u64,
    /// The sequence number of the first payload byte: SYN takes one itself (RFC 9293, 3.4).
    pub sequence: u32,
    pub acknowledgement: u32,
    pub payload_at: u32,
    pub payload_bytes: u32,
    pub flags: u8,
    pub direction: u8,
    pub role: u8,
    /// Always zero: what other functions are handed has no uninitialised bytes.
    pub reserved: u8,
    /// Payload bytes that an order keeps back.
    pub withheld_bytes: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct TcpHeader {
    source: u16,
    destination: u16,
    sequence: u32,
    acknowledgement: u32,
    data_offset: u8,
    flags: u8,
    window: u16,
    checksum: u16,
    urgent: u16,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv4Tcp {
    version_and_length: u8,
    service: u8,
    total_length: u16,
    identification: u16,
    fragment: u16,
    time_to_live: u8,
    protocol: u8,
    checksum: u16,
    source: [u8; 4],
    destination: [u8; 4],
    tcp: TcpHeader,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv6Tcp {
    version_class_flow: u32,
    payload_length: u16,
    next_header: u8,
    hop_limit: u8,
    source: [u8; 16],
    destination: [u8; 16],
    tcp: TcpHeader,
}

impl Segment {
    /// Reads the segment in `ctx`, unless there is nothing in it that would be recorded.
    ///
    /// Not inlined, so that the headers leave the stack, of which there are 512 bytes, afterwards.
    #[inline(never)]
    pub fn parse(
        segment: &mut MaybeUninit<Self>,
        ctx: &SkBuffContext,
        direction: Direction,
    ) -> Result<(), Outcome> {
        // SAFETY: a field of the context, which the verifier lets programs read.
        let protocol = unsafe { (*ctx.skb.skb).protocol } as u16;
        match u16::from_be(protocol) {
            ETH_P_IP => Self::parse_ipv4(segment, ctx, direction),
            ETH_P_IPV6 => Self::parse_ipv6(segment, ctx, direction),
            _ => Err(Outcome::NotTcp),
        }
    }

    #[inline(always)]
    fn parse_ipv4(
        segment: &mut MaybeUninit<Self>,
        ctx: &SkBuffContext,
        direction: Direction,
    ) -> Result<(), Outcome> {
        if let Some(head) = in_front::<Ipv4Tcp>(ctx) {
            return Self::take_ipv4(segment, ctx, direction, head);
        }
        // What is shorter than both headers is not TCP.
        let head: Ipv4Tcp = ctx.load(0).map_err(|_| Outcome::NotTcp)?;
        Self::take_ipv4(segment, ctx, direction, &head)
    }

    #[inline(always)]
    fn take_ipv4(
        segment: &mut MaybeUninit<Self>,
        ctx: &SkBuffContext,
        direction: Direction,
        head: &Ipv4Tcp,
    ) -> Result<(), Outcome> {
        if head.protocol != PROTOCOL_TCP {
            return Err(Outcome::NotTcp);
        }
        if u16::from_be(head.fragment) & 0x3FFF != 0 {
            return Err(Outcome::Fragment);
        }
        let tcp_at = u32::from(head.version_and_length & 0x0F) * 4;
        let tcp = if tcp_at == 20 {
            head.tcp
        } else if tcp_at > 20 {
            ctx.load(tcp_at as usize).map_err(|_| Outcome::Malformed)?
        } else {
            return Err(Outcome::Malformed);
        };
        let (source, destination) = (mapped(head.source), mapped(head.destination));
        Self::fill(segment, ctx, direction, &tcp, tcp_at, source, destination)
    }

    #[inline(always)]
    fn parse_ipv6(
        segment: &mut MaybeUninit<Self>,
        ctx: &SkBuffContext,
        direction: Direction,
    ) -> Result<(), Outcome> {
        if let Some(head) = in_front::<Ipv6Tcp>(ctx) {
            return Self::take_ipv6(segment, ctx, direction, head);
        }
        let head: Ipv6Tcp = ctx.load(0).map_err(|_| Outcome::NotTcp)?;
        Self::take_ipv6(segment, ctx, direction, &head)
    }

    #[inline(always)]
    fn take_ipv6(
        segment: &mut MaybeUninit<Self>,
        ctx: &SkBuffContext,
        direction: Direction,
        head: &Ipv6Tcp,
    ) -> Result<(), Outcome> {
        let (tcp, tcp_at) = if head.next_header == PROTOCOL_TCP {
            (head.tcp, 40)
        } else {
            let tcp_at = skip_extension_headers(ctx, head.next_header)?;
            let tcp = ctx.load(tcp_at as usize).map_err(|_| Outcome::Malformed)?;
            (tcp, tcp_at)
        };
        let (source, destination) = (head.source, head.destination);
        Self::fill(segment, ctx, direction, &tcp, tcp_at, source, destination)
    }

    #[inline(always)]
    fn fill(
        segment: &mut MaybeUninit<Self>,
        ctx: &SkBuffContext,
        direction: Direction,
        tcp: &TcpHeader,
        tcp_at: u32,
        source: [u8; 16],
        destination: [u8; 16],
    ) -> Result<(), Outcome> {
        let header_bytes = u32::from(tcp.data_offset >> 4) * 4;
        let payload_at = tcp_at + header_bytes;
        let packet_bytes = ctx.len();
        if header_bytes < TCP_HEADER_BYTES || payload_at > packet_bytes {
            return Err(Outcome::Malformed);
        }
        let payload_bytes = packet_bytes - payload_at;
        let marks = tcp.flags & (tcp_flags::SYN | tcp_flags::FIN | tcp_flags::RST);
        if payload_bytes == 0 && marks == 0 {
            return Err(Outcome::Empty);
        }
        let (local, remote) = match direction {
            Direction::Ingress => ((destination, tcp.destination), (source, tcp.source)),
            Direction::Egress => ((source, tcp.source), (destination, tcp.destination)),
        };
        let zero = plain_zero();
        let syn_bytes = u32::from(tcp.flags & tcp_flags::SYN != 0);
        segment.write(Self {
            key: FlowKey {
                // SAFETY: the helper takes the context.
                netns_cookie: unsafe { bpf_get_netns_cookie(ctx.skb.skb.cast()) },
                local_address: local.0,
                remote_address: remote.0,
                local_port: u16::from_be(local.1),
                remote_port: u16::from_be(remote.1),
                reserved: 0,
            },
            flow: zero,
            cgroup_id: zero,
            offset: zero,
            sequence: u32::from_be(tcp.sequence).wrapping_add(syn_bytes),
            acknowledgement: u32::from_be(tcp.acknowledgement),
            payload_at,
            payload_bytes,
            flags: tcp.flags,
            direction: direction as u8,
            role: zero as u8,
            reserved: zero as u8,
            withheld_bytes: zero as u32,
        });
        Ok(())
    }

    /// Whether the SYN flag is set.
    #[inline(always)]
    pub const fn is_syn(&self) -> bool {
        self.flags & tcp_flags::SYN != 0
    }

    /// Which way it goes.
    #[inline(always)]
    pub const fn direction(&self) -> Direction {
        if self.direction == Direction::Ingress as u8 {
            Direction::Ingress
        } else {
            Direction::Egress
        }
    }
}

/// The headers where they lie, when the packet's front holds all of them: nearly always.
#[inline(always)]
fn in_front<T: Copy>(ctx: &SkBuffContext) -> Option<&T> {
    // SAFETY: fields of the context, which the verifier lets programs read.
    let (start, end) = unsafe {
        (
            (*ctx.skb.skb).data as usize,
            (*ctx.skb.skb).data_end as usize,
        )
    };
    if start + size_of::<T>() > end {
        return None;
    }
    // SAFETY: the packet has so many bytes there, all of them integers; nobody writes them while the
    // program runs, and this machine reads integers wherever they lie.
    Some(unsafe { &*(start as *const T) })
}

/// Where the TCP header begins behind the extension headers of an IPv6 packet.
#[inline(always)]
fn skip_extension_headers(ctx: &SkBuffContext, first: u8) -> Result<u32, Outcome> {
    let mut next = first;
    let mut at: u32 = 40;
    for _ in 0..MAX_EXTENSION_HEADERS {
        let units = match next {
            PROTOCOL_TCP => return Ok(at),
            HOP_BY_HOP | ROUTING | DESTINATION | AUTHENTICATION => {
                let head: [u8; 2] = ctx.load(at as usize).map_err(|_| Outcome::Malformed)?;
                let bytes = if next == AUTHENTICATION {
                    // In units of 4 bytes, less 2 (RFC 4302, 2.2).
                    (u32::from(head[1]) + 2) * 4
                } else {
                    // In units of 8 bytes, less 1 (RFC 8200, 4.3).
                    (u32::from(head[1]) + 1) * 8
                };
                next = head[0];
                bytes
            }
            FRAGMENT => return Err(Outcome::Fragment),
            _ => return Err(Outcome::NotTcp),
        };
        at += units;
    }
    Err(Outcome::Malformed)
}

/// Zero, of which the compiler does not know that it is: it would set neighbouring fields to zero
/// together, by a function that loops over their bytes.
#[inline(always)]
fn plain_zero() -> u64 {
    let zero: u64;
    // SAFETY: the instruction sets a register.
    unsafe { asm!("{0} = 0", out(reg) zero, options(nomem, nostack)) };
    zero
}

/// An IPv4 address as IPv4-mapped IPv6.
#[inline(always)]
pub const fn mapped(address: [u8; 4]) -> [u8; 16] {
    let words = [0, 0, 0xFFFF_u32.to_be(), u32::from_ne_bytes(address)];
    // SAFETY: both types are 16 bytes of integers; by words, since the compiler sets single bytes to
    // zero by calling a function.
    unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) }
}
