//! What a path says of resources: ids with the words before them, and what is left.

use std::hash::{DefaultHasher, Hash, Hasher};

use twintap_scrub::LinkTag;

use super::words::{is_id, is_own, is_prefix, singular};

/// Fewest characters of an id that is another's nowhere, in whatever collection.
const LEAST_GLOBAL_CHARS: usize = 8;

/// What a path says.
#[derive(Debug)]
pub(super) struct Trail {
    /// Its ids, in order.
    pub members: Vec<Member>,
    /// The words after the last member, in lower case.
    pub words: Vec<String>,
    /// What each session has its own of.
    pub own: Option<Own>,
}

#[derive(Debug)]
pub(super) struct Own {
    pub key: u64,
    /// For people.
    pub name: String,
}

/// An id of a path.
#[derive(Debug)]
pub(super) struct Member {
    pub key: u64,
    /// What it is one of.
    pub noun: String,
    /// The key of its collection's path, where no other id is before it.
    pub parent: Option<u64>,
    /// The words before it.
    pub collection_path: String,
}

impl Trail {
    /// Reads a path; `tag_of` gives the link tag of a segment by its index.
    pub fn of(port: u16, path: &str, tag_of: impl Fn(usize) -> Option<LinkTag>) -> Trail {
        let mut trail = Trail {
            members: Vec::new(),
            words: Vec::new(),
            own: None,
        };
        let mut scope: Option<u64> = None;
        for (index, segment) in path.split('/').skip(1).enumerate() {
            if segment.is_empty() {
                continue;
            }
            if is_id(segment.as_bytes()) {
                let tag = tag_of(index).map_or_else(|| digest(&segment), |tag| tag.0);
                let Some(word) = trail.words.last() else {
                    // A number that nothing names is no resource, but what is below it is its own.
                    scope = Some(digest(&(scope, tag)));
                    continue;
                };
                let noun = singular(word);
                let is_global = segment.len() >= LEAST_GLOBAL_CHARS
                    && !segment.bytes().all(|byte| byte.is_ascii_digit());
                let within = scope.filter(|_| !is_global);
                let key = member_key(port, &noun, tag, within);
                let collection_path = trail.words.join("/");
                trail.members.push(Member {
                    key,
                    noun,
                    parent: scope
                        .is_none()
                        .then(|| digest(&(port, "path", collection_path.as_str()))),
                    collection_path,
                });
                scope = Some(key);
                trail.words.clear();
                continue;
            }
            let word = segment.to_ascii_lowercase();
            let is_first = scope.is_none() && trail.words.is_empty();
            if is_first && is_prefix(&word) {
                continue;
            }
            let is_own = scope.is_none() && trail.own.is_none() && is_own(&word);
            trail.words.push(word);
            if is_own {
                let path = trail.words.join("/");
                trail.own = Some(Own {
                    key: digest(&(port, "own", path.as_str())),
                    name: format!("/{path}"),
                });
            }
        }
        trail
    }
}

/// The key of a member of a collection, on a server at `port`; `within` another one.
pub(super) fn member_key(port: u16, noun: &str, tag: u64, within: Option<u64>) -> u64 {
    digest(&(port, "member", noun, tag, within))
}

/// A short digest.
pub(super) fn digest(value: &impl Hash) -> u64 {
    // Its keys are fixed, so that plans of one capture are equal.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
