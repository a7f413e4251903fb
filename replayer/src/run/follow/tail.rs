//! Reading an archive as it grows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use twintap_archive::{Reader, StoredExchange};

/// What is committed to an archive, each exchange once.
#[derive(Debug)]
pub struct Tail {
    archive: PathBuf,
    /// Exchanges since the archive was made that need not be looked at again.
    passed: u64,
    /// Of these, what retention removed before it was read.
    missed: u64,
    /// Places that could not be read.
    damaged: u64,
}

impl Tail {
    /// Everything that is committed from now on.
    ///
    /// # Errors
    /// When there is no archive to be read.
    pub fn from_now(archive: &Path) -> Result<Tail> {
        let reader = open(archive)?;
        Ok(Tail {
            archive: archive.to_owned(),
            passed: reader.removed().exchanges + reader.len(),
            missed: 0,
            damaged: 0,
        })
    }

    /// Hands on what was committed since, and gives the reader for its bodies.
    ///
    /// # Errors
    /// When the archive can't be read now. Nothing is lost by that: the next call
    /// goes on from here.
    pub fn read(&mut self, mut take: impl FnMut(StoredExchange)) -> Result<Arc<Reader>> {
        let reader = open(&self.archive)?;
        let removed = reader.removed().exchanges;
        if removed > self.passed {
            self.missed += removed - self.passed;
            self.passed = removed;
        }
        let end = removed + reader.len();
        if end > self.passed {
            for stored in reader.exchanges_from(self.passed - removed) {
                match stored {
                    Ok(stored) => take(stored),
                    Err(_) => self.damaged += 1,
                }
            }
            self.passed = end;
        }
        Ok(Arc::new(reader))
    }

    /// Exchanges since the archive was made that are gone through.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Exchanges that retention removed before they were read.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Places that could not be read.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }
}

fn open(archive: &Path) -> Result<Reader> {
    Reader::open(archive).with_context(|| format!("opening the archive {}", archive.display()))
}
