//! How far the baseline answers as production did.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::compare::{Difference, Parsed, Side};
use crate::generated::says_time;
use crate::kind::Kind;

/// Counts of exchanges: equal, and unequal by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FidelityTally {
    pub(crate) equal: u64,
    pub(crate) unequal: BTreeMap<Unequal, u64>,
}

/// Why a captured exchange counts as unequal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unequal {
    /// A value that it needs was not to be had, so that it was not fired, or with
    /// the recorded one.
    Unbound,
    /// It was not fired for another cause.
    Skipped,
    /// A limit of the run refused it.
    Refused,
    /// The baseline gave no answer.
    Errored,
    /// It was fired before what it waited for was there.
    Late,
    /// The answers differ, and the recording leaves open in which order the request
    /// and a write of what it touches were taken.
    Race,
    /// The baseline lacks what production had: the thing itself, all of a list or some of it,
    /// or a value.
    MissingState,
    /// Something expired at the baseline, or all that differs are dates and times.
    Time,
    /// The answers differ otherwise.
    Difference,
}

impl Unequal {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            Unequal::Unbound => "unbound",
            Unequal::Skipped => "skipped",
            Unequal::Refused => "refused",
            Unequal::Errored => "errored",
            Unequal::Late => "late",
            Unequal::Race => "race",
            Unequal::MissingState => "missing_state",
            Unequal::Time => "time",
            Unequal::Difference => "difference",
        }
    }
}

/// Why the baseline answers otherwise than production did, as far as the answers show it.
pub(crate) fn cause(production: &Side<'_>, baseline: &Side<'_>, found: &[Difference]) -> Unequal {
    let statuses = (production.answer.head.status, baseline.answer.head.status);
    let mut open = found.iter().filter(|difference| difference.mask.is_none());
    match statuses {
        (..400, 404 | 410) => return Unequal::MissingState,
        (..400, 400..500) if says_expired(baseline) => return Unequal::Time,
        _ => {}
    }
    if open
        .clone()
        .any(|difference| is_lacking(production, baseline, difference))
    {
        return Unequal::MissingState;
    }
    match open.all(|difference| is_of_time(production, baseline, difference)) {
        true => Unequal::Time,
        false => Unequal::Difference,
    }
}

/// Whether the baseline has nothing, or less of a list, where production had something.
fn is_lacking(production: &Side<'_>, baseline: &Side<'_>, difference: &Difference) -> bool {
    if matches!(baseline.body, Parsed::Empty) && !matches!(production.body, Parsed::Empty) {
        return true;
    }
    if difference.kind == Kind::BodyMissing && difference.place.ends_with("/*") {
        return true;
    }
    let had = value_at(production, &difference.at_left).is_some_and(|value| !is_nothing(value));
    had && value_at(baseline, &difference.at_left).is_some_and(is_nothing)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn is_of_time(production: &Side<'_>, baseline: &Side<'_>, difference: &Difference) -> bool {
    let is_time = |side: &Side<'_>, at: &str| {
        value_at(side, at).is_some_and(|value| match value {
            Value::String(text) => says_time(text),
            Value::Number(number) => says_time(&number.to_string()),
            _ => false,
        })
    };
    is_time(production, &difference.at_left) && is_time(baseline, &difference.at_right)
}

fn value_at<'a>(side: &'a Side<'_>, at: &str) -> Option<&'a Value> {
    match &side.body {
        Parsed::Json(document) => document.pointer(at),
        _ => None,
    }
}

/// Whether an answer tells that something expired, in its body or in WWW-Authenticate.
fn says_expired(side: &Side<'_>) -> bool {
    let says = |text: &str| text.to_ascii_lowercase().contains("expired");
    let mut fields = side.answer.head.fields.iter();
    let in_body = match &side.body {
        Parsed::Json(document) => says(&document.to_string()),
        Parsed::Text(text) => says(text),
        _ => false,
    };
    in_body
        || fields.any(|field| {
            field.is("www-authenticate") && says(&String::from_utf8_lossy(&field.value))
        })
}

impl FidelityTally {
    pub(crate) fn add(&mut self, verdict: Result<(), Unequal>) {
        match verdict {
            Ok(()) => self.equal += 1,
            Err(cause) => *self.unequal.entry(cause).or_default() += 1,
        }
    }

    pub(crate) fn merge(&mut self, other: &FidelityTally) {
        self.equal += other.equal;
        for (cause, count) in &other.unequal {
            *self.unequal.entry(*cause).or_default() += count;
        }
    }

    /// All that could have been equal.
    pub(crate) fn exchanges(&self) -> u64 {
        self.equal + self.unequal.values().sum::<u64>()
    }

    /// Equal over all; 0 where there are none.
    pub(crate) fn ratio(&self) -> f64 {
        match self.exchanges() {
            0 => 0.0,
            all => self.equal as f64 / all as f64,
        }
    }
}
