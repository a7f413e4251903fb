//! Which of a twin's own values stand for which of production's.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

use twintap_scrub::{LinkTag, decode, split_path, value_inside};

use crate::generated::says_time;
use crate::observation::{Answer, Body};

/// For one twin: its values' roles, each named by production's value.
///
/// Filled in the order of the plan: the first answer that produces a value fixes
/// who plays its role, so that a twin which later shows another's value differs. In
/// each copy of the recorded sessions another value plays it. A time plays none: two that
/// were apart in production may be one at a twin.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// By the copy of the sessions and the role.
    twin_of: HashMap<(u32, LinkTag), LinkTag>,
    role_of: HashMap<LinkTag, LinkTag>,
    /// How many of these are of values that requests sent.
    sent: usize,
    /// The same by spelling, for values inside of texts that no leaf names.
    role_of_text: HashMap<u64, u64>,
}

/// Values of requests that are remembered. What is sent after these and given back differs.
const MOST_SENT: usize = 1 << 20;

impl Roles {
    /// Learns from one answer, in one copy of the sessions, and production's to the
    /// same request.
    pub(crate) fn learn(
        &mut self,
        copy: u32,
        produced: &[(String, LinkTag)],
        production: Option<&Answer>,
        twin: &Answer,
    ) {
        for (path, role) in produced {
            let Some(leaf) = twin.leaves.iter().find(|leaf| leaf.path == *path) else {
                continue;
            };
            let of_twin = text_at(twin, path);
            if of_twin.as_deref().is_some_and(says_time) {
                continue;
            }
            let place = (copy, *role);
            if self.twin_of.contains_key(&place) || self.role_of.contains_key(&leaf.tag) {
                continue;
            }
            self.twin_of.insert(place, leaf.tag);
            self.role_of.insert(leaf.tag, *role);
            let of_production = production.and_then(|answer| text_at(answer, path));
            if let (Some(of_twin), Some(of_production)) = (of_twin, of_production) {
                self.role_of_text
                    .entry(text_hash(&of_twin))
                    .or_insert_with(|| text_hash(&of_production));
            }
        }
    }

    /// Learns which of the values that a request sent stand for which recorded ones.
    pub(crate) fn learn_sent(&mut self, sent: &[(LinkTag, LinkTag)]) {
        for (tag, role) in sent {
            if self.sent >= MOST_SENT {
                return;
            }
            if let Entry::Vacant(vacant) = self.role_of.entry(*tag) {
                vacant.insert(*role);
                self.sent += 1;
            }
        }
    }

    /// Production's value in whose role the twin's value is; itself when it has none.
    pub(crate) fn role(&self, tag: LinkTag) -> LinkTag {
        self.role_of.get(&tag).copied().unwrap_or(tag)
    }

    /// The same for a spelling.
    pub(crate) fn role_of_text(&self, text: &str) -> u64 {
        let hash = text_hash(text);
        self.role_of_text.get(&hash).copied().unwrap_or(hash)
    }
}

/// Whether the baseline gives the very value that production gave, and so no twin makes it up:
/// another one of the candidate plays no role, but differs. A number may be equal by chance, as
/// the next in line.
pub(crate) fn is_given(baseline: &Answer, (path, role): &(String, LinkTag)) -> bool {
    let leaf = baseline.leaves.iter().find(|leaf| leaf.path == *path);
    leaf.is_some_and(|leaf| leaf.tag == *role)
        && text_at(baseline, path)
            .is_some_and(|text| !text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// How the leaf's value is written in the answer; one that is inside of another is
/// taken out of it.
fn text_at(answer: &Answer, path: &str) -> Option<String> {
    let leaf = answer.leaves.iter().find(|leaf| leaf.path == path)?;
    let whole: &[u8] = match leaf.part {
        twintap_scrub::Part::Target => return None,
        twintap_scrub::Part::Field(index) => &answer.head.fields.get(index as usize)?.value,
        twintap_scrub::Part::Body => match &answer.body {
            Body::Whole(bytes) => bytes,
            Body::Digest { .. } => return None,
        },
    };
    let start = leaf.start as usize;
    let span = whole.get(start..start.checked_add(leaf.len as usize)?)?;
    let text = match split_path(path) {
        Some((container, inside)) => {
            let raw = decode(span, leaf.encoding);
            value_inside(&raw, container, inside)?
        }
        None => span.to_vec(),
    };
    String::from_utf8(text).ok()
}

pub(crate) fn text_hash(text: &str) -> u64 {
    // Its keys are fixed, so that reports of one run are equal.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
