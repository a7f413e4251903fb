//! Keys, tokens and passwords.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::topics::Topic;
use super::{Evidence, Kind, Search};

/// As much is read of what a word is given.
const VALUE_BYTES: usize = 1024;

/// A PEM block, to its end line if there is one.
pub(super) fn pem(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let text = search.text;
    let end = match text[span.end..].find("-----END ") {
        Some(offset) => {
            let line = span.end + offset + "-----END ".len();
            let label = text[line..]
                .find("-----")
                .map_or(text.len(), |end| line + end + 5);
            label.min(text.len())
        }
        // Without its end the rest is taken for the key.
        None => text.len(),
    };
    search.weigh(
        span.start..end,
        Evidence::form(Kind::PrivateKey, "private key in PEM", 100),
    )
}

/// Three parts in base64url, of which the first is a JSON object with `alg`.
pub(super) fn jwt(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let rest = &search.text.as_bytes()[span.start..];
    let length = rest.iter().take_while(|byte| is_token(**byte)).count();
    let end = span.start + length;
    let token = search.text[span.start..end].trim_end_matches(['.', '/', '=', '+']);
    let mut parts = token.split('.');
    let header = URL_SAFE_NO_PAD.decode(parts.next()?).unwrap_or_default();
    let is_header = serde_json::from_slice::<serde_json::Value>(&header)
        .is_ok_and(|header| header.get("alg").is_some());
    if !is_header || parts.next().is_none_or(str::is_empty) {
        return Some(end);
    }
    search.weigh(
        span.start..span.start + token.len(),
        Evidence::form(Kind::Jwt, "JSON Web Token", 100),
    )
}

/// A token whose first characters its issuer has made known.
pub(super) fn issued(search: &mut Search<'_>, kind: Kind, span: Range<usize>) -> Option<usize> {
    let rest = search.text[span.end..].bytes();
    let tail = rest
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
        .count();
    let span = span.start..span.end + tail;
    // `sk-` and a row of words is the name of something.
    let body = &search.text[span.clone()];
    if body.starts_with("sk-") && !body.bytes().any(|byte| byte.is_ascii_digit()) {
        return Some(span.end);
    }
    search.weigh(span, Evidence::form(kind, "token of a known issuer", 90))
}

/// What a word such as `password` or `token` is given.
pub(super) fn assignment(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let start = span.end - 1;
    let quote = search.text.as_bytes()[start - 1];
    let closing = |c: char| c.is_whitespace() || "\"'`;,&<>".contains(c);
    let rest = &search.text[start..];
    let rest = &rest[..rest.floor_char_boundary(VALUE_BYTES)];
    let end = match quote {
        b'"' | b'\'' => rest.find(char::from(quote)).unwrap_or(rest.len()),
        _ => rest.find(closing).unwrap_or(rest.len()),
    };
    let value = rest[..end].trim_end_matches(['.', ')', '}', ']', '?', '!']);
    let word = search.text[span.start..start].to_ascii_lowercase();
    let is_password = word.starts_with("pass") || word.starts_with("pwd");
    let is_said = word.trim_end().ends_with("is") || word.starts_with("bearer");
    let kind = match (is_password, is_said) {
        (true, false) if value.len() >= 3 && is_set(value) => Kind::Password,
        (true, true) if value.len() >= 6 && is_mixed(value) => Kind::Password,
        (false, _) if value.len() >= 8 && is_random(value) => Kind::Secret,
        _ => return None,
    };
    let pattern = if is_password {
        "a password's value"
    } else {
        "a secret's value"
    };
    search.weigh(
        start..start + value.len(),
        Evidence::form(kind, pattern, 70),
    )?;
    // Inside a secret may be more: a JWT behind `token=` says what it is.
    Some(start)
}

/// A whole value under a name that says password or secret.
pub(super) fn by_name(search: &mut Search<'_>) {
    let text = search.text.trim();
    if text.is_empty() || text.len() > 4096 || !is_set(text) {
        return;
    }
    let start = search.text.len() - search.text.trim_start().len();
    let span = start..start + text.len();
    if search.name.has(Topic::Password) && !text.contains(char::is_whitespace) {
        search.weigh(
            span,
            Evidence::form(Kind::Password, "any value", 40).about(&[Topic::Password]),
        );
    } else if search.name.has(Topic::Secret) && text.len() >= 8 && is_random(text) {
        search.weigh(
            span,
            Evidence::form(Kind::Secret, "value of high entropy", 40).about(&[Topic::Secret]),
        );
    }
}

/// Whether a value is one, and not the word for none, a mask or a place to fill in.
fn is_set(value: &str) -> bool {
    let is_mask = value.chars().all(|c| "*xX•.-_?".contains(c));
    let is_place = value.starts_with("${") || value.starts_with("{{") || value.starts_with('<');
    let is_none = [
        "true",
        "false",
        "null",
        "none",
        "undefined",
        "required",
        "optional",
    ]
    .iter()
    .any(|word| value.eq_ignore_ascii_case(word));
    !is_mask && !is_place && !is_none
}

/// Whether letters and others are in it.
fn is_mixed(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_alphabetic())
        && value.bytes().any(|byte| !byte.is_ascii_alphabetic())
}

/// Whether a value looks drawn: no white space, several classes, many different characters.
fn is_random(value: &str) -> bool {
    if value.contains(char::is_whitespace) || !is_set(value) {
        return false;
    }
    let has = |class: fn(&u8) -> bool| usize::from(value.as_bytes().iter().any(class));
    let classes =
        has(u8::is_ascii_lowercase) + has(u8::is_ascii_uppercase) + has(u8::is_ascii_digit);
    classes >= 2 && entropy_bits(value) >= 2.75
}

/// Shannon's entropy of a character of `value`, in bits.
fn entropy_bits(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = value.len() as f64;
    let shares = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / length);
    shares.map(|share| -share * share.log2()).sum()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.=+/".contains(&byte)
}
