//! Whether bytes are the start of a message.

use super::cursor::Cursor;
use super::login::{Capabilities, Greeting, Login};
use super::packets::MAX_PAYLOAD;
use super::reply::Shape;
use super::transaction::skip_comments;
use crate::protocol::Claim;
use crate::segment::Direction;

/// First words of statements that a query is recognised by.
const KEYWORDS: &[&str] = &[
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CHECK",
    "CHECKSUM",
    "COMMIT",
    "CREATE",
    "DEALLOCATE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DO",
    "DROP",
    "EXECUTE",
    "EXPLAIN",
    "FLUSH",
    "GRANT",
    "HANDLER",
    "INSERT",
    "INSTALL",
    "KILL",
    "LOAD",
    "LOCK",
    "OPTIMIZE",
    "PREPARE",
    "PURGE",
    "RENAME",
    "REPAIR",
    "REPLACE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "START",
    "STOP",
    "TABLE",
    "TRUNCATE",
    "UNLOCK",
    "UPDATE",
    "USE",
    "VALUES",
    "WITH",
    "XA",
];

/// How messages stand in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Login,
    Command,
    /// A command in a frame of the compressed protocol.
    Framed,
}

/// One packet's header, and what is there of its payload and after it.
#[derive(Clone, Copy, Debug)]
struct Packet<'a> {
    length: usize,
    sequence: u8,
    payload: &'a [u8],
    after: &'a [u8],
}

impl<'a> Packet<'a> {
    fn split(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let mut cursor = Cursor(bytes);
        let length = cursor.number(3)? as usize;
        let sequence = cursor.byte()?;
        let payload = cursor.take(length.min(cursor.0.len()))?;
        Some(Packet {
            length,
            sequence,
            payload,
            after: cursor.0,
        })
    }

    fn is_whole(self) -> bool {
        self.payload.len() == self.length
    }

    fn is_alone(self) -> bool {
        self.is_whole() && self.after.is_empty()
    }
}

/// Judges bytes of an unclaimed flow. Only what is not to be mistaken counts.
pub(super) fn probe(direction: Direction, bytes: &[u8], begins: bool) -> Claim {
    let is_mine = match direction {
        Direction::Client => client(bytes).is_some(),
        Direction::Server => greeting(bytes) || reply(bytes) || begins && refusal(bytes),
    };
    match is_mine {
        true => Claim::Certain,
        false if begins && direction == Direction::Server && is_part_of_greeting(bytes) => {
            Claim::Unsure
        }
        false => Claim::NotMine,
    }
}

/// A login or a command, alone in what is there or followed by more of its kind.
pub(super) fn client(bytes: &[u8]) -> Option<Found> {
    if is_login(bytes) {
        return Some(Found::Login);
    }
    if is_command(bytes) {
        return Some(Found::Command);
    }
    let mut cursor = Cursor(bytes);
    let length = cursor.number(3)? as usize;
    let sequence = cursor.byte()?;
    let inflated = cursor.number(3)?;
    let is_plain = sequence == 0 && inflated == 0 && length >= 5;
    (is_plain && length >= cursor.0.len() && is_command(cursor.0)).then_some(Found::Framed)
}

/// Like [`client`] where it is known that frames are compressed: one may be deflated.
pub(super) fn frame(bytes: &[u8], sequence: u8) -> bool {
    let mut cursor = Cursor(bytes);
    let header = (|| Some((cursor.number(3)?, cursor.byte()?, cursor.number(3)?)))();
    let Some((length, found, inflated)) = header else {
        return false;
    };
    let is_deflated = cursor.0.first() == Some(&0x78) || cursor.0.starts_with(b"\x28\xb5\x2f\xfd");
    let fits = length >= cursor.0.len() as u64 || inflated == 0;
    found == sequence && length > 0 && fits && (inflated == 0 || is_deflated && inflated > length)
}

fn is_login(bytes: &[u8]) -> bool {
    let Some(packet) = Packet::split(bytes) else {
        return false;
    };
    let mut cursor = Cursor(packet.payload);
    let fixed = (|| {
        let capabilities = Capabilities(cursor.long()?);
        let _largest = cursor.long()?;
        let _collation = cursor.byte()?;
        let filler = cursor.take(19)?;
        let _of_maria = cursor.take(4)?;
        let name = cursor.until_nul()?;
        let is_name = name.len() <= 255 && name.iter().all(|byte| *byte >= 0x20);
        Some(
            capabilities.has(Capabilities::PROTOCOL_41)
                && filler.iter().all(|byte| *byte == 0)
                && is_name,
        )
    })();
    packet.is_alone()
        && packet.sequence == 1
        && fixed == Some(true)
        && Login::read(packet.payload).is_some()
}

/// Whether packets stand here of which one is a command beyond doubt.
fn is_command(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    // What came together with a query: statements closed before it.
    for _ in 0..64 {
        let Some(packet) = Packet::split(rest) else {
            return false;
        };
        if packet.sequence != 0 || packet.length == 0 {
            return false;
        }
        match packet.payload {
            [0x03, text @ ..] => return is_query(text),
            [0x16, text @ ..] => return is_statement(text),
            // Number, flags, 1 iteration
            [0x17, _, _, _, _, 0..=15, 1, 0, 0, 0, ..] => return packet.is_alone(),
            // Close, reset, ping, reset the connection
            [0x19 | 0x1a, _, _, _, _] | [0x0e] | [0x1f] => rest = packet.after,
            _ => return false,
        }
    }
    false
}

/// A statement, perhaps with attributes before it.
fn is_query(text: &[u8]) -> bool {
    match text {
        [0, 1, text @ ..] => is_statement(text),
        [1..=16, 1, ..] => {
            text.len() > 8 && {
                let words = KEYWORDS.iter().filter(|word| word.len() >= 6);
                words.into_iter().any(|word| find_word(text, word))
            }
        }
        _ => is_statement(text),
    }
}

fn find_word(text: &[u8], word: &str) -> bool {
    text.windows(word.len())
        .take(512)
        .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// Text that begins with a word of SQL.
fn is_statement(text: &[u8]) -> bool {
    let is_text = |byte: &u8| *byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r');
    let text = skip_comments(text.get(..text.len().min(512)).unwrap_or_default());
    let text = text.strip_prefix(b"(").unwrap_or(text);
    let length = text
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let (word, rest) = text.split_at_checked(length).unwrap_or_default();
    let ends = rest
        .first()
        .is_none_or(|byte| byte.is_ascii_whitespace() || b"(;@*`/-".contains(byte));
    ends && rest.iter().take(16).all(is_text)
        && KEYWORDS
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

/// The server's greeting, alone.
pub(super) fn greeting(bytes: &[u8]) -> bool {
    Packet::split(bytes).is_some_and(|packet| {
        packet.is_alone()
            && packet.sequence == 0
            && packet.length >= 20
            && Greeting::read(packet.payload).is_some()
    })
}

/// Fewer bytes than a greeting has, and nothing against it.
fn is_part_of_greeting(bytes: &[u8]) -> bool {
    match bytes {
        [length, 0, 0, 0, 10, version @ ..] => {
            let mut text = version.iter().take_while(|byte| **byte != 0);
            *length >= 20
                && bytes.len() < 4 + usize::from(*length)
                && version.first().is_none_or(u8::is_ascii_digit)
                && text.all(|byte| (0x20..0x7f).contains(byte))
        }
        [length, rest @ ..] => {
            *length >= 20 && rest.len() < 4 && rest.iter().all(|byte| *byte == 0)
        }
        [] => false,
    }
}

/// An error in place of the greeting.
fn refusal(bytes: &[u8]) -> bool {
    Packet::split(bytes).is_some_and(|packet| match packet.payload {
        [0xff, low, high, text @ ..] => {
            let code = u16::from_le_bytes([*low, *high]);
            packet.is_alone()
                && packet.sequence == 0
                && (1000..5000).contains(&code)
                && text.len() >= 8
                && text.iter().all(|byte| (0x20..0x7f).contains(byte))
        }
        _ => false,
    })
}

/// A reply that can be nothing else: results, a prepared statement, an error.
pub(super) fn reply(bytes: &[u8]) -> bool {
    let Some(packet) = Packet::split(bytes) else {
        return false;
    };
    if packet.sequence != 1 {
        return false;
    }
    match packet.payload {
        [1..=0xfa] | [1..=0xfa, 1] => packet.is_whole() && is_column(packet.after, 2),
        [0, _, _, _, _, _, _, _, _, 0, _, _, ..] if packet.length <= 13 => {
            is_column(packet.after, 2)
        }
        [0xff, low, high, b'#', text @ ..] => {
            let code = u16::from_le_bytes([*low, *high]);
            packet.is_alone()
                && (1000..5000).contains(&code)
                && text.len() >= 5
                && text.iter().take(5).all(u8::is_ascii_alphanumeric)
        }
        _ => is_column(bytes, 1),
    }
}

fn is_column(bytes: &[u8], sequence: u8) -> bool {
    Packet::split(bytes).is_some_and(|packet| {
        packet.sequence == sequence
            && (20..4096).contains(&packet.length)
            && packet.payload.starts_with(b"\x03def")
    })
}

/// Whether the bytes may be the first packet of a reply of this layout.
pub(super) fn fits(bytes: &[u8], sequence: u8, shape: Shape) -> bool {
    let Some(packet) = Packet::split(bytes) else {
        return false;
    };
    let is_single = packet.is_alone();
    let is_first = match (shape, packet.payload) {
        (Shape::Text, [_, ..]) => is_single,
        (_, [0xff, _, _, ..]) => is_single,
        (Shape::Prepare, [0, ..]) => matches!(packet.length, 12 | 13),
        (Shape::Rows, [0, ..]) => true,
        (Shape::Rows | Shape::Single | Shape::Fields, [0xfe, _, _, _, _]) => is_single,
        (Shape::Fields, [3, b'd', b'e', b'f', ..]) => true,
        (Shape::Login, [0..=2 | 0xfe, ..]) => is_single,
        (Shape::Results, [0xfb, ..]) => is_single,
        (Shape::Results | Shape::Single | Shape::Unknown, [0, _, _, _, _, ..]) => {
            is_single || packet.is_whole() && packet.length < 0xff
        }
        (Shape::Results | Shape::Unknown, [1..=0xfa] | [1..=0xfa, _] | [0xfc, _, _]) => {
            packet.after.is_empty() || is_column(packet.after, 2) || packet.after.len() < 8
        }
        _ => false,
    };
    packet.sequence == sequence && packet.length < MAX_PAYLOAD && is_first
}
