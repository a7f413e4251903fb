//! Puts other values into a message.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use super::cursor::Cursor;
use super::tree::{Node, Tree, Value};

/// New bytes by begin and end of the span that they replace.
type Edits<'a> = BTreeMap<(usize, usize), &'a [u8]>;

impl Tree {
    /// The message that this tree was read of, with other bytes in place of the spans of some of
    /// its leaves, and the lengths around them mended. All other bytes stay as they are.
    ///
    /// What replaces a number must be encoded as that number's wire type is: see [`varint`]. None
    /// when a span is not that of a leaf, or is there twice.
    pub fn splice(&self, message: &Bytes, edits: &[(Range<usize>, Bytes)]) -> Option<Bytes> {
        let mut left: Edits<'_> = edits
            .iter()
            .map(|(span, bytes)| ((span.start, span.end), &bytes[..]))
            .collect();
        if left.len() < edits.len() {
            return None;
        }
        let mut out = Vec::with_capacity(message.len());
        self.write(message, &(0..message.len()), &mut left, &mut out);
        left.is_empty().then(|| Bytes::from(out))
    }

    fn write(&self, message: &[u8], span: &Range<usize>, edits: &mut Edits<'_>, out: &mut Vec<u8>) {
        let mut at = span.start;
        for node in &self.fields {
            copy(message, at..node.record.start, out);
            match has_edits(edits, &node.record) {
                true => node.write(message, edits, out),
                false => copy(message, node.record.clone(), out),
            }
            at = node.record.end;
        }
        copy(message, at..span.end, out);
    }
}

impl Node {
    fn write(&self, message: &[u8], edits: &mut Edits<'_>, out: &mut Vec<u8>) {
        let mut value = Vec::with_capacity(self.span.len());
        match &self.value {
            Value::Message(tree) | Value::Group(tree) => {
                tree.write(message, &self.span, edits, &mut value);
            }
            Value::List(items) => {
                let mut at = self.span.start;
                for item in items {
                    put(message, &item.span, edits, &mut value);
                    at = item.span.end;
                }
                copy(message, at..self.span.end, &mut value);
            }
            _ => put(message, &self.span, edits, &mut value),
        }
        let mut tag = Cursor::new(message, self.record.clone());
        let has_length = tag.varint().is_ok_and(|tag| tag & 7 == 2);
        if has_length && value.len() != self.span.len() {
            copy(message, self.record.start..tag.at, out);
            out.extend_from_slice(&varint(value.len() as u64));
        } else {
            copy(message, self.record.start..self.span.start, out);
        }
        out.extend_from_slice(&value);
        copy(message, self.span.end..self.record.end, out);
    }
}

/// A number as a varint: that of `int`, `uint`, `bool` and `enum` types (a negative one as the
/// `u64` of its 64 bits), and of `sint` types once they are zigzag-encoded.
pub fn varint(mut number: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(10);
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    Bytes::from(bytes)
}

fn has_edits(edits: &Edits<'_>, record: &Range<usize>) -> bool {
    let first = edits.range((record.start, 0)..).next();
    first.is_some_and(|((start, end), _)| *start <= record.end && *end <= record.end)
}

fn put(message: &[u8], span: &Range<usize>, edits: &mut Edits<'_>, out: &mut Vec<u8>) {
    match edits.remove(&(span.start, span.end)) {
        Some(bytes) => out.extend_from_slice(bytes),
        None => copy(message, span.clone(), out),
    }
}

fn copy(message: &[u8], span: Range<usize>, out: &mut Vec<u8>) {
    out.extend_from_slice(message.get(span).unwrap_or_default());
}
