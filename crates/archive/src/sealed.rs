//! Sealed parts, and what can be told of one that is damaged.

use crate::error::{Damage, DamageCause, Error, Result};
use crate::format::{
    BlockHeader, BlockKind, FLAG_FULL, FOOTER_BYTES, Footer, HEADER_BYTES, HeaderFault, Identity,
    MAJOR, PartHeader, from_cbor, sealed_name,
};
use crate::index::{Index, IndexBuilder};
use crate::run::{Run, Span};
use crate::scan::{PartFile, merge_checkpoints};
use crate::storage::Storage;
use crate::view::View;

/// A sealed part that was opened.
#[derive(Debug)]
pub(crate) struct SealedFile {
    pub part: PartFile,
    pub header: Option<PartHeader>,
    pub footer: Option<Footer>,
    pub length: u64,
    /// What is wrong with header and footer.
    pub damage: Vec<Damage>,
}

/// The part's header, `None` with its damage noted when it can't be read.
pub(crate) fn read_header(
    part: &PartFile,
    identity: &Identity,
    damage: &mut Vec<Damage>,
) -> Result<Option<PartHeader>> {
    match PartHeader::decode(&part.read(0, HEADER_BYTES)?) {
        Ok(header) if header.id != identity.id || header.number != part.number => {
            Err(part.damage(0, DamageCause::Foreign).into())
        }
        Ok(header) => Ok(Some(header)),
        Err(HeaderFault::Version(found)) => Err(Error::Version {
            file: part.name.clone(),
            found,
            supported: MAJOR,
        }),
        Err(HeaderFault::Truncated) => {
            damage.push(part.damage(0, DamageCause::Truncated));
            Ok(None)
        }
        Err(HeaderFault::Invalid) => {
            damage.push(part.damage(0, DamageCause::Header));
            Ok(None)
        }
    }
}

impl SealedFile {
    /// Opens the part; [`Error::PartRemoved`] when it is gone.
    pub fn open(storage: &dyn Storage, identity: &Identity, number: u64) -> Result<SealedFile> {
        let part = PartFile::open(storage, identity, number, sealed_name(number), false)?;
        let mut damage = Vec::new();
        let header = read_header(&part, identity, &mut damage)?;
        let length = part.length()?;
        let footer = read_footer(&part, length)?;
        if footer.is_none() {
            let offset = length.saturating_sub(FOOTER_BYTES as u64);
            damage.push(part.damage(offset, DamageCause::Footer));
        }
        Ok(SealedFile {
            part,
            header,
            footer,
            length,
            damage,
        })
    }

    /// Where the blocks of exchanges, bodies and checkpoints end, as far as is known.
    pub fn end(&self) -> u64 {
        self.footer
            .map_or(self.length, |footer| footer.index_offset)
    }

    /// Exchanges in the part and their time.
    pub fn contents(&self) -> Result<(u64, Span)> {
        match self.footer {
            Some(footer) => {
                let span = Span {
                    first: footer.first,
                    last: footer.last,
                };
                Ok((footer.exchanges, span))
            }
            None => {
                let index = self.rebuild(&mut Vec::new())?;
                Ok((index.exchanges(), index.span()))
            }
        }
    }

    /// The index, made anew where it is damaged.
    pub fn index(&self) -> Result<Index> {
        if let Some(footer) = self.footer {
            match read_index(&self.part, footer.index_offset) {
                Ok(index) => return Ok(index),
                Err(Error::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.rebuild(&mut Vec::new())?.finish())
    }

    /// The merged checkpoints.
    pub fn view(&self) -> Result<(Option<View>, Vec<Damage>)> {
        if let Some(footer) = self.footer
            && let Ok(index) = read_index(&self.part, footer.index_offset)
            && let Ok((Some(view), damage)) = merge_checkpoints(&self.part, &index.checkpoints)
            && damage.is_empty()
        {
            return Ok((Some(view), damage));
        }
        self.part.scan(self.end())?.view(&self.part, self.end())
    }

    fn rebuild(&self, damage: &mut Vec<Damage>) -> Result<IndexBuilder> {
        let scan = self.part.scan(self.end())?;
        rebuild_index(&self.part, &scan.blocks, self.end(), damage)
    }
}

fn read_footer(part: &PartFile, length: u64) -> Result<Option<Footer>> {
    let Some(offset) = length.checked_sub(FOOTER_BYTES as u64) else {
        return Ok(None);
    };
    let bytes = part.read(offset, FOOTER_BYTES)?;
    Ok(bytes
        .first_chunk()
        .and_then(|bytes| Footer::decode(bytes, part.seed, length)))
}

/// The index block at `offset`.
pub(crate) fn read_index(part: &PartFile, offset: u64) -> Result<Index> {
    let (_, payload) = part.block(offset, BlockKind::Index)?;
    let index: Index = from_cbor(&payload).map_err(|cause| part.damage(offset, cause))?;
    index.check().map_err(|cause| part.damage(offset, cause))?;
    Ok(index)
}

/// The index of the blocks that end by `end`; exchanges in damaged ones are not in it.
pub(crate) fn rebuild_index(
    part: &PartFile,
    blocks: &[BlockHeader],
    end: u64,
    damage: &mut Vec<Damage>,
) -> Result<IndexBuilder> {
    let mut index = IndexBuilder::default();
    for header in blocks.iter().filter(|header| header.end() <= end) {
        match header.kind() {
            Ok(BlockKind::Exchanges) => match read_run(part, header) {
                Ok(run) => {
                    let keys = (0..run.len()).map(|at| run.key(at));
                    index.add_run(header.offset, keys, run.span());
                }
                Err(Error::Damaged(found)) => damage.push(found),
                Err(error) => return Err(error),
            },
            Ok(BlockKind::Checkpoint) => {
                index.add_checkpoint(header.offset, header.flags & FLAG_FULL != 0);
            }
            _ => {}
        }
    }
    Ok(index)
}

/// The exchanges in the block with `header`.
pub(crate) fn read_run(part: &PartFile, header: &BlockHeader) -> Result<Run> {
    let payload = part.payload(header)?;
    Run::parse(payload, header.exchanges).map_err(|cause| part.damage(header.offset, cause).into())
}
