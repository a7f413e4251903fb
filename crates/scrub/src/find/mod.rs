//! Finds the values of a message, where they stand and what they are called.
//!
//! One finder for each format goes through a part from its first byte to its
//! last and calls a [`Visit`] with every value. Scrubbing and reading a single
//! value are two visitors of the same finders, so that names always agree.

pub(crate) mod events;
pub(crate) mod form;
pub(crate) mod grpc;
pub(crate) mod head;
pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod multipart;
pub(crate) mod uri;
pub(crate) mod xml;

use std::borrow::Cow;
use std::hash::{BuildHasher as _, Hash};
use std::ops::Range;

use foldhash::quality::FixedState;
use hashbrown::HashTable;

use crate::encoding::decode;
use crate::leaf::{Encoding, Part};
use crate::names;
use crate::policy::Ruled;

/// What sees the values, in the order of their spans.
pub(crate) trait Visit {
    /// A name that may be a value; what it is called from here on.
    fn odd_name(&mut self, name: &str, span: Range<usize>, encoding: Encoding) -> Option<String>;

    /// A value.
    fn leaf(&mut self, found: Found<'_>);

    /// Asked now and then: true ends the search.
    fn is_done(&self) -> bool {
        false
    }
}

/// A value that was found.
pub(crate) struct Found<'a> {
    /// The leaf's path.
    pub(crate) path: &'a str,
    /// The path without `#1` and with `*` for array indices: what rules see.
    pub(crate) place: &'a str,
    /// The last name of the path.
    pub(crate) name: &'a str,
    /// Whether it is part of a path.
    pub(crate) is_in_path: bool,
    pub(crate) span: Range<usize>,
    pub(crate) encoding: Encoding,
    /// False where the value is known to be written as it is.
    pub(crate) has_escapes: bool,
    /// Where what the rules say of `place` is kept: who calls it something else that depends on
    /// more than that gives none on.
    pub(crate) ruled: Option<&'a Ruled>,
}

impl Found<'_> {
    /// The raw value, in the part where it was found.
    pub(crate) fn raw<'b>(&self, src: &'b [u8]) -> Cow<'b, [u8]> {
        let written = &src[self.span.clone()];
        match self.has_escapes {
            true => decode(written, self.encoding),
            false => Cow::Borrowed(written),
        }
    }
}

/// A body that is not what its media type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unparsable;

/// Counts names, so that a repeated one gets `#1`, `#2`, ... from the second on.
#[derive(Default)]
pub(crate) struct Repeats(HashTable<(u64, u32)>);

impl Repeats {
    /// How often `name` came before.
    ///
    /// Names are told apart by their hash: were two ever taken for one, the
    /// second would be marked in vain, each time alike.
    pub(crate) fn count(&mut self, name: impl Hash) -> u32 {
        if self.0.is_empty() {
            // Room for most heads at once.
            self.0.reserve(14, |(known, _)| *known);
        }
        let hash = FixedState::default().hash_one(name);
        let known = self
            .0
            .entry(hash, |(known, _)| *known == hash, |(known, _)| *known);
        let (_, count) = known.or_insert((hash, 0)).into_mut();
        let before = *count;
        *count = count.saturating_add(1);
        before
    }
}

/// A part, its visitor, and the names that came before.
pub(crate) struct Search<'a, V> {
    pub(crate) src: &'a [u8],
    pub(crate) visit: &'a mut V,
    pub(crate) repeats: &'a mut Repeats,
}

impl<V: Visit> Search<'_, V> {
    /// Reports a value called `name` below `prefix` (`query.`, `cookie.`, ...).
    pub(crate) fn leaf(
        &mut self,
        prefix: &str,
        name: &str,
        span: Range<usize>,
        encoding: Encoding,
    ) {
        self.report(prefix, name, false, span, encoding);
    }

    pub(crate) fn report(
        &mut self,
        prefix: &str,
        name: &str,
        is_in_path: bool,
        span: Range<usize>,
        encoding: Encoding,
    ) {
        let place = [prefix, name].concat();
        let count = self.repeats.count(&place);
        let marked = (count > 0).then(|| format!("{place}#{count}"));
        self.visit.leaf(Found {
            path: marked.as_deref().unwrap_or(&place),
            place: &place,
            name,
            is_in_path,
            span,
            encoding,
            has_escapes: true,
            ruled: None,
        });
    }

    /// The name written at `span`, or what takes its place.
    pub(crate) fn name(&mut self, span: Range<usize>, encoding: Encoding) -> String {
        let decoded = decode(&self.src[span.clone()], encoding);
        let name = String::from_utf8_lossy(&decoded);
        if names::is_structural(&name) {
            return name.into_owned();
        }
        self.visit
            .odd_name(&name, span, encoding)
            .unwrap_or_else(|| name.into_owned())
    }
}

/// The part that leaves with this path lie in, but for the field's index.
pub(crate) fn is_in_body(path: &str) -> bool {
    [
        "json.",
        "form.",
        "html.",
        "text",
        "xml.",
        "multipart.",
        "grpc.",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix))
}

/// Goes through the text of a body of type `text/plain`: one value.
pub(crate) fn text(search: &mut Search<'_, impl Visit>) {
    if !search.src.is_empty() {
        search.leaf("", "text", 0..search.src.len(), Encoding::Plain);
    }
}

/// The span without the white space at its ends.
pub(crate) fn trimmed(src: &[u8], span: Range<usize>) -> Range<usize> {
    let inside = &src[span.clone()];
    let start = span.start + (inside.len() - inside.trim_ascii_start().len());
    let len = inside.trim_ascii().len();
    start..start + len
}

/// The spans of the pieces between separators.
pub(crate) fn pieces(
    src: &[u8],
    span: Range<usize>,
    separator: u8,
) -> impl Iterator<Item = Range<usize>> {
    let start = span.start;
    let ends = memchr::memchr_iter(separator, &src[span.clone()]).map(move |at| start + at);
    ends.chain([span.end]).scan(start, |start, end| {
        let piece = *start..end;
        *start = end + 1;
        Some(piece)
    })
}

/// A leaf's part for values in heads: the target, or the field with an index.
pub(crate) fn field_part(index: usize) -> Part {
    Part::Field(u32::try_from(index).unwrap_or(u32::MAX))
}
