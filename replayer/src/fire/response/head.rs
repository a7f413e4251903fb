//! Lines, heads and what they say of the body.

use bytes::Bytes;
use twintap_stream::message::Spelling;
use twintap_stream::{Field, ResponseHead};

use super::Garbage;

/// One past the end of the line that begins at 0, if it is there.
pub(super) fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    let found = memchr::memchr(b'\n', bytes.get(from..)?)?;
    Some(from + found + 1)
}

/// One past the empty line that ends a head. Empty lines before the status line
/// do not count.
pub(super) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let start = bytes
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let mut at = from.max(start);
    while let Some(end) = line_end(bytes, at) {
        match &bytes[end..] {
            [b'\n', ..] => return Some(end + 1),
            [b'\r', b'\n', ..] => return Some(end + 2),
            _ => at = end,
        }
    }
    None
}

pub(super) fn trim_line(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

pub(super) fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = trim_line(line);
    let digits = line
        .iter()
        .position(|&byte| byte == b';')
        .map_or(line, |end| &line[..end])
        .trim_ascii();
    if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

pub(super) fn is_chunked(head: &ResponseHead) -> bool {
    let last = head
        .fields
        .iter()
        .rfind(|field| field.is("transfer-encoding"));
    last.is_some_and(|field| {
        let coding = field.value.rsplit(|&byte| byte == b',').next();
        coding.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
    })
}

/// The body's length; equal repetitions are one (RFC 9112, section 6.3).
pub(super) fn content_length(head: &ResponseHead) -> Result<Option<u64>, Garbage> {
    if head
        .fields
        .iter()
        .any(|field| field.is("transfer-encoding"))
    {
        return Ok(None);
    }
    let mut length = None;
    for field in head
        .fields
        .iter()
        .filter(|field| field.is("content-length"))
    {
        for value in field.value.split(|&byte| byte == b',') {
            let value = value.trim_ascii();
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return Err(Garbage::Length);
            }
            let value: u64 = std::str::from_utf8(value)
                .ok()
                .and_then(|value| value.parse().ok())
                .ok_or(Garbage::Length)?;
            if length.is_some_and(|seen| seen != value) {
                return Err(Garbage::Length);
            }
            length = Some(value);
        }
    }
    Ok(length)
}

/// Whether the connection goes on (RFC 9112, section 9.3).
pub(super) fn keeps_alive(head: &ResponseHead) -> bool {
    let says = |word: &[u8]| {
        head.fields
            .iter()
            .filter(|field| field.is("connection"))
            .flat_map(|field| field.value.split(|&byte| byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(word))
    };
    if head.version.as_ref() == b"HTTP/1.0" {
        says(b"keep-alive")
    } else {
        !says(b"close")
    }
}

/// Parses the head in `block`, which ends with its empty line.
pub(super) fn parse_head(block: &Bytes) -> Result<ResponseHead, Garbage> {
    let start = block
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(block.len());
    let first_end = line_end(block, start).ok_or(Garbage::StatusLine)?;
    let mut head = parse_status_line(&block.slice(start..first_end))?;
    let mut at = first_end;
    loop {
        let mut end = line_end(block, at).ok_or(Garbage::FieldLine)?;
        if trim_line(&block[at..end]).is_empty() {
            head.end = block.slice(at..end);
            return Ok(head);
        }
        // A line that begins with white space goes on with the one before it
        // (RFC 9112, section 5.2).
        while matches!(block.get(end), Some(b' ' | b'\t')) {
            end = line_end(block, end).ok_or(Garbage::FieldLine)?;
        }
        head.fields.push(parse_field(block, at, end)?);
        at = end;
    }
}

fn parse_status_line(line: &Bytes) -> Result<ResponseHead, Garbage> {
    let text = trim_line(line);
    let end = line.slice(text.len()..);
    let version = text.get(..8).ok_or(Garbage::StatusLine)?;
    let is_version = version.starts_with(b"HTTP/1.") && version[7].is_ascii_digit();
    let status = text.get(9..12).ok_or(Garbage::StatusLine)?;
    if !is_version || text[8] != b' ' || !status.iter().all(u8::is_ascii_digit) {
        return Err(Garbage::StatusLine);
    }
    let status = status
        .iter()
        .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    let (gap, reason) = match text.get(12) {
        None => (Bytes::new(), Bytes::new()),
        Some(b' ') => (line.slice(12..13), line.slice(13..text.len())),
        Some(_) => return Err(Garbage::StatusLine),
    };
    if status < 100 {
        return Err(Garbage::StatusLine);
    }
    let usual = gap.as_ref() == b" " && end.as_ref() == b"\r\n";
    Ok(ResponseHead {
        version: line.slice(..8),
        status,
        reason,
        fields: Vec::new(),
        line_spelling: (!usual).then(|| Box::new([line.slice(8..9), gap, end])),
        end: Bytes::new(),
    })
}

/// Parses the line of a field, which `block` has at `start..end`.
pub(super) fn parse_field(block: &Bytes, start: usize, end: usize) -> Result<Field, Garbage> {
    let line = &block[start..end];
    let part = |from: usize, to: usize| block.slice(start + from..start + to);
    let colon = memchr::memchr(b':', line).ok_or(Garbage::FieldLine)?;
    let name = &line[..colon];
    if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
        return Err(Garbage::FieldLine);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let rest = &line[colon + 1..];
    let value_start = rest
        .iter()
        .position(|byte| !is_space(byte))
        .map_or(line.len(), |start| colon + 1 + start);
    let value_end = line
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(value_start, |last| (last + 1).max(value_start));
    // An empty value leaves all white space after the colon to the line's end.
    let value_start = if value_start == line.len() {
        colon + 1
    } else {
        value_start
    };
    let value_end = value_end.max(value_start);
    let usual = line[colon..value_start] == *b": " && line[value_end..] == *b"\r\n";
    Ok(Field {
        name: part(0, colon),
        value: part(value_start, value_end),
        spelling: (!usual).then(|| {
            Box::new(Spelling {
                before_value: part(colon, value_start),
                after_value: part(value_end, line.len()),
            })
        }),
    })
}
