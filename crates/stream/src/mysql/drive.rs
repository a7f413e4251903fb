//! Bytes to packets and frames, and each byte to its exchange and into the books.

use bytes::Bytes;

use super::frames::{self, Malformed};
use super::packets::Step;
use super::reply::{After, Stage};
use super::{Mysql, Place};
use crate::event::EventKind;
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

/// The longest line of the PROXY protocol, version 1.
const PROXY_LINE: usize = 107;

impl Mysql {
    /// Parses as far as the bytes go.
    pub(super) fn run(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        let mut rest = piece;
        let mut is_at_start = true;
        while !rest.bytes.is_empty() {
            if self.is_opaque {
                self.side(direction).consumed = rest.end();
                return sink.opaque(direction, rest);
            }
            let is_lost = self.side(direction).lost.is_some();
            if is_lost && !(is_at_start && self.regain(direction, &rest)) {
                self.side(direction).consumed = rest.end();
                return sink.discard("resync", rest.bytes.len());
            }
            let preface = match self.is_fresh && direction == Direction::Client {
                true => preface(&rest.bytes),
                false => 0,
            };
            let used = if preface > 0 {
                sink.framing(preface);
                preface
            } else if self.side(direction).frames.is_some() {
                self.run_frames(direction, &rest, sink)
            } else {
                self.run_packets(direction, &rest, sink)
            };
            let used = used.min(rest.bytes.len());
            let _ = rest.bytes.split_to(used);
            rest.offset += used as u64;
            is_at_start = false;
            let side = self.side(direction);
            side.consumed = rest.offset - side.held().len() as u64;
        }
    }

    /// Parses packets until the bytes are used or something else follows; how many were used.
    pub(super) fn run_packets(
        &mut self,
        direction: Direction,
        piece: &Piece,
        sink: &mut Sink<'_>,
    ) -> usize {
        let bytes = &piece.bytes;
        // What is given to the current exchange begins at `from`.
        let (mut from, mut at) = (0, 0);
        loop {
            let held = Bytes::copy_from_slice(self.side(direction).packets.held());
            let rest = bytes.get(at..).unwrap_or_default();
            let wanted = self.wanted(direction, rest, sink);
            match self.side(direction).packets.step(rest, wanted) {
                Step::Starved => {
                    let now_held = self.side(direction).packets.held().len();
                    if held.is_empty() && now_held > 0 {
                        self.side(direction).header_time = piece.time;
                    }
                    let kept = now_held.saturating_sub(held.len());
                    if now_held == 0 {
                        sink.message(rest.len());
                    }
                    let end = bytes.len() - kept;
                    self.flush(
                        direction,
                        bytes.slice(from..end.max(from)),
                        piece.time,
                        sink,
                    );
                    return bytes.len();
                }
                Step::Header(used, is_first) => {
                    if self.may_be_framed(direction) {
                        self.unframe();
                        return at + used;
                    }
                    let is_same = !is_first || self.continues_reply(direction);
                    if !is_same {
                        self.flush(direction, bytes.slice(from..at), piece.time, sink);
                        from = at;
                        let first_time = match held.is_empty() {
                            true => piece.time,
                            false => self.side(direction).header_time,
                        };
                        let place = Place {
                            offset: piece.offset + at as u64 - held.len() as u64,
                            time: first_time,
                            after: piece.after,
                            sequence: self.side(direction).packets.sequence,
                        };
                        if self.side(direction).current.is_some() {
                            self.finish_reply();
                            self.emit(sink);
                        }
                        self.begin(direction, place, sink);
                    }
                    self.flush(direction, held, piece.time, sink);
                    self.count_sequence(direction);
                    sink.framing(4);
                    at += used;
                }
                Step::Packet(used) => {
                    sink.message(used);
                    at += used;
                }
                Step::Message(used) => {
                    sink.message(used);
                    at += used;
                    let after = self.message(direction, sink);
                    // What goes on may do so in frames.
                    let is_framed = self.side(direction).frames.is_some();
                    if after == After::Goes && direction == Direction::Server && !is_framed {
                        continue;
                    }
                    self.flush(direction, bytes.slice(from..at), piece.time, sink);
                    from = at;
                    self.conclude(direction, after, piece.offset + at as u64, sink);
                    self.emit(sink);
                    let side = self.side(direction);
                    if side.frames.is_some() || side.lost.is_some() || self.is_opaque {
                        return at;
                    }
                }
            }
        }
    }

    /// Parses frames, and the packets in them.
    fn run_frames(&mut self, direction: Direction, piece: &Piece, sink: &mut Sink<'_>) -> usize {
        let mut at = 0;
        while let Some(rest) = piece.bytes.get(at..)
            && !rest.is_empty()
        {
            let side = self.side(direction);
            let Some(frames) = &mut side.frames else {
                return at;
            };
            let outcome = if frames.is_in_frame() {
                let used = frames.payload(rest.len());
                let chunk = piece.bytes.slice(at..at + used);
                at += used;
                self.frame_payload(direction, chunk, piece, sink)
            } else {
                let held = Bytes::copy_from_slice(frames.held());
                let (used, is_whole) = frames.header(rest);
                if !is_whole {
                    side.header_time = match held.is_empty() {
                        true => piece.time,
                        false => side.header_time,
                    };
                    return piece.bytes.len();
                }
                let offset = piece.offset + at as u64 - held.len() as u64;
                let chunk = piece.bytes.slice(at..at + used);
                at += used;
                self.frame_header(direction, offset, [held, chunk], piece, sink)
            };
            let outcome = outcome.and_then(|()| self.end_of_frame(direction, sink));
            if outcome.is_err() {
                self.flag_current(direction, "bad_compression");
                self.conclude(direction, After::Broken, piece.offset + at as u64, sink);
            }
            if self.side(direction).lost.is_some() || self.is_opaque {
                self.emit(sink);
                return at;
            }
        }
        at
    }

    fn frame_header(
        &mut self,
        direction: Direction,
        offset: u64,
        chunks: [Bytes; 2],
        piece: &Piece,
        sink: &mut Sink<'_>,
    ) -> Result<(), Malformed> {
        let side = self.side(direction);
        let Some(frames) = &mut side.frames else {
            return Err(Malformed);
        };
        let begun = frames.begin();
        let place = Place {
            offset,
            time: match chunks.first().is_some_and(|held| !held.is_empty()) {
                true => side.header_time,
                false => piece.time,
            },
            after: piece.after,
            sequence: frames.sequence,
        };
        side.begun_in_frame = 0;
        side.frame_offset = offset;
        side.frame_bytes = frames.bytes() as u64;
        if side.current.is_none() && !side.awaits_packet {
            self.begin(direction, place, sink);
            let side = self.side(direction);
            side.awaits_packet = true;
            side.begun_in_frame = 1;
        }
        let side = self.side(direction);
        side.frame_exchange = side.current.clone();
        sink.framing(frames::HEADER);
        for chunk in chunks {
            self.flush(direction, chunk, piece.time, sink);
        }
        begun
    }

    fn frame_payload(
        &mut self,
        direction: Direction,
        chunk: Bytes,
        piece: &Piece,
        sink: &mut Sink<'_>,
    ) -> Result<(), Malformed> {
        sink.message(chunk.len());
        self.flush(direction, chunk.clone(), piece.time, sink);
        // The frames are out of their side while what they hold is parsed.
        let Some(mut frames) = self.side(direction).frames.take() else {
            return Err(Malformed);
        };
        let outcome = match frames.is_stored() {
            true => self.packets_in_frame(direction, &chunk, piece, sink),
            false => self.inflate(direction, &mut frames, &chunk, piece, sink),
        };
        if !self.is_opaque {
            self.side(direction).frames = Some(frames);
        }
        outcome
    }

    fn inflate(
        &mut self,
        direction: Direction,
        frames: &mut frames::Frames,
        chunk: &[u8],
        piece: &Piece,
        sink: &mut Sink<'_>,
    ) -> Result<(), Malformed> {
        let mut input = chunk;
        let mut out = vec![0; frames::STEP];
        loop {
            let (used, filled) = frames.inflate(input, &mut out)?;
            input = input.get(used..).unwrap_or_default();
            let inflated = out.get(..filled).unwrap_or_default();
            self.packets_in_frame(direction, inflated, piece, sink)?;
            if used == 0 && filled == 0 || input.is_empty() && filled < frames::STEP {
                break;
            }
        }
        match input.is_empty() {
            true => Ok(()),
            false => Err(Malformed),
        }
    }

    /// Parses packets out of a frame.
    fn packets_in_frame(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        piece: &Piece,
        sink: &mut Sink<'_>,
    ) -> Result<(), Malformed> {
        let mut rest = bytes;
        loop {
            let wanted = self.wanted(direction, rest, sink);
            let used = match self.side(direction).packets.step(rest, wanted) {
                Step::Starved => return Ok(()),
                Step::Header(used, is_first) => {
                    let awaited = std::mem::take(&mut self.side(direction).awaits_packet);
                    if is_first && !awaited && !self.continues_reply(direction) {
                        self.begin_in_frame(direction, piece, sink)?;
                    }
                    used
                }
                Step::Packet(used) => used,
                Step::Message(used) => {
                    match self.message(direction, sink) {
                        After::Goes => {}
                        After::Over => self.conclude(direction, After::Over, 0, sink),
                        After::Opaque => {
                            self.conclude(direction, After::Opaque, 0, sink);
                            return Ok(());
                        }
                        After::Broken => return Err(Malformed),
                    }
                    used
                }
            };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// A further message of a frame begins. Its place is one after that of the message before it,
    /// so that each has its own.
    fn begin_in_frame(
        &mut self,
        direction: Direction,
        piece: &Piece,
        sink: &mut Sink<'_>,
    ) -> Result<(), Malformed> {
        if self.side(direction).current.is_some() {
            self.finish_reply();
        }
        let side = self.side(direction);
        let place = Place {
            offset: side.frame_offset + side.begun_in_frame,
            time: piece.time,
            after: piece.after,
            sequence: side.packets.sequence,
        };
        side.begun_in_frame += 1;
        if side.begun_in_frame > side.frame_bytes {
            return Err(Malformed);
        }
        self.begin(direction, place, sink);
        Ok(())
    }

    fn end_of_frame(&mut self, direction: Direction, sink: &mut Sink<'_>) -> Result<(), Malformed> {
        let side = self.side(direction);
        let Some(frames) = &mut side.frames else {
            return Ok(());
        };
        if !frames.is_in_frame() || !frames.is_over() {
            return Ok(());
        }
        let ended = frames.end();
        side.frame_exchange = None;
        self.emit(sink);
        ended
    }

    /// A message is whole.
    fn message(&mut self, direction: Direction, sink: &mut Sink<'_>) -> After {
        let head = self.side(direction).packets.take_head();
        let after = match direction {
            Direction::Client => self.client_message(&head, sink),
            Direction::Server => self.reply_message(&head, sink),
        };
        self.side(direction).packets.keep_head(head);
        after
    }

    /// Does what a message's end leads to; it ends at `end`.
    fn conclude(&mut self, direction: Direction, after: After, end: u64, sink: &mut Sink<'_>) {
        match (after, direction) {
            (After::Goes, _) => {}
            (After::Over, Direction::Client) => self.client.current = None,
            (After::Over, Direction::Server) => self.finish_reply(),
            (After::Opaque, _) => {
                self.client.current = None;
                self.finish_reply();
                self.become_opaque(sink);
            }
            (After::Broken, _) => {
                self.flag_current(direction, "malformed_packet");
                self.break_off(direction, "malformed", end, sink);
            }
        }
    }

    /// From here on nothing is read; what is held of a header belongs to what is not.
    fn become_opaque(&mut self, sink: &mut Sink<'_>) {
        self.is_opaque = true;
        for direction in [Direction::Client, Direction::Server] {
            let side = self.side(direction);
            let held = Piece {
                offset: side.consumed,
                bytes: Bytes::copy_from_slice(side.held()),
                time: side.header_time,
                after: None,
            };
            side.packets.reset();
            side.frames = None;
            side.consumed = held.end();
            sink.opaque(direction, held);
        }
    }

    /// True when the packet that begins belongs to the reply in progress.
    fn continues_reply(&self, direction: Direction) -> bool {
        direction == Direction::Server && self.server.current.is_some() && !self.is_next_reply()
    }

    fn wanted(&self, direction: Direction, rest: &[u8], sink: &Sink<'_>) -> usize {
        let limit = sink.limits.max_head_bytes as usize;
        match direction {
            Direction::Client => match self.queue.open.back() {
                Some(open) if open.sends_file => 1,
                _ => limit,
            },
            Direction::Server => self.reply_wanted(rest.first().copied(), limit),
        }
    }

    /// Gives bytes to the exchange in progress.
    fn flush(&mut self, direction: Direction, chunk: Bytes, time: Timestamp, sink: &mut Sink<'_>) {
        if chunk.is_empty() {
            return;
        }
        let side = self.side(direction);
        let current = match side.frames {
            Some(_) => side.frame_exchange.clone().or_else(|| side.current.clone()),
            None => side.current.clone(),
        };
        let Some(exchange) = current else {
            return;
        };
        if let Some(open) = self.queue.find(direction, &exchange) {
            open.add(direction, chunk.len(), time);
        }
        sink.event(EventKind::CommandData {
            exchange,
            direction,
            chunk,
            time,
        });
    }

    fn flag_current(&mut self, direction: Direction, flag: &'static str) {
        if let Some(exchange) = self.side(direction).current.clone()
            && let Some(open) = self.queue.find(direction, &exchange)
        {
            open.progress(direction).flags.set(flag);
        }
    }

    /// Checks that the packets of a reply follow each other.
    fn count_sequence(&mut self, direction: Direction) {
        let side = self.side(direction);
        let sequence = side.packets.sequence;
        let expected = side.expected.replace(sequence.wrapping_add(1));
        let is_next = expected.is_none_or(|expected| expected == sequence);
        if direction == Direction::Server && self.stage != Stage::First && !is_next {
            self.flag_current(direction, "unexpected_sequence");
        }
    }

    /// True when a command begins in a connection that will be compressed and whose server has
    /// not been seen to say so: the header is that of a frame.
    fn may_be_framed(&self, direction: Direction) -> bool {
        direction == Direction::Client
            && self.client.packets.sequence == 0
            && self.awaits_compression()
    }

    /// Goes on with frames: what was taken for a packet's header begins a frame's.
    fn unframe(&mut self) {
        let header = self.client.packets.header();
        self.client.packets.reset();
        self.begin_frames();
        if let Some(frames) = &mut self.client.frames {
            frames.header(&header);
        }
    }
}

/// How many bytes a proxy says of the connection before the client says anything.
fn preface(bytes: &[u8]) -> usize {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    if bytes.starts_with(b"PROXY ") {
        let line = bytes.get(..bytes.len().min(PROXY_LINE)).unwrap_or_default();
        return memchr::memmem::find(line, b"\r\n").map_or(0, |end| end + 2);
    }
    match bytes.strip_prefix(SIGNATURE) {
        Some([_, _, high, low, rest @ ..]) => {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            match rest.len() >= length {
                true => SIGNATURE.len() + 4 + length,
                false => 0,
            }
        }
        _ => 0,
    }
}
