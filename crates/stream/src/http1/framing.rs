//! How long a message's body is (RFC 9112, section 6).

use super::head::is_token;
use crate::flags::Flags;
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
    let codings = transfer_codings(&head.fields, &head.version, length, flags);
    if head.method == "CONNECT" && (codings.is_some() || !matches!(length, Length::Absent)) {
        // RFC 9110, section 9.3.6: it has no content, and many take what follows for the tunnel's.
        flags.set("body_in_connect");
    }
    match codings {
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

/// The body of a response to `method` (section 6.3, rules 1 to 8), interim ones included.
pub(crate) fn of_response(head: &ResponseHead, method: Option<&[u8]>, flags: &mut Flags) -> Body {
    let length = content_length(&head.fields, flags);
    let codings = transfer_codings(&head.fields, &head.version, length, flags);
    let opens_tunnel = method == Some(b"CONNECT") && (200..300).contains(&head.status);
    if matches!(head.status, 100..=199 | 204) || opens_tunnel {
        // A sender must not say such things here (section 6.1; RFC 9110, section 8.6).
        if !matches!(length, Length::Absent) {
            flags.set("length_without_body");
        }
        if codings.is_some() {
            flags.set("coding_without_body");
        }
        return Body::None;
    }
    if method == Some(b"HEAD") || head.status == 304 {
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
        let value = trim(value);
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

/// The transfer codings, when there are any but `identity`, which older versions knew and which
/// changes nothing (RFC 2616, section 3.6).
fn transfer_codings(
    fields: &[Field],
    version: &[u8],
    length: Length,
    flags: &mut Flags,
) -> Option<Codings> {
    let mut values = field_values(fields, "transfer-encoding").peekable();
    values.peek()?;
    if !matches!(length, Length::Absent) {
        flags.set("length_and_coding");
    }
    if version != b"HTTP/1.1" {
        // Section 6.1: a recipient of another version may not know the field.
        flags.set("coding_in_http_1_0");
    }
    let mut last = None;
    let mut chunked = 0;
    for value in values {
        let mut names = 0;
        for coding in value.split(is_comma).map(trim) {
            if coding.is_empty() {
                continue;
            }
            names += 1;
            if coding.eq_ignore_ascii_case(b"identity") {
                flags.set("identity_coding");
                continue;
            }
            let kind = Coding::of(coding);
            chunked += u32::from(kind == Coding::Chunked);
            match kind {
                Coding::Unknown => flags.set("unknown_coding"),
                Coding::Compressed => flags.set("compressed_transfer"),
                Coding::Chunked => {}
            }
            last = Some(kind);
        }
        if names == 0 {
            flags.set("empty_coding");
        }
    }
    if chunked > 1 {
        flags.set("chunked_twice");
    }
    let last = last?;
    if last == Coding::Chunked {
        return Some(Codings::Chunked);
    }
    if chunked > 0 {
        flags.set("chunked_not_last");
    }
    Some(Codings::Other)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// Registered (RFC 9112, section 7.2). The body is given as it was sent.
    Compressed,
    Unknown,
}

impl Coding {
    fn of(name: &[u8]) -> Coding {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("chunked") {
            return Coding::Chunked;
        }
        let compressed = ["gzip", "deflate", "compress", "x-gzip", "x-compress"];
        match compressed.into_iter().any(is) {
            true => Coding::Compressed,
            false => Coding::Unknown,
        }
    }
}

fn is_comma(byte: &u8) -> bool {
    *byte == b','
}

/// Without optional white space around it, and without folds: nothing else is white space here.
fn trim(mut text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    while let [first, rest @ ..] = text
        && is_space(first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_space(last)
    {
        text = rest;
    }
    text
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
    if digits > 1 && line[0] == b'0' {
        // Allowed, and a way around whoever reads a fixed number of digits.
        flags.set("zeros_in_chunk_size");
    }
    if line.contains(&b'\r') {
        flags.set("bare_cr");
    }
    let rest = trim_start(&line[digits..]);
    if rest.len() < line.len() - digits {
        flags.set("space_after_chunk_size");
    }
    match rest.first() {
        None => {}
        Some(b';') => {
            flags.set("chunk_extension");
            if !are_extensions(rest) {
                flags.set("bad_chunk_extension");
            }
        }
        Some(_) => {
            flags.set("bad_chunk");
            return None;
        }
    }
    Some(size)
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` (section 7.1.1).
fn are_extensions(mut text: &[u8]) -> bool {
    while let [b';', rest @ ..] = text {
        let Some(rest) = skip_token(trim_start(rest)) else {
            return false;
        };
        text = trim_start(rest);
        if let [b'=', rest @ ..] = text {
            let value = trim_start(rest);
            let rest = match value {
                [b'"', quoted @ ..] => skip_quoted(quoted),
                _ => skip_token(value),
            };
            let Some(rest) = rest else { return false };
            text = trim_start(rest);
        }
    }
    text.is_empty()
}

fn trim_start(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| b" \t".contains(byte)).count();
    &text[blanks..]
}

fn skip_token(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().take_while(|byte| is_token(**byte)).count();
    (length > 0).then(|| &text[length..])
}

/// What follows a quoted string (RFC 9110, section 5.6.4) whose opening quote is gone.
fn skip_quoted(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..]
                if *byte >= 0x20 && *byte != 0x7f || *byte == b'\t' =>
            {
                rest
            }
            _ => return None,
        };
    }
}
