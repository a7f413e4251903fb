//! Messages of which something is missing, and where it goes on after them.

use super::exchange::Open;
use super::side::State;
use super::{HeadPlace, Http1, probe};
use crate::protocol::Claim;
use crate::segment::Direction;
use crate::sink::Sink;

/// As much of a request line is looked at where it is unknown whether one comes; what RFC 9112,
/// section 3, asks of every recipient.
const MAX_LINE_BYTES: usize = 8000;

/// What comes where a body is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Body,
    /// The next request, in its place.
    Request,
    /// What is still to come tells.
    Unknown,
}

impl Http1 {
    /// What follows in `direction` from `offset` need not be the start of a message.
    pub(super) fn lose(&mut self, direction: Direction, offset: u64) {
        self.side(direction).lose(offset);
        if direction == Direction::Server
            && let Some(index) = self.queue.answering()
            && let Some(open) = self.queue.open.get_mut(index)
            && open.id.from_response
        {
            // Interim responses to an unknown request: whether what follows belongs to them is too.
            open.response_progress.damaged = true;
            open.finish(Direction::Server, offset);
        }
    }

    /// A message whose framing can't be followed any more is over.
    pub(super) fn break_off(
        &mut self,
        direction: Direction,
        cause: &'static str,
        offset: u64,
        sink: &mut Sink<'_>,
    ) {
        let partial = self.side(direction).drop_partial();
        sink.discard(cause, partial);
        self.damage(direction);
        self.finish(direction);
        self.lose(direction, offset);
    }

    pub(super) fn break_off_here(
        &mut self,
        direction: Direction,
        cause: &'static str,
        sink: &mut Sink<'_>,
    ) {
        let offset = self.side(direction).consumed;
        self.break_off(direction, cause, offset, sink);
    }

    /// Gives up a head of which only a part was seen. Its exchange stays.
    pub(super) fn abandon_head(
        &mut self,
        direction: Direction,
        cause: &'static str,
        sink: &mut Sink<'_>,
    ) {
        let begun = self.side(direction).partial_head();
        let time = self.side(direction).last_time();
        let partial = self.side(direction).drop_partial();
        self.side(direction).state = State::Between;
        sink.discard(cause, partial);
        let Some((offset, first_byte)) = begun else {
            return;
        };
        let end = self.side(direction).consumed;
        match direction {
            Direction::Client => {
                if !self.head_is_open {
                    let id = sink.exchange_id(offset, false);
                    self.queue.open.push_back(Box::new(Open::new(id)));
                }
                self.head_is_open = false;
                let is_sure = self.client.is_sure;
                if let Some(open) = self.queue.open.back_mut() {
                    open.is_sure = is_sure;
                    open.request.offset = offset;
                    open.request.first_byte = first_byte;
                    open.request.last_byte = time;
                }
            }
            Direction::Server => {
                let place = HeadPlace {
                    offset,
                    end,
                    first_byte,
                    last_byte: time,
                    after: None,
                    before: None,
                };
                let index = self.pair(&place, sink);
                let open = &mut self.queue.open[index];
                open.response_start.get_or_insert(offset);
                open.response.offset = offset;
                open.response.first_byte = first_byte;
                open.response.last_byte = time;
            }
        }
        if self.side(direction).is_closing {
            self.flag(direction, "after_close");
        }
        self.damage(direction);
        self.finish(direction);
    }

    /// After a place where responses may be missing: a request that its client began when it had
    /// received bytes past that place, and none that are still to come here, tells that the
    /// requests before it were answered there.
    pub(super) fn settle_lost_responses(&mut self) {
        let Some(lost_from) = self.server.lost_from() else {
            return;
        };
        let end = self.server.consumed;
        while let Some(index) = self.queue.answering()
            && let Some(later) = self.queue.open.get(index + 1)
            && let Some(after) = later.request_after
            && after > lost_from
            && after <= end
        {
            self.queue.open[index].finish(Direction::Server, end);
        }
    }

    /// What comes where a body is due: a client that asked for leave to send it, and got a final
    /// response instead, may go on with another request (RFC 9110, section 10.1.1).
    pub(super) fn due(&self, direction: Direction) -> Due {
        let open = self.queue.open.back();
        let Some(open) = open.filter(|_| direction == Direction::Client) else {
            return Due::Body;
        };
        let has_leave = open.interim.iter().any(|head| head.status == 100);
        if !self.client.is_at(open.body_start) || has_leave || !open.waits_for_continue() {
            return Due::Body;
        }
        // Whoever has not received the response does not act on it.
        let after = self.client.front_after();
        let is_answered = open.response_progress.done || open.response.head.is_some();
        match (is_answered, after, open.response_start) {
            (true, Some(after), Some(start)) if after <= start => Due::Body,
            (true, ..) => self.due_after_refusal(),
            (false, Some(after), _)
                if after > self.server.consumed && !self.server.ended && !self.releases =>
            {
                Due::Unknown
            }
            (false, ..) => Due::Body,
        }
    }

    /// What comes is told by its first line.
    fn due_after_refusal(&self) -> Due {
        let bytes = self.client.peek(MAX_LINE_BYTES);
        let is_request = |bytes: &[u8]| probe::probe(Direction::Client, bytes, false);
        match is_request(&bytes) {
            Claim::NotMine => Due::Body,
            Claim::Unsure if self.releases || self.end_waits || bytes.len() == MAX_LINE_BYTES => {
                Due::Body
            }
            Claim::Unsure => Due::Unknown,
            Claim::Certain => match self.client.state {
                // The request line is the one after a body that has no line end.
                State::Length(left)
                    if !bytes[..bytes.len().min(left as usize)].contains(&b'\n')
                        && bytes
                            .get(left as usize..)
                            .is_some_and(|rest| is_request(rest) == Claim::Certain) =>
                {
                    Due::Body
                }
                _ => Due::Request,
            },
        }
    }

    /// The request is over without the body that was due.
    pub(super) fn leave_out_body(&mut self) {
        self.flag(Direction::Client, "body_not_sent");
        self.damage(Direction::Client);
        self.finish(Direction::Client);
    }

    /// No more bytes come in `direction`; `clean` when its sender said so.
    pub(super) fn stop(
        &mut self,
        direction: Direction,
        clean: bool,
        cause: &'static str,
        sink: &mut Sink<'_>,
    ) {
        match self.side(direction).state {
            State::Between | State::Tunnel => {}
            State::Head { .. } => self.abandon_head(direction, cause, sink),
            State::UntilClose => {
                if !clean || direction == Direction::Client {
                    self.damage(direction);
                }
                self.finish(direction);
            }
            _ => {
                let offset = self.side(direction).consumed;
                self.break_off(direction, cause, offset, sink);
            }
        }
    }
}
