//! How far the baseline answers as production did.

use std::collections::BTreeMap;

use serde::Serialize;

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
            Unequal::Difference => "difference",
        }
    }
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
