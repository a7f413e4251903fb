//! One flow: its two directions, its handshake, its reader, and how it ends.

mod place;

pub(crate) use self::place::is_mid_stream;
use crate::detect::Reader;
use crate::event::{CloseReason, EventKind, Watermark};
use crate::limits::Limits;
use crate::marks::Marks;
use crate::protocol::Parser as _;
use crate::segment::{Direction, Endpoints, Segment, TcpFlags};
use crate::sink::{FlowFacts, Sink};
use crate::tcp::{Half, Handshake, Overdue, Piece};
use crate::time::Timestamp;

/// A SYN inside a live flow, until somebody answers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewSyn {
    pub sequence: u32,
    pub sender: Direction,
    pub time: Timestamp,
}

/// What announced that a flow ends. Most flows have none of it for most of their lives.
#[derive(Debug, Default)]
struct Ending {
    /// An RST was seen from this direction then.
    reset: Option<(Timestamp, Direction)>,
    /// The kernel closed it then.
    closing: Option<Timestamp>,
}

/// One flow.
#[derive(Debug)]
pub(crate) struct Flow {
    pub facts: FlowFacts,
    client: Half,
    server: Half,
    /// Until it is over.
    handshake: Option<Box<Handshake>>,
    handshake_is_over: bool,
    reader: Reader,
    marks: [Marks; 2],
    pub last_active: Timestamp,
    /// When it was last active, counted in segments of all flows.
    pub touched: u64,
    ending: Option<Box<Ending>>,
    /// It is over since; it stays for a while to recognise late duplicates.
    pub closed: Option<Timestamp>,
    pub new_syn: Option<Box<NewSyn>>,
    /// What this flow holds, as counted into the sum over all flows.
    pub counted_bytes: u64,
    pub counted_cost: u64,
    pub counted_exchanges: u64,
    /// The time for which the timer queue has an entry.
    pub scheduled: Option<Timestamp>,
}

impl Flow {
    pub fn new(facts: FlowFacts, now: Timestamp) -> Flow {
        Flow {
            facts,
            client: Half::default(),
            server: Half::default(),
            handshake: None,
            handshake_is_over: false,
            reader: Reader::new(facts.before_capture),
            marks: [Marks::default(), Marks::default()],
            last_active: now,
            touched: 0,
            ending: None,
            closed: None,
            new_syn: None,
            counted_bytes: 0,
            counted_cost: 0,
            counted_exchanges: 0,
            scheduled: None,
        }
    }

    /// A flow that goes on where an earlier life left it.
    pub fn resumed(facts: FlowFacts, watermark: Watermark, first_index: u32) -> Flow {
        let mut flow = Flow::new(facts, Timestamp::default());
        flow.client.resume(watermark.client);
        flow.server.resume(watermark.server);
        flow.reader = Reader::resumed(watermark, first_index);
        flow
    }

    pub fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }

    /// True before any payload was seen.
    pub fn is_empty(&self) -> bool {
        !self.client.has_data && !self.server.has_data
    }

    /// When the SYN was seen of a connection that is not made yet.
    pub fn opening(&self) -> Option<Timestamp> {
        self.handshake.as_ref()?.opening()
    }

    pub fn is_resetting(&self) -> bool {
        self.reset().is_some()
    }

    fn reset(&self) -> Option<(Timestamp, Direction)> {
        self.ending.as_ref()?.reset
    }

    fn closing(&self) -> Option<Timestamp> {
        self.ending.as_ref()?.closing
    }

    /// Notes an RST of `direction`.
    fn begin_reset(&mut self, direction: Direction, now: Timestamp) {
        let ending = self.ending.get_or_insert_default();
        ending.reset.get_or_insert((now, direction));
    }

    /// Whoever sent that RST, the connection goes on.
    fn forget_reset(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.reset = None;
        }
    }

    pub fn held_bytes(&self) -> u64 {
        self.client.waiting_bytes() + self.server.waiting_bytes() + self.reader.held_bytes()
    }

    /// What the held bytes, and what is known of the flow, cost in memory.
    pub fn cost(&self) -> u64 {
        self.client.cost()
            + self.server.cost()
            + self.reader.held_bytes()
            + self.reader.state_bytes()
    }

    pub fn pending_exchanges(&self) -> u64 {
        self.reader.pending_exchanges()
    }

    pub fn watermark(&self) -> Watermark {
        self.reader.watermark()
    }

    pub fn next_index(&self) -> u32 {
        self.reader.next_index()
    }

    pub fn held_marks(&self, f: &mut dyn FnMut(u64, u64)) {
        for marks in &self.marks {
            marks.each(f);
        }
    }

    /// When this flow needs [`Flow::timeout`].
    pub fn due(&self, limits: &Limits) -> Timestamp {
        if let Some(closed) = self.closed {
            return closed.plus_ns(limits.linger_ns);
        }
        let idle = self.last_active.plus_ns(limits.idle_ns);
        [
            self.reset().map(|(time, _)| time.plus_ns(limits.linger_ns)),
            self.closing().map(|time| time.plus_ns(limits.linger_ns)),
            self.client.gap_due(limits),
            self.server.gap_due(limits),
        ]
        .into_iter()
        .flatten()
        .fold(idle, Timestamp::min)
    }

    /// Takes a segment that belongs to this flow, sent in `direction`.
    pub fn segment(&mut self, direction: Direction, segment: &Segment, sink: &mut Sink<'_>) {
        let now = sink.now;
        self.last_active = now;
        let flags = segment.flags;
        self.see_handshake(direction, segment);
        sink.facts.round_trip_ns = self.facts.round_trip_ns;
        let Some(offset) = self.place(direction, segment) else {
            if flags.has(TcpFlags::RST) {
                // A refusal: the sender has sent nothing before.
                self.begin_reset(direction, sink.now);
            }
            return self.refuse(segment, "no_place", sink);
        };
        if self.closed.is_some() {
            return self.late(direction, offset, segment, sink);
        }
        let after = self.see_acknowledgement(direction, offset, segment);
        if flags.has(TcpFlags::RST) {
            self.refuse(segment, "reset_payload", sink);
            self.see_reset(direction, offset, segment, sink);
        } else {
            self.take_payload(direction, offset, after, segment, sink);
            if flags.has(TcpFlags::FIN) {
                let end = offset.max(0) as u64 + u64::from(segment.wire_bytes);
                let dropped = self.half(direction).set_fin(end);
                sink.discard("after_end", dropped as usize);
            }
        }
        self.drain(now, sink);
        if let Some(is_tls) = self.reader.take_unclaimed() {
            sink.event(EventKind::Unclaimed { is_tls });
        }
        self.client.age_hole(now);
        self.server.age_hole(now);
        self.finish_if_ended(now, sink);
    }

    /// The kernel closed the socket.
    pub fn kernel_close(
        &mut self,
        time: Timestamp,
        finals: Option<(u64, u64)>,
        sink: &mut Sink<'_>,
    ) {
        if self.closed.is_some() {
            return;
        }
        let time = time.max(sink.now);
        self.last_active = time;
        let ending = self.ending.get_or_insert_default();
        ending.closing.get_or_insert(time);
        if let Some((client, server)) = finals {
            for (half, end) in [(&mut self.client, client), (&mut self.server, server)] {
                let dropped = half.set_fin(end);
                sink.discard("after_end", dropped as usize);
            }
        }
        self.drain(time, sink);
        self.finish_if_ended(time, sink);
    }

    /// Does what is due; true when the flow can be forgotten.
    pub fn timeout(&mut self, now: Timestamp, sink: &mut Sink<'_>) -> bool {
        let limits = sink.limits;
        let is_past = |time: Timestamp| now >= time.plus_ns(limits.linger_ns);
        if let Some(closed) = self.closed {
            return is_past(closed);
        }
        self.drain(now, sink);
        self.finish_if_ended(now, sink);
        if self.closed.is_some() {
            return false;
        }
        if self.reset().is_some_and(|(time, _)| is_past(time)) {
            self.close(now, CloseReason::Reset, sink);
        } else if self.closing().is_some_and(is_past) {
            self.close(now, CloseReason::Closed, sink);
        } else if now >= self.last_active.plus_ns(limits.idle_ns) {
            self.close(now, CloseReason::Idle, sink);
            return true;
        }
        false
    }

    /// Ends the flow. What it holds is finished or discarded.
    pub fn close(&mut self, now: Timestamp, reason: CloseReason, sink: &mut Sink<'_>) {
        if self.closed.is_some() {
            return;
        }
        let cause = match reason {
            CloseReason::Evicted => "evicted",
            _ => "unfinished_head",
        };
        if reason == CloseReason::Evicted {
            for direction in [Direction::Client, Direction::Server] {
                let waiting = self.half(direction).drop_waiting();
                sink.discard(cause, waiting as usize);
            }
            sink.books.counts.evicted_flows += 1;
        } else {
            self.drain_to_the_end(now, sink);
        }
        self.reader.close(now, cause, sink);
        let both_ended = self.client.ended && self.server.ended;
        let reason = match reason {
            CloseReason::CaptureEnded if both_ended && self.closing().is_none() => {
                CloseReason::Finished
            }
            CloseReason::CaptureEnded if self.reset().is_some() => CloseReason::Reset,
            CloseReason::CaptureEnded if self.closing().is_some() => CloseReason::Closed,
            _ => reason,
        };
        let watermark = self.reader.watermark();
        sink.event(EventKind::FlowClosed { reason, watermark });
        self.closed = Some(now);
        // What stays recognises late duplicates, and needs no parser for it.
        self.reader = Reader::resumed(watermark, self.reader.next_index());
        self.ending = None;
        self.marks = [Marks::default(), Marks::default()];
    }

    fn take_payload(
        &mut self,
        direction: Direction,
        offset: i64,
        after: Option<u64>,
        segment: &Segment,
        sink: &mut Sink<'_>,
    ) {
        let mut bytes = segment.payload.clone();
        if bytes.is_empty() && segment.wire_bytes == 0 {
            return;
        }
        let wire_end = offset + i64::from(segment.wire_bytes.max(bytes.len() as u32));
        let half = self.half(direction);
        let is_keep_alive = bytes.len() == 1 && offset + 1 == half.next() as i64;
        if offset < 0 {
            let before = (-offset).min(bytes.len() as i64) as usize;
            match is_keep_alive {
                true => sink.books.duplicate += 1,
                false => sink.discard("before_begin", before),
            }
            let _ = bytes.split_to(before);
        }
        let offset = offset.max(0) as u64;
        let Ok(wire_end) = u64::try_from(wire_end) else {
            return;
        };
        if offset > half.next().saturating_add(crate::tcp::half::MAX_WINDOW) {
            return sink.discard("out_of_window", bytes.len());
        }
        if half.ended {
            let seen = half.next().saturating_sub(offset).min(bytes.len() as u64);
            sink.books.duplicate += seen;
            let conflict = half.contradicts(offset, &bytes);
            sink.books.counts.conflicting_overlaps += u64::from(conflict);
            return sink.discard("after_end", bytes.len() - seen as usize);
        }
        if half.fin().is_some_and(|fin| wire_end > fin) {
            half.clear_fin();
            sink.books.counts.ignored_fins += 1;
        }
        let end = offset + bytes.len() as u64;
        let piece = Piece {
            offset,
            bytes,
            time: segment.time,
            after,
        };
        let is_too_early = direction == Direction::Server && self.is_too_early(after);
        let half = self.half(direction);
        if !is_too_early && half.pass(&piece, wire_end) {
            self.reader.piece(direction, piece, sink);
        } else {
            let inserted = half.insert(piece, wire_end);
            sink.books.duplicate += inserted.duplicate;
            sink.books.counts.conflicting_overlaps += u64::from(inserted.conflict);
            if inserted.fresh == 0 {
                return;
            }
        }
        self.marks[direction as usize].add(segment.mark, end);
        if self.reset().is_some_and(|(_, sender)| sender == direction) {
            // Whoever sent that RST, this sender goes on.
            self.forget_reset();
            sink.books.counts.ignored_resets += 1;
        }
    }

    /// A segment for a flow that is over.
    fn late(&mut self, direction: Direction, offset: i64, segment: &Segment, sink: &mut Sink<'_>) {
        let bytes = segment.payload.len();
        let half = self.half(direction);
        let seen = (half.next() as i64 - offset).clamp(0, bytes as i64) as usize;
        let conflict =
            u64::try_from(offset).is_ok_and(|offset| half.contradicts(offset, &segment.payload));
        sink.books.duplicate += seen as u64;
        sink.books.counts.conflicting_overlaps += u64::from(conflict);
        sink.discard("after_close", bytes - seen);
    }

    fn refuse(&mut self, segment: &Segment, cause: &'static str, sink: &mut Sink<'_>) {
        sink.discard(cause, segment.payload.len());
    }

    /// Hands on what is in order, and gives up holes that are due.
    fn drain(&mut self, now: Timestamp, sink: &mut Sink<'_>) {
        loop {
            let mut moved = false;
            for direction in [Direction::Client, Direction::Server] {
                moved |= self.drain_direction(direction, false, sink);
            }
            if moved {
                continue;
            }
            let overdue =
                [Direction::Client, Direction::Server]
                    .into_iter()
                    .find_map(|direction| {
                        let overdue = self.half(direction).overdue(now, sink.limits)?;
                        Some((direction, overdue))
                    });
            match overdue {
                Some((direction, Overdue::Gap(bytes))) => self.give_up(direction, bytes, sink),
                Some((direction, Overdue::Refused)) => {
                    let dropped = self.half(direction).drop_refused();
                    sink.discard("unacknowledged", dropped as usize);
                }
                None => break,
            }
        }
        self.prune_marks();
    }

    fn drain_direction(
        &mut self,
        direction: Direction,
        ungated: bool,
        sink: &mut Sink<'_>,
    ) -> bool {
        let mut moved = false;
        while let Some(front) = self.half(direction).front() {
            let after = front.after;
            if direction == Direction::Server && !ungated && self.is_too_early(after) {
                break;
            }
            let Some(piece) = self.half(direction).pop() else {
                break;
            };
            self.reader.piece(direction, piece, sink);
            moved = true;
        }
        if self.half(direction).is_at_fin() && !self.half(direction).ended {
            self.half(direction).ended = true;
            self.reader.end(direction, sink);
            moved = true;
        }
        moved
    }

    /// True when the server had received more of the client's direction than was handed on:
    /// a response must not overtake its request.
    fn is_too_early(&self, after: Option<u64>) -> bool {
        !self.client.ended && after.is_some_and(|after| after > self.client.next())
    }

    fn give_up(&mut self, direction: Direction, bytes: u64, sink: &mut Sink<'_>) {
        let half = self.half(direction);
        let offset = half.next();
        half.skip_gap(bytes);
        sink.books.counts.gaps += 1;
        sink.books.counts.gap_bytes += bytes;
        sink.event(EventKind::Gap {
            direction,
            offset,
            bytes,
        });
        self.reader.gap(direction, offset, bytes, sink);
    }

    /// Hands on everything, holes or not: nothing more will come.
    fn drain_to_the_end(&mut self, now: Timestamp, sink: &mut Sink<'_>) {
        loop {
            self.drain(now, sink);
            let direction = match (self.client.final_gap(), self.server.final_gap()) {
                (Some(bytes), _) => {
                    self.give_up(Direction::Client, bytes, sink);
                    continue;
                }
                (None, Some(_)) => Direction::Server,
                (None, None) => Direction::Server,
            };
            if self.drain_direction(direction, true, sink) {
                continue;
            }
            match self.server.final_gap() {
                Some(bytes) => self.give_up(Direction::Server, bytes, sink),
                None => return,
            }
        }
    }

    fn finish_if_ended(&mut self, now: Timestamp, sink: &mut Sink<'_>) {
        if self.client.ended && self.server.ended && self.closed.is_none() {
            let reason = match self.closing() {
                Some(_) => CloseReason::Closed,
                None => CloseReason::Finished,
            };
            self.close(now, reason, sink);
        }
    }

    fn prune_marks(&mut self) {
        if self.marks.iter().all(Marks::is_empty) {
            return;
        }
        let watermark = self.reader.watermark();
        let [client, server] = &mut self.marks;
        client.settle(watermark.client);
        server.settle(watermark.server);
    }
}

/// The facts of a new flow.
pub(crate) fn facts(id: crate::FlowId, endpoints: Endpoints, before_capture: bool) -> FlowFacts {
    FlowFacts {
        id,
        endpoints,
        round_trip_ns: None,
        before_capture,
    }
}
