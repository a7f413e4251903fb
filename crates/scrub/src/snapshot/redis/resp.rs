//! Commands in RESP: arrays of bulk strings.

use std::borrow::Cow;

use super::Argument;
use crate::snapshot::{MOST_HELD_BYTES, Problem};

const NO_COMMAND: &str = "no command in RESP, expected an array of bulk strings";

/// The command that `src` begins with, its length and its arguments; `None` while it
/// may go on.
pub(super) fn read(src: &[u8]) -> Result<Option<(usize, Vec<Argument<'_>>)>, Problem> {
    let Some((count, mut at)) = number(src, 0, b'*')? else {
        return Ok(None);
    };
    let mut arguments = Vec::new();
    for _ in 0..count {
        let Some((len, start)) = number(src, at, b'$')? else {
            return Ok(None);
        };
        let end = start + len;
        match src.get(end..end + 2) {
            None => return Ok(None),
            Some(b"\r\n") => (),
            Some(_) => return Problem::new(end, NO_COMMAND),
        }
        arguments.push(Argument {
            span: start..end,
            raw: Cow::Borrowed(&src[start..end]),
        });
        at = end + 2;
    }
    Ok(Some((at, arguments)))
}

/// Writes the command with others in place of its arguments, their lengths mended.
pub(super) fn write(
    src: &[u8],
    len: usize,
    arguments: &[Argument<'_>],
    new: &[Option<Vec<u8>>],
    out: &mut Vec<u8>,
) {
    let mut cursor = 0;
    for (argument, new) in arguments.iter().zip(new) {
        let Some(new) = new else { continue };
        let old = argument.span.len();
        let head = format!("${old}\r\n").len();
        out.extend_from_slice(&src[cursor..argument.span.start - head]);
        out.extend_from_slice(format!("${}\r\n", new.len()).as_bytes());
        out.extend_from_slice(new);
        cursor = argument.span.end;
    }
    out.extend_from_slice(&src[cursor..len]);
}

/// The number after `mark` at `at`, as Redis writes it, and where its line ends.
fn number(src: &[u8], at: usize, mark: u8) -> Result<Option<(usize, usize)>, Problem> {
    const MOST_DIGITS: usize = 9;
    let Some(line) = src.get(at..).filter(|line| !line.is_empty()) else {
        return Ok(None);
    };
    if line[0] != mark {
        return Problem::new(at, NO_COMMAND);
    }
    let digits = &line[1..];
    let len = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let text = std::str::from_utf8(&digits[..len]).unwrap_or_default();
    let value = match text.parse::<usize>() {
        Ok(value) if len <= MOST_DIGITS && (text == "0" || !text.starts_with('0')) => value,
        _ if len == 0 && digits.is_empty() => return Ok(None),
        _ => return Problem::new(at, NO_COMMAND),
    };
    if value > MOST_HELD_BYTES {
        return Problem::new(at, "a command longer than what is held");
    }
    match &digits[len..] {
        [b'\r', b'\n', ..] => Ok(Some((value, at + 1 + len + 2))),
        [] | [b'\r'] => Ok(None),
        _ => Problem::new(at, NO_COMMAND),
    }
}
