//! What leaves: exchanges as they unfold.

use bytes::Bytes;

use crate::command::CommandExchange;
use crate::id::{ExchangeId, FlowId};
use crate::message::{Exchange, RequestHead, ResponseHead};
use crate::part::Part;
use crate::segment::{Direction, Endpoints};
use crate::time::Timestamp;

/// One event of one flow.
#[derive(Clone, Debug)]
pub struct Event {
    /// The flow.
    pub flow: FlowId,
    /// What happened.
    pub kind: EventKind,
}

/// What happened in a flow.
///
/// For each exchange the order is: its heads, chunks and parts as they are seen,
/// each direction in stream order, then one [`EventKind::Exchange`] or
/// [`EventKind::Command`]. Exchanges of a pipelined or multiplexed flow can
/// overlap. What a WebSocket carries follows the exchange that opened it.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A flow was seen for the first time.
    FlowOpened {
        /// Client and server.
        endpoints: Endpoints,
        /// True when its SYN was not seen.
        before_capture: bool,
    },
    /// A request's head is whole.
    RequestHead {
        /// The exchange.
        exchange: ExchangeId,
        /// The head.
        head: RequestHead,
        /// When its first byte was seen.
        time: Timestamp,
    },
    /// A response's head is whole (not of an interim response).
    ResponseHead {
        /// The exchange.
        exchange: ExchangeId,
        /// The head.
        head: ResponseHead,
        /// When its first byte was seen.
        time: Timestamp,
    },
    /// Bytes of a body, after transfer decoding, without holes within one message
    /// of state complete.
    Body {
        /// The exchange.
        exchange: ExchangeId,
        /// `Client` for the request's body.
        direction: Direction,
        /// The bytes.
        chunk: Bytes,
        /// A chunk of chunked transfer coding (RFC 9112, section 7.1) ends with them.
        ends_chunk: bool,
        /// When the last of them was seen.
        time: Timestamp,
    },
    /// The exchange is over, complete or not.
    Exchange(Box<Exchange>),
    /// An exchange of a database or cache protocol is over, complete or not. Its messages'
    /// very bytes came before as [`EventKind::CommandData`].
    Command(Box<CommandExchange>),
    /// Bytes of a command or of its reply as sent, framing included.
    CommandData {
        /// The exchange.
        exchange: ExchangeId,
        /// `Client` for the command's.
        direction: Direction,
        /// The bytes.
        chunk: Bytes,
        /// When the last of them was seen.
        time: Timestamp,
    },
    /// A part of a streamed body, or a message of a WebSocket, is over.
    Part(Box<Part>),
    /// Payload of a WebSocket, unmasked and inflated, control frames' too, in the order of
    /// the wire. Chunks of one message need not follow each other: control frames may lie between.
    SocketData {
        /// The exchange that opened the WebSocket.
        exchange: ExchangeId,
        /// Who sent it.
        direction: Direction,
        /// The message that it belongs to: [`Part::index`] of the part that follows when the
        /// message is over.
        part: u32,
        /// The bytes.
        chunk: Bytes,
        /// A fragment of the message ends with them, and another follows (RFC 6455, section 5.4).
        ends_fragment: bool,
        /// When the last of them was seen.
        time: Timestamp,
    },
    /// Bytes known missing.
    Gap {
        /// The direction.
        direction: Direction,
        /// Stream offset of the first missing byte.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// Bytes of a flow that nobody claims. Only where opaque bytes were asked for.
    Opaque {
        /// The direction.
        direction: Direction,
        /// Stream offset of the first byte.
        offset: u64,
        /// The bytes.
        chunk: Bytes,
        /// When they were seen.
        time: Timestamp,
    },
    /// Nobody claims the flow, and nothing that follows can change that. Once a flow, if ever.
    Unclaimed {
        /// True when it looks like TLS (RFC 8446, section 5.1).
        is_tls: bool,
    },
    /// The flow is over; nothing follows for it.
    FlowClosed {
        /// Why.
        reason: CloseReason,
        /// Offsets from which the flow would resume: one past the last byte of
        /// each direction that is attributed to an exchange, a discard or opaque.
        watermark: Watermark,
    },
}

impl EventKind {
    /// True when an exchange is over with it.
    pub fn is_exchange(&self) -> bool {
        matches!(self, EventKind::Exchange(_) | EventKind::Command(_))
    }
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// FIN both ways.
    Finished,
    /// RST.
    Reset,
    /// The kernel said that the socket closed.
    Closed,
    /// Idle past the limit.
    Idle,
    /// Memory was needed for flows with more recent activity.
    Evicted,
    /// A new flow has the same ends.
    Reused,
    /// The capture ended.
    CaptureEnded,
}

/// Up to where both directions of a flow are accounted for, as stream offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Watermark {
    /// The client's direction.
    pub client: u64,
    /// The server's direction.
    pub server: u64,
}

impl Watermark {
    /// That of one direction.
    pub fn of(self, direction: Direction) -> u64 {
        match direction {
            Direction::Client => self.client,
            Direction::Server => self.server,
        }
    }
}
