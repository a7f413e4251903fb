//! One stream: a request that goes out, and its answer that comes in.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use twintap_scrub::Timeline;
use twintap_stream::message::Framing;
use twintap_stream::{Field, ResponseHead};

use super::super::capture::Capture;
use super::super::response::RawAnswer;
use super::super::wire::{Piece, Sections};
use super::error::Malformed;

/// What a stream may send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// DATA of so many bytes at most.
    Data(usize),
    /// Its trailers, which end it.
    Trailers,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) tag: u32,
    /// The request's content.
    pub(super) sections: Arc<Sections>,
    /// When its first byte went out.
    pub(super) released_ns: Option<u64>,
    /// What the twin still takes on it, in bytes of DATA.
    pub(super) window: i64,
    /// DATA that came since its window was last opened again.
    pub(super) taken: i64,
    /// What of the body is left to send.
    pieces: VecDeque<Piece>,
    pub(super) is_sent: bool,
    /// Something of the answer has come.
    pub(super) has_begun: bool,
    interim: u32,
    head: Option<ResponseHead>,
    body: Capture,
    body_bytes: u64,
    is_framed: bool,
    trailers: Vec<Field>,
}

impl Stream {
    pub(super) fn new(tag: u32, sections: Arc<Sections>, window: i64, body: Capture) -> Stream {
        Stream {
            tag,
            released_ns: None,
            window,
            taken: 0,
            pieces: sections.body.iter().cloned().collect(),
            is_sent: sections.ends_with_head(),
            has_begun: false,
            interim: 0,
            head: None,
            body,
            body_bytes: 0,
            is_framed: false,
            trailers: Vec::new(),
            sections,
        }
    }

    /// What may be sent at `now_ns` with so much of the connection's window.
    pub(super) fn next(&self, window: i64, now_ns: u64) -> Option<Next> {
        let Some(piece) = self.pieces.front() else {
            let ends_in_trailers = !self.sections.trailers.is_empty();
            return (!self.is_sent).then_some(match ends_in_trailers {
                true => Next::Trailers,
                // A body of nothing, which only its end tells of.
                false => Next::Data(0),
            });
        };
        if piece.after_ns > 0 && self.due_ns(piece)? > now_ns {
            return None;
        }
        let most = usize::try_from(window.min(self.window)).unwrap_or(0);
        (most > 0 || piece.bytes.is_empty()).then_some(Next::Data(most))
    }

    /// When its next piece is due, where that is not at once.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        let piece = self.pieces.front()?;
        if piece.after_ns > 0 {
            self.due_ns(piece)
        } else {
            None
        }
    }

    fn due_ns(&self, piece: &Piece) -> Option<u64> {
        Some(self.released_ns?.saturating_add(piece.after_ns))
    }

    /// The next bytes of the body, `most` at most, and whether they end the stream.
    pub(super) fn take(&mut self, most: usize) -> (Bytes, bool) {
        let mut data = Bytes::new();
        if let Some(piece) = self.pieces.front_mut() {
            data = piece.bytes.split_to(most.min(piece.bytes.len()));
            if !piece.bytes.has_remaining() {
                self.pieces.pop_front();
            }
        }
        self.is_sent = self.pieces.is_empty() && self.sections.trailers.is_empty();
        (data, self.is_sent)
    }

    /// The request is out with its trailers, which are given.
    pub(super) fn end_sending(&mut self) -> Arc<Sections> {
        self.is_sent = true;
        Arc::clone(&self.sections)
    }

    /// The head of the answer, once it has come.
    pub(super) fn head(&self) -> Option<&ResponseHead> {
        self.head.as_ref()
    }

    /// Takes a section of fields of the answer.
    pub(super) fn take_fields(
        &mut self,
        fields: Vec<Field>,
        ends_stream: bool,
    ) -> Result<(), Malformed> {
        if self.head.is_some() {
            if !ends_stream {
                return Err(Malformed::Trailers);
            }
            check_names(&fields)?;
            self.trailers = fields;
            return Ok(());
        }
        let head = head_of(fields)?;
        match head.status {
            101 => Err(Malformed::Switching),
            100..200 if ends_stream => Err(Malformed::Interim),
            100..200 => {
                self.interim += 1;
                Ok(())
            }
            _ => {
                self.is_framed = !ends_stream;
                self.head = Some(head);
                Ok(())
            }
        }
    }

    /// Takes a piece of the answer's body.
    pub(super) fn take_data(&mut self, data: &[u8]) -> Result<(), Malformed> {
        if self.head.is_none() {
            return Err(Malformed::Body);
        }
        self.body_bytes += data.len() as u64;
        self.body.push(data);
        Ok(())
    }

    /// The answer, which has ended.
    pub(super) fn finish(mut self) -> Result<Box<RawAnswer>, Malformed> {
        let head = self.head.ok_or(Malformed::Status)?;
        let is_bodiless = self.sections.is_head_request() || head.status == 304;
        let says = length_of(&head)?;
        if !is_bodiless && says.is_some_and(|bytes| bytes != self.body_bytes) {
            return Err(Malformed::Length);
        }
        let (body, held) = self.body.finish();
        Ok(Box::new(RawAnswer {
            head,
            body,
            trailers: self.trailers,
            timeline: Timeline::default(),
            held,
            interim: self.interim,
            framing: if self.is_framed {
                Framing::Frames
            } else {
                Framing::None
            },
            keeps_alive: true,
        }))
    }
}

/// The head of a response, its fields as they were recorded of production's
/// (RFC 9113, section 8.3.2).
fn head_of(fields: Vec<Field>) -> Result<ResponseHead, Malformed> {
    let mut fields = fields.into_iter();
    let first = fields.next().filter(|field| field.name == ":status");
    let status = match first.map(|field| field.value).as_deref() {
        Some(&[a, b, c]) if [a, b, c].iter().all(u8::is_ascii_digit) => [a, b, c]
            .iter()
            .fold(0, |status, digit| status * 10 + u16::from(digit - b'0')),
        _ => return Err(Malformed::Status),
    };
    let fields: Vec<Field> = fields.collect();
    check_names(&fields)?;
    if status < 100 {
        return Err(Malformed::Status);
    }
    Ok(ResponseHead {
        version: Bytes::from_static(b"HTTP/2"),
        status,
        reason: Bytes::new(),
        fields,
        line_spelling: None,
        end: Bytes::new(),
    })
}

/// Sections 8.2 and 8.3.
fn check_names(fields: &[Field]) -> Result<(), Malformed> {
    let is_bad = |byte: &u8| byte.is_ascii_uppercase() || !(0x21..0x7f).contains(byte);
    let is_sound = |field: &Field| {
        let name = &field.name[..];
        !name.is_empty() && !name.contains(&b':') && !name.iter().any(is_bad)
    };
    match fields.iter().all(is_sound) {
        true => Ok(()),
        false => Err(Malformed::Field),
    }
}

fn length_of(head: &ResponseHead) -> Result<Option<u64>, Malformed> {
    let mut length = None;
    for field in head
        .fields
        .iter()
        .filter(|field| field.is("content-length"))
    {
        let said = std::str::from_utf8(&field.value).ok();
        let said = said.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let said: u64 = said
            .and_then(|text| text.parse().ok())
            .ok_or(Malformed::Length)?;
        if length.is_some_and(|before| before != said) {
            return Err(Malformed::Length);
        }
        length = Some(said);
    }
    Ok(length)
}
