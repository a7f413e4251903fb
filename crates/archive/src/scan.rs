//! Reading a part block by block, past damage.

use bytes::Bytes;

use crate::error::{Damage, DamageCause, Error, Operation, Result};
use crate::format::{
    BLOCK_HEADER_BYTES, BLOCK_MAGIC, BlockHeader, BlockKind, FLAG_FULL, HEADER_BYTES, Identity,
    from_cbor, unpack,
};
use crate::storage::{Storage, StorageFile, read_full};
use crate::view::{CheckpointBlock, View};

/// How much is read at once in search of the next block.
const SEARCH_BYTES: usize = 64 << 10;

/// An open part, as far as reading goes.
#[derive(Debug)]
pub(crate) struct PartFile {
    pub number: u64,
    pub name: String,
    pub seed: u32,
    pub file: Box<dyn StorageFile>,
}

/// One step of a walk over a part.
#[derive(Debug)]
pub(crate) enum Step {
    /// A block with a valid header.
    Block(BlockHeader),
    /// Something that is no block, up to the next one.
    Damage(Damage),
}

impl PartFile {
    /// Opens the part of this number under its present name; [`Error::PartRemoved`] when
    /// there is none.
    pub fn open(
        storage: &dyn Storage,
        identity: &Identity,
        number: u64,
        name: String,
        writes: bool,
    ) -> Result<PartFile> {
        let file = storage
            .open(&name, writes)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Error::PartRemoved { part: number },
                _ => Error::storage(&name, Operation::Open)(error),
            })?;
        Ok(PartFile {
            number,
            name,
            seed: identity.id.seed(number),
            file,
        })
    }

    pub fn damage(&self, offset: u64, cause: DamageCause) -> Damage {
        Damage {
            part: self.number,
            offset,
            cause,
        }
    }

    pub fn length(&self) -> Result<u64> {
        self.file
            .length()
            .map_err(Error::storage(&self.name, Operation::Read))
    }

    /// Reads what is there of `length` bytes at `offset`.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; length];
        let count = read_full(&*self.file, &mut buffer, offset)
            .map_err(Error::storage(&self.name, Operation::Read))?;
        buffer.truncate(count);
        Ok(buffer)
    }

    /// The header of the block at `offset`, which ends before `end`.
    fn header(
        &self,
        offset: u64,
        end: u64,
    ) -> Result<std::result::Result<BlockHeader, DamageCause>> {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        let count = read_full(&*self.file, &mut bytes, offset)
            .map_err(Error::storage(&self.name, Operation::Read))?;
        if count < BLOCK_HEADER_BYTES {
            return Ok(Err(DamageCause::Truncated));
        }
        Ok(
            BlockHeader::decode(&bytes, self.seed, offset).and_then(|header| {
                if header.end() <= end {
                    Ok(header)
                } else {
                    Err(DamageCause::Truncated)
                }
            }),
        )
    }

    /// The payload of a block as stored; shorter when the file ends.
    fn stored(&self, header: &BlockHeader) -> Result<Bytes> {
        let offset = header.offset + BLOCK_HEADER_BYTES as u64;
        Ok(Bytes::from(self.read(offset, header.stored_bytes())?))
    }

    /// True when the payload is what was written.
    pub fn verify(&self, header: &BlockHeader) -> Result<bool> {
        Ok(header.matches(&self.stored(header)?))
    }

    /// The payload of a block.
    pub fn payload(&self, header: &BlockHeader) -> Result<Bytes> {
        let stored = self.stored(header)?;
        unpack(header, stored).map_err(|cause| self.damage(header.offset, cause).into())
    }

    /// The header of the block at `offset`, which has to be of `kind`.
    pub fn block_header(&self, offset: u64, kind: BlockKind) -> Result<BlockHeader> {
        let header = self
            .header(offset, u64::MAX)?
            .map_err(|cause| self.damage(offset, cause))?;
        if header.is(kind) {
            Ok(header)
        } else {
            Err(self
                .damage(offset, DamageCause::Kind(header.raw_kind()))
                .into())
        }
    }

    /// The block at `offset`, which has to be of `kind`.
    pub fn block(&self, offset: u64, kind: BlockKind) -> Result<(BlockHeader, Bytes)> {
        let header = self.block_header(offset, kind)?;
        let payload = self.payload(&header)?;
        Ok((header, payload))
    }

    pub fn checkpoint(&self, offset: u64) -> Result<CheckpointBlock> {
        let (_, payload) = self.block(offset, BlockKind::Checkpoint)?;
        from_cbor(&payload).map_err(|cause| self.damage(offset, cause).into())
    }

    /// What comes at `offset`, before `end`, and where to go on; `None` at the end.
    ///
    /// A block whose payload is damaged still comes as a block.
    pub fn step(&self, offset: u64, end: u64) -> Result<Option<(Step, u64)>> {
        if offset >= end {
            return Ok(None);
        }
        match self.header(offset, end)? {
            Ok(header) => Ok(Some((Step::Block(header), header.end()))),
            Err(cause) => {
                let next = self.search(offset + 1, end)?;
                Ok(Some((Step::Damage(self.damage(offset, cause)), next)))
            }
        }
    }

    /// The first valid header from `offset` on, or `end`.
    fn search(&self, offset: u64, end: u64) -> Result<u64> {
        let mut at = offset;
        while at < end {
            let length = SEARCH_BYTES.min((end - at) as usize);
            let window = self.read(at, length)?;
            for found in memchr::memmem::find_iter(&window, BLOCK_MAGIC) {
                let candidate = at + found as u64;
                if self.header(candidate, end)?.is_ok() {
                    return Ok(candidate);
                }
            }
            if window.len() < length {
                break;
            }
            // A magic can lie across two windows.
            at += length.saturating_sub(BLOCK_MAGIC.len() - 1).max(1) as u64;
        }
        Ok(end)
    }

    /// All blocks from the header up to `end`.
    pub fn scan(&self, end: u64) -> Result<Scan> {
        let mut scan = Scan::default();
        let mut at = HEADER_BYTES as u64;
        while let Some((step, next)) = self.step(at, end)? {
            match step {
                Step::Block(header) => scan.blocks.push(header),
                Step::Damage(damage) => scan.damage.push(damage),
            }
            at = next;
        }
        Ok(scan)
    }
}

/// The blocks of a part, and what lay between them.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub blocks: Vec<BlockHeader>,
    pub damage: Vec<Damage>,
}

/// How far an open part is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// Where it ends; 0 when nothing is committed.
    pub end: u64,
    /// Where the last group begins: what a failed sync could have left undone.
    pub group: u64,
    /// As the part's header says, from the last checkpoint.
    pub before: Option<(u64, u64)>,
}

impl Scan {
    /// Applies the rules of the format's section "What is committed in an open part".
    pub fn committed(&self, part: &PartFile, header_is_valid: bool) -> Result<Committed> {
        for header in self.blocks.iter().rev() {
            if !header.is(BlockKind::Checkpoint) {
                continue;
            }
            let block = match part.checkpoint(header.offset) {
                Ok(block) => block,
                Err(Error::Damaged(_)) => continue,
                Err(error) => return Err(error),
            };
            let group = block.synced.min(header.offset);
            let whole = self.is_whole(part, group, header.offset, header_is_valid)?;
            let end = if whole { header.end() } else { group };
            let before = (block.exchanges_before, block.bytes_before);
            return Ok(Committed {
                end,
                group,
                before: (end > 0).then_some(before),
            });
        }
        Ok(Committed {
            end: 0,
            group: 0,
            before: None,
        })
    }

    /// True when valid blocks fill the bytes from `start` to `end`; the part's header
    /// is one of them.
    fn is_whole(
        &self,
        part: &PartFile,
        start: u64,
        end: u64,
        header_is_valid: bool,
    ) -> Result<bool> {
        let mut at = start;
        if at == 0 && header_is_valid {
            at = HEADER_BYTES as u64;
        }
        for header in &self.blocks {
            if header.offset < start || header.offset >= end {
                continue;
            }
            if header.offset != at || !part.verify(header)? {
                return Ok(false);
            }
            at = header.end();
        }
        Ok(at == end)
    }

    /// The merged checkpoints before `end`, with the damage met on the way; `None`
    /// without a full one.
    pub fn view(&self, part: &PartFile, end: u64) -> Result<(Option<View>, Vec<Damage>)> {
        let checkpoints: Vec<&BlockHeader> = self
            .blocks
            .iter()
            .filter(|header| header.is(BlockKind::Checkpoint) && header.end() <= end)
            .collect();
        let offsets: Vec<u64> = checkpoints.iter().map(|header| header.offset).collect();
        let full = checkpoints
            .iter()
            .rposition(|header| header.flags & FLAG_FULL != 0)
            .unwrap_or(0);
        let (view, damage) = merge_checkpoints(part, &offsets[full..])?;
        if damage.is_empty() || full == 0 {
            return Ok((view, damage));
        }
        // The full one itself may be damaged: what came before it fills the hole.
        merge_checkpoints(part, &offsets)
    }
}

/// Lays the checkpoints at `offsets` on top of each other.
pub(crate) fn merge_checkpoints(
    part: &PartFile,
    offsets: &[u64],
) -> Result<(Option<View>, Vec<Damage>)> {
    let mut view = None;
    let mut damage = Vec::new();
    for offset in offsets {
        match part.checkpoint(*offset) {
            Ok(block) if block.full => view.insert(View::default()).apply(block),
            // A delta whose full checkpoint is damaged still says more than nothing.
            Ok(block) => view.get_or_insert_with(View::default).apply(block),
            Err(Error::Damaged(found)) => damage.push(found),
            Err(error) => return Err(error),
        }
    }
    Ok((view, damage))
}
