//! Where things are in a part.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::DamageCause;
use crate::run::Span;

const KEY_BYTES: usize = 8;

/// The index as it is gathered while a part is written or scanned.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexBuilder {
    /// Offset and exchanges of each block of exchanges.
    blocks: Vec<(u64, u32)>,
    /// Key, and ordinal of the block.
    keys: Vec<(u32, u32)>,
    checkpoints: Vec<u64>,
    exchanges: u64,
    span: Span,
}

impl IndexBuilder {
    pub fn add_run(&mut self, offset: u64, keys: impl ExactSizeIterator<Item = u32>, span: Span) {
        let ordinal = self.blocks.len() as u32;
        self.blocks.push((offset, keys.len() as u32));
        self.exchanges += keys.len() as u64;
        self.keys.extend(keys.map(|key| (key, ordinal)));
        self.span.merge(span);
    }

    pub fn add_checkpoint(&mut self, offset: u64, full: bool) {
        if full {
            self.checkpoints.clear();
        }
        self.checkpoints.push(offset);
    }

    pub fn exchanges(&self) -> u64 {
        self.exchanges
    }

    pub fn span(&self) -> Span {
        self.span
    }

    pub fn finish(&self) -> Index {
        let mut keys = self.keys.clone();
        keys.sort_unstable();
        let mut bytes = Vec::with_capacity(keys.len() * KEY_BYTES);
        for (key, block) in keys {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&block.to_le_bytes());
        }
        Index {
            blocks: self.blocks.clone(),
            keys: Bytes::from(bytes),
            checkpoints: self.checkpoints.clone(),
        }
    }
}

/// The payload of an index block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub blocks: Vec<(u64, u32)>,
    keys: Bytes,
    /// The last full checkpoint, and those after it.
    pub checkpoints: Vec<u64>,
}

impl Index {
    /// Says whether the index holds together.
    pub fn check(&self) -> Result<(), DamageCause> {
        let exchanges: u64 = self.blocks.iter().map(|(_, count)| u64::from(*count)).sum();
        if self.keys.len() as u64 == exchanges * KEY_BYTES as u64 {
            Ok(())
        } else {
            Err(DamageCause::Index)
        }
    }

    /// Offsets of the blocks that can hold an exchange with `key`, each once.
    pub fn find(&self, key: u32) -> Vec<u64> {
        let (entries, _) = self.keys.as_chunks::<KEY_BYTES>();
        let word = |entry: &[u8; KEY_BYTES], at: usize| {
            u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
        };
        let start = entries.partition_point(|entry| word(entry, 0) < key);
        let mut offsets: Vec<u64> = entries[start..]
            .iter()
            .take_while(|entry| word(entry, 0) == key)
            .filter_map(|entry| self.blocks.get(word(entry, 4) as usize))
            .map(|(offset, _)| *offset)
            .collect();
        offsets.dedup();
        offsets
    }

    /// Bytes that it holds in memory.
    pub fn memory(&self) -> usize {
        self.keys.len() + self.blocks.len() * 16 + self.checkpoints.len() * 8
    }
}
