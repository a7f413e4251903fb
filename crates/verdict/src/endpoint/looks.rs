//! Values among the segments of a path, told by how they look.

use super::VARIABLE;
use crate::generated::{Form, form, looks_random};

/// Method and path with what is a value by its looks made `{id}`.
pub(super) fn shape(method: &str, path: &str) -> String {
    let mut shape = String::with_capacity(method.len() + path.len() + 1);
    shape.push_str(method);
    shape.push(' ');
    let Some(segments) = path.strip_prefix('/') else {
        // `*` (OPTIONS) and the authority form (CONNECT) have no segments.
        shape.push_str(path);
        return shape;
    };
    for segment in segments.split('/') {
        let segment = without_parameters(segment);
        shape.push('/');
        match value_in(segment) {
            None => shape.push_str(segment),
            Some(extension) => {
                shape.push_str(VARIABLE);
                shape.push_str(extension);
            }
        }
    }
    shape
}

/// A segment without its parameters, such as a session's (RFC 3986, section 3.3).
fn without_parameters(segment: &str) -> &str {
    match segment.split_once(';') {
        Some((name, parameters)) if parameters.contains('=') => name,
        _ => segment,
    }
}

/// When a segment is a value: the file extension that it keeps, often empty.
fn value_in(segment: &str) -> Option<&str> {
    if is_value(segment) {
        return Some("");
    }
    let dot = segment.rfind('.')?;
    let (stem, extension) = segment.split_at(dot);
    let is_extension = (2..=6).contains(&extension.len())
        && extension[1..]
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric());
    (is_extension && is_value(stem)).then_some(extension)
}

pub(super) fn is_value(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    if bytes.is_empty() {
        return false;
    }
    if bytes.iter().all(u8::is_ascii_digit)
        || is_title(segment)
        || is_short_token(bytes)
        || segment.contains('@')
        || segment.contains("%40")
        || looks_random(segment)
        || matches!(
            form(segment),
            Some(Form::Uuid | Form::Hex(_) | Form::Date | Form::Instant(..))
        )
    {
        return true;
    }
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    if bytes.len() >= 8 && has_digit && bytes.iter().all(u8::is_ascii_hexdigit) {
        return true;
    }
    // `prd_17`, `SKU-0001`, but not `oauth-2` or `v2`.
    let Some(cut) = segment.rfind(['-', '_']) else {
        return false;
    };
    let (prefix, number) = (&segment[..cut], &segment[cut + 1..]);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_code = number.len() >= 6
        && number.bytes().any(|byte| byte.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_number && (number.len() >= 2 || prefix.len() <= 3)) || is_code
}

/// `Some-Title` and `Green_tea_%26_milk`: words that begin with a capital, which routes don't.
fn is_title(segment: &str) -> bool {
    let words = segment
        .split(['-', '_', '+'])
        .flat_map(|word| word.split("%20"));
    let has_small = segment.bytes().any(|byte| byte.is_ascii_lowercase());
    segment.starts_with(|char: char| char.is_ascii_uppercase())
        && has_small
        && words.filter(|word| !word.is_empty()).count() >= 2
}

/// Few characters of base64, such as `dQw4w9WgXcQ`: they change their class at every other one.
fn is_short_token(bytes: &[u8]) -> bool {
    let class = |byte: &u8| match byte {
        b'0'..=b'9' => Some(0),
        b'a'..=b'z' => Some(1),
        b'A'..=b'Z' => Some(2),
        b'-' | b'_' => Some(3),
        _ => None,
    };
    let classes: Vec<Option<u8>> = bytes.iter().map(class).collect();
    let has = |wanted| classes.contains(&Some(wanted));
    let changes = classes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    (8..16).contains(&bytes.len())
        && !classes.contains(&None)
        && (has(0) && has(1) && has(2))
        && changes * 2 >= bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, expected: &str) {
        let shape = shape("GET", super::super::path_of(target));
        assert_eq!(shape.strip_prefix("GET "), Some(expected));
    }

    #[test]
    fn values_are_told_by_their_looks() {
        check("/", "/");
        check("", "/");
        check("*", "*");
        check("/products?page=2", "/products");
        check("/products/17", "/products/{id}");
        check("/products/prd_0017/image", "/products/{id}/image");
        check("/api/v2/oauth-2/login", "/api/v2/oauth-2/login");
        check(
            "/orders/ord_9f86d081884c7d659a2feaa0c55ad015",
            "/orders/{id}",
        );
        check("/u/1b4e28ba-2fa1-41d2-883f-0016d3cca427", "/u/{id}");
        check("/u/ann%40example.org/x", "/u/{id}/x");
        check("/img/000123.png", "/img/{id}.png");
        check("/main.css", "/main.css");
        check("http://shop.example/cart/9?x=/1", "/cart/{id}");
        check("http://shop.example", "/");
        check("/go?to=http://a/b", "/go");
        check("/days/2026-11-22", "/days/{id}");
        check("/wiki/Some-Title", "/wiki/{id}");
        check("/wiki/Green_tea_(%26_milk)", "/wiki/{id}");
        check("/watch/dQw4w9WgXcQ", "/watch/{id}");
        check("/OAuth2Callback/ReadMe", "/OAuth2Callback/ReadMe");
        check("/cart;jsessionid=1A2B/items", "/cart/items");
    }
}
