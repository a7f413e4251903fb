//! Values of exchanges.

use std::cell::OnceCell;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::Value;
use serde_json_path::JsonPath;
use twintap_stream::Field;

use crate::compare::{Parsed, Side};
use crate::observation::{Body, Observation};

/// What is taken from an exchange.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Extractor {
    what: What,
    from: TakenFrom,
    factor: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Json(JsonPath),
    Header(String),
    Status,
}

/// Which message a value is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenFrom {
    /// The recorded one, the same for all three.
    Request,
    /// The answer.
    #[default]
    Response,
}

/// An extractor as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    json: Option<JsonPath>,
    header: Option<String>,
    #[serde(default)]
    status: bool,
    #[serde(default)]
    from: TakenFrom,
    #[serde(default = "one")]
    factor: f64,
}

fn one() -> f64 {
    1.0
}

impl TryFrom<Written> for Extractor {
    type Error = String;

    fn try_from(written: Written) -> Result<Extractor, String> {
        let what = match (written.json, written.header, written.status) {
            (Some(path), None, false) => What::Json(path),
            (None, Some(name), false) => What::Header(name),
            (None, None, true) => What::Status,
            _ => {
                return Err(
                    "a value needs exactly one of `json: $.path`, `header: name` and `status: true`"
                        .to_owned(),
                );
            }
        };
        if what == What::Status && written.from == TakenFrom::Request {
            return Err("a request has no status; leave out `from: request`".to_owned());
        }
        if !written.factor.is_finite() {
            return Err("`factor` must be a number".to_owned());
        }
        Ok(Extractor {
            what,
            from: written.from,
            factor: written.factor,
        })
    }
}

/// A value, as a number where it is one, and as a digest of its text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) number: Option<f64>,
    pub(super) text: u64,
}

impl Seen {
    /// 1 where something is so, else 0.
    pub(super) fn one(is_so: bool) -> Seen {
        Seen {
            number: Some(f64::from(u8::from(is_so))),
            text: u64::from(is_so),
        }
    }

    fn of_text(text: &str, factor: f64) -> Seen {
        let number: Option<f64> = text.trim().parse().ok();
        Seen {
            number: number
                .filter(|number| number.is_finite())
                .map(|number| number * factor),
            text: digest(text),
        }
    }

    fn of_json(value: &Value, factor: f64) -> Option<Seen> {
        match value {
            Value::Bool(is_so) => Some(Seen {
                number: Some(f64::from(u8::from(*is_so)) * factor),
                text: digest(if *is_so { "true" } else { "false" }),
            }),
            Value::Number(number) => Some(Seen {
                number: number.as_f64().map(|number| number * factor),
                text: digest(&number.to_string()),
            }),
            Value::String(text) => Some(Seen::of_text(text, factor)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Whether two say the same, as numbers where both are.
    pub(super) fn is_same(self, other: Seen) -> bool {
        match (self.number, other.number) {
            (Some(one), Some(other)) => one == other,
            _ => self.text == other.text,
        }
    }
}

/// What stands for a text where it needs no reading.
pub(super) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The recorded request, its body read when it is asked for.
pub(super) struct Asked<'a> {
    observation: &'a Observation,
    body: OnceCell<Option<Value>>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(observation: &'a Observation) -> Asked<'a> {
        Asked {
            observation,
            body: OnceCell::new(),
        }
    }

    fn json(&self) -> Option<&Value> {
        let read = || match &self.observation.request_body {
            Body::Whole(bytes) => serde_json::from_slice(bytes).ok(),
            Body::Digest { .. } => None,
        };
        self.body.get_or_init(read).as_ref()
    }
}

impl Extractor {
    /// The values of an exchange with this answer.
    pub(super) fn values(&self, asked: &Asked<'_>, answer: Option<&Side<'_>>) -> Vec<Seen> {
        match (&self.what, self.from) {
            (What::Status, _) => answer
                .map(|side| Seen {
                    number: Some(f64::from(side.answer.head.status) * self.factor),
                    text: digest(&side.answer.head.status.to_string()),
                })
                .into_iter()
                .collect(),
            (What::Header(name), TakenFrom::Request) => {
                self.fields(name, &asked.observation.request.fields)
            }
            (What::Header(name), TakenFrom::Response) => {
                answer.map_or_else(Vec::new, |side| self.fields(name, &side.answer.head.fields))
            }
            (What::Json(path), TakenFrom::Request) => self.nodes(path, asked.json()),
            (What::Json(path), TakenFrom::Response) => {
                let document = answer.and_then(|side| match &side.body {
                    Parsed::Json(document) => Some(document),
                    _ => None,
                });
                self.nodes(path, document)
            }
        }
    }

    /// The value, where there is exactly one.
    pub(super) fn value(&self, asked: &Asked<'_>, answer: Option<&Side<'_>>) -> Option<Seen> {
        match self.values(asked, answer)[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    fn fields(&self, name: &str, fields: &[Field]) -> Vec<Seen> {
        let named = fields.iter().filter(|field| field.is(name));
        named
            .map(|field| Seen::of_text(&String::from_utf8_lossy(&field.value), self.factor))
            .collect()
    }

    fn nodes(&self, path: &JsonPath, document: Option<&Value>) -> Vec<Seen> {
        let nodes = document.map(|document| path.query(document));
        nodes
            .into_iter()
            .flatten()
            .filter_map(|node| Seen::of_json(node, self.factor))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = serde_json::from_str::<Extractor>(text).expect_err("no extractor");
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }

    #[test]
    fn an_extractor_takes_one_thing() {
        check_error("{}", "exactly one of");
        check_error(r#"{"json": "$.a", "header": "b"}"#, "exactly one of");
        check_error(r#"{"status": true, "from": "request"}"#, "no status");
        check_error(r#"{"header": "a", "body": "b"}"#, "body");
    }

    #[test]
    fn values_are_the_same_as_numbers_or_as_texts() {
        let of = |text: &str| Seen::of_text(text, 1.0);
        assert!(of("1.50").is_same(of("1.5")));
        assert!(of("cat").is_same(of("cat")) && !of("cat").is_same(of("dog")));
        assert!(!of("1").is_same(of("one")));
        assert_eq!(Seen::of_json(&Value::Null, 1.0), None);
        assert_eq!(
            Seen::of_json(&Value::from(200), 0.5).and_then(|seen| seen.number),
            Some(100.0)
        );
    }
}
