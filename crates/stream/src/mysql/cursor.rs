//! Reading the integers and strings that messages are made of.

/// What is left to read of a message. What is too short or ill-formed gives None.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A little-endian integer of at most 8 bytes.
    pub fn number(&mut self, bytes: usize) -> Option<u64> {
        let taken = self.take(bytes.min(8))?;
        let mut wide = [0; 8];
        for (to, from) in wide.iter_mut().zip(taken) {
            *to = *from;
        }
        Some(u64::from_le_bytes(wide))
    }

    pub fn short(&mut self) -> Option<u16> {
        Some(self.number(2)? as u16)
    }

    pub fn long(&mut self) -> Option<u32> {
        Some(self.number(4)? as u32)
    }

    /// A length-encoded integer.
    pub fn length(&mut self) -> Option<u64> {
        match self.byte()? {
            small @ 0..=0xfa => Some(u64::from(small)),
            0xfc => self.number(2),
            0xfd => self.number(3),
            0xfe => self.number(8),
            _ => None,
        }
    }

    /// A length-encoded string.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// A string that a NUL ends.
    pub fn until_nul(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let text = self.take(end)?;
        self.byte()?;
        Some(text)
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
