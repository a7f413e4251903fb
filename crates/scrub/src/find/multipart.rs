//! `multipart/form-data` (RFC 7578).

use std::ops::Range;

use super::{Search, Unparsable, Visit, pieces, trimmed};
use crate::leaf::Encoding;
use crate::names;

/// Goes through the parts: `multipart.NAME` for what is in one,
/// `multipart.NAME.filename` for the name of its file.
pub(crate) fn find(search: &mut Search<'_, impl Visit>) -> Result<(), Unparsable> {
    let src = search.src;
    let line = memchr::memmem::find(src, b"\r\n").ok_or(Unparsable)?;
    let delimiter = src[..line].trim_ascii_end();
    // A boundary has 70 characters at most (RFC 2046, section 5.1.1).
    if !delimiter.starts_with(b"--") || !(3..=72).contains(&delimiter.len()) {
        return Err(Unparsable);
    }
    let mut at = line + 2;
    loop {
        let end = next_delimiter(src, at, delimiter).ok_or(Unparsable)?;
        part(search, at..end)?;
        if search.visit.is_done() {
            return Ok(());
        }
        let after = end + 2 + delimiter.len();
        if src[after..].starts_with(b"--") {
            // What follows the last boundary is to be ignored, and is not kept.
            return src[after + 2..]
                .trim_ascii()
                .is_empty()
                .then_some(())
                .ok_or(Unparsable);
        }
        at = after + memchr::memmem::find(&src[after..], b"\r\n").ok_or(Unparsable)? + 2;
        if !src[after..at].trim_ascii().is_empty() {
            return Err(Unparsable);
        }
    }
}

/// Where the line break before the next delimiter stands.
fn next_delimiter(src: &[u8], from: usize, delimiter: &[u8]) -> Option<usize> {
    let breaks = memchr::memmem::find_iter(&src[from..], b"\r\n");
    breaks
        .map(|at| from + at)
        .find(|&at| src[at + 2..].starts_with(delimiter))
}

fn part(search: &mut Search<'_, impl Visit>, span: Range<usize>) -> Result<(), Unparsable> {
    let src = search.src;
    let head_len = memchr::memmem::find(&src[span.clone()], b"\r\n\r\n").ok_or(Unparsable)?;
    let head = span.start..span.start + head_len;
    let mut name = None;
    for line in pieces(src, head.clone(), b'\n') {
        let line = trimmed(src, line);
        let colon = memchr::memchr(b':', &src[line.clone()]).ok_or(Unparsable)?;
        let field = String::from_utf8_lossy(&src[line.start..line.start + colon]);
        let value = trimmed(src, line.start + colon + 1..line.end);
        match field.trim().to_ascii_lowercase().as_str() {
            "content-disposition" if name.is_none() => name = Some(disposition(search, value)?),
            "content-type" | "content-transfer-encoding" if is_plain(&src[value.clone()]) => (),
            // No other fields are to be sent (RFC 7578, section 4.8).
            _ => return Err(Unparsable),
        }
    }
    let name = name.ok_or(Unparsable)?;
    search.leaf("multipart.", &name, head.end + 4..span.end, Encoding::Plain);
    Ok(())
}

/// Reads the parameters of a part's disposition; gives the part's name.
fn disposition(
    search: &mut Search<'_, impl Visit>,
    value: Range<usize>,
) -> Result<String, Unparsable> {
    let src = search.src;
    let kind = value.start..value.start + b"form-data".len().min(value.len());
    if !src[kind.clone()].eq_ignore_ascii_case(b"form-data") {
        return Err(Unparsable);
    }
    let mut name = None;
    let mut at = kind.end;
    loop {
        at += src[at..value.end]
            .iter()
            .position(|byte| !(byte.is_ascii_whitespace() || *byte == b';'))
            .unwrap_or(value.end - at);
        if at == value.end {
            return name.ok_or(Unparsable);
        }
        let equals = at + memchr::memchr(b'=', &src[at..value.end]).ok_or(Unparsable)?;
        let parameter = src[at..equals].to_ascii_lowercase();
        let (span, end) = parameter_value(src, equals + 1, value.end)?;
        at = end;
        match (parameter.as_slice(), &name) {
            (b"name", None) => name = Some(search.name(span, Encoding::Plain)),
            (b"filename", Some(name)) => {
                let path = format!("{name}.filename");
                search.leaf("multipart.", &path, span, Encoding::Plain);
            }
            (b"filename*", Some(name)) => {
                let path = format!("{name}.filename");
                search.leaf("multipart.", &path, span, Encoding::Percent);
            }
            _ => return Err(Unparsable),
        }
    }
}

/// A parameter's value without its quotes, and where it ends.
fn parameter_value(
    src: &[u8],
    start: usize,
    end: usize,
) -> Result<(Range<usize>, usize), Unparsable> {
    if src.get(start) != Some(&b'"') {
        let len = memchr::memchr(b';', &src[start..end]).unwrap_or(end - start);
        return Ok((trimmed(src, start..start + len), start + len));
    }
    let mut at = start + 1;
    while at < end && src[at] != b'"' {
        at += if src[at] == b'\\' { 2 } else { 1 };
    }
    (at < end)
        .then_some((start + 1..at, at + 1))
        .ok_or(Unparsable)
}

/// A media type, or the name of an encoding, with short parameters.
fn is_plain(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| {
        text.split([';', '/', '=', ' ', '"'])
            .all(|word| word.is_empty() || names::is_structural(word))
    })
}
