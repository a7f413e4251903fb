//! Which command a reply answers.
//!
//! Replies come in the order of the commands. Where bytes were lost that order tells nothing, and
//! only acknowledgements do: a reply can't answer a command that its client began after it had
//! received the reply's first byte, and a client that waits for its replies had all of them
//! before it began the next batch. What they leave open stays unpaired.

use std::collections::VecDeque;

use super::open::Open;
use crate::event::EventKind;
use crate::segment::Direction;
use crate::sink::Sink;

/// Behind more commands than this nobody looks whether one is the only one that is open.
const MAX_LOOK: usize = 64;

/// From a loss until order tells again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    /// A command that its client began after it had received this place ends it.
    pub until: u64,
    /// Commands before this place are not in doubt.
    pub from_request: u64,
    /// No command was lost: a single one that is open is the one that is answered.
    pub knows_all: bool,
}

/// All exchanges of a flow that are not over, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub open: VecDeque<Open>,
    pub next_index: u32,
    pub doubt: Option<Doubt>,
    /// The client doesn't wait for all its replies before it goes on.
    is_overlapping: bool,
    /// Bytes of memory that the open ones take.
    pub cost: u64,
}

impl Queue {
    pub fn push(&mut self, mut open: Open, after: Option<u64>, received: u64) {
        let before = self.open.back().map_or(0, |open| open.after);
        open.after = after.unwrap_or(before).max(before);
        let waits = self.answering().and_then(|index| self.open.get(index));
        if let Some(waiting) = waits
            && self.doubt.is_none()
            && waiting.response_start.is_none()
            && waiting.after < open.after
            && open.after <= received
        {
            self.is_overlapping = true;
        }
        self.cost += open.cost;
        self.open.push_back(open);
    }

    /// Something was lost: see [`Doubt`].
    pub fn doubt(&mut self, new: Doubt) {
        let doubt = self.doubt.get_or_insert(new);
        doubt.until = doubt.until.max(new.until);
        doubt.from_request = doubt.from_request.min(new.from_request);
        doubt.knows_all &= new.knows_all;
    }

    /// The exchange whose reply comes next.
    pub fn answering(&self) -> Option<usize> {
        self.open.iter().position(|open| !open.answered.done)
    }

    /// The command that a reply at `offset` answers. None where that is unknown.
    pub fn answered_at(&mut self, offset: u64) -> Option<usize> {
        let asked_before = self.open.partition_point(|open| open.after <= offset);
        if let Some(doubt) = self.doubt {
            self.settle(doubt, asked_before);
        }
        let index = self.answering().filter(|index| *index < asked_before)?;
        let Some(doubt) = self.doubt else {
            return Some(index);
        };
        let is_before = self.open.get(index)?.request.offset < doubt.from_request;
        let mut others = self.open.range(index + 1..asked_before);
        let is_single = others.len() < MAX_LOOK && others.all(|open| open.answered.done);
        (is_before || doubt.knows_all && is_single).then_some(index)
    }

    /// A client that waits for its replies had those of earlier batches when it began the last
    /// one of the first `count` commands.
    fn settle(&mut self, doubt: Doubt, count: usize) {
        let newest = count.checked_sub(1).and_then(|last| self.open.get(last));
        let Some(newest) = newest.map(|open| open.after) else {
            return;
        };
        if self.is_overlapping {
            return;
        }
        let earlier = self.open.iter_mut().take_while(|open| open.after < newest);
        for open in earlier.filter(|open| !open.answered.done) {
            open.answered.flags.set("reply_lost");
            open.finish(Direction::Server);
        }
        if newest >= doubt.until {
            self.doubt = None;
        }
    }

    /// Makes room for a reply whose command is unknown; gives its index.
    pub fn insert_unpaired(&mut self, mut open: Open) -> usize {
        let at = self.answering().unwrap_or(self.open.len());
        let before = at.checked_sub(1).and_then(|index| self.open.get(index));
        open.after = before.map_or(0, |open| open.after);
        open.answered.flags.set("unpaired");
        self.cost += open.cost;
        self.open.insert(at, open);
        at
    }

    /// Where the first reply begins that is not emitted.
    pub fn first_reply(&self) -> Option<u64> {
        // Replies come in order: none has begun after the one whose turn it is.
        let seen = self.answering().map_or(self.open.len(), |index| index + 1);
        let mut begun = self.open.iter().take(seen);
        begun.find_map(|open| open.response_start)
    }

    /// Emits the exchanges that are over, in order; `replied` is the index of one that just was.
    /// One without a command need not wait for those before it.
    pub fn emit_replied(&mut self, replied: usize, sink: &mut Sink<'_>) {
        let is_alone = |open: &Open| open.id.from_response && open.answered.done;
        if self.open.get(replied).is_some_and(is_alone)
            && let Some(open) = self.open.remove(replied)
        {
            self.cost = self.cost.saturating_sub(open.cost);
            self.emit_one(open, sink);
        }
        self.emit(sink);
    }

    /// Emits the exchanges at the front that are over.
    pub fn emit(&mut self, sink: &mut Sink<'_>) {
        while let Some(front) = self.open.front()
            && front.asked.done
            && front.answered.done
            && let Some(open) = self.open.pop_front()
        {
            self.cost = self.cost.saturating_sub(open.cost);
            self.emit_one(open, sink);
        }
    }

    pub fn emit_one(&mut self, open: Open, sink: &mut Sink<'_>) {
        let exchange = open.into_exchange(self.next_index, sink);
        self.next_index = self.next_index.saturating_add(1);
        sink.event(EventKind::Command(Box::new(exchange)));
    }
}
