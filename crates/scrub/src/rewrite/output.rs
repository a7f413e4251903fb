//! A part as it becomes: what was kept, and what took the place of the rest.

use std::ops::Range;

use bytes::Bytes;

use crate::timeline::Moved;

/// A part of a message, and what was written of it so far.
pub(super) struct Output<'a> {
    src: &'a [u8],
    /// `src` from `cursor` on follows.
    out: Vec<u8>,
    cursor: usize,
    /// What became longer or shorter, where that is asked for.
    moved: Option<Vec<Moved>>,
}

impl<'a> Output<'a> {
    pub(super) fn new(src: &'a [u8], notes_moves: bool) -> Output<'a> {
        Output {
            src,
            out: Vec::new(),
            cursor: 0,
            moved: notes_moves.then(Vec::new),
        }
    }

    /// The part as it was.
    pub(super) fn src(&self) -> &'a [u8] {
        self.src
    }

    /// Where that which stands at `at` of the source comes to stand, if it is not before the last
    /// edit's end.
    pub(super) fn place(&self, at: usize) -> usize {
        self.out.len() + (at - self.cursor)
    }

    /// Writes `new` in place of `span`; spans come in their order.
    pub(super) fn edit(&mut self, span: Range<usize>, new: &[u8]) {
        if self.cursor == 0 {
            self.out.reserve(self.src.len() + self.src.len() / 8);
        }
        self.out
            .extend_from_slice(&self.src[self.cursor..span.start]);
        if let Some(moved) = &mut self.moved
            && new.len() != span.len()
        {
            let start = self.out.len() as u64;
            moved.push(Moved {
                from: (span.start as u64, span.end as u64),
                to: (start, start + new.len() as u64),
            });
        }
        self.out.extend_from_slice(new);
        self.cursor = span.end;
    }

    /// The spans that became longer or shorter so far.
    pub(super) fn take_moved(&mut self) -> Vec<Moved> {
        self.moved.take().unwrap_or_default()
    }

    /// The whole part; where nothing was replaced, `src`, the very same bytes.
    pub(super) fn finish(mut self, src: &Bytes) -> Bytes {
        if self.cursor == 0 {
            return src.clone();
        }
        self.out.extend_from_slice(&self.src[self.cursor..]);
        self.out.into()
    }
}
