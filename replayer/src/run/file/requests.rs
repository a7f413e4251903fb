//! Which requests of a run file are fired, and what is changed in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use twintap_plan::FilterProtocol;

use crate::fire::rewrite::Place;
use crate::run::values::Instant;

/// What is changed in each request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewriteSettings {
    /// Host: `keep`, `target`, or another text.
    pub host: PlaceSetting,
    /// Origin and the origin in Referer: `keep`, `target`, or another text.
    pub origin: PlaceSetting,
    /// The attribute `Secure` of cookies.
    pub secure_cookies: SecureCookies,
    /// New values for fields that a recorded request has.
    pub headers: BTreeMap<String, String>,
}

/// What becomes of the attribute `Secure` of cookies before answers are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecureCookies {
    /// It is compared.
    #[default]
    Keep,
    /// It is taken out of all answers: twins reached over plain HTTP may leave it
    /// out where production, behind TLS, sets it.
    Drop,
}

/// `keep`, `target`, or another text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct PlaceSetting(pub Place);

/// Which requests are fired; what is empty or absent excludes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterSettings {
    /// Methods, case-sensitive.
    pub methods: Vec<String>,
    /// What the path begins with, as it is after scrubbing.
    pub path_prefixes: Vec<String>,
    /// Sessions by name.
    pub sessions: Vec<String>,
    /// What they speak.
    pub protocols: Vec<FilterProtocol>,
    /// The first instant, RFC 3339.
    pub from: Option<Instant>,
    /// The first instant no longer wanted, RFC 3339.
    pub to: Option<Instant>,
}

impl From<String> for PlaceSetting {
    fn from(text: String) -> PlaceSetting {
        PlaceSetting(match text.as_str() {
            "keep" => Place::Keep,
            "target" => Place::Target,
            _ => Place::Text(text),
        })
    }
}

impl From<PlaceSetting> for String {
    fn from(setting: PlaceSetting) -> String {
        match setting.0 {
            Place::Keep => "keep".to_owned(),
            Place::Target => "target".to_owned(),
            Place::Text(text) => text,
        }
    }
}
