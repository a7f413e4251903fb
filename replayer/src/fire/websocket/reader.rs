//! Frames of a twin to messages (RFC 6455, section 5).

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use twintap_scrub::Piece;
use twintap_stream::websocket::{Failure, Head, Inflater, MAX_CONTROL, MAX_HEAD};

/// A message, or a control frame, of a twin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it is: never [`Piece::Fragment`].
    pub piece: Piece,
    /// Its payload; empty where it was too long to hold.
    pub payload: Bytes,
    /// Bytes of its payload.
    pub bytes: u64,
}

/// What a twin sent that no server may send.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadFrame {
    /// Servers do not mask (section 5.1).
    #[error("a masked frame")]
    Masked,
    /// Nothing was agreed on that gives them a meaning (section 5.2).
    #[error("reserved bits in a frame")]
    Reserved,
    /// Its meaning is not known (section 5.2).
    #[error("a frame of opcode {0}")]
    Opcode(u8),
    /// The most significant bit of a length of eight bytes is 0 (section 5.2).
    #[error("a frame of an impossible length")]
    Length,
    /// Control frames are short and whole (section 5.5).
    #[error("a control frame that is long or in fragments")]
    Control,
    /// Fragments follow each other (section 5.4).
    #[error("a fragment that belongs to no message, or a message within another")]
    Order,
    /// Text is UTF-8 (section 8.1).
    #[error("text that is not UTF-8")]
    Text,
    /// The code takes two bytes (section 5.5.1).
    #[error("a close frame of one byte")]
    Close,
    /// A compressed message can't be inflated (RFC 7692, section 7.2.2).
    #[error("a message that can't be inflated")]
    Deflate,
}

/// Reads the frames of one twin.
#[derive(Debug)]
pub struct FrameReader {
    head: [u8; MAX_HEAD],
    head_bytes: usize,
    frame: Option<Frame>,
    /// The data message that is being received.
    message: Option<Message>,
    control: BytesMut,
    inflater: Option<Inflater>,
    max_bytes: usize,
}

/// A frame whose head was read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    head: Head,
    left: u64,
}

#[derive(Debug)]
struct Message {
    is_text: bool,
    is_compressed: bool,
    payload: BytesMut,
    bytes: u64,
}

impl FrameReader {
    /// Inflates what comes with `inflater`, where compression was agreed on, and holds
    /// messages of at most `max_bytes`.
    pub fn new(inflater: Option<Inflater>, max_bytes: usize) -> FrameReader {
        FrameReader {
            head: [0; MAX_HEAD],
            head_bytes: 0,
            frame: None,
            message: None,
            control: BytesMut::new(),
            inflater,
            max_bytes,
        }
    }

    /// Takes bytes from the front of `input`; gives a message once it is whole, with
    /// what follows it left in `input`.
    ///
    /// # Errors
    /// [`BadFrame`], after which nothing can be read.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Heard>, BadFrame> {
        loop {
            let Some(frame) = &mut self.frame else {
                if !self.read_head(input)? {
                    return Ok(None);
                }
                continue;
            };
            let length = usize::try_from(frame.left).unwrap_or(usize::MAX);
            let (piece, rest) = input.split_at(length.min(input.len()));
            *input = rest;
            frame.left -= piece.len() as u64;
            let frame = *frame;
            self.take(&frame.head, piece)?;
            if frame.left > 0 {
                return Ok(None);
            }
            self.frame = None;
            if let Some(heard) = self.end(&frame.head)? {
                return Ok(Some(heard));
            }
        }
    }

    /// True when bytes of a frame or a message are to come.
    pub fn is_within(&self) -> bool {
        self.head_bytes > 0 || self.frame.is_some() || self.message.is_some()
    }

    /// Reads the head of a frame; false when bytes of it are to come.
    fn read_head(&mut self, input: &mut &[u8]) -> Result<bool, BadFrame> {
        let before = self.head_bytes;
        let room = (MAX_HEAD - before).min(input.len());
        self.head[before..before + room].copy_from_slice(&input[..room]);
        let Some(head) = Head::read(&self.head[..before + room]) else {
            self.head_bytes += room;
            *input = &input[room..];
            return Ok(false);
        };
        // What was held was no whole head, so that its end lies in what is new.
        *input = &input[head.bytes - before..];
        self.head_bytes = 0;
        self.begin(&head)?;
        self.frame = Some(Frame {
            head,
            left: head.length,
        });
        Ok(true)
    }

    /// Checks a head, and begins the message that it begins.
    fn begin(&mut self, head: &Head) -> Result<(), BadFrame> {
        if head.mask.is_some() {
            return Err(BadFrame::Masked);
        }
        if head.length > i64::MAX as u64 {
            return Err(BadFrame::Length);
        }
        let is_compressed = head.reserved == 0x40 && matches!(head.opcode, 1 | 2);
        if head.reserved != 0 && !(is_compressed && self.inflater.is_some()) {
            return Err(BadFrame::Reserved);
        }
        match head.opcode {
            8..=10 if !head.is_last || head.length > MAX_CONTROL => Err(BadFrame::Control),
            8..=10 => Ok(()),
            0 if self.message.is_some() => Ok(()),
            1 | 2 if self.message.is_none() => {
                if is_compressed && let Some(inflater) = &mut self.inflater {
                    inflater.begin();
                }
                self.message = Some(Message {
                    is_text: head.opcode == 1,
                    is_compressed,
                    payload: BytesMut::new(),
                    bytes: 0,
                });
                Ok(())
            }
            0..=2 => Err(BadFrame::Order),
            opcode => Err(BadFrame::Opcode(opcode)),
        }
    }

    /// Takes payload.
    fn take(&mut self, head: &Head, piece: &[u8]) -> Result<(), BadFrame> {
        if head.is_control() {
            self.control.extend_from_slice(piece);
            return Ok(());
        }
        let Some(message) = &mut self.message else {
            return Ok(());
        };
        let max_bytes = self.max_bytes;
        match &mut self.inflater {
            Some(inflater) if message.is_compressed => inflater
                .inflate(piece, max_bytes as u64, |chunk| {
                    message.push(&chunk, max_bytes);
                })
                .map_err(|(_, failure)| bad(failure)),
            _ => {
                message.push(piece, max_bytes);
                Ok(())
            }
        }
    }

    /// A frame is over; so is its message, perhaps.
    fn end(&mut self, head: &Head) -> Result<Option<Heard>, BadFrame> {
        if head.is_control() {
            let payload = self.control.split().freeze();
            return control(head.opcode, payload).map(Some);
        }
        if !head.is_last {
            return Ok(None);
        }
        let Some(mut message) = self.message.take() else {
            return Ok(None);
        };
        let max_bytes = self.max_bytes;
        if message.is_compressed
            && let Some(inflater) = &mut self.inflater
        {
            inflater
                .end(max_bytes as u64, |chunk| message.push(&chunk, max_bytes))
                .map_err(bad)?;
        }
        let payload = message.payload.freeze();
        if message.is_text && std::str::from_utf8(&payload).is_err() {
            return Err(BadFrame::Text);
        }
        Ok(Some(Heard {
            piece: match message.is_text {
                true => Piece::Text,
                false => Piece::Binary,
            },
            payload,
            bytes: message.bytes,
        }))
    }
}

impl Message {
    /// Holds a piece, or nothing of a message that becomes too long.
    fn push(&mut self, piece: &[u8], max_bytes: usize) {
        self.bytes += piece.len() as u64;
        if self.bytes <= max_bytes as u64 {
            self.payload.extend_from_slice(piece);
        } else {
            self.payload = BytesMut::new();
        }
    }
}

fn control(opcode: u8, payload: Bytes) -> Result<Heard, BadFrame> {
    let piece = match (opcode, &payload[..]) {
        (9, _) => Piece::Ping,
        (10, _) => Piece::Pong,
        (_, [high, low, ..]) => Piece::Close {
            code: Some(u16::from_be_bytes([*high, *low])),
        },
        (_, [_]) => return Err(BadFrame::Close),
        (_, []) => Piece::Close { code: None },
    };
    Ok(Heard {
        piece,
        bytes: payload.len() as u64,
        payload,
    })
}

/// Beyond its bounds a message may be sound, but nobody can tell.
fn bad(_: Failure) -> BadFrame {
    BadFrame::Deflate
}
