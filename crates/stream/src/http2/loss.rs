//! Missing bytes, and where frames go on after them.

use super::Http2;
use super::frame;
use super::probe;
use super::receive::take;
use super::side::{OpenBlock, Passed, State};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;

/// A stream that may be over is given up after this part of the time after which a flow is.
const STREAM_IDLE: u64 = 10;

impl Http2 {
    /// The next bytes of a direction are missing.
    pub(super) fn miss(
        &mut self,
        direction: Direction,
        offset: u64,
        bytes: u64,
        sink: &mut Sink<'_>,
    ) {
        let side = self.side(direction);
        let frame = side.frame;
        let missing = u32::try_from(bytes).unwrap_or(u32::MAX);
        match side.state {
            State::Data { left, padding } if missing <= left => {
                if let Some(open) = self.streams.get(frame.stream) {
                    let body = missing.min(left.saturating_sub(padding));
                    open.miss_body(direction, u64::from(body), sink);
                }
                let left = left - missing;
                if left > padding {
                    self.side(direction).state = State::Data { left, padding };
                } else {
                    self.skip(direction, left, Passed::Framing);
                    self.end_data(direction, sink);
                }
            }
            State::Skip { left, as_what } if missing <= left => {
                self.skip(direction, left - missing, as_what);
            }
            State::Payload { .. } if u64::from(frame.length) >= side.held.len() as u64 + bytes => {
                let left = frame.length - side.held.len() as u32 - missing;
                self.miss_payload(direction, left, sink);
            }
            _ => self.lose(direction, "gap_in_framing", sink),
        }
        let side = self.side(direction);
        side.consumed = side.consumed.max(offset.saturating_add(bytes));
    }

    /// Some of a payload that is needed whole is missing; `left` bytes of it follow.
    fn miss_payload(&mut self, direction: Direction, left: u32, sink: &mut Sink<'_>) {
        let held = self.side(direction).drop_held();
        let frame = self.side(direction).frame;
        let is_of_block = matches!(
            frame.kind,
            frame::HEADERS | frame::PUSH_PROMISE | frame::CONTINUATION
        );
        if !is_of_block {
            sink.discard("gap_in_framing", held);
            self.skip(direction, left, Passed::GapInFraming);
            match frame.kind {
                frame::SETTINGS => self.side(direction).announced.forget(),
                frame::DATA => self.flag(direction, frame.stream, "bad_padding"),
                _ => {}
            }
            // What was said of windows, resets and refusals is unknown.
            self.streams.doubt();
            return;
        }
        sink.discard("gap_in_head", held);
        self.skip(direction, left, Passed::GapInHead);
        let side = self.side(direction);
        side.decoder.forget();
        let block = OpenBlock {
            stream: frame.stream,
            promised: (frame.kind == frame::PUSH_PROMISE).then_some(0),
            ends_stream: frame.kind == frame::HEADERS && frame.has(frame::END_STREAM),
            bytes: Vec::new(),
            is_refused: true,
            offset: side.frame_offset,
            first_byte: side.frame_time,
        };
        let before = side.block.take();
        sink.discard(
            "gap_in_head",
            before.as_ref().map_or(0, |block| block.bytes.len()),
        );
        let block = match before {
            Some(before) => OpenBlock {
                bytes: Vec::new(),
                is_refused: true,
                ..*before
            },
            None => block,
        };
        match frame.has(frame::END_HEADERS) {
            true => self.lose_head(direction, &block, "gap_in_head", sink),
            // What continues it can't be decoded either.
            false => self.side(direction).block = Some(Box::new(block)),
        }
    }

    /// What follows in `direction` need not be the start of a frame, and what was before may have
    /// been anything.
    pub(super) fn lose(&mut self, direction: Direction, cause: &'static str, sink: &mut Sink<'_>) {
        let held = self.side(direction).drop_held();
        sink.discard(cause, held);
        self.break_block(direction, "gap_in_head", "gap_in_head", sink);
        self.streams.doubt();
        let allowed = self.side(direction.opposite()).announced.largest_table();
        let side = self.side(direction);
        side.state = State::Lost;
        side.breaks = side.breaks.wrapping_add(1);
        side.announced.forget();
        side.decoder.forget();
        side.decoder.bound(allowed);
        self.side(direction.opposite()).decoder.bound(None);
        self.streams.doubt_open_ones(sink.now);
    }

    /// Gives up streams whose end may be among what is missing, when nothing was seen of them for
    /// long: else they would stay for as long as the connection does.
    pub(super) fn settle_doubts(&mut self, sink: &mut Sink<'_>) {
        let patience = sink.limits.idle_ns / STREAM_IDLE;
        let is_over = |since| sink.now.since_ns(since) >= patience;
        if !self.streams.doubted_since().is_some_and(is_over) {
            return;
        }
        self.streams.settle_doubt();
        let breaks = [self.client.breaks, self.server.breaks];
        for stream in self.streams.ids() {
            let Some(open) = self.streams.get(stream) else {
                continue;
            };
            let is_doubtful = [Direction::Client, Direction::Server]
                .into_iter()
                .zip(breaks)
                .any(|(direction, breaks)| {
                    let progress = open.progress(direction);
                    !progress.is_done && progress.breaks != breaks
                });
            let last = open.request.last_byte.max(open.response.last_byte);
            if is_doubtful && sink.now.since_ns(last) >= patience {
                self.break_off(stream, "end_unknown", sink);
            } else if is_doubtful {
                self.streams.doubt_open_ones(sink.now);
            }
        }
    }

    /// Looks for frames where a segment starts, nowhere else.
    pub(super) fn look_for_frames(
        &mut self,
        direction: Direction,
        piece: &mut Piece,
        is_start: bool,
        sink: &mut Sink<'_>,
    ) {
        if is_start {
            if direction == Direction::Client && piece.bytes.starts_with(frame::PREFACE) {
                self.side(direction).state = State::Start;
                return;
            }
            let streams = &mut self.streams;
            if probe::resumes(&piece.bytes, |stream| streams.get(stream).is_some()) {
                self.side(direction).next_frame();
                return;
            }
        }
        let passed = take(piece, usize::MAX).len();
        sink.discard("resync", passed);
        self.side(direction).consumed = piece.offset;
    }

    /// No more bytes come in `direction`.
    pub(super) fn stop(&mut self, direction: Direction, cause: &'static str, sink: &mut Sink<'_>) {
        let held = self.side(direction).drop_held();
        let (state, frame) = (self.side(direction).state, self.side(direction).frame);
        sink.discard(cause, held);
        if matches!(state, State::Payload { .. })
            && frame.kind == frame::HEADERS
            && self.side(direction).block.is_none()
        {
            let side = self.side(direction);
            side.block = Some(Box::new(OpenBlock {
                stream: frame.stream,
                promised: None,
                ends_stream: false,
                bytes: Vec::new(),
                is_refused: true,
                offset: side.frame_offset,
                first_byte: side.frame_time,
            }));
        }
        self.break_block(direction, cause, "unfinished_head", sink);
        self.side(direction).state = State::Lost;
    }
}
