//! Length-prefixed messages of gRPC: a byte of flags, four bytes of length, the payload
//! (gRPC over HTTP/2, section "Length-Prefixed-Message"; gRPC-Web adds a frame of trailers).

use super::{Found, Out};
use crate::grpc::BodyForm;
use crate::part::PartKind;
use crate::time::Timestamp;

const HEAD_BYTES: usize = 5;
const COMPRESSED: u8 = 0x01;
const TRAILERS: u8 = 0x80;

/// Follows the frames of one body.
#[derive(Debug)]
pub(super) struct Frames {
    form: BodyForm,
    /// Bytes of the body that were seen.
    offset: u64,
    /// The frame that is being received.
    open: Option<Frame>,
    had_trailers: bool,
    /// Where frames begin is unknown from here on.
    is_lost: bool,
}

#[derive(Debug)]
struct Frame {
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    /// Bytes of the payload to come, once the head is whole.
    left: u64,
    /// Bytes of the payload that were seen.
    seen: u64,
    has_gap: bool,
    first_byte: Timestamp,
    last_byte: Timestamp,
}

impl Frames {
    pub fn new(form: BodyForm) -> Frames {
        Frames {
            form,
            offset: 0,
            open: None,
            had_trailers: false,
            is_lost: false,
        }
    }

    pub fn push(&mut self, chunk: &[u8], time: Timestamp, out: &mut Out<'_, '_>) {
        let mut rest = chunk;
        while !rest.is_empty() && !self.is_lost {
            let frame = self.open.get_or_insert_with(|| Frame::new(time));
            let taken = frame.take(rest, time);
            rest = rest.get(taken..).unwrap_or_default();
            self.offset += taken as u64;
            if !frame.has_head() {
                continue;
            }
            if !self.form.allows(frame.head[0]) {
                self.give_up("bad_frame_flags", out);
            } else if frame.left == 0 {
                self.close(None, out);
            }
        }
    }

    pub fn gap(&mut self, bytes: Option<u64>, out: &mut Out<'_, '_>) {
        // A hole inside a payload leaves the next frame where it was.
        if let (Some(frame), Some(bytes)) = (&mut self.open, bytes)
            && frame.has_head()
            && bytes <= frame.left
        {
            frame.left -= bytes;
            frame.has_gap = true;
            if frame.left == 0 {
                self.close(None, out);
            }
            return;
        }
        self.give_up("gap_in_part", out);
    }

    /// Frames can't be followed any further, for the reason that the flag names.
    pub fn give_up(&mut self, flag: &'static str, out: &mut Out<'_, '_>) {
        self.close(Some(flag), out);
        self.is_lost = true;
    }

    pub fn end(&mut self, is_complete: bool, out: &mut Out<'_, '_>) {
        self.close(is_complete.then_some("cut_off"), out);
        self.is_lost = true;
    }

    /// The open frame is over, incomplete when `flag` says why or bytes of it are missing.
    fn close(&mut self, flag: Option<&'static str>, out: &mut Out<'_, '_>) {
        let Some(frame) = self.open.take() else {
            return;
        };
        let mut flags = Vec::new();
        if self.form == BodyForm::WebText {
            flags.push("base64");
        }
        if self.had_trailers {
            flags.push("after_trailers");
        }
        if frame.has_gap {
            flags.push("gap_in_part");
        }
        if let Some(flag) = flag
            && !flags.contains(&flag)
        {
            flags.push(flag);
        }
        let has_trailers = frame.head[0] & TRAILERS != 0;
        self.had_trailers |= has_trailers;
        out.part(Found {
            kind: match has_trailers {
                true => PartKind::GrpcTrailers,
                false => PartKind::GrpcMessage {
                    compressed: frame.head[0] & COMPRESSED != 0,
                },
            },
            offset: self.offset - frame.seen,
            bytes: frame.seen,
            is_complete: flag.is_none() && !frame.has_gap && frame.has_head() && frame.left == 0,
            first_byte: frame.first_byte,
            last_byte: frame.last_byte,
            flags,
        });
    }
}

impl Frame {
    fn new(time: Timestamp) -> Frame {
        Frame {
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            left: 0,
            seen: 0,
            has_gap: false,
            first_byte: time,
            last_byte: time,
        }
    }

    fn has_head(&self) -> bool {
        self.head_bytes == HEAD_BYTES
    }

    /// Takes what belongs to the rest of the head, or else to the payload; counts it.
    fn take(&mut self, bytes: &[u8], time: Timestamp) -> usize {
        self.last_byte = time;
        if self.has_head() {
            let taken = self.left.min(bytes.len() as u64);
            self.left -= taken;
            self.seen += taken;
            return taken as usize;
        }
        let space = &mut self.head[self.head_bytes..];
        let taken = space.len().min(bytes.len());
        for (to, from) in space.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.head_bytes += taken;
        if self.has_head() {
            let [_, length @ ..] = self.head;
            self.left = u64::from(u32::from_be_bytes(length));
        }
        taken
    }
}
