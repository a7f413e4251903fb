//! Redis: RESP2, RESP3 and commands typed by hand.
//!
//! Commands and replies are paired in order. What subscriptions and MONITOR bring is an exchange
//! without a request, of kind push. A stream of replication is opaque from where it begins. WATCH
//! is a command like others: a transaction begins with MULTI.

mod client;
mod document;
mod inline;
mod names;
mod open;
mod probe;
mod queue;
mod resp;
mod server;
mod transaction;

use bytes::Bytes;

use self::client::Client;
use self::open::Open;
use self::queue::{Doubt, Queue};
use self::server::Server;
use crate::event::{EventKind, Watermark};
use crate::protocol::{Opening, Parser, Protocol, Start};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

pub(crate) use self::document::{pairs, read_reply};

pub(crate) const PROTOCOL: Protocol = Protocol {
    opening: Some(Opening {
        probe: probe::probe,
        probe_both: Some(probe::probe_both),
        start: |start| Box::new(Redis::new(start)),
    }),
    upgrade: None,
};

/// The parser of one flow.
#[derive(Debug)]
struct Redis {
    client: Client,
    server: Server,
    queue: Queue,
    /// A message that nobody asked for, while it is received.
    push: Option<Open>,
    /// The flow became a stream of replication.
    is_opaque: bool,
}

impl Redis {
    fn new(start: Start) -> Redis {
        let mut queue = Queue::default();
        queue.next_index = start.first_index;
        if start.client_is_lost || start.server_is_lost {
            queue.doubt(Doubt {
                until: start.from.server.saturating_add(1),
                from_request: 0,
                knows_all: true,
            });
        }
        Redis {
            client: Client::new(start.from.client, start.client_is_lost),
            server: Server::new(start.from.server, start.server_is_lost),
            queue,
            push: None,
            is_opaque: false,
        }
    }

    /// Gives out bytes of a message.
    fn data(
        open: &mut Open,
        direction: Direction,
        chunk: Bytes,
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        sink.message(chunk.len());
        open.add(direction, chunk.len(), time);
        sink.event(EventKind::CommandData {
            exchange: open.id.clone(),
            direction,
            chunk,
            time,
        });
    }

    /// Gives up waiting for replies while the open commands take more than a flow may.
    fn keep_limit(&mut self, sink: &mut Sink<'_>) {
        while self.queue.cost > sink.limits.flow_buffer_bytes
            && let Some(front) = self.queue.open.front_mut()
            && front.asked.done
            && front.response_start.is_none()
        {
            front.answered.flags.set("not_awaited");
            front.finish(Direction::Server);
            self.queue.doubt(Doubt {
                until: self.server.consumed.saturating_add(1),
                from_request: 0,
                knows_all: false,
            });
            self.queue.emit(sink);
        }
    }

    fn pass_opaque(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        match direction {
            Direction::Client => self.client.consumed = piece.end(),
            Direction::Server => self.server.consumed = piece.end(),
        }
        sink.opaque(direction, piece);
    }

    /// The flow becomes a stream of replication.
    fn become_opaque(&mut self, sink: &mut Sink<'_>) {
        self.is_opaque = true;
        self.stop_client();
        for open in &mut self.queue.open {
            open.finish(Direction::Client);
            open.finish(Direction::Server);
        }
        self.queue.emit(sink);
    }
}

impl Parser for Redis {
    fn piece(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        match direction {
            _ if self.is_opaque => return self.pass_opaque(direction, piece, sink),
            Direction::Client => self.client_piece(piece, sink),
            Direction::Server => self.server_piece(piece, sink),
        }
        self.queue.emit(sink);
        self.keep_limit(sink);
    }

    fn gap(&mut self, direction: Direction, offset: u64, bytes: u64, sink: &mut Sink<'_>) {
        let end = offset.saturating_add(bytes);
        match direction {
            _ if self.is_opaque => {}
            Direction::Client => self.client_gap(offset, bytes),
            Direction::Server => self.server_gap(end, bytes, sink),
        }
        let consumed = match direction {
            Direction::Client => &mut self.client.consumed,
            Direction::Server => &mut self.server.consumed,
        };
        *consumed = end.max(*consumed);
        self.queue.emit(sink);
    }

    fn end(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        match direction {
            Direction::Client => self.stop_client(),
            Direction::Server => self.stop_server("unfinished_message", sink),
        }
        self.queue.emit(sink);
    }

    fn close(&mut self, _now: Timestamp, cause: &'static str, sink: &mut Sink<'_>) {
        self.stop_client();
        self.stop_server(cause, sink);
        for open in &mut self.queue.open {
            open.finish(Direction::Client);
            open.finish(Direction::Server);
        }
        self.queue.emit(sink);
    }

    fn held_bytes(&self) -> u64 {
        self.server.held_bytes()
    }

    fn pending_exchanges(&self) -> u64 {
        self.queue.open.len() as u64 + u64::from(self.push.is_some())
    }

    fn watermark(&self) -> Watermark {
        let open = &self.queue.open;
        let mut requests = open.iter().filter(|open| !open.id.from_response);
        let first = requests.next().map(|open| open.request.offset);
        let client = self.client.consumed;
        let push = self.push.as_ref().and_then(|open| open.response_start);
        let begun = [push, self.queue.first_reply()];
        let begun = begun.into_iter().flatten().min();
        let server = self.server.consumed;
        Watermark {
            client: first.map_or(client, |first| first.min(client)),
            server: begun.map_or(server, |begun| begun.min(server)),
        }
    }

    fn next_index(&self) -> u32 {
        self.queue.next_index
    }

    fn state_bytes(&self) -> u64 {
        self.queue.cost + self.client.state_bytes()
    }
}
