//! One direction of a WebSocket.

use bytes::{Bytes, BytesMut};

use super::frame::{self, Head, MAX_CONTROL, MAX_HEAD};
use super::inflate::{Failure, Inflater};
use super::message::Open;
use crate::event::EventKind;
use crate::flags::Flags;
use crate::id::ExchangeId;
use crate::part::PartKind;
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

/// What the next byte is part of.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The head of a frame.
    Head,
    /// The payload of a frame.
    Payload(Payload),
    /// Anything.
    Lost,
}

/// Where in a frame's payload it stands.
#[derive(Clone, Copy, Debug)]
struct Payload {
    left: u64,
    taken: u64,
    mask: Option<[u8; 4]>,
    is_control: bool,
    /// The message ends with this frame.
    is_last: bool,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Side {
    exchange: ExchangeId,
    direction: Direction,
    state: State,
    /// The part of a frame's head that was seen, and when its first byte was.
    partial: [u8; MAX_HEAD],
    partial_bytes: usize,
    partial_time: Timestamp,
    /// Everything below is accounted for; `partial` starts here.
    consumed: u64,
    message: Option<Open>,
    control: Option<Open>,
    /// The next frame may go on with a message whose begin was not seen.
    begin_is_lost: bool,
    /// A close frame was seen.
    is_closed: bool,
    next_part: u32,
    /// Flags of the next part.
    next_flags: Flags,
    /// Payload given out.
    data_bytes: u64,
    /// Where compression was agreed on.
    inflater: Option<Inflater>,
}

impl Side {
    pub fn new(
        exchange: ExchangeId,
        direction: Direction,
        consumed: u64,
        inflater: Option<Inflater>,
    ) -> Side {
        Side {
            exchange,
            direction,
            state: State::Head,
            partial: [0; MAX_HEAD],
            partial_bytes: 0,
            partial_time: Timestamp::default(),
            consumed,
            message: None,
            control: None,
            begin_is_lost: false,
            is_closed: false,
            next_part: 0,
            next_flags: Flags::default(),
            data_bytes: 0,
            inflater,
        }
    }

    pub fn held_bytes(&self) -> u64 {
        self.partial_bytes as u64
    }

    pub fn state_bytes(&self) -> u64 {
        self.inflater.as_ref().map_or(0, Inflater::state_bytes)
    }

    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    pub fn flag_next(&mut self, flag: &'static str) {
        self.next_flags.set(flag);
    }

    pub fn piece(&mut self, piece: Piece, sink: &mut Sink<'_>) {
        let Piece {
            mut bytes, time, ..
        } = piece;
        if let State::Lost = self.state
            && frame::is_plausible(&bytes, self.direction, self.inflater.is_some())
        {
            self.state = State::Head;
        }
        while !bytes.is_empty() {
            match self.state {
                State::Lost => {
                    sink.discard("resync", bytes.len());
                    self.consumed += bytes.len() as u64;
                    return;
                }
                State::Head => self.head(&mut bytes, time, sink),
                State::Payload(payload) => {
                    let length = payload.left.min(bytes.len() as u64) as usize;
                    let part = bytes.split_to(length);
                    self.consumed += length as u64;
                    self.payload(payload, part, time, sink);
                }
            }
        }
    }

    pub fn gap(&mut self, offset: u64, bytes: u64, sink: &mut Sink<'_>) {
        match &mut self.state {
            State::Payload(payload) if bytes <= payload.left => {
                payload.left -= bytes;
                payload.taken = payload.taken.wrapping_add(bytes);
                let payload = *payload;
                self.damage(payload.is_control);
                if payload.left == 0 {
                    self.end_frame(payload, sink);
                }
            }
            _ => {
                self.drop_partial("gap_in_head", sink);
                self.lose(sink);
            }
        }
        self.consumed = self.consumed.max(offset.saturating_add(bytes));
    }

    /// No more bytes come.
    pub fn stop(&mut self, cause: &'static str, sink: &mut Sink<'_>) {
        self.drop_partial(cause, sink);
        self.lose(sink);
    }

    /// Takes bytes of a frame's head.
    fn head(&mut self, bytes: &mut Bytes, time: Timestamp, sink: &mut Sink<'_>) {
        if self.partial_bytes == 0 {
            self.partial_time = time;
        }
        let before = self.partial_bytes;
        let room = (MAX_HEAD - before).min(bytes.len());
        self.partial[before..before + room].copy_from_slice(&bytes[..room]);
        let Some(head) = Head::read(&self.partial[..before + room]) else {
            self.partial_bytes += room;
            bytes.clear();
            return;
        };
        let _ = bytes.split_to(head.bytes - before);
        self.partial_bytes = 0;
        self.consumed += head.bytes as u64;
        sink.framing(head.bytes);
        self.begin_frame(head, time, sink);
    }

    fn begin_frame(&mut self, head: Head, time: Timestamp, sink: &mut Sink<'_>) {
        self.begin_part(&head, sink);
        let is_compressed = self.compression(&head);
        let Some(open) = self.open(head.is_control()) else {
            return;
        };
        open.last_byte = open.last_byte.max(time);
        open.is_compressed |= is_compressed;
        let payload = Payload {
            left: head.length,
            taken: 0,
            mask: head.mask,
            is_control: head.is_control(),
            is_last: head.is_last || head.is_control(),
        };
        if head.length > i64::MAX as u64 {
            // The most significant bit must be 0 (RFC 6455, section 5.2): where the next frame
            // starts is anybody's guess.
            open.flags.set("bad_length");
            return self.lose(sink);
        }
        self.state = State::Payload(payload);
        if head.length == 0 {
            self.end_frame(payload, sink);
        }
    }

    /// Opens the message or control frame that a frame begins, and names what is wrong with it.
    fn begin_part(&mut self, head: &Head, sink: &mut Sink<'_>) {
        let is_continued = head.opcode == 0 && self.message.is_some();
        if !head.is_control() && !is_continued {
            if let Some(mut open) = self.message.take() {
                open.flags.set("interrupted");
                open.is_damaged = true;
                self.emit(open, sink);
            }
            let mut open = self.new_part(head);
            if head.opcode == 0 && self.begin_is_lost {
                open.flags.set("begin_lost");
                open.is_damaged = true;
            } else if head.opcode == 0 {
                open.flags.set("unexpected_continuation");
            }
            self.begin_is_lost = false;
            self.message = Some(open);
        }
        if head.is_control() {
            self.control = Some(self.new_part(head));
        }
        let direction = self.direction;
        let is_closed = self.is_closed;
        let Some(open) = self.open(head.is_control()) else {
            return;
        };
        let irregularities = [
            (head.is_padded(), "nonminimal_length"),
            (is_closed, "after_close"),
            (
                direction == Direction::Client && head.mask.is_none(),
                "unmasked_frame",
            ),
            (
                direction == Direction::Server && head.mask.is_some(),
                "masked_frame",
            ),
            (
                matches!(open.kind, PartKind::SocketOther { .. }),
                "unknown_opcode",
            ),
            (
                head.is_control() && head.length > MAX_CONTROL,
                "oversized_control",
            ),
            (head.is_control() && !head.is_last, "fragmented_control"),
        ];
        for (_, flag) in irregularities.into_iter().filter(|(is_so, _)| *is_so) {
            open.flags.set(flag);
        }
    }

    /// Whether the frame begins a compressed message. Other uses of reserved bits are flagged.
    fn compression(&mut self, head: &Head) -> bool {
        let mut reserved = head.reserved;
        let mut is_compressed = false;
        if matches!(head.opcode, 1 | 2)
            && reserved & 0x40 != 0
            && let Some(inflater) = &mut self.inflater
        {
            inflater.begin();
            is_compressed = true;
            reserved &= !0x40;
        }
        if reserved != 0
            && let Some(open) = self.open(head.is_control())
        {
            open.flags.set("reserved_bits");
        }
        is_compressed
    }

    fn new_part(&mut self, head: &Head) -> Open {
        let kind = match head.opcode {
            0 | 2 => PartKind::SocketBinary,
            1 => PartKind::SocketText,
            8 => PartKind::SocketClose { code: None },
            9 => PartKind::SocketPing,
            10 => PartKind::SocketPong,
            opcode => PartKind::SocketOther { opcode },
        };
        let mut open = Open::new(self.next_part, kind, self.data_bytes, self.partial_time);
        open.flags = std::mem::take(&mut self.next_flags);
        self.next_part = self.next_part.saturating_add(1);
        open
    }

    fn open(&mut self, is_control: bool) -> Option<&mut Open> {
        match is_control {
            true => self.control.as_mut(),
            false => self.message.as_mut(),
        }
    }

    /// Takes payload as it was sent.
    fn payload(&mut self, payload: Payload, part: Bytes, time: Timestamp, sink: &mut Sink<'_>) {
        let wire_bytes = part.len();
        let part = unmasked(part, &payload);
        let is_compressed = self.open(payload.is_control).is_some_and(|open| {
            open.last_byte = open.last_byte.max(time);
            open.is_compressed
        });
        let ends_fragment = !payload.is_last && wire_bytes as u64 == payload.left;
        match is_compressed {
            true => self.inflate(&part, ends_fragment, time, sink),
            false => {
                sink.message(wire_bytes);
                self.deliver(payload.is_control, part, ends_fragment, time, sink);
            }
        }
        let payload = Payload {
            left: payload.left - wire_bytes as u64,
            taken: payload.taken.wrapping_add(wire_bytes as u64),
            ..payload
        };
        self.state = State::Payload(payload);
        if payload.left == 0 {
            self.end_frame(payload, sink);
        }
    }

    /// Inflates payload of the message. What can't be is given up.
    fn inflate(&mut self, part: &[u8], ends_fragment: bool, time: Timestamp, sink: &mut Sink<'_>) {
        let limit = sink.limits.flow_buffer_bytes;
        let mut chunks = Vec::new();
        let Some(inflater) = &mut self.inflater else {
            return sink.message(part.len());
        };
        let (read, failure) = match inflater.inflate(part, limit, |chunk| chunks.push(chunk)) {
            Ok(()) => (part.len(), None),
            Err((read, failure)) => (read, Some(failure)),
        };
        sink.message(read);
        let last = chunks.len().wrapping_sub(1);
        for (index, chunk) in chunks.into_iter().enumerate() {
            self.deliver(false, chunk, ends_fragment && index == last, time, sink);
        }
        if let Some(failure) = failure {
            sink.discard(failure.name(), part.len() - read);
            self.fail(failure);
        }
    }

    /// The message can't be inflated.
    fn fail(&mut self, failure: Failure) {
        if let Some(open) = &mut self.message {
            open.flags.set(failure.name());
            open.is_damaged = true;
        }
    }

    /// Gives out payload.
    fn deliver(
        &mut self,
        is_control: bool,
        chunk: Bytes,
        ends_fragment: bool,
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        let Some(open) = self.open(is_control) else {
            return;
        };
        open.push(&chunk);
        let part = open.index;
        self.data_bytes += chunk.len() as u64;
        sink.event(EventKind::SocketData {
            exchange: self.exchange.clone(),
            direction: self.direction,
            part,
            chunk,
            ends_fragment,
            time,
        });
    }

    fn end_frame(&mut self, payload: Payload, sink: &mut Sink<'_>) {
        self.state = State::Head;
        if !payload.is_last {
            return;
        }
        if !payload.is_control {
            self.end_compressed(sink);
        }
        let open = match payload.is_control {
            true => self.control.take(),
            false => self.message.take(),
        };
        if let Some(open) = open {
            self.is_closed |= matches!(open.kind, PartKind::SocketClose { .. });
            self.emit(open, sink);
        }
    }

    /// Inflates what the end of a compressed message still has to give.
    fn end_compressed(&mut self, sink: &mut Sink<'_>) {
        let Some((time, true)) = self
            .message
            .as_ref()
            .map(|open| (open.last_byte, open.is_compressed))
        else {
            return;
        };
        let mut chunks = Vec::new();
        let ended = self.inflater.as_mut().map(|inflater| {
            inflater.end(sink.limits.flow_buffer_bytes, |chunk| chunks.push(chunk))
        });
        for chunk in chunks {
            self.deliver(false, chunk, false, time, sink);
        }
        if let Some(Err(failure)) = ended {
            self.fail(failure);
        }
    }

    fn emit(&mut self, open: Open, sink: &mut Sink<'_>) {
        let part = open.into_part(self.exchange.clone(), self.direction);
        sink.event(EventKind::Part(Box::new(part)));
    }

    /// Bytes of a message or control frame were not seen.
    fn damage(&mut self, is_control: bool) {
        let Some(open) = self.open(is_control) else {
            return;
        };
        open.is_damaged = true;
        if open.is_compressed
            && let Some(inflater) = &mut self.inflater
        {
            inflater.lose();
        }
    }

    /// Where the next frame starts is unknown: what is open is over.
    fn lose(&mut self, sink: &mut Sink<'_>) {
        self.state = State::Lost;
        self.begin_is_lost = true;
        if let Some(inflater) = &mut self.inflater {
            inflater.lose();
        }
        let open = [self.control.take(), self.message.take()];
        for mut open in open.into_iter().flatten() {
            open.is_damaged = true;
            self.emit(open, sink);
        }
    }

    fn drop_partial(&mut self, cause: &'static str, sink: &mut Sink<'_>) {
        sink.discard(cause, self.partial_bytes);
        self.consumed += self.partial_bytes as u64;
        self.partial_bytes = 0;
    }
}

fn unmasked(part: Bytes, payload: &Payload) -> Bytes {
    match payload.mask {
        None | Some([0, 0, 0, 0]) => part,
        Some(mask) => {
            let mut bytes = BytesMut::from(part);
            frame::unmask(&mut bytes, mask, payload.taken);
            bytes.freeze()
        }
    }
}
