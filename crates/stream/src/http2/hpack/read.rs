//! Integers and strings (RFC 7541, section 5).

use super::{Fault, huffman};

/// Integers have so many octets after the prefix at most: nothing here is 2^32 large.
const MAX_SHIFT: u32 = 28;

/// What is left of a header block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// An integer in the low `prefix` bits of the next octet and what follows it (section 5.1).
    pub fn integer(&mut self, prefix: u32) -> Result<usize, Fault> {
        let mask = (1u8 << prefix) - 1;
        let first = self.octet()? & mask;
        let mut value = u64::from(first);
        if first < mask {
            return Ok(usize::from(first));
        }
        for shift in (0..=MAX_SHIFT).step_by(7) {
            let octet = self.octet()?;
            value += u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                let value = u32::try_from(value).map_err(|_| Fault::Integer)?;
                return usize::try_from(value).map_err(|_| Fault::Integer);
            }
        }
        Err(Fault::Integer)
    }

    /// Appends a string to `out` (section 5.2).
    pub fn string(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let is_coded = self.peek().is_some_and(|octet| octet & 0x80 != 0);
        let length = self.integer(7)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Fault::Truncated)?;
        self.0 = rest;
        match is_coded {
            true => huffman::decode(bytes, out)?,
            false => out.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn octet(&mut self) -> Result<u8, Fault> {
        let (octet, rest) = self.0.split_first().ok_or(Fault::Truncated)?;
        self.0 = rest;
        Ok(*octet)
    }
}
