//! Values of header fields in one spelling, where several mean the same.

use std::collections::BTreeSet;

use twintap_stream::Field;

/// Lists without an order (RFC 9110, sections 5.6.1, 10.2.1 and 12; RFC 9111, section 5.2;
/// the Fetch Standard, section 3.3), whose members' case says nothing.
const SETS: [&str; 17] = [
    "accept-ch",
    "accept-encoding",
    "accept-patch",
    "accept-post",
    "accept-ranges",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-expose-headers",
    "allow",
    "cache-control",
    "cdn-cache-control",
    "pragma",
    "surrogate-control",
    "timing-allow-origin",
    "vary",
    "x-content-type-options",
    "x-robots-tag",
];

/// Directives apart by semicolons, without an order (RFC 6797, section 6.1; Content Security
/// Policy, section 2.2).
const DIRECTIVES: [&str; 3] = [
    "content-security-policy",
    "content-security-policy-report-only",
    "strict-transport-security",
];

/// A field's values in one spelling; `None` for fields whose spelling counts.
pub(super) fn normal(name: &str, fields: &[(u32, &Field)]) -> Option<String> {
    let values: Vec<String> = fields
        .iter()
        .map(|(_, field)| String::from_utf8_lossy(&field.value).into_owned())
        .collect();
    if SETS.contains(&name) {
        // Repeated fields are one list (RFC 9110, section 5.3).
        let members = values.iter().flat_map(|value| members(value, ','));
        return Some(sorted(members.map(|member| spaced(&member))));
    }
    if DIRECTIVES.contains(&name) {
        let [value] = &values[..] else {
            return None;
        };
        return Some(sorted(members(value, ';').map(|member| words(&member))));
    }
    match (name, &values[..]) {
        ("content-type", [value]) => Some(media_type(value)),
        _ => None,
    }
}

/// The members of a list, those in quotes undivided.
fn members(value: &str, separator: char) -> impl Iterator<Item = String> {
    let mut members = vec![String::new()];
    let mut is_quoted = false;
    for char in value.chars() {
        is_quoted ^= char == '"';
        match members.last_mut() {
            Some(member) if is_quoted || char != separator => member.push(char),
            _ => members.push(String::new()),
        }
    }
    members
        .into_iter()
        .map(|member| member.trim().to_owned())
        .filter(|member| !member.is_empty())
}

fn sorted(members: impl Iterator<Item = String>) -> String {
    let members: BTreeSet<String> = members.collect();
    Vec::from_iter(members).join(", ")
}

/// A directive without blanks around `=`, its name in lower case; what it is set to keeps its
/// case where it has quotes.
fn spaced(member: &str) -> String {
    match member.split_once('=') {
        Some((name, value)) if value.trim().starts_with('"') => {
            format!("{}={}", name.trim().to_ascii_lowercase(), value.trim())
        }
        Some((name, value)) => format!("{}={}", name.trim(), value.trim()).to_ascii_lowercase(),
        None => member.to_ascii_lowercase(),
    }
}

/// Words with one blank between them, the first, which is a name, in lower case.
fn words(directive: &str) -> String {
    let mut words = directive.split_ascii_whitespace();
    let name = words.next().unwrap_or_default().to_ascii_lowercase();
    std::iter::once(name.as_str())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Type and parameters: their order, quotes, and the case of all but unknown values say
/// nothing (RFC 9110, section 8.3.1), nor does the boundary of parts.
fn media_type(value: &str) -> String {
    let mut members = members(value, ';');
    let essence = members.next().unwrap_or_default().to_ascii_lowercase();
    let parameters = members.filter_map(|member| {
        let (name, value) = member.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        let value = value.trim().trim_matches('"');
        match name.as_str() {
            "boundary" => None,
            "charset" => Some(format!("charset={}", value.to_ascii_lowercase())),
            _ => Some(format!("{name}={value}")),
        }
    });
    let parameters: BTreeSet<String> = parameters.collect();
    std::iter::once(essence)
        .chain(parameters)
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, one: &[&str], other: &[&str], is_same: bool) {
        let normal = |values: &[&str]| {
            let fields: Vec<Field> = values
                .iter()
                .map(|value| Field::new(name.to_owned(), (*value).to_owned()))
                .collect();
            let fields: Vec<(u32, &Field)> = (0..).zip(&fields).collect();
            super::normal(name, &fields).expect("a field in one spelling")
        };
        assert_eq!(
            normal(one) == normal(other),
            is_same,
            "{name}: {one:?}, {other:?}"
        );
    }

    #[test]
    fn lists_have_no_order_and_no_case() {
        check("vary", &["Accept, Cookie"], &["cookie,accept"], true);
        check("vary", &["Accept, Cookie"], &["Accept", "Cookie"], true);
        check("vary", &["Accept"], &["Accept, Cookie"], false);
        check(
            "cache-control",
            &["private, max-age = 60"],
            &["Max-Age=60,private"],
            true,
        );
        check("cache-control", &["max-age=60"], &["max-age=600"], false);
        check(
            "cache-control",
            &["private=\"a, b\""],
            &["private=\"b, a\""],
            false,
        );
        check("allow", &["GET, HEAD"], &["HEAD, GET"], true);
    }

    #[test]
    fn directives_have_no_order() {
        let name = "content-security-policy";
        check(
            name,
            &["default-src 'self'; img-src *"],
            &["img-src  *;Default-Src 'self';"],
            true,
        );
        check(
            name,
            &["default-src 'self'"],
            &["default-src 'none'"],
            false,
        );
    }

    #[test]
    fn media_types_have_one_spelling() {
        let name = "content-type";
        check(
            name,
            &["text/html; charset=UTF-8"],
            &["Text/HTML;charset=\"utf-8\""],
            true,
        );
        check(name, &["text/html; charset=utf-8"], &["text/html"], false);
        check(
            name,
            &["text/html; charset=utf-8"],
            &["text/html; charset=latin1"],
            false,
        );
        check(
            name,
            &["multipart/mixed; boundary=a"],
            &["multipart/mixed; boundary=b"],
            true,
        );
        check(
            name,
            &["application/x; profile=A"],
            &["application/x; profile=a"],
            false,
        );
    }

    #[test]
    fn other_fields_have_none() {
        let field = Field::new("server", "A");
        assert_eq!(normal("server", &[(0, &field)]), None);
    }
}
