//! Endpoints: the templates behind the targets that were seen.

use std::collections::BTreeMap;

use crate::generated::{Form, form, looks_random};

/// The name that stands for a segment that varies.
pub(crate) const VARIABLE: &str = "{id}";

/// A path segment has more names than this below a prefix: they are values.
const MOST_NAMES: usize = 16;
/// The same at the root, where the routes of a service branch.
const MOST_NAMES_AT_ROOT: usize = 64;

/// Method and path with what is a value by its looks made `{id}`, the query left out.
pub(crate) fn shape(method: &[u8], target: &[u8]) -> String {
    let method = String::from_utf8_lossy(method);
    let target = String::from_utf8_lossy(target);
    let path = path_of(&target);
    let mut shape = String::with_capacity(method.len() + path.len() + 1);
    shape.push_str(&method);
    shape.push(' ');
    if !path.starts_with('/') {
        // `*` (OPTIONS) and the authority form (CONNECT) have no segments.
        shape.push_str(path);
        return shape;
    }
    for segment in path[1..].split('/') {
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

/// The templates of a run's shapes, by shape: below a prefix with many names
/// these become `{id}` too.
pub(crate) fn templates<'a>(
    shapes: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<&'a str, String> {
    let shapes: Vec<&str> = shapes.into_iter().collect();
    let mut root = Node::default();
    for shape in &shapes {
        if let Some((_, path)) = split(shape) {
            root.insert(path.split('/'));
        }
    }
    root.collapse(MOST_NAMES_AT_ROOT);
    shapes
        .into_iter()
        .map(|shape| {
            let template = match split(shape) {
                None => shape.to_owned(),
                Some((method, path)) => {
                    let mut template = format!("{method} ");
                    root.write(path.split('/'), &mut template);
                    template
                }
            };
            (shape, template)
        })
        .collect()
}

/// The path of a target: the absolute form loses its authority (RFC 9112, section 3.2).
pub(crate) fn path_of(target: &str) -> &str {
    let from_path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            &rest[rest.find(['/', '?', '#']).unwrap_or(rest.len())..]
        }
        _ => target,
    };
    let path = from_path.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() { "/" } else { path }
}

fn split(shape: &str) -> Option<(&str, &str)> {
    let (method, path) = shape.split_once(' ')?;
    Some((method, path.strip_prefix('/')?))
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

fn is_value(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    if bytes.is_empty() {
        return false;
    }
    if bytes.iter().all(u8::is_ascii_digit)
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

/// Segments below a common prefix.
#[derive(Default)]
struct Node {
    children: BTreeMap<String, Node>,
}

impl Node {
    fn insert<'a>(&mut self, segments: impl Iterator<Item = &'a str>) {
        let mut node = self;
        for segment in segments {
            node = node.children.entry(segment.to_owned()).or_default();
        }
    }

    fn collapse(&mut self, most: usize) {
        let names = self
            .children
            .keys()
            .filter(|name| !name.starts_with(VARIABLE));
        if names.count() > most {
            let mut merged = Node::default();
            for (_, child) in std::mem::take(&mut self.children) {
                merged.merge(child);
            }
            self.children.insert(VARIABLE.to_owned(), merged);
        }
        for child in self.children.values_mut() {
            child.collapse(MOST_NAMES);
        }
    }

    fn merge(&mut self, other: Node) {
        for (name, child) in other.children {
            self.children.entry(name).or_default().merge(child);
        }
    }

    fn write<'a>(&self, mut segments: impl Iterator<Item = &'a str>, out: &mut String) {
        let Some(segment) = segments.next() else {
            return;
        };
        out.push('/');
        let (name, child) = match self.children.get(segment) {
            Some(child) => (segment, Some(child)),
            None => (VARIABLE, self.children.get(VARIABLE)),
        };
        out.push_str(name);
        match child {
            Some(child) => child.write(segments, out),
            None => segments.for_each(|segment| {
                out.push('/');
                out.push_str(segment);
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, expected: &str) {
        let shape = shape(b"GET", target.as_bytes());
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
    }

    #[test]
    fn many_names_below_a_prefix_are_values() {
        let mut shapes: Vec<String> = (0..40)
            .map(|index| {
                let name = char::from(b'a' + index % 26);
                format!(
                    "GET /tags/{name}{name}{}/posts",
                    "x".repeat(usize::from(index))
                )
            })
            .collect();
        shapes.push("GET /tags".to_owned());
        shapes.push("POST /login".to_owned());
        shapes.push("OPTIONS *".to_owned());
        let templates = templates(shapes.iter().map(String::as_str));
        let mut distinct: Vec<&str> = templates.values().map(String::as_str).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(
            distinct,
            [
                "GET /tags",
                "GET /tags/{id}/posts",
                "OPTIONS *",
                "POST /login"
            ]
        );
    }
}
