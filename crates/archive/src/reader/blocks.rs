//! Blocks of exchanges, whose records are decoded when they are asked for.

use std::sync::Arc;

use twintap_stream::ExchangeId;

use super::Reader;
use crate::error::{DamageCause, Error, Result};
use crate::format::{BlockKind, HEADER_BYTES};
use crate::run::{Run, key};
use crate::scan::{PartFile, Step};
use crate::sealed::read_run;
use crate::stored::{StoredExchange, StoredRequest};

/// A block of exchanges in memory, unpacked and not decoded.
#[derive(Debug)]
pub struct Block {
    file: Arc<PartFile>,
    offset: u64,
    run: Run,
}

impl Block {
    /// Exchanges in it.
    pub fn len(&self) -> usize {
        self.run.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.run.bytes()
    }

    /// The key of the exchange at `place`, which is below `len()`. Exchanges of one
    /// [`key_of`] can differ.
    pub fn key(&self, place: usize) -> u32 {
        self.run.key(place)
    }

    /// The exchange at `place`, which is below `len()`.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn get(&self, place: usize) -> Result<StoredExchange> {
        self.run.get(place).map_err(|cause| self.damaged(cause))
    }

    /// The request of the exchange at `place`, which is below `len()`. What is not part of
    /// it is not decoded.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn request(&self, place: usize) -> Result<StoredRequest> {
        self.run.request(place).map_err(|cause| self.damaged(cause))
    }

    fn damaged(&self, cause: DamageCause) -> Error {
        self.file.damage(self.offset, cause).into()
    }
}

/// What [`Block::key`] gives for the exchange with this id.
pub fn key_of(id: &ExchangeId) -> u32 {
    key(id)
}

/// The blocks of exchanges of an archive in the order in which they were stored, each
/// with the place to begin at.
///
/// A damaged block is one error, after which the iterator goes on.
#[derive(Debug)]
pub struct Blocks<'a> {
    reader: &'a Reader,
    /// The part being read, as its place in the list; the next one to open.
    part: usize,
    open: Option<Walk>,
    /// Exchanges still to be passed over.
    skip: u64,
    unknown: u64,
}

#[derive(Debug)]
struct Walk {
    file: Arc<PartFile>,
    at: u64,
    end: u64,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(reader: &'a Reader, skip: u64) -> Blocks<'a> {
        Blocks {
            reader,
            part: 0,
            open: None,
            skip,
            unknown: 0,
        }
    }

    /// Blocks of later versions passed over so far.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Opens the next part that is not passed over; false at the end.
    fn open_next(&mut self) -> Result<bool> {
        while let Some(entry) = self.reader.parts.get(self.part) {
            self.part += 1;
            if self.skip >= entry.exchanges {
                self.skip -= entry.exchanges;
                // A part without exchanges can still have damage to tell of.
                if entry.exchanges > 0 {
                    continue;
                }
            }
            self.open = Some(Walk {
                file: self.reader.file(entry.number)?,
                at: HEADER_BYTES as u64,
                end: entry.end,
            });
            return Ok(true);
        }
        Ok(false)
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<(Block, usize)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(walk) = &mut self.open else {
                match self.open_next() {
                    Ok(true) => continue,
                    Ok(false) => return None,
                    Err(error) => return Some(Err(error)),
                }
            };
            match walk.advance(&mut self.skip, &mut self.unknown) {
                Ok(Next::Block(block, at)) => return Some(Ok((block, at))),
                Ok(Next::Other) => {}
                Ok(Next::End) => self.open = None,
                Err(error @ Error::Damaged(_)) => return Some(Err(error)),
                Err(error) => {
                    // What can't be read now would not be read by trying on.
                    self.open = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// What comes next in a part.
enum Next {
    Block(Block, usize),
    Other,
    End,
}

impl Walk {
    /// Goes one block on.
    fn advance(&mut self, skip: &mut u64, unknown: &mut u64) -> Result<Next> {
        let Some((step, next)) = self.file.step(self.at, self.end)? else {
            return Ok(Next::End);
        };
        self.at = next;
        let header = match step {
            Step::Block(header) => header,
            Step::Damage(damage) => return Err(damage.into()),
        };
        match header.kind() {
            Ok(BlockKind::Exchanges) => {}
            Ok(_) => return Ok(Next::Other),
            Err(_) => {
                *unknown += 1;
                return Ok(Next::Other);
            }
        }
        let exchanges = u64::from(header.exchanges);
        if *skip >= exchanges {
            *skip -= exchanges;
            return Ok(Next::Other);
        }
        let at = std::mem::take(skip) as usize;
        let block = Block {
            run: read_run(&self.file, &header)?,
            file: Arc::clone(&self.file),
            offset: header.offset,
        };
        Ok(Next::Block(block, at))
    }
}
