//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692), after an HTTP/1 exchange that opened
//! it. Extended CONNECT (RFC 8441) is not here.
//!
//! The payload of each frame flows as it is seen, unmasked and inflated, and each message and
//! control frame is a part in the end. Heads of frames are framing.

mod frame;
mod handshake;
mod inflate;
mod message;
mod side;
mod text;

pub use self::frame::{Head, MAX_CONTROL, MAX_HEAD, unmask};
pub use self::handshake::{Deflate, accept, deflate, is_accepted, is_opened_by};
pub use self::inflate::{Failure, Inflater};
use self::side::Side;
use crate::event::Watermark;
use crate::protocol::{Parser, Protocol, Switch};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

pub(crate) const PROTOCOL: Protocol = Protocol {
    opening: None,
    upgrade: Some(upgrade),
};

/// Takes over a connection that became a WebSocket.
fn upgrade(switch: &Switch<'_>) -> Option<Box<dyn Parser>> {
    if !handshake::is_websocket(switch) {
        return None;
    }
    let answer = &switch.response.fields;
    let deflate = handshake::deflate(answer);
    let side = |direction, keeps_context: Option<bool>| {
        let inflater = keeps_context.map(Inflater::new);
        let from = switch.from.of(direction);
        Side::new(switch.exchange.clone(), direction, from, inflater)
    };
    let client = deflate.map(|deflate| deflate.client_keeps_context);
    let server = deflate.map(|deflate| deflate.server_keeps_context);
    let mut parser = WebSocket {
        client: side(Direction::Client, client),
        server: side(Direction::Server, server),
        next_index: switch.first_index,
    };
    if switch
        .request
        .is_some_and(|request| !handshake::is_accepted(request, answer))
    {
        // Clients must fail such a connection (RFC 6455, section 4.1): what follows tells.
        parser.server.flag_next("wrong_accept");
    }
    Some(Box::new(parser))
}

/// The parser of one connection.
#[derive(Debug)]
struct WebSocket {
    client: Side,
    server: Side,
    next_index: u32,
}

impl WebSocket {
    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }
}

impl Parser for WebSocket {
    fn piece(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        self.side(direction).piece(piece, sink);
    }

    fn gap(&mut self, direction: Direction, offset: u64, bytes: u64, sink: &mut Sink<'_>) {
        self.side(direction).gap(offset, bytes, sink);
    }

    fn end(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        self.side(direction).stop("unfinished_frame", sink);
    }

    fn close(&mut self, _now: Timestamp, cause: &'static str, sink: &mut Sink<'_>) {
        let cause = match cause {
            "unfinished_head" => "unfinished_frame",
            cause => cause,
        };
        self.client.stop(cause, sink);
        self.server.stop(cause, sink);
    }

    fn held_bytes(&self) -> u64 {
        self.client.held_bytes() + self.server.held_bytes()
    }

    fn pending_exchanges(&self) -> u64 {
        0
    }

    fn watermark(&self) -> Watermark {
        Watermark {
            client: self.client.consumed(),
            server: self.server.consumed(),
        }
    }

    fn next_index(&self) -> u32 {
        self.next_index
    }

    fn state_bytes(&self) -> u64 {
        self.client.state_bytes() + self.server.state_bytes()
    }
}
