//! HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112), and what is left of HTTP/0.9.

mod body;
mod exchange;
mod fields;
mod framing;
mod head;
mod heads;
mod loss;
mod pair;
mod probe;
mod side;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::exchange::{Open, Queue};
use self::loss::Due;
use self::side::{Side, State};
use crate::event::Watermark;
use crate::protocol::{Opening, Parser, Protocol, Start};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

pub(crate) const PROTOCOL: Protocol = Protocol {
    opening: Some(Opening {
        probe: probe::probe,
        probe_both: None,
        start: |start| Box::new(Http1::new(start)),
    }),
    upgrade: None,
};

/// The parser of one flow.
#[derive(Debug)]
struct Http1 {
    client: Side,
    server: Side,
    queue: Queue,
    /// What the connection became (101, or 2xx to CONNECT).
    successor: Option<Box<dyn Parser>>,
    /// The request whose head is being received already is the last one in the queue, because
    /// its response came first.
    head_is_open: bool,
    /// The client has sent a request before it had the response to the one before.
    pipelines: bool,
    has_gap: bool,
    /// Nothing is held back in the hope of what is to come.
    releases: bool,
    /// The client has ended its direction, behind what is held back.
    end_waits: bool,
    /// Where the last response ended.
    answered: u64,
}

/// Where a head was.
struct HeadPlace {
    offset: u64,
    /// One past its last byte.
    end: u64,
    first_byte: Timestamp,
    last_byte: Timestamp,
    /// Up to where its sender had acknowledged the other direction when it sent the first byte,
    /// and when it sent the byte before; None where that was not seen.
    after: Option<u64>,
    before: Option<u64>,
}

impl Parser for Http1 {
    fn piece(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        if direction == Direction::Server {
            self.end_simple_request(sink);
        }
        self.side(direction).push(piece);
        self.run(direction, sink);
        if direction == Direction::Server {
            // A response may have released what the client sent after its request.
            self.run(Direction::Client, sink);
            self.end_if_due(sink);
        }
        if self.client.held_bytes() > sink.limits.flow_buffer_bytes {
            self.release(sink);
        }
        self.emit(sink);
        if self.queue.open.is_empty() {
            self.client.rest();
            self.server.rest();
        }
    }

    fn gap(&mut self, direction: Direction, offset: u64, bytes: u64, sink: &mut Sink<'_>) {
        self.release(sink);
        self.has_gap = true;
        let end = offset + bytes;
        let state = self.side(direction).state;
        match state {
            State::Tunnel | State::Between if let Some(successor) = &mut self.successor => {
                successor.gap(direction, offset, bytes, sink);
                self.side(direction).state = State::Tunnel;
            }
            State::Tunnel | State::Between => self.lose(direction, offset),
            State::Head { .. } => {
                self.abandon_head(direction, "gap_in_head", sink);
                self.lose(direction, offset);
            }
            State::UntilClose => {
                self.damage(direction);
                self.lose_body(direction, bytes, sink);
            }
            State::Length(left) | State::ChunkData(left) if bytes <= left => {
                self.damage(direction);
                self.lose_body(direction, bytes, sink);
                let side = self.side(direction);
                side.consumed = end;
                match (&mut side.state, left - bytes) {
                    (State::ChunkData(left), 0) => {
                        *left = 0;
                        side.state = State::ChunkEnd;
                    }
                    (State::Length(_), 0) => self.finish(direction),
                    (State::Length(left) | State::ChunkData(left), rest) => *left = rest,
                    _ => {}
                }
            }
            State::Length(_)
            | State::ChunkData(_)
            | State::ChunkSize
            | State::ChunkEnd
            | State::Trailers { .. } => self.break_off(direction, "gap_in_framing", offset, sink),
        }
        self.side(direction).skip_gap(end);
        self.settle_lost_responses();
        self.emit(sink);
    }

    fn end(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        if direction == Direction::Client {
            self.end_waits = true;
            self.run(Direction::Client, sink);
            if self.client.has_input() {
                // The response may be under way that tells what the last of it is.
                return self.emit(sink);
            }
            self.end_waits = false;
            self.end_simple_request(sink);
        }
        self.side(direction).ended = true;
        self.stop(direction, true, "unfinished_head", sink);
        if direction == Direction::Server {
            // No response is waited for any more; the rest of a line still is.
            self.run(Direction::Client, sink);
            self.end_if_due(sink);
        }
        self.emit(sink);
        if let Some(successor) = &mut self.successor {
            successor.end(direction, sink);
        }
    }

    fn close(&mut self, now: Timestamp, cause: &'static str, sink: &mut Sink<'_>) {
        self.release(sink);
        if let Some(successor) = &mut self.successor {
            successor.close(now, cause, sink);
        }
        for direction in [Direction::Client, Direction::Server] {
            self.stop(direction, false, cause, sink);
            // Nothing can be left, but what is must not vanish.
            let rest = self.side(direction).drop_held();
            sink.discard(cause, rest);
        }
        let place = self.watermark_of_sides();
        for open in &mut self.queue.open {
            open.request_progress.damaged |= !open.request_progress.done;
            open.finish(Direction::Client, place.client);
            open.response_progress.damaged |=
                !open.response_progress.done && open.response.head.is_some();
            open.finish(Direction::Server, place.server);
        }
        self.emit(sink);
    }

    fn held_bytes(&self) -> u64 {
        let successor = self.successor.as_ref().map_or(0, |next| next.held_bytes());
        self.client.held_bytes() + self.server.held_bytes() + successor
    }

    fn pending_exchanges(&self) -> u64 {
        let successor = self.successor.as_ref();
        self.queue.open.len() as u64 + successor.map_or(0, |next| next.pending_exchanges())
    }

    fn watermark(&self) -> Watermark {
        let mut mark = self.watermark_of_sides();
        let mut starts = self.queue.open.iter().filter(|open| !open.id.from_response);
        if let Some(open) = starts.next() {
            mark.client = mark.client.min(open.request.offset);
        }
        if !self.queue.open.is_empty() {
            let starts = self
                .queue
                .open
                .iter()
                .filter_map(|open| open.response_start);
            mark.server = starts.min().unwrap_or(mark.server).min(mark.server);
        }
        mark
    }

    fn next_index(&self) -> u32 {
        let successor = self.successor.as_ref();
        successor.map_or(self.queue.next_index, |next| next.next_index())
    }

    fn state_bytes(&self) -> u64 {
        let successor = self.successor.as_ref();
        self.queue.cost() + successor.map_or(0, |next| next.state_bytes())
    }
}

impl Http1 {
    fn new(start: Start) -> Http1 {
        Http1 {
            client: Side::new(start.from.client, start.client_is_lost),
            server: Side::new(start.from.server, start.server_is_lost),
            queue: Queue::new(start.first_index),
            successor: None,
            head_is_open: false,
            pipelines: false,
            has_gap: start.has_gap,
            releases: false,
            end_waits: false,
            answered: 0,
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }

    /// Emits the exchanges that are over, or hands them over.
    fn emit(&mut self, sink: &mut Sink<'_>) {
        self.queue.emit(sink);
        if let Some(exchange) = self.queue.handed_over.take()
            && let Some(successor) = &mut self.successor
        {
            successor.adopt(exchange, sink);
        }
    }

    fn watermark_of_sides(&self) -> Watermark {
        let of_successor = self.successor.as_ref().map(|next| next.watermark());
        let of = |side: &Side, direction| match of_successor {
            Some(mark) if side.state == State::Tunnel => mark.of(direction),
            Some(mark) => side.consumed.min(mark.of(direction)),
            None => side.consumed,
        };
        Watermark {
            client: of(&self.client, Direction::Client),
            server: of(&self.server, Direction::Server),
        }
    }

    /// Parses as far as the bytes go.
    fn run(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        while self.side(direction).has_input() {
            let limit = sink.limits.max_head_bytes as usize;
            let state = self.side(direction).state;
            match state {
                State::Tunnel => {
                    // What the successor makes of them follows the exchange.
                    self.queue.emit(sink);
                    for piece in self.side(direction).take_all() {
                        if let Some(successor) = &mut self.successor {
                            successor.piece(direction, piece, sink);
                        }
                    }
                }
                State::Between if self.successor.is_some() => {
                    self.side(direction).state = State::Tunnel;
                }
                State::Between => {
                    if direction == Direction::Client && self.is_blocked() {
                        return;
                    }
                    if direction == Direction::Server {
                        // The response before may have released the next request.
                        if !self.is_blocked() {
                            self.run(Direction::Client, sink);
                        }
                        if self.begins_simple_response() {
                            continue;
                        }
                    }
                    let skipped = self.side(direction).skip_line_ends();
                    sink.framing(skipped);
                    if self.side(direction).has_input() {
                        self.side(direction).start_head();
                    }
                }
                State::Head { .. } => self.run_head(direction, limit, sink),
                State::Length(_) | State::ChunkData(_) | State::ChunkSize | State::UntilClose => {
                    match self.due(direction) {
                        Due::Unknown => return,
                        Due::Request => self.leave_out_body(),
                        Due::Body if state == State::ChunkSize => {
                            self.run_chunk_size(direction, limit, sink);
                        }
                        Due::Body => self.run_body(direction, sink),
                    }
                }
                State::ChunkEnd => self.run_chunk_end(direction, sink),
                State::Trailers { .. } => self.run_trailers(direction, limit, sink),
            }
        }
    }

    fn run_head(&mut self, direction: Direction, limit: usize, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        // Where it is unsure that a message starts, nothing unusual is taken for one.
        let (is_unsure, is_first) = (side.is_lost() || !side.is_sure, !side.has_had_head);
        let probe = |bytes: &[u8]| match (is_unsure, is_first) {
            (true, _) => probe::probe(direction, bytes, false),
            (false, true) => probe::accept(direction, bytes),
            (false, false) => probe::follow(direction, bytes),
        };
        match self.side(direction).take_head(limit, probe) {
            side::Head::Partial => {}
            side::Head::NotMine(bytes) => {
                let side = self.side(direction);
                let cause = match side.is_lost() {
                    true => "resync",
                    false => "malformed",
                };
                let offset = side.consumed - bytes as u64;
                sink.discard(cause, bytes);
                let was_lost = self.side(direction).is_lost();
                if direction == Direction::Server
                    && !was_lost
                    && let Some(index) = self.queue.answering()
                {
                    let open = &mut self.queue.open[index];
                    open.response_progress.flags.set("malformed_status_line");
                    open.response_progress.damaged = true;
                }
                self.lose(direction, offset);
                self.settle_lost_responses();
            }
            side::Head::TooLong => {
                self.flag_next(direction, "head_too_large");
                self.abandon_head(direction, "head_too_large", sink);
                let offset = self.side(direction).consumed;
                self.lose(direction, offset);
            }
            side::Head::Whole(bytes, place) => self.head(direction, &bytes, &place, sink),
        }
    }

    fn head(
        &mut self,
        direction: Direction,
        bytes: &Bytes,
        place: &HeadPlace,
        sink: &mut Sink<'_>,
    ) {
        self.side(direction).has_had_head = true;
        let taken = match direction {
            Direction::Client => self.request_head(bytes, place, sink),
            Direction::Server => self.response_head(bytes, place, sink),
        };
        match taken {
            true => sink.message(bytes.len()),
            false => {
                sink.discard("malformed", bytes.len());
                self.lose(direction, place.offset);
            }
        }
    }

    /// The line of a request of HTTP/0.9 is all that its client sends: when the server answers,
    /// or the client ends, there is no more of the head to come.
    fn end_simple_request(&mut self, sink: &mut Sink<'_>) {
        if let Some((bytes, place)) = self.client.take_simple_head() {
            self.head(Direction::Client, &bytes, &place, sink);
        }
    }

    /// The exchange whose message is being received in `direction`.
    fn current(&mut self, direction: Direction) -> Option<&mut Open> {
        match direction {
            Direction::Client => self.queue.open.back_mut().map(Box::as_mut),
            Direction::Server => {
                let index = self.queue.answering()?;
                self.queue.open.get_mut(index).map(Box::as_mut)
            }
        }
    }

    fn touch(&mut self, direction: Direction, time: Timestamp) {
        if let Some(open) = self.current(direction) {
            open.touch(direction, time);
        }
    }

    fn flag(&mut self, direction: Direction, flag: &'static str) {
        if let Some(open) = self.current(direction) {
            open.progress(direction).flags.set(flag);
        }
    }

    /// Flags the response that is being waited for.
    fn flag_next(&mut self, direction: Direction, flag: &'static str) {
        if direction == Direction::Server {
            self.flag(direction, flag);
        }
    }

    fn damage(&mut self, direction: Direction) {
        if let Some(open) = self.current(direction) {
            open.progress(direction).damaged = true;
        }
    }

    fn lose_body(&mut self, direction: Direction, bytes: u64, sink: &mut Sink<'_>) {
        if let Some(open) = self.current(direction) {
            open.lose_body(direction, bytes, sink);
        }
    }

    /// The message in `direction` is over.
    fn finish(&mut self, direction: Direction) {
        let side = self.side(direction);
        side.state = State::Between;
        let end = side.consumed;
        if let Some(open) = self.current(direction) {
            open.finish(direction, end);
        }
        if direction == Direction::Server {
            self.answered = end;
            let next = self.queue.answering();
            let next = next.and_then(|index| self.queue.open.get(index));
            self.pipelines |=
                next.is_some_and(|open| open.request_after.is_some_and(|after| after < end));
        }
    }

    /// Parses what is held back, without waiting for the response.
    fn release(&mut self, sink: &mut Sink<'_>) {
        self.releases = true;
        self.run(Direction::Client, sink);
        self.releases = false;
        self.end_if_due(sink);
    }

    /// Ends the client's direction, where that waited for what was held back.
    fn end_if_due(&mut self, sink: &mut Sink<'_>) {
        if self.end_waits && !self.client.has_input() {
            self.end(Direction::Client, sink);
        }
    }
}
