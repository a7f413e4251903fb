//! Heads of messages, byte for byte (RFC 9112, sections 2 to 5).
//!
//! Nothing is repaired: what a recipient could read in two ways is kept as it was sent and named
//! in the flags.

use bytes::Bytes;

use crate::flags::Flags;
use crate::message::{Field, RequestHead, ResponseHead, Spelling};

/// Finds the end of a head in `bytes`, one past the empty line's end. The search starts at
/// `from`, below which no end was found before.
pub(crate) fn find_end(bytes: &[u8], from: usize) -> Option<usize> {
    // The end is a line end directly followed by a line end: look back over the first of them.
    let from = from.saturating_sub(2);
    memchr::memchr_iter(b'\n', &bytes[from..]).find_map(|at| {
        let next = from + at + 1;
        match bytes[next..] {
            [b'\n', ..] => Some(next + 1),
            [b'\r', b'\n', ..] => Some(next + 2),
            _ => None,
        }
    })
}

/// Reads the head of a request; None when its first line is no request line.
pub(crate) fn parse_request(head: &Bytes) -> Option<(RequestHead, Flags)> {
    let mut flags = Flags::default();
    let (line, _, mut at) = take_line(head, 0, &mut flags)?;
    let line_length = line.iter().rposition(|byte| !is_blank(*byte))? + 1;
    let line_end = head.slice(line_length..at);
    let line = line.slice(..line_length);
    let method_end = line.iter().position(|byte| is_blank(*byte))?;
    let target_start = method_end
        + line[method_end..]
            .iter()
            .position(|byte| !is_blank(*byte))?;
    let last_start = line
        .iter()
        .rposition(|byte| is_blank(*byte))
        .map(|blank| blank + 1)?;
    let has_version = last_start > target_start && is_version(&line[last_start..]);
    let version_start = if has_version { last_start } else { line.len() };
    let target_length = line[target_start..version_start]
        .iter()
        .rposition(|byte| !is_blank(*byte))
        .map_or(0, |last| last + 1);
    let target_end = target_start + target_length;
    let parts = [
        line.slice(..method_end),
        line.slice(target_start..target_end),
        line.slice(version_start..),
    ];
    if !parts[0].iter().all(|byte| is_token(*byte)) {
        flags.set("bad_method");
    }
    if parts[1].iter().any(|byte| is_blank(*byte)) {
        flags.set("space_in_target");
    }
    if parts[1].iter().any(|byte| *byte < 0x20 || *byte == 0x7f) {
        flags.set("control_in_target");
    }
    if !parts[1].is_ascii() {
        flags.set("target_not_ascii");
    }
    if !is_target(&parts[0], &parts[1]) {
        flags.set("odd_target");
    }
    match has_version {
        true => check_version(&parts[2], &mut flags),
        false => flags.set("no_version"),
    }
    let spelling = [
        line.slice(method_end..target_start),
        line.slice(target_end..version_start),
        line_end,
    ];
    let fields = parse_fields(head, &mut at, &mut flags);
    let [method, target, version] = parts;
    let head = RequestHead {
        method,
        target,
        version,
        fields,
        line_spelling: line_spelling(spelling, &mut flags),
        end: head.slice(at..),
    };
    Some((head, flags))
}

/// Reads the head of a response; None when its first line is no status line.
pub(crate) fn parse_response(head: &Bytes) -> Option<(ResponseHead, Flags)> {
    let mut flags = Flags::default();
    let (line, line_end, mut at) = take_line(head, 0, &mut flags)?;
    if !line.starts_with(b"HTTP/") {
        return None;
    }
    let version_end = line.iter().position(|byte| is_blank(*byte))?;
    let status_start = version_end
        + line[version_end..]
            .iter()
            .position(|byte| !is_blank(*byte))?;
    let digits = line.get(status_start..status_start + 3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = digits
        .iter()
        .fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    check_version(&line[..version_end], &mut flags);
    if !matches!(status, 100..=599) {
        flags.set("odd_status");
    }
    let status_end = status_start + 3;
    let reason_start = match line.get(status_end) {
        None => status_end,
        Some(byte) if is_blank(*byte) => status_end + 1,
        Some(_) => return None,
    };
    let spelling = [
        line.slice(version_end..status_start),
        line.slice(status_end..reason_start),
        line_end,
    ];
    let fields = parse_fields(head, &mut at, &mut flags);
    let head = ResponseHead {
        version: line.slice(..version_end),
        status,
        reason: line.slice(reason_start..),
        fields,
        line_spelling: line_spelling(spelling, &mut flags),
        end: head.slice(at..),
    };
    Some((head, flags))
}

/// Reads the fields of a trailer section, its end line excluded.
pub(crate) fn parse_trailers(section: &Bytes, flags: &mut Flags) -> Vec<Field> {
    parse_fields(section, &mut 0, flags)
}

/// True for the last word of a request line that says which version of HTTP it is, in any spelling.
pub(crate) fn is_version(word: &[u8]) -> bool {
    word.get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/"))
}

/// Any version but those whose syntax this is (RFC 9112, section 2.3; the name is case-sensitive).
fn check_version(version: &[u8], flags: &mut Flags) {
    if !matches!(version, b"HTTP/1.1" | b"HTTP/1.0") {
        flags.set("odd_version");
    }
}

/// True for the four forms of a request target (RFC 9112, section 3.2).
fn is_target(method: &[u8], target: &[u8]) -> bool {
    if method == b"CONNECT" {
        return is_authority(target) && target.contains(&b':');
    }
    match target {
        [b'/', ..] => true,
        b"*" => method == b"OPTIONS",
        _ => {
            let Some(colon) = memchr::memmem::find(target, b"://") else {
                return false;
            };
            let rest = &target[colon + 3..];
            let end = rest.iter().position(|byte| b"/?#".contains(byte));
            let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
            colon > 0
                && target[..colon].iter().all(is_scheme)
                && is_authority(&rest[..end.unwrap_or(rest.len())])
        }
    }
}

/// User information is out of date (RFC 9110, section 4.2.4), and no reason to misread a target.
fn is_authority(text: &[u8]) -> bool {
    let signs = text.iter().filter(|byte| **byte == b'@').count();
    !text.is_empty() && signs < 2 && !text.iter().any(|byte| b"/?#\\".contains(byte))
}

fn line_spelling(spelling: [Bytes; 3], flags: &mut Flags) -> Option<Box<[Bytes; 3]>> {
    let usual = spelling[0] == " " && spelling[1] == " " && spelling[2] == "\r\n";
    if usual {
        return None;
    }
    let has_blanks = spelling[2].first().is_some_and(|byte| is_blank(*byte));
    if spelling[0] != " " || spelling[1].len() > 1 || spelling[1] == "\t" || has_blanks {
        flags.set("unusual_start_line");
    }
    Some(Box::new(spelling))
}

/// The line at `start`, its line end, and where the next one starts.
fn take_line(bytes: &Bytes, start: usize, flags: &mut Flags) -> Option<(Bytes, Bytes, usize)> {
    let newline = start + memchr::memchr(b'\n', &bytes[start..])?;
    let content_end = match newline > start && bytes[newline - 1] == b'\r' {
        true => newline - 1,
        false => {
            flags.set("bare_lf");
            newline
        }
    };
    let line = bytes.slice(start..content_end);
    check_bytes(&line, flags);
    Some((line, bytes.slice(content_end..newline + 1), newline + 1))
}

/// Bytes that no line may have (RFC 9110, section 5.5; RFC 9112, section 2.2).
fn check_bytes(line: &[u8], flags: &mut Flags) {
    let is_control = |byte: &u8| *byte < 0x20 || *byte == 0x7f;
    if !line.iter().any(is_control) {
        return;
    }
    for byte in line {
        match byte {
            b'\t' => {}
            b'\r' => flags.set("bare_cr"),
            0 => flags.set("nul"),
            byte if is_control(byte) => flags.set("control_byte"),
            _ => {}
        }
    }
}

/// Reads fields from `at` until an empty line or the end, and leaves `at` there.
fn parse_fields(bytes: &Bytes, at: &mut usize, flags: &mut Flags) -> Vec<Field> {
    let mut fields = Vec::with_capacity(12);
    if matches!(bytes.get(*at), Some(b' ' | b'\t')) {
        // One recipient takes it for a field, one for a part of the start line, one for nothing
        // (RFC 9112, section 2.2).
        flags.set("space_before_field");
    }
    while let Some((line, _, next)) = take_line(bytes, *at, flags) {
        if line.is_empty() {
            break;
        }
        let start = *at;
        let mut end = next;
        let mut content_end = start + line.len();
        // An obsolete fold: the next line starts with white space (RFC 9112, section 5.2).
        while matches!(bytes.get(end), Some(b' ' | b'\t')) {
            let Some((fold, _, after)) = take_line(bytes, end, flags) else {
                break;
            };
            flags.set("obs_fold");
            content_end = end + fold.len();
            end = after;
        }
        fields.push(parse_field(bytes, start, content_end, end, flags));
        *at = end;
    }
    fields
}

/// The field whose content is `start..content_end` and whose line end reaches to `end`.
fn parse_field(
    bytes: &Bytes,
    start: usize,
    content_end: usize,
    end: usize,
    flags: &mut Flags,
) -> Field {
    let content = &bytes[start..content_end];
    let colon = memchr::memchr(b':', content);
    let Some(colon) = colon.filter(|colon| *colon > 0) else {
        flags.set(match colon {
            Some(_) => "no_field_name",
            None => "no_colon",
        });
        return Field {
            name: bytes.slice(start..content_end),
            value: Bytes::new(),
            spelling: Some(Box::new(Spelling {
                before_value: Bytes::new(),
                after_value: bytes.slice(content_end..end),
            })),
        };
    };
    let name_length = content[..colon]
        .iter()
        .rposition(|byte| !is_blank(*byte))
        .map_or(colon, |last| last + 1);
    if name_length < colon {
        flags.set("space_before_colon");
    }
    if !content[..name_length].iter().all(|byte| is_token(*byte)) {
        flags.set("bad_field_name");
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let after_colon = &content[colon + 1..];
    let value_start = after_colon
        .iter()
        .position(|byte| !is_space(byte))
        .map_or(content.len(), |first| colon + 1 + first);
    let value_end = match after_colon.iter().rposition(|byte| !is_space(byte)) {
        Some(last) => colon + 2 + last,
        None => content.len(),
    };
    let before_value = bytes.slice(start + name_length..start + value_start);
    let after_value = bytes.slice(start + value_end..end);
    let usual = before_value == ": " && after_value == "\r\n";
    Field {
        name: bytes.slice(start..start + name_length),
        value: bytes.slice(start + value_start..start + value_end),
        spelling: (!usual).then(|| {
            Box::new(Spelling {
                before_value,
                after_value,
            })
        }),
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// A character of a token (RFC 9110, section 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
