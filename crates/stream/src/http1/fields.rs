//! Header fields that two recipients may act upon in two ways.

use crate::flags::Flags;
use crate::message::{Field, field_values};

/// Flags what is odd in the fields of a request, framing apart.
pub(super) fn check_request(fields: &[Field], flags: &mut Flags) {
    check(fields, flags);
    let mut hosts = 0;
    for field in fields {
        match field.name.len() {
            4 if field.is("host") => {
                hosts += 1;
                if field.value.iter().any(|byte| b" \t,/\\?#@".contains(byte)) {
                    flags.set("bad_host");
                }
            }
            6 if field.is("expect") && !field.value.eq_ignore_ascii_case(b"100-continue") => {
                // RFC 9110, section 10.1.1: there is no other expectation.
                flags.set("unknown_expectation");
            }
            _ => {}
        }
    }
    if hosts > 1 {
        // RFC 9112, section 3.2.
        flags.set("duplicate_host");
    }
}

/// Flags what is odd in the fields of any message, framing apart.
pub(super) fn check(fields: &[Field], flags: &mut Flags) {
    for field in fields {
        if is_lookalike(&field.name) {
            flags.set("framing_lookalike");
        }
        if field.name.len() == 10 && field.is("connection") && tokens(&field.value).any(is_framing)
        {
            // An intermediary removes what Connection names (RFC 9110, section 7.6.1).
            flags.set("framing_in_connection");
        }
    }
}

/// Flags what no trailer may be (RFC 9110, section 6.5.1).
pub(super) fn check_trailers(fields: &[Field], flags: &mut Flags) {
    check(fields, flags);
    if fields
        .iter()
        .any(|field| is_framing(&field.name) || field.is("host"))
    {
        flags.set("framing_in_trailers");
    }
}

/// True when the sender of such a message says that it is its last one on the connection
/// (RFC 9112, section 9.3).
pub(super) fn closes(version: &[u8], fields: &[Field]) -> bool {
    let mut keeps = version != b"HTTP/1.0";
    for token in field_values(fields, "connection").flat_map(|value| tokens(value)) {
        if token.eq_ignore_ascii_case(b"close") {
            return true;
        }
        keeps |= token.eq_ignore_ascii_case(b"keep-alive");
    }
    !keeps
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn is_framing(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
}

/// True for what a careless recipient takes for a framing field: underscores for hyphens, white
/// space or control bytes within.
fn is_lookalike(name: &[u8]) -> bool {
    const LONGEST: usize = 40;
    if !(13..=LONGEST).contains(&name.len()) || is_framing(name) {
        return false;
    }
    let letters = || name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let is = |known: &[u8]| {
        letters().count() == known.len()
            && letters()
                .zip(known)
                .all(|(letter, known)| letter.eq_ignore_ascii_case(known))
    };
    is(b"contentlength") || is(b"transferencoding")
}
