//! How values are written where they stand, and putting others in their place.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::leaf::Encoding;
use crate::pseudonym::formats;

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Writes a raw value the way `encoding` says.
///
/// `JsonLiteral` and `Plain` write it as it is: whether it may stand there is the
/// caller's to know.
#[must_use]
pub fn encode(value: &[u8], encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Plain | Encoding::JsonLiteral => value.to_vec(),
        Encoding::Percent => percent_encode(value, RESERVED).to_string().into_bytes(),
        Encoding::Form => {
            let mut out = Vec::with_capacity(value.len());
            for (index, words) in value.split(|&byte| byte == b' ').enumerate() {
                if index > 0 {
                    out.push(b'+');
                }
                for piece in percent_encode(words, RESERVED) {
                    out.extend_from_slice(piece.as_bytes());
                }
            }
            out
        }
        Encoding::JsonString => json_string(&String::from_utf8_lossy(value)).into_bytes(),
        Encoding::HtmlAttribute => html_attribute(&String::from_utf8_lossy(value)).into_bytes(),
    }
}

/// True for a value that [`encode`] would write as it is, as it does most.
pub(crate) fn is_as_written(value: &[u8], encoding: Encoding) -> bool {
    match encoding {
        Encoding::Plain | Encoding::JsonLiteral => true,
        Encoding::JsonString => {
            let is_escaped = |&byte: &u8| byte < b' ' || matches!(byte, b'"' | b'\\');
            !value.iter().any(is_escaped) && std::str::from_utf8(value).is_ok()
        }
        Encoding::Percent | Encoding::Form => value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)),
        Encoding::HtmlAttribute => false,
    }
}

/// The raw value as it may stand where one was that `encoding` wrote: in place of a
/// JSON literal, what is none becomes a string.
#[must_use]
pub fn fit(value: &[u8], encoding: Encoding) -> Vec<u8> {
    if encoding == Encoding::JsonLiteral && !is_literal(value) {
        return format!("\"{}\"", json_string(&String::from_utf8_lossy(value))).into_bytes();
    }
    value.to_vec()
}

/// True for `true`, `false`, `null` and numbers as JSON spells them.
pub(crate) fn is_literal(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        matches!(text, "true" | "false" | "null") || formats::number(text).is_some()
    })
}

/// What is written where a JSON literal stands and what should stand there is none.
pub(crate) const NO_LITERAL: &[u8] = b"0";

/// Whether a text is a JSON object or array.
pub(crate) fn is_document(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// The raw value of what is written the way `encoding` says. What is no valid
/// escape stands for itself.
#[must_use]
pub fn decode(written: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    match encoding {
        Encoding::Plain | Encoding::JsonLiteral => Cow::Borrowed(written),
        Encoding::Percent => percent_decode(written).into(),
        Encoding::Form if memchr::memchr(b'+', written).is_some() => {
            let spaced: Vec<u8> = written
                .iter()
                .map(|&byte| if byte == b'+' { b' ' } else { byte })
                .collect();
            Cow::Owned(percent_decode(&spaced).collect())
        }
        Encoding::Form => percent_decode(written).into(),
        Encoding::JsonString if memchr::memchr(b'\\', written).is_some() => {
            Cow::Owned(unescaped_json(written))
        }
        Encoding::JsonString => Cow::Borrowed(written),
        Encoding::HtmlAttribute if memchr::memchr(b'&', written).is_some() => {
            Cow::Owned(unescaped_html(written))
        }
        Encoding::HtmlAttribute => Cow::Borrowed(written),
    }
}

/// The part with spans of it replaced: each edit is the first byte, the length,
/// and what stands there instead, already encoded.
///
/// Edits may come in any order. One that reaches past the part's end, or into an
/// edit before it, is left out.
#[must_use]
pub fn splice<B: AsRef<[u8]>>(part: &[u8], edits: &[(usize, usize, B)]) -> Bytes {
    let mut order: Vec<&(usize, usize, B)> = edits.iter().collect();
    order.sort_by_key(|(start, len, _)| (*start, *len));
    let mut out = Vec::with_capacity(part.len() + 64);
    let mut cursor = 0;
    for (start, len, new) in order {
        let end = start.saturating_add(*len);
        if *start < cursor || end > part.len() {
            continue;
        }
        out.extend_from_slice(&part[cursor..*start]);
        out.extend_from_slice(new.as_ref());
        cursor = end;
    }
    out.extend_from_slice(&part[cursor..]);
    out.into()
}

fn json_string(value: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a string never fails.
            c if c < ' ' => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// RFC 8259, section 7; a lone surrogate becomes U+FFFD.
fn unescaped_json(written: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((&escape, after)) = rest.split_first() else {
            out.push(b'\\');
            return out;
        };
        rest = after;
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let c = json_unicode(&mut rest).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Reads the hexadecimal digits after `\u`, and the second half of a pair.
fn json_unicode(rest: &mut &[u8]) -> Option<char> {
    let hex = |text: &[u8]| {
        let digits = std::str::from_utf8(text.get(..4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let high = hex(rest)?;
    *rest = &rest[4..];
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high);
    }
    let low = rest.strip_prefix(b"\\u").and_then(hex)?;
    if !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    *rest = &rest[6..];
    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

fn html_attribute(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The numeric references and the five names that templates write; other names
/// stand for themselves.
fn unescaped_html(written: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = memchr::memchr(b'&', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        match html_reference(rest) {
            Some((c, len)) => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[len..];
            }
            None => {
                out.push(b'&');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
    out
}

fn html_reference(text: &[u8]) -> Option<(char, usize)> {
    let end = text.iter().take(12).position(|&byte| byte == b';')?;
    let name = std::str::from_utf8(&text[1..end]).ok()?;
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((c, end + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(encoding: Encoding, written: &str, raw: &str) {
        assert_eq!(
            String::from_utf8_lossy(&decode(written.as_bytes(), encoding)),
            raw
        );
    }

    #[test]
    fn written_values_are_read() {
        check(Encoding::Percent, "a%20b+c%zz", "a b+c%zz");
        check(Encoding::Form, "a%20b+c", "a b c");
        check(
            Encoding::JsonString,
            r#"\"\\\/\n\u00e9\ud83d\ude00"#,
            "\"\\/\né😀",
        );
        check(Encoding::JsonString, r"\ud83d!", "\u{fffd}!");
        check(
            Encoding::HtmlAttribute,
            "a&amp;b&#x41;&#66;&odd;&",
            "a&bAB&odd;&",
        );
    }

    #[test]
    fn splices_replace_spans_and_nothing_else() {
        assert_eq!(
            splice(b"/a/b?c=d", &[(7, 1, "xyz"), (1, 1, "")]),
            "//b?c=xyz"
        );
        assert_eq!(
            splice(b"abc", &[(1, 9, "x"), (0, 2, "y"), (1, 1, "z")]),
            "yc"
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(value in any::<String>()) {
            for encoding in [
                Encoding::Plain,
                Encoding::Percent,
                Encoding::Form,
                Encoding::JsonString,
                Encoding::JsonLiteral,
                Encoding::HtmlAttribute,
            ] {
                let written = encode(value.as_bytes(), encoding);
                prop_assert_eq!(&*decode(&written, encoding), value.as_bytes());
            }
        }

        #[test]
        fn any_bytes_decode(bytes in any::<Vec<u8>>(), text in r#"[\\&#;xu%+0-9a-f]{0,20}"#) {
            for encoding in [
                Encoding::Percent,
                Encoding::Form,
                Encoding::JsonString,
                Encoding::HtmlAttribute,
            ] {
                let _ = decode(&bytes, encoding);
                let _ = decode(text.as_bytes(), encoding);
            }
        }
    }
}
