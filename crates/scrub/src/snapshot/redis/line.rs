//! Commands as lines of text, quoted as `redis-cli` reads them.

use std::borrow::Cow;

use super::Argument;
use crate::snapshot::Problem;

/// The arguments of a line without its end.
pub(super) fn read(line: &[u8]) -> Result<Vec<Argument<'_>>, Problem> {
    let mut arguments = Vec::new();
    let mut at = 0;
    loop {
        at += line[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let rest = &line[at..];
        let Some(first) = rest.first() else {
            return Ok(arguments);
        };
        let (len, raw) = match first {
            b'"' | b'\'' => match quoted(rest) {
                Some(quoted) => quoted,
                None => return Problem::new(at, "a quote that does not end"),
            },
            _ => {
                let is_end = |byte: &u8| byte.is_ascii_whitespace();
                let len = rest.iter().position(is_end).unwrap_or(rest.len());
                (len, Cow::Borrowed(&rest[..len]))
            }
        };
        let is_apart = rest.get(len).is_none_or(u8::is_ascii_whitespace);
        let has_quote =
            !matches!(first, b'"' | b'\'') && raw.iter().any(|byte| b"\"'".contains(byte));
        if !is_apart || has_quote {
            return Problem::new(at, "a quote inside of an argument");
        }
        let span = at..at + len;
        arguments.push(Argument { span, raw });
        at += len;
    }
}

/// Writes the line with others in place of its arguments.
pub(super) fn write(
    line: &[u8],
    arguments: &[Argument<'_>],
    new: &[Option<Vec<u8>>],
    out: &mut Vec<u8>,
) {
    let mut cursor = 0;
    for (argument, new) in arguments.iter().zip(new) {
        let Some(new) = new else { continue };
        out.extend_from_slice(&line[cursor..argument.span.start]);
        let was_quoted = b"\"'".contains(&line[argument.span.start]);
        write_argument(new, was_quoted, out);
        cursor = argument.span.end;
    }
    out.extend_from_slice(&line[cursor..]);
}

/// The length of the quoted text at the beginning of `rest`, and its value.
fn quoted(rest: &[u8]) -> Option<(usize, Cow<'_, [u8]>)> {
    let quote = rest[0];
    let mut raw = Vec::new();
    let mut at = 1;
    loop {
        let byte = *rest.get(at)?;
        at += 1;
        match (byte, rest.get(at)) {
            (byte, _) if byte == quote => return Some((at, Cow::Owned(raw))),
            (b'\\', Some(b'\'')) if quote == b'\'' => raw.push(b'\''),
            (b'\\', Some(&escape)) if quote == b'"' => {
                if let Some(code) = hexadecimal(&rest[at..]) {
                    raw.push(code);
                    at += 3;
                    continue;
                }
                raw.push(match escape {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
            }
            (byte, _) => {
                raw.push(byte);
                continue;
            }
        }
        at += 1;
    }
}

/// The byte that `x41` stands for.
fn hexadecimal(escape: &[u8]) -> Option<u8> {
    let [b'x', high, low, ..] = escape else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*high)? << 4 | digit(*low)?) as u8)
}

fn write_argument(new: &[u8], was_quoted: bool, out: &mut Vec<u8>) {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(byte) || *byte >= 0x80;
    if !was_quoted && !new.is_empty() && new.iter().all(is_plain) {
        return out.extend_from_slice(new);
    }
    out.push(b'"');
    for &byte in new {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 | 0x7f => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            byte => out.push(byte),
        }
    }
    out.push(b'"');
}
