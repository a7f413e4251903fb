//! Patterns that take endpoints and other names, as files of rules write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A pattern for endpoints: `GET /products/{id}`, or `/products/**` for every method.
///
/// `*` stands for any text without a slash, `**` for any text. Where it is held against
/// requests, which have no template yet, `{id}` is any one segment too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    of_names: Vec<Token>,
    of_requests: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// Any text without a slash.
    Within,
    /// Any text.
    Any,
}

impl Pattern {
    /// Whether it takes an endpoint by its name in the report.
    pub fn takes_endpoint(&self, endpoint: &str) -> bool {
        let name = match (self.is_of_any_method(), endpoint.split_once(' ')) {
            (true, Some((_, path))) => path,
            _ => endpoint,
        };
        takes(&self.of_names, name.bytes())
    }

    /// Whether it takes a text that is no endpoint.
    pub(crate) fn takes_text(&self, text: &str) -> bool {
        takes(&self.of_names, text.bytes())
    }

    /// Whether it takes a request to `path`, which has no query.
    pub(crate) fn takes_request(&self, method: &[u8], path: &[u8]) -> bool {
        let path = path.iter().copied();
        if self.is_of_any_method() {
            return takes(&self.of_requests, path);
        }
        let method = method.iter().copied();
        takes(&self.of_requests, method.chain([b' ']).chain(path))
    }

    fn is_of_any_method(&self) -> bool {
        self.text.starts_with('/')
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        if text.is_empty() {
            return Err(
                "an empty pattern takes nothing; write `**` for everything, or leave it out"
                    .to_owned(),
            );
        }
        Ok(Pattern {
            text: text.to_owned(),
            of_names: tokens(text),
            of_requests: tokens(&without_variables(text)),
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

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match (byte, tokens.last_mut()) {
            (b'*', Some(last @ (Token::Within | Token::Any))) => *last = Token::Any,
            (b'*', _) => tokens.push(Token::Within),
            _ => tokens.push(Token::Byte(byte)),
        }
    }
    tokens
}

/// Whether tokens take all of a text, in one pass: paths come from anybody.
fn takes(tokens: &[Token], text: impl Iterator<Item = u8>) -> bool {
    let mut reached = vec![false; tokens.len() + 1];
    reached[0] = true;
    skip_empty(tokens, &mut reached);
    let mut next = reached.clone();
    for byte in text {
        next.fill(false);
        for (place, token) in tokens.iter().enumerate() {
            if !reached[place] {
                continue;
            }
            match token {
                Token::Byte(wanted) => next[place + 1] |= *wanted == byte,
                Token::Within => next[place] |= byte != b'/',
                Token::Any => next[place] = true,
            }
        }
        skip_empty(tokens, &mut next);
        std::mem::swap(&mut reached, &mut next);
    }
    reached[tokens.len()]
}

/// What stands for any text stands for none, too.
fn skip_empty(tokens: &[Token], reached: &mut [bool]) {
    for (place, token) in tokens.iter().enumerate() {
        if reached[place] && !matches!(token, Token::Byte(_)) {
            reached[place + 1] = true;
        }
    }
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
        let of = |text: &str, method: &str, path: &str| {
            pattern(text).takes_request(method.as_bytes(), path.as_bytes())
        };
        assert!(of("GET /products/{id}", "GET", "/products/17"));
        assert!(!of("GET /products/{id}", "GET", "/products/17/reviews"));
        assert!(!of("GET /products/{id}", "PUT", "/products/17"));
        assert!(of("/products/{id}.json", "PUT", "/products/17.json"));
        assert!(of("POST /a/{open", "POST", "/a/{open"));
    }

    #[test]
    fn many_stars_take_no_time() {
        let many = "a*".repeat(200) + "b";
        assert!(!of_name(&many, &"a".repeat(4000)));
        assert!(of_name("**a**a**", &"a".repeat(4000)));
    }

    fn of_name(text: &str, name: &str) -> bool {
        pattern(text).takes_endpoint(name)
    }

    #[test]
    fn nothing_is_no_pattern() {
        let error = "".parse::<Pattern>().expect_err("no pattern");
        assert!(error.contains("`**`"), "{error}");
    }
}
