//! What is missing, malformed or too much, and where it goes on after that.

use super::exchange::Open;
use super::queue::{Wait, Waiting};
use super::side::{Content, Input, State, Target};
use super::{Place, Postgres, probe};
use crate::protocol::Claim;
use crate::segment::Direction;
use crate::sink::Sink;

/// What an exchange that waits is taken to cost: it limits how many may wait in one flow.
const OPEN_BYTES: u64 = 1024;

/// As many wait at least, however small the limit.
const LEAST_OPEN: u64 = 32;

/// ReadyForQuery but for its last byte.
const READY: &[u8] = b"Z\0\0\0\x05";

/// Exchanges of which a reply may be the next, by their positions.
#[derive(Clone, Copy)]
struct Owed {
    first: u64,
    last: u64,
}

impl Postgres {
    /// The next bytes of a direction are missing.
    pub(super) fn skip_gap(
        &mut self,
        direction: Direction,
        offset: u64,
        bytes: u64,
        sink: &mut Sink<'_>,
    ) {
        self.idle_from = None;
        if direction == Direction::Server {
            self.at_server_start = false;
        }
        match &mut self.side(direction).state {
            State::Opaque | State::Lost => {}
            State::Between => {
                let partial = self.side(direction).drop_partial();
                sink.discard("gap_in_head", partial);
                self.lose(direction, offset);
            }
            State::Inside(inside) => {
                let target = inside.target;
                let ends = bytes >= inside.left;
                let exceeds = bytes > inside.left;
                inside.content = Content::Skipped;
                inside.left = inside.left.saturating_sub(bytes);
                if let Some(open) = self.open(target) {
                    open.damage(direction);
                }
                if ends {
                    self.complete(direction, None, sink);
                }
                if exceeds && !self.side(direction).is_opaque() {
                    self.lose(direction, offset);
                }
            }
        }
    }

    /// What follows in `direction` from `offset` need not be the start of a message.
    pub(super) fn lose(&mut self, direction: Direction, offset: u64) {
        self.side(direction).lose(offset);
        match direction {
            Direction::Client => {
                if let Some(position) = self.group
                    && let Some(open) = self.queue.get(position)
                {
                    // More of it may have been sent.
                    open.damage(Direction::Client);
                }
                if let Some(position) = self.copying
                    && let Some(open) = self.queue.get(position)
                {
                    open.damage(Direction::Client);
                }
                self.end_group();
                self.in_doubt |= std::mem::take(&mut self.is_skipping);
                self.may_encrypt = false;
                self.settled_at = None;
                self.queue.lose_requests();
            }
            Direction::Server => {
                self.transactions.lose();
                // Whether the Sync that ends it was answered is unknown.
                self.in_doubt |= std::mem::take(&mut self.is_skipping);
                if let Some(orphan) = &mut self.orphan {
                    orphan.damage(Direction::Server);
                    orphan.finish_answer();
                }
            }
        }
    }

    /// Looks for the start of a message where a segment starts, or for the end of an answer where
    /// one ends.
    pub(super) fn regain(&mut self, direction: Direction, input: &mut Input, sink: &mut Sink<'_>) {
        let place = input.place();
        let rest = input.rest();
        let is_start = probe::messages(direction, rest) == Claim::Certain
            || self.is_due(direction, &place) && probe::could_start(direction, rest);
        let ends_ready = direction == Direction::Server
            && rest.split_last().is_some_and(|(status, before)| {
                matches!(status, b'I' | b'T' | b'E') && before.ends_with(READY)
            });
        if !is_start && !ends_ready {
            return;
        }
        let side = self.side(direction);
        side.state = State::Between;
        let from = side.lost_from.take().unwrap_or(place.offset);
        if direction == Direction::Client {
            return;
        }
        self.settle_regained(from, &place, is_start);
        if !is_start {
            let rest = input.take_rest();
            sink.discard("resync", rest.bytes.len());
            self.server.consumed = rest.end();
            self.idle_from = Some(rest.end());
        }
    }

    /// True when the other direction tells that a message starts here: everything before was
    /// answered, or is what the one open request was sent after.
    fn is_due(&mut self, direction: Direction, place: &Place) -> bool {
        match direction {
            Direction::Client => place.after.is_some() && place.after == self.idle_from,
            Direction::Server => match self.owed_at(place) {
                Some(owed) if owed.first == owed.last => self
                    .queue
                    .get(owed.first)
                    .is_some_and(|open| open.request_after == Some(place.offset)),
                _ => false,
            },
        }
    }

    /// What a message of the server at `place` may be an answer to: the server had received the
    /// request by then, and its client had not received the message when it sent the request.
    fn owed_at(&mut self, place: &Place) -> Option<Owed> {
        let mut owed: Option<Owed> = None;
        for index in 0..self.queue.waits.len() {
            let of = self.queue.waits.get(index)?.of;
            let Some(open) = self.queue.get(of) else {
                continue;
            };
            let is_later = open.request_after.is_some_and(|after| after > place.offset)
                || place
                    .after
                    .is_some_and(|after| after <= open.request_offset());
            if is_later {
                break;
            }
            let first = owed.map_or(of, |owed| owed.first);
            owed = Some(Owed { first, last: of });
        }
        owed
    }

    /// Says which exchange goes on where the server's messages are known again.
    fn settle_regained(&mut self, from: u64, place: &Place, is_start: bool) {
        self.settle_lost_before(from, place.offset);
        let Some(Owed { first, last }) = self.owed_at(place) else {
            self.in_doubt = true;
            return;
        };
        let Some(open) = self.queue.get(first) else {
            return;
        };
        let is_whole = is_start && !open.has_answer() && open.request_after == Some(place.offset);
        if first == last && is_whole {
            return;
        }
        let mut has_doubt = first != last;
        let mut ends_ready = false;
        while let Some(waiting) = self.queue.waits.front()
            && (waiting.of <= last || matches!(waiting.wait, Wait::Lost))
            && let Some(Waiting { of, wait }) = self.queue.pop_wait()
        {
            match wait {
                Wait::Lost => has_doubt = true,
                wait => ends_ready = matches!(wait, Wait::Ready | Wait::Startup | Wait::Sync),
            }
            if let Some(open) = self.queue.get(of) {
                open.damage(Direction::Server);
                if first != last {
                    open.answer_flag("reply_unknown");
                }
            }
        }
        if first == last && is_start {
            // It goes on, but what of it was answered already is unknown.
            let wait = match ends_ready {
                true => Wait::Ready,
                false => Wait::Outcome,
            };
            self.queue.wait_first(first, wait);
        }
        self.in_doubt |= has_doubt;
    }

    /// After a place where replies may be missing: a request that its client began when it had
    /// received bytes past that place tells that those before it were answered there.
    pub(super) fn settle_lost_replies(&mut self) {
        if let Some(from) = self.server.lost_from {
            self.settle_lost_before(from, self.server.consumed);
        }
    }

    fn settle_lost_before(&mut self, from: u64, until: u64) {
        while let Some(waiting) = self.queue.waits.front() {
            let after_loss = matches!(waiting.wait, Wait::Lost);
            let of = match after_loss {
                true => self.queue.waits.get(1).map(|next| next.of),
                false => Some(waiting.of),
            };
            if !of.is_some_and(|of| self.was_answered_before(of, from, until)) {
                return;
            }
            // A client that does not wait for answers may have sent that request all the same.
            self.in_doubt = true;
            self.settled_at = None;
            if let Some(Waiting { of, .. }) = self.queue.pop_wait()
                && let Some(open) = self.queue.get(of)
            {
                open.damage(Direction::Server);
            }
        }
    }

    /// True when the request after that at `position` was sent by a client that had received more
    /// than when it sent that one: bytes past `from`, and none past `until`.
    fn was_answered_before(&mut self, position: u64, from: u64, until: u64) -> bool {
        let own = self.queue.get(position).and_then(|open| open.request_after);
        let next = position.checked_add(1);
        next.and_then(|next| self.queue.get(next))
            .and_then(|later| later.request_after)
            .is_some_and(|after| after > from && after <= until && own < Some(after))
    }

    /// The exchange that a message of the server at `place` belongs to. Replies come in the order
    /// of the requests. A message that its client had received before it began the request is no
    /// reply to it.
    ///
    /// Where requests may have been missed, a message that was sent before the server had received
    /// the request is none either, and others are flagged: they may answer what was missed. That
    /// is over with a request that its client began when it had received everything up to a
    /// ReadyForQuery after the loss, and nothing else.
    pub(super) fn pair(&mut self, place: &Place) -> Option<u64> {
        let front = self.queue.waits.front()?;
        let after_loss = matches!(front.wait, Wait::Lost);
        let position = match after_loss {
            true => self.queue.waits.get(1)?.of,
            false => front.of,
        };
        if self.orphan.as_ref().is_some_and(|open| !open.is_over()) {
            return None;
        }
        let settled_at = self.settled_at;
        let in_doubt = self.in_doubt || after_loss;
        let open = self.queue.get(position)?;
        if open.has_answer() {
            return Some(position);
        }
        let is_before = open.request_after.is_some_and(|after| after > place.offset);
        let was_received = place
            .after
            .is_none_or(|after| after > open.request_offset());
        if is_before || in_doubt && !was_received {
            self.in_doubt = true;
            return None;
        }
        if in_doubt {
            let is_certain =
                settled_at == Some(place.offset) && open.request_after == Some(place.offset);
            if !is_certain {
                open.answer_flag("pairing_uncertain");
            }
            self.in_doubt = !is_certain;
            if after_loss {
                self.queue.pop_wait();
            }
        }
        Some(position)
    }

    /// More waits than there is room for: it is over without a reply.
    fn drop_waits(&mut self) {
        self.end_group();
        self.end_copy();
        while let Some(Waiting { of, .. }) = self.queue.pop_wait() {
            if let Some(open) = self.queue.get(of) {
                open.damage(Direction::Server);
                open.answer_flag("too_many_open");
            }
        }
        self.in_doubt = true;
        self.transactions.lose();
    }

    /// Keeps the number of exchanges that wait within bounds.
    pub(super) fn keep_limits(&mut self, sink: &Sink<'_>) {
        let most = (sink.limits.flow_buffer_bytes / OPEN_BYTES).max(LEAST_OPEN) as usize;
        if self.queue.len() >= most || self.queue.waits.len() >= most {
            self.drop_waits();
        }
    }

    /// The head of a message says what can't be.
    pub(super) fn flag_malformed(
        &mut self,
        direction: Direction,
        tag: u8,
        place: &Place,
        sink: &mut Sink<'_>,
    ) {
        match direction {
            Direction::Client => {
                let name = match tag {
                    b'!'..=b'~' => char::from(tag).to_string(),
                    _ => format!("{tag:#04x}"),
                };
                let position = self.begin(&name, 0, place, sink);
                if let Some(open) = self.queue.get(position) {
                    open.ask_flag("bad_length");
                    open.damage(Direction::Client);
                    open.finish_request();
                }
                // Servers answer it with an error, and close.
                self.queue.wait(position, Wait::Ready);
            }
            Direction::Server => {
                let position = self.pair(place);
                let target = position.map_or(Target::Orphan, Target::Queued);
                if let Some(open) = self.open(target) {
                    open.answer_flag("bad_length");
                    open.damage(Direction::Server);
                }
            }
        }
    }

    /// No more bytes come in `direction`.
    pub(super) fn stop(&mut self, direction: Direction, cause: &'static str, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        side.ended = true;
        let partial = side.drop_partial();
        sink.discard(cause, partial);
        let side = self.side(direction);
        if let State::Inside(inside) = &side.state {
            let target = inside.target;
            side.state = State::Between;
            if let Some(open) = self.open(target) {
                open.damage(direction);
                if direction == Direction::Client {
                    open.finish_request();
                }
            }
        }
        match direction {
            Direction::Client => {
                self.end_group();
                self.end_copy();
            }
            Direction::Server => {
                while let Some(Waiting { of, .. }) = self.queue.pop_wait() {
                    if let Some(open) = self.queue.get(of) {
                        open.damage(Direction::Server);
                    }
                }
                for aside in [&mut self.orphan, &mut self.push].into_iter().flatten() {
                    if !aside.is_over() {
                        aside.damage(Direction::Server);
                        aside.finish_answer();
                    }
                }
            }
        }
    }

    /// Everything that is not over is so now.
    pub(super) fn give_up(&mut self) {
        self.group = None;
        self.copying = None;
        while self.queue.pop_wait().is_some() {}
        for open in self.queue.iter_mut() {
            open.give_up();
        }
        for aside in [&mut self.orphan, &mut self.push].into_iter().flatten() {
            aside.give_up();
        }
    }
}

impl Open {
    /// It is over, whatever it still lacks.
    fn give_up(&mut self) {
        if !self.is_asked() {
            self.damage(Direction::Client);
            self.finish_request();
        }
        if !self.is_answered() {
            self.damage(Direction::Server);
            self.finish_answer();
        }
    }
}
