//! Strings that a script gives names to: `csrfToken: "..."`, `var token = '...'`.

use std::ops::Range;

/// Most strings that are looked at.
const MOST: usize = 1024;

/// A string of a script.
pub(super) struct Named {
    /// `js.NAME`; a repeated name has `#1`, `#2`, ... from the second on.
    pub(super) path: String,
    /// Where its name stands.
    pub(super) name: Range<usize>,
    /// What is between the quotes.
    pub(super) value: Range<usize>,
}

/// The strings of a script that a name with `:` or `=` stands before.
pub(super) fn strings(src: &[u8]) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let mut counts = std::collections::HashMap::new();
    let mut at = 0;
    while let Some(offset) = memchr::memchr3(b'"', b'\'', b'`', &src[at..]) {
        let open = at + offset;
        let Some(close) = string_end(src, open) else {
            // A quote in a comment or in a regular expression: go on behind it.
            at = open + 1;
            continue;
        };
        at = close + 1;
        let Some(span) = name_before(&src[..open]) else {
            continue;
        };
        let name = String::from_utf8_lossy(&src[span.clone()]).into_owned();
        let count = counts.entry(name.clone()).or_insert(0u32);
        let path = match *count {
            0 => format!("js.{name}"),
            count => format!("js.{name}#{count}"),
        };
        *count += 1;
        found.push(Named {
            path,
            name: span,
            value: open + 1..close,
        });
        if found.len() == MOST {
            break;
        }
    }
    found
}

/// Where the string that opens at `open` closes: on the same line.
fn string_end(src: &[u8], open: usize) -> Option<usize> {
    let quote = src[open];
    let mut at = open + 1;
    loop {
        match src.get(at)? {
            b'\n' | b'\r' => return None,
            b'\\' => at += 2,
            byte if *byte == quote => return Some(at),
            _ => at += 1,
        }
    }
}

/// Where the name before `:` or `=` at the end of `before` stands, quotes left out.
fn name_before(before: &[u8]) -> Option<Range<usize>> {
    let before = before.trim_ascii_end();
    let (&sign, before) = before.split_last()?;
    if !matches!(sign, b':' | b'=') {
        return None;
    }
    let before = before.trim_ascii_end();
    let before = match before.split_last() {
        Some((b'"' | b'\'', inside)) => inside,
        _ => before,
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_$-".contains(byte);
    let len = before.iter().rev().take_while(|byte| is_name(byte)).count();
    let span = before.len() - len..before.len();
    let name = std::str::from_utf8(&before[span.clone()]).ok()?;
    crate::names::is_structural(name).then_some(span)
}
