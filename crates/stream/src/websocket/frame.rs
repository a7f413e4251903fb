//! Heads of frames (RFC 6455, section 5.2).

use crate::segment::Direction;

/// The longest head: two bytes, a length of eight, a mask of four.
pub const MAX_HEAD: usize = 14;

/// The payload of a control frame is no longer (section 5.5).
pub const MAX_CONTROL: u64 = 125;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The message ends with this frame.
    pub is_last: bool,
    /// The three reserved bits where they are in the first byte: 0x40, 0x20, 0x10.
    pub reserved: u8,
    /// The opcode (section 11.8); those from 8 on are control frames'.
    pub opcode: u8,
    /// The key that the payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// Bytes of the payload.
    pub length: u64,
    /// How many bytes the head has.
    pub bytes: usize,
}

impl Head {
    /// Reads a head; None when bytes of it are to come.
    pub fn read(bytes: &[u8]) -> Option<Head> {
        let [first, second, rest @ ..] = bytes else {
            return None;
        };
        let (length, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (u64::from(short), rest),
        };
        let (mask, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => {
                let (mask, rest) = rest.split_first_chunk()?;
                (Some(*mask), rest)
            }
        };
        Some(Head {
            is_last: first & 0x80 != 0,
            reserved: first & 0x70,
            opcode: first & 0x0f,
            mask,
            length,
            bytes: bytes.len() - rest.len(),
        })
    }

    /// True for a ping, a pong, a close frame, and others like them.
    pub fn is_control(&self) -> bool {
        self.opcode & 0x08 != 0
    }

    /// True when the length could have been written in fewer bytes.
    pub fn is_padded(&self) -> bool {
        let mask = match self.mask {
            Some(_) => 4,
            None => 0,
        };
        let shortest = match self.length {
            0..=125 => 2,
            126..=0xffff => 4,
            _ => 10,
        };
        self.bytes > shortest + mask
    }

    /// True when a sender that keeps to the rules can have sent it in `direction`.
    fn is_sound(&self, direction: Direction, is_compressed: bool) -> bool {
        let allowed = match is_compressed && matches!(self.opcode, 1 | 2) {
            true => 0x40,
            false => 0,
        };
        let is_known = matches!(self.opcode, 0..=2 | 8..=10);
        let fits = !self.is_control() || self.is_last && self.length <= MAX_CONTROL;
        self.reserved & !allowed == 0
            && is_known
            && fits
            && self.mask.is_some() == (direction == Direction::Client)
            && !self.is_padded()
            && self.length <= i64::MAX as u64
    }
}

/// Whether a frame starts at the first of `bytes`, where that is unknown: a whole sound frame, and
/// after it nothing but sound frames. The last one may go on beyond.
pub(super) fn is_plausible(bytes: &[u8], direction: Direction, is_compressed: bool) -> bool {
    let mut rest = bytes;
    while let Some(head) = Head::read(rest) {
        let is_first = rest.len() == bytes.len();
        if !head.is_sound(direction, is_compressed) {
            return false;
        }
        let payload = &rest[head.bytes..];
        if payload.len() as u64 <= head.length {
            return !is_first || payload.len() as u64 == head.length;
        }
        rest = &payload[head.length as usize..];
    }
    rest.len() < bytes.len()
}

/// Masks or unmasks `bytes`, the first of which is the `at`th of its frame (section 5.3).
pub fn unmask(bytes: &mut [u8], mask: [u8; 4], at: u64) {
    let mut key = mask;
    key.rotate_left((at % 4) as usize);
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(word) ^ wide).to_ne_bytes());
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::unmask;

    proptest! {
        #[test]
        fn unmasking_is_the_same_byte_by_byte(
            bytes in vec(any::<u8>(), 0..100),
            mask in any::<[u8; 4]>(),
            at in 0_u64..1000,
        ) {
            let expected: Vec<u8> = bytes
                .iter()
                .zip(at..)
                .map(|(byte, at)| byte ^ mask[(at % 4) as usize])
                .collect();
            let mut unmasked = bytes;
            unmask(&mut unmasked, mask, at);
            prop_assert_eq!(unmasked, expected);
        }
    }
}
