//! Goes through one part of a message and replaces what the policy says.

use std::ops::Range;

use bytes::Bytes;

use crate::class::Class;
use crate::encoding::{decode, encode};
use crate::find::{Found, Repeats, Search, Visit};
use crate::leaf::{Action, Encoding, Leaf, Part};
use crate::policy::{Decision, ValueAction, View};
use crate::pseudonym::{Pseudonyms, formats};
use crate::timeline::Moved;

/// What decides about the values of one message, and what makes the new ones.
#[derive(Clone, Copy)]
pub(crate) struct Means<'a> {
    pub(crate) pseudonyms: &'a Pseudonyms,
    /// The rules; without them every value and every name is kept.
    pub(crate) view: Option<&'a View>,
}

impl Means<'_> {
    /// Whether what stands where names stand is kept whatever it looks like.
    pub(crate) fn keeps_names(&self) -> bool {
        self.view.is_none_or(View::keeps_names)
    }
}

/// A rule said that the body must not be kept.
#[derive(Debug)]
pub(crate) struct DroppedByRule;

/// Scrubs one part: `find` goes through its values, which are added to `leaves`.
pub(crate) fn part(
    means: Means<'_>,
    part: Part,
    src: &Bytes,
    repeats: &mut Repeats,
    leaves: &mut Vec<Leaf>,
    find: impl FnOnce(&mut Search<'_, Rewriter<'_>>),
) -> Result<Bytes, DroppedByRule> {
    let mut rewriter = Rewriter::new(means, part, src, leaves);
    find(&mut Search {
        src,
        visit: &mut rewriter,
        repeats,
    });
    rewriter.finish(src)
}

/// The visitor that scrubs.
pub(crate) struct Rewriter<'a> {
    means: Means<'a>,
    part: Part,
    src: &'a [u8],
    /// What was written so far; `src` from `cursor` on follows.
    out: Vec<u8>,
    cursor: usize,
    leaves: &'a mut Vec<Leaf>,
    /// What became longer or shorter.
    moved: Vec<Moved>,
    is_dropped: bool,
}

impl<'a> Rewriter<'a> {
    pub(crate) fn new(
        means: Means<'a>,
        part: Part,
        src: &'a [u8],
        leaves: &'a mut Vec<Leaf>,
    ) -> Rewriter<'a> {
        Rewriter {
            means,
            part,
            src,
            out: Vec::new(),
            cursor: 0,
            leaves,
            moved: Vec::new(),
            is_dropped: false,
        }
    }

    /// The spans that became longer or shorter so far.
    pub(crate) fn take_moved(&mut self) -> Vec<Moved> {
        std::mem::take(&mut self.moved)
    }

    /// The scrubbed part; where nothing was replaced, the very same bytes.
    pub(crate) fn finish(mut self, src: &Bytes) -> Result<Bytes, DroppedByRule> {
        if self.is_dropped {
            return Err(DroppedByRule);
        }
        if self.cursor == 0 {
            return Ok(src.clone());
        }
        self.out.extend_from_slice(&self.src[self.cursor..]);
        Ok(self.out.into())
    }

    fn edit(&mut self, span: Range<usize>, new: &[u8]) {
        if self.cursor == 0 {
            self.out.reserve(self.src.len() + self.src.len() / 8);
        }
        self.out
            .extend_from_slice(&self.src[self.cursor..span.start]);
        if self.part == Part::Body && new.len() != span.len() {
            let start = self.out.len() as u64;
            self.moved.push(Moved {
                from: (span.start as u64, span.end as u64),
                to: (start, start + new.len() as u64),
            });
        }
        self.out.extend_from_slice(new);
        self.cursor = span.end;
    }

    fn decide(&self, found: &Found<'_>, raw: &[u8]) -> ValueAction {
        let Some(view) = self.means.view else {
            return ValueAction::Allow;
        };
        match view.decide(found.place, found.name, || Class::of(raw, found.is_in_path)) {
            Decision::Value(action) => action,
            // Outside of a body there is nothing to drop but the value.
            Decision::DropBody => ValueAction::Replace,
        }
    }

    fn must_drop(&self, found: &Found<'_>) -> bool {
        self.part == Part::Body
            && self.means.view.is_some_and(|view| {
                view.decide(found.place, found.name, || Class::Text) == Decision::DropBody
            })
    }
}

impl Visit for Rewriter<'_> {
    fn odd_name(&mut self, name: &str, span: Range<usize>, encoding: Encoding) -> Option<String> {
        if self.means.keeps_names() {
            return None;
        }
        let new = self.means.pseudonyms.of(name.as_bytes());
        self.edit(span, &encode(&new, encoding));
        Some(String::from_utf8_lossy(&new).into_owned())
    }

    fn leaf(&mut self, found: Found<'_>) {
        let src = self.src;
        let raw = decode(&src[found.span.clone()], found.encoding);
        let wanted = self.decide(&found, &raw);
        if wanted == ValueAction::Replace && self.must_drop(&found) {
            self.is_dropped = true;
            return;
        }
        let start = self.out.len() + (found.span.start - self.cursor);
        let mut len = found.span.len();
        let tag = self.means.pseudonyms.keys().link_tag(&raw);
        let (action, new) = match wanted {
            ValueAction::Allow => (Action::Allowed, None),
            ValueAction::Pseudonym => (
                Action::Pseudonym,
                Some(self.means.pseudonyms.of_tagged(&raw, tag)),
            ),
            ValueAction::Replace => (Action::Replaced, Some(self.means.pseudonyms.filler(&raw))),
        };
        if let Some(mut new) = new
            && *new != *raw
        {
            if found.encoding == Encoding::JsonLiteral && !is_literal(&new) {
                new = b"0".to_vec();
            }
            let written = encode(&new, found.encoding);
            len = written.len();
            self.edit(found.span.clone(), &written);
        }
        self.leaves.push(Leaf {
            part: self.part,
            path: found.path.to_owned(),
            start: narrow(start),
            len: narrow(len),
            tag,
            encoding: found.encoding,
            action,
            raw_chars: narrow(characters(&raw)),
        });
    }

    fn is_done(&self) -> bool {
        self.is_dropped
    }
}

fn is_literal(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        matches!(text, "true" | "false" | "null") || formats::number(text).is_some()
    })
}

fn characters(raw: &[u8]) -> usize {
    std::str::from_utf8(raw).map_or(raw.len(), |text| text.chars().count())
}

/// Parts are far smaller than 4 GiB: the limits of a policy see to that.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
