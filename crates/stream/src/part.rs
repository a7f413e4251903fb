//! Parts of what is streamed: messages of gRPC, server-sent events, messages of a WebSocket.

use serde::{Deserialize, Serialize};

use crate::id::ExchangeId;
use crate::message::MessageState;
use crate::segment::Direction;
use crate::time::Timestamp;

/// One part, with its place and its times. Its bytes are among those of
/// [`EventKind::Body`](crate::EventKind::Body), or for a WebSocket of
/// [`EventKind::SocketData`](crate::EventKind::SocketData).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The exchange whose body it is part of, or that opened the WebSocket.
    pub exchange: ExchangeId,
    /// Who sent it.
    pub direction: Direction,
    /// Its position among the parts of its exchange and direction, from 0, in the order in which
    /// they begin. A control frame between the fragments of a WebSocket's message is over before
    /// the message is.
    pub index: u32,
    /// What it is.
    pub kind: PartKind,
    /// Where its payload begins: how many bytes of the body, or of the WebSocket's data in this
    /// direction, come before it. With the flag `base64` (gRPC-Web's text form) it counts bytes of
    /// the decoded body.
    pub offset: u64,
    /// How long its payload is; of an incomplete part what was seen of it. In a body it lies
    /// together; a WebSocket's message may have control frames between its fragments, so that
    /// its payload is what the chunks of [`EventKind::SocketData`](crate::EventKind::SocketData)
    /// with its index hold.
    pub bytes: u64,
    /// Whether all of it was seen.
    pub state: MessageState,
    /// When its first byte was seen, its frame's head included.
    pub first_byte: Timestamp,
    /// When its last byte was seen.
    pub last_byte: Timestamp,
    /// Names of irregularities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

/// Kinds of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// A length-prefixed message of gRPC or gRPC-Web.
    GrpcMessage {
        /// Whether its payload is compressed with the coding that the head names.
        compressed: bool,
    },
    /// The trailers that gRPC-Web sends within the body.
    GrpcTrailers,
    /// A server-sent event, through the empty line that ends it.
    ServerSentEvent,
    /// A text message of a WebSocket.
    SocketText,
    /// A binary message of a WebSocket.
    SocketBinary,
    /// A close frame of a WebSocket with its status code, where it has one.
    SocketClose {
        /// The status code (RFC 6455, section 7.4).
        code: Option<u16>,
    },
    /// A ping frame of a WebSocket.
    SocketPing,
    /// A pong frame of a WebSocket.
    SocketPong,
    /// A message or frame of a WebSocket whose opcode has no meaning.
    SocketOther {
        /// The opcode (RFC 6455, section 5.2).
        opcode: u8,
    },
}
