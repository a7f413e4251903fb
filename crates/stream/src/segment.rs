//! What enters: TCP segments as a hook or a capture file saw them.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::FlowId;
use crate::time::Timestamp;

/// A direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client to the server: requests.
    Client,
    /// From the server to the client: responses.
    Server,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub fn opposite(self) -> Direction {
        match self {
            Direction::Client => Direction::Server,
            Direction::Server => Direction::Client,
        }
    }
}

/// The two ends of a segment or a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoints {
    /// For a segment its source; for a flow its client.
    pub client: SocketAddr,
    /// For a segment its destination; for a flow its server.
    pub server: SocketAddr,
}

impl Endpoints {
    /// Endpoints with IPv4-mapped IPv6 addresses written as IPv4, so that both
    /// spellings of one flow are one flow.
    pub fn normalised(client: SocketAddr, server: SocketAddr) -> Endpoints {
        let plain = |address: SocketAddr| {
            let ip: IpAddr = address.ip().to_canonical();
            SocketAddr::new(ip, address.port())
        };
        Endpoints {
            client: plain(client),
            server: plain(server),
        }
    }

    /// The same two ends seen from the other side.
    #[must_use]
    pub fn swapped(self) -> Endpoints {
        Endpoints {
            client: self.server,
            server: self.client,
        }
    }
}

/// The flags byte of a TCP header (RFC 9293, section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;

    /// True when any of the bits of `mask` is set.
    pub fn has(self, mask: u8) -> bool {
        self.0 & mask != 0
    }
}

/// What the source of a segment already knows about its flow.
///
/// A kernel hook knows roles, identity and stream offsets; a capture file knows
/// none of them, and they are inferred from SYN, ports and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing but the packet is known; flows are told apart by their ends.
    Packet,
    /// The flow, the direction and the stream offset are known.
    Kernel {
        /// The flow's identity within the boot.
        flow: FlowId,
        /// The direction of these bytes.
        direction: Direction,
        /// The stream offset of the first payload byte.
        offset: u64,
    },
}

/// One TCP segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// When the hook or the capturing interface saw it.
    pub time: Timestamp,
    /// `client` is the sender and `server` the receiver of this segment.
    pub endpoints: Endpoints,
    /// What the source knows beyond the packet.
    pub source: Source,
    /// Sequence number of the first payload byte (of SYN itself when SYN is set).
    pub sequence_number: u32,
    /// The acknowledged sequence number, where ACK is set.
    pub acknowledgement: u32,
    /// The flags byte.
    pub flags: TcpFlags,
    /// The payload that was captured.
    pub payload: Bytes,
    /// Payload bytes that the segment had on the wire; larger than
    /// `payload.len()` when the capture cut it short. The rest becomes a gap.
    pub wire_bytes: u32,
    /// A mark of the caller's (a frame number), reported back by
    /// [`Streams::held_marks`](crate::Streams::held_marks) while needed.
    pub mark: u64,
}
