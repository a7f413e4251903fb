//! What is searched, and what counts.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::Hit;
use crate::detect::{Context, Detectors, Found, Kind};
use crate::encoding::decode;
use crate::key::Keys;
use crate::leaf::{Action, Leaf, LinkTag};
use crate::nest;

static DETECTORS: LazyLock<Detectors> = LazyLock::new(Detectors::new);

/// Shorter values hold nothing that has a form or a checksum.
const FEWEST_BYTES: usize = 6;

/// The path of what is found between values.
const STRUCTURE: &str = "structure";

/// The values of a part that scrubbing let through.
pub(super) struct Allowed<'a> {
    bytes: &'a [u8],
    leaves: &'a [Leaf],
    keys: Option<&'a Keys>,
}

impl<'a> Allowed<'a> {
    pub(super) fn new(bytes: &'a [u8], leaves: &'a [Leaf], keys: Option<&'a Keys>) -> Allowed<'a> {
        Allowed {
            bytes,
            leaves,
            keys,
        }
    }

    /// Calls `each` with the path and the decoded bytes of every one.
    pub(super) fn each(&self, each: &mut dyn FnMut(&str, &[u8])) {
        let mut rest = self.leaves;
        while let Some((leaf, others)) = rest.split_first() {
            let is_inside = |other: &&Leaf| is_inside(other, leaf);
            let inner = others.iter().take_while(is_inside).count();
            rest = &others[inner..];
            let Some(written) = written(self.bytes, leaf) else {
                continue;
            };
            match leaf.action {
                Action::Allowed if written.len() >= FEWEST_BYTES => {
                    each(&leaf.path, &decode(written, leaf.encoding));
                }
                Action::Allowed | Action::Pseudonym | Action::Replaced => (),
            }
            if inner > 0 {
                self.inside(leaf, written, &others[..inner], each);
            }
        }
    }

    /// A value with others in it was scrubbed value by value: those that nothing was done to
    /// have the tags that they had.
    fn inside(
        &self,
        leaf: &Leaf,
        written: &[u8],
        inner: &[Leaf],
        each: &mut dyn FnMut(&str, &[u8]),
    ) {
        let Some(keys) = self.keys else { return };
        let before: HashSet<LinkTag> = inner.iter().map(|leaf| leaf.tag).collect();
        let new = decode(written, leaf.encoding);
        nest::values(&new, &leaf.path, &mut |_| None, &mut |path, raw| {
            if raw.len() >= FEWEST_BYTES && before.contains(&keys.link_tag(raw)) {
                each(path, raw);
            }
        });
    }
}

/// A leaf inside of another is called after it.
fn is_inside(leaf: &Leaf, outer: &Leaf) -> bool {
    let rest = leaf.path.strip_prefix(&outer.path);
    rest.is_some_and(|rest| rest.starts_with('>'))
}

fn written<'a>(bytes: &'a [u8], leaf: &Leaf) -> Option<&'a [u8]> {
    let start = leaf.start as usize;
    bytes.get(start..start.checked_add(leaf.len as usize)?)
}

/// What the detectors say of one value that was let through.
pub(super) fn value(path: &str, raw: &[u8], min_score: u8) -> Option<Hit> {
    let text = std::str::from_utf8(raw).ok()?;
    let context = Context {
        path,
        name: name_of(path),
    };
    let found = DETECTORS.detect(&context, text);
    let counts = found
        .iter()
        .filter(|found| found.score >= min_score && counts(path, found));
    let found = counts.max_by_key(|found| found.score)?;
    Some(hit(path, found))
}

/// Names of people and streets are found by dictionaries, and plates by nothing but the
/// field's name: what holds for those is default deny. In headers that tell of programs
/// and hosts, a version of four numbers is no address of anybody.
fn counts(path: &str, found: &Found) -> bool {
    let by_name_alone = found.reason.pattern == "any value";
    let is_host = || path.starts_with("header.");
    match found.kind {
        Kind::PersonName | Kind::StreetAddress | Kind::Plate => false,
        Kind::IpAddress if is_host() => false,
        _ => !by_name_alone,
    }
}

fn hit(path: &str, found: &Found) -> Hit {
    Hit {
        path: path.to_owned(),
        kind: found.kind.name().to_owned(),
        score: found.score,
    }
}

/// The last name of a path that is no index and no count of repeats.
fn name_of(path: &str) -> &str {
    let path = path.split('#').next().unwrap_or(path);
    let is_index = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let mut names = path.rsplit(['/', '.']);
    names.find(|name| !is_index(name)).unwrap_or_default()
}

/// A body and its values.
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) leaves: &'a [Leaf],
}

impl Text<'_> {
    /// What is found where no value was: it never went through the policy. Names that look
    /// like values are pseudonyms there, which have the form of a number or an address, but
    /// never of what is searched here.
    pub(super) fn structure(&self) -> Option<Hit> {
        let text = std::str::from_utf8(self.bytes).ok()?;
        let mut rest = String::new();
        let mut end = 0;
        for leaf in self.leaves {
            let start = leaf.start as usize;
            if start < end {
                continue;
            }
            rest.push_str(text.get(end..start)?);
            rest.push('\u{1}');
            end = start.saturating_add(leaf.len as usize);
        }
        rest.push_str(text.get(end..)?);
        let found = DETECTORS.detect(&Context::default(), &rest);
        let found = found.iter().find(|found| is_foreign(found, &rest))?;
        Some(hit(STRUCTURE, found))
    }
}

/// True for what neither a name nor a pseudonym of one can be.
fn is_foreign(found: &Found, text: &str) -> bool {
    match found.kind {
        Kind::Email => {
            let host = text[found.span.clone()].strip_suffix("example.com");
            !host.is_some_and(|before| before.ends_with(['@', '.']))
        }
        Kind::PrivateKey | Kind::UrlCredentials | Kind::CloudKey | Kind::Token => true,
        _ => false,
    }
}
