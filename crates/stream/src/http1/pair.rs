//! Which request a response answers.
//!
//! As long as nothing is missing, the order says it (RFC 9112, section 9.3). After a loss in either
//! direction it is unknown how many messages were in the hole, and whether what looks like a
//! head is one or lies in a body. Then the acknowledgements tell, where client and server take
//! turns: a client that waits for each response has acknowledged all of it, and nothing more,
//! when it begins the next request. Such a response is flagged `paired_by_acknowledgement`. Of a
//! client that pipelines they tell nothing. Where they don't tell, the request stays without a response
//! and the response without a request, both flagged `pairing_unknown`.

use super::exchange::Open;
use super::{HeadPlace, Http1};
use crate::message::MessageState;
use crate::segment::Direction;
use crate::sink::Sink;

/// How many requests of a flow may wait for their responses: more than any client sends ahead.
const MAX_UNANSWERED: usize = 4096;

impl Http1 {
    /// The exchange that a response at `place` answers, an own one if that is unknown.
    pub(super) fn pair(&mut self, place: &HeadPlace, sink: &mut Sink<'_>) -> usize {
        let oldest = self.queue.answering();
        let front = oldest.and_then(|index| self.queue.open.get(index));
        if let Some(index) = oldest
            && front.is_some_and(|open| open.id.from_response)
        {
            // What came so far was interim.
            return index;
        }
        if !self.server.is_sure || front.is_some_and(|open| !open.is_sure) {
            return match self.anchor(place) {
                Some(index) => index,
                None => self.leave_unpaired(place, sink),
            };
        }
        match (oldest, front) {
            (Some(index), Some(open)) => {
                if open.request_after.is_none_or(|after| after <= place.offset) {
                    return index;
                }
                // Its client had received bytes past the response before it began the request.
                let flag = self.without_request();
                self.insert_orphan(index, flag, place, sink)
            }
            _ => match self.open_partial_head(sink) {
                Some(index) => index,
                None => {
                    let end = self.queue.open.len();
                    let flag = self.without_request();
                    self.insert_orphan(end, flag, place, sink)
                }
            },
        }
    }

    /// The request that a response at `place` answers by what client and server had acknowledged.
    /// From there on the order counts again.
    fn anchor(&mut self, place: &HeadPlace) -> Option<usize> {
        if self.pipelines {
            return None;
        }
        let fits =
            |open: &Open| !open.response_progress.done && open.request_after == Some(place.offset);
        let index = self.queue.open.iter().position(|open| fits(open))?;
        let open = &self.queue.open[index];
        if self
            .queue
            .open
            .iter()
            .skip(index + 1)
            .any(|open| fits(open))
            || place.after? <= open.request.offset
        {
            return None;
        }
        // A request that was found after a gap may lie in a body, unless the server had answered
        // when it had received all before it, and answers when it has received it and no more.
        // The end of a body and the next request can look like one, but an odd one; and a response
        // can come while its request still does, so that its own end has to be known.
        let takes_turns = !self.server.is_lost()
            && self.answered == place.offset
            && open.request_progress.flags.is_empty()
            && place.before == Some(open.request.offset)
            && open.request_progress.done
            && place.after == Some(open.request_progress.end);
        if !open.is_sure && self.has_gap && !takes_turns {
            return None;
        }
        if open.losses_before == self.client.losses {
            self.client.is_sure = true;
        }
        self.server.is_sure = true;
        for older in self.queue.open.iter_mut().take(index) {
            older.finish(Direction::Server, place.offset);
        }
        if self.has_gap {
            let progress = &mut self.queue.open[index].response_progress;
            progress.flags.set("paired_by_acknowledgement");
        }
        Some(index)
    }

    /// Gives up the requests that the response at `place` may answer, and the response's too.
    fn leave_unpaired(&mut self, place: &HeadPlace, sink: &Sink<'_>) -> usize {
        let mut at = 0;
        for open in &mut self.queue.open {
            if open.request_after.is_some_and(|after| after > place.offset) {
                break;
            }
            at += 1;
            if !open.response_progress.done {
                open.response_progress.flags.set("pairing_unknown");
                open.finish(Direction::Server, place.offset);
            }
        }
        self.insert_orphan(at, "pairing_unknown", place, sink)
    }

    /// Why a response has no request: there is none (RFC 9112, section 9.2), or it was lost.
    fn without_request(&self) -> &'static str {
        match self.client.is_sure {
            true => "unsolicited",
            false => "pairing_unknown",
        }
    }

    /// Makes an exchange of a response alone.
    fn insert_orphan(
        &mut self,
        at: usize,
        flag: &'static str,
        place: &HeadPlace,
        sink: &Sink<'_>,
    ) -> usize {
        let mut orphan = Box::new(Open::new(sink.exchange_id(place.offset, true)));
        orphan.request_progress.done = true;
        orphan.response_progress.flags.set(flag);
        // The request that is being received stays the last one.
        let last = self.queue.open.len().saturating_sub(1);
        let is_open = self.queue.open.back();
        let is_open = is_open.is_some_and(|open| !open.request_progress.done);
        let at = if is_open { at.min(last) } else { at };
        self.queue.open.insert(at, orphan);
        at
    }

    /// Makes an exchange of the request whose head is being received: its response comes first.
    fn open_partial_head(&mut self, sink: &Sink<'_>) -> Option<usize> {
        let (offset, time) = self.client.partial_head()?;
        if self.head_is_open {
            return None;
        }
        let mut open = Box::new(Open::new(sink.exchange_id(offset, false)));
        open.request.offset = offset;
        open.request.state = MessageState::Incomplete;
        open.request.first_byte = time;
        open.request.last_byte = time;
        self.head_is_open = true;
        self.queue.open.push_back(open);
        Some(self.queue.open.len() - 1)
    }

    /// Gives up the response to the oldest request when too many wait for theirs.
    pub(super) fn bound_unanswered(&mut self) {
        if self.queue.open.len() <= MAX_UNANSWERED {
            return;
        }
        if let Some(index) = self.queue.answering()
            && let Some(open) = self.queue.open.get_mut(index)
        {
            open.response_progress.flags.set("too_many_unanswered");
            open.response_progress.damaged |= open.response.head.is_some();
            let end = self.server.consumed;
            open.finish(Direction::Server, end);
            self.server.is_sure = false;
        }
    }

    /// True when a client begins a request at `place` that has not received the response to the
    /// one before.
    pub(super) fn is_early(&self, place: &HeadPlace) -> bool {
        let before = self
            .queue
            .open
            .iter()
            .rev()
            .find_map(|open| open.request_after);
        place
            .after
            .is_some_and(|after| after < self.answered || before.is_some_and(|last| after <= last))
    }
}
