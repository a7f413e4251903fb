//! The twins of a run file.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::run::values::{Authority, HookRequest, Span};

/// Both twins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// The release under test.
    pub candidate: TargetSettings,
    /// The release in production today.
    pub baseline: TargetSettings,
}

/// One twin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSettings {
    /// Its name in the report.
    #[serde(default)]
    pub name: Option<String>,
    /// `host:port`, or `http://host:port`.
    pub address: Authority,
    /// Brings its state back to what it is to begin with.
    #[serde(default)]
    pub reset: Option<Hook>,
    /// Succeeds once it can take requests.
    #[serde(default)]
    pub health: Option<Hook>,
}

/// The addresses that a name has in a run, in place of what it has elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Pins {
    /// One.
    One(IpAddr),
    /// Several, the first of which is used.
    Several(Vec<IpAddr>),
}

impl Pins {
    /// All of them.
    pub fn addresses(&self) -> &[IpAddr] {
        match self {
            Pins::One(address) => std::slice::from_ref(address),
            Pins::Several(addresses) => addresses,
        }
    }
}

/// A step before firing: a request or a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// `METHOD http://host:port/path`: a 2xx answer is success.
    #[serde(default)]
    pub request: Option<HookRequest>,
    /// A program and its arguments: exit status 0 is success.
    #[serde(default)]
    pub command: Vec<String>,
    /// The longest that it may take; a health hook is tried again until then.
    #[serde(default = "default_hook_timeout")]
    pub timeout: Span,
}

impl Targets {
    /// Each twin with its word.
    pub(crate) fn both(&self) -> [(&'static str, &TargetSettings); 2] {
        [("candidate", &self.candidate), ("baseline", &self.baseline)]
    }
}

fn default_hook_timeout() -> Span {
    Span(Duration::from_secs(60))
}
