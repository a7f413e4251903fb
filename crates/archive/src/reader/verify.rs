//! Reading everything.

use super::{PartEntry, Reader};
use crate::error::{Damage, DamageCause, Error, Result};
use crate::format::{BlockKind, FOOTER_BYTES, HEADER_BYTES, from_cbor};
use crate::run::Run;
use crate::scan::{PartFile, Step};
use crate::sealed::read_index;
use crate::view::CheckpointBlock;

/// What [`Reader::verify`] read, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Parts.
    pub parts: u64,
    /// Blocks with a valid header.
    pub blocks: u64,
    /// Exchanges that can be read.
    pub exchanges: u64,
    /// Bytes.
    pub bytes: u64,
    /// Blocks of later versions.
    pub unknown: u64,
    /// Everything that is not as it was written.
    pub damage: Vec<Damage>,
}

impl Verified {
    /// True when everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}

pub(super) fn verify(reader: &Reader) -> Result<Verified> {
    let mut found = Verified::default();
    let mut expected = None;
    for entry in &reader.parts {
        if let Some(missing) = expected.filter(|number| *number != entry.number) {
            found.damage.push(Damage {
                part: missing,
                offset: 0,
                cause: DamageCause::Missing,
            });
        }
        expected = Some(entry.number + 1);
        found.parts += 1;
        found.damage.extend_from_slice(&entry.damage);
        verify_part(reader, entry, &mut found)?;
    }
    Ok(found)
}

fn verify_part(reader: &Reader, entry: &PartEntry, found: &mut Verified) -> Result<()> {
    let part = reader.file(entry.number)?;
    let (end, index_offset) = match &entry.open {
        Some(_) => (entry.end, None),
        None => {
            let file = reader.sealed(entry.number)?;
            let end = file.length.saturating_sub(FOOTER_BYTES as u64);
            (end, file.footer.map(|footer| footer.index_offset))
        }
    };
    found.bytes += end;
    let exchanges_before = found.exchanges;
    let mut at = HEADER_BYTES as u64;
    while let Some((step, next)) = part.step(at, end)? {
        at = next;
        let checked = match step {
            Step::Block(header) => verify_block(&part, &header, found),
            Step::Damage(damage) => Err(damage.into()),
        };
        match checked {
            Ok(()) => {}
            Err(Error::Damaged(damage)) => found.damage.push(damage),
            Err(error) => return Err(error),
        }
    }
    if let Some(offset) = index_offset {
        let counted = found.exchanges - exchanges_before;
        match read_index(&part, offset) {
            Ok(index) if counted == entry.exchanges => {
                let indexed: u64 = index
                    .blocks
                    .iter()
                    .map(|(_, count)| u64::from(*count))
                    .sum();
                if indexed != counted {
                    found.damage.push(part.damage(offset, DamageCause::Index));
                }
            }
            // What is wrong was said above.
            Ok(_) | Err(Error::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn verify_block(
    part: &PartFile,
    header: &crate::format::BlockHeader,
    found: &mut Verified,
) -> Result<()> {
    found.blocks += 1;
    let payload = part.payload(header)?;
    let damage = |cause| Error::from(part.damage(header.offset, cause));
    match header.kind() {
        Ok(BlockKind::Exchanges) => {
            let run = Run::parse(payload, header.exchanges).map_err(damage)?;
            for at in 0..run.len() {
                match run.get(at) {
                    Ok(_) => found.exchanges += 1,
                    Err(cause) => found.damage.push(part.damage(header.offset, cause)),
                }
            }
        }
        Ok(BlockKind::Checkpoint) => {
            from_cbor::<CheckpointBlock>(&payload).map_err(damage)?;
        }
        Ok(_) => {}
        Err(_) => found.unknown += 1,
    }
    Ok(())
}
