//! Patterns that a run file gives for endpoints.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::path_of;

/// A template that requests are called by: `GET /api/{version}/items/{id}`.
///
/// `{name}` stands for one segment, or for what varies in one (`{id}.json`); as the last
/// segment `{name...}` stands for all that follows. Without a method, any is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointPattern {
    method: Option<String>,
    path: String,
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no endpoint: write `GET /items/{{id}}`, or the path alone for any method")]
pub struct PatternError(String);

impl TryFrom<String> for EndpointPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<EndpointPattern, PatternError> {
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method.to_owned()), path.to_owned()),
            None => (None, text.clone()),
        };
        let is_method = method.as_ref().is_none_or(|method| {
            !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase())
        });
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let are_sound = segments.iter().enumerate().all(|(index, segment)| {
            let is_last = index + 1 == segments.len();
            is_sound(segment) && (is_last || !is_rest(segment))
        });
        let is_path = path.starts_with('/') && !path.contains([' ', '?', '#']);
        (is_method && is_path && are_sound)
            .then_some(EndpointPattern { method, path })
            .ok_or(PatternError(text))
    }
}

impl From<EndpointPattern> for String {
    fn from(pattern: EndpointPattern) -> String {
        pattern.to_string()
    }
}

impl fmt::Display for EndpointPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = &self.method {
            write!(f, "{method} ")?;
        }
        f.write_str(&self.path)
    }
}

impl EndpointPattern {
    /// Whether the pattern takes a request of this method and target, in any of its forms.
    #[must_use]
    pub fn matches(&self, method: &str, target: &str) -> bool {
        self.name(method, path_of(target)).is_some()
    }

    /// What a request is called that the pattern takes.
    pub(crate) fn name(&self, method: &str, path: &str) -> Option<String> {
        let is_method = self.method.as_ref().is_none_or(|wanted| wanted == method);
        (is_method && takes(&self.path, path)).then(|| format!("{method} {}", self.path))
    }
}

/// At most one `{name}`, and no other brace.
fn is_sound(segment: &str) -> bool {
    match varying(segment) {
        Some((before, name, after)) => {
            !name.is_empty() && ![before, name, after].concat().contains(['{', '}'])
        }
        None => !segment.contains(['{', '}']),
    }
}

/// What stands before, in, and after the braces of a segment.
fn varying(segment: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = segment.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// Whether a segment stands for all that follows.
fn is_rest(segment: &str) -> bool {
    varying(segment).is_some_and(|(_, name, _)| name.ends_with("..."))
}

fn takes(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        if is_rest(wanted) {
            return segments.next().is_some();
        }
        let Some(segment) = segments.next() else {
            return false;
        };
        let is_taken = match varying(wanted) {
            None => segment == wanted,
            Some((before, _, after)) => segment
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|value| !value.is_empty()),
        };
        if !is_taken {
            return false;
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<EndpointPattern, PatternError> {
        EndpointPattern::try_from(text.to_owned())
    }

    #[track_caller]
    fn check(text: &str, path: &str, expected: Option<&str>) {
        let pattern = pattern(text).expect("a pattern");
        assert_eq!(String::from(pattern.clone()), text);
        assert_eq!(pattern.name("GET", path).as_deref(), expected);
    }

    #[test]
    fn segments_stand_for_themselves_or_for_what_varies() {
        let items = "GET /api/{version}/items/{id}";
        check(items, "/api/v2/items/red", Some(items));
        check(items, "/api/v2/items", None);
        check(items, "/api/v2/items/", None);
        check(items, "/api/v2/items/red/size", None);
        check("POST /items", "/items", None);
        check("/items", "/items", Some("GET /items"));
        check(
            "/img/{name}.png",
            "/img/tea.png",
            Some("GET /img/{name}.png"),
        );
        check("/img/{name}.png", "/img/.png", None);
        check(
            "/static/{file...}",
            "/static/js/a.js",
            Some("GET /static/{file...}"),
        );
        check("/static/{file...}", "/static", None);
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for text in [
            "",
            "items",
            "get /items",
            "GET",
            "GET /a b",
            "/a?b=1",
            "/{}",
            "/{a}{b}",
            "/a}",
            "/{rest...}/a",
        ] {
            assert_eq!(pattern(text), Err(PatternError(text.to_owned())), "{text}");
        }
    }
}
