//! Exchanges that are looked at one by one, beside what is counted.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use crate::compare::{Mask, Side, Witness};
use crate::evidence::{self, Evidence};
use crate::kind::Kind;
use crate::passing::{ANSWER, Passing};
use crate::report::RunLedgers;

/// An exchange that was looked at on its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closeup {
    /// The exchange with all answers, in full as far as they are no longer than 64 Ki
    /// characters.
    pub exchange: Evidence,
    /// Whether candidate and baseline did the same request, and the baseline answered.
    pub is_compared: bool,
    /// Where candidate and baseline differ, masked places aside.
    pub differences: Vec<Shown>,
}

/// A difference that one exchange shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What differs.
    pub kind: Kind,
    /// Where, as in [`Finding::location`](crate::Finding::location).
    pub location: String,
    /// The very place.
    pub at: String,
    /// What changed into what, in a few words.
    pub change: String,
    /// Whether the baseline differs from production there, too.
    pub is_noisy: bool,
}

/// What came of exchanges that were fired apart from a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Refired {
    /// Those that were to be looked at, in the order of the plan.
    pub exchanges: Vec<Closeup>,
    /// Of all that was fired for their sake.
    pub ledgers: RunLedgers,
}

/// Which exchanges are to be looked at, and what was seen of them.
#[derive(Debug, Default)]
pub(crate) struct Closeups {
    pub(crate) wanted: HashSet<u32>,
    pub(crate) seen: Vec<Closeup>,
}

/// The exchange of an observation on its own.
pub(crate) fn closeup(passing: &Passing<'_>) -> Closeup {
    let observation = passing.observation;
    let is_sound = [&observation.baseline, &observation.candidate]
        .iter()
        .all(|outcome| !outcome.is_unbound() && !outcome.is_late());
    let sides = passing.baseline.as_ref().zip(passing.candidate.as_ref());
    let sides = sides.filter(|_| is_sound);
    let mut differences = sides.map_or_else(Vec::new, |(baseline, candidate)| {
        differences(passing, baseline, candidate)
    });
    let lacking = passing.lacking().filter(|_| is_sound);
    differences.extend(lacking.map(|change| Shown {
        kind: Kind::Error,
        location: ANSWER.to_owned(),
        at: ANSWER.to_owned(),
        change,
        is_noisy: false,
    }));
    let first = differences.first();
    let change = first.map_or("", |difference| difference.change.as_str());
    Closeup {
        exchange: evidence::in_full(observation, ANSWER, change),
        is_compared: sides.is_some() || !differences.is_empty(),
        differences,
    }
}

fn differences(passing: &Passing<'_>, baseline: &Side<'_>, candidate: &Side<'_>) -> Vec<Shown> {
    let production = passing.production.as_ref();
    let noise = production.map_or_else(Vec::new, |production| {
        passing.compare(production, baseline, Witness::NotNeeded)
    });
    let noisy: BTreeSet<String> = noise
        .into_iter()
        .filter(|difference| difference.mask.is_none())
        .map(|difference| difference.place)
        .collect();
    passing
        .compare(baseline, candidate, passing.witness())
        .into_iter()
        .filter(|difference| matches!(difference.mask, None | Some(Mask::Unwitnessed)))
        .map(|difference| Shown {
            kind: difference.kind,
            is_noisy: noisy.contains(&difference.place),
            at: match difference.kind {
                Kind::BodyAdded | Kind::HeaderAdded => difference.at_right,
                _ => difference.at_left,
            },
            location: difference.place,
            change: difference.note,
        })
        .collect()
}
