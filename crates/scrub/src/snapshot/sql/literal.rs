//! Values as SQL writes them.

use std::borrow::Cow;

use super::lex::{Dialect, Kind, Quoting, Token, is_decimal};
use super::tables::Column;
use crate::snapshot::values::Replace;

/// Writes a text or number of `column`, or what takes its place in the same quotes.
pub(super) fn scrub(
    column: &Column,
    token: &Token,
    text: &[u8],
    dialect: Dialect,
    values: &mut impl Replace,
    out: &mut Vec<u8>,
) {
    let Kind::Text(quoting) = token.kind else {
        let new = values.replace(column.place(), text);
        return match new {
            // A number stays one.
            Some(new) if !is_number(&new) => out.push(b'0'),
            Some(new) => out.extend_from_slice(&new),
            None => out.extend_from_slice(text),
        };
    };
    let body = &text[token.body.clone()];
    let quote = text[token.body.start - 1];
    let raw = read(body, quoting, quote);
    let is_plain = dialect == Dialect::Postgres && quoting != Quoting::Bits;
    let new = match is_plain {
        true => scrub_text(column, &raw, values),
        false => values.replace(column.place(), &raw),
    };
    let Some(new) = new else {
        return out.extend_from_slice(text);
    };
    let (before, after) = (&text[..token.body.start], &text[token.body.end..]);
    if quoting == Quoting::Dollars && !ends_with_first(&new, after) {
        out.push(b'\'');
        write(&new, body, Quoting::Plain, b'\'', out);
        return out.push(b'\'');
    }
    out.extend_from_slice(before);
    write(&new, body, quoting, quote, out);
    out.extend_from_slice(after);
}

/// Whether `end` after `new` is the first there is.
fn ends_with_first(new: &[u8], end: &[u8]) -> bool {
    memchr::memmem::find(&[new, end].concat(), end) == Some(new.len())
}

/// What takes the place of a text of PostgreSQL, in which bytes may stand as `\x00ff`.
pub(super) fn scrub_text(
    column: &Column,
    raw: &[u8],
    values: &mut impl Replace,
) -> Option<Vec<u8>> {
    let bytes = raw.strip_prefix(b"\\x").and_then(from_hex);
    let Some(bytes) = bytes else {
        return values.replace(column.place(), raw);
    };
    let new = values.replace(column.place(), &bytes)?;
    Some([b"\\x", &*to_hex(&new)].concat())
}

/// Writes TRUE or FALSE, or what takes its place.
pub(super) fn scrub_boolean(
    column: &Column,
    text: &[u8],
    values: &mut impl Replace,
    out: &mut Vec<u8>,
) {
    match values.replace(column.place(), &text.to_ascii_lowercase()) {
        Some(_) => out.extend_from_slice(b"false"),
        None => out.extend_from_slice(text),
    }
}

/// The raw value between quotes.
fn read(body: &[u8], quoting: Quoting, quote: u8) -> Cow<'_, [u8]> {
    match quoting {
        Quoting::Dollars | Quoting::Bits => Cow::Borrowed(body),
        // An odd number of digits is no bytes: then the digits are the value.
        Quoting::Hex => from_hex(body).map_or(Cow::Borrowed(body), Cow::Owned),
        Quoting::Plain if memchr::memchr(quote, body).is_none() => Cow::Borrowed(body),
        Quoting::Escaped | Quoting::Mysql if memchr::memchr2(quote, b'\\', body).is_none() => {
            Cow::Borrowed(body)
        }
        Quoting::Plain => Cow::Owned(unescaped(body, quote, |_, _| None)),
        Quoting::Escaped => Cow::Owned(unescaped(body, quote, of_postgres)),
        Quoting::Mysql => Cow::Owned(unescaped(body, quote, of_mysql)),
    }
}

/// What an escape stands for is put at the end of the bytes; says how long it is after
/// its backslash, or `None` where a backslash is none.
type Unescape = fn(&[u8], &mut Vec<u8>) -> Option<usize>;

/// Undoes quotes that are written twice, and backslashes.
fn unescaped(body: &[u8], quote: u8, unescape: Unescape) -> Vec<u8> {
    let mut raw = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = memchr::memchr2(quote, b'\\', rest) {
        raw.extend_from_slice(&rest[..at]);
        let after = &rest[at + 1..];
        if rest[at] == quote {
            raw.push(quote);
            rest = after.get(1..).unwrap_or_default();
        } else if let Some(len) = unescape(after, &mut raw) {
            rest = after.get(len..).unwrap_or_default();
        } else {
            raw.push(b'\\');
            rest = after;
        }
    }
    raw.extend_from_slice(rest);
    raw
}

/// PostgreSQL, "String Constants with C-Style Escapes".
fn of_postgres(after: &[u8], raw: &mut Vec<u8>) -> Option<usize> {
    let digits = match after.first()? {
        b'u' => 4,
        b'U' => 8,
        _ => return Some(of_c(after, raw)),
    };
    let code = std::str::from_utf8(after.get(1..=digits)?).ok()?;
    let c = u32::from_str_radix(code, 16)
        .ok()
        .and_then(char::from_u32)?;
    raw.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Some(1 + digits)
}

/// The escapes that COPY and texts of PostgreSQL share; any other character stands for
/// itself.
pub(super) fn of_c(after: &[u8], raw: &mut Vec<u8>) -> usize {
    let Some(&first) = after.first() else {
        return 0;
    };
    let run = |from: usize, most: usize, radix: u32| {
        let digits = after.iter().skip(from).take(most);
        digits
            .take_while(|byte| char::from(**byte).is_digit(radix))
            .count()
    };
    // At most three octal digits; PostgreSQL takes the low eight bits of them.
    let number = |digits: &[u8], radix: u32| {
        digits.iter().fold(0_u32, |number, digit| {
            number * radix + char::from(*digit).to_digit(radix).unwrap_or_default()
        }) as u8
    };
    match first {
        b'b' => raw.push(8),
        b'f' => raw.push(12),
        b'n' => raw.push(b'\n'),
        b'r' => raw.push(b'\r'),
        b't' => raw.push(b'\t'),
        b'v' => raw.push(11),
        b'0'..=b'7' => {
            let len = run(0, 3, 8);
            raw.push(number(&after[..len], 8));
            return len;
        }
        b'x' if run(1, 2, 16) > 0 => {
            let len = 1 + run(1, 2, 16);
            raw.push(number(&after[1..len], 16));
            return len;
        }
        other => raw.push(other),
    }
    1
}

/// MySQL, "String Literals": `\%` and `\_` keep their backslash outside of patterns.
fn of_mysql(after: &[u8], raw: &mut Vec<u8>) -> Option<usize> {
    raw.push(match after.first()? {
        b'0' => 0,
        b'b' => 8,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'Z' => 26,
        b'%' | b'_' => return None,
        other => *other,
    });
    Some(1)
}

/// Writes a raw value between quotes in which `before` was.
fn write(new: &[u8], before: &[u8], quoting: Quoting, quote: u8, out: &mut Vec<u8>) {
    match quoting {
        Quoting::Dollars => out.extend_from_slice(new),
        Quoting::Hex if from_hex(before).is_some() => out.extend_from_slice(&to_hex(new)),
        Quoting::Hex => out.extend(like_digits(new, before, 16)),
        Quoting::Bits if before.iter().all(|byte| matches!(byte, b'0' | b'1')) => {
            out.extend(like_digits(new, before, 2));
        }
        Quoting::Bits => out.extend(like_digits(new, before, 16)),
        Quoting::Plain | Quoting::Escaped | Quoting::Mysql => {
            for &byte in new {
                match (quoting, byte) {
                    (_, byte) if byte == quote => out.extend_from_slice(&[quote, quote]),
                    (Quoting::Plain, byte) => out.push(byte),
                    (_, b'\\') => out.extend_from_slice(b"\\\\"),
                    (_, b'\n') => out.extend_from_slice(b"\\n"),
                    (_, b'\r') => out.extend_from_slice(b"\\r"),
                    (Quoting::Mysql, 0) => out.extend_from_slice(b"\\0"),
                    (Quoting::Mysql, 26) => out.extend_from_slice(b"\\Z"),
                    (_, byte) => out.push(byte),
                }
            }
        }
    }
}

/// As many digits as there were, made of those of the new value.
fn like_digits(new: &[u8], before: &[u8], radix: u8) -> Vec<u8> {
    let digit = |at: usize| {
        let byte = new.get(at).copied().unwrap_or_default();
        let value = char::from(byte).to_digit(16).unwrap_or_default();
        let digit = char::from_digit(value % u32::from(radix), 16);
        digit.map_or(b'0', |digit| digit as u8)
    };
    (0..before.len()).map(digit).collect()
}

fn is_number(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+"));
    is_decimal(unsigned.unwrap_or(text))
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    pairs.iter().map(byte).collect()
}

fn to_hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
