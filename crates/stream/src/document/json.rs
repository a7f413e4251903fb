//! JSON values that keep the order of their members, and how much may be made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Number;

use super::DocumentLimits;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// Bytes that are no text: `{"base64": "..."}`.
    Base64(Vec<u8>),
    List(Vec<Json>),
    /// Each name once.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A string, or bytes in base64 where they are no UTF-8.
    pub fn text(bytes: &[u8]) -> Json {
        match std::str::from_utf8(bytes) {
            Ok(text) => Json::Text(text.to_owned()),
            Err(_) => Json::Base64(bytes.to_vec()),
        }
    }

    /// A number where JSON can say it exactly, else its digits as a string.
    pub fn number(digits: &str) -> Json {
        let integer = digits.parse().map(|number: i64| Number::from(number));
        let integer = integer.or_else(|_| digits.parse().map(|number: u64| Number::from(number)));
        let float = || Number::from_f64(digits.parse().ok()?);
        let number = integer.ok().or_else(float);
        number.map_or_else(|| Json::Text(digits.to_owned()), Json::Number)
    }

    pub fn to_bytes(&self) -> Bytes {
        // Writing to memory fails for no value of these.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(bool) => serializer.serialize_bool(*bool),
            Json::Number(number) => number.serialize(serializer),
            Json::Text(text) => serializer.serialize_str(text),
            Json::Base64(bytes) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("base64", &STANDARD.encode(bytes))?;
                map.end()
            }
            Json::List(list) => list.serialize(serializer),
            Json::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// What one value costs beside its bytes: quotes, a comma.
const VALUE_BYTES: usize = 3;

/// What may still be made of a document.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    bytes: usize,
    rows: usize,
    /// Nothing more is read.
    is_stopped: bool,
    /// Something is missing at the end of what is read.
    is_short: bool,
}

impl Budget {
    pub fn new(limits: DocumentLimits) -> Budget {
        Budget {
            bytes: limits.bytes,
            rows: limits.rows,
            is_stopped: false,
            is_short: false,
        }
    }

    /// Takes so many bytes of a value; past the end of the budget nothing more is read.
    pub fn take(&mut self, bytes: usize) {
        let cost = bytes.saturating_add(VALUE_BYTES);
        match self.bytes.checked_sub(cost) {
            Some(left) => self.bytes = left,
            None => self.stop(),
        }
    }

    /// A string that is paid for; null where there is no room for it.
    pub fn text(&mut self, bytes: &[u8]) -> Json {
        let json = Json::text(bytes);
        self.take(match &json {
            Json::Base64(bytes) => bytes.len() / 3 * 4 + 12,
            _ => bytes.len(),
        });
        match self.is_stopped {
            true => Json::Null,
            false => json,
        }
    }

    /// Takes a row.
    pub fn row(&mut self) {
        match self.rows.checked_sub(1) {
            Some(left) => self.rows = left,
            None => self.stop(),
        }
    }

    /// Nothing more is read: what there is can't be, or there is no room.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// What is read ends before its message does.
    pub fn stop_after(&mut self) {
        self.is_short = true;
    }

    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Something was left out.
    pub fn is_over(&self) -> bool {
        self.is_stopped || self.is_short
    }
}
