//! One stream: an exchange that is not over yet.

use bytes::Bytes;

use crate::event::{EventKind, Watermark};
use crate::flags::Flags;
use crate::id::ExchangeId;
use crate::message::{
    Exchange, Field, Framing, Message, MessageState, Protocol, RequestHead, ResponseHead,
};
use crate::parts::Parts;
use crate::segment::Direction;
use crate::sink::Sink;
use crate::time::Timestamp;

/// What an exchange costs in memory beside its fields.
const OVERHEAD: u64 = 1024;

/// What is known of one message apart from the message.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub flags: Flags,
    /// Something of it is missing.
    pub is_damaged: bool,
    pub is_done: bool,
    /// A byte of it was seen.
    pub is_begun: bool,
    /// How often its direction had been broken when it began.
    pub breaks: u32,
    /// The length that its head announces.
    pub length: Option<u64>,
    /// Bytes of DATA frames that count against the window, and by how much it was widened.
    pub sent: u64,
    pub credit: i64,
    /// What cuts its body, where that has parts, and as of which break.
    parts: Option<Box<Parts>>,
    parts_breaks: u32,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Open {
    pub id: ExchangeId,
    pub request: Message<RequestHead>,
    pub response: Message<ResponseHead>,
    pub interim: Vec<ResponseHead>,
    progress: [Progress; 2],
    /// Where its first byte in each direction was.
    pub begun: [Option<u64>; 2],
    /// Past where its last frame begins, in each direction.
    pub ends: Watermark,
    /// Bytes of its heads, by the measure of RFC 9113, section 6.5.2.
    pub head_bytes: u64,
}

impl Open {
    pub fn new(id: ExchangeId) -> Open {
        Open {
            id,
            request: Message::default(),
            response: Message::default(),
            interim: Vec::new(),
            progress: Default::default(),
            begun: [None; 2],
            ends: Watermark::default(),
            head_bytes: 0,
        }
    }

    pub fn cost(&self) -> u64 {
        self.head_bytes + OVERHEAD
    }

    pub fn progress(&self, direction: Direction) -> &Progress {
        &self.progress[direction as usize]
    }

    pub fn progress_mut(&mut self, direction: Direction) -> &mut Progress {
        &mut self.progress[direction as usize]
    }

    pub fn flag(&mut self, direction: Direction, flag: &'static str) {
        self.progress_mut(direction).flags.set(flag);
    }

    pub fn is_over(&self) -> bool {
        self.progress.iter().all(|progress| progress.is_done)
    }

    pub fn has_head(&self, direction: Direction) -> bool {
        match direction {
            Direction::Client => self.request.head.is_some(),
            Direction::Server => self.response.head.is_some(),
        }
    }

    /// The first byte of the message in `direction` is at `offset`.
    pub fn begin(&mut self, direction: Direction, offset: u64, time: Timestamp) {
        match direction {
            Direction::Client => self.request.begin(offset, time),
            Direction::Server => self.response.begin(offset, time),
        }
        self.progress_mut(direction).is_begun = true;
        *self.state(direction) = MessageState::Incomplete;
    }

    /// Counts body bytes seen at `time`.
    pub fn add_body(&mut self, direction: Direction, bytes: usize, time: Timestamp) {
        match direction {
            Direction::Client => self.request.add(bytes, time),
            Direction::Server => self.response.add(bytes, time),
        }
    }

    /// Hands on bytes of the body seen at `time`.
    pub fn take_body(
        &mut self,
        direction: Direction,
        chunk: Bytes,
        time: Timestamp,
        breaks: u32,
        sink: &mut Sink<'_>,
    ) {
        self.add_body(direction, chunk.len(), time);
        let progress = &mut self.progress[direction as usize];
        sink.event(EventKind::Body {
            exchange: self.id.clone(),
            direction,
            chunk: chunk.clone(),
            ends_chunk: false,
            time,
        });
        if let Some(parts) = &mut progress.parts {
            if progress.parts_breaks != breaks {
                progress.parts_breaks = breaks;
                parts.gap(None, &self.id, sink);
            }
            parts.push(&chunk, time, &self.id, sink);
        }
    }

    /// So many bytes of the body are missing.
    pub fn miss_body(&mut self, direction: Direction, bytes: u64, sink: &mut Sink<'_>) {
        let progress = &mut self.progress[direction as usize];
        progress.is_damaged = true;
        if let Some(parts) = &mut progress.parts {
            parts.gap(Some(bytes), &self.id, sink);
        }
    }

    /// Follows the body whose head has these fields, as of so many breaks.
    pub fn follow_parts(&mut self, direction: Direction, fields: &[Field]) {
        let progress = self.progress_mut(direction);
        progress.parts = Parts::of(fields, direction);
        progress.parts_breaks = progress.breaks;
    }

    /// Ends the parts of the bodies.
    fn end_parts(&mut self, sink: &mut Sink<'_>) {
        let states = [self.request.state, self.response.state];
        for (progress, state) in self.progress.iter_mut().zip(states) {
            if let Some(mut parts) = progress.parts.take() {
                parts.end(state == MessageState::Complete, &self.id, sink);
            }
        }
    }

    /// The message has, or may have, a body.
    pub fn set_framed(&mut self, direction: Direction) {
        match direction {
            Direction::Client => self.request.framing = Framing::Frames,
            Direction::Server => self.response.framing = Framing::Frames,
        }
    }

    /// The last byte of the message was seen: it is complete, if none was missed before, which
    /// `breaks` tells.
    pub fn finish(&mut self, direction: Direction, breaks: u32) {
        if self.progress(direction).is_done {
            return;
        }
        let expects_body = self.expects_body(direction);
        let has_head = self.has_head(direction);
        let body = match direction {
            Direction::Client => self.request.body_bytes,
            Direction::Server => self.response.body_bytes,
        };
        let progress = self.progress_mut(direction);
        progress.is_done = true;
        progress.is_damaged |= progress.breaks != breaks || !has_head;
        let is_whole = !progress.is_damaged;
        if is_whole && expects_body && progress.length.is_some_and(|length| length != body) {
            progress.flags.set("length_mismatch");
        }
        if is_whole {
            *self.state(direction) = MessageState::Complete;
        }
    }

    /// The message ends without its last byte.
    pub fn abandon(&mut self, direction: Direction) {
        let progress = self.progress_mut(direction);
        progress.is_done = true;
        progress.is_damaged = true;
    }

    /// Whether Content-Length tells of the frames (RFC 9113, section 8.1.1).
    fn expects_body(&self, direction: Direction) -> bool {
        let method = self.request.head.as_ref().map(|head| &head.method[..]);
        let status = self.response.head.as_ref().map_or(0, |head| head.status);
        match direction {
            Direction::Client => true,
            Direction::Server => {
                method.is_some_and(|method| method != b"HEAD") && status != 304 && status != 204
            }
        }
    }

    fn state(&mut self, direction: Direction) -> &mut MessageState {
        match direction {
            Direction::Client => &mut self.request.state,
            Direction::Server => &mut self.response.state,
        }
    }

    /// The exchange as it leaves; `faults` are those of the connection in each direction.
    pub fn into_exchange(
        mut self,
        index_in_flow: u32,
        faults: [&Flags; 2],
        sink: &mut Sink<'_>,
    ) -> Exchange {
        self.end_parts(sink);
        let names = |own: &Flags, of_connection: &Flags| {
            let mut flags = own.clone();
            flags.merge(of_connection.clone());
            flags.names()
        };
        let mut exchange = sink.exchange(
            Protocol::Http2,
            self.id,
            index_in_flow,
            self.request,
            self.response,
        );
        exchange.interim = self.interim;
        let [client, server] = &self.progress;
        // What an adopted exchange was flagged with comes first.
        let mut of_request = std::mem::take(&mut exchange.request.flags);
        of_request.extend(names(&client.flags, faults[0]));
        exchange.request.flags = of_request;
        let mut of_response = std::mem::take(&mut exchange.response.flags);
        of_response.extend(names(&server.flags, faults[1]));
        exchange.response.flags = of_response;
        exchange
    }
}
