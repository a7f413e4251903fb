//! Cuts the bodies of streaming exchanges into [`Part`]s: messages of gRPC and gRPC-Web, and
//! server-sent events. It counts and never holds a payload.
//!
//! Bodies with a content coding are not cut: their parts begin nowhere in the bytes as sent.

pub(crate) mod base64;
mod events;
mod frames;

use self::base64::Base64;
use self::events::Events;
use self::frames::Frames;
use crate::event::EventKind;
use crate::grpc::BodyForm;
use crate::id::ExchangeId;
use crate::message::{Field, MessageState, field_values};
use crate::part::{Part, PartKind};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::time::Timestamp;

/// Follows one body. What it is told: each chunk after its [`EventKind::Body`], each hole, and the
/// end before the exchange is emitted.
#[derive(Debug)]
pub(crate) struct Parts {
    direction: Direction,
    next_index: u32,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Frames(Frames),
    /// Frames written in base64; their offsets count decoded bytes.
    Text(Base64, Frames),
    Events(Events),
}

impl Parts {
    /// For a body whose head has these fields; None when it has no parts.
    pub fn of(fields: &[Field], direction: Direction) -> Option<Box<Parts>> {
        if is_encoded(fields) {
            return None;
        }
        let reader = match BodyForm::of(fields) {
            Some(BodyForm::WebText) => {
                Reader::Text(Base64::default(), Frames::new(BodyForm::WebText))
            }
            Some(form) => Reader::Frames(Frames::new(form)),
            None if direction == Direction::Server && are_events(fields) => {
                Reader::Events(Events::default())
            }
            None => return None,
        };
        Some(Box::new(Parts {
            direction,
            next_index: 0,
            reader,
        }))
    }

    /// The next bytes of the body.
    pub fn push(
        &mut self,
        chunk: &[u8],
        time: Timestamp,
        exchange: &ExchangeId,
        sink: &mut Sink<'_>,
    ) {
        let mut out = Out::new(self.direction, &mut self.next_index, exchange, sink);
        match &mut self.reader {
            Reader::Frames(frames) => frames.push(chunk, time, &mut out),
            Reader::Text(base64, frames) => {
                let is_sound = base64.decode(chunk, |bytes| frames.push(bytes, time, &mut out));
                if !is_sound {
                    frames.give_up("bad_base64", &mut out);
                }
            }
            Reader::Events(events) => events.push(chunk, time, &mut out),
        }
    }

    /// The next bytes of the body are missing: so many, where that is known.
    pub fn gap(&mut self, bytes: Option<u64>, exchange: &ExchangeId, sink: &mut Sink<'_>) {
        let mut out = Out::new(self.direction, &mut self.next_index, exchange, sink);
        match &mut self.reader {
            Reader::Frames(frames) => frames.gap(bytes, &mut out),
            // Whether padding was among what is missing is unknown.
            Reader::Text(_, frames) => frames.gap(None, &mut out),
            Reader::Events(events) => events.gap(&mut out),
        }
    }

    /// Nothing follows; `is_complete` when that is all of the body.
    pub fn end(&mut self, is_complete: bool, exchange: &ExchangeId, sink: &mut Sink<'_>) {
        let mut out = Out::new(self.direction, &mut self.next_index, exchange, sink);
        match &mut self.reader {
            Reader::Frames(frames) | Reader::Text(_, frames) => frames.end(is_complete, &mut out),
            Reader::Events(events) => events.end(is_complete, &mut out),
        }
    }
}

fn are_events(fields: &[Field]) -> bool {
    let mut types = field_values(fields, "content-type")
        .map(|value| value.split(|byte| *byte == b';').next().unwrap_or(value));
    let is_events = |name: &[u8]| name.trim_ascii().eq_ignore_ascii_case(b"text/event-stream");
    // Two types that disagree: how its recipient reads the body is anyone's guess.
    types.next().is_some_and(is_events) && types.all(is_events)
}

fn is_encoded(fields: &[Field]) -> bool {
    field_values(fields, "content-encoding")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

/// A part whose end was found.
struct Found {
    kind: PartKind,
    offset: u64,
    bytes: u64,
    is_complete: bool,
    first_byte: Timestamp,
    last_byte: Timestamp,
    flags: Vec<&'static str>,
}

/// Where readers put what they found.
struct Out<'a, 's> {
    direction: Direction,
    next_index: &'a mut u32,
    exchange: &'a ExchangeId,
    sink: &'a mut Sink<'s>,
}

impl<'a, 's> Out<'a, 's> {
    fn new(
        direction: Direction,
        next_index: &'a mut u32,
        exchange: &'a ExchangeId,
        sink: &'a mut Sink<'s>,
    ) -> Out<'a, 's> {
        Out {
            direction,
            next_index,
            exchange,
            sink,
        }
    }

    fn part(&mut self, found: Found) {
        let part = Part {
            exchange: self.exchange.clone(),
            direction: self.direction,
            index: *self.next_index,
            kind: found.kind,
            offset: found.offset,
            bytes: found.bytes,
            state: match found.is_complete {
                true => MessageState::Complete,
                false => MessageState::Incomplete,
            },
            first_byte: found.first_byte,
            last_byte: found.last_byte,
            flags: found.flags.into_iter().map(str::to_owned).collect(),
        };
        *self.next_index = self.next_index.saturating_add(1);
        self.sink.event(EventKind::Part(Box::new(part)));
    }
}
