//! Policies: what may be stored as it is, and what takes the place of the rest.

mod glob;
mod idle;
mod looking;
mod view;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::glob::Glob;
pub use self::idle::IdleRule;
pub use self::looking::Canaries;
pub(crate) use self::looking::{LookAt, SecondLook};
pub(crate) use self::view::{Decision, Route, Ruled, View, Views};
use crate::class::Class;
use crate::record::PolicyHash;

/// The rules of scrubbing. `docs/policy.md` says what each key means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    version: Version,
    #[serde(default)]
    base: Base,
    #[serde(default)]
    keep_opaque: bool,
    #[serde(default)]
    pub(crate) client_addresses: Keep,
    #[serde(default)]
    pub(crate) names: Keep,
    #[serde(default)]
    pub(crate) prefixes: Vec<Prefix>,
    #[serde(default)]
    pub(crate) limits: Limits,
    // Left out where it says nothing of its own: the policy's hash stays what it was.
    #[serde(default, skip_serializing_if = "SecondLook::is_default")]
    pub(crate) second_look: SecondLook,
    #[serde(default, skip_serializing_if = "Canaries::is_default")]
    canaries: Canaries,
    #[serde(default)]
    pub(crate) classes: Classes,
    #[serde(default)]
    pub(crate) bodies: Vec<BodyRule>,
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
}

/// A text that is no policy.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{source_name}: not a policy: {problem}")]
pub struct PolicyError {
    /// Where the text came from.
    pub source_name: String,
    /// Line and column, from 1, where they are known.
    pub position: Option<(u64, u64)>,
    /// The key or the value, its line, and what would be right.
    pub problem: String,
}

impl Policy {
    /// What ships: everything that no rule allows is scrubbed.
    #[must_use]
    pub fn default_policy() -> Policy {
        shipped(include_str!("../../../../deploy/policies/default.yaml"))
    }

    /// Keeps everything byte for byte, and still names and tags every value.
    #[must_use]
    pub fn allow_all() -> Policy {
        shipped(include_str!("../../../../deploy/policies/allow-all.yaml"))
    }

    /// Reads a policy; `source_name` is for messages.
    ///
    /// # Errors
    /// [`PolicyError`] names the key or value, its line, and what would be right.
    pub fn from_yaml(text: &str, source_name: &str) -> Result<Policy, PolicyError> {
        let policy: Policy = serde_saphyr::from_str(text).map_err(|error| {
            let problem = error.to_string();
            let problem = problem.strip_prefix("error: ").unwrap_or(&problem);
            PolicyError {
                source_name: source_name.to_owned(),
                position: error
                    .location()
                    .map(|location| (location.line(), location.column())),
                problem: problem.replace("--> <input>:", &format!("--> {source_name}:")),
            }
        })?;
        Ok(policy.on_its_base())
    }

    /// The hash that names this version of the policy.
    #[must_use]
    pub fn hash(&self) -> PolicyHash {
        // A `Value` holds its members sorted, and a policy has no key that is no string.
        let canonical = serde_json::to_value(self)
            .map(|value| value.to_string())
            .unwrap_or_default();
        let hex = blake3::hash(canonical.as_bytes()).to_hex();
        PolicyHash(hex[..32].to_owned())
    }

    /// What is to be done with canaries at the start.
    #[must_use]
    pub fn canaries(&self) -> Canaries {
        self.canaries
    }

    /// Whether bytes of flows that no parser claims may be stored.
    #[must_use]
    pub fn keep_opaque(&self) -> bool {
        self.keep_opaque
    }
}

impl Policy {
    /// What heads of quarantined messages go through: filler for every value.
    pub(crate) fn quarantine() -> Policy {
        Policy {
            version: Version,
            base: Base::None,
            keep_opaque: false,
            client_addresses: Keep::Pseudonym,
            names: Keep::Pseudonym,
            prefixes: Vec::new(),
            limits: Limits::default(),
            second_look: SecondLook::default(),
            canaries: Canaries::Nothing,
            classes: Classes::all(ValueAction::Replace),
            bodies: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// The routes and places that rules allow, those that are about names alone apart.
    pub(crate) fn allowances(&self) -> impl Iterator<Item = (Option<&On>, &[Glob])> {
        let rules = self.rules.iter();
        let allowing = rules.filter(|rule| rule.action == RuleAction::Allow);
        let placed = allowing.filter(|rule| !rule.at.is_empty() || rule.names.is_empty());
        placed.map(|rule| (rule.on.as_ref(), &rule.at[..]))
    }

    /// The same policy, which looks at everything if it looks at anything.
    pub(crate) fn with_whole_look(mut self) -> Policy {
        if self.second_look.look_at != LookAt::Nothing {
            self.second_look.look_at = LookAt::All;
        }
        self
    }

    /// Has the rules of the base follow the policy's own.
    fn on_its_base(mut self) -> Policy {
        if self.base == Base::Default {
            let base = Policy::default_policy();
            self.base = Base::None;
            self.bodies.extend(base.bodies);
            self.rules.extend(base.rules);
            self.classes = self.classes.or(base.classes);
        }
        self
    }
}

/// Reads a policy that is part of the program; a test reads them all.
fn shipped(text: &str) -> Policy {
    match Policy::from_yaml(text, "shipped policy") {
        Ok(policy) => policy,
        Err(error) => unreachable!("{error}"),
    }
}

/// The only version there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WholeNumber", into = "u64")]
struct Version;

impl TryFrom<WholeNumber> for Version {
    type Error = String;

    fn try_from(version: WholeNumber) -> Result<Version, String> {
        match version.0 {
            1 => Ok(Version),
            other => Err(format!("version {other} is not known, expected version 1")),
        }
    }
}

impl From<Version> for u64 {
    fn from(_: Version) -> u64 {
        1
    }
}

/// What a policy's own rules come before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Base {
    /// The policy that ships.
    #[default]
    Default,
    /// Nothing: every value gets a pseudonym.
    None,
}

/// Whether something is kept as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Keep {
    Allow,
    #[default]
    Pseudonym,
}

/// A beginning that pseudonyms keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Prefix(String);

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Prefix, String> {
        let is_word = text.trim_end_matches(['_', '-', ':', '.']);
        if !is_word.is_empty() && is_word != text && text.len() <= 16 && text.is_ascii() {
            Ok(Prefix(text))
        } else {
            Err(format!(
                "{text:?} is no prefix, expected at most 16 ASCII characters that end with _ - : or ., such as ord_"
            ))
        }
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> String {
        prefix.0
    }
}

/// Sizes beyond which a body is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// The largest body that is scrubbed.
    pub(crate) body_bytes: SizeBytes,
    /// The largest such body once its content coding is undone.
    pub(crate) decoded_body_bytes: SizeBytes,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: SizeBytes(1 << 20),
            decoded_body_bytes: SizeBytes(8 << 20),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WholeNumber", into = "u64")]
pub(crate) struct SizeBytes(usize);

impl SizeBytes {
    pub(crate) fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<WholeNumber> for SizeBytes {
    type Error = String;

    fn try_from(WholeNumber(bytes): WholeNumber) -> Result<SizeBytes, String> {
        match usize::try_from(bytes) {
            Ok(size @ 0..=MOST_BYTES) => Ok(SizeBytes(size)),
            _ => Err(format!(
                "{bytes} bytes are too many, expected at most {MOST_BYTES}"
            )),
        }
    }
}

/// Spans are 32 bits wide, and scrubbing may make a body longer.
const MOST_BYTES: usize = 256 << 20;

impl From<SizeBytes> for u64 {
    fn from(size: SizeBytes) -> u64 {
        size.0 as u64
    }
}

/// A number whose refusal says what was expected.
struct WholeNumber(u64);

impl<'de> Deserialize<'de> for WholeNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = WholeNumber;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number, written with digits alone")
            }

            fn visit_u64<E>(self, number: u64) -> Result<WholeNumber, E> {
                Ok(WholeNumber(number))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<WholeNumber, E> {
                u64::try_from(number)
                    .map(WholeNumber)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What happens to a value that no rule names; a pseudonym where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Classes {
    text: Option<ValueAction>,
    word: Option<ValueAction>,
    number: Option<ValueAction>,
    long_number: Option<ValueAction>,
    boolean: Option<ValueAction>,
    nothing: Option<ValueAction>,
    timestamp: Option<ValueAction>,
    path_word: Option<ValueAction>,
    path_number: Option<ValueAction>,
}

impl Classes {
    pub(crate) fn action(&self, class: Class) -> ValueAction {
        let action = match class {
            Class::Text => self.text,
            Class::Word => self.word,
            Class::Number => self.number,
            Class::LongNumber => self.long_number,
            Class::Boolean => self.boolean,
            Class::Nothing => self.nothing,
            Class::Timestamp => self.timestamp,
            Class::PathWord => self.path_word,
            Class::PathNumber => self.path_number,
        };
        action.unwrap_or(ValueAction::Pseudonym)
    }

    fn all(action: ValueAction) -> Classes {
        let every = Some(action);
        Classes {
            text: every,
            word: every,
            number: every,
            long_number: every,
            boolean: every,
            nothing: every,
            timestamp: every,
            path_word: every,
            path_number: every,
        }
    }

    fn or(self, base: Classes) -> Classes {
        Classes {
            text: self.text.or(base.text),
            word: self.word.or(base.word),
            number: self.number.or(base.number),
            long_number: self.long_number.or(base.long_number),
            boolean: self.boolean.or(base.boolean),
            nothing: self.nothing.or(base.nothing),
            timestamp: self.timestamp.or(base.timestamp),
            path_word: self.path_word.or(base.path_word),
            path_number: self.path_number.or(base.path_number),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ValueAction {
    Allow,
    Pseudonym,
    Replace,
}

/// What happens to bodies of some media types. The first that matches counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BodyRule {
    /// Why; for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    pub(crate) types: Vec<Glob>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on: Option<On>,
    #[serde(rename = "do")]
    pub(crate) action: BodyAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyAction {
    Allow,
    Scrub,
    Drop,
}

/// What happens to some values. The first rule that matches counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Why; for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on: Option<On>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) at: Vec<Glob>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<Glob>,
    #[serde(rename = "do")]
    pub(crate) action: RuleAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuleAction {
    Allow,
    Pseudonym,
    Replace,
    DropBody,
}

/// The exchanges that a rule is about; what is left out is about all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct On {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) methods: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) paths: Vec<Glob>,
}
