//! Bytes to frames.

use bytes::Bytes;

use super::Http2;
use super::frame::{self, HEADER_BYTES, Header, PREFACE};
use super::side::{Passed, State};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;

impl Http2 {
    /// Takes the next bytes of a direction.
    pub(super) fn receive(&mut self, direction: Direction, mut piece: Piece, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        if side.held.is_empty() {
            // What lies between was passed over before this parser began.
            side.consumed = side.consumed.max(piece.offset);
        }
        let mut is_start = true;
        while !piece.bytes.is_empty() {
            match self.side(direction).state {
                State::Lost => self.look_for_frames(direction, &mut piece, is_start, sink),
                State::Start => self.preface(direction, &mut piece, sink),
                State::Header => self.header(direction, &mut piece, sink),
                State::Payload { want } => self.payload(direction, want as usize, &mut piece, sink),
                State::Data { left, padding } => {
                    self.data(direction, left, padding, &mut piece, sink);
                }
                State::Skip { left, as_what } => {
                    let bytes = take(&mut piece, left as usize).len();
                    account(as_what, bytes, sink);
                    self.skipped(direction, left, as_what, bytes as u32);
                }
            }
            is_start = false;
        }
    }

    fn preface(&mut self, direction: Direction, piece: &mut Piece, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        if side.held.is_empty() {
            side.frame_offset = piece.offset;
            side.frame_time = piece.time;
        }
        let missing = PREFACE.len().saturating_sub(side.held.len());
        let bytes = take(piece, missing);
        side.held.push(&bytes);
        if !side.holds_preface() {
            // A connection that goes on; what is held are frames.
            let held = side.held.take();
            side.next_frame();
            piece.bytes = Bytes::from([&held[..], &piece.bytes].concat());
            piece.offset = side.frame_offset;
            return;
        }
        if side.held.len() < PREFACE.len() {
            return;
        }
        side.held.take();
        side.consumed = piece.offset;
        side.next_frame();
        sink.framing(PREFACE.len());
        self.begin_connection();
    }

    /// The preface of the client was seen.
    fn begin_connection(&mut self) {
        self.has_preface = true;
        if !self.streams.is_whole() {
            self.client.freshen();
            self.freshen_server();
        }
    }

    /// The server's first frame announces settings: with the client's preface that shows that the
    /// begin of its direction was seen.
    pub(super) fn freshen_server(&mut self) {
        let begins = self.server.opened_with_settings.unwrap_or(true);
        if self.has_preface && !self.streams.is_whole() && begins && !self.server.has_decoded {
            self.server.freshen();
            if self.server.opened_with_settings.is_some()
                && self.client.breaks == 0
                && self.server.breaks == 0
            {
                self.streams.trust();
            }
        }
    }

    fn header(&mut self, direction: Direction, piece: &mut Piece, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        if side.held.is_empty() {
            side.frame_offset = piece.offset;
            side.frame_time = piece.time;
        }
        let bytes = take(piece, HEADER_BYTES.saturating_sub(side.held.len()));
        let header = match <&[u8; HEADER_BYTES]>::try_from(&bytes[..]) {
            Ok(whole) => Header::parse(whole),
            Err(_) => {
                side.held.push(&bytes);
                let Ok(whole) = <&[u8; HEADER_BYTES]>::try_from(side.held.bytes()) else {
                    return;
                };
                let header = Header::parse(whole);
                side.held.take();
                header
            }
        };
        side.frame = header;
        side.consumed = piece.offset;
        sink.framing(HEADER_BYTES);
        self.begin_frame(direction, piece, sink);
    }

    fn payload(
        &mut self,
        direction: Direction,
        want: usize,
        piece: &mut Piece,
        sink: &mut Sink<'_>,
    ) {
        let side = self.side(direction);
        let bytes = take(piece, want.saturating_sub(side.held.len()));
        let payload = match side.held.is_empty() && bytes.len() == want {
            true => bytes,
            false => {
                side.held.push(&bytes);
                if side.held.len() < want {
                    return;
                }
                Bytes::from(side.held.take())
            }
        };
        side.consumed = piece.offset;
        self.end_payload(direction, &payload, piece.time, sink);
    }

    fn data(
        &mut self,
        direction: Direction,
        left: u32,
        padding: u32,
        piece: &mut Piece,
        sink: &mut Sink<'_>,
    ) {
        let time = piece.time;
        let body = take(piece, left.saturating_sub(padding) as usize);
        let side = self.side(direction);
        side.consumed = piece.offset;
        let (stream, breaks) = (side.frame.stream, side.breaks);
        let left = left - body.len() as u32;
        side.state = match left > padding {
            true => State::Data { left, padding },
            false => State::Skip {
                left: padding,
                as_what: Passed::Framing,
            },
        };
        let is_over = left == 0;
        match self.streams.get(stream) {
            Some(open) if !open.progress(direction).is_done => {
                sink.message(body.len());
                if !body.is_empty() {
                    open.take_body(direction, body, time, breaks, sink);
                }
            }
            _ => sink.discard("closed_stream", body.len()),
        }
        if left <= padding {
            self.end_data(direction, sink);
        }
        if is_over {
            self.side(direction).next_frame();
        }
    }

    /// `bytes` of the payload that is passed over are behind.
    pub(super) fn skipped(&mut self, direction: Direction, left: u32, as_what: Passed, bytes: u32) {
        let side = self.side(direction);
        side.consumed += u64::from(bytes);
        let left = left.saturating_sub(bytes);
        side.state = match left {
            0 => State::Header,
            _ => State::Skip { left, as_what },
        };
    }

    /// Passes over what is left of the frame's payload.
    pub(super) fn skip(&mut self, direction: Direction, left: u32, as_what: Passed) {
        self.skipped(direction, left, as_what, 0);
    }

    /// Waits for so many bytes of the frame's payload.
    pub(super) fn wait_for(
        &mut self,
        direction: Direction,
        want: u32,
        piece: &Piece,
        sink: &mut Sink<'_>,
    ) {
        match want {
            0 => self.end_payload(direction, &[], piece.time, sink),
            _ => self.side(direction).state = State::Payload { want },
        }
    }
}

/// Up to `limit` of the bytes that come next.
pub(super) fn take(piece: &mut Piece, limit: usize) -> Bytes {
    let bytes = piece.bytes.split_to(limit.min(piece.bytes.len()));
    piece.offset += bytes.len() as u64;
    bytes
}

/// Accounts for bytes that are passed over.
fn account(as_what: Passed, bytes: usize, sink: &mut Sink<'_>) {
    match as_what.cause() {
        None => sink.framing(bytes),
        Some(cause) => sink.discard(cause, bytes),
    }
}

/// How many bytes of a frame's payload are needed together; None when its length is wrong.
pub(super) fn wanted(header: Header) -> Option<u32> {
    let length = header.length;
    match header.kind {
        frame::SETTINGS if header.has(frame::ACK) => (length == 0).then_some(0),
        frame::SETTINGS => (length.is_multiple_of(6) && length <= MAX_SETTINGS).then_some(length),
        frame::RST_STREAM | frame::WINDOW_UPDATE => (length == 4).then_some(4),
        frame::GOAWAY => (length >= 8).then_some(8),
        frame::PING => (length == 8).then_some(0),
        frame::PRIORITY => (length == 5).then_some(0),
        _ => Some(0),
    }
}

/// No peer needs more settings in one frame.
const MAX_SETTINGS: u32 = 6 * 512;
