//! Goes through one part of a message and replaces what the policy says.

mod output;

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use self::output::Output;
use crate::class::Class;
use crate::encoding::{NO_LITERAL, encode, is_literal};
use crate::find::{Found, Visit};
use crate::leaf::{Action, Encoding, Leaf, Part};
use crate::nest::{self, Guest};
use crate::policy::{Decision, ValueAction, View};
use crate::pseudonym::{Pseudonyms, Recent, inside};
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

/// The visitor that scrubs.
pub(crate) struct Rewriter<'a> {
    means: Means<'a>,
    part: Part,
    output: Output<'a>,
    recent: &'a mut Recent,
    leaves: &'a mut Vec<Leaf>,
    is_dropped: bool,
    /// The part is the path of a gRPC call, whose parts are names of the service's own.
    pub(crate) is_call: bool,
}

impl<'a> Rewriter<'a> {
    pub(crate) fn new(
        means: Means<'a>,
        recent: &'a mut Recent,
        part: Part,
        src: &'a [u8],
        leaves: &'a mut Vec<Leaf>,
    ) -> Rewriter<'a> {
        Rewriter {
            means,
            part,
            output: Output::new(src, part == Part::Body),
            recent,
            leaves,
            is_dropped: false,
            is_call: false,
        }
    }

    /// The spans that became longer or shorter so far.
    pub(crate) fn take_moved(&mut self) -> Vec<Moved> {
        self.output.take_moved()
    }

    /// The scrubbed part; where nothing was replaced, the very same bytes.
    pub(crate) fn finish(self, src: &Bytes) -> Result<Bytes, DroppedByRule> {
        match self.is_dropped {
            true => Err(DroppedByRule),
            false => Ok(self.output.finish(src)),
        }
    }
}

impl View {
    fn decide_found(&self, found: &Found<'_>, class: impl FnOnce() -> Class) -> Decision {
        match found.ruled {
            Some(ruled) => self.decide_at(found.place, found.name, ruled, class),
            None => self.decide(found.place, found.name, class),
        }
    }
}

impl Rewriter<'_> {
    /// Notes a leaf, and those inside of it. What filler took the place of has none.
    fn push(&mut self, leaf: Leaf, raw: &[u8]) {
        if leaf.action == Action::Replaced || !nest::may_hold(raw, &leaf.path) {
            self.leaves.push(leaf);
            return;
        }
        let outer = leaf.clone();
        self.leaves.push(leaf);
        let pseudonyms = self.means.pseudonyms;
        let leaves = &mut *self.leaves;
        let mut rename = |name: &str| {
            let new =
                (outer.action == Action::Pseudonym).then(|| pseudonyms.of(name.as_bytes()))?;
            Some(String::from_utf8_lossy(&new).into_owned())
        };
        nest::values(raw, &outer.path, &mut rename, &mut |path, raw| {
            leaves.push(Leaf {
                path: path.to_owned(),
                tag: pseudonyms.keys().link_tag(raw),
                raw_chars: narrow(characters(raw)),
                ..outer.clone()
            });
        });
    }

    /// Scrubs a message of gRPC: each of its fields is decided about by itself.
    fn message(&mut self, found: &Found<'_>, raw: &[u8]) {
        let mut fields = Fields {
            rewriter: self,
            is_dropped: false,
        };
        let new = nest::map(raw, "grpc.*>", 0, &mut fields);
        let Some(new) = new.filter(|_| !fields.is_dropped) else {
            self.is_dropped = true;
            return;
        };
        let start = narrow(self.output.place(found.span.start));
        let is_changed = new.is_some();
        let len = new.as_ref().map_or(found.span.len(), Vec::len);
        if let Some(new) = new {
            self.output.edit(found.span.clone(), &new);
        }
        let leaf = Leaf {
            part: self.part,
            path: found.path.to_owned(),
            start,
            len: narrow(len),
            tag: self.means.pseudonyms.keys().link_tag(raw),
            encoding: found.encoding,
            action: if is_changed {
                Action::Pseudonym
            } else {
                Action::Allowed
            },
            raw_chars: narrow(raw.len()),
        };
        self.push(leaf, raw);
    }
}

/// What decides about the fields of a message.
struct Fields<'a, 'b> {
    rewriter: &'a Rewriter<'b>,
    is_dropped: bool,
}

impl Guest for Fields<'_, '_> {
    fn value(&mut self, path: &str, raw: &[u8], _: Encoding) -> Option<Vec<u8>> {
        let means = self.rewriter.means;
        let place = path.split('#').next().unwrap_or(path);
        let decision = means.view?.decide(place, "", || Class::of(raw, false));
        let new = match decision {
            Decision::Value(ValueAction::Allow) => return None,
            Decision::Value(ValueAction::Pseudonym) => means.pseudonyms.of(raw),
            Decision::Value(ValueAction::Replace) => means.pseudonyms.filler(raw),
            Decision::DropBody => {
                self.is_dropped = true;
                return None;
            }
        };
        Some(as_wide(raw, new))
    }

    fn enters(&self, _: &str) -> bool {
        false
    }
}

/// A number in place of a number takes no more bits than that, 32 or 64.
fn as_wide(raw: &[u8], new: Vec<u8>) -> Vec<u8> {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u128>().ok();
    match (number(raw), number(&new)) {
        (Some(old), Some(new)) => {
            let bound = if old <= u128::from(u32::MAX) {
                u128::from(u32::MAX)
            } else {
                u128::from(u64::MAX)
            };
            (new % bound).to_string().into_bytes()
        }
        _ => new,
    }
}

impl Visit for Rewriter<'_> {
    fn odd_name(&mut self, name: &str, span: Range<usize>, encoding: Encoding) -> Option<String> {
        if self.means.keeps_names() {
            return None;
        }
        let new = self.means.pseudonyms.of(name.as_bytes());
        self.output.edit(span, &encode(&new, encoding));
        Some(String::from_utf8_lossy(&new).into_owned())
    }

    fn leaf(&mut self, found: Found<'_>) {
        let raw = found.raw(self.output.src());
        let (means, pseudonyms) = (self.means, self.means.pseudonyms);
        let mut value = self.recent.of(pseudonyms, &raw);
        let class = || match self.is_call {
            true => Class::PathWord,
            false => value.class(found.is_in_path),
        };
        let is_in_body = self.part == Part::Body;
        let wanted = match means.view.map(|view| view.decide_found(&found, class)) {
            None => ValueAction::Allow,
            Some(Decision::Value(action)) => action,
            Some(Decision::DropBody) if is_in_body => {
                self.is_dropped = true;
                return;
            }
            // Outside of a body there is nothing to drop but the value.
            Some(Decision::DropBody) => ValueAction::Replace,
        };
        if is_in_body && found.place.starts_with("grpc.") {
            return self.message(&found, &raw);
        }
        let (tag, raw_chars) = (value.tag(), value.chars());
        let (action, new) = match wanted {
            ValueAction::Allow => (Action::Allowed, None),
            ValueAction::Pseudonym if found.place == "html.script" => {
                let new = inside::of_script(pseudonyms, &raw);
                (Action::Pseudonym, in_place(&raw, new, found.encoding))
            }
            ValueAction::Pseudonym => {
                let new = value.written(found.encoding);
                (Action::Pseudonym, new)
            }
            ValueAction::Replace => {
                let new = pseudonyms.filler(&raw);
                (Action::Replaced, in_place(&raw, new, found.encoding))
            }
        };
        let start = self.output.place(found.span.start);
        let len = new.as_ref().map_or(found.span.len(), |new| new.len());
        if let Some(new) = new {
            self.output.edit(found.span.clone(), &new);
        }
        let leaf = Leaf {
            part: self.part,
            path: found.path.to_owned(),
            start: narrow(start),
            len: narrow(len),
            tag,
            encoding: found.encoding,
            action,
            raw_chars,
        };
        self.push(leaf, &raw);
    }

    fn is_done(&self) -> bool {
        self.is_dropped
    }
}

/// What is written in place of `raw`; `None` where it stays.
fn in_place(raw: &[u8], new: Vec<u8>, encoding: Encoding) -> Option<Cow<'static, [u8]>> {
    (new != raw).then(|| match encoding {
        Encoding::JsonLiteral if !is_literal(&new) => NO_LITERAL.into(),
        encoding => encode(&new, encoding).into(),
    })
}

fn characters(raw: &[u8]) -> usize {
    std::str::from_utf8(raw).map_or(raw.len(), |text| text.chars().count())
}

/// Parts are far smaller than 4 GiB: the limits of a policy see to that.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
