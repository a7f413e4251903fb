//! Protobuf's wire format (protobuf.dev, "Encoding"), one record after another.

use std::ops::Range;

/// A place in a message.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    message: &'a [u8],
    /// The next byte.
    pub at: usize,
    end: usize,
}

/// What is between a tag and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// A payload after its length.
    Bytes,
    GroupStart,
    GroupEnd,
}

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub number: u32,
    pub wire: Wire,
    /// Where its tag begins.
    pub start: usize,
    /// The bytes of the value, without tag and length.
    pub span: Range<usize>,
}

/// The bytes at the cursor are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsound;

impl<'a> Cursor<'a> {
    /// Over this part of the message.
    pub fn new(message: &'a [u8], span: Range<usize>) -> Cursor<'a> {
        Cursor {
            message,
            at: span.start,
            end: span.end.min(message.len()),
        }
    }

    /// The next record; of a group its start alone. None at the end.
    pub fn record(&mut self) -> Result<Option<Record>, Unsound> {
        if self.at >= self.end {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Unsound)?;
        if number == 0 || number > MOST_FIELD_NUMBER {
            return Err(Unsound);
        }
        let before = self.at;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Unsound)?;
                let from = self.at;
                self.skip(length)?;
                return Ok(Some(Record {
                    number,
                    wire: Wire::Bytes,
                    start,
                    span: from..self.at,
                }));
            }
            3 => Wire::GroupStart,
            4 => Wire::GroupEnd,
            5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Unsound),
        };
        Ok(Some(Record {
            number,
            wire,
            start,
            span: before..self.at,
        }))
    }

    /// A varint of up to ten bytes that fits 64 bits.
    pub fn varint(&mut self) -> Result<u64, Unsound> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array()?;
            if shift == 63 && byte > 1 {
                return Err(Unsound);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unsound)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Unsound> {
        let from = self.at;
        self.skip(N)?;
        let bytes = self.message.get(from..self.at).ok_or(Unsound)?;
        bytes.try_into().map_err(|_| Unsound)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Unsound> {
        let to = self.at.checked_add(bytes).ok_or(Unsound)?;
        if to > self.end {
            return Err(Unsound);
        }
        self.at = to;
        Ok(())
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    /// Skips to the end of the group `number`, whose start was read; gives where its end's tag
    /// begins.
    pub fn skip_group(&mut self, number: u32) -> Result<usize, Unsound> {
        let mut open = vec![number];
        while let Some(record) = self.record()? {
            match record.wire {
                Wire::GroupStart => open.push(record.number),
                Wire::GroupEnd if open.pop() != Some(record.number) => return Err(Unsound),
                Wire::GroupEnd if open.is_empty() => return Ok(record.start),
                _ => {}
            }
        }
        Err(Unsound)
    }

    /// True when the rest is records and nothing else. What is in their payloads is not looked at.
    pub fn reads_as_message(mut self) -> bool {
        loop {
            match self.record() {
                Ok(None) => return true,
                Ok(Some(record)) if record.wire == Wire::GroupStart => {
                    if self.skip_group(record.number).is_err() {
                        return false;
                    }
                }
                Ok(Some(record)) if record.wire == Wire::GroupEnd => return false,
                Ok(Some(_)) => {}
                Err(Unsound) => return false,
            }
        }
    }
}

const MOST_FIELD_NUMBER: u32 = (1 << 29) - 1;
