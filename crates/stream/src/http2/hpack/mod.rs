//! HPACK (RFC 7541): header blocks to fields.

mod encode;
mod huffman;
mod read;
mod table;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub(crate) use self::encode::Encoder;
use self::read::Input;
use self::table::{ENTRY_OVERHEAD, Entry, Found, Table};
use crate::flags::Flags;
use crate::maybe::Maybe32;
use crate::message::Field;

/// What is wrong with a header block: it can't be decoded further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It ends within a representation.
    Truncated,
    /// An integer is larger than any that makes sense.
    Integer,
    /// The code for the end of a string is in a string.
    Huffman,
    /// What fills the last octet of a coded string is none of the end's code, or too long.
    Padding,
    /// There is no entry of this index.
    Index,
    /// The size of the table changes after a field.
    LateResize,
}

impl Fault {
    /// The flag that tells of it.
    pub fn flag(self) -> &'static str {
        match self {
            Fault::Truncated => "hpack_truncated",
            Fault::Integer => "hpack_integer",
            Fault::Huffman => "hpack_huffman",
            Fault::Padding => "hpack_padding",
            Fault::Index => "hpack_index",
            Fault::LateResize => "hpack_late_resize",
        }
    }
}

/// What a header block says.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// The fields that are known, in order.
    pub fields: Vec<Field>,
    /// How many fields are before the first one that is unknown.
    pub unknown_at: Option<usize>,
    /// There are more fields than may be held.
    pub is_cut: bool,
    /// What is held, by the measure of RFC 9113, section 6.5.2.
    pub bytes: usize,
    /// Irregularities.
    pub flags: Flags,
    /// Decoding stopped there.
    pub fault: Option<Fault>,
}

/// The decoder of one direction of a connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: Table,
}

impl Decoder {
    /// For the begin of a connection; `hold` is the largest table that is held.
    pub fn new(hold: u32) -> Decoder {
        Decoder {
            table: Table::new(hold),
        }
    }

    /// For a connection whose begin was not seen.
    pub fn mid_stream(hold: u32) -> Decoder {
        let mut decoder = Decoder::new(hold);
        decoder.table.forget();
        decoder.table.allowed = Maybe32::NONE;
        decoder
    }

    /// A header block was missed.
    pub fn forget(&mut self) {
        self.table.forget();
        self.table.expected = Maybe32::NONE;
    }

    /// Whatever was missed, the table is no larger than this; None when that is unknown too.
    pub fn bound(&mut self, size: Option<u32>) {
        self.table.allowed = Maybe32::from(size);
    }

    /// The encoder acknowledged this size as the largest (RFC 7541, section 4.2).
    pub fn allow(&mut self, size: u32) {
        self.table.allowed = Maybe32::from(size);
        if self.table.size().is_some_and(|current| current > size) {
            let expected = self.table.expected.get().unwrap_or(size);
            self.table.expected = Maybe32::from(expected.min(size));
        }
    }

    /// What holding the table costs in bytes.
    pub fn cost(&self) -> u64 {
        self.table.cost() as u64
    }

    /// Decodes a whole header block, and holds no more than `max_bytes` of its fields.
    /// `allowed` is the largest size that the table may be set to, where it is known.
    pub fn decode(&mut self, bytes: &[u8], allowed: Option<u32>, max_bytes: usize) -> Block {
        let mut block = Block::default();
        let mut input = Input(bytes);
        let mut scratch = Vec::new();
        let mut is_first = true;
        while let Some(octet) = input.peek() {
            let result = match octet {
                0x20..=0x3f if !is_first => Err(Fault::LateResize),
                0x20..=0x3f => self.resize(&mut input, allowed, &mut block),
                _ => {
                    if std::mem::take(&mut is_first) && self.table.expected != Maybe32::NONE {
                        self.table.expected = Maybe32::NONE;
                        block.flags.set("missing_table_resize");
                    }
                    self.field(octet, &mut input, &mut scratch, max_bytes, &mut block)
                }
            };
            if let Err(fault) = result {
                block.flags.set(fault.flag());
                block.fault = Some(fault);
                self.forget();
                break;
            }
        }
        block
    }

    fn resize(
        &mut self,
        input: &mut Input<'_>,
        allowed: Option<u32>,
        block: &mut Block,
    ) -> Result<(), Fault> {
        let size = u32::try_from(input.integer(5)?).unwrap_or(u32::MAX);
        if allowed.is_some_and(|allowed| size > allowed) {
            block.flags.set("table_too_large");
        }
        self.table.resize(size);
        if self
            .table
            .expected
            .get()
            .is_some_and(|expected| size <= expected)
        {
            self.table.expected = Maybe32::NONE;
        }
        Ok(())
    }

    /// One field (section 6.1 and 6.2).
    fn field(
        &mut self,
        octet: u8,
        input: &mut Input<'_>,
        scratch: &mut Vec<u8>,
        max_bytes: usize,
        block: &mut Block,
    ) -> Result<(), Fault> {
        if octet & 0x80 != 0 {
            let found = self.table.find(input.integer(7)?)?;
            match found {
                Found::Known(name, value) => block.add(name, value, max_bytes),
                Found::Nameless | Found::Unknown => block.add_unknown(),
            }
            return Ok(());
        }
        let is_added = octet & 0x40 != 0;
        let index = input.integer(if is_added { 6 } else { 4 })?;
        scratch.clear();
        let name = match index {
            0 => {
                input.string(scratch)?;
                None
            }
            _ => Some(match self.table.find(index)? {
                Found::Known(name, _) => Some(name),
                Found::Nameless | Found::Unknown => None,
            }),
        };
        let name_bytes = scratch.len();
        input.string(scratch)?;
        // One copy for both: it is all that the table and the field hold.
        let literal = Bytes::copy_from_slice(scratch);
        let value = literal.slice(name_bytes..);
        let name = match name {
            None => Some(literal.slice(..name_bytes)),
            Some(name) => name,
        };
        if is_added {
            self.table.insert(Entry {
                name: name.clone(),
                value: value.clone(),
            });
        }
        match name {
            Some(name) => block.add(name, value, max_bytes),
            None => block.add_unknown(),
        }
        Ok(())
    }
}

impl Block {
    fn add(&mut self, name: Bytes, value: Bytes, max_bytes: usize) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        if self.is_cut || self.bytes.saturating_add(size) > max_bytes {
            self.is_cut = true;
            return;
        }
        self.bytes += size;
        self.fields.push(Field::new(name, value));
    }

    fn add_unknown(&mut self) {
        self.unknown_at.get_or_insert(self.fields.len());
    }
}
