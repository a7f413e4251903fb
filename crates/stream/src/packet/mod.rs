//! From a captured packet to a TCP segment.
//!
//! Link layers, tags, labels and tunnels are opened in turn until TCP is found. None of them is
//! part of a flow's identity, the innermost addresses and ports alone are: a packet that was seen
//! on two interfaces, in two VLANs, or once plain and once in a tunnel is the same segment twice,
//! and its bytes count as duplicate. The price: two networks with the same addresses, told apart
//! by nothing but a tag, must not be captured together.
//!
//! Only TCP is decoded. HTTP over SCTP or QUIC is counted and left.

mod fragments;
mod ip;
mod link;
#[cfg(test)]
mod tests;
mod tunnel;
mod wireless;

use std::net::IpAddr;

use bytes::{Buf as _, Bytes};
use etherparse::{IpNumber, TcpSlice};

use self::fragments::Fragments;
use crate::segment::{Endpoints, Segment, Source, TcpFlags};
use crate::time::Timestamp;

/// How many IP headers one packet may have.
const MAX_NESTING: u32 = 8;

/// The link-layer type of a capture, as numbered by tcpdump.org (LINKTYPE_…).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u32);

/// One packet as a capture file has it.
#[derive(Clone, Debug)]
pub struct CapturedPacket {
    /// When it was captured.
    pub time: Timestamp,
    /// What its first byte is part of.
    pub link_type: LinkType,
    /// The bytes that were captured.
    pub bytes: Bytes,
    /// How many it had on the wire.
    pub original_bytes: u32,
}

/// What became of the packets. Each is a segment, a fragment of a datagram that is not whole yet
/// or never will be, or it is skipped for one of the causes here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounts {
    /// Packets that entered.
    pub packets: u64,
    /// TCP segments that came out.
    pub segments: u64,
    /// Those of them that were in a tunnel.
    pub tunnelled: u64,
    /// Packets of a link layer that is not known here.
    pub unknown_link: u64,
    /// Packets without IP.
    pub not_ip: u64,
    /// IP packets with something else than TCP or a tunnel that is known here.
    pub not_tcp: u64,
    /// SCTP packets.
    pub sctp: u64,
    /// Packets whose payload is encrypted: IPsec, protected IEEE 802.11.
    pub encrypted: u64,
    /// Packets with more headers inside each other than are followed.
    pub too_deep: u64,
    /// Packets that are no valid IP or TCP.
    pub malformed: u64,
    /// Packets whose headers the capture cut off.
    pub cut_headers: u64,
    /// Segments whose payload the capture cut off.
    pub cut_payloads: u64,
    /// IP fragments.
    pub fragments: u64,
    /// IP fragments that were never put together: too many, too old, or contradictory.
    pub lost_fragments: u64,
}

/// Decodes packets; holds nothing but IP fragments, and few of them.
#[derive(Debug, Default)]
pub struct PacketDecoder {
    fragments: Fragments,
    counts: PacketCounts,
}

/// Why a packet gives no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    UnknownLink,
    NotIp,
    NotTcp,
    Sctp,
    Encrypted,
    TooDeep,
    Malformed,
    Cut,
    /// Counted where it was found.
    Fragment,
}

/// What bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    Link(LinkType),
    Ethernet,
    /// What this EtherType says.
    EtherType(u16),
    Ppp,
    Ip,
}

/// What is left of a packet behind the headers that were read.
#[derive(Clone, Debug)]
struct Rest {
    bytes: Bytes,
    /// How long it was on the wire; never less than `bytes`.
    on_wire: usize,
}

impl Rest {
    /// Passes over `count` bytes.
    fn skip(&mut self, count: usize) -> Result<(), Skip> {
        if count > self.bytes.len() {
            return Err(Skip::Cut);
        }
        self.bytes.advance(count);
        self.on_wire -= count;
        Ok(())
    }

    /// Says how long it was on the wire: what lies beyond is no part of it.
    fn limit(&mut self, on_wire: usize) {
        self.bytes.truncate(on_wire);
        self.on_wire = on_wire;
    }
}

impl PacketDecoder {
    /// A decoder without fragments.
    pub fn new() -> PacketDecoder {
        PacketDecoder::default()
    }

    /// What became of the packets so far.
    pub fn counts(&self) -> PacketCounts {
        self.counts
    }

    /// The TCP segment in a packet, or the one that its fragment completes. `mark` becomes
    /// [`Segment::mark`].
    pub fn decode(&mut self, packet: &CapturedPacket, mark: u64) -> Option<Segment> {
        self.counts.packets += 1;
        match self.open(packet, mark) {
            Ok(segment) => {
                self.counts.segments += 1;
                self.counts.cut_payloads +=
                    u64::from(segment.payload.len() < segment.wire_bytes as usize);
                Some(segment)
            }
            Err(cause) => {
                self.count(cause);
                None
            }
        }
    }

    fn count(&mut self, cause: Skip) {
        let counts = &mut self.counts;
        let count = match cause {
            Skip::UnknownLink => &mut counts.unknown_link,
            Skip::NotIp => &mut counts.not_ip,
            Skip::NotTcp => &mut counts.not_tcp,
            Skip::Sctp => &mut counts.sctp,
            Skip::Encrypted => &mut counts.encrypted,
            Skip::TooDeep => &mut counts.too_deep,
            Skip::Malformed => &mut counts.malformed,
            Skip::Cut => &mut counts.cut_headers,
            Skip::Fragment => return,
        };
        *count += 1;
    }

    /// Follows the layers to the TCP segment.
    fn open(&mut self, packet: &CapturedPacket, mark: u64) -> Result<Segment, Skip> {
        let mut rest = Rest {
            on_wire: (packet.original_bytes as usize).max(packet.bytes.len()),
            bytes: packet.bytes.clone(),
        };
        let mut layer = Layer::Link(packet.link_type);
        for depth in 0..MAX_NESTING {
            let at = link::find_ip(layer, &rest.bytes)?;
            rest.skip(at)?;
            let (addresses, protocol) = self.ip(&mut rest, packet.time)?;
            if protocol == IpNumber::TCP {
                self.counts.tunnelled += u64::from(depth > 0);
                return tcp(addresses, rest, packet.time, mark);
            }
            layer = tunnel::open(protocol, &mut rest)?;
        }
        Err(Skip::TooDeep)
    }

    /// Reads an IP header: who talks to whom, what the rest is then. A fragment that completes a
    /// datagram makes that the rest.
    fn ip(
        &mut self,
        rest: &mut Rest,
        time: Timestamp,
    ) -> Result<((IpAddr, IpAddr), IpNumber), Skip> {
        let header = ip::read(rest)?;
        let Some(place) = header.fragment else {
            rest.skip(header.length)?;
            rest.limit(header.payload_on_wire);
            return Ok((header.addresses, header.protocol));
        };
        self.counts.fragments += 1;
        rest.skip(header.length)?;
        rest.limit(header.payload_on_wire);
        if rest.bytes.len() < rest.on_wire {
            // A hole inside a datagram has no offset to give it to.
            self.counts.lost_fragments += 1;
            return Err(Skip::Fragment);
        }
        let whole = self.fragments.add(&header, place, &rest.bytes, time);
        self.counts.lost_fragments += self.fragments.take_lost();
        let whole = Bytes::from(whole.ok_or(Skip::Fragment)?);
        *rest = Rest {
            on_wire: whole.len(),
            bytes: whole,
        };
        Ok((header.addresses, header.protocol))
    }
}

/// Reads a TCP header; the rest is the segment with it.
fn tcp(
    addresses: (IpAddr, IpAddr),
    rest: Rest,
    time: Timestamp,
    mark: u64,
) -> Result<Segment, Skip> {
    let Ok(tcp) = TcpSlice::from_slice(&rest.bytes) else {
        return Err(match rest.bytes.len() < rest.on_wire {
            true => Skip::Cut,
            false => Skip::Malformed,
        });
    };
    let header_bytes = tcp.header_slice().len();
    let flags = [
        (tcp.fin(), TcpFlags::FIN),
        (tcp.syn(), TcpFlags::SYN),
        (tcp.rst(), TcpFlags::RST),
        (tcp.ack(), TcpFlags::ACK),
    ];
    let flags = flags
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .fold(0, |flags, (_, flag)| flags | flag);
    Ok(Segment {
        time,
        endpoints: Endpoints::normalised(
            (addresses.0, tcp.source_port()).into(),
            (addresses.1, tcp.destination_port()).into(),
        ),
        source: Source::Packet,
        sequence_number: tcp.sequence_number(),
        acknowledgement: tcp.acknowledgment_number(),
        flags: TcpFlags(flags),
        payload: rest.bytes.slice(header_bytes..),
        wire_bytes: (rest.on_wire - header_bytes) as u32,
        mark,
    })
}
