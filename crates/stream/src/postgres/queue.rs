//! Exchanges that are not over yet, in the order of their requests, and what they wait for.

use std::collections::VecDeque;
use std::sync::Arc;

use super::exchange::Open;
use super::statement::Statement;
use crate::event::{EventKind, Watermark};
use crate::sink::Sink;

/// What a server owes.
#[derive(Debug)]
pub(super) enum Wait {
    /// One byte, to SSLRequest or GSSENCRequest.
    Negotiation,
    /// Authentication, up to ReadyForQuery.
    Startup,
    /// Everything up to ReadyForQuery: to Query, FunctionCall, and what is unknown.
    Ready,
    /// The outcome of an extended group whose messages can't be told apart any more.
    Outcome,
    Parse {
        made: Arc<Statement>,
        before: Option<Arc<Statement>>,
    },
    Bind,
    Describe {
        statement: Option<Arc<Statement>>,
    },
    Execute,
    Close,
    Sync,
    /// Replies to requests that were not seen, how many is unknown.
    Lost,
}

/// An entry of the queue: whose wait it is, by its position among all exchanges of the flow.
#[derive(Debug)]
pub(super) struct Waiting {
    pub of: u64,
    pub wait: Wait,
}

/// All exchanges of a flow that are not over.
#[derive(Debug, Default)]
pub(super) struct Queue {
    open: VecDeque<Open>,
    /// Position of the first of them.
    first: u64,
    pub waits: VecDeque<Waiting>,
    head_bytes: u64,
    pub next_index: u32,
}

impl Queue {
    pub fn push(&mut self, open: Open) -> u64 {
        self.open.push_back(open);
        self.first + self.open.len() as u64 - 1
    }

    pub fn get(&mut self, position: u64) -> Option<&mut Open> {
        let index = position.checked_sub(self.first)?;
        self.open.get_mut(usize::try_from(index).ok()?)
    }

    pub fn last(&self) -> Option<u64> {
        (!self.open.is_empty()).then(|| self.first + self.open.len() as u64 - 1)
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Bytes of memory that they take.
    pub fn cost(&self) -> u64 {
        let open = self.open.len() * size_of::<Open>();
        let waits = self.waits.len() * size_of::<Waiting>();
        self.head_bytes + (open + waits) as u64
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Open> {
        self.open.iter_mut()
    }

    /// True when there is room for so much more in heads; it is counted then.
    pub fn make_room(&mut self, position: u64, bytes: u64, limit: u64) -> bool {
        let has_room = self.head_bytes + bytes <= limit;
        if has_room && let Some(open) = self.get(position) {
            open.head_bytes += bytes;
            self.head_bytes += bytes;
        }
        has_room
    }

    pub fn wait(&mut self, of: u64, wait: Wait) {
        if let Some(open) = self.get(of) {
            open.waits += 1;
            open.reopen_answer();
            self.waits.push_back(Waiting { of, wait });
        }
    }

    /// Requests may have been missed here.
    pub fn lose_requests(&mut self) {
        if !matches!(
            self.waits.back(),
            Some(Waiting {
                wait: Wait::Lost,
                ..
            })
        ) {
            let wait = Wait::Lost;
            self.waits.push_back(Waiting { of: u64::MAX, wait });
        }
    }

    /// What is owed before everything else.
    pub fn wait_first(&mut self, of: u64, wait: Wait) {
        if let Some(open) = self.get(of) {
            open.waits += 1;
            open.reopen_answer();
            self.waits.push_front(Waiting { of, wait });
        }
    }

    /// What is owed first is done.
    pub fn pop_wait(&mut self) -> Option<Waiting> {
        let waiting = self.waits.pop_front()?;
        if let Some(open) = self.get(waiting.of) {
            open.waits = open.waits.saturating_sub(1);
            if open.waits == 0 {
                open.finish_answer();
            }
        }
        Some(waiting)
    }

    /// Where it would resume: nothing of what is not emitted may lie before.
    pub fn watermark(&self, mut mark: Watermark) -> Watermark {
        if let Some(first) = self.open.front() {
            mark.client = mark.client.min(first.request_offset());
        }
        // Replies come in order: none lies before that of the first which is not answered.
        for open in &self.open {
            if open.has_answer() {
                mark.server = mark.server.min(open.answer_offset());
            }
            if !open.is_answered() || open.has_answer() {
                break;
            }
        }
        mark
    }

    /// Emits the exchanges at the front that are over.
    pub fn emit(&mut self, sink: &mut Sink<'_>) {
        while self.open.front().is_some_and(Open::is_over)
            && let Some(open) = self.open.pop_front()
        {
            self.first += 1;
            self.head_bytes -= open.head_bytes;
            self.emit_one(open, sink);
        }
    }

    pub fn emit_one(&mut self, open: Open, sink: &mut Sink<'_>) {
        let exchange = open.into_exchange(self.next_index, sink);
        self.next_index = self.next_index.saturating_add(1);
        sink.event(EventKind::Command(Box::new(exchange)));
    }
}
