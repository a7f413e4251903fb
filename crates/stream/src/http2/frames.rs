//! Frames to what they mean for streams and for the connection (RFC 9113, section 6).

use super::Http2;
use super::frame::{self, Header};
use super::receive::wanted;
use super::settings::MAX_WINDOW;
use super::side::{Passed, State};
use super::stream::Open;
use super::streams::Standing;
use crate::flags::Flags;
use crate::maybe::Maybe32;
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

impl Http2 {
    /// The header of a frame was read; `piece` is what follows it.
    pub(super) fn begin_frame(&mut self, direction: Direction, piece: &Piece, sink: &mut Sink<'_>) {
        let header = self.side(direction).frame;
        self.note_first(direction, header);
        let limit = self.side(direction.opposite()).announced.largest_frame();
        if limit.is_some_and(|limit| header.length > limit) {
            if header.kind > frame::CONTINUATION {
                // Nobody sends that: it is no frame.
                self.side(direction).faults.set("bad_frame");
                return self.lose(direction, "malformed", sink);
            }
            self.flag(direction, header.stream, "frame_too_large");
        }
        let in_block = header.kind == frame::CONTINUATION;
        let block = self.side(direction).block.as_ref();
        if block.is_some_and(|block| !in_block || block.stream != header.stream) {
            self.break_block(direction, "malformed", "interrupted_header_block", sink);
        }
        match header.kind {
            frame::DATA => self.begin_data(direction, piece, sink),
            frame::HEADERS | frame::PUSH_PROMISE | frame::CONTINUATION => {
                self.begin_fragment(direction, piece, sink);
            }
            _ => match wanted(header) {
                Some(want) if want > 0 => self.wait_for(direction, want, piece, sink),
                Some(_) => {
                    if header.kind == frame::SETTINGS {
                        self.settings(direction, header, &[]);
                    }
                    self.skip(direction, header.length, Passed::Framing);
                }
                None => {
                    self.flag(direction, header.stream, "bad_frame_size");
                    self.skip(direction, header.length, Passed::Framing);
                }
            },
        }
    }

    /// The first bytes of a payload that are needed together were seen.
    pub(super) fn end_payload(
        &mut self,
        direction: Direction,
        payload: &[u8],
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        let header = self.side(direction).frame;
        if matches!(
            header.kind,
            frame::HEADERS | frame::PUSH_PROMISE | frame::CONTINUATION
        ) {
            self.side(direction).next_frame();
            return self.fragment(direction, header, payload, time, sink);
        }
        sink.framing(payload.len());
        let left = header.length.saturating_sub(payload.len() as u32);
        if header.kind == frame::DATA {
            let padding = payload.first().copied().unwrap_or(0);
            return self.padded_data(direction, left, u32::from(padding), sink);
        }
        self.skip(direction, left, Passed::Framing);
        match (header.kind, payload) {
            (frame::SETTINGS, _) => self.settings(direction, header, payload),
            (frame::RST_STREAM, [a, b, c, d]) => {
                self.reset(header.stream, u32::from_be_bytes([*a, *b, *c, *d]), sink);
            }
            (frame::GOAWAY, [a, b, c, d, ..]) => {
                let last = u32::from_be_bytes([*a, *b, *c, *d]) & 0x7fff_ffff;
                self.go_away(direction, last, sink);
            }
            (frame::WINDOW_UPDATE, [a, b, c, d]) => {
                let bytes = u32::from_be_bytes([*a, *b, *c, *d]) & 0x7fff_ffff;
                self.widen(direction, header.stream, bytes);
            }
            _ => {}
        }
    }

    fn note_first(&mut self, direction: Direction, header: Header) {
        let is_settings = header.kind == frame::SETTINGS && !header.has(frame::ACK);
        let side = self.side(direction);
        if side.opened_with_settings.is_none() {
            side.opened_with_settings = Some(is_settings);
            if direction == Direction::Server {
                self.freshen_server();
            }
        }
    }

    /// Flags the message of the stream in `direction`, or the connection where there is none.
    pub(super) fn flag(&mut self, direction: Direction, stream: u32, flag: &'static str) {
        match self.streams.get(stream) {
            Some(open) if !open.progress(direction).is_done => open.flag(direction, flag),
            _ => self.side(direction).faults.set(flag),
        }
    }

    fn begin_data(&mut self, direction: Direction, piece: &Piece, sink: &mut Sink<'_>) {
        let Header { length, stream, .. } = self.side(direction).frame;
        if !self.expects_data(direction, stream, sink) {
            let as_what = match self.streams.standing(stream) {
                _ if stream == 0 => Passed::Malformed,
                Standing::Idle => Passed::Malformed,
                _ => Passed::ClosedStream,
            };
            return self.skip(direction, length, as_what);
        }
        self.count_window(direction, stream, length, piece.after);
        match self.side(direction).frame.has(frame::PADDED) {
            true if length == 0 => {
                self.flag(direction, stream, "bad_padding");
                self.padded_data(direction, 0, 0, sink);
            }
            true => self.wait_for(direction, 1, piece, sink),
            false => self.padded_data(direction, length, 0, sink),
        }
    }

    /// Makes sure that the stream is there and takes data in `direction`.
    fn expects_data(&mut self, direction: Direction, stream: u32, sink: &Sink<'_>) -> bool {
        let side = self.side(direction);
        let (offset, time, breaks) = (side.frame_offset, side.frame_time, side.breaks);
        if stream == 0 {
            side.faults.set("data_on_connection");
            return false;
        }
        if self.streams.get(stream).is_none() {
            match self.streams.standing(stream) {
                Standing::Closed => return false,
                Standing::Idle if self.streams.is_whole() => {
                    self.side(direction).faults.set("data_on_idle_stream");
                    return false;
                }
                // Its heads were before anything that was seen.
                Standing::Idle | Standing::Unknown => {
                    let id = sink.exchange_id(offset, direction == Direction::Server);
                    self.open(stream, Open::new(id));
                }
            }
        }
        let is_whole = self.streams.is_whole();
        let Some(open) = self.streams.get(stream) else {
            return false;
        };
        if open.progress(direction).is_done {
            open.flag(direction, "data_after_end");
            return false;
        }
        if !open.has_head(direction) && is_whole && !open.progress(direction).is_damaged {
            open.flag(direction, "data_before_head");
            open.progress_mut(direction).is_damaged = true;
        }
        open.set_framed(direction);
        self.streams.begin(stream, direction, offset, time, breaks);
        true
    }

    /// The payload of a DATA frame begins, of which `padding` last bytes are padding.
    fn padded_data(&mut self, direction: Direction, left: u32, padding: u32, sink: &mut Sink<'_>) {
        let stream = self.side(direction).frame.stream;
        let padding = match padding > left {
            true => {
                self.flag(direction, stream, "bad_padding");
                left
            }
            false => padding,
        };
        if left > padding {
            self.side(direction).state = State::Data { left, padding };
            return;
        }
        self.skip(direction, padding, Passed::Framing);
        self.end_data(direction, sink);
    }

    /// The data of a DATA frame are behind, its padding need not be.
    pub(super) fn end_data(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        let (header, time) = (side.frame, side.frame_time);
        if let Some(open) = self.streams.get(header.stream) {
            open.add_body(direction, 0, time);
        }
        if header.has(frame::END_STREAM) {
            self.finish(header.stream, direction, sink);
        }
    }

    /// Counts a DATA frame against the windows (section 6.9). `after` is up to where its sender
    /// had received the other direction: before that is seen here, nothing can be said.
    fn count_window(&mut self, direction: Direction, stream: u32, length: u32, after: Option<u64>) {
        let other = self.side(direction.opposite());
        let is_known = after.is_some_and(|after| after <= other.consumed);
        let initial = other.announced.largest_window();
        let side = self.side(direction);
        let window = i64::from(side.window) - i64::from(length);
        side.window = i32::try_from(window).unwrap_or(i32::MIN);
        let mut is_exceeded = side.window < 0;
        let Some(open) = self.streams.get(stream) else {
            return;
        };
        let progress = open.progress_mut(direction);
        progress.sent = progress.sent.saturating_add(u64::from(length));
        if let Some(initial) = initial {
            let window = i64::from(initial).saturating_add(progress.credit);
            is_exceeded |= i64::try_from(progress.sent).is_ok_and(|sent| sent > window);
        }
        if is_exceeded && is_known && initial.is_some() && self.streams.is_whole() {
            self.flag(direction, stream, "window_exceeded");
        }
    }

    /// A WINDOW_UPDATE frame of `direction` lets the other side send more.
    fn widen(&mut self, direction: Direction, stream: u32, bytes: u32) {
        if bytes == 0 {
            self.flag(direction, stream, "zero_window_update");
        }
        if stream != 0 {
            if let Some(open) = self.streams.get(stream) {
                let credit = &mut open.progress_mut(direction.opposite()).credit;
                *credit = credit.saturating_add(i64::from(bytes));
            }
            return;
        }
        let side = self.side(direction.opposite());
        let window = i64::from(side.window) + i64::from(bytes);
        side.window = i32::try_from(window).unwrap_or(i32::MAX);
        if window > MAX_WINDOW && self.streams.is_whole() {
            self.flag(direction, stream, "window_overflow");
        }
    }

    fn settings(&mut self, direction: Direction, header: Header, payload: &[u8]) {
        if header.stream != 0 {
            return self.side(direction).faults.set("settings_on_stream");
        }
        if !header.has(frame::ACK) {
            let side = self.side(direction);
            let mut flags = Flags::default();
            side.announced.announce(payload, &mut flags);
            side.faults.merge(flags);
            return;
        }
        let announced = &mut self.side(direction.opposite()).announced;
        let settings = announced.acknowledge();
        if announced.largest_table().is_some() {
            self.side(direction).decoder.allow(settings.table_bytes);
        }
    }

    fn reset(&mut self, stream: u32, code: u32, sink: &mut Sink<'_>) {
        self.break_off(stream, frame::reset_flag(code), sink);
    }

    /// The sender will not answer streams of the other side above `last` (section 6.8).
    fn go_away(&mut self, direction: Direction, last: u32, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        let before = side.goaway.get().unwrap_or(u32::MAX);
        side.goaway = Maybe32::from(last.min(before));
        let like = u32::from(direction == Direction::Server);
        // Those above the last one that was named before are refused already.
        for stream in self.streams.ids_within(last, before, like) {
            self.refuse(stream, sink);
        }
    }

    /// The stream will not be answered; one whose answer has begun contradicts that.
    pub(super) fn refuse(&mut self, stream: u32, sink: &mut Sink<'_>) {
        let Some(open) = self.streams.get(stream) else {
            return;
        };
        if open.progress(Direction::Server).is_begun || open.progress(Direction::Server).is_done {
            return;
        }
        open.flag(Direction::Server, "refused_by_goaway");
        self.give_up(stream, Direction::Client, sink);
        self.give_up(stream, Direction::Server, sink);
    }
}
