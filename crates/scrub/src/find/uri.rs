//! URI references (RFC 3986): targets, locations, links.

use std::ops::Range;

use super::{Search, Visit, form};
use crate::leaf::Encoding;

/// Goes through a reference: `{prefix}path.N`, `{prefix}query.NAME`,
/// `{prefix}fragment`, `{prefix}userinfo`. Scheme and host are no values; what
/// follows a scheme without an authority (`mailto:`) is `{prefix}opaque`.
pub(crate) fn find(search: &mut Search<'_, impl Visit>, span: Range<usize>, prefix: &str) {
    let src = search.src;
    let mut at = span.start;
    if let Some(colon) = scheme_end(&src[span.clone()]) {
        at += colon + 1;
        if !src[at..span.end].starts_with(b"//") {
            search.leaf(prefix, "opaque", at..span.end, Encoding::Percent);
            return;
        }
    }
    if src[at..span.end].starts_with(b"//") && (at > span.start || !prefix.is_empty()) {
        at += 2;
        let end = at + position(&src[at..span.end], b"/?#");
        if let Some(userinfo) = memchr::memrchr(b'@', &src[at..end]) {
            search.leaf(prefix, "userinfo", at..at + userinfo, Encoding::Percent);
        }
        at = end;
    }
    let path_end = at + position(&src[at..span.end], b"?#");
    path(search, at..path_end, prefix);
    at = path_end;
    if src[at..span.end].starts_with(b"?") {
        let query = at + 1..at + 1 + position(&src[at + 1..span.end], b"#");
        at = query.end;
        form::find(search, query, &format!("{prefix}query."), false);
    }
    if src[at..span.end].starts_with(b"#") && at + 1 < span.end {
        search.leaf(prefix, "fragment", at + 1..span.end, Encoding::Percent);
    }
}

/// Where a request target is no reference: `*`, and `host:port` (RFC 9112,
/// section 3.2).
pub(crate) fn is_bare_target(target: &[u8]) -> bool {
    let is_authority = || {
        let colon = memchr::memrchr(b':', target)?;
        let (host, port) = (&target[..colon], &target[colon + 1..]);
        let is_host = host
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte));
        let is_port = (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
        Some(is_host && is_port)
    };
    target == b"*" || is_authority() == Some(true)
}

/// The path of a target, without query; empty where there is none.
pub(crate) fn path_of(target: &[u8]) -> &[u8] {
    let start = match scheme_end(target) {
        Some(colon) if target[colon + 1..].starts_with(b"//") => {
            colon + 3 + position(&target[colon + 3..], b"/?#")
        }
        _ => 0,
    };
    let rest = &target[start..];
    &rest[..position(rest, b"?#")]
}

fn path(search: &mut Search<'_, impl Visit>, span: Range<usize>, prefix: &str) {
    let start = span.start + usize::from(search.src[span.clone()].starts_with(b"/"));
    let below = format!("{prefix}path.");
    for (index, segment) in super::pieces(search.src, start..span.end, b'/').enumerate() {
        if search.visit.is_done() {
            return;
        }
        if !segment.is_empty() {
            search.report(&below, &index.to_string(), true, segment, Encoding::Percent);
        }
    }
}

/// Where the colon after the scheme stands (RFC 3986, section 3.1).
fn scheme_end(text: &[u8]) -> Option<usize> {
    let end = text
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(byte)))?;
    (text[end] == b':' && text[0].is_ascii_alphabetic()).then_some(end)
}

fn position(text: &[u8], ends: &[u8]) -> usize {
    text.iter()
        .position(|byte| ends.contains(byte))
        .unwrap_or(text.len())
}
