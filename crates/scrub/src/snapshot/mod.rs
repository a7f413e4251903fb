//! Snapshots of databases: the same policy and the same pseudonyms as the traffic has,
//! so that what is fired at a twin names what the twin holds.
//!
//! Bytes go in and come out as they come. Values are replaced by their spans, and
//! whatever is no value stays byte for byte. What can't be read ends the snapshot with
//! an error: to guess would be to let something pass.

mod csv;
mod json_lines;
pub(crate) mod redis;
pub(crate) mod sql;
pub(crate) mod values;

use std::borrow::Cow;

use bytes::Bytes;
use thiserror::Error;

use self::csv::Csv;
use self::json_lines::JsonLines;
use self::redis::Redis;
use self::sql::{Dialect, Sql};
use self::values::Values;
use crate::scrubbed::Scrubbed;
use crate::scrubber::Scrubber;

/// How a snapshot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotFormat {
    /// One JSON text on each line (RFC 8259), each like a body of JSON.
    JsonLines,
    /// Comma-separated values under a line of names (RFC 4180).
    Csv,
    /// What `pg_dump` writes as plain text: COPY and INSERT.
    Postgres,
    /// What `mysqldump` and `mariadb-dump` write.
    Mysql,
    /// Commands that write, as lines of text or in RESP.
    Redis,
}

/// Why a snapshot can't be scrubbed, and where. It repeats nothing of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, byte {byte}: {problem}")]
pub struct SnapshotError {
    /// The line, from 1.
    pub line: u64,
    /// The byte of the whole snapshot, from 0.
    pub byte: u64,
    /// What is wrong there, and what would be right.
    pub problem: Cow<'static, str>,
}

/// What was done with the values of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotCounts {
    /// Values that stayed as they were.
    pub allowed: u64,
    /// Values that became their pseudonyms.
    pub pseudonyms: u64,
    /// Values that became filler.
    pub replaced: u64,
}

/// Scrubs one snapshot while it is being read.
///
/// Call order: [`SnapshotScrubber::push`] for all bytes in their order,
/// [`SnapshotScrubber::finish`] once. After an error every call gives that error.
///
/// It holds what it can't tell apart yet: at most a value of SQL or CSV, a row of COPY
/// or a command of Redis, each of at most 64 MiB, or a line of JSON of at most the
/// policy's `limits.decoded_body_bytes`; twice that for a moment.
pub struct SnapshotScrubber {
    values: Values,
    reader: Reader,
    held: Vec<u8>,
    /// Bytes that must be held before another look is worth it: so that a long value
    /// that comes in small pieces is not read from its beginning with each of them.
    wanted: usize,
    most_held: usize,
    line: u64,
    byte: u64,
    failed: Option<SnapshotError>,
}

enum Reader {
    JsonLines(JsonLines),
    Csv(Csv),
    Sql(Sql),
    Redis(Redis),
}

/// The longest piece that has to be seen whole.
const MOST_HELD_BYTES: usize = 64 << 20;

/// What is wrong, and how many bytes into what was read.
struct Problem {
    at: usize,
    what: Cow<'static, str>,
}

impl Problem {
    fn new<T>(at: usize, what: impl Into<Cow<'static, str>>) -> Result<T, Problem> {
        let what = what.into();
        Err(Problem { at, what })
    }
}

impl SnapshotScrubber {
    pub(crate) fn new(scrubber: &Scrubber, format: SnapshotFormat) -> SnapshotScrubber {
        let reader = match format {
            SnapshotFormat::JsonLines => Reader::JsonLines(JsonLines),
            SnapshotFormat::Csv => Reader::Csv(Csv::default()),
            SnapshotFormat::Postgres => Reader::Sql(Sql::new(Dialect::Postgres)),
            SnapshotFormat::Mysql => Reader::Sql(Sql::new(Dialect::Mysql)),
            SnapshotFormat::Redis => Reader::Redis(Redis::default()),
        };
        let most_held = match format {
            SnapshotFormat::JsonLines => scrubber.policy().limits.decoded_body_bytes.get(),
            _ => MOST_HELD_BYTES,
        };
        SnapshotScrubber {
            values: Values::new(scrubber),
            reader,
            held: Vec::new(),
            wanted: 0,
            most_held,
            line: 1,
            byte: 0,
            failed: None,
        }
    }

    /// Takes the next bytes; gives back what is scrubbed by now.
    ///
    /// # Errors
    /// [`SnapshotError`] for what can't be read.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Scrubbed<Bytes>, SnapshotError> {
        self.held.extend_from_slice(bytes);
        if self.failed.is_none() && self.held.len() < self.wanted {
            return Ok(Scrubbed::vouch(Bytes::new()));
        }
        self.take(false)
    }

    /// Ends the snapshot; gives back the rest of it, and what was done.
    ///
    /// # Errors
    /// [`SnapshotError`] for what can't be read, and for a snapshot that is cut off.
    pub fn finish(mut self) -> Result<(Scrubbed<Bytes>, SnapshotCounts), SnapshotError> {
        let rest = self.take(true)?;
        let ended = match &self.reader {
            Reader::Csv(csv) => csv.end(),
            Reader::Sql(sql) => sql.end(),
            Reader::JsonLines(_) | Reader::Redis(_) => Ok(()),
        };
        ended.map_err(|problem| self.error(problem))?;
        Ok((rest, self.values.counts()))
    }

    fn take(&mut self, is_end: bool) -> Result<Scrubbed<Bytes>, SnapshotError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        match self.take_whole(is_end) {
            Ok(out) => Ok(Scrubbed::vouch(out.into())),
            Err(problem) => {
                let error = self.error(problem);
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Takes all that is whole of what is held.
    fn take_whole(&mut self, is_end: bool) -> Result<Vec<u8>, Problem> {
        let held = std::mem::take(&mut self.held);
        let mut out = Vec::with_capacity(held.len());
        let mut at = 0;
        while at < held.len() {
            let rest = &held[at..];
            let taken = match self.step(rest, is_end, &mut out) {
                Ok(taken) => taken,
                Err(problem) => {
                    self.pass(&rest[..problem.at]);
                    return Err(Problem { at: 0, ..problem });
                }
            };
            if taken == 0 {
                break;
            }
            self.pass(&rest[..taken]);
            at += taken;
        }
        self.held = held;
        self.held.drain(..at);
        self.wanted = 2 * self.held.len();
        if self.held.len() > self.most_held {
            let most = self.most_held;
            return Problem::new(
                0,
                format!("what begins here is longer than {most} bytes, the most that is held"),
            );
        }
        if is_end && !self.held.is_empty() {
            return Problem::new(0, "what begins here does not end");
        }
        Ok(out)
    }

    /// Takes one piece from the beginning of `src`, and says how long it is; 0 asks for more
    /// bytes.
    fn step(&mut self, src: &[u8], is_end: bool, out: &mut Vec<u8>) -> Result<usize, Problem> {
        let values = &mut self.values;
        match &mut self.reader {
            Reader::JsonLines(lines) => lines.step(src, is_end, values, out),
            Reader::Csv(csv) => csv.step(src, is_end, values, out),
            Reader::Sql(sql) => sql.step(src, is_end, values, out),
            Reader::Redis(redis) => redis.step(src, is_end, values, out),
        }
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.byte += bytes.len() as u64;
        self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
    }

    fn error(&self, problem: Problem) -> SnapshotError {
        SnapshotError {
            line: self.line,
            byte: self.byte,
            problem: problem.what,
        }
    }
}

/// The line that `src` begins with, its end included; `None` while it may go on.
fn line_len(src: &[u8], is_end: bool) -> Option<usize> {
    let end = memchr::memchr(b'\n', src).map(|at| at + 1);
    end.or_else(|| is_end.then_some(src.len()))
}

/// A line without its end, LF or CRLF.
fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
