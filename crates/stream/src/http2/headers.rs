//! Header blocks to the heads of streams (RFC 9113, sections 4.3, 6.2, 6.6 and 8.1).

use super::Http2;
use super::frame::{self, Header};
use super::head::{self, Kind};
use super::hpack::Block;
use super::side::{OpenBlock, Passed};
use super::stream::Open;
use super::streams::Standing;
use crate::event::EventKind;
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

impl Http2 {
    /// The header of a frame with a part of a header block was read.
    pub(super) fn begin_fragment(
        &mut self,
        direction: Direction,
        piece: &Piece,
        sink: &mut Sink<'_>,
    ) {
        let header = self.side(direction).frame;
        let side = self.side(direction);
        let held = side.block.as_ref().map(|block| block.bytes.len() as u64);
        if header.kind == frame::CONTINUATION && held.is_none() {
            side.faults.set("stray_continuation");
            side.decoder.forget();
            return self.skip(direction, header.length, Passed::Malformed);
        }
        let is_refused = side.block.as_ref().is_some_and(|block| block.is_refused);
        if is_refused || held.unwrap_or(0) + u64::from(header.length) > sink.limits.max_head_bytes {
            return self.refuse_block(direction, header, sink);
        }
        self.wait_for(direction, header.length, piece, sink);
    }

    /// A header block is too large to be held.
    fn refuse_block(&mut self, direction: Direction, header: Header, sink: &mut Sink<'_>) {
        let mut block = self.take_block(direction, header, None);
        block.is_refused = true;
        let held = std::mem::take(&mut block.bytes).len();
        sink.discard("head_too_large", held);
        self.side(direction).decoder.forget();
        match header.has(frame::END_HEADERS) {
            true => self.lose_head(direction, &block, "head_too_large", sink),
            false => self.side(direction).block = Some(Box::new(block)),
        }
        self.skip(direction, header.length, Passed::HeadTooLarge);
    }

    /// The open block, or a new one that the frame begins.
    fn take_block(
        &mut self,
        direction: Direction,
        header: Header,
        promised: Option<u32>,
    ) -> OpenBlock {
        let side = self.side(direction);
        let block = side.block.take().map(|block| *block);
        block.unwrap_or_else(|| OpenBlock {
            stream: header.stream,
            promised,
            ends_stream: header.kind == frame::HEADERS && header.has(frame::END_STREAM),
            bytes: Vec::new(),
            is_refused: false,
            offset: side.frame_offset,
            first_byte: side.frame_time,
        })
    }

    /// The payload of a frame with a part of a header block was read.
    pub(super) fn fragment(
        &mut self,
        direction: Direction,
        header: Header,
        payload: &[u8],
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        let Some((promised, fragment)) = unwrap(header, payload) else {
            sink.discard("malformed", payload.len());
            let block = self.take_block(direction, header, None);
            self.side(direction).decoder.forget();
            return self.lose_head(direction, &block, "bad_padding", sink);
        };
        sink.framing(payload.len() - fragment.len());
        let mut block = self.take_block(direction, header, promised);
        if !header.has(frame::END_HEADERS) {
            block.bytes.extend_from_slice(fragment);
            self.side(direction).block = Some(Box::new(block));
        } else if block.bytes.is_empty() {
            self.end_block(direction, &block, fragment, time, sink);
        } else {
            let mut bytes = std::mem::take(&mut block.bytes);
            bytes.extend_from_slice(fragment);
            self.end_block(direction, &block, &bytes, time, sink);
        }
    }

    /// The block that is open ends without its end.
    pub(super) fn break_block(
        &mut self,
        direction: Direction,
        cause: &'static str,
        flag: &'static str,
        sink: &mut Sink<'_>,
    ) {
        if let Some(block) = self.side(direction).block.take() {
            sink.discard(cause, block.bytes.len());
            self.side(direction).decoder.forget();
            self.lose_head(direction, &block, flag, sink);
        }
    }

    /// A whole header block was read.
    fn end_block(
        &mut self,
        direction: Direction,
        block: &OpenBlock,
        bytes: &[u8],
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        let allowed = self.side(direction.opposite()).announced.largest_table();
        let limit = usize::try_from(sink.limits.max_head_bytes).unwrap_or(usize::MAX);
        let side = self.side(direction);
        side.has_decoded = true;
        // Whatever the stream is, the table must follow.
        let decoded = side.decoder.decode(bytes, allowed, limit);
        let is_taken = match block.promised {
            Some(promised) => self.promise(direction, promised, block, decoded, sink),
            None => self.take_head(direction, block, decoded, time, sink),
        };
        match is_taken {
            true => sink.message(bytes.len()),
            false if block.stream == 0 => sink.discard("malformed", bytes.len()),
            false => sink.discard("closed_stream", bytes.len()),
        }
    }

    /// Makes sure that the stream of a header block is there and takes one in `direction`.
    fn expects_head(&mut self, direction: Direction, block: &OpenBlock, sink: &Sink<'_>) -> bool {
        let stream = block.stream;
        if stream == 0 {
            self.side(direction).faults.set("headers_on_connection");
            return false;
        }
        if self.streams.get(stream).is_none() {
            let standing = self.streams.standing(stream);
            if standing == Standing::Closed {
                return false;
            }
            let from_server = direction == Direction::Server;
            let mut open = Open::new(sink.exchange_id(block.offset, from_server));
            if from_server && self.streams.is_whole() {
                open.flag(direction, "unrequested");
            }
            if !from_server && stream.is_multiple_of(2) {
                open.flag(direction, "bad_stream_id");
            }
            self.open(stream, open);
        }
        let breaks = self.side(direction).breaks;
        let Some(open) = self.streams.get(stream) else {
            return false;
        };
        if open.progress(direction).is_done {
            open.flag(direction, "headers_after_end");
            return false;
        }
        self.streams
            .begin(stream, direction, block.offset, block.first_byte, breaks);
        true
    }

    /// Gives the stream a message whose head is lost.
    pub(super) fn lose_head(
        &mut self,
        direction: Direction,
        block: &OpenBlock,
        flag: &'static str,
        sink: &mut Sink<'_>,
    ) {
        if block.promised.is_some() || !self.expects_head(direction, block, sink) {
            return;
        }
        if let Some(open) = self.streams.get(block.stream) {
            open.flag(direction, flag);
            open.progress_mut(direction).is_damaged = true;
        }
        if block.ends_stream {
            self.finish(block.stream, direction, sink);
        }
    }

    /// Gives the stream its head or its trailers; false when it takes none.
    fn take_head(
        &mut self,
        direction: Direction,
        block: &OpenBlock,
        decoded: Block,
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) -> bool {
        if !self.expects_head(direction, block, sink) {
            return false;
        }
        let stream = block.stream;
        let is_whole = self.streams.is_whole();
        self.streams.hold(stream, decoded.bytes);
        let Some(open) = self.streams.get(stream) else {
            return false;
        };
        let own = match direction {
            Direction::Client => Kind::Request,
            Direction::Server => Kind::Response,
        };
        let kind = head::kind_of(&decoded.fields, decoded.unknown_at, Some(own));
        // What begins a message is its head, but where its begin may be lost.
        let is_first = !open.has_head(direction) && !open.progress(direction).is_damaged;
        let kind = match kind {
            _ if is_first && is_whole => own,
            Some(kind) if kind == own && !open.has_head(direction) => own,
            None if is_first => own,
            Some(Kind::Response) if open.has_unknown_status() => own,
            _ => Kind::Trailers,
        };
        match (kind, direction) {
            (Kind::Trailers, _) => open.take_trailers(direction, decoded, block.ends_stream, time),
            (_, Direction::Client) => open.take_request(decoded, block, time, sink),
            (_, Direction::Server) => open.take_response(decoded, block, time, sink),
        }
        if !block.ends_stream && open.has_head(direction) {
            open.set_framed(direction);
        }
        if block.ends_stream {
            self.finish(stream, direction, sink);
        }
        let last = self.server.goaway.get();
        if direction == Direction::Client && last.is_some_and(|last| stream > last) {
            self.refuse(stream, sink);
        }
        true
    }

    /// A server promises a response to a request that it makes up (section 8.4).
    fn promise(
        &mut self,
        direction: Direction,
        promised: u32,
        block: &OpenBlock,
        decoded: Block,
        sink: &mut Sink<'_>,
    ) -> bool {
        let is_new = promised != 0
            && self.streams.get(promised).is_none()
            && self.streams.standing(promised) != Standing::Closed;
        if direction == Direction::Client || !is_new || !promised.is_multiple_of(2) {
            self.side(direction).faults.set("bad_promise");
            return false;
        }
        let mut open = Open::new(sink.exchange_id(block.offset, true));
        open.flag(Direction::Client, "pushed");
        open.begin(Direction::Client, block.offset, block.first_byte);
        open.head_bytes = decoded.bytes as u64;
        open.take_request(decoded, block, block.first_byte, sink);
        open.finish(Direction::Client, 0);
        self.open(promised, open);
        self.streams
            .touch(promised, Direction::Server, block.offset);
        true
    }
}

impl Open {
    /// A head of which it is unknown whether it is that of an interim response.
    fn has_unknown_status(&self) -> bool {
        let head = self.response.head.as_ref();
        head.is_some_and(|head| head.status == 0) && self.response.body_bytes == 0
    }

    /// Notes what is wrong with a section of fields.
    fn check(&mut self, direction: Direction, kind: Kind, decoded: &Block) {
        let progress = self.progress_mut(direction);
        let is_known = decoded.unknown_at.is_none();
        let is_whole = is_known && !decoded.is_cut && decoded.fault.is_none();
        progress.is_damaged |= !is_whole;
        progress.flags.merge(decoded.flags.clone());
        if !is_known {
            progress.flags.set("headers_unknown");
        }
        if decoded.is_cut {
            progress.flags.set("head_too_large");
        }
        head::check(&decoded.fields, kind, is_whole, &mut progress.flags);
        if kind != Kind::Trailers {
            progress.length = head::content_length(&decoded.fields, &mut progress.flags);
        }
    }

    fn take_request(
        &mut self,
        decoded: Block,
        block: &OpenBlock,
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        self.check(Direction::Client, Kind::Request, &decoded);
        let head = head::request(decoded.fields);
        sink.event(EventKind::RequestHead {
            exchange: self.id.clone(),
            head: head.clone(),
            time: block.first_byte,
        });
        self.follow_parts(Direction::Client, &head.fields);
        self.request.head = Some(head);
        self.add_body(Direction::Client, 0, time);
    }

    fn take_response(
        &mut self,
        decoded: Block,
        block: &OpenBlock,
        time: Timestamp,
        sink: &mut Sink<'_>,
    ) {
        self.check(Direction::Server, Kind::Response, &decoded);
        let head = head::response(decoded.fields);
        self.add_body(Direction::Server, 0, time);
        if (100..200).contains(&head.status) {
            if head.status == 101 {
                self.flag(Direction::Server, "switching_protocols");
            }
            if block.ends_stream {
                self.flag(Direction::Server, "interim_ends_stream");
            }
            self.interim.push(head);
            // The final response begins with its own head.
            self.progress_mut(Direction::Server).is_begun = false;
            return;
        }
        if let Some(before) = self.response.head.take() {
            self.interim.push(before);
        }
        self.response.offset = block.offset;
        self.response.first_byte = block.first_byte;
        sink.event(EventKind::ResponseHead {
            exchange: self.id.clone(),
            head: head.clone(),
            time: block.first_byte,
        });
        self.follow_parts(Direction::Server, &head.fields);
        self.response.head = Some(head);
    }

    fn take_trailers(
        &mut self,
        direction: Direction,
        decoded: Block,
        ends_stream: bool,
        time: Timestamp,
    ) {
        self.check(direction, Kind::Trailers, &decoded);
        self.add_body(direction, 0, time);
        if !ends_stream {
            self.flag(direction, "headers_within_body");
        }
        match direction {
            Direction::Client => self.request.trailers.extend(decoded.fields),
            Direction::Server => self.response.trailers.extend(decoded.fields),
        }
    }
}

/// The stream that a frame promises, and its part of the header block, without what is around
/// it. None when that is longer than the payload.
fn unwrap(header: Header, payload: &[u8]) -> Option<(Option<u32>, &[u8])> {
    if header.kind == frame::CONTINUATION {
        return Some((None, payload));
    }
    let (payload, _) = frame::without_padding(header, payload)?;
    if header.kind == frame::PUSH_PROMISE {
        let (promised, fragment) = payload.split_first_chunk()?;
        return Some((Some(u32::from_be_bytes(*promised) & 0x7fff_ffff), fragment));
    }
    match header.has(frame::HAS_PRIORITY) {
        true => Some((None, payload.get(5..)?)),
        false => Some((None, payload)),
    }
}
