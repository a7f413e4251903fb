//! Exchanges that are not over yet, in the order of their requests.

use std::collections::VecDeque;

use crate::event::EventKind;
use crate::flags::Flags;
use crate::id::ExchangeId;
use crate::message::{
    Exchange, Field, Message, MessageState, Protocol, RequestHead, ResponseHead, field_values,
};
use crate::parts::Parts;
use crate::segment::Direction;
use crate::sink::Sink;
use crate::time::Timestamp;

/// What is known of one message apart from the message.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub flags: Flags,
    /// Something of it is missing.
    pub damaged: bool,
    pub done: bool,
    /// One past its last byte.
    pub end: u64,
    /// What cuts its body, where that has parts.
    pub parts: Option<Box<Parts>>,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Open {
    pub id: ExchangeId,
    pub request: Message<RequestHead>,
    pub request_progress: Progress,
    /// Up to where the client had acknowledged the server's direction when it began the request.
    pub request_after: Option<u64>,
    /// Where the request's body begins.
    pub body_start: u64,
    /// Nothing before the request was lost, or what came since tells that it is one; with how
    /// often the client's direction was lost before.
    pub is_sure: bool,
    pub losses_before: u16,
    pub response: Message<ResponseHead>,
    pub response_progress: Progress,
    /// Offset of the first byte of a response, interim ones included.
    pub response_start: Option<u64>,
    pub interim: Vec<ResponseHead>,
    /// What follows HTTP/1 goes on with it, and emits it.
    pub is_handed_over: bool,
    /// Bytes of memory that its heads take, as counted in the queue.
    cost: u64,
}

impl Open {
    pub fn new(id: ExchangeId) -> Open {
        Open {
            id,
            is_sure: true,
            losses_before: 0,
            request: Message::default(),
            request_progress: Progress::default(),
            request_after: None,
            body_start: 0,
            response: Message::default(),
            response_progress: Progress::default(),
            response_start: None,
            interim: Vec::new(),
            is_handed_over: false,
            cost: 0,
        }
    }

    pub fn progress(&mut self, direction: Direction) -> &mut Progress {
        match direction {
            Direction::Client => &mut self.request_progress,
            Direction::Server => &mut self.response_progress,
        }
    }

    /// Counts body bytes seen at `time`.
    pub fn add_body(&mut self, direction: Direction, bytes: usize, time: Timestamp) {
        match direction {
            Direction::Client => self.request.add(bytes, time),
            Direction::Server => self.response.add(bytes, time),
        }
    }

    /// Notes that a byte of the message was seen at `time`.
    pub fn touch(&mut self, direction: Direction, time: Timestamp) {
        self.add_body(direction, 0, time);
    }

    /// The message in `direction` ends at `end`.
    pub fn finish(&mut self, direction: Direction, end: u64) {
        let progress = self.progress(direction);
        if progress.done {
            return;
        }
        progress.done = true;
        progress.end = end;
        let damaged = progress.damaged;
        let (state, was_seen) = match direction {
            Direction::Client => (&mut self.request.state, self.request.head.is_some()),
            // A response of HTTP/0.9 has no head.
            Direction::Server => (
                &mut self.response.state,
                self.response.head.is_some() || self.response.body_bytes > 0,
            ),
        };
        *state = match (damaged, was_seen) {
            (true, _) => MessageState::Incomplete,
            (false, true) => MessageState::Complete,
            (false, false) => MessageState::Absent,
        };
    }

    pub fn method(&self) -> Option<&[u8]> {
        self.request.head.as_ref().map(|head| &head.method[..])
    }

    /// True when a final response may turn the connection into something else.
    pub fn may_switch(&self) -> bool {
        self.request.head.as_ref().is_some_and(|head| {
            head.method == "CONNECT" || field_values(&head.fields, "upgrade").next().is_some()
        })
    }

    /// True when the client announced that it waits for leave to send its body.
    pub fn waits_for_continue(&self) -> bool {
        self.request.head.as_ref().is_some_and(|head| {
            field_values(&head.fields, "expect")
                .any(|value| value.eq_ignore_ascii_case(b"100-continue"))
        })
    }

    /// Tells what cuts the body in `direction` that so many bytes are missing.
    pub fn lose_body(&mut self, direction: Direction, bytes: u64, sink: &mut Sink<'_>) {
        let exchange = self.id.clone();
        if let Some(parts) = &mut self.progress(direction).parts {
            parts.gap(Some(bytes), &exchange, sink);
        }
    }

    fn end_parts(&mut self, sink: &mut Sink<'_>) {
        for (progress, state) in [
            (&mut self.request_progress, self.request.state),
            (&mut self.response_progress, self.response.state),
        ] {
            if let Some(mut parts) = progress.parts.take() {
                parts.end(state == MessageState::Complete, &self.id, sink);
            }
        }
    }

    fn into_exchange(self, index_in_flow: u32, sink: &Sink<'_>) -> Exchange {
        let mut exchange = sink.exchange(
            Protocol::Http1,
            self.id,
            index_in_flow,
            self.request,
            self.response,
        );
        exchange.interim = self.interim;
        exchange.request.flags = self.request_progress.flags.names();
        exchange.response.flags = self.response_progress.flags.names();
        exchange
    }
}

/// All exchanges of a flow that are not over.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub open: VecDeque<Box<Open>>,
    pub next_index: u32,
    /// An exchange that is over for HTTP/1 alone.
    pub handed_over: Option<Box<Exchange>>,
    /// Bytes of memory that their heads take.
    cost: u64,
}

impl Queue {
    pub fn new(next_index: u32) -> Queue {
        Queue {
            next_index,
            ..Queue::default()
        }
    }

    /// Bytes of memory that they take.
    pub fn cost(&self) -> u64 {
        self.cost + (self.open.len() * size_of::<Open>()) as u64
    }

    /// Counts a head of so many bytes and fields that the exchange at `index` was given.
    pub fn count_head(&mut self, index: usize, bytes: usize, fields: usize) {
        if let Some(open) = self.open.get_mut(index) {
            let cost = (bytes + size_of::<ResponseHead>() + fields * size_of::<Field>()) as u64;
            open.cost += cost;
            self.cost += cost;
        }
    }

    /// The exchange whose response comes next.
    pub fn answering(&self) -> Option<usize> {
        self.open
            .iter()
            .position(|open| !open.response_progress.done)
    }

    /// Emits the exchanges at the front that are over.
    pub fn emit(&mut self, sink: &mut Sink<'_>) {
        while let Some(front) = self.open.front()
            && front.request_progress.done
            && front.response_progress.done
            && let Some(mut open) = self.open.pop_front()
        {
            open.end_parts(sink);
            self.cost -= open.cost;
            let is_handed_over = open.is_handed_over;
            let exchange = Box::new(open.into_exchange(self.next_index, sink));
            self.next_index += 1;
            match is_handed_over {
                true => self.handed_over = Some(exchange),
                false => sink.event(EventKind::Exchange(exchange)),
            }
        }
    }
}
