//! Whether bytes are the start of an HTTP/1 message.

use super::head::{is_token, is_version};
use crate::protocol::Claim;
use crate::segment::Direction;

/// The longest method that is taken for one.
const MAX_METHOD: usize = 40;

/// The methods that a request is recognised by where it is unknown that a message starts there:
/// the tail of a torn method is a token too.
const METHODS: &[&[u8]] = &[
    // RFC 9110, RFC 5789
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    // RFC 4918, RFC 3253, RFC 3744, RFC 4791, RFC 5323, RFC 5842
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"VERSION-CONTROL",
    b"CHECKOUT",
    b"CHECKIN",
    b"UNCHECKOUT",
    b"MKWORKSPACE",
    b"UPDATE",
    b"LABEL",
    b"MERGE",
    b"BASELINE-CONTROL",
    b"MKACTIVITY",
    b"ACL",
    b"MKCALENDAR",
    b"SEARCH",
    b"BIND",
    b"UNBIND",
    b"REBIND",
    // Not registered, and common: caches, UPnP, QUERY
    b"PURGE",
    b"BAN",
    b"NOTIFY",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"M-SEARCH",
    b"QUERY",
    b"LINK",
    b"UNLINK",
];

/// What the first line of bytes looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// A start line.
    Certain,
    /// No line end yet, and nothing against it.
    Partial,
    /// A request line but for its version.
    OddVersion,
    /// A line that a sloppy client may have meant for a request line.
    Plausible,
    NotMine,
}

/// Judges bytes of an unclaimed flow. What is plausible at the begin of a direction stays open
/// until the other direction speaks; elsewhere it is nothing.
pub(crate) fn probe(direction: Direction, bytes: &[u8], begins: bool) -> Claim {
    if direction == Direction::Client && !begins && !has_known_method(bytes) {
        return Claim::NotMine;
    }
    match first_line(direction, bytes) {
        Line::Certain => Claim::Certain,
        Line::Partial => Claim::Unsure,
        Line::Plausible | Line::OddVersion if begins => Claim::Unsure,
        Line::Plausible | Line::OddVersion | Line::NotMine => Claim::NotMine,
    }
}

/// Judges bytes that follow a message.
pub(super) fn follow(direction: Direction, bytes: &[u8]) -> Claim {
    match first_line(direction, bytes) {
        Line::Certain | Line::OddVersion => Claim::Certain,
        Line::Partial => Claim::Unsure,
        Line::Plausible | Line::NotMine => Claim::NotMine,
    }
}

/// Judges the first bytes of a direction, in a flow that is HTTP for certain.
pub(super) fn accept(direction: Direction, bytes: &[u8]) -> Claim {
    match first_line(direction, bytes) {
        Line::Certain | Line::OddVersion | Line::Plausible => Claim::Certain,
        Line::Partial => Claim::Unsure,
        Line::NotMine => Claim::NotMine,
    }
}

/// True when the bytes start with a known method, or with a part of one and nothing more.
fn has_known_method(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let token = bytes.iter().take_while(|byte| is_token(**byte)).count();
    let word = &bytes[..token];
    match token == bytes.len() {
        true => METHODS.iter().any(|method| method.starts_with(word)),
        false => METHODS.contains(&word),
    }
}

fn first_line(direction: Direction, bytes: &[u8]) -> Line {
    match direction {
        Direction::Client => request(bytes),
        Direction::Server => response(bytes),
    }
}

fn request(bytes: &[u8]) -> Line {
    // A server ignores empty lines before a request line (RFC 9112, section 2.2).
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let Some(start) = start else {
        return match bytes.len() <= 8 {
            true => Line::Partial,
            false => Line::NotMine,
        };
    };
    let bytes = &bytes[start..];
    let newline = memchr::memchr(b'\n', bytes);
    let line = &bytes[..newline.unwrap_or(bytes.len())];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let method = line.iter().take_while(|byte| is_token(**byte)).count();
    if method == 0 || method > MAX_METHOD {
        return Line::NotMine;
    }
    match line.get(method) {
        None if newline.is_none() => return Line::Partial,
        Some(b' ' | b'\t') => {}
        _ => return Line::NotMine,
    }
    let rest = line[method..].trim_ascii();
    if newline.is_none() {
        return match rest.contains(&0) {
            true => Line::NotMine,
            false => Line::Partial,
        };
    }
    match version_of(line) {
        // The preface of HTTP/2 is made to look like a request (RFC 9113, section 3.4).
        Some(_) if &line[..method] == b"PRI" => Line::NotMine,
        Some([b'H', b'T', b'T', b'P', b'/', b'0' | b'1', b'.', digit])
            if digit.is_ascii_digit() =>
        {
            Line::Certain
        }
        Some([.., b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Line::OddVersion
        }
        // HTTP/0.9 knows `GET` and a path, nothing else.
        None if &line[..method] == b"GET" && rest.starts_with(b"/") => Line::Certain,
        _ => plausible(rest),
    }
}

/// The last word of a request line when it names a version and a target lies before it.
pub(super) fn version_of(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii_end();
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let last = line.iter().rposition(is_blank)? + 1;
    let words = line[..last].split(is_blank).filter(|word| !word.is_empty());
    (is_version(&line[last..]) && words.take(2).count() == 2).then(|| &line[last..])
}

fn plausible(rest: &[u8]) -> Line {
    let is_text = |byte: &u8| *byte >= 0x20 && *byte != 0x7f || *byte == b'\t';
    match !rest.is_empty() && rest.iter().all(is_text) {
        true => Line::Plausible,
        false => Line::NotMine,
    }
}

fn response(bytes: &[u8]) -> Line {
    const START: &[u8] = b"HTTP/";
    let common = START.len().min(bytes.len());
    if bytes[..common] != START[..common] {
        return Line::NotMine;
    }
    // HTTP/d.d SP ddd
    let shape: [fn(&u8) -> bool; 8] = [
        |byte| matches!(byte, b'0' | b'1'),
        |byte| *byte == b'.',
        u8::is_ascii_digit,
        |byte| *byte == b' ',
        u8::is_ascii_digit,
        u8::is_ascii_digit,
        u8::is_ascii_digit,
        |byte| matches!(byte, b' ' | b'\r' | b'\n'),
    ];
    let rest = &bytes[common..];
    if !rest.iter().zip(shape).all(|(byte, fits)| fits(byte)) {
        return Line::NotMine;
    }
    match rest.len() >= shape.len() {
        true => Line::Certain,
        false => Line::Partial,
    }
}
