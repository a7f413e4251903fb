//! Fields to heads, and what is wrong with them (RFC 9113, section 8).
//!
//! Nothing is repaired or left out: what breaks a rule is named in the flags.

use bytes::Bytes;

use crate::flags::Flags;
use crate::message::{Field, RequestHead, ResponseHead, field_values};

/// What a section of fields is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
    Trailers,
}

const VERSION: Bytes = Bytes::from_static(b"HTTP/2");

/// What the fields are, of which those from `unknown_at` on are not all known; None when that
/// can't be told. `own` is what they are when they could be anything.
pub(super) fn kind_of(
    fields: &[Field],
    unknown_at: Option<usize>,
    own: Option<Kind>,
) -> Option<Kind> {
    let known = &fields[..unknown_at.unwrap_or(fields.len()).min(fields.len())];
    let is = |name: &str| fields.iter().any(|field| field.name == name);
    let has = |kind| PSEUDO.iter().any(|(name, of)| *of == kind && is(name));
    match (has(Kind::Request), has(Kind::Response)) {
        (true, true) => return own,
        (true, false) => return Some(Kind::Request),
        (false, true) => return Some(Kind::Response),
        (false, false) => {}
    }
    match known.first() {
        Some(field) if !is_pseudo(field) => Some(Kind::Trailers),
        None if unknown_at.is_none() => Some(Kind::Trailers),
        _ => None,
    }
}

/// The head of a request.
pub(super) fn request(fields: Vec<Field>) -> RequestHead {
    let mut method = None;
    let mut target = None;
    let mut rest = Vec::with_capacity(fields.len());
    for field in fields {
        match &field.name[..] {
            b":method" if method.is_none() => method = Some(field.value),
            b":path" if target.is_none() => target = Some(field.value),
            _ => rest.push(field),
        }
    }
    RequestHead {
        method: method.unwrap_or_default(),
        target: target.unwrap_or_default(),
        version: VERSION,
        fields: rest,
        line_spelling: None,
        end: Bytes::new(),
    }
}

/// The head of a response; its status is 0 when it is no status, or unknown.
pub(super) fn response(fields: Vec<Field>) -> ResponseHead {
    let mut status = None;
    let mut rest = Vec::with_capacity(fields.len());
    for field in fields {
        match status {
            None if field.name == ":status" => status = Some(status_of(&field.value)),
            _ => rest.push(field),
        }
    }
    ResponseHead {
        version: VERSION,
        status: status.unwrap_or(0),
        reason: Bytes::new(),
        fields: rest,
        line_spelling: None,
        end: Bytes::new(),
    }
}

fn status_of(value: &[u8]) -> u16 {
    match *value {
        [a, b, c] if value.iter().all(u8::is_ascii_digit) => [a, b, c]
            .iter()
            .fold(0, |status, digit| status * 10 + u16::from(digit - b'0')),
        _ => 0,
    }
}

/// Checks a section. Where some fields are unknown, none is called missing.
pub(super) fn check(fields: &[Field], kind: Kind, is_whole: bool, flags: &mut Flags) {
    let mut had_field = false;
    let mut seen: [bool; PSEUDO.len()] = [false; PSEUDO.len()];
    for field in fields {
        check_value(&field.value, flags);
        if !is_pseudo(field) {
            had_field = true;
            check_field(field, flags);
            continue;
        }
        if had_field {
            flags.set("pseudo_after_field");
        }
        match PSEUDO.iter().position(|(name, _)| field.name == *name) {
            Some(index) if PSEUDO[index].1 == kind => {
                if std::mem::replace(&mut seen[index], true) {
                    flags.set("duplicate_pseudo");
                }
            }
            _ => flags.set("bad_pseudo"),
        }
    }
    if is_whole {
        check_missing(fields, kind, seen, flags);
    }
}

const PSEUDO: [(&str, Kind); 6] = [
    (":method", Kind::Request),
    (":scheme", Kind::Request),
    (":path", Kind::Request),
    (":authority", Kind::Request),
    (":protocol", Kind::Request),
    (":status", Kind::Response),
];

fn check_missing(
    fields: &[Field],
    kind: Kind,
    [method, scheme, path, authority, protocol, status]: [bool; PSEUDO.len()],
    flags: &mut Flags,
) {
    let value = |name| field_values(fields, name).next();
    let is_lacking = match kind {
        Kind::Trailers => false,
        Kind::Response => {
            if status && value(":status").is_some_and(|status| status_of(status) < 100) {
                flags.set("bad_status");
            }
            !status
        }
        // Section 8.5, and RFC 8441, section 4.
        Kind::Request if value(":method").is_some_and(|method| method == "CONNECT") => {
            if !protocol && (scheme || path) {
                flags.set("bad_pseudo");
            }
            !authority || protocol && !(scheme && path)
        }
        Kind::Request => !(method && scheme && path),
    };
    if is_lacking {
        flags.set("missing_pseudo");
    }
    if kind == Kind::Request {
        if value(":path").is_some_and(Bytes::is_empty) {
            flags.set("empty_path");
        }
        if let (Some(authority), Some(host)) = (value(":authority"), value("host"))
            && authority != host
        {
            flags.set("host_differs");
        }
    }
}

fn is_pseudo(field: &Field) -> bool {
    field.name.starts_with(b":")
}

/// Section 8.2.1.
fn check_value(value: &[u8], flags: &mut Flags) {
    if value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        flags.set("bad_field_value");
    }
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if is_blank(value.first()) || is_blank(value.last()) {
        flags.set("space_around_value");
    }
}

fn check_field(field: &Field, flags: &mut Flags) {
    let name = &field.name[..];
    if name.iter().any(u8::is_ascii_uppercase) {
        flags.set("uppercase_name");
    }
    let is_bad = |byte: &u8| *byte <= 0x20 || *byte >= 0x7f || *byte == b':';
    if name.is_empty() || name.iter().any(is_bad) {
        flags.set("bad_field_name");
    }
    // Section 8.2.2.
    const OF_CONNECTIONS: [&str; 5] = [
        "connection",
        "proxy-connection",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
    ];
    let is_te = field.is("te") && !field.value.eq_ignore_ascii_case(b"trailers");
    if is_te || OF_CONNECTIONS.iter().any(|name| field.is(name)) {
        flags.set("connection_field");
    }
}

/// The length that the fields announce.
pub(super) fn content_length(fields: &[Field], flags: &mut Flags) -> Option<u64> {
    let mut found: Option<u64> = None;
    for value in field_values(fields, "content-length") {
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(value)
            .ok()
            .filter(|_| is_number)
            .and_then(|text| text.parse().ok());
        match (found, number) {
            (_, None) => flags.set("bad_length"),
            (None, Some(number)) => found = Some(number),
            (Some(first), Some(number)) if first == number => flags.set("duplicate_length"),
            (Some(_), Some(_)) => flags.set("conflicting_length"),
        }
    }
    found
}
