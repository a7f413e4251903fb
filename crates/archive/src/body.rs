//! Bodies on their way into the archive.

use bytes::{Bytes, BytesMut};

use crate::error::Result;
use crate::format::{BlockKind, Codec, to_cbor};
use crate::part::OpenPart;
use crate::stored::{BlockRef, BodyOut};

/// So many references of one depth are folded into one block of references.
const FOLD: usize = 512;

/// A body being written: holds at most one block of it, however long it gets.
#[derive(Debug)]
pub struct BodyWriter {
    /// The archive that began it.
    pub(crate) writer: u64,
    held: BytesMut,
    /// References by depth, each fewer than [`FOLD`].
    refs: Vec<Vec<BlockRef>>,
    bytes: u64,
}

impl BodyWriter {
    pub(crate) fn new(writer: u64) -> BodyWriter {
        BodyWriter {
            writer,
            held: BytesMut::new(),
            refs: Vec::new(),
            bytes: 0,
        }
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that it holds in memory.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn take(&mut self, chunk: &[u8]) {
        self.held.extend_from_slice(chunk);
        self.bytes += chunk.len() as u64;
    }

    /// Cuts blocks off while more than `block_bytes` are held.
    pub(crate) fn spill(
        &mut self,
        part: &mut OpenPart,
        codec: &mut Codec,
        block_bytes: usize,
    ) -> Result<()> {
        while self.held.len() > block_bytes {
            let block = self.held.split_to(block_bytes);
            self.push(part, codec, &block)?;
        }
        Ok(())
    }

    fn push(&mut self, part: &mut OpenPart, codec: &mut Codec, block: &[u8]) -> Result<()> {
        let mut reference = BlockRef {
            part: part.part.number,
            offset: part.push(codec, BlockKind::Body, block),
            depth: 0,
            bytes: block.len() as u64,
        };
        for depth in 0.. {
            if self.refs.len() == depth {
                self.refs.push(Vec::new());
            }
            let level = &mut self.refs[depth];
            level.push(reference);
            if level.len() < FOLD {
                break;
            }
            let folded = std::mem::take(level);
            let mut plain = Vec::new();
            to_cbor(&folded, "references", &mut plain)?;
            reference = BlockRef {
                part: part.part.number,
                offset: part.push(codec, BlockKind::References, &plain),
                depth: depth as u8 + 1,
                bytes: folded.iter().map(|reference| reference.bytes).sum(),
            };
        }
        Ok(())
    }

    /// The body as its record has it.
    pub(crate) fn finish(mut self, part: &mut OpenPart, codec: &mut Codec) -> Result<BodyOut> {
        if self.refs.is_empty() {
            return Ok(match self.held.is_empty() {
                true => BodyOut::Empty,
                false => BodyOut::Inline(Bytes::from(self.held)),
            });
        }
        if !self.held.is_empty() {
            let rest = self.held.split();
            self.push(part, codec, &rest)?;
        }
        Ok(BodyOut::Blocks {
            // What is folded deepest came first.
            refs: self.refs.into_iter().rev().flatten().collect(),
            bytes: self.bytes,
        })
    }
}
