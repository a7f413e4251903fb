//! Payload that permessage-deflate compressed (RFC 7692, section 7.2).

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};

/// What a sender leaves off the end of a message (section 7.2.1).
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];

/// How much is inflated at once.
const CHUNK_BYTES: usize = 32 << 10;

/// A message has no more final blocks: each of them costs a new window.
const MAX_FINAL_BLOCKS: u32 = 4;

/// What an inflater takes in memory: its window, its tables.
const STATE_BYTES: u64 = 48 << 10;

/// A message may inflate to so many times its own length, beside what a flow may hold.
const MAX_RATIO: u64 = 100;

/// Why a message can't be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// What came before it, and what it refers to, was not seen.
    ContextLost,
    /// It is not what deflating makes.
    Corrupt,
    /// It becomes too long.
    TooLong,
}

impl Failure {
    /// The flag of the message, and the cause for which its bytes are given up.
    pub fn name(self) -> &'static str {
        match self {
            Failure::ContextLost => "inflate_context_lost",
            Failure::Corrupt => "bad_deflate",
            Failure::TooLong => "inflation_limit",
        }
    }
}

/// The inflater of one direction.
#[derive(Debug)]
pub struct Inflater {
    /// Made when the first message needs it.
    state: Option<Decompress>,
    /// A message may refer to those before it.
    keeps_context: bool,
    /// What the next message may refer to is unknown.
    is_lost: bool,
    /// The message that is being inflated can't be.
    failure: Option<Failure>,
    /// Of that message: bytes in and out, and final blocks.
    taken: u64,
    given: u64,
    final_blocks: u32,
}

impl Inflater {
    /// For a direction whose messages may refer to those before them, or may not.
    pub fn new(keeps_context: bool) -> Inflater {
        Inflater {
            state: None,
            keeps_context,
            is_lost: false,
            failure: None,
            taken: 0,
            given: 0,
            final_blocks: 0,
        }
    }

    /// What it takes in memory.
    pub fn state_bytes(&self) -> u64 {
        self.state.as_ref().map_or(0, |_| STATE_BYTES)
    }

    /// A message begins.
    pub fn begin(&mut self) {
        if !self.keeps_context {
            self.is_lost = false;
            if let Some(state) = &mut self.state {
                state.reset(false);
            }
        }
        self.failure = self.is_lost.then_some(Failure::ContextLost);
        self.taken = 0;
        self.given = 0;
        self.final_blocks = 0;
    }

    /// Bytes were not seen: the rest of this message, and what refers to it, can't be inflated.
    pub fn lose(&mut self) {
        self.is_lost = true;
        self.failure.get_or_insert(Failure::ContextLost);
    }

    /// Inflates bytes of a message; it may become `limit` bytes and a hundred times its own
    /// length.
    ///
    /// # Errors
    /// How many of them are read, and why the rest can't be.
    pub fn inflate(
        &mut self,
        bytes: &[u8],
        limit: u64,
        mut deliver: impl FnMut(Bytes),
    ) -> Result<(), (usize, Failure)> {
        if let Some(failure) = self.failure {
            return Err((0, failure));
        }
        self.taken += bytes.len() as u64;
        let most = limit.saturating_add(self.taken.saturating_mul(MAX_RATIO));
        let state = self.state.get_or_insert_with(|| Decompress::new(false));
        let mut read = 0;
        loop {
            let input = &bytes[read..];
            let capacity = input.len().saturating_mul(4).clamp(256, CHUNK_BYTES);
            let mut chunk = vec![0; capacity];
            let before = (state.total_in(), state.total_out());
            let status = state.decompress(input, &mut chunk, FlushDecompress::None);
            let taken = (state.total_in() - before.0) as usize;
            let given = state.total_out() - before.1;
            read += taken;
            self.given += given;
            let is_full = given == capacity as u64;
            chunk.truncate(given as usize);
            if !chunk.is_empty() {
                deliver(Bytes::from(chunk));
            }
            let is_end = matches!(status, Ok(Status::StreamEnd));
            self.final_blocks += u32::from(is_end);
            let is_stuck = (taken, given) == (0, 0) && !input.is_empty();
            let failure = match status {
                Err(_) => Some(Failure::Corrupt),
                Ok(_) if is_stuck || self.final_blocks > MAX_FINAL_BLOCKS => Some(Failure::Corrupt),
                Ok(_) if self.given > most => Some(Failure::TooLong),
                Ok(_) => None,
            };
            if let Some(failure) = failure {
                self.failure = Some(failure);
                self.is_lost = true;
                return Err((read, failure));
            }
            if is_end {
                // A final block: another stream follows (section 7.2.3.4), and the window that
                // it may refer to is gone.
                state.reset(false);
                self.is_lost = true;
            }
            if read == bytes.len() && !is_full {
                return Ok(());
            }
        }
    }

    /// The message is over.
    ///
    /// # Errors
    /// Why it can't be inflated.
    pub fn end(&mut self, limit: u64, deliver: impl FnMut(Bytes)) -> Result<(), Failure> {
        self.inflate(TAIL, limit, deliver)
            .map_err(|(_, failure)| failure)
    }
}
