//! The values of heads: targets and header fields.

use super::{Search, Visit, form, pieces, trimmed, uri};
use crate::leaf::Encoding;

/// Goes through a request target.
pub(crate) fn find_target(search: &mut Search<'_, impl Visit>) {
    if !uri::is_bare_target(search.src) {
        uri::find(search, 0..search.src.len(), "");
    }
}

/// Goes through the value of the field called `name`.
pub(crate) fn find_value(search: &mut Search<'_, impl Visit>, name: &[u8]) {
    let all = 0..search.src.len();
    let mut name = String::from_utf8_lossy(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_mut().make_ascii_lowercase();
    }
    match &*name {
        // HTTP/2's name for it (RFC 9113, section 8.3.1).
        ":authority" => search.leaf("header.", "host", all, Encoding::Plain),
        "cookie" => cookies(search),
        "set-cookie" => set_cookie(search),
        "location" | "content-location" | "referer" | "origin" if !is_none(search.src) => {
            uri::find(search, all, &format!("{name}."));
        }
        "authorization" | "proxy-authorization" => credentials(search, &name),
        "x-forwarded-for" => {
            for piece in pieces(search.src, all, b',') {
                let piece = trimmed(search.src, piece);
                search.leaf("header.", &name, piece, Encoding::Plain);
            }
        }
        _ => search.leaf("header.", &name, all, Encoding::Plain),
    }
}

/// `Origin: null` and empty values.
fn is_none(value: &[u8]) -> bool {
    value.is_empty() || value == b"null"
}

/// RFC 6265, section 4.2.
fn cookies(search: &mut Search<'_, impl Visit>) {
    for piece in pieces(search.src, 0..search.src.len(), b';') {
        if !trimmed(search.src, piece.clone()).is_empty() {
            cookie(search, piece, "cookie.");
        }
    }
}

/// RFC 6265, section 4.1. Attributes are the server's; others than those it
/// knows are values.
fn set_cookie(search: &mut Search<'_, impl Visit>) {
    const ATTRIBUTES: [&str; 11] = [
        "expires",
        "max-age",
        "domain",
        "path",
        "secure",
        "httponly",
        "samesite",
        "partitioned",
        "priority",
        "version",
        "comment",
    ];
    let mut pieces = pieces(search.src, 0..search.src.len(), b';');
    if let Some(pair) = pieces.next() {
        cookie(search, pair, "set-cookie.");
    }
    for piece in pieces {
        let piece = trimmed(search.src, piece);
        let attribute = &search.src[piece.clone()];
        let end = memchr::memchr(b'=', attribute).unwrap_or(attribute.len());
        let name = attribute[..end].trim_ascii();
        let is_known = ATTRIBUTES
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if !is_known && !piece.is_empty() {
            search.leaf("set-cookie.", "", piece, Encoding::Plain);
        }
    }
}

/// One `name=value`, the quotes around the value no part of it.
fn cookie(search: &mut Search<'_, impl Visit>, piece: std::ops::Range<usize>, prefix: &str) {
    let piece = trimmed(search.src, piece);
    let (name, value) = match memchr::memchr(b'=', &search.src[piece.clone()]) {
        Some(at) => {
            let name = trimmed(search.src, piece.start..piece.start + at);
            let name = if name.is_empty() {
                String::new()
            } else {
                search.name(name, Encoding::Plain)
            };
            (name, trimmed(search.src, piece.start + at + 1..piece.end))
        }
        None => (String::new(), piece),
    };
    let written = &search.src[value.clone()];
    let is_quoted = written.len() >= 2 && written.starts_with(b"\"") && written.ends_with(b"\"");
    let value = if is_quoted {
        value.start + 1..value.end - 1
    } else {
        value
    };
    search.leaf(prefix, &name, value, Encoding::Plain);
}

/// A scheme and what follows it (RFC 9110, section 11.4).
fn credentials(search: &mut Search<'_, impl Visit>, name: &str) {
    let src = search.src;
    let scheme_end = memchr::memchr(b' ', src).filter(|&end| {
        (1..=20).contains(&end)
            && src[..end]
                .iter()
                .all(|byte| byte.is_ascii_alphabetic() || *byte == b'-')
    });
    match scheme_end {
        Some(end) => {
            let scheme = String::from_utf8_lossy(&src[..end]).to_ascii_lowercase();
            let value = trimmed(src, end..src.len());
            search.leaf(&format!("header.{name}."), &scheme, value, Encoding::Plain);
        }
        None => search.leaf("header.", name, 0..src.len(), Encoding::Plain),
    }
}

/// Goes through a form body.
pub(crate) fn find_form(search: &mut Search<'_, impl Visit>) {
    form::find(search, 0..search.src.len(), "form.", true);
}
