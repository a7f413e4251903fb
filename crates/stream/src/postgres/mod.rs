//! PostgreSQL's frontend/backend protocol, versions 3.0 and 3.2.
//!
//! An exchange is what a client can be said to ask at once, with everything that answers it:
//! - a start-up packet with the whole authentication, up to ReadyForQuery; a request for
//!   encryption; a cancel request, which has no reply;
//! - a Query or FunctionCall message, up to ReadyForQuery;
//! - in the extended protocol a run of messages in the order Parse, Describe, Bind, Describe,
//!   Execute, of which each may be absent, with the Sync or Flush that follows it directly. It is
//!   named after the most telling of them. Messages that break this order, Close, and whatever
//!   follows a Sync or Flush begin another exchange, so that each Execute of a pipeline has its
//!   own. Replies are counted off against the messages; ReadyForQuery belongs to the Sync.
//!
//! What the server says without being asked is an exchange without a request.

mod client;
mod document;
mod exchange;
mod loss;
mod probe;
mod queue;
mod read;
mod server;
mod side;
mod statement;
mod transaction;
mod values;

use bytes::Bytes;

use self::exchange::Open;
use self::probe::Head;
use self::queue::Queue;
use self::read::Fields;
use self::side::{Content, Input, Inside, Side, State, Target};
use self::statement::Prepared;
use self::transaction::Transactions;
use crate::event::{EventKind, Watermark};
use crate::protocol::{Opening, Parser, Protocol, Start};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

pub(crate) use self::document::read_reply;

pub(crate) const PROTOCOL: Protocol = Protocol {
    opening: Some(Opening {
        probe: probe::probe,
        probe_both: None,
        start: |start| Box::new(Postgres::new(start)),
    }),
    upgrade: None,
};

/// Type and length of a message.
const HEAD_BYTES: usize = 5;

/// Length and code of a packet without type.
const UNTAGGED_HEAD_BYTES: usize = 8;

/// Where a message begins.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    offset: u64,
    time: Timestamp,
    /// Up to where its sender had acknowledged the other direction.
    after: Option<u64>,
}

/// The parser of one flow.
#[derive(Debug)]
struct Postgres {
    client: Side,
    server: Side,
    queue: Queue,
    /// Replies to a request that is unknown.
    orphan: Option<Open>,
    /// What the server says without being asked.
    push: Option<Open>,
    prepared: Prepared,
    transactions: Transactions,
    /// The exchange that the next message of the extended protocol may join.
    group: Option<u64>,
    /// The exchange that authenticates.
    starting: Option<u64>,
    /// The exchange whose copy data the client sends.
    copying: Option<u64>,
    /// The server passes over everything up to the next Sync.
    is_skipping: bool,
    /// The client asked for encryption last.
    may_encrypt: bool,
    /// The server's first bytes are the first of the connection.
    at_server_start: bool,
    /// Replies to requests that were missed may be taken for others.
    in_doubt: bool,
    /// Where a ReadyForQuery ended, if it was one of replies in doubt.
    settled_at: Option<u64>,
    /// Where the server's last ReadyForQuery ended, if nothing came after it.
    idle_from: Option<u64>,
}

impl Parser for Postgres {
    fn piece(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        self.run(direction, Input::new(piece), sink);
        self.queue.emit(sink);
    }

    fn gap(&mut self, direction: Direction, offset: u64, bytes: u64, sink: &mut Sink<'_>) {
        self.skip_gap(direction, offset, bytes, sink);
        let side = self.side(direction);
        side.consumed = side.consumed.max(offset + bytes);
        self.emit_asides(sink);
        self.queue.emit(sink);
    }

    fn end(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        self.stop(direction, "unfinished_head", sink);
        self.emit_asides(sink);
        self.queue.emit(sink);
    }

    fn close(&mut self, _now: Timestamp, cause: &'static str, sink: &mut Sink<'_>) {
        for direction in [Direction::Client, Direction::Server] {
            self.stop(direction, cause, sink);
        }
        self.give_up();
        self.emit_asides(sink);
        self.queue.emit(sink);
    }

    fn held_bytes(&self) -> u64 {
        (self.client.partial.len() + self.server.partial.len()) as u64
    }

    fn state_bytes(&self) -> u64 {
        self.client.kept_bytes()
            + self.server.kept_bytes()
            + self.prepared.cost()
            + self.queue.cost()
    }

    fn pending_exchanges(&self) -> u64 {
        let asides = usize::from(self.orphan.is_some()) + usize::from(self.push.is_some());
        (self.queue.len() + asides) as u64
    }

    fn watermark(&self) -> Watermark {
        let mut mark = self.queue.watermark(Watermark {
            client: self.client.consumed,
            server: self.server.consumed,
        });
        for aside in [&self.orphan, &self.push].into_iter().flatten() {
            mark.server = mark.server.min(aside.answer_offset());
        }
        mark
    }

    fn next_index(&self) -> u32 {
        self.queue.next_index
    }
}

impl Postgres {
    fn new(start: Start) -> Postgres {
        let mut queue = Queue::default();
        queue.next_index = start.first_index;
        if start.client_is_lost {
            queue.lose_requests();
        }
        Postgres {
            client: Side::new(start.from.client, start.client_is_lost),
            server: Side::new(start.from.server, start.server_is_lost),
            queue,
            orphan: None,
            push: None,
            prepared: Prepared::default(),
            transactions: Transactions::default(),
            group: None,
            starting: None,
            copying: None,
            is_skipping: false,
            may_encrypt: false,
            at_server_start: !start.server_is_lost && start.from.server == 0,
            in_doubt: false,
            settled_at: None,
            idle_from: None,
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }

    fn open(&mut self, target: Target) -> Option<&mut Open> {
        match target {
            Target::Queued(position) => self.queue.get(position),
            Target::Orphan => self.orphan.as_mut(),
            Target::Push => self.push.as_mut(),
        }
    }

    /// Parses as far as the bytes go.
    fn run(&mut self, direction: Direction, mut input: Input, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        if side.partial.is_empty() {
            // What lies between was passed over before this parser began.
            side.consumed = side.consumed.max(input.offset());
        }
        if matches!(side.state, State::Lost) {
            self.regain(direction, &mut input, sink);
        }
        while !input.is_over() {
            match self.side(direction).state {
                State::Between => self.start(direction, &mut input, sink),
                State::Inside(_) => self.go_on(direction, &mut input, sink),
                State::Lost => {
                    // Messages are looked for where segments start, nowhere else.
                    self.flush(direction, &mut input, sink);
                    let rest = input.take_rest();
                    sink.discard("resync", rest.bytes.len());
                    self.side(direction).consumed = rest.end();
                }
                State::Opaque => {
                    self.flush(direction, &mut input, sink);
                    let rest = input.take_rest();
                    self.side(direction).consumed = rest.end();
                    sink.opaque(direction, rest);
                }
            }
        }
        self.flush(direction, &mut input, sink);
        self.emit_asides(sink);
    }

    /// Takes the head of a message.
    fn start(&mut self, direction: Direction, input: &mut Input, sink: &mut Sink<'_>) {
        if self.turns_opaque(direction, input) {
            return self.make_opaque(sink);
        }
        if direction == Direction::Server && self.is_negotiating(input) {
            return self.negotiate(input, sink);
        }
        let side = self.side(direction);
        let rest = input.rest();
        let first = side.partial.first().or(rest.first());
        let size = match (direction, first) {
            (Direction::Client, Some(0)) => UNTAGGED_HEAD_BYTES,
            _ => HEAD_BYTES,
        };
        let held = side.partial.len();
        if held == 0 {
            side.partial_place = input.place();
        }
        let place = side.partial_place;
        let mut head = [0; UNTAGGED_HEAD_BYTES];
        let mut filled = 0;
        for (to, from) in head
            .iter_mut()
            .take(size)
            .zip(side.partial.iter().chain(rest))
        {
            *to = *from;
            filled += 1;
        }
        let taken = filled - held;
        if filled < size {
            self.flush(direction, input, sink);
            self.side(direction).partial = head[..filled].to_vec();
            return input.pass(taken);
        }
        match self.message(direction, &head[..size], &place, sink) {
            Some(inside) => {
                if input.target != Some(inside.target) {
                    self.flush(direction, input, sink);
                    input.target = Some(inside.target);
                }
                let partial = std::mem::take(&mut self.side(direction).partial);
                self.deliver(direction, inside.target, partial.into(), input.time, sink);
                input.at += taken;
                self.side(direction).consumed = input.offset();
                self.add(direction, inside.target, size, input, sink);
                let is_whole = inside.left == 0;
                self.side(direction).state = State::Inside(inside);
                if is_whole {
                    self.complete(direction, Some(&[]), sink);
                    self.settle_asides(direction, input, sink);
                }
            }
            None => {
                self.flush(direction, input, sink);
                self.side(direction).partial.clear();
                input.pass(taken);
                sink.discard("malformed", size);
                self.side(direction).consumed = input.offset();
                self.lose(direction, place.offset);
            }
        }
    }

    /// Reads the head of a message; None when it can't be one.
    fn message(
        &mut self,
        direction: Direction,
        head: &[u8],
        place: &Place,
        sink: &mut Sink<'_>,
    ) -> Option<Inside> {
        let mut fields = Fields(head);
        let limit = sink.limits.max_head_bytes;
        let (tag, length, code) = match head.len() {
            HEAD_BYTES => (fields.byte()?, fields.int32()? as u32, 0),
            _ => (0, fields.int32()? as u32, fields.int32()? as u32),
        };
        let is_sound = match tag {
            0 if direction == Direction::Client => probe::is_untagged(length, code),
            _ => probe::head(direction, tag, length) != Head::BadLength,
        };
        if !is_sound {
            self.flag_malformed(direction, tag, place, sink);
            return None;
        }
        let target = match direction {
            Direction::Client if tag == 0 => self.ask_untagged(code, place, sink),
            Direction::Client => self.ask(tag, place, sink),
            Direction::Server => self.answer(tag, place, sink),
        };
        // The type is not part of the length.
        let whole = match tag {
            0 => u64::from(length),
            _ => u64::from(length) + 1,
        };
        let left = whole.saturating_sub(head.len() as u64);
        let is_read = match direction {
            Direction::Client => client::is_read(tag),
            Direction::Server => server::is_read(tag),
        };
        let content = match is_read && left <= limit {
            true => Content::Kept(Vec::new()),
            false => Content::Skipped,
        };
        Some(Inside {
            tag,
            code,
            target,
            left,
            content,
        })
    }

    /// Takes bytes of a message.
    fn go_on(&mut self, direction: Direction, input: &mut Input, sink: &mut Sink<'_>) {
        let State::Inside(inside) = &mut self.side(direction).state else {
            return;
        };
        let rest = input.rest();
        let taken = usize::try_from(inside.left).map_or(rest.len(), |left| left.min(rest.len()));
        inside.left -= taken as u64;
        let is_over = inside.left == 0;
        let target = inside.target;
        let mut whole = None;
        if let Content::Kept(kept) = &mut inside.content {
            match is_over && kept.is_empty() {
                true => whole = Some(input.slice(taken)),
                false => kept.extend_from_slice(&rest[..taken]),
            }
        }
        if input.target != Some(target) {
            self.flush(direction, input, sink);
            input.target = Some(target);
        }
        input.at += taken;
        self.side(direction).consumed = input.offset();
        self.add(direction, target, taken, input, sink);
        if is_over {
            self.complete(direction, whole.as_deref(), sink);
            self.settle_asides(direction, input, sink);
        }
    }

    /// The last byte of a message was seen. Its content is `whole`, or what was kept.
    fn complete(&mut self, direction: Direction, whole: Option<&[u8]>, sink: &mut Sink<'_>) {
        let state = std::mem::replace(&mut self.side(direction).state, State::Between);
        let State::Inside(inside) = state else {
            return;
        };
        let content = match &inside.content {
            Content::Kept(kept) if kept.is_empty() => whole,
            Content::Kept(kept) => Some(&kept[..]),
            Content::Skipped => None,
        };
        match direction {
            Direction::Client => self.asked(&inside, content, sink),
            Direction::Server => self.answered(&inside, content, sink),
        }
    }

    /// Counts bytes of a message.
    fn add(
        &mut self,
        direction: Direction,
        target: Target,
        bytes: usize,
        input: &Input,
        sink: &mut Sink<'_>,
    ) {
        sink.message(bytes);
        if let Some(open) = self.open(target) {
            open.add(direction, bytes, input.time);
        }
    }

    /// Hands on the messages of one exchange that lie together.
    fn flush(&mut self, direction: Direction, input: &mut Input, sink: &mut Sink<'_>) {
        let chunk = input.take_chunk();
        if let Some(target) = input.target {
            self.deliver(direction, target, chunk, input.time, sink);
        }
    }

    fn deliver(
        &mut self,
        direction: Direction,
        target: Target,
        chunk: Bytes,
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        if chunk.is_empty() {
            return;
        }
        if let Some(open) = self.open(target) {
            let exchange = open.id.clone();
            sink.event(EventKind::CommandData {
                exchange,
                direction,
                chunk,
                time,
            });
        }
    }

    /// Emits what is over and stands beside the queue, after the last of its bytes.
    fn settle_asides(&mut self, direction: Direction, input: &mut Input, sink: &mut Sink<'_>) {
        let is_over = |open: &Option<Open>| open.as_ref().is_some_and(Open::is_over);
        if is_over(&self.orphan) || is_over(&self.push) {
            self.flush(direction, input, sink);
            input.target = None;
            self.emit_asides(sink);
        }
    }

    fn emit_asides(&mut self, sink: &mut Sink<'_>) {
        for aside in [&mut self.orphan, &mut self.push] {
            if let Some(open) = aside.take_if(|open| open.is_over()) {
                self.queue.emit_one(open, sink);
            }
        }
    }

    /// True when what follows is not for this parser to read: the client asked for encryption,
    /// and goes on with something else than a packet in the clear.
    fn turns_opaque(&mut self, direction: Direction, input: &Input) -> bool {
        if direction == Direction::Server || !self.may_encrypt {
            return false;
        }
        let first: Vec<u8> = (self.client.partial.iter().chain(input.rest()))
            .take(UNTAGGED_HEAD_BYTES)
            .copied()
            .collect();
        let mut fields = Fields(&first);
        match (fields.int32(), fields.int32()) {
            (Some(length), Some(code)) => !probe::is_untagged(length as u32, code as u32),
            _ => first.first() != Some(&0),
        }
    }

    /// Both directions carry something else from here on.
    fn make_opaque(&mut self, sink: &mut Sink<'_>) {
        for direction in [Direction::Client, Direction::Server] {
            self.stop(direction, "malformed", sink);
            self.side(direction).state = State::Opaque;
        }
        self.give_up();
    }
}
