//! Opening an archive for writing: back to the last commit.

use std::collections::{BTreeMap, VecDeque};

use crate::checkpoint::Checkpoint;
use crate::error::{Damage, DamageCause, Error, Operation, Result};
use crate::format::{
    ArchiveId, Codec, HEADER_BYTES, HeaderFault, IDENTITY, Identity, MAJOR, MINOR, PartHeader,
    PartName, is_leftover, open_name,
};
use crate::options::Options;
use crate::part::{OpenPart, SealedPart};
use crate::scan::PartFile;
use crate::sealed::{SealedFile, read_header, rebuild_index};
use crate::storage::Storage;
use crate::view::View;

/// How much of the last group is written anew at a time.
const COPY_BYTES: u64 = 1 << 20;

/// What was found when an archive was opened for writing.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// What was committed last; absent, or empty, where nothing was.
    pub checkpoint: Option<Checkpoint>,
    /// Parts that are there.
    pub parts: u64,
    /// Exchanges that are there.
    pub exchanges: u64,
    /// Bytes cut off because they were never committed.
    pub truncated_bytes: u64,
    /// Damage to what was committed; see [`Reader::verify`](crate::Reader::verify) for
    /// all of it. Where a checkpoint is damaged, watermarks of its flows may be
    /// older than what is stored.
    pub damage: Vec<Damage>,
}

/// Recovery's finds, for the writer.
pub(crate) struct Found {
    pub sealed: VecDeque<SealedPart>,
    pub open: Option<OpenPart>,
    pub view: View,
    pub recovery: Recovery,
}

/// Reads the identity, or makes a new one where there is no archive yet.
pub(crate) fn identity(storage: &dyn Storage, options: &Options) -> Result<Identity> {
    let names = list(storage)?;
    if let Some(identity) = read_identity(storage, &names)? {
        return Ok(identity);
    }
    if names.iter().any(|name| PartName::parse(name).is_some()) {
        return Err(Error::Identity {
            archive: storage.describe(),
            cause: DamageCause::Missing,
        });
    }
    let identity = Identity {
        version: (MAJOR, MINOR),
        id: ArchiveId(rand::random()),
        created: options.created,
    };
    publish(storage, IDENTITY, &identity.encode())?;
    Ok(identity)
}

/// The identity, `None` when the file is not there.
pub(crate) fn read_identity(storage: &dyn Storage, names: &[String]) -> Result<Option<Identity>> {
    if !names.iter().any(|name| name == IDENTITY) {
        return Ok(None);
    }
    let mut bytes = [0; HEADER_BYTES];
    let file = storage
        .open(IDENTITY, false)
        .map_err(Error::storage(IDENTITY, Operation::Open))?;
    let count = crate::storage::read_full(&*file, &mut bytes, 0)
        .map_err(Error::storage(IDENTITY, Operation::Read))?;
    let damaged = |cause| Error::Identity {
        archive: storage.describe(),
        cause,
    };
    match Identity::decode(&bytes[..count]) {
        Ok(identity) => Ok(Some(identity)),
        Err(HeaderFault::Truncated) => Err(damaged(DamageCause::Truncated)),
        Err(HeaderFault::Invalid) => Err(damaged(DamageCause::Header)),
        Err(HeaderFault::Version(found)) => Err(Error::Version {
            file: IDENTITY.to_owned(),
            found,
            supported: MAJOR,
        }),
    }
}

/// Writes a file so that it is there whole or not at all.
fn publish(storage: &dyn Storage, name: &str, bytes: &[u8]) -> Result<()> {
    let draft = format!("{name}.tmp");
    let file = storage
        .create(&draft)
        .map_err(Error::storage(&draft, Operation::Create))?;
    file.write_all_at(bytes, 0)
        .map_err(Error::storage(&draft, Operation::Write))?;
    file.sync()
        .map_err(Error::storage(&draft, Operation::Sync))?;
    storage
        .rename(&draft, name)
        .map_err(Error::storage(&draft, Operation::Rename))?;
    sync_directory(storage, name)
}

/// Brings the parts back to the last commit.
pub(crate) fn recover(
    storage: &dyn Storage,
    identity: &Identity,
    codec: &mut Codec,
) -> Result<Found> {
    let mut recovery = Recovery::default();
    let parts = remove_leftovers(storage)?;
    let newest = parts.keys().next_back().copied();
    let mut sealed: VecDeque<SealedPart> = VecDeque::new();
    let mut view = None;
    let mut open = None;
    for (number, is_sealed) in parts {
        if is_sealed {
            let file = SealedFile::open(storage, identity, number)?;
            recovery.damage.extend_from_slice(&file.damage);
            sealed.push_back(describe(&file, sealed.back())?);
            continue;
        }
        let Some(mut found) = recover_open(storage, identity, number, &mut recovery)? else {
            continue;
        };
        if Some(number) == newest && found.part.header.version.1 == MINOR {
            view = found.view;
            open = Some(found.part);
        } else {
            sealed.push_back(found.part.seal(storage, codec)?);
            sync_directory(storage, &found.part.part.name)?;
        }
    }
    // A writer before this one may have died between making a file and this.
    sync_directory(storage, &storage.describe())?;
    // Only damage makes it go further back than the newest part.
    let mut older = sealed.iter().rev();
    while view.is_none()
        && let Some(part) = older.next()
    {
        let file = SealedFile::open(storage, identity, part.number)?;
        let (found, damage) = file.view()?;
        recovery.damage.extend(damage);
        view = found;
    }
    recovery.parts = sealed.len() as u64 + u64::from(open.is_some());
    recovery.exchanges = sealed.iter().map(|part| part.exchanges).sum::<u64>()
        + open.as_ref().map_or(0, OpenPart::exchanges);
    recovery.checkpoint = view.as_ref().map(View::full);
    Ok(Found {
        sealed,
        open,
        view: view.unwrap_or_default(),
        recovery,
    })
}

/// Brings one open part back to its last commit; `None` when it had none.
pub(crate) fn reopen(
    storage: &dyn Storage,
    identity: &Identity,
    open: OpenPart,
) -> Result<Option<OpenPart>> {
    let number = open.part.number;
    drop(open);
    let found = recover_open(storage, identity, number, &mut Recovery::default())?;
    Ok(found.map(|found| found.part))
}

/// The parts and whether each is sealed; what was never published is removed.
fn remove_leftovers(storage: &dyn Storage) -> Result<BTreeMap<u64, bool>> {
    let mut parts: BTreeMap<u64, bool> = BTreeMap::new();
    let names = list(storage)?;
    for name in &names {
        if let Some(part) = PartName::parse(name) {
            *parts.entry(part.number).or_default() |= part.sealed;
        }
    }
    for name in &names {
        let superseded = PartName::parse(name)
            .is_some_and(|part| !part.sealed && parts.get(&part.number) == Some(&true));
        if superseded || is_leftover(name) {
            remove(storage, name)?;
        }
    }
    Ok(parts)
}

fn describe(file: &SealedFile, before: Option<&SealedPart>) -> Result<SealedPart> {
    let (exchanges, span) = file.contents()?;
    let (exchanges_before, bytes_before) = match (file.header, before) {
        (Some(header), _) => (header.exchanges_before, header.bytes_before),
        (None, Some(before)) => (
            before.exchanges_before + before.exchanges,
            before.bytes_before + before.length,
        ),
        (None, None) => (0, 0),
    };
    Ok(SealedPart {
        number: file.part.number,
        exchanges_before,
        bytes_before,
        exchanges,
        span,
        length: file.length,
    })
}

struct FoundOpen {
    part: OpenPart,
    view: Option<View>,
}

fn recover_open(
    storage: &dyn Storage,
    identity: &Identity,
    number: u64,
    recovery: &mut Recovery,
) -> Result<Option<FoundOpen>> {
    let part = PartFile::open(storage, identity, number, open_name(number), true)?;
    let mut damage = Vec::new();
    let header = read_header(&part, identity, &mut damage)?;
    let length = part.length()?;
    let scan = part.scan(length)?;
    let committed = scan.committed(&part, header.is_some())?;
    let Some((exchanges_before, bytes_before)) = committed.before else {
        // Nothing in it was ever acknowledged.
        recovery.truncated_bytes += length;
        remove(storage, &part.name)?;
        return Ok(None);
    };
    let end = committed.end;
    damage.extend(
        scan.damage
            .iter()
            .filter(|found| found.offset < end)
            .cloned(),
    );
    recovery.truncated_bytes += length - end;
    if length > end {
        part.file
            .set_length(end)
            .map_err(Error::storage(&part.name, Operation::Truncate))?;
    }
    let header = match header {
        Some(header) => header,
        None => {
            let header = PartHeader {
                version: (MAJOR, MINOR),
                id: identity.id,
                number,
                exchanges_before,
                bytes_before,
            };
            write(&part, &header.encode(), 0)?;
            header
        }
    };
    write_anew(&part, committed.group, end)?;
    part.file
        .sync()
        .map_err(Error::storage(&part.name, Operation::Sync))?;
    let index = rebuild_index(&part, &scan.blocks, end, &mut damage)?;
    let (view, found) = scan.view(&part, end)?;
    damage.extend(found);
    recovery.damage.extend(damage);
    Ok(Some(FoundOpen {
        part: OpenPart::resume(part, header, index, end),
        view,
    }))
}

/// Writes the bytes from `start` to `end` again: after a sync that failed they may
/// be in memory alone, and count as written.
fn write_anew(part: &PartFile, start: u64, end: u64) -> Result<()> {
    let mut at = start;
    while at < end {
        let bytes = part.read(at, COPY_BYTES.min(end - at) as usize)?;
        if bytes.is_empty() {
            break;
        }
        write(part, &bytes, at)?;
        at += bytes.len() as u64;
    }
    Ok(())
}

fn write(part: &PartFile, bytes: &[u8], offset: u64) -> Result<()> {
    part.file
        .write_all_at(bytes, offset)
        .map_err(Error::storage(&part.name, Operation::Write))
}

fn list(storage: &dyn Storage) -> Result<Vec<String>> {
    storage
        .list()
        .map_err(Error::storage(&storage.describe(), Operation::List))
}

fn remove(storage: &dyn Storage, name: &str) -> Result<()> {
    storage
        .remove(name)
        .map_err(Error::storage(name, Operation::Remove))?;
    sync_directory(storage, name)
}

fn sync_directory(storage: &dyn Storage, name: &str) -> Result<()> {
    storage
        .sync_directory()
        .map_err(Error::storage(name, Operation::SyncDirectory))
}
