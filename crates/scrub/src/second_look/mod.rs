//! The second look: the detectors over what scrubbing would let through.
//!
//! It goes by what is to be stored and by what its leaves say was done. A value that
//! scrubbing allowed is searched; a pseudonym is not, since it has the form of what it
//! stands for. What is between the values is searched for what no name is like.

mod budget;
mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use twintap_stream::{Field, Timestamp};

use self::budget::Budget;
use self::search::{Allowed, Text};
use crate::key::Keys;
use crate::leaf::{Leaf, Part};
use crate::policy::{Glob, LookAt, SecondLook as Settings};
use crate::record::ExchangeRecord;

/// Why the bodies of a quarantined exchange are dropped.
pub(crate) const QUARANTINED: &str = "second_look";

/// What was found, and where: nothing of the value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hit {
    /// The leaf's path; `structure` for what is between the values of a body.
    pub path: String,
    /// The word of the kind, such as `card`.
    pub kind: String,
    /// How sure that is, from 50 to 100.
    pub score: u8,
}

/// What the second look did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SecondLookCounts {
    /// Bytes of heads and bodies that were looked at.
    pub looked_bytes: u64,
    /// Bytes that were not: beyond the budget, or of a body that is stored as it comes.
    pub passed_over_bytes: u64,
    /// Exchanges, and messages of WebSockets, that were quarantined.
    pub quarantined: u64,
    /// The same by kind; one with several kinds counts for each of them.
    pub by_kind: BTreeMap<String, u64>,
}

/// The second look of one policy.
pub(crate) struct SecondLook {
    settings: Settings,
    state: Mutex<State>,
}

struct State {
    budget: Budget,
    counts: SecondLookCounts,
}

impl SecondLook {
    pub(crate) fn new(settings: Settings) -> SecondLook {
        let budget = Budget::new(settings.look_at);
        let counts = SecondLookCounts::default();
        SecondLook {
            settings,
            state: Mutex::new(State { budget, counts }),
        }
    }

    /// Whether anything is looked at.
    pub(crate) fn is_on(&self) -> bool {
        self.settings.look_at != LookAt::Nothing
    }

    /// Takes so many bytes, sent at `time`, out of the budget; false where it is used up.
    pub(crate) fn takes(&self, bytes: u64, time: Timestamp) -> bool {
        if !self.is_on() {
            return false;
        }
        let mut state = self.state();
        let is_in = state.budget.take(bytes, time);
        match is_in {
            true => state.counts.looked_bytes += bytes,
            false => state.counts.passed_over_bytes += bytes,
        }
        is_in
    }

    /// Counts bytes that are stored without being looked at.
    pub(crate) fn pass_over(&self, bytes: u64) {
        if self.is_on() {
            self.state().counts.passed_over_bytes += bytes;
        }
    }

    /// Counts one quarantine for these hits.
    pub(crate) fn quarantine<'a>(&self, hits: impl IntoIterator<Item = &'a Hit>) {
        let kinds: BTreeSet<&str> = hits.into_iter().map(|hit| &*hit.kind).collect();
        let mut state = self.state();
        state.counts.quarantined += 1;
        for kind in kinds {
            *state.counts.by_kind.entry(kind.to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn counts(&self) -> SecondLookCounts {
        self.state().counts.clone()
    }

    /// What is found in a message.
    pub(crate) fn message(&self, keys: &Keys, message: Looked<'_>) -> Vec<Hit> {
        self.search(keys).message(message)
    }

    /// What is found in a body with these leaves.
    pub(crate) fn body(&self, keys: &Keys, body: &[u8], leaves: &[Leaf]) -> Vec<Hit> {
        self.search(keys).part(body, leaves)
    }

    fn search<'a>(&'a self, keys: &'a Keys) -> Search<'a> {
        Search {
            min_score: self.settings.min_score.get(),
            except: &self.settings.except,
            keys: Some(keys),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts are whole whatever the thread was doing that panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is found in a stored exchange, request and response, from `min_score` on. Inside of
/// pseudonyms nothing is searched: that would take the key.
#[must_use]
pub fn second_look(
    record: &ExchangeRecord,
    request_body: &[u8],
    response_body: &[u8],
    min_score: u8,
) -> Vec<Hit> {
    let search = Search {
        min_score,
        except: &[],
        keys: None,
    };
    let mut hits = search.message(Looked::request(record, request_body));
    hits.extend(search.message(Looked::response(record, response_body)));
    hits
}

/// A message as it is to be stored.
#[derive(Clone, Copy)]
pub(crate) struct Looked<'a> {
    pub(crate) target: &'a [u8],
    pub(crate) fields: &'a [Field],
    pub(crate) body: &'a [u8],
    /// In the order of part and position.
    pub(crate) leaves: &'a [Leaf],
}

impl<'a> Looked<'a> {
    pub(crate) fn request(record: &'a ExchangeRecord, body: &'a [u8]) -> Looked<'a> {
        let head = record.exchange.request.head.as_ref();
        Looked {
            target: head.map_or(&[], |head| &head.target),
            fields: head.map_or(&[], |head| &head.fields),
            body,
            leaves: &record.request.leaves,
        }
    }

    pub(crate) fn response(record: &'a ExchangeRecord, body: &'a [u8]) -> Looked<'a> {
        let head = record.exchange.response.head.as_ref();
        Looked {
            target: &[],
            fields: head.map_or(&[], |head| &head.fields),
            body,
            leaves: &record.response.leaves,
        }
    }

    /// Bytes of values.
    pub(crate) fn bytes(&self) -> u64 {
        let fields: usize = self.fields.iter().map(|field| field.value.len()).sum();
        (self.target.len() + fields + self.body.len()) as u64
    }
}

/// What to look for.
struct Search<'a> {
    min_score: u8,
    except: &'a [Glob],
    /// For the tags by which a value inside of a pseudonym is known to be as it was.
    keys: Option<&'a Keys>,
}

impl Search<'_> {
    fn message(&self, message: Looked<'_>) -> Vec<Hit> {
        let mut hits = Vec::new();
        let leaves = message.leaves;
        let in_head = leaves.partition_point(|leaf| leaf.part != Part::Body);
        let (of_head, of_body) = leaves.split_at(in_head);
        for leaves in of_head.chunk_by(|one, other| one.part == other.part) {
            let bytes = match leaves[0].part {
                Part::Field(index) => match message.fields.get(index as usize) {
                    Some(field) => &field.value[..],
                    None => continue,
                },
                Part::Target | Part::Body => message.target,
            };
            hits.extend(self.values(bytes, leaves));
        }
        hits.extend(self.part(message.body, of_body));
        hits
    }

    /// What is found in a body.
    fn part(&self, bytes: &[u8], leaves: &[Leaf]) -> Vec<Hit> {
        let mut hits = self.values(bytes, leaves);
        hits.extend(Text { bytes, leaves }.structure());
        hits
    }

    fn values(&self, bytes: &[u8], leaves: &[Leaf]) -> Vec<Hit> {
        let mut hits = Vec::new();
        Allowed::new(bytes, leaves, self.keys).each(&mut |path, raw| {
            let is_excepted = self.except.iter().any(|glob| glob.matches(path));
            if !is_excepted {
                hits.extend(search::value(path, raw, self.min_score));
            }
        });
        hits
    }
}
