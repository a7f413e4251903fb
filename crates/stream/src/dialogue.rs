//! One connection to a database, of which no byte is missing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::command::CommandExchange;
use crate::document::{DocumentLimits, ReplyBytes};
use crate::event::{EventKind, Watermark};
use crate::id::{ExchangeId, FlowId};
use crate::limits::Limits;
use crate::message::Protocol;
use crate::protocol::{Parser, Start};
use crate::segment::{Direction, Endpoints};
use crate::sink::{Books, FlowFacts, Sink};
use crate::tcp::Piece;
use crate::time::Timestamp;

/// Reads what is said over one connection to a database by whoever holds an end of it: the same
/// exchanges come of the same bytes as from a capture.
///
/// Call [`sent`](Self::sent) and [`received`](Self::received) with the client's and the server's
/// bytes in their order, and take [`poll`](Self::poll) until it is empty after each of them.
#[derive(Debug)]
pub struct Dialogue {
    parser: Box<dyn Parser>,
    limits: Limits,
    facts: FlowFacts,
    node: Arc<str>,
    books: Books,
    events: VecDeque<crate::Event>,
    /// Bytes so far.
    client: u64,
    server: u64,
    /// Bytes of a reply that are kept.
    room: usize,
    /// What answers exchanges that are not over.
    replies: HashMap<ExchangeId, ReplyBytes>,
    done: VecDeque<Replied>,
}

/// An exchange that is over.
#[derive(Debug)]
pub struct Replied {
    /// It itself; of its messages the offsets count from the begin of the connection.
    pub exchange: CommandExchange,
    /// The bytes that answer it, as far as a document needs them.
    pub reply: ReplyBytes,
}

impl Dialogue {
    /// A connection that begins now; none where the protocol is no database's.
    pub fn new(protocol: Protocol) -> Option<Dialogue> {
        let opening = match protocol {
            Protocol::Redis => crate::redis::PROTOCOL.opening,
            Protocol::Postgres => crate::postgres::PROTOCOL.opening,
            Protocol::Mysql => crate::mysql::PROTOCOL.opening,
            Protocol::Http1 | Protocol::Http2 | Protocol::Opaque => None,
        };
        let start = Start {
            from: Watermark::default(),
            client_is_lost: false,
            server_is_lost: false,
            has_gap: false,
            begins: true,
            first_index: 0,
        };
        let nowhere = ([0, 0, 0, 0], 0).into();
        Some(Dialogue {
            parser: (opening?.start)(start),
            limits: Limits::default(),
            facts: FlowFacts {
                id: FlowId::default(),
                endpoints: Endpoints::normalised(nowhere, nowhere),
                round_trip_ns: None,
                before_capture: false,
            },
            node: Arc::from(""),
            books: Books::default(),
            events: VecDeque::new(),
            client: 0,
            server: 0,
            room: DocumentLimits::default().bytes,
            replies: HashMap::new(),
            done: VecDeque::new(),
        })
    }

    /// Takes bytes of the client.
    pub fn sent(&mut self, bytes: Bytes, time: Timestamp) {
        let (offset, after) = (self.client, self.server);
        self.client += bytes.len() as u64;
        self.piece(Direction::Client, (offset, after), bytes, time);
    }

    /// Takes bytes of the server.
    pub fn received(&mut self, bytes: Bytes, time: Timestamp) {
        let (offset, after) = (self.server, self.client);
        self.server += bytes.len() as u64;
        self.piece(Direction::Server, (offset, after), bytes, time);
    }

    /// The next exchange that is over.
    pub fn poll(&mut self) -> Option<Replied> {
        self.done.pop_front()
    }

    /// Whether [`poll`](Self::poll) has something to give.
    pub fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// Bytes of replies that are not over, and of what the parser holds.
    pub fn held_bytes(&self) -> u64 {
        let replies = self.replies.values();
        replies.map(|reply| reply.len() as u64).sum::<u64>() + self.parser.held_bytes()
    }

    fn piece(
        &mut self,
        direction: Direction,
        (offset, after): (u64, u64),
        bytes: Bytes,
        time: Timestamp,
    ) {
        if bytes.is_empty() {
            return;
        }
        let piece = Piece {
            offset,
            bytes,
            time,
            after: Some(after),
        };
        let mut sink = Sink {
            facts: self.facts,
            now: time,
            limits: &self.limits,
            node: &self.node,
            boot: 0,
            events: &mut self.events,
            books: &mut self.books,
        };
        self.parser.piece(direction, piece, &mut sink);
        for event in self.events.drain(..) {
            match event.kind {
                EventKind::CommandData {
                    exchange,
                    direction: Direction::Server,
                    chunk,
                    ..
                } => {
                    let reply = self.replies.entry(exchange).or_default();
                    reply.push(&chunk, self.room);
                }
                EventKind::Command(exchange) => {
                    let reply = self.replies.remove(&exchange.id).unwrap_or_default();
                    let exchange = *exchange;
                    self.done.push_back(Replied { exchange, reply });
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::make;

    fn words(replied: Option<Replied>) -> Option<(u64, String, String)> {
        let Replied { exchange, reply } = replied?;
        let offset = exchange.request.offset;
        let made = make(exchange, &reply, DocumentLimits::default());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = made.exchange.request.head.map(|head| text(&head.method));
        let reply = text(&made.response.unwrap_or_default());
        Some((offset, name.unwrap_or_default(), reply))
    }

    #[test]
    fn replies_come_with_the_commands_that_they_answer() {
        let mut dialogue = Dialogue::new(Protocol::Redis).expect("a database");
        let say = |dialogue: &mut Dialogue, text: &'static str, time| {
            dialogue.sent(Bytes::from_static(text.as_bytes()), Timestamp(time));
        };
        let hear = |dialogue: &mut Dialogue, text: &'static str, time| {
            dialogue.received(Bytes::from_static(text.as_bytes()), Timestamp(time));
        };
        say(&mut dialogue, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", 1);
        say(&mut dialogue, "*1\r\n$4\r\nPING\r\n", 2);
        hear(&mut dialogue, "$5\r\nhel", 3);
        assert_eq!(words(dialogue.poll()), None);
        assert_eq!(dialogue.held_bytes(), 7);
        hear(&mut dialogue, "lo\r\n+PONG\r\n", 4);
        let expected =
            |offset, name: &str, reply: &str| Some((offset, name.to_owned(), reply.to_owned()));
        assert_eq!(
            words(dialogue.poll()),
            expected(0, "GET", r#"{"reply":"hello"}"#)
        );
        assert_eq!(
            words(dialogue.poll()),
            expected(20, "PING", r#"{"reply":"PONG"}"#)
        );
        assert_eq!(dialogue.held_bytes(), 0);
    }

    #[test]
    fn what_is_no_database_has_none() {
        assert!(Dialogue::new(Protocol::Http1).is_none());
    }
}
