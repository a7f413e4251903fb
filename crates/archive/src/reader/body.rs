//! Bodies, block by block.

use std::vec::IntoIter;

use bytes::Bytes;

use super::Reader;
use crate::error::{DamageCause, Error, Result};
use crate::format::{BlockKind, from_cbor};
use crate::stored::{BlockRef, StoredBody};

/// The bytes of a body in order; holds one block at a time. Ends after an error.
#[derive(Debug)]
pub struct BodyChunks<'a> {
    reader: &'a Reader,
    inline: Option<Bytes>,
    /// What is left of the references, the deepest last.
    levels: Vec<IntoIter<BlockRef>>,
}

impl<'a> BodyChunks<'a> {
    pub(super) fn new(reader: &'a Reader, body: &StoredBody) -> BodyChunks<'a> {
        let (inline, levels) = match body {
            StoredBody::Empty => (None, Vec::new()),
            StoredBody::Inline(bytes) => (Some((**bytes).clone()), Vec::new()),
            StoredBody::Blocks { refs, .. } => (None, vec![refs.clone().into_iter()]),
        };
        BodyChunks {
            reader,
            inline,
            levels,
        }
    }

    /// The bytes that `reference` stands for, or `None` when it stands for more
    /// references, which are then next.
    fn follow(&mut self, reference: BlockRef) -> Result<Option<Bytes>> {
        let part = self.reader.file(reference.part)?;
        let damage = |cause| Error::from(part.damage(reference.offset, cause));
        if reference.depth == 0 {
            let (_, bytes) = part.block(reference.offset, BlockKind::Body)?;
            return match bytes.len() as u64 == reference.bytes {
                true => Ok(Some(bytes)),
                false => Err(damage(DamageCause::Length)),
            };
        }
        let (_, payload) = part.block(reference.offset, BlockKind::References)?;
        let refs: Vec<BlockRef> = from_cbor(&payload).map_err(damage)?;
        let bytes: u128 = refs.iter().map(|below| u128::from(below.bytes)).sum();
        let depth = reference.depth - 1;
        if bytes != u128::from(reference.bytes) || refs.iter().any(|below| below.depth != depth) {
            return Err(damage(DamageCause::Length));
        }
        self.levels.push(refs.into_iter());
        Ok(None)
    }
}

impl Iterator for BodyChunks<'_> {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(bytes) = self.inline.take() {
            return Some(Ok(bytes));
        }
        while let Some(level) = self.levels.last_mut() {
            let Some(reference) = level.next() else {
                self.levels.pop();
                continue;
            };
            match self.follow(reference) {
                Ok(None) => {}
                Ok(Some(bytes)) => return Some(Ok(bytes)),
                Err(error) => {
                    self.levels.clear();
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
