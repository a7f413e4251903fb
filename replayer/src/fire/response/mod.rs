//! Reading a twin's answers (RFC 9112), byte for byte and without I/O.
//!
//! What a twin sends is data: anything that is no HTTP/1 answer is [`Garbage`],
//! an outcome of the request, and never a failure of the run.

mod head;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use twintap_scrub::Timeline;
use twintap_stream::message::Framing;
use twintap_stream::{Field, ResponseHead};

use super::capture::{Capture, Held, RawBody};
use super::ear::{Ear, EarlyValue};
use head::{
    chunk_size, content_length, head_end, is_chunked, keeps_alive, line_end, parse_field,
    parse_head, trim_line,
};

/// The most bytes that a head, a chunk-size line or the trailers may take.
pub const MAX_HEAD_BYTES: usize = 256 * 1024;

/// A whole answer, raw.
#[derive(Debug)]
pub struct RawAnswer {
    /// The head of the final response (status 200 and above, or 101).
    pub head: ResponseHead,
    /// The body after transfer decoding.
    pub body: RawBody,
    /// Trailer fields of a chunked or an HTTP/2 body.
    pub trailers: Vec<Field>,
    /// Of a WebSocket, whose messages the body is: where each ends, and when it came.
    pub timeline: Timeline,
    /// Counts what it holds in memory until it is dropped.
    pub held: Held,
    /// How many interim responses came before it.
    pub interim: u32,
    /// How it ended.
    pub framing: Framing,
    /// False when no further answer can follow on its connection.
    pub keeps_alive: bool,
}

/// Bytes that are no HTTP/1 response.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Garbage {
    /// The first line is none.
    #[error("no status line")]
    StatusLine,
    /// A header or trailer line has no colon, or no name.
    #[error("a header line without a name")]
    FieldLine,
    /// A head, a chunk-size line or the trailers never end.
    #[error("a head of more than {MAX_HEAD_BYTES} bytes")]
    TooLong,
    /// Content-Length is no number, or there are several that differ.
    #[error("a Content-Length that is none")]
    Length,
    /// A chunk's size is no number, or no line end follows its data.
    #[error("a chunk that is none")]
    Chunk,
}

/// What the end of the connection means for the answer being read.
#[derive(Debug)]
pub enum AtEnd {
    /// Nothing of an answer had come.
    Nothing,
    /// The answer lasted until the connection closed, and is whole.
    Whole(Box<RawAnswer>),
    /// The answer is cut; the text says where.
    Cut(&'static str),
}

/// A reader of one answer after another.
///
/// Call [`begin`](Self::begin) for each request in the order sent, then
/// [`feed`](Self::feed) until it gives the answer.
#[derive(Debug)]
pub struct ResponseReader {
    state: State,
    /// Bytes of an unfinished line or head.
    held: BytesMut,
    head: Option<ResponseHead>,
    framing: Framing,
    interim: u32,
    trailers: Vec<Field>,
    trailer_bytes: usize,
    to_head: bool,
    body: Capture,
    begun: bool,
    /// What is listened for in the answer, and what was heard and not taken yet.
    ear: Option<Ear>,
    heard: Vec<EarlyValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
}

impl ResponseReader {
    /// A reader that keeps bodies as `capture` says.
    pub fn new(capture: Capture) -> ResponseReader {
        ResponseReader {
            state: State::Head,
            held: BytesMut::new(),
            head: None,
            framing: Framing::None,
            interim: 0,
            trailers: Vec::new(),
            trailer_bytes: 0,
            to_head: false,
            body: capture,
            begun: false,
            ear: None,
            heard: Vec::new(),
        }
    }

    /// Listens for values in the answer that was begun.
    pub fn listen(&mut self, ear: Option<Ear>) {
        self.ear = ear;
    }

    /// The values that were heard and not taken yet.
    pub fn take_heard(&mut self) -> impl Iterator<Item = EarlyValue> {
        self.heard.drain(..)
    }

    /// Makes ready for the answer to a request with `method`: whether a body
    /// follows the head depends on it (RFC 9112, section 6.3).
    pub fn begin(&mut self, method: &[u8]) {
        self.state = State::Head;
        self.head = None;
        self.framing = Framing::None;
        self.interim = 0;
        self.trailers = Vec::new();
        self.trailer_bytes = 0;
        self.ear = None;
        // Of an answer that is whole the values are taken from the whole.
        self.heard.clear();
        self.to_head = method == b"HEAD";
        self.begun = !self.held.is_empty();
    }

    /// True when a byte of the answer being read has come.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Takes bytes from the front of `input`; gives the answer once it is whole,
    /// with what follows it left in `input`.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Box<RawAnswer>>, Garbage> {
        loop {
            match self.state {
                State::Head => {
                    let Some(block) = self.head_block(input)? else {
                        return Ok(None);
                    };
                    let head = parse_head(&block)?;
                    if (100..200).contains(&head.status) && head.status != 101 {
                        self.interim += 1;
                        continue;
                    }
                    self.start_body(head)?;
                    if self.state == State::Length(0) {
                        return Ok(Some(self.finish()));
                    }
                }
                State::Length(left) => {
                    let take = self.take(input, left);
                    if take == left {
                        return Ok(Some(self.finish()));
                    }
                    self.state = State::Length(left - take);
                    return Ok(None);
                }
                State::ChunkSize => {
                    let Some(end) = self.gather(input, line_end)? else {
                        return Ok(None);
                    };
                    let line = self.held.split_to(end);
                    self.state = match chunk_size(&line).ok_or(Garbage::Chunk)? {
                        0 => State::Trailers,
                        size => State::ChunkData(size),
                    };
                }
                State::ChunkData(left) => {
                    let take = self.take(input, left);
                    if take < left {
                        self.state = State::ChunkData(left - take);
                        return Ok(None);
                    }
                    self.state = State::ChunkEnd;
                }
                State::ChunkEnd => {
                    let Some(end) = self.gather(input, line_end)? else {
                        return Ok(None);
                    };
                    let line = self.held.split_to(end);
                    if trim_line(&line).is_empty() {
                        self.state = State::ChunkSize;
                    } else {
                        return Err(Garbage::Chunk);
                    }
                }
                State::Trailers => {
                    let Some(end) = self.gather(input, line_end)? else {
                        return Ok(None);
                    };
                    let line = self.held.split_to(end).freeze();
                    if trim_line(&line).is_empty() {
                        return Ok(Some(self.finish()));
                    }
                    self.trailer_bytes += line.len();
                    if self.trailer_bytes > MAX_HEAD_BYTES {
                        return Err(Garbage::TooLong);
                    }
                    self.trailers.push(parse_field(&line, 0, line.len())?);
                }
                State::UntilClose => {
                    self.take(input, u64::MAX);
                    return Ok(None);
                }
            }
        }
    }

    /// The connection ended after what was fed.
    pub fn end(&mut self) -> AtEnd {
        match self.state {
            State::Head if !self.begun => AtEnd::Nothing,
            State::Head => AtEnd::Cut("in the head"),
            State::UntilClose => AtEnd::Whole(self.finish()),
            _ => AtEnd::Cut("in the body"),
        }
    }

    /// The bytes of a head, once they are all there.
    fn head_block(&mut self, input: &mut &[u8]) -> Result<Option<Bytes>, Garbage> {
        // Mostly a head comes whole, and nothing has to be gathered.
        if self.held.is_empty()
            && let Some(end) = head_end(input, 0)
            && end <= MAX_HEAD_BYTES
        {
            let (block, rest) = input.split_at(end);
            *input = rest;
            self.begun = true;
            return Ok(Some(Bytes::copy_from_slice(block)));
        }
        let end = self.gather(input, head_end)?;
        Ok(end.map(|end| self.held.split_to(end).freeze()))
    }

    /// Gathers bytes until `find` sees an end in them, which is given.
    fn gather(
        &mut self,
        input: &mut &[u8],
        find: fn(&[u8], usize) -> Option<usize>,
    ) -> Result<Option<usize>, Garbage> {
        let before = self.held.len();
        let room = (MAX_HEAD_BYTES + 1).saturating_sub(before);
        let piece = &input[..input.len().min(room)];
        self.begun |= !piece.is_empty();
        self.held.extend_from_slice(piece);
        // Only what is new needs a look, and the line ends just before it.
        match find(&self.held, before.saturating_sub(3)) {
            Some(end) => {
                // What was held had no end in it, so the end lies in the new piece,
                // unless it was there from the start.
                let used = end.saturating_sub(before);
                self.held.truncate(end.max(before));
                *input = &input[used..];
                Ok(Some(end))
            }
            None if self.held.len() > MAX_HEAD_BYTES => Err(Garbage::TooLong),
            None => {
                *input = &input[piece.len()..];
                Ok(None)
            }
        }
    }

    fn take(&mut self, input: &mut &[u8], left: u64) -> u64 {
        let take = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let (body, rest) = input.split_at(take);
        self.body.push(body);
        if let Some(ear) = &mut self.ear {
            ear.hear(body, &mut self.heard);
        }
        *input = rest;
        take as u64
    }

    fn start_body(&mut self, head: ResponseHead) -> Result<(), Garbage> {
        if let Some(ear) = &mut self.ear {
            ear.begin(&head, &mut self.heard);
        }
        let bodiless = self.to_head || matches!(head.status, 101 | 204 | 304);
        (self.state, self.framing) = if bodiless {
            (State::Length(0), Framing::None)
        } else if is_chunked(&head) {
            (State::ChunkSize, Framing::Chunked)
        } else {
            match content_length(&head)? {
                Some(length) => (State::Length(length), Framing::Length),
                None => (State::UntilClose, Framing::Close),
            }
        };
        self.head = Some(head);
        Ok(())
    }

    fn finish(&mut self) -> Box<RawAnswer> {
        let head = self.head.take().unwrap_or_else(|| ResponseHead {
            version: Bytes::new(),
            status: 0,
            reason: Bytes::new(),
            fields: Vec::new(),
            line_spelling: None,
            end: Bytes::new(),
        });
        let (body, held) = self.body.finish();
        let keeps_alive =
            self.framing != Framing::Close && head.status != 101 && keeps_alive(&head);
        let answer = RawAnswer {
            head,
            body,
            trailers: std::mem::take(&mut self.trailers),
            timeline: Timeline::default(),
            held,
            interim: self.interim,
            framing: self.framing,
            keeps_alive,
        };
        self.state = State::Head;
        self.begun = false;
        Box::new(answer)
    }
}
