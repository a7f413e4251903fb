//! Fields to header blocks (RFC 7541, section 6).

use std::collections::{HashMap, VecDeque};
use std::sync::LazyLock;

use bytes::Bytes;

use super::table::{ENTRY_OVERHEAD, INITIAL_SIZE, STATIC};
use crate::message::Field;

/// The largest table that is used, in bytes.
const MOST: usize = INITIAL_SIZE as usize;

/// The encoder of one direction of a connection.
///
/// Strings go out as they are: Huffman's code would cost more than it saves where the peer is near.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// The newest first.
    entries: VecDeque<(Bytes, Bytes)>,
    bytes: usize,
    size: usize,
    /// The smallest size since the last block, where it changed (section 4.2).
    resized: Option<usize>,
}

/// For each name of the static table its first index.
static NAMES: LazyLock<HashMap<&'static [u8], usize>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for (index, (name, _)) in (1..).zip(STATIC) {
        names.entry(name.as_bytes()).or_insert(index);
    }
    names
});

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// And added to the table.
    Added,
    /// And not added: it hardly comes again.
    Plain,
    /// And not to be added by anyone on the way (section 7.1.3).
    Never,
}

impl Encoder {
    pub fn new() -> Encoder {
        Encoder {
            entries: VecDeque::new(),
            bytes: 0,
            size: MOST,
            resized: None,
        }
    }

    /// The peer holds a table of this size at most; no more than the initial size is used.
    pub fn allow(&mut self, size: usize) {
        let size = size.min(MOST);
        if size == self.size {
            return;
        }
        self.resized = Some(self.resized.unwrap_or(size).min(size));
        self.size = size;
        self.evict(0);
    }

    /// Appends the header block of these fields, in their order.
    pub fn encode<'a>(&mut self, fields: impl IntoIterator<Item = &'a Field>, out: &mut Vec<u8>) {
        if let Some(smallest) = self.resized.take() {
            if smallest < self.size {
                integer(0x20, 5, smallest, out);
            }
            integer(0x20, 5, self.size, out);
        }
        for field in fields {
            self.field(field, out);
        }
    }

    fn field(&mut self, field: &Field, out: &mut Vec<u8>) {
        let form = form_of(field);
        let own = self
            .entries
            .iter()
            .position(|(name, value)| *name == field.name && *value == field.value);
        if let Some(place) = own {
            return integer(0x80, 7, STATIC.len() + 1 + place, out);
        }
        let first = NAMES.get(&field.name[..]).copied();
        if let Some(first) = first {
            let same_name = STATIC[first - 1..]
                .iter()
                .take_while(|(name, _)| name.as_bytes() == field.name);
            let found = (first..)
                .zip(same_name)
                .find(|(_, (_, value))| value.as_bytes() == field.value);
            if let Some((index, _)) = found {
                return integer(0x80, 7, index, out);
            }
        }
        let name = first.or_else(|| {
            let place = self
                .entries
                .iter()
                .position(|(name, _)| *name == field.name)?;
            Some(STATIC.len() + 1 + place)
        });
        let (mark, prefix) = match form {
            Form::Added => (0x40, 6),
            Form::Plain => (0x00, 4),
            Form::Never => (0x10, 4),
        };
        integer(mark, prefix, name.unwrap_or(0), out);
        if name.is_none() {
            string(&field.name, out);
        }
        string(&field.value, out);
        if form == Form::Added {
            self.insert(field);
        }
    }

    fn insert(&mut self, field: &Field) {
        let size = field.name.len() + field.value.len() + ENTRY_OVERHEAD;
        self.evict(size);
        if size <= self.size {
            self.bytes += size;
            self.entries
                .push_front((field.name.clone(), field.value.clone()));
        }
    }

    fn evict(&mut self, room: usize) {
        while self.bytes + room > self.size
            && let Some((name, value)) = self.entries.pop_back()
        {
            self.bytes -= name.len() + value.len() + ENTRY_OVERHEAD;
        }
    }
}

fn form_of(field: &Field) -> Form {
    match &field.name[..] {
        b"authorization" | b"proxy-authorization" => Form::Never,
        b":path" | b"content-length" | b"date" | b"grpc-timeout" => Form::Plain,
        _ => Form::Added,
    }
}

/// Section 5.1.
fn integer(mark: u8, prefix: u32, value: usize, out: &mut Vec<u8>) {
    let most = (1usize << prefix) - 1;
    if value < most {
        out.push(mark | value as u8);
        return;
    }
    out.push(mark | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Section 5.2, without Huffman's code.
fn string(bytes: &[u8], out: &mut Vec<u8>) {
    integer(0, 7, bytes.len(), out);
    out.extend_from_slice(bytes);
}
