//! Whether bytes are messages of this protocol, and where messages start after a loss.

use super::read::{self, Fields};
use crate::protocol::Claim;
use crate::segment::Direction;

/// The largest message that servers and clients allocate room for, its length field included.
const MAX_LENGTH: u32 = 0x3fff_ffff;

/// The largest message that is believed in where it is unknown whether messages start there.
const MAX_LIKELY_LENGTH: u32 = 1 << 24;

/// The largest message of an unknown type that is passed over.
const MAX_UNKNOWN_LENGTH: u32 = 1 << 16;

/// The largest start-up packet that servers take (`MAX_STARTUP_PACKET_LENGTH`).
const MAX_STARTUP_LENGTH: u32 = 10_000;

pub(super) const CANCEL: u32 = 80_877_102;
pub(super) const SSL: u32 = 80_877_103;
pub(super) const GSS: u32 = 80_877_104;

/// What the head of a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Known,
    /// A type that the protocol doesn't have, with a length that could be one.
    Unknown,
    /// A length that this type can't have.
    BadLength,
}

/// Judges type and length of a message.
pub(super) fn head(direction: Direction, tag: u8, length: u32) -> Head {
    let range = match direction {
        Direction::Client => client_lengths(tag),
        Direction::Server => server_lengths(tag),
    };
    match range {
        Some((least, most)) if (least..=most).contains(&length) => Head::Known,
        Some(_) => Head::BadLength,
        None if tag.is_ascii_alphanumeric() && (4..=MAX_UNKNOWN_LENGTH).contains(&length) => {
            Head::Unknown
        }
        None => Head::BadLength,
    }
}

/// Judges the packets that have no type: length and code come first.
pub(super) fn is_untagged(length: u32, code: u32) -> bool {
    match code {
        SSL | GSS => length == 8,
        // Keys have four bytes in version 3.0, and up to 256 in version 3.2.
        CANCEL => (12..=268 + 4).contains(&length),
        _ => code >> 16 == 3 && (9..=MAX_STARTUP_LENGTH).contains(&length),
    }
}

/// Least and greatest length of a client's message.
fn client_lengths(tag: u8) -> Option<(u32, u32)> {
    Some(match tag {
        b'Q' | b'f' => (5, MAX_LENGTH),
        b'P' => (8, MAX_LENGTH),
        b'B' => (12, MAX_LENGTH),
        b'D' | b'C' => (6, MAX_LENGTH),
        b'E' => (9, MAX_LENGTH),
        b'F' => (14, MAX_LENGTH),
        b'H' | b'S' | b'X' | b'c' => (4, 4),
        b'd' => (4, MAX_LENGTH),
        b'p' => (4, 1 << 16),
        _ => return None,
    })
}

/// Least and greatest length of a server's message.
fn server_lengths(tag: u8) -> Option<(u32, u32)> {
    Some(match tag {
        b'Z' => (5, 5),
        b'1' | b'2' | b'3' | b'n' | b'I' | b's' | b'c' => (4, 4),
        b'D' | b'T' | b't' | b'S' => (6, MAX_LENGTH),
        b'C' | b'E' | b'N' => (5, MAX_LENGTH),
        b'd' => (4, MAX_LENGTH),
        b'A' => (10, MAX_LENGTH),
        b'V' => (8, MAX_LENGTH),
        b'G' | b'H' | b'W' => (7, 1 << 18),
        b'R' => (8, 1 << 16),
        b'K' => (9, 268),
        b'v' => (12, 1 << 16),
        _ => return None,
    })
}

/// Judges bytes of an unclaimed flow.
pub(crate) fn probe(direction: Direction, bytes: &[u8], begins: bool) -> Claim {
    match direction {
        Direction::Client if bytes.first() == Some(&0) && begins => startup(bytes),
        Direction::Client => messages(direction, bytes),
        Direction::Server => match bytes {
            // The answer to a request for encryption that was not seen.
            [b'S' | b'N' | b'G'] if begins => Claim::Unsure,
            [b'N', rest @ ..] if begins && rest.first() != Some(&0) => messages(direction, rest),
            _ => messages(direction, bytes),
        },
    }
}

/// Judges the first bytes of a client.
fn startup(bytes: &[u8]) -> Claim {
    let mut fields = Fields(bytes);
    let Some(length) = fields.int32() else {
        return match bytes.iter().take(2).all(|byte| *byte == 0) {
            true => Claim::Unsure,
            false => Claim::NotMine,
        };
    };
    let length = length as u32;
    let Some(code) = fields.int32() else {
        let could_be = (8..=MAX_STARTUP_LENGTH).contains(&length);
        let high = fields.0.first();
        return match could_be && matches!(high, None | Some(0 | 4)) {
            true => Claim::Unsure,
            false => Claim::NotMine,
        };
    };
    let code = code as u32;
    if !is_untagged(length, code) {
        return Claim::NotMine;
    }
    if matches!(code, SSL | GSS | CANCEL) {
        return Claim::Certain;
    }
    let content = fields.0;
    let whole = length as usize - 8;
    match content.get(..whole) {
        Some(content) if parameters(content).is_some() => Claim::Certain,
        None if could_be_parameters(content) => Claim::Unsure,
        _ => Claim::NotMine,
    }
}

/// The parameters of a start-up packet: names and values in turns, then a zero byte.
pub(super) fn parameters(content: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut fields = Fields(content);
    let mut pairs = Vec::new();
    loop {
        let name = fields.text()?;
        if name.is_empty() {
            return fields.is_empty().then_some(pairs);
        }
        if !is_text(name) {
            return None;
        }
        pairs.push((name, fields.text()?));
    }
}

fn could_be_parameters(content: &[u8]) -> bool {
    let end = memchr::memchr(0, content).unwrap_or(content.len());
    (end > 0 || content.is_empty()) && is_text(&content[..end])
}

/// Judges bytes where a message may start: at least two messages, or one that fits exactly.
pub(super) fn messages(direction: Direction, bytes: &[u8]) -> Claim {
    let mut rest = bytes;
    let mut sound = 0;
    while !rest.is_empty() {
        let Some((tag, length)) = tag_and_length(rest) else {
            let could_be = head_could_be(direction, rest);
            return match (could_be, sound) {
                (true, _) => Claim::Unsure,
                (false, _) => Claim::NotMine,
            };
        };
        if length > MAX_LIKELY_LENGTH || head(direction, tag, length) != Head::Known {
            return Claim::NotMine;
        }
        let content = &rest[5..];
        let size = length as usize - 4;
        let Some(whole) = content.get(..size) else {
            return match (could_be_content(direction, tag, content), sound) {
                (false, _) => Claim::NotMine,
                (true, 0) => Claim::Unsure,
                (true, _) => Claim::Certain,
            };
        };
        match is_content(direction, tag, whole) {
            None => return Claim::NotMine,
            Some(is_telling) => sound += usize::from(is_telling),
        }
        rest = &content[size..];
        if sound >= 2 {
            return Claim::Certain;
        }
    }
    match sound {
        0 => Claim::Unsure,
        _ => Claim::Certain,
    }
}

/// True when the bytes start with the head of a message that could be one.
pub(super) fn could_start(direction: Direction, bytes: &[u8]) -> bool {
    match tag_and_length(bytes) {
        None => head_could_be(direction, bytes),
        Some((tag, length)) => {
            let content = &bytes[5..];
            let size = (length as usize).saturating_sub(4);
            head(direction, tag, length) == Head::Known
                && match content.get(..size) {
                    Some(whole) => is_content(direction, tag, whole).is_some(),
                    None => could_be_content(direction, tag, content),
                }
        }
    }
}

fn tag_and_length(bytes: &[u8]) -> Option<(u8, u32)> {
    let mut fields = Fields(bytes);
    let tag = fields.byte()?;
    Some((tag, fields.int32()? as u32))
}

fn head_could_be(direction: Direction, bytes: &[u8]) -> bool {
    let Some((tag, length)) = bytes.split_first() else {
        return true;
    };
    let is_known = match direction {
        Direction::Client => client_lengths(*tag).is_some(),
        Direction::Server => server_lengths(*tag).is_some(),
    };
    is_known && length.first().is_none_or(|byte| *byte == 0)
}

/// What of a message was seen so far could be one.
fn could_be_content(direction: Direction, tag: u8, content: &[u8]) -> bool {
    match (direction, tag) {
        (Direction::Client, b'Q') => is_text(content),
        (Direction::Client, b'P') => {
            let mut fields = Fields(content);
            match fields.text() {
                Some(name) => {
                    let end = memchr::memchr(0, fields.0).unwrap_or(fields.0.len());
                    is_text(name) && is_text(&fields.0[..end])
                }
                None => is_text(content),
            }
        }
        _ => true,
    }
}

/// Whether the content of a whole message is sound (None: it is not), and whether that tells
/// anything.
fn is_content(direction: Direction, tag: u8, content: &[u8]) -> Option<bool> {
    match direction {
        Direction::Client => is_client_content(tag, content),
        Direction::Server => is_server_content(tag, content),
    }
}

fn is_client_content(tag: u8, content: &[u8]) -> Option<bool> {
    let is_sound = match tag {
        b'Q' => content
            .split_last()
            .is_some_and(|(end, text)| *end == 0 && is_text(text)),
        b'P' => {
            read::parse(content).is_some_and(|parse| is_text(parse.name) && is_text(parse.text))
        }
        b'B' => read::bind(content).is_some(),
        b'D' | b'C' => {
            let is_kind = matches!(content.first(), Some(b'S' | b'P'));
            is_kind && memchr::memchr(0, content) == Some(content.len() - 1)
        }
        b'E' => {
            let mut fields = Fields(content);
            fields.text().is_some() && fields.0.len() == 4
        }
        b'f' => memchr::memchr(0, content) == content.len().checked_sub(1),
        b'H' | b'S' | b'X' | b'c' => true,
        _ => return Some(false),
    };
    is_sound.then_some(true)
}

fn is_server_content(tag: u8, content: &[u8]) -> Option<bool> {
    let mut fields = Fields(content);
    let is_sound = match tag {
        b'Z' => matches!(content, [b'I' | b'T' | b'E']),
        b'1' | b'2' | b'3' | b'n' | b'I' | b's' | b'c' => true,
        b'T' => read::columns(content).is_some(),
        b'D' => is_row(content),
        b'C' => {
            let is_upper = content.first().is_some_and(u8::is_ascii_uppercase);
            is_upper && memchr::memchr(0, content) == Some(content.len() - 1)
        }
        b'E' | b'N' => read::report(content)
            .is_some_and(|report| !report.severity.is_empty() && report.code.len() == 5),
        b'S' => {
            let name = fields.text();
            name.is_some_and(|name| !name.is_empty() && is_text(name))
                && fields.text().is_some()
                && fields.is_empty()
        }
        b't' => {
            let count = fields.count();
            count.is_some_and(|count| fields.0.len() == count * 4)
        }
        b'A' => {
            fields.int32().is_some()
                && fields.text().is_some_and(is_text)
                && fields.text().is_some()
                && fields.is_empty()
        }
        b'R' => matches!(fields.int32(), Some(0..=12)),
        _ => return Some(false),
    };
    is_sound.then_some(true)
}

fn is_row(content: &[u8]) -> bool {
    let mut fields = Fields(content);
    let Some(count) = fields.count() else {
        return false;
    };
    for _ in 0..count {
        let is_there = match fields.int32() {
            Some(-1) => true,
            Some(length) => usize::try_from(length).is_ok_and(|size| fields.take(size).is_some()),
            None => false,
        };
        if !is_there {
            return false;
        }
    }
    fields.is_empty()
}

/// Bytes without control characters, apart from white space.
fn is_text(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| *byte >= 0x20 && *byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}
