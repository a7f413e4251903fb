//! Exchanges one after the other.

use super::Reader;
use super::blocks::{Block, Blocks};
use crate::error::{Error, Result};
use crate::stored::StoredExchange;

/// The exchanges of an archive in the order in which they were stored; holds one
/// block at a time.
///
/// A damaged block is one error, after which the iterator goes on.
#[derive(Debug)]
pub struct Exchanges<'a> {
    blocks: Blocks<'a>,
    /// The block at hand, and the place of its next exchange.
    block: Option<(Block, usize)>,
    damaged: u64,
}

impl<'a> Exchanges<'a> {
    pub(super) fn new(reader: &'a Reader, skip: u64) -> Exchanges<'a> {
        Exchanges {
            blocks: Blocks::new(reader, skip),
            block: None,
            damaged: 0,
        }
    }

    /// Damaged places met so far.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Blocks of later versions passed over so far.
    pub fn unknown(&self) -> u64 {
        self.blocks.unknown()
    }
}

impl Iterator for Exchanges<'_> {
    type Item = Result<StoredExchange>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((block, at)) = &mut self.block
                && *at < block.len()
            {
                *at += 1;
                let found = block.get(*at - 1);
                self.damaged += u64::from(found.is_err());
                return Some(found);
            }
            self.block = match self.blocks.next()? {
                Ok((block, at)) => Some((block, at)),
                Err(error) => {
                    self.damaged += u64::from(matches!(error, Error::Damaged(_)));
                    return Some(Err(error));
                }
            };
        }
    }
}
