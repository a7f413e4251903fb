//! What a value is made of, told from the value.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode;

use super::message::Message;
use crate::find::{Found, Visit, json};
use crate::leaf::Encoding;
use crate::pseudonym::formats;

/// Longer values are texts, and are not looked into. Messages of gRPC may be longer.
pub(crate) const MOST_BYTES: usize = 64 << 10;

/// base64 for URLs without padding, as tokens have it (RFC 7515, section 2).
pub(super) const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// A value that has others in it.
pub(super) enum Container<'a> {
    /// An object or an array.
    Json,
    /// base64 of JSON.
    Base64(Vec<u8>, &'static GeneralPurpose),
    /// Percent-encoded JSON.
    Percent(Vec<u8>),
    /// A JSON Web Token that is signed (RFC 7515).
    Token(TokenParts<'a>),
    /// A URL, or a path from the root on.
    Link,
    /// A message of gRPC, its five bytes of prefix before it.
    Message(Message),
    /// JavaScript.
    Script,
}

/// The parts of a token, its header and claims decoded.
pub(super) struct TokenParts<'a> {
    pub(super) header: Vec<u8>,
    pub(super) claims: Vec<u8>,
    pub(super) signature: &'a str,
}

/// What `raw`, a leaf's value, is; `path` is that of the leaf and a `>`.
pub(super) fn of<'a>(raw: &'a [u8], path: &str) -> Option<Container<'a>> {
    if let Some(message) = Message::of(raw) {
        return Some(Container::Message(message));
    }
    if raw.len() > MOST_BYTES {
        return None;
    }
    let found = match raw.first()? {
        b'{' | b'[' if is_json(raw) => Some(Container::Json),
        b'%' => percent(raw),
        b'e' | b'W' => token(raw).or_else(|| base64(raw)),
        b'/' | b'h' if is_link(raw) => Some(Container::Link),
        _ => None,
    };
    found.or_else(|| is_script(path).then_some(Container::Script))
}

/// Where the authority of a link stands, user and port left out; empty without one.
pub(super) fn authority(link: &[u8]) -> Range<usize> {
    let Some(scheme) = memchr::memmem::find(link, b"://") else {
        return 0..0;
    };
    let start = scheme + 3;
    let rest = &link[start..];
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let end = start + end.unwrap_or(rest.len());
    let start = memchr::memrchr(b'@', &link[start..end]).map_or(start, |at| start + at + 1);
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let port = memchr::memrchr(b':', &link[start..end])
        .filter(|colon| link[start + colon + 1..end].iter().all(is_digit));
    start..port.map_or(end, |colon| start + colon)
}

fn is_script(path: &str) -> bool {
    path.starts_with("html.script") && path.matches('>').count() == 1
}

fn is_json(raw: &[u8]) -> bool {
    struct Nothing;
    impl Visit for Nothing {
        fn odd_name(&mut self, _: &str, _: Range<usize>, _: Encoding) -> Option<String> {
            None
        }
        fn leaf(&mut self, _: Found<'_>) {}
    }
    json::find(raw, false, &mut Nothing).is_ok()
}

fn percent(raw: &[u8]) -> Option<Container<'_>> {
    let is_json_text = raw.len() > 6
        && [&b"%7B"[..], b"%7b", b"%5B", b"%5b"]
            .iter()
            .any(|start| raw.starts_with(start));
    let decoded: Vec<u8> = is_json_text.then(|| percent_decode(raw).collect())?;
    is_json(&decoded).then_some(Container::Percent(decoded))
}

/// What base64 of an object or an array begins with.
fn base64(raw: &[u8]) -> Option<Container<'_>> {
    let begins = [&b"ey"[..], b"ew", b"W3", b"Wy", b"Ww"]
        .iter()
        .any(|start| raw.starts_with(start));
    let text = std::str::from_utf8(raw).ok().filter(|_| begins)?;
    let (decoded, engine) = formats::base64_bytes(text)?;
    is_json(&decoded).then_some(Container::Base64(decoded, engine))
}

fn token(raw: &[u8]) -> Option<Container<'_>> {
    let text = std::str::from_utf8(raw).ok()?;
    let (header, rest) = text.split_once('.')?;
    let (claims, signature) = rest.split_once('.')?;
    let part = |text: &str| {
        let json = URL_SAFE.decode(text).ok()?;
        (json.starts_with(b"{") && is_json(&json)).then_some(json)
    };
    let is_signature = |text: &str| {
        let mut bytes = text.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    Some(Container::Token(TokenParts {
        header: part(header)?,
        claims: part(claims)?,
        signature: is_signature(signature).then_some(signature)?,
    }))
}

fn is_link(raw: &[u8]) -> bool {
    let rest = [&b"http://"[..], b"https://"]
        .iter()
        .find_map(|scheme| raw.strip_prefix(*scheme));
    let is_path = raw.starts_with(b"/") && !raw.starts_with(b"//") && raw.len() > 1;
    let is_spelled = |byte: &u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(byte);
    (is_path || rest.is_some_and(|rest| !rest.is_empty()))
        && raw.iter().all(is_spelled)
        && std::str::from_utf8(raw).is_ok_and(|text| formats::base64_bytes(text).is_none())
}
