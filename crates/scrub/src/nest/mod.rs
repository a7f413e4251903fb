//! Values inside of values: JSON in a string, base64 of JSON, tokens, links, messages
//! of gRPC, scripts.
//!
//! A leaf whose value has others in it is called a container; those inside are called
//! after it, behind a `>`: `json./state>json./csrf`, `html.meta.next>uri.query.page`,
//! `header.authorization.bearer>jwt./sub`, `grpc.0>proto./1/2`,
//! `query.state>base64>json./id`. They share the container's span, since only the
//! container as a whole can be written anew.

mod container;
mod message;
mod script;

use std::ops::Range;

use base64::Engine as _;

pub(crate) use self::container::MOST_BYTES;
use self::container::{Container, URL_SAFE};
use crate::encoding::{decode, encode, splice};
use crate::find::{Found, Repeats, Search, Unparsable, Visit, json, uri};
use crate::leaf::Encoding;

/// How deep values lie in each other.
const MOST_DEEP: usize = 4;

/// What sees the values inside of a value, and may put others in their place.
pub(crate) trait Guest {
    /// A value; what takes its place.
    fn value(&mut self, path: &str, raw: &[u8], encoding: Encoding) -> Option<Vec<u8>>;

    /// A name that may be a value; what it is called from here on.
    fn name(&mut self, _: &str) -> Option<String> {
        None
    }

    /// The authority of a link, which is no value; what takes its place.
    fn authority(&mut self, _: &str) -> Option<String> {
        None
    }

    /// What stands between the values of a script; what takes its place.
    fn between(&mut self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// The signature of a token of which something was replaced; `None` where that
    /// must not be.
    fn signature(&mut self, _: &str) -> Option<String> {
        None
    }

    /// True when the values inside of this one are wanted too.
    fn enters(&self, path: &str) -> bool;
}

/// Goes through the values inside of `raw`, called below `path`. The outer `None`
/// says that it has none, or that what was asked for can't be; the inner that it
/// stays as it is.
pub(crate) fn map(
    raw: &[u8],
    path: &str,
    depth: usize,
    guest: &mut dyn Guest,
) -> Option<Option<Vec<u8>>> {
    if depth > MOST_DEEP {
        return None;
    }
    match container::of(raw, path)? {
        Container::Json => {
            let changed = inside(raw, path, "json.", depth, guest, |visit| {
                json::find(raw, false, visit)
            })?;
            Some(changed)
        }
        Container::Link => link(raw, path, depth, guest),
        Container::Base64(inner, engine) => {
            let new = whole(&inner, &format!("{path}base64"), depth, guest)?;
            Some(new.map(|new| engine.encode(new).into_bytes()))
        }
        Container::Percent(inner) => {
            let new = whole(&inner, &format!("{path}percent"), depth, guest)?;
            Some(new.map(|new| encode(&new, Encoding::Percent)))
        }
        Container::Token(parts) => token(parts, path, depth, guest),
        Container::Message(message) => message::map(&message, path, depth, guest),
        Container::Script => Some(script(raw, path, guest)),
    }
}

/// False for what certainly has no values inside: of nearly all values one byte
/// tells.
pub(crate) fn may_hold(raw: &[u8], path: &str) -> bool {
    let first = raw.first().copied().unwrap_or_default();
    let may_begin = matches!(first, 0 | b'{' | b'[' | b'%' | b'e' | b'W' | b'/' | b'h');
    may_begin && raw.len() > 1 || path.starts_with("html.script")
}

/// The values inside of the value of the leaf called `path`: each with its path and
/// raw value. `rename` gives the names that scrubbing puts in place of odd ones.
pub(crate) fn values(
    raw: &[u8],
    path: &str,
    rename: &mut dyn FnMut(&str) -> Option<String>,
    each: &mut dyn FnMut(&str, &[u8]),
) {
    struct Looks<'a> {
        rename: &'a mut dyn FnMut(&str) -> Option<String>,
        each: &'a mut dyn FnMut(&str, &[u8]),
    }
    impl Guest for Looks<'_> {
        fn value(&mut self, path: &str, raw: &[u8], _: Encoding) -> Option<Vec<u8>> {
            (self.each)(path, raw);
            None
        }
        fn name(&mut self, name: &str) -> Option<String> {
            (self.rename)(name)
        }
        fn enters(&self, _: &str) -> bool {
            true
        }
    }
    map(raw, &format!("{path}>"), 0, &mut Looks { rename, each });
}

/// The container with other values in it, written as it was: each edit is the path
/// of a leaf below the container's own, and the new raw value.
///
/// `None` where one of them is not there, or where it can't be written: what a
/// signature covers.
#[must_use]
pub fn replace_inside(container: &[u8], edits: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    struct Puts<'a> {
        edits: &'a [(&'a str, &'a [u8])],
        done: Vec<bool>,
    }
    impl Guest for Puts<'_> {
        fn value(&mut self, path: &str, _: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
            let at = self.edits.iter().position(|(wanted, _)| *wanted == path)?;
            self.done[at] = true;
            Some(crate::encoding::fit(self.edits[at].1, encoding))
        }
        fn enters(&self, path: &str) -> bool {
            let is_below = |(wanted, _): &(&str, &[u8])| {
                wanted
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.starts_with('>'))
            };
            self.edits.iter().any(is_below)
        }
    }
    let mut puts = Puts {
        edits,
        done: vec![false; edits.len()],
    };
    let new = map(container, "", 0, &mut puts)?;
    puts.done.iter().all(|done| *done).then_some(new?)
}

/// The value called `inside` in the container whose leaf is called `path`.
#[must_use]
pub fn value_inside(container: &[u8], path: &str, inside: &str) -> Option<Vec<u8>> {
    let wanted = format!("{path}>{inside}");
    let mut value = None;
    values(container, path, &mut |_| None, &mut |path, raw| {
        if path == wanted && value.is_none() {
            value = Some(raw.to_vec());
        }
    });
    value
}

/// Splits a leaf's path into that of its container, outermost first, and what it is
/// called inside of it; `None` for a leaf that lies in no other.
#[must_use]
pub fn split_path(path: &str) -> Option<(&str, &str)> {
    const KINDS: [&str; 7] = [
        "json.", "uri.", "jwt.", "base64", "percent", "proto.", "js.",
    ];
    path.match_indices('>').find_map(|(at, _)| {
        let inside = &path[at + 1..];
        let is_kind = KINDS.iter().any(|kind| inside.starts_with(kind));
        is_kind.then_some((&path[..at], inside))
    })
}

/// True for one message of gRPC with its prefix before it, compressed or not.
#[must_use]
pub fn is_framed(raw: &[u8]) -> bool {
    message::is_framed(raw)
}

/// The length of the message of gRPC that `body` begins with, its prefix included, if
/// it can be read.
pub(crate) fn message_bytes(body: &[u8]) -> Option<usize> {
    message::len(body)
}

/// Goes through the values that `find` finds in `src`, and gives it with what took
/// their place.
fn inside(
    src: &[u8],
    path: &str,
    kind: &str,
    depth: usize,
    guest: &mut dyn Guest,
    find: impl FnOnce(&mut Inside<'_>) -> Result<(), Unparsable>,
) -> Option<Option<Vec<u8>>> {
    let mut visit = Inside {
        src,
        prefix: format!("{path}{kind}"),
        depth,
        guest,
        edits: Vec::new(),
        failed: false,
    };
    find(&mut visit).ok()?;
    let Inside { edits, failed, .. } = visit;
    if failed {
        return None;
    }
    Some((!edits.is_empty()).then(|| splice(src, &edits).to_vec()))
}

/// The visitor of a container.
struct Inside<'a> {
    src: &'a [u8],
    /// Where the container is, and what it is.
    prefix: String,
    depth: usize,
    guest: &'a mut dyn Guest,
    edits: Vec<(usize, usize, Vec<u8>)>,
    failed: bool,
}

impl Inside<'_> {
    fn put(&mut self, span: Range<usize>, new: Vec<u8>) {
        self.edits.push((span.start, span.len(), new));
    }
}

impl Visit for Inside<'_> {
    fn odd_name(&mut self, name: &str, span: Range<usize>, encoding: Encoding) -> Option<String> {
        let new = self.guest.name(name)?;
        self.put(span, encode(new.as_bytes(), encoding));
        Some(new)
    }

    fn leaf(&mut self, found: Found<'_>) {
        let raw = found.raw(self.src);
        // The finders of JSON and links begin every path with their own name.
        let (_, name) = found.path.split_once('.').unwrap_or(("", found.path));
        let path = format!("{}{name}", self.prefix);
        if let Some(new) = self.guest.value(&path, &raw, found.encoding) {
            return self.put(found.span, encode(&new, found.encoding));
        }
        if !self.guest.enters(&path) {
            return;
        }
        let new = map(&raw, &format!("{path}>"), self.depth + 1, self.guest);
        if let Some(Some(new)) = new {
            self.put(found.span, encode(&new, found.encoding));
        }
    }
}

/// A container that holds one value, written in another way.
fn whole(inner: &[u8], path: &str, depth: usize, guest: &mut dyn Guest) -> Option<Option<Vec<u8>>> {
    if let Some(new) = guest.value(path, inner, Encoding::Plain) {
        return Some(Some(new));
    }
    if !guest.enters(path) {
        return Some(None);
    }
    Some(map(inner, &format!("{path}>"), depth + 1, guest).flatten())
}

fn link(raw: &[u8], path: &str, depth: usize, guest: &mut dyn Guest) -> Option<Option<Vec<u8>>> {
    let authority = container::authority(raw);
    let renamed = std::str::from_utf8(&raw[authority.clone()])
        .ok()
        .filter(|text| !text.is_empty())
        .and_then(|text| guest.authority(text));
    inside(raw, path, "uri.", depth, guest, |visit| {
        if let Some(new) = renamed {
            visit.put(authority, new.into_bytes());
        }
        let mut search = Search {
            src: raw,
            visit,
            repeats: &mut Repeats::default(),
        };
        uri::find(&mut search, 0..raw.len(), "uri.");
        Ok(())
    })
}

/// Names stay where they are, so that their strings can be found again.
fn script(raw: &[u8], path: &str, guest: &mut dyn Guest) -> Option<Vec<u8>> {
    let mut edits: Vec<(usize, usize, Vec<u8>)> = Vec::new();
    let mut put = |span: Range<usize>, new: Option<Vec<u8>>| {
        edits.extend(new.map(|new| (span.start, span.len(), new)));
    };
    let mut at = 0;
    for string in script::strings(raw) {
        let (name, span) = (string.name, string.value);
        // A name may be that of the string before: `a = b = "x"` has none, but
        // comments can do anything.
        if name.start < at {
            continue;
        }
        put(at..name.start, guest.between(&raw[at..name.start]));
        let value = decode(&raw[span.clone()], Encoding::JsonString);
        let path = format!("{path}{}", string.path);
        let new = guest.value(&path, &value, Encoding::JsonString);
        put(
            span.clone(),
            new.map(|new| encode(&new, Encoding::JsonString)),
        );
        at = span.end;
    }
    put(at..raw.len(), guest.between(&raw[at..]));
    (!edits.is_empty()).then(|| splice(raw, &edits).to_vec())
}

/// A JSON Web Token (RFC 7519): its claims are `jwt./sub` and the like, what its
/// header says `jwt.header./kid`.
fn token(
    parts: container::TokenParts<'_>,
    path: &str,
    depth: usize,
    guest: &mut dyn Guest,
) -> Option<Option<Vec<u8>>> {
    let part = |json: &[u8], kind: &str, guest: &mut dyn Guest| {
        inside(json, path, kind, depth, guest, |visit| {
            json::find(json, false, visit)
        })
    };
    let header = part(&parts.header, "jwt.header.", guest)?;
    let claims = part(&parts.claims, "jwt.", guest)?;
    if header.is_none() && claims.is_none() {
        return Some(None);
    }
    let signature = guest.signature(parts.signature)?;
    let new = format!(
        "{}.{}.{signature}",
        URL_SAFE.encode(header.unwrap_or(parts.header)),
        URL_SAFE.encode(claims.unwrap_or(parts.claims)),
    );
    Some(Some(new.into_bytes()))
}

#[cfg(test)]
mod tests;
