//! MySQL's client/server protocol, as MySQL 4.1 to 9 and MariaDB speak it.

mod commands;
mod cursor;
mod document;
mod done;
mod drive;
mod exchange;
mod frames;
mod login;
mod loss;
mod packets;
mod probe;
mod reply;
mod statements;
mod transaction;
mod values;

use self::exchange::{Open, Queue};
use self::frames::Frames;
use self::login::{Capabilities, Greeting};
use self::packets::Packets;
use self::reply::{Shape, Stage};
use self::statements::Statements;
use self::transaction::Transactions;
use crate::event::Watermark;
use crate::id::ExchangeId;
use crate::protocol::{Opening, Parser, Protocol, Start};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

pub(crate) use self::document::{read_reply, state_and_message};

pub(crate) const PROTOCOL: Protocol = Protocol {
    opening: Some(Opening {
        probe: probe::probe,
        probe_both: None,
        start: |start| Box::new(Mysql::new(start)),
    }),
    upgrade: None,
};

/// The parser of one flow.
#[derive(Debug)]
struct Mysql {
    client: Side,
    server: Side,
    queue: Queue,
    session: Session,
    /// Which packet of the reply in progress comes next.
    stage: Stage,
    /// Nothing was read yet.
    is_fresh: bool,
    /// What follows is another protocol: TLS, a stream of replication events.
    is_opaque: bool,
}

/// What holds for the whole connection.
#[derive(Debug, Default)]
struct Session {
    greeting: Option<Greeting>,
    /// What both sides can; None where the login was not seen.
    capabilities: Option<Capabilities>,
    /// Whether `OK` stands where `EOF` did, as far as it is known or was found.
    deprecates_eof: Option<bool>,
    /// Packets come in frames.
    is_framed: bool,
    statements: Statements,
    transactions: Transactions,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    packets: Packets,
    /// Present where packets come in compressed frames.
    frames: Option<Frames>,
    /// The message in progress belongs to this exchange.
    current: Option<ExchangeId>,
    /// The bytes of the frame in progress are given to this exchange.
    frame_exchange: Option<ExchangeId>,
    /// Where the frame in progress begins, and how long it is.
    frame_offset: u64,
    frame_bytes: u64,
    /// Commands of the frame in progress that were begun in it.
    begun_in_frame: u64,
    /// The command that the frame in progress begins has shown no packet yet.
    awaits_packet: bool,
    /// When the first byte of the header that is held was seen.
    header_time: Timestamp,
    /// The sequence number that comes next.
    expected: Option<u8>,
    /// Where it was lost; what follows need not be where a message starts.
    lost: Option<u64>,
    /// Where it was lost before it was regained.
    lost_from: u64,
    /// The next packet comes after a loss.
    is_regained: bool,
    /// The next message is a login.
    is_login: bool,
    /// Everything below is accounted for.
    consumed: u64,
}

impl Side {
    fn held(&self) -> &[u8] {
        match &self.frames {
            Some(frames) => frames.held(),
            None => self.packets.held(),
        }
    }

    fn is_in_frame(&self) -> bool {
        self.frames.as_ref().is_some_and(Frames::is_in_frame)
    }
}

/// Where a message begins.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    time: Timestamp,
    after: Option<u64>,
    sequence: u8,
}

impl Parser for Mysql {
    fn piece(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        self.run(direction, piece, sink);
        self.emit(sink);
    }

    fn gap(&mut self, direction: Direction, offset: u64, bytes: u64, sink: &mut Sink<'_>) {
        let end = offset + bytes;
        if !self.is_opaque {
            self.pass_gap(direction, offset, bytes, sink);
        }
        let side = self.side(direction);
        side.consumed = side.consumed.max(end);
        self.emit(sink);
    }

    fn end(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        if !self.is_opaque {
            self.stop(direction, "unfinished_head", sink);
        }
        self.emit(sink);
    }

    fn close(&mut self, _now: Timestamp, cause: &'static str, sink: &mut Sink<'_>) {
        for direction in [Direction::Client, Direction::Server] {
            self.stop(direction, cause, sink);
        }
        if let Some(open) = self.queue.receiving() {
            open.request_progress.damaged |= open.request_progress.begun;
            open.request_progress.done = true;
        }
        while self.queue.answering().is_some() {
            self.lose_reply();
        }
        self.queue.emit(sink);
    }

    fn held_bytes(&self) -> u64 {
        (self.client.held().len() + self.server.held().len()) as u64
    }

    fn state_bytes(&self) -> u64 {
        self.client.packets.head_bytes()
            + self.server.packets.head_bytes()
            + self.session.statements.cost()
            + self.queue.cost()
    }

    fn pending_exchanges(&self) -> u64 {
        self.queue.open.len() as u64
    }

    fn watermark(&self) -> Watermark {
        let mut mark = Watermark {
            client: self.client.consumed,
            server: self.server.consumed,
        };
        for open in &self.queue.open {
            if open.request_progress.begun {
                mark.client = mark.client.min(open.request.offset);
            }
            if open.response_progress.begun {
                mark.server = mark.server.min(open.response.offset);
            }
        }
        mark
    }

    fn next_index(&self) -> u32 {
        self.queue.next_index
    }
}

impl Mysql {
    fn new(start: Start) -> Mysql {
        let side = |consumed, is_lost: bool| Side {
            consumed,
            lost: is_lost.then_some(consumed),
            ..Side::default()
        };
        Mysql {
            client: side(start.from.client, start.client_is_lost),
            server: side(start.from.server, start.server_is_lost),
            queue: Queue::new(start.first_index),
            session: Session::default(),
            stage: Stage::First,
            is_fresh: true,
            is_opaque: false,
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }

    /// Emits what is over. While a frame is in progress its last bytes may belong to an exchange
    /// that is over otherwise.
    fn emit(&mut self, sink: &mut Sink<'_>) {
        if !self.client.is_in_frame() && !self.server.is_in_frame() {
            self.queue.emit(sink);
        }
    }

    /// A message begins: it is the next one of an exchange, or begins one.
    fn begin(&mut self, direction: Direction, place: Place, sink: &mut Sink<'_>) {
        match direction {
            Direction::Client => self.begin_command(place, sink),
            Direction::Server => self.begin_reply(place, sink),
        }
        self.is_fresh = false;
    }

    fn begin_command(&mut self, place: Place, sink: &mut Sink<'_>) {
        let is_framed = self.session.is_framed;
        let next_of_server = self.server.packets.sequence.wrapping_add(1);
        let next_of_client = self.client.packets.sequence;
        if self.queue.receiving().is_none() && !self.reopen(place.sequence) {
            self.open_command(place, sink);
        } else if let Some(open) = self.queue.receiving() {
            let is_next = match open.sends_file {
                // The packet that is begun is counted already.
                true => place.sequence == next_of_client,
                false => place.sequence == next_of_server,
            };
            if !is_next && !is_framed {
                open.request_progress.flags.set("unexpected_sequence");
            }
        }
        let Some(open) = self.queue.open.back_mut() else {
            return;
        };
        if !open.request_progress.begun {
            open.begin(Direction::Client, place.offset, place.time);
            open.request_after = place.after;
        }
        self.client.current = Some(open.id.clone());
    }

    /// True when a packet continues the last command: its client answers to what the server asked
    /// for, be that seen or not.
    fn reopen(&mut self, sequence: u8) -> bool {
        let Some(open) = self.queue.open.back_mut() else {
            return false;
        };
        let is_asked = matches!(open.shape, Shape::Login | Shape::Results);
        if sequence == 0 || open.response_progress.done || !is_asked {
            return false;
        }
        open.request_progress.done = false;
        open.sends_file = open.shape == Shape::Results;
        true
    }

    fn open_command(&mut self, place: Place, sink: &mut Sink<'_>) {
        self.settle_lost_replies(place.after);
        if self.stage == Stage::LastEof && place.after == Some(self.server.consumed) {
            // The client has had the whole reply.
            self.learn_eof(true);
            self.finish_reply();
        }
        if self.queue.is_full() {
            self.drop_oldest(sink);
        }
        let is_login = self.client.is_login;
        let shape = match is_login {
            true => Shape::Login,
            false => Shape::Unknown,
        };
        let mut open = Open::new(sink.exchange_id(place.offset, false), shape);
        if place.sequence != u8::from(is_login) {
            open.request_progress.flags.set("unexpected_sequence");
        }
        self.queue.open.push_back(open);
    }

    fn begin_reply(&mut self, place: Place, sink: &mut Sink<'_>) {
        let is_regained = std::mem::take(&mut self.server.is_regained);
        let is_greeting =
            self.queue.open.is_empty() && place.sequence == 0 && (self.is_fresh || is_regained);
        if is_greeting {
            self.open_login(place, sink);
        } else {
            if is_regained {
                self.settle_answered(place.offset);
            }
            if is_regained
                && let Some(open) = self.queue.answered()
                && open
                    .expected
                    .is_some_and(|expected| expected != place.sequence)
            {
                // What answered it was lost.
                self.lose_reply();
            }
            let index = self.queue.answering();
            let precedes = index
                .and_then(|index| self.queue.open.get(index)?.request_after)
                .is_some_and(|after| after > place.offset);
            if index.is_none() || precedes {
                let mut orphan = Open::new(sink.exchange_id(place.offset, true), Shape::Unknown);
                orphan.request_progress.done = true;
                let at = index.unwrap_or_else(|| self.queue.received());
                self.queue.open.insert(at, orphan);
            }
        }
        let is_framed = self.session.is_framed;
        let Some(open) = self.queue.answered() else {
            return;
        };
        let is_next = open
            .expected
            .is_none_or(|expected| expected == place.sequence);
        if !is_framed && !is_next {
            open.response_progress.flags.set("unexpected_sequence");
        }
        open.begin(Direction::Server, place.offset, place.time);
        open.reply();
        self.server.current = Some(open.id.clone());
    }

    /// The server speaks first, and its words belong to the client's login, which comes next.
    fn open_login(&mut self, place: Place, sink: &mut Sink<'_>) {
        let id = sink.exchange_id(place.offset, true);
        self.queue.open.push_back(Open::new(id, Shape::Login));
        self.client.is_login = true;
    }
}
