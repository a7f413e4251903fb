//! Frames of the twin, and what they mean (RFC 9113, section 6).

use bytes::{Bytes, BytesMut};

use super::super::response::MAX_HEAD_BYTES;
use super::error::{Malformed, Violation};
use super::frame::{self, Header, MAX_WINDOW};
use super::settings::{OWN_STREAM_WINDOW, OWN_WINDOW};
use super::stream::Stream;
use super::{Client, Event, OpenBlock};

/// Answers to the twin's SETTINGS and PING frames that wait to be written, with
/// everything else, before it is taken to want no answers.
const MAX_UNWRITTEN_BYTES: u64 = 4 << 20;

/// What a part of a header block counts at least, so that empty ones end, too.
const LEAST_FRAGMENT_BYTES: usize = 32;

impl Client {
    /// Takes bytes of the twin, cut anywhere.
    ///
    /// # Errors
    /// When they break the connection. What was whole before comes as events; the rest
    /// is for the caller to give up.
    pub fn handle_input(&mut self, mut input: &[u8]) -> Result<(), Violation> {
        loop {
            let next = self.reader.next(&mut input);
            if !self.has_settings && self.reader.held().starts_with(b"HTTP/") {
                return Err(Violation::Http1);
            }
            match next {
                Ok(Some((header, payload))) => self.handle_frame(header, &payload)?,
                Ok(None) => return Ok(()),
                Err(frame::TooLarge) => return Err(Violation::FrameSize),
            }
        }
    }

    fn handle_frame(&mut self, header: Header, payload: &Bytes) -> Result<(), Violation> {
        if !self.has_settings && (header.kind != frame::SETTINGS || header.has(frame::ACK)) {
            return Err(Violation::NoSettings);
        }
        if self.block.is_some() && header.kind != frame::CONTINUATION {
            return Err(Violation::Interrupted);
        }
        match header.kind {
            frame::DATA => self.data(header, payload),
            frame::HEADERS => self.headers(header, payload),
            frame::CONTINUATION => self.continuation(header, payload),
            frame::RST_STREAM => self.rst_stream(header, payload),
            frame::SETTINGS => self.settings(header, payload),
            frame::PUSH_PROMISE => Err(Violation::Push),
            frame::PING => self.ping(header, payload),
            frame::GOAWAY => self.goaway(header, payload),
            frame::WINDOW_UPDATE => self.handle_window_update(header, payload),
            frame::PRIORITY if header.stream == 0 || payload.len() != 5 => {
                Err(Violation::Frame("PRIORITY"))
            }
            // Unknown kinds are passed over (section 4.1).
            _ => Ok(()),
        }
    }

    /// Checks that the stream of a frame was opened once.
    fn expect_opened(&self, header: Header, name: &'static str) -> Result<(), Violation> {
        if header.stream == 0 {
            return Err(Violation::Frame(name));
        }
        match header.stream.is_multiple_of(2) || header.stream >= self.next_stream {
            true => Err(Violation::IdleStream(name)),
            false => Ok(()),
        }
    }

    fn data(&mut self, header: Header, payload: &[u8]) -> Result<(), Violation> {
        self.expect_opened(header, "DATA")?;
        let (data, _) = frame::without_padding(header, payload).ok_or(Violation::Frame("DATA"))?;
        let bytes = payload.len() as i64;
        self.taken += bytes;
        if self.taken > OWN_WINDOW {
            return Err(Violation::Window);
        }
        if self.taken >= OWN_WINDOW / 2 {
            let taken = std::mem::take(&mut self.taken);
            self.window_update(0, taken);
        }
        let id = header.stream;
        let Some(stream) = self.streams.get_mut(&id) else {
            // What was on its way when this side reset the stream.
            return Ok(());
        };
        stream.taken += bytes;
        if stream.taken > OWN_STREAM_WINDOW {
            return Err(Violation::Window);
        }
        let ends_stream = header.has(frame::END_STREAM);
        let taken = stream.taken;
        let tag = stream.tag;
        let result = stream.take_data(data);
        if result.is_ok()
            && let Some(ear) = self.ears.get_mut(&tag)
        {
            let mut found = Vec::new();
            ear.hear(data, &mut found);
            let heard = found.into_iter().map(|value| Event::Heard { tag, value });
            self.events.extend(heard);
        }
        if let Err(why) = result {
            self.garble(id, why);
        } else if ends_stream {
            self.finish(id);
        } else if taken >= OWN_STREAM_WINDOW / 2 {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.taken = 0;
            }
            self.window_update(id, taken);
        }
        Ok(())
    }

    fn headers(&mut self, header: Header, payload: &[u8]) -> Result<(), Violation> {
        self.expect_opened(header, "HEADERS")?;
        let fault = Violation::Frame("HEADERS");
        let (mut fragment, _) = frame::without_padding(header, payload).ok_or(fault)?;
        if header.has(frame::HAS_PRIORITY) {
            fragment = fragment.get(5..).ok_or(fault)?;
        }
        let ends_stream = header.has(frame::END_STREAM);
        if header.has(frame::END_HEADERS) {
            return self.fields(header.stream, ends_stream, fragment);
        }
        self.block = Some(OpenBlock {
            stream: header.stream,
            ends_stream,
            bytes: BytesMut::from(fragment),
            fragments: 1,
        });
        Ok(())
    }

    fn continuation(&mut self, header: Header, payload: &[u8]) -> Result<(), Violation> {
        let block = self.block.as_mut();
        let Some(block) = block.filter(|block| block.stream == header.stream) else {
            return Err(Violation::Interrupted);
        };
        block.bytes.extend_from_slice(payload);
        block.fragments += 1;
        let held = block
            .bytes
            .len()
            .max(block.fragments * LEAST_FRAGMENT_BYTES);
        if held > MAX_HEAD_BYTES {
            let error = twintap_stream::hpack::BlockError::TooLarge(MAX_HEAD_BYTES);
            return Err(error.into());
        }
        if header.has(frame::END_HEADERS)
            && let Some(block) = self.block.take()
        {
            return self.fields(block.stream, block.ends_stream, &block.bytes);
        }
        Ok(())
    }

    /// A whole header block.
    fn fields(&mut self, id: u32, ends_stream: bool, block: &[u8]) -> Result<(), Violation> {
        // Also for streams that are closed: the table must follow.
        let fields = self.decoder.decode(block, MAX_HEAD_BYTES)?;
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(());
        };
        if !std::mem::replace(&mut stream.has_begun, true) {
            let tag = stream.tag;
            self.events.push_back(Event::Begun { tag });
        }
        let awaits_head = stream.head().is_none();
        let result = stream.take_fields(fields, ends_stream);
        let tag = stream.tag;
        if awaits_head
            && let Some(head) = stream.head()
            && let Some(ear) = self.ears.get_mut(&tag)
        {
            let mut found = Vec::new();
            ear.begin(head, &mut found);
            let heard = found.into_iter().map(|value| Event::Heard { tag, value });
            self.events.extend(heard);
        }
        match result {
            Err(why) => self.garble(id, why),
            Ok(()) if ends_stream => self.finish(id),
            Ok(()) => {}
        }
        Ok(())
    }

    fn finish(&mut self, id: u32) {
        let Some(stream) = self.forget(id) else {
            return;
        };
        let tag = stream.tag;
        let is_sent = stream.is_sent;
        match stream.finish() {
            Ok(answer) => self.events.push_back(Event::Answered { tag, answer }),
            Err(why) => self.events.push_back(Event::Garbled { tag, why }),
        }
        if !is_sent {
            // The twin needs no more of the request (section 8.1).
            self.write(frame::frame(
                frame::RST_STREAM,
                0,
                id,
                &frame::CANCEL.to_be_bytes(),
            ));
        }
        self.open_waiting();
    }

    fn garble(&mut self, id: u32, why: Malformed) {
        if let Some(stream) = self.streams.get(&id) {
            let tag = stream.tag;
            self.events.push_back(Event::Garbled { tag, why });
            self.reset(id, frame::PROTOCOL_ERROR);
            self.open_waiting();
        }
    }

    fn rst_stream(&mut self, header: Header, payload: &[u8]) -> Result<(), Violation> {
        self.expect_opened(header, "RST_STREAM")?;
        let code = number(payload).ok_or(Violation::Frame("RST_STREAM"))?;
        if let Some(stream) = self.forget(header.stream) {
            let Stream { tag, sections, .. } = stream;
            self.events.push_back(match code {
                // Whoever has begun to answer has processed something.
                frame::REFUSED_STREAM if !stream.has_begun => Event::Unprocessed { tag, sections },
                code => Event::Reset {
                    tag,
                    code: frame::code_name(code),
                },
            });
            self.open_waiting();
        }
        Ok(())
    }

    fn settings(&mut self, header: Header, payload: &[u8]) -> Result<(), Violation> {
        let is_ack = header.has(frame::ACK);
        if header.stream != 0 || is_ack && !payload.is_empty() {
            return Err(Violation::Frame("SETTINGS"));
        }
        if is_ack {
            return Ok(());
        }
        let window_before = self.peer.window;
        let is_first = !std::mem::replace(&mut self.has_settings, true);
        self.peer.apply(payload, is_first)?;
        self.encoder.allow(self.peer.table_bytes);
        let change = self.peer.window - window_before;
        for stream in self.streams.values_mut() {
            stream.window += change;
            if stream.window > MAX_WINDOW {
                return Err(Violation::Frame("SETTINGS"));
            }
        }
        self.answer(frame::frame(frame::SETTINGS, frame::ACK, 0, &[]))?;
        self.open_waiting();
        Ok(())
    }

    fn ping(&mut self, header: Header, payload: &[u8]) -> Result<(), Violation> {
        if header.stream != 0 || payload.len() != 8 {
            return Err(Violation::Frame("PING"));
        }
        if header.has(frame::ACK) {
            return Ok(());
        }
        self.answer(frame::frame(frame::PING, frame::ACK, 0, payload))
    }

    fn answer(&mut self, bytes: Bytes) -> Result<(), Violation> {
        if self.unwritten() > MAX_UNWRITTEN_BYTES {
            return Err(Violation::Flood);
        }
        self.write(bytes);
        Ok(())
    }

    fn goaway(&mut self, header: Header, payload: &[u8]) -> Result<(), Violation> {
        let fault = Violation::Frame("GOAWAY");
        let last = payload.get(..4).and_then(number).ok_or(fault)? & 0x7fff_ffff;
        let code = payload.get(4..8).and_then(number).ok_or(fault)?;
        if header.stream != 0 {
            return Err(fault);
        }
        let before = self.going_away.map_or(u32::MAX, |(last, _)| last);
        let last = last.min(before);
        self.going_away = Some((last, code));
        let beyond: Vec<u32> = self.streams.range(last + 1..).map(|(id, _)| *id).collect();
        for id in beyond {
            if let Some(Stream { tag, sections, .. }) = self.forget(id) {
                self.events.push_back(Event::Unprocessed { tag, sections });
            }
        }
        for (tag, sections) in std::mem::take(&mut self.waiting) {
            self.events.push_back(Event::Unprocessed { tag, sections });
        }
        Ok(())
    }

    fn handle_window_update(&mut self, header: Header, payload: &[u8]) -> Result<(), Violation> {
        let fault = Violation::Frame("WINDOW_UPDATE");
        let more = i64::from(number(payload).ok_or(fault)? & 0x7fff_ffff);
        if header.stream == 0 {
            self.window += more;
            return match more > 0 && self.window <= MAX_WINDOW {
                true => Ok(()),
                false => Err(fault),
            };
        }
        self.expect_opened(header, "WINDOW_UPDATE")?;
        if let Some(stream) = self.streams.get_mut(&header.stream) {
            stream.window += more;
            if more == 0 || stream.window > MAX_WINDOW {
                return Err(fault);
            }
        }
        Ok(())
    }
}

/// A payload of four bytes.
fn number(payload: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(payload.try_into().ok()?))
}
