//! Whether a flow speaks RESP.

use super::names;
use super::resp::{Scanner, is_plausible};
use crate::protocol::Claim;
use crate::segment::Direction;

/// More is not looked at.
const MAX_PROBE: usize = 4096;

/// Judges bytes of an unclaimed flow. A line that may be a command typed by hand, and a reply
/// without structure, stay open until both are there.
pub(super) fn probe(direction: Direction, bytes: &[u8], begins: bool) -> Claim {
    let bytes = &bytes[..bytes.len().min(MAX_PROBE)];
    match (direction, bytes) {
        (_, []) => Claim::Unsure,
        (Direction::Client, [b'*', ..]) => command(bytes, begins),
        (Direction::Client, _) if begins => inline(bytes),
        (Direction::Server, [b'*' | b'%' | b'~' | b'>', ..]) => aggregate(bytes),
        (Direction::Server, [b'+' | b'-' | b':' | b'$' | b'_', ..]) if begins => simple(bytes),
        _ => Claim::NotMine,
    }
}

/// Judges what both directions begin with, the server's sent after the client's.
pub(super) fn probe_both(client: &[u8], server: &[u8]) -> Claim {
    let is_asked = inline(client) == Claim::Unsure && memchr::memchr(b'\n', client).is_some();
    match is_asked && is_plausible(server, Scanner::reply) {
        true => Claim::Certain,
        false => Claim::Unsure,
    }
}

/// The number in the line `bytes` begins with after its first byte, and what follows the line.
/// `Err` when there is none, or not yet.
fn number(bytes: &[u8]) -> Result<(u64, &[u8]), Claim> {
    let [_, rest @ ..] = bytes else {
        return Err(Claim::Unsure);
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 9 {
        return Err(Claim::NotMine);
    }
    let number = rest[..digits]
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    match &rest[digits..] {
        [] | [b'\r'] => Err(Claim::Unsure),
        [b'\r', b'\n', rest @ ..] if digits > 0 => Ok((number, rest)),
        _ => Err(Claim::NotMine),
    }
}

/// An array of bulk strings, the first of which is a command.
fn command(bytes: &[u8], begins: bool) -> Claim {
    let found = number(bytes).and_then(|(count, rest)| match rest {
        [] => Err(Claim::Unsure),
        [b'$', ..] if count > 0 => number(rest),
        _ => Err(Claim::NotMine),
    });
    let (length, rest) = match found {
        Ok(found) => found,
        Err(claim) => return claim,
    };
    let word = &rest[..rest.len().min(length as usize)];
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-|".contains(byte);
    if !(1..=64).contains(&length)
        || !word.iter().all(is_name)
        || !word.first().is_none_or(u8::is_ascii_alphabetic)
    {
        return Claim::NotMine;
    }
    match (word.len() as u64 == length, begins || names::is_known(word)) {
        (false, _) => Claim::Unsure,
        (true, true) if is_plausible(bytes, || Scanner::command(0)) => Claim::Certain,
        (true, _) => Claim::NotMine,
    }
}

/// A line whose first word is a command.
fn inline(bytes: &[u8]) -> Claim {
    let newline = memchr::memchr(b'\n', bytes);
    let line = &bytes[..newline.unwrap_or(bytes.len())];
    let is_text = |byte: &u8| *byte >= 0x20 && *byte != 0x7f || matches!(byte, b'\t' | b'\r');
    let word = line.iter().take_while(|byte| !byte.is_ascii_whitespace());
    let word = &line[..word.count()];
    let is_begun = newline.is_none() && word.len() == line.len();
    let fits = match is_begun {
        true => names::is_begun(word),
        false => names::is_known(word),
    };
    match fits && line.len() < MAX_PROBE && line.iter().all(is_text) {
        true => Claim::Unsure,
        false => Claim::NotMine,
    }
}

/// An aggregate, whose first element's first line tells.
fn aggregate(bytes: &[u8]) -> Claim {
    let (count, rest) = match number(bytes) {
        Ok(found) => found,
        Err(claim) => return claim,
    };
    match memchr::memchr(b'\n', rest) {
        _ if count == 0 => Claim::NotMine,
        None if rest.len() < 64 => Claim::Unsure,
        Some(_) if is_plausible(bytes, Scanner::reply) => Claim::Certain,
        _ => Claim::NotMine,
    }
}

fn simple(bytes: &[u8]) -> Claim {
    let is_whole = memchr::memchr(b'\n', bytes).is_some();
    match is_whole && !is_plausible(bytes, Scanner::reply) || bytes.len() >= MAX_PROBE {
        true => Claim::NotMine,
        false => Claim::Unsure,
    }
}
