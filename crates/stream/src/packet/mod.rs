//! From a captured packet to a TCP segment.

mod fragments;
mod link;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use etherparse::{IpNumber, LaxIpSlice, TcpSlice};

use self::fragments::Fragments;
use crate::segment::{Endpoints, Segment, Source, TcpFlags};
use crate::time::Timestamp;

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

/// What became of the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounts {
    /// Packets that entered.
    pub packets: u64,
    /// TCP segments that came out.
    pub segments: u64,
    /// Packets of a link layer that is not known here.
    pub unknown_link: u64,
    /// Packets without IP.
    pub not_ip: u64,
    /// IP packets without TCP.
    pub not_tcp: u64,
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
        let start = match link::find_ip(packet.link_type, &packet.bytes) {
            Ok(start) => start,
            Err(link::NoIp::UnknownLink) => {
                self.counts.unknown_link += 1;
                return None;
            }
            Err(link::NoIp::OtherProtocol) => {
                self.counts.not_ip += 1;
                return None;
            }
            Err(link::NoIp::Cut) => {
                self.counts.cut_headers += 1;
                return None;
            }
        };
        let bytes = packet.bytes.slice(start..);
        let on_wire = (packet.original_bytes as usize).max(packet.bytes.len()) - start;
        let Ok((ip, _)) = LaxIpSlice::from_slice(&bytes) else {
            self.counts.malformed += 1;
            return None;
        };
        let payload = ip.payload();
        let payload_start = payload.payload.as_ptr() as usize - bytes.as_ptr() as usize;
        let payload_on_wire = total_length(&ip, on_wire).saturating_sub(payload_start);
        let addresses = (ip.source_addr(), ip.destination_addr());
        if payload.fragmented {
            self.counts.fragments += 1;
            if payload.payload.len() < payload_on_wire {
                // A hole inside a datagram has no offset to give it to.
                self.counts.lost_fragments += 1;
                return None;
            }
            let whole = self.fragments.add(&ip, packet.time);
            self.counts.lost_fragments += self.fragments.take_lost();
            let (protocol, whole) = whole?;
            let whole = Bytes::from(whole);
            let on_wire = whole.len();
            return self.tcp(packet, mark, addresses, protocol, whole, on_wire);
        }
        let protocol = payload.ip_number;
        let captured = payload.payload.len().min(payload_on_wire);
        let tcp = bytes.slice(payload_start..payload_start + captured);
        self.tcp(packet, mark, addresses, protocol, tcp, payload_on_wire)
    }

    /// `on_wire` is the length of the TCP segment with its header.
    fn tcp(
        &mut self,
        packet: &CapturedPacket,
        mark: u64,
        addresses: (std::net::IpAddr, std::net::IpAddr),
        protocol: IpNumber,
        bytes: Bytes,
        on_wire: usize,
    ) -> Option<Segment> {
        if protocol != IpNumber::TCP {
            self.counts.not_tcp += 1;
            return None;
        }
        let Ok(tcp) = TcpSlice::from_slice(&bytes) else {
            let is_cut = bytes.len() < on_wire;
            let count = match is_cut {
                true => &mut self.counts.cut_headers,
                false => &mut self.counts.malformed,
            };
            *count += 1;
            return None;
        };
        let payload = bytes.slice(tcp.header_slice().len()..);
        let wire_bytes = on_wire - tcp.header_slice().len();
        self.counts.segments += 1;
        self.counts.cut_payloads += u64::from(payload.len() < wire_bytes);
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
        Some(Segment {
            time: packet.time,
            endpoints: Endpoints::normalised(
                (addresses.0, tcp.source_port()).into(),
                (addresses.1, tcp.destination_port()).into(),
            ),
            source: Source::Packet,
            sequence_number: tcp.sequence_number(),
            acknowledgement: tcp.acknowledgment_number(),
            flags: TcpFlags(flags),
            payload,
            wire_bytes: wire_bytes as u32,
            mark,
        })
    }
}

/// The length of the IP packet with its header. Where an offloading network card left it empty,
/// and in jumbograms, it is all that there is; else what lies beyond it is padding.
fn total_length(ip: &LaxIpSlice<'_>, on_wire: usize) -> usize {
    let stated = match ip {
        LaxIpSlice::Ipv4(ip) => {
            let length = usize::from(ip.header().total_len());
            (length >= ip.header().slice().len()).then_some(length)
        }
        LaxIpSlice::Ipv6(ip) => {
            let length = usize::from(ip.header().payload_length());
            (length > 0).then_some(length + ip.header().slice().len())
        }
    };
    stated.unwrap_or(on_wire)
}
