//! Reading, beside a live writer or after it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use twintap_stream::{ExchangeId, Timestamp};

use crate::checkpoint::Checkpoint;
use crate::error::{Damage, Error, Operation, Result};
use crate::format::{BlockKind, Identity, PartHeader, PartName, open_name};
use crate::index::Index;
use crate::recovery::read_identity;
use crate::run::{Span, key};
use crate::scan::{PartFile, Scan};
use crate::sealed::{SealedFile, read_header, read_run, rebuild_index};
use crate::storage::{LocalDisk, Storage};
use crate::stored::{StoredBody, StoredExchange};
use crate::writer::Retention;

mod blocks;
mod body;
mod exchanges;
mod verify;

pub use blocks::{Block, Blocks, key_of};
pub use body::BodyChunks;
pub use exchanges::Exchanges;
pub use verify::Verified;

/// Open files that are kept.
const KEPT_FILES: usize = 16;
/// Bytes of indexes that are kept.
const KEPT_INDEX_BYTES: usize = 64 << 20;
/// How often the list of parts is read again because a part changed its name meanwhile.
const LIST_ATTEMPTS: usize = 8;

/// What was committed to an archive up to an instant.
///
/// It needs no lock. It sees what was committed when it was opened; what a
/// writer's retention removes later gives [`Error::PartRemoved`].
#[derive(Debug)]
pub struct Reader {
    storage: Arc<dyn Storage>,
    identity: Identity,
    parts: Vec<PartEntry>,
    /// Files and indexes used last, at the end.
    files: Mutex<Vec<Arc<PartFile>>>,
    indexes: Mutex<Vec<(u64, Arc<Index>)>>,
}

#[derive(Debug)]
struct PartEntry {
    number: u64,
    header: Option<PartHeader>,
    /// Where its blocks end.
    end: u64,
    exchanges: u64,
    /// Of a sealed part; that of an open one is found when asked for.
    span: Span,
    /// The file of an open part, which may get another name, with its blocks.
    open: Option<(Arc<PartFile>, Scan)>,
    damage: Vec<Damage>,
}

impl Reader {
    /// Opens the archive in the directory `path` for reading.
    ///
    /// # Errors
    /// [`Error::NotAnArchive`]; [`Error::Version`] when a later release wrote it;
    /// [`Error::Identity`]; [`Error::Storage`].
    pub fn open(path: impl AsRef<Path>) -> Result<Reader> {
        Reader::open_in(Arc::new(LocalDisk::new(path)))
    }

    /// Opens the archive in `storage` for reading.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_in(storage: Arc<dyn Storage>) -> Result<Reader> {
        let names = list(&*storage)?;
        let identity =
            read_identity(&*storage, &names)?.ok_or_else(|| not_an_archive(&*storage))?;
        let parts = open_parts(&*storage, &identity)?;
        Ok(Reader {
            storage,
            identity,
            parts,
            files: Mutex::default(),
            indexes: Mutex::default(),
        })
    }

    /// The archive's identity.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Exchanges that are there.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(|part| part.exchanges).sum()
    }

    /// True when there is no exchange.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all parts.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.end).sum()
    }

    /// The numbers of the parts, ascending.
    pub fn parts(&self) -> impl Iterator<Item = u64> {
        self.parts.iter().map(|part| part.number)
    }

    /// The earliest and the latest instant of its exchanges; 0 when none has a time.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn span(&self) -> Result<(Timestamp, Timestamp)> {
        let mut span = Span::default();
        for entry in &self.parts {
            span.merge(entry.span);
            if let Some((part, scan)) = &entry.open {
                let index = rebuild_index(part, &scan.blocks, entry.end, &mut Vec::new())?;
                span.merge(index.span());
            }
        }
        Ok((span.first, span.last))
    }

    /// What retention removed since the archive was made.
    pub fn removed(&self) -> Retention {
        match self.parts.first().map(|part| (part.number, part.header)) {
            Some((number, Some(header))) => Retention {
                parts: number - 1,
                exchanges: header.exchanges_before,
                bytes: header.bytes_before,
            },
            _ => Retention::default(),
        }
    }

    /// What was committed last; `None`, or empty, where nothing was.
    ///
    /// # Errors
    /// [`Error::Storage`]; [`Error::PartRemoved`].
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        for entry in self.parts.iter().rev() {
            let (view, _) = match &entry.open {
                Some((part, scan)) => scan.view(part, entry.end)?,
                None => self.sealed(entry.number)?.view()?,
            };
            if let Some(view) = view {
                return Ok(Some(view.full()));
            }
        }
        Ok(None)
    }

    /// All exchanges in the order in which they were stored.
    ///
    /// A damaged block comes as an error, and the iterator goes on after it.
    pub fn exchanges(&self) -> Exchanges<'_> {
        Exchanges::new(self, 0)
    }

    /// The exchanges after the first `skip`, which are passed over without being
    /// unpacked.
    pub fn exchanges_from(&self, skip: u64) -> Exchanges<'_> {
        Exchanges::new(self, skip)
    }

    /// All exchanges in the order in which they were stored, block by block: for whoever
    /// does not need all of each.
    pub fn blocks(&self) -> Blocks<'_> {
        Blocks::new(self, 0)
    }

    /// The exchange with this id, `None` when it is not there.
    ///
    /// # Errors
    /// [`Error::Damaged`] where a block that may hold it can't be read;
    /// [`Error::Storage`]; [`Error::PartRemoved`].
    pub fn get(&self, id: &ExchangeId) -> Result<Option<StoredExchange>> {
        let wanted = key(id);
        let mut fault = None;
        // What is asked for is mostly recent.
        for entry in self.parts.iter().rev() {
            let offsets = self.index(entry)?.find(wanted);
            if offsets.is_empty() {
                continue;
            }
            let part = self.file(entry.number)?;
            for offset in offsets {
                match find_in_block(&part, offset, wanted, id) {
                    Ok(None) => {}
                    Ok(found) => return Ok(found),
                    Err(error @ Error::Damaged(_)) => fault = Some(error),
                    Err(error) => return Err(error),
                }
            }
        }
        fault.map_or(Ok(None), Err)
    }

    /// The bytes of a body, block by block.
    pub fn body<'a>(&'a self, body: &'a StoredBody) -> BodyChunks<'a> {
        BodyChunks::new(self, body)
    }

    /// All bytes of a body of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`]; [`Error::Damaged`]; [`Error::PartRemoved`];
    /// [`Error::Storage`].
    pub fn read_body(&self, body: &StoredBody, limit: u64) -> Result<Bytes> {
        let bytes = body.bytes();
        if bytes > limit {
            return Err(Error::BodyTooLarge { bytes, limit });
        }
        if let StoredBody::Inline(bytes) = body {
            return Ok((**bytes).clone());
        }
        let mut out = BytesMut::new();
        for chunk in self.body(body) {
            out.extend_from_slice(&chunk?);
        }
        Ok(out.freeze())
    }

    /// Reads everything and compares every checksum.
    ///
    /// # Errors
    /// [`Error::Storage`]; [`Error::PartRemoved`]. Damage is no error here, but what
    /// it is about.
    pub fn verify(&self) -> Result<Verified> {
        verify::verify(self)
    }

    fn sealed(&self, number: u64) -> Result<SealedFile> {
        SealedFile::open(&*self.storage, &self.identity, number)
    }

    fn entry(&self, number: u64) -> Option<&PartEntry> {
        let at = self
            .parts
            .binary_search_by_key(&number, |entry| entry.number)
            .ok()?;
        Some(&self.parts[at])
    }

    /// The file of a part, kept for the next time.
    fn file(&self, number: u64) -> Result<Arc<PartFile>> {
        let entry = self
            .entry(number)
            .ok_or(Error::PartRemoved { part: number })?;
        if let Some((part, _)) = &entry.open {
            return Ok(part.clone());
        }
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = files.iter().position(|part| part.number == number) {
            let part = files.remove(at);
            files.push(part.clone());
            return Ok(part);
        }
        let part = Arc::new(self.sealed(number)?.part);
        if files.len() == KEPT_FILES {
            files.remove(0);
        }
        files.push(part.clone());
        Ok(part)
    }

    /// The index of a part, kept for the next time.
    fn index(&self, entry: &PartEntry) -> Result<Arc<Index>> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = indexes
            .iter()
            .position(|(number, _)| *number == entry.number)
        {
            let kept = indexes.remove(at);
            let index = kept.1.clone();
            indexes.push(kept);
            return Ok(index);
        }
        let index = Arc::new(match &entry.open {
            Some((part, scan)) => {
                rebuild_index(part, &scan.blocks, entry.end, &mut Vec::new())?.finish()
            }
            None => self.sealed(entry.number)?.index()?,
        });
        indexes.push((entry.number, index.clone()));
        let mut held: usize = indexes.iter().map(|(_, index)| index.memory()).sum();
        while held > KEPT_INDEX_BYTES && indexes.len() > 1 {
            held -= indexes.remove(0).1.memory();
        }
        Ok(index)
    }
}

fn find_in_block(
    part: &PartFile,
    offset: u64,
    wanted: u32,
    id: &ExchangeId,
) -> Result<Option<StoredExchange>> {
    let header = part.block_header(offset, BlockKind::Exchanges)?;
    let run = read_run(part, &header)?;
    for at in (0..run.len()).filter(|at| run.key(*at) == wanted) {
        let stored = run.get(at).map_err(|cause| part.damage(offset, cause))?;
        if stored.id() == id {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

fn list(storage: &dyn Storage) -> Result<Vec<String>> {
    storage.list().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => not_an_archive(storage),
        _ => Error::storage(&storage.describe(), Operation::List)(error),
    })
}

fn not_an_archive(storage: &dyn Storage) -> Error {
    Error::NotAnArchive {
        archive: storage.describe(),
    }
}

/// Opens every part once. A part that goes or gets its final name meanwhile makes
/// it begin again.
fn open_parts(storage: &dyn Storage, identity: &Identity) -> Result<Vec<PartEntry>> {
    let mut attempt = 1;
    loop {
        let mut names: Vec<PartName> = list(storage)?
            .iter()
            .filter_map(|name| PartName::parse(name))
            .collect();
        names.sort_unstable();
        // Of two files for one part the sealed one counts: it sorts last.
        names.reverse();
        names.dedup_by_key(|part| part.number);
        names.reverse();
        let opened: Result<Vec<Option<PartEntry>>> = names
            .iter()
            .map(|part| match part.sealed {
                true => open_sealed(storage, identity, part.number).map(Some),
                false => open_unsealed(storage, identity, part.number),
            })
            .collect();
        match opened {
            Err(Error::PartRemoved { .. }) if attempt < LIST_ATTEMPTS => attempt += 1,
            opened => return Ok(opened?.into_iter().flatten().collect()),
        }
    }
}

fn open_sealed(storage: &dyn Storage, identity: &Identity, number: u64) -> Result<PartEntry> {
    let file = SealedFile::open(storage, identity, number)?;
    let (exchanges, span) = file.contents()?;
    Ok(PartEntry {
        number,
        header: file.header,
        end: file.end(),
        exchanges,
        span,
        open: None,
        damage: file.damage,
    })
}

/// The committed prefix of an open part; `None` when nothing is committed.
fn open_unsealed(
    storage: &dyn Storage,
    identity: &Identity,
    number: u64,
) -> Result<Option<PartEntry>> {
    let part = PartFile::open(storage, identity, number, open_name(number), false)?;
    let mut damage = Vec::new();
    let header = read_header(&part, identity, &mut damage)?;
    let length = part.length()?;
    let scan = part.scan(length)?;
    let committed = scan.committed(&part, header.is_some())?;
    if committed.before.is_none() {
        return Ok(None);
    }
    let end = committed.end;
    let exchanges = scan
        .blocks
        .iter()
        .filter(|block| block.end() <= end)
        .map(|block| u64::from(block.exchanges))
        .sum();
    Ok(Some(PartEntry {
        number,
        header,
        end,
        exchanges,
        span: Span::default(),
        open: Some((Arc::new(part), scan)),
        damage,
    }))
}
