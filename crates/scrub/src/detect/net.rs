//! E-mail, URLs with credentials, addresses of networks and of hardware.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::{Evidence, Kind, Search};

/// As long may a local part be (RFC 5321, section 4.5.3.1.1).
const LOCAL_BYTES: usize = 64;
/// As long is the longest spelling of an IPv6 address, and one byte more.
const IPV6_BYTES: usize = 46;

/// An address around an `@`.
pub(super) fn email(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let text = search.text;
    let at = span.start;
    let local = text[..at].char_indices().rev().take(LOCAL_BYTES);
    let is_local = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
    let start = local.take_while(|&(_, c)| is_local(c)).last()?.0;
    // What is no letter at the begin belongs to the text around it.
    let start = at
        - text[start..at]
            .trim_start_matches(['.', '\'', '/', '=', '?', '&', '{', '|', '*', '`', '-'])
            .len();
    let host = text[at + 1..].bytes();
    let end = at
        + 1
        + host
            .take_while(|b| b.is_ascii_alphanumeric() || b"-.".contains(b))
            .count();
    let end = at + 1 + text[at + 1..end].trim_end_matches(['.', '-']).len();
    let (_, top) = text[at + 1..end].rsplit_once('.')?;
    let is_top = top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    if start == at || !is_top || text[at + 1..end].contains("..") {
        return None;
    }
    search.weigh(
        start..end,
        Evidence::form(Kind::Email, "e-mail address", 90),
    );
    Some(end)
}

/// User and password between `://` and `@`.
pub(super) fn authority(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let start = span.end;
    let rest = &search.text[start..];
    let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c));
    let (user_info, _) = rest[..end.unwrap_or(rest.len())].rsplit_once('@')?;
    let (_, password) = user_info.split_once(':')?;
    if password.is_empty() {
        return None;
    }
    let end = start + user_info.len();
    search.weigh(
        start..end,
        Evidence::form(Kind::UrlCredentials, "user and password in a URL", 95),
    );
    // Not beyond the `@`, which could be an e-mail's.
    Some(end + 1)
}

/// Four numbers up to 255; says where it ends.
pub(super) fn ipv4(search: &mut Search<'_>, start: usize) -> Option<usize> {
    let text = search.text.as_bytes();
    let mut at = start;
    for part in 0..4 {
        let digits = text[at..]
            .iter()
            .take(4)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let octet: u16 = search.text[at..at + digits].parse().ok()?;
        if octet > 255 || digits > 3 {
            return None;
        }
        at += digits;
        if part < 3 {
            (text.get(at) == Some(&b'.')).then_some(())?;
            at += 1;
        }
    }
    let goes_on = match &text[at..] {
        [b'.', next, ..] => next.is_ascii_digit(),
        [next, ..] => next.is_ascii_alphanumeric() || *next == b'_',
        [] => false,
    };
    let is_inside = start > 0 && b".-_".contains(&text[start - 1]);
    if goes_on || is_inside {
        return None;
    }
    search.weigh(
        start..at,
        Evidence::form(Kind::IpAddress, "IPv4 address", 65),
    );
    Some(at)
}

/// Groups with colons, which may be a time.
pub(super) fn ipv6(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let rest = &search.text[span.start..];
    let end = rest
        .bytes()
        .take(IPV6_BYTES)
        .take_while(|b| b.is_ascii_hexdigit() || b":.".contains(b))
        .count();
    let spelling = rest[..end].trim_end_matches('.');
    let spelling = match spelling.strip_suffix(':') {
        Some(shorter) if !shorter.ends_with(':') => shorter,
        _ => spelling,
    };
    let address: Ipv6Addr = spelling.parse().ok()?;
    let is_inside = search.text[..span.start].ends_with(|c: char| c.is_alphanumeric() || c == ':');
    if is_inside || rest[end..].starts_with(|c: char| c.is_alphanumeric()) {
        return None;
    }
    let end = span.start + spelling.len();
    if address
        .segments()
        .iter()
        .filter(|&&segment| segment != 0)
        .count()
        > 1
    {
        search.weigh(
            span.start..end,
            Evidence::form(Kind::IpAddress, "IPv6 address", 80),
        );
    }
    Some(end)
}

/// Six pairs of hexadecimal digits, or three groups of four.
pub(super) fn mac(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let text = search.text.as_bytes();
    let spelling = &text[span.clone()];
    let goes_on =
        matches!(&text[span.end..], [b':' | b'-' | b'.', next, ..] if next.is_ascii_hexdigit());
    let is_inside = span.start > 0 && b":-.".contains(&text[span.start - 1]);
    let is_bare = spelling
        .iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let (zeros, digits) = (
        spelling.iter().filter(|&&byte| byte == b'0').count(),
        spelling
            .iter()
            .filter(|byte| byte.is_ascii_hexdigit())
            .count(),
    );
    if goes_on || is_inside || (is_bare && spelling.contains(&b'.')) || zeros == digits {
        return None;
    }
    let end = span.end;
    search.weigh(
        span,
        Evidence::form(Kind::MacAddress, "hardware address", 80),
    );
    Some(end)
}
