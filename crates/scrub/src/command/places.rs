//! What the values of a document are called, and which are none.

use std::ops::Range;

use crate::find::{Found, Visit};
use crate::leaf::Encoding;
use crate::names;
use crate::snapshot::redis::asked::{Asked, key_parts};

/// Whose document it is.
pub(super) enum What {
    /// A command's, with these arguments.
    Request(Vec<Asked>),
    /// A reply's, whose result at hand is of this table.
    Response { table: Option<String> },
}

/// The visitor that gives values their names, and passes over what is no value.
pub(super) struct Places<'a, V> {
    src: &'a [u8],
    what: What,
    visit: &'a mut V,
}

/// What Redis says of itself.
const STATUSES: &[&str] = &["OK", "PONG", "QUEUED", "RESET", "Background saving started"];

/// Steps of a transaction.
const STEPS: &[&str] = &["begin", "inside", "commit", "rollback"];

/// What a value is called.
enum Named {
    /// It is no value.
    Kept,
    As(String),
}

impl<'a, V: Visit> Places<'a, V> {
    pub(super) fn new(src: &'a [u8], what: What, visit: &'a mut V) -> Places<'a, V> {
        Places { src, what, visit }
    }

    fn named(&mut self, found: &Found<'_>, raw: &str) -> Named {
        let mut parts = found
            .path
            .strip_prefix("json./")
            .unwrap_or_default()
            .split('/');
        let first = parts.next().unwrap_or_default();
        let kept_if = |is_kept: bool, place: &str| match is_kept {
            true => Named::Kept,
            false => Named::As(place.to_owned()),
        };
        let is_literal = found.encoding == Encoding::JsonLiteral;
        match (first, &mut self.what) {
            ("cut" | "unordered", _) => kept_if(is_literal, "cut"),
            // Its literals were scrubbed before.
            ("statement", What::Request(_)) => Named::Kept,
            ("transaction", What::Request(_)) => {
                kept_if(is_literal || STEPS.contains(&raw), "transaction")
            }
            ("prepared", What::Request(_)) => kept_if(names::is_structural(raw), "sql.prepared"),
            ("arguments", What::Request(arguments)) => {
                let index = parts.next().and_then(|index| index.parse::<usize>().ok());
                match index.and_then(|index| arguments.get(index)) {
                    Some(Asked::Kept | Asked::Secret) => Named::Kept,
                    Some(Asked::Value(place)) => Named::As(place.clone()),
                    // Only a key in bytes comes here.
                    Some(Asked::Key) => Named::As("redis.key".to_owned()),
                    None => Named::As("argument".to_owned()),
                }
            }
            ("results", What::Response { table }) => {
                let member = parts.nth(1).unwrap_or_default();
                let column = |name: &str| match &table {
                    Some(table) => Named::As(format!("sql.{table}.{name}")),
                    None => Named::As(format!("sql.{name}")),
                };
                match member {
                    "table" if names::is_structural(raw) => {
                        *table = Some(raw.to_owned());
                        Named::Kept
                    }
                    "columns" => {
                        let is_name = names::is_structural(raw) || is_expression(raw);
                        kept_if(is_name, "sql.name")
                    }
                    "affected" | "parameters" | "suspended" | "unordered" => {
                        kept_if(is_literal, "sql.value")
                    }
                    "tag" => kept_if(is_tag(raw), "sql.value"),
                    "rows" => {
                        let name = parts.nth(1).unwrap_or_default();
                        column(name.split('#').next().unwrap_or_default())
                    }
                    "last_insert_id" => column("last_insert_id"),
                    "copy" => column("copy"),
                    _ => Named::As("sql.value".to_owned()),
                }
            }
            ("error", What::Response { .. }) => match parts.next() {
                Some("code" | "state") => kept_if(is_code(raw), "error.code"),
                _ => Named::As("error.message".to_owned()),
            },
            ("reply", What::Response { .. }) if STATUSES.contains(&raw) => Named::Kept,
            ("reply", What::Response { .. }) => match parts.next_back() {
                Some(name) if name.parse::<usize>().is_err() && found.name == name => {
                    Named::As(format!("redis.field.{name}"))
                }
                _ => Named::As("redis.value".to_owned()),
            },
            ("text", What::Response { .. }) => Named::As("text".to_owned()),
            _ => Named::As(found.place.to_owned()),
        }
    }

    /// Reports each part of a key.
    fn key(&mut self, found: &Found<'_>) {
        let src = self.src;
        let written = src.get(found.span.clone()).unwrap_or_default();
        for (index, (place, span)) in key_parts(written).enumerate() {
            let name = place.rsplit('.').next().unwrap_or_default();
            self.visit.leaf(Found {
                path: &format!("{}/{index}", found.path),
                place: &place,
                name,
                is_in_path: true,
                span: found.span.start + span.start..found.span.start + span.end,
                encoding: found.encoding,
                has_escapes: found.has_escapes,
                ruled: None,
            });
        }
    }

    /// Whether the value is a key.
    fn is_key(&self, found: &Found<'_>) -> bool {
        let What::Request(arguments) = &self.what else {
            return false;
        };
        let index = found.path.strip_prefix("json./arguments/");
        let index = index.and_then(|index| index.parse::<usize>().ok());
        let asked = index.and_then(|index| arguments.get(index));
        asked == Some(&Asked::Key) && found.encoding == Encoding::JsonString
    }
}

impl<V: Visit> Visit for Places<'_, V> {
    fn odd_name(&mut self, name: &str, span: Range<usize>, encoding: Encoding) -> Option<String> {
        match is_expression(name) {
            true => None,
            false => self.visit.odd_name(name, span, encoding),
        }
    }

    fn leaf(&mut self, found: Found<'_>) {
        if self.is_key(&found) {
            return self.key(&found);
        }
        let raw = found.raw(self.src);
        let raw = String::from_utf8_lossy(&raw).into_owned();
        let Named::As(place) = self.named(&found, &raw) else {
            return;
        };
        let name = place.rsplit('.').next().unwrap_or_default();
        self.visit.leaf(Found {
            place: &place,
            name,
            ruled: None,
            ..found
        });
    }

    fn is_done(&self) -> bool {
        self.visit.is_done()
    }
}

/// A command's tag: words in capitals and small numbers, or what MySQL says of rows.
fn is_tag(raw: &str) -> bool {
    raw.len() <= 80
        && raw.split([' ', ':']).all(|word| {
            let is_number = word.len() <= 9 && word.bytes().all(|byte| byte.is_ascii_digit());
            let is_word = word.bytes().all(|byte| byte.is_ascii_uppercase());
            is_number
                || is_word
                || [
                    "Rows",
                    "matched",
                    "Changed",
                    "Warnings",
                    "Records",
                    "Duplicates",
                ]
                .contains(&word)
        })
}

/// An error's code: capitals and digits.
fn is_code(raw: &str) -> bool {
    (1..=16).contains(&raw.len())
        && raw
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// What a column without a name is called: `count(*)`, `max(price)`, `?column?`.
fn is_expression(name: &str) -> bool {
    let inside = name.strip_suffix(')').and_then(|name| name.split_once('('));
    let is_call = |(function, inside): (&str, &str)| {
        names::is_structural(function) && (inside == "*" || names::is_structural(inside))
    };
    name == "?column?" || inside.is_some_and(is_call)
}
