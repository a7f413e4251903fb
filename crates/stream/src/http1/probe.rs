//! Whether bytes are the start of an HTTP/1 message.

use super::head::is_token;
use crate::protocol::Claim;
use crate::segment::Direction;

/// The longest method that is taken for one.
const MAX_METHOD: usize = 40;

/// Judges bytes at the start of a message in one direction.
pub(crate) fn probe(direction: Direction, bytes: &[u8]) -> Claim {
    match direction {
        Direction::Client => request(bytes),
        Direction::Server => response(bytes),
    }
}

fn request(bytes: &[u8]) -> Claim {
    // A server ignores empty lines before a request line (RFC 9112, section 2.2).
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let Some(start) = start else {
        return match bytes.len() <= 8 {
            true => Claim::Unsure,
            false => Claim::NotMine,
        };
    };
    let bytes = &bytes[start..];
    let newline = memchr::memchr(b'\n', bytes);
    let line = &bytes[..newline.unwrap_or(bytes.len())];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let method = line.iter().take_while(|byte| is_token(**byte)).count();
    if method == 0 || method > MAX_METHOD {
        return Claim::NotMine;
    }
    match line.get(method) {
        None if newline.is_none() => return Claim::Unsure,
        Some(b' ' | b'\t') => {}
        _ => return Claim::NotMine,
    }
    let rest = &line[method..];
    if newline.is_none() {
        return match rest.contains(&0) {
            true => Claim::NotMine,
            false => Claim::Unsure,
        };
    }
    let rest = rest.trim_ascii();
    match memchr::memmem::rfind(rest, b"HTTP/") {
        Some(at) if at > 0 && matches!(rest[at - 1], b' ' | b'\t') => version(&rest[at..]),
        // HTTP/0.9 knows `GET` and a path, nothing else.
        _ if &line[..method] == b"GET" && rest.starts_with(b"/") => Claim::Certain,
        _ => Claim::NotMine,
    }
}

fn version(text: &[u8]) -> Claim {
    match text {
        // The preface of HTTP/2 is made to look like a request.
        [b'H', b'T', b'T', b'P', b'/', b'0' | b'1', b'.', digit] if digit.is_ascii_digit() => {
            Claim::Certain
        }
        _ => Claim::NotMine,
    }
}

fn response(bytes: &[u8]) -> Claim {
    const START: &[u8] = b"HTTP/";
    let common = START.len().min(bytes.len());
    if bytes[..common] != START[..common] {
        return Claim::NotMine;
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
        return Claim::NotMine;
    }
    match rest.len() >= shape.len() {
        true => Claim::Certain,
        false => Claim::Unsure,
    }
}
