//! How long a message's body is (RFC 9112, section 6).

use bytes::Bytes;

use super::head::Flags;
use crate::message::{Field, RequestHead, ResponseHead, field_values};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// The body of a request (section 6.3, rules 3 to 7).
pub(crate) fn of_request(head: &RequestHead, flags: &mut Flags) -> Body {
    let length = content_length(&head.fields, flags);
    match transfer_codings(&head.fields, &head.version, length, flags) {
        Some(Codings::Chunked) => Body::Chunked,
        // The server can't know where such a request ends, and must close.
        Some(Codings::Other) => Body::UntilClose,
        None => match length {
            Length::Absent => Body::None,
            Length::Of(0) => Body::None,
            Length::Of(length) => Body::Length(length),
            Length::Bad => Body::UntilClose,
        },
    }
}

/// The body of a final response to `method` (section 6.3, rules 1 to 8).
pub(crate) fn of_response(head: &ResponseHead, method: Option<&[u8]>, flags: &mut Flags) -> Body {
    let length = content_length(&head.fields, flags);
    let codings = transfer_codings(&head.fields, &head.version, length, flags);
    if method == Some(b"HEAD") || matches!(head.status, 100..=199 | 204 | 304) {
        return Body::None;
    }
    match codings {
        Some(Codings::Chunked) => Body::Chunked,
        Some(Codings::Other) => Body::UntilClose,
        None => match length {
            Length::Absent => Body::UntilClose,
            Length::Of(0) => Body::None,
            Length::Of(length) => Body::Length(length),
            Length::Bad => Body::UntilClose,
        },
    }
}

#[derive(Clone, Copy)]
enum Length {
    Absent,
    Of(u64),
    Bad,
}

/// The length in the Content-Length fields. With several that disagree the first counts here;
/// the flag says that another recipient may think otherwise.
fn content_length(fields: &[Field], flags: &mut Flags) -> Length {
    let mut found = Length::Absent;
    let values = field_values(fields, "content-length").flat_map(|value| value.split(is_comma));
    for value in values {
        let value = value.trim_ascii();
        let number = match value.iter().all(u8::is_ascii_digit) && !value.is_empty() {
            true => std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok()),
            false => None,
        };
        match (found, number) {
            (Length::Absent, Some(number)) => found = Length::Of(number),
            (Length::Of(first), Some(number)) if first == number => flags.set("duplicate_length"),
            (Length::Of(_), Some(_)) => flags.set("conflicting_length"),
            (Length::Of(_), None) => {
                flags.set("bad_length");
                flags.set("conflicting_length");
            }
            (Length::Absent, None) => {
                flags.set("bad_length");
                found = Length::Bad;
            }
            (Length::Bad, _) => flags.set("conflicting_length"),
        }
    }
    found
}

enum Codings {
    /// Chunked is the last of them.
    Chunked,
    Other,
}

fn transfer_codings(
    fields: &[Field],
    version: &[u8],
    length: Length,
    flags: &mut Flags,
) -> Option<Codings> {
    let mut last: Option<Bytes> = None;
    let mut chunked = 0;
    for value in field_values(fields, "transfer-encoding") {
        for coding in value.split(is_comma).map(<[u8]>::trim_ascii) {
            if coding.is_empty() {
                continue;
            }
            if coding.eq_ignore_ascii_case(b"identity") {
                flags.set("identity_coding");
                continue;
            }
            chunked += u32::from(coding.eq_ignore_ascii_case(b"chunked"));
            last = Some(value.slice_ref(coding));
        }
        if value.is_empty() {
            flags.set("empty_coding");
        }
    }
    let last = last?;
    if !matches!(length, Length::Absent) {
        flags.set("length_and_coding");
    }
    if version == b"HTTP/1.0" {
        // Section 6.1: a recipient of that version may not know the field.
        flags.set("coding_in_http_1_0");
    }
    if chunked > 1 {
        flags.set("chunked_twice");
    }
    if last.eq_ignore_ascii_case(b"chunked") {
        Some(Codings::Chunked)
    } else {
        flags.set("unknown_coding");
        Some(Codings::Other)
    }
}

fn is_comma(byte: &u8) -> bool {
    *byte == b','
}

/// The size in a chunk-size line without its line end; None when it is no size (section 7.1).
pub(crate) fn chunk_size(line: &[u8], flags: &mut Flags) -> Option<u64> {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let size = std::str::from_utf8(&line[..digits])
        .ok()
        .and_then(|text| u64::from_str_radix(text, 16).ok());
    let Some(size) = size else {
        flags.set("bad_chunk");
        return None;
    };
    let rest = line[digits..].trim_ascii_start();
    match rest.first() {
        None => {}
        Some(b';') => flags.set("chunk_extension"),
        Some(_) => {
            flags.set("bad_chunk");
            return None;
        }
    }
    if digits < line.len() && rest.is_empty() {
        flags.set("space_after_chunk_size");
    }
    Some(size)
}
