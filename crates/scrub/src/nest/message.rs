//! Messages of gRPC, read by field numbers alone: `proto./1/2` is field 2 of the
//! message in field 1. A repeated name has `#1`, `#2`, ... from the second on.

use std::fmt::Write as _;
use std::ops::Range;

use bytes::Bytes;
use twintap_stream::grpc::{Descriptors, Leaf, Tree, TreeLimits, Value, varint};

use super::{Guest, map as map_inside};
use crate::find::Repeats;
use crate::leaf::Encoding;

/// The flag and the length before each message (gRPC over HTTP/2, length-prefixed
/// messages).
const PREFIX_BYTES: usize = 5;

/// A message with its tree.
pub(super) struct Message {
    bytes: Bytes,
    tree: Tree,
}

impl Message {
    /// The message that `raw` is, its prefix before it: one that is not compressed,
    /// and sound.
    pub(super) fn of(raw: &[u8]) -> Option<Message> {
        let (prefix, message) = raw.split_first_chunk::<PREFIX_BYTES>()?;
        let [flag, length @ ..] = *prefix;
        if flag != 0 || u32::from_be_bytes(length) as usize != message.len() {
            return None;
        }
        let bytes = Bytes::copy_from_slice(message);
        let tree = Descriptors::new().read_as(None, &bytes, TreeLimits::default());
        (tree.is_whole() && !tree.is_text).then_some(Message { bytes, tree })
    }
}

/// True where the prefix says how long the rest is.
pub(super) fn is_framed(raw: &[u8]) -> bool {
    raw.split_first_chunk::<PREFIX_BYTES>()
        .is_some_and(|([flag, length @ ..], message)| {
            *flag <= 1 && u32::from_be_bytes(*length) as usize == message.len()
        })
}

/// The length of the message that `body` begins with, its prefix included.
pub(super) fn len(body: &[u8]) -> Option<usize> {
    let prefix = body.first_chunk::<PREFIX_BYTES>()?;
    let [_, length @ ..] = *prefix;
    let len = PREFIX_BYTES.checked_add(u32::from_be_bytes(length) as usize)?;
    Message::of(body.get(..len)?).map(|_| len)
}

/// Goes through the fields of a message.
pub(super) fn map(
    message: &Message,
    path: &str,
    depth: usize,
    guest: &mut dyn Guest,
) -> Option<Option<Vec<u8>>> {
    let mut repeats = Repeats::default();
    let mut edits: Vec<(Range<usize>, Bytes)> = Vec::new();
    for leaf in message.tree.leaves() {
        let path = name(&leaf, path, &mut repeats);
        let Some(raw) = raw_of(&leaf, &message.bytes) else {
            continue;
        };
        let new = guest.value(&path, &raw, Encoding::Plain).or_else(|| {
            let wanted = guest.enters(&path);
            let inside = wanted.then(|| map_inside(&raw, &format!("{path}>"), depth + 1, guest));
            inside.flatten().flatten()
        });
        if let Some(new) = new {
            edits.push((leaf.span.clone(), written(&leaf, &new)?));
        }
    }
    if edits.is_empty() {
        return Some(None);
    }
    let new = message.tree.splice(&message.bytes, &edits)?;
    let length = u32::try_from(new.len()).ok()?;
    let mut framed = Vec::with_capacity(PREFIX_BYTES + new.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&new);
    Some(Some(framed))
}

fn name(leaf: &Leaf<'_>, path: &str, repeats: &mut Repeats) -> String {
    let mut name = format!("{path}proto.");
    for number in &leaf.path {
        // Writing to a string never fails.
        let _ = write!(name, "/{number}");
    }
    let count = repeats.count(&name);
    if count > 0 {
        let _ = write!(name, "#{count}");
    }
    name
}

/// The value as other formats write it: a number in decimal.
fn raw_of(leaf: &Leaf<'_>, message: &[u8]) -> Option<Vec<u8>> {
    match leaf.value {
        Value::Text(text) => Some(text.clone().into_bytes()),
        Value::Bytes(_) => message.get(leaf.span.clone()).map(<[u8]>::to_vec),
        Value::Varint(number) | Value::Fixed64(number) => Some(number.to_string().into_bytes()),
        Value::Fixed32(number) => Some(number.to_string().into_bytes()),
        // Only descriptors tell these apart, and none are used here.
        _ => None,
    }
}

/// A raw value as the field has it; `None` for what is no number in a number's place.
fn written(leaf: &Leaf<'_>, raw: &[u8]) -> Option<Bytes> {
    let number = || std::str::from_utf8(raw).ok()?.parse::<u64>().ok();
    Some(match leaf.value {
        Value::Varint(_) => varint(number()?),
        Value::Fixed64(_) => Bytes::copy_from_slice(&number()?.to_le_bytes()),
        Value::Fixed32(_) => Bytes::copy_from_slice(&u32::try_from(number()?).ok()?.to_le_bytes()),
        _ => Bytes::copy_from_slice(raw),
    })
}
