//! Bodies: how each is framed, chunk by chunk, and what trails it (RFC 9112, sections 6 and 7).

use bytes::Bytes;

use super::framing::{self, Body};
use super::head;
use super::side::{Line, State, Trailers};
use super::{Http1, fields};
use crate::event::EventKind;
use crate::flags::Flags;
use crate::message::Framing;
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

impl Http1 {
    pub(super) fn begin_body(&mut self, direction: Direction, body: Body) {
        let side = self.side(direction);
        match body {
            Body::None => self.finish(direction),
            Body::Length(length) => side.state = State::Length(length),
            Body::Chunked => side.state = State::ChunkSize,
            Body::UntilClose => side.state = State::UntilClose,
        }
    }

    pub(super) fn run_body(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        let limit = match side.state {
            State::Length(left) | State::ChunkData(left) => left,
            _ => u64::MAX,
        };
        let Some(Piece { bytes, time, .. }) = side.take_bytes(limit) else {
            return;
        };
        let taken = bytes.len() as u64;
        let mut is_over = false;
        let mut ends_chunk = false;
        match &mut side.state {
            State::Length(left) => {
                *left -= taken;
                is_over = *left == 0;
            }
            State::ChunkData(left) => {
                *left -= taken;
                if *left == 0 {
                    ends_chunk = true;
                    side.state = State::ChunkEnd;
                }
            }
            _ => {}
        }
        sink.message(bytes.len());
        if let Some(open) = self.current(direction) {
            open.add_body(direction, bytes.len(), time);
            let exchange = open.id.clone();
            sink.event(EventKind::Body {
                exchange: exchange.clone(),
                direction,
                chunk: bytes.clone(),
                ends_chunk,
                time,
            });
            if let Some(parts) = &mut open.progress(direction).parts {
                parts.push(&bytes, time, &exchange, sink);
            }
        }
        if is_over {
            self.finish(direction);
        }
    }

    pub(super) fn chunk_size(
        &mut self,
        direction: Direction,
        line: &Bytes,
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        let mut flags = Flags::default();
        let content = &line[..line.len() - 1];
        let content = content.strip_suffix(b"\r").unwrap_or_else(|| {
            flags.set("bare_lf");
            content
        });
        let size = framing::chunk_size(content, &mut flags);
        if let Some(open) = self.current(direction) {
            open.touch(direction, time);
            open.progress(direction).flags.merge(flags);
        }
        let side = self.side(direction);
        match size {
            Some(0) => side.state = State::Trailers { line_start: 0 },
            Some(size) => side.state = State::ChunkData(size),
            None => {
                sink.discard("malformed", line.len());
                self.break_off_here(direction, "malformed", sink);
                return;
            }
        }
        sink.framing(line.len());
    }

    pub(super) fn trailers(&mut self, direction: Direction, section: &Bytes, time: Timestamp) {
        let mut flags = Flags::default();
        let fields = head::parse_trailers(section, &mut flags);
        fields::check_trailers(&fields, &mut flags);
        if let Some(open) = self.current(direction) {
            open.touch(direction, time);
            open.progress(direction).flags.merge(flags);
            match direction {
                Direction::Client => open.request.trailers = fields,
                Direction::Server => open.response.trailers = fields,
            }
        }
    }

    pub(super) fn run_chunk_size(
        &mut self,
        direction: Direction,
        limit: usize,
        sink: &mut Sink<'_>,
    ) {
        match self.side(direction).take_line(limit) {
            Line::Partial => {}
            Line::Whole(line, time) => self.chunk_size(direction, &line, time, sink),
            Line::TooLong => self.break_off_chunk(direction, sink),
        }
    }

    /// The line end after a chunk.
    pub(super) fn run_chunk_end(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        match self.side(direction).take_line(2) {
            Line::Partial => {}
            Line::Whole(line, time) if line == "\r\n" || line == "\n" => {
                if line == "\n" {
                    self.flag(direction, "bare_lf");
                }
                self.touch(direction, time);
                sink.framing(line.len());
                self.side(direction).state = State::ChunkSize;
            }
            Line::Whole(line, _) => {
                sink.discard("malformed", line.len());
                self.break_off_chunk(direction, sink);
            }
            Line::TooLong => self.break_off_chunk(direction, sink),
        }
    }

    fn break_off_chunk(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        self.flag(direction, "bad_chunk");
        self.break_off_here(direction, "malformed", sink);
    }

    pub(super) fn run_trailers(&mut self, direction: Direction, limit: usize, sink: &mut Sink<'_>) {
        match self.side(direction).take_trailers(limit) {
            Trailers::Partial => {}
            Trailers::Whole { section, end, time } => {
                self.trailers(direction, &section, time);
                if end == 1 {
                    self.flag(direction, "bare_lf");
                }
                sink.message(section.len());
                sink.framing(end);
                self.finish(direction);
            }
            Trailers::TooLong => {
                self.flag(direction, "trailers_too_large");
                self.break_off_here(direction, "malformed", sink);
            }
        }
    }
}

pub(super) fn framing_of(body: Body) -> Framing {
    match body {
        Body::None => Framing::None,
        Body::Length(_) => Framing::Length,
        Body::Chunked => Framing::Chunked,
        Body::UntilClose => Framing::Close,
    }
}
