//! The part that is being appended to.

use crate::error::{Error, Operation, Result};
use crate::format::{
    BlockKind, Codec, FLAG_FULL, Footer, PartHeader, Place, open_name, sealed_name, to_cbor,
};
use crate::index::IndexBuilder;
use crate::run::{RunBuilder, Span};
use crate::scan::PartFile;
use crate::storage::Storage;
use crate::view::{CheckpointBlock, View};

/// Blocks are gathered to so many bytes before they are written.
const WRITE_BYTES: usize = 256 << 10;
/// A full checkpoint is due when the deltas since the last outweigh it so many times.
const FULL_AFTER: u64 = 4;
/// ... and this much beside it, so that small ones do not alternate.
const FULL_SLACK_BYTES: u64 = 64 << 10;

/// A sealed part, as far as a writer has to know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealedPart {
    pub number: u64,
    pub exchanges_before: u64,
    pub bytes_before: u64,
    pub exchanges: u64,
    pub span: Span,
    pub length: u64,
}

/// The part that is being appended to.
///
/// Blocks get their place at once and are written later, in order. A write that
/// failed is done again at the same place.
#[derive(Debug)]
pub(crate) struct OpenPart {
    pub part: PartFile,
    pub header: PartHeader,
    index: IndexBuilder,
    /// Bytes handed to the file.
    written: u64,
    /// Bytes known to be on disk; a commit ends here.
    synced: u64,
    /// What comes after `written`.
    outbox: Vec<u8>,
    committed_exchanges: u64,
    full_bytes: u64,
    delta_bytes: u64,
}

impl OpenPart {
    /// Makes a part whose first block is all of `view`, durable when this returns.
    pub fn create(
        storage: &dyn Storage,
        header: PartHeader,
        view: &View,
        codec: &mut Codec,
    ) -> Result<OpenPart> {
        let name = open_name(header.number);
        let file = storage
            .create(&name)
            .map_err(Error::storage(&name, Operation::Create))?;
        let part = PartFile {
            number: header.number,
            seed: header.id.seed(header.number),
            name,
            file,
        };
        let mut open = OpenPart {
            part,
            header,
            index: IndexBuilder::default(),
            written: 0,
            synced: 0,
            outbox: header.encode().to_vec(),
            committed_exchanges: 0,
            full_bytes: 0,
            delta_bytes: 0,
        };
        open.push_checkpoint(codec, None, view)?;
        open.sync()?;
        storage
            .sync_directory()
            .map_err(Error::storage(&open.part.name, Operation::SyncDirectory))?;
        Ok(open)
    }

    /// A part that recovery found, truncated to `end`.
    pub fn resume(part: PartFile, header: PartHeader, index: IndexBuilder, end: u64) -> OpenPart {
        OpenPart {
            part,
            header,
            committed_exchanges: index.exchanges(),
            index,
            written: end,
            synced: end,
            outbox: Vec::new(),
            full_bytes: 0,
            // The next checkpoint is a full one.
            delta_bytes: u64::MAX / 2,
        }
    }

    /// Where the next block will lie.
    fn position(&self) -> u64 {
        self.written + self.outbox.len() as u64
    }

    /// Bytes that are on disk.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// True when there are blocks after the last commit.
    pub fn is_uncommitted(&self) -> bool {
        self.position() > self.synced
    }

    /// Bytes that wait to be written.
    pub fn held_bytes(&self) -> usize {
        self.outbox.len()
    }

    pub fn exchanges(&self) -> u64 {
        self.index.exchanges()
    }

    /// Those that are committed.
    pub fn committed_exchanges(&self) -> u64 {
        self.committed_exchanges
    }

    pub fn span(&self) -> Span {
        self.index.span()
    }

    /// Appends a block and gives its offset.
    pub fn push(&mut self, codec: &mut Codec, kind: BlockKind, plain: &[u8]) -> u64 {
        self.push_block(codec, kind, 0, 0, plain)
    }

    /// Appends a run of exchanges.
    pub fn push_run(&mut self, codec: &mut Codec, run: &RunBuilder) {
        let exchanges = run.keys().len() as u32;
        let offset = self.push_block(codec, BlockKind::Exchanges, 0, exchanges, &run.payload());
        self.index.add_run(offset, run.keys(), run.span());
    }

    /// Appends a checkpoint: `delta`, or all of `view` where a full one is due.
    pub fn push_checkpoint(
        &mut self,
        codec: &mut Codec,
        delta: Option<crate::Checkpoint>,
        view: &View,
    ) -> Result<()> {
        let limit = FULL_AFTER * self.full_bytes + FULL_SLACK_BYTES;
        let delta = delta.filter(|_| self.delta_bytes <= limit);
        let full = delta.is_none();
        let block = CheckpointBlock {
            full,
            synced: self.synced,
            exchanges_before: self.header.exchanges_before,
            bytes_before: self.header.bytes_before,
            checkpoint: delta.unwrap_or_else(|| view.full()),
        };
        let mut plain = Vec::new();
        to_cbor(&block, "a checkpoint", &mut plain)?;
        let flags = if full { FLAG_FULL } else { 0 };
        let offset = self.push_block(codec, BlockKind::Checkpoint, flags, 0, &plain);
        self.index.add_checkpoint(offset, full);
        if full {
            self.full_bytes = plain.len() as u64;
            self.delta_bytes = 0;
        } else {
            self.delta_bytes += plain.len() as u64;
        }
        Ok(())
    }

    fn push_block(
        &mut self,
        codec: &mut Codec,
        kind: BlockKind,
        flags: u8,
        exchanges: u32,
        plain: &[u8],
    ) -> u64 {
        let offset = self.position();
        let place = Place {
            seed: self.part.seed,
            offset,
            kind,
            flags,
            exchanges,
        };
        codec.append(&mut self.outbox, place, plain);
        offset
    }

    /// Writes the blocks that wait, if they are many.
    pub fn write_some(&mut self) -> Result<()> {
        if self.outbox.len() >= WRITE_BYTES {
            self.write()
        } else {
            Ok(())
        }
    }

    /// Writes the blocks that wait. When it fails they still wait.
    pub fn write(&mut self) -> Result<()> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        self.part
            .file
            .write_all_at(&self.outbox, self.written)
            .map_err(Error::storage(&self.part.name, Operation::Write))?;
        self.written += self.outbox.len() as u64;
        self.outbox.clear();
        // One large record should not be held room for ever.
        self.outbox.shrink_to(4 * WRITE_BYTES);
        Ok(())
    }

    /// Writes the blocks that wait and makes all durable.
    pub fn sync(&mut self) -> Result<()> {
        self.write()?;
        self.part
            .file
            .sync()
            .map_err(Error::storage(&self.part.name, Operation::Sync))?;
        self.synced = self.written;
        self.committed_exchanges = self.index.exchanges();
        Ok(())
    }

    /// Seals the part, all of which is committed. When it fails the part is as before.
    pub fn seal(&mut self, storage: &dyn Storage, codec: &mut Codec) -> Result<SealedPart> {
        let committed = self.synced;
        let sealed = self.try_seal(storage, codec);
        if sealed.is_err() {
            self.outbox.clear();
            self.written = committed;
            self.synced = committed;
            // What is left of the index is overwritten by the next block, and cut
            // off before the part is sealed; until then nobody looks there.
            let _ = self.part.file.set_length(committed);
        }
        sealed
    }

    fn try_seal(&mut self, storage: &dyn Storage, codec: &mut Codec) -> Result<SealedPart> {
        let mut plain = Vec::new();
        to_cbor(&self.index.finish(), "an index", &mut plain)?;
        let index_offset = self.push(codec, BlockKind::Index, &plain);
        let length = self.position() + crate::format::FOOTER_BYTES as u64;
        let footer = Footer {
            index_offset,
            exchanges: self.index.exchanges(),
            first: self.index.span().first,
            last: self.index.span().last,
            length,
        };
        self.outbox
            .extend_from_slice(&footer.encode(self.part.seed));
        self.write()?;
        if self.part.length()? != length {
            self.part
                .file
                .set_length(length)
                .map_err(Error::storage(&self.part.name, Operation::Truncate))?;
        }
        self.sync()?;
        let name = sealed_name(self.part.number);
        storage
            .rename(&self.part.name, &name)
            .map_err(Error::storage(&self.part.name, Operation::Rename))?;
        Ok(SealedPart {
            number: self.part.number,
            exchanges_before: self.header.exchanges_before,
            bytes_before: self.header.bytes_before,
            exchanges: self.index.exchanges(),
            span: self.index.span(),
            length,
        })
    }
}
