//! A message, or a control frame, that is being received.

use bytes::Bytes;

use super::text::TextCheck;
use crate::flags::Flags;
use crate::id::ExchangeId;
use crate::message::MessageState;
use crate::part::{Part, PartKind};
use crate::segment::Direction;
use crate::time::Timestamp;

/// One that is not over.
#[derive(Debug)]
pub(super) struct Open {
    pub index: u32,
    pub kind: PartKind,
    /// Where its payload begins in the data of its direction.
    pub offset: u64,
    pub bytes: u64,
    pub first_byte: Timestamp,
    pub last_byte: Timestamp,
    pub flags: Flags,
    /// Some of it is missing.
    pub is_damaged: bool,
    pub is_compressed: bool,
    /// What it says, where that has to be text: a close frame's reason after two bytes of status.
    text: Option<TextCheck>,
    /// The status of a close frame.
    status: [u8; 2],
}

impl Open {
    pub fn new(index: u32, kind: PartKind, offset: u64, time: Timestamp) -> Open {
        let is_text = matches!(kind, PartKind::SocketText | PartKind::SocketClose { .. });
        Open {
            index,
            kind,
            offset,
            bytes: 0,
            first_byte: time,
            last_byte: time,
            flags: Flags::default(),
            is_damaged: false,
            is_compressed: false,
            text: is_text.then(TextCheck::default),
            status: [0; 2],
        }
    }

    /// Takes payload, unmasked and inflated.
    pub fn push(&mut self, chunk: &Bytes) {
        let mut text = &chunk[..];
        if let PartKind::SocketClose { .. } = self.kind {
            while let Some(place) = self.status.get_mut(self.bytes as usize)
                && let Some((first, rest)) = text.split_first()
            {
                *place = *first;
                text = rest;
                self.bytes += 1;
            }
        }
        self.bytes += text.len() as u64;
        if let Some(check) = &mut self.text
            && !self.is_damaged
        {
            check.push(text);
        }
    }

    /// It is over, and whole unless it was damaged.
    pub fn into_part(mut self, exchange: ExchangeId, direction: Direction) -> Part {
        let is_close = matches!(self.kind, PartKind::SocketClose { .. });
        if is_close && self.bytes >= 2 {
            let code = u16::from_be_bytes(self.status);
            self.kind = PartKind::SocketClose { code: Some(code) };
            if !is_valid(code) {
                self.flags.set("bad_close");
            }
        }
        if is_close && self.bytes == 1 && !self.is_damaged {
            self.flags.set("bad_close");
        }
        if !self.is_damaged && self.text.is_some_and(|text| !text.is_text()) {
            self.flags.set("invalid_utf8");
        }
        Part {
            exchange,
            direction,
            index: self.index,
            kind: self.kind,
            offset: self.offset,
            bytes: self.bytes,
            state: match self.is_damaged {
                true => MessageState::Incomplete,
                false => MessageState::Complete,
            },
            first_byte: self.first_byte,
            last_byte: self.last_byte,
            flags: self.flags.names(),
        }
    }
}

/// Codes that may be sent (RFC 6455, section 7.4, and the registry that it opened).
fn is_valid(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
