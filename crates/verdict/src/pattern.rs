//! Patterns that take endpoints and other names, as files of rules write them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twintap_scrub::Glob;

/// A pattern for endpoints: `GET /products/{id}`, or `/products/**` for every method; stars
/// are those of [`Glob`].
///
/// Where it is held against requests, which have no template yet, `{id}` is any one segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    of_names: Glob,
    of_requests: Glob,
}

impl Pattern {
    /// Whether it takes an endpoint by its name in the report.
    pub fn takes_endpoint(&self, endpoint: &str) -> bool {
        let name = match (self.is_of_any_method(), endpoint.split_once(' ')) {
            (true, Some((_, path))) => path,
            _ => endpoint,
        };
        self.of_names.matches(name)
    }

    /// Whether it takes a text that is no endpoint.
    pub(crate) fn takes_text(&self, text: &str) -> bool {
        self.of_names.matches(text)
    }

    /// Whether it takes a request to `path`, which has no query.
    pub(crate) fn takes_request(&self, method: &str, path: &str) -> bool {
        match self.is_of_any_method() {
            true => self.of_requests.matches(path),
            false => self.of_requests.matches(&format!("{method} {path}")),
        }
    }

    /// Whether it takes a place, at any endpoint if it begins with `/`, and else after an
    /// endpoint that may have no template yet: `GET /products/{id} /tags`.
    pub(crate) fn takes_place(&self, endpoint: &str, place: &str) -> bool {
        match self.is_of_any_method() {
            true => self.of_names.matches(place),
            false => self.of_requests.matches(&format!("{endpoint} {place}")),
        }
    }

    fn is_of_any_method(&self) -> bool {
        self.text.starts_with('/')
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Pattern) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Pattern) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        Ok(Pattern {
            text: text.to_owned(),
            of_names: text.to_owned().try_into()?,
            of_requests: without_variables(text).try_into()?,
        })
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Pattern, String> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// With `*` for each `{name}`.
fn without_variables(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.push('*');
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().expect("a pattern")
    }

    #[track_caller]
    fn check(text: &str, taken: &[&str], left: &[&str]) {
        let pattern = pattern(text);
        for name in taken {
            assert!(pattern.takes_endpoint(name), "{text} takes {name}");
        }
        for name in left {
            assert!(!pattern.takes_endpoint(name), "{text} leaves {name}");
        }
    }

    #[test]
    fn names_are_taken_by_template() {
        check(
            "GET /products/{id}",
            &["GET /products/{id}"],
            &[
                "GET /products/search",
                "POST /products/{id}",
                "GET /products",
            ],
        );
        check(
            "/products/*",
            &["GET /products/{id}", "DELETE /products/x"],
            &["GET /products/{id}/reviews", "GET /products"],
        );
        check("GET **", &["GET /", "GET /a/b/c"], &["POST /a"]);
        check("**", &["GET /a/b", "the process"], &[]);
        check("the process", &["the process"], &["GET /the"]);
        check("/a/*/c*", &["GET /a//c", "GET /a/b/cc"], &["GET /a/b/b/c"]);
    }

    #[test]
    fn requests_are_taken_with_their_values() {
        let of = |text: &str, method: &str, path: &str| pattern(text).takes_request(method, path);
        assert!(of("GET /products/{id}", "GET", "/products/17"));
        assert!(!of("GET /products/{id}", "GET", "/products/17/reviews"));
        assert!(!of("GET /products/{id}", "PUT", "/products/17"));
        assert!(of("/products/{id}.json", "PUT", "/products/17.json"));
        assert!(of("POST /a/{open", "POST", "/a/{open"));
    }

    #[test]
    fn nothing_is_no_pattern() {
        let error = "".parse::<Pattern>().expect_err("no pattern");
        assert!(error.contains("`**`"), "{error}");
    }
}
