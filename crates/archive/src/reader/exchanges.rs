//! Exchanges one after the other.

use std::sync::Arc;

use super::Reader;
use crate::error::{Error, Result};
use crate::format::{BlockKind, HEADER_BYTES};
use crate::run::Run;
use crate::scan::{PartFile, Step};
use crate::sealed::read_run;
use crate::stored::StoredExchange;

/// The exchanges of an archive in the order in which they were stored; holds one
/// block at a time.
///
/// A damaged block is one error, after which the iterator goes on.
#[derive(Debug)]
pub struct Exchanges<'a> {
    reader: &'a Reader,
    /// The part being read, as its place in the list; the next one to open.
    part: usize,
    open: Option<Walk>,
    /// Exchanges still to be passed over.
    skip: u64,
    damaged: u64,
    unknown: u64,
}

#[derive(Debug)]
struct Walk {
    file: Arc<PartFile>,
    at: u64,
    end: u64,
    run: Option<RunWalk>,
}

#[derive(Debug)]
struct RunWalk {
    run: Run,
    offset: u64,
    at: usize,
}

impl<'a> Exchanges<'a> {
    pub(super) fn new(reader: &'a Reader, skip: u64) -> Exchanges<'a> {
        Exchanges {
            reader,
            part: 0,
            open: None,
            skip,
            damaged: 0,
            unknown: 0,
        }
    }

    /// Damaged places met so far.
    pub fn damaged(&self) -> u64 {
        self.damaged
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
                run: None,
            });
            return Ok(true);
        }
        Ok(false)
    }
}

impl Iterator for Exchanges<'_> {
    type Item = Result<StoredExchange>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(walk) = &mut self.open else {
                match self.open_next() {
                    Ok(true) => continue,
                    Ok(false) => return None,
                    Err(error) => return Some(Err(error)),
                }
            };
            if let Some(found) = walk.take_from_run() {
                self.damaged += u64::from(found.is_err());
                return Some(found);
            }
            match walk.advance(&mut self.skip, &mut self.unknown) {
                Ok(true) => {}
                Ok(false) => self.open = None,
                Err(error @ Error::Damaged(_)) => {
                    self.damaged += 1;
                    return Some(Err(error));
                }
                Err(error) => {
                    // What can't be read now would not be read by trying on.
                    self.open = None;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Walk {
    /// The next exchange of the block at hand.
    fn take_from_run(&mut self) -> Option<Result<StoredExchange>> {
        let walk = self.run.as_mut()?;
        if walk.at == walk.run.len() {
            self.run = None;
            return None;
        }
        let found = walk.run.get(walk.at);
        walk.at += 1;
        let offset = walk.offset;
        Some(found.map_err(|cause| self.file.damage(offset, cause).into()))
    }

    /// Goes one block on; false at the part's end.
    fn advance(&mut self, skip: &mut u64, unknown: &mut u64) -> Result<bool> {
        let Some((step, next)) = self.file.step(self.at, self.end)? else {
            return Ok(false);
        };
        self.at = next;
        let header = match step {
            Step::Block(header) => header,
            Step::Damage(damage) => return Err(damage.into()),
        };
        match header.kind() {
            Ok(BlockKind::Exchanges) => {}
            Ok(_) => return Ok(true),
            Err(_) => {
                *unknown += 1;
                return Ok(true);
            }
        }
        let exchanges = u64::from(header.exchanges);
        if *skip >= exchanges {
            *skip -= exchanges;
            return Ok(true);
        }
        let at = std::mem::take(skip) as usize;
        let run = read_run(&self.file, &header)?;
        self.run = Some(RunWalk {
            run,
            offset: header.offset,
            at,
        });
        Ok(true)
    }
}
