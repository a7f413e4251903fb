//! The writer.

use std::any::Any;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use twintap_scrub::{ExchangeRecord, Scrubbed};

use crate::body::BodyWriter;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Operation, Result};
use crate::format::{Codec, Identity, MAJOR, MAX_PLAIN_BYTES, MINOR, PartHeader, to_cbor};
use crate::options::Options;
use crate::part::{OpenPart, SealedPart};
use crate::reader::Reader;
use crate::recovery::{self, Recovery};
use crate::run::{RunBuilder, Span, key};
use crate::storage::{LocalDisk, Storage};
use crate::stored::RecordOut;
use crate::view::View;

mod retention;

pub use retention::Retention;

/// What a record may have, so that its block stays within bounds.
const MAX_RECORD_BYTES: usize = MAX_PLAIN_BYTES - (1 << 20);

/// The one writer of an archive.
///
/// [`begin_body`](Archive::begin_body) and [`write_body`](Archive::write_body)
/// take bodies as they flow, [`store`](Archive::store) an exchange with its
/// bodies, [`commit`](Archive::commit) makes all of it durable. Nothing is
/// visible to a reader before its commit.
///
/// # Failures
/// When [`Error::is_retryable`] holds of an error, nothing is lost: what was
/// handed over was taken and is held in memory, and the next call that succeeds
/// has written it. A caller should hand over no more, and call `commit` until
/// it succeeds. Otherwise every call gives [`Error::Refusing`]; the archive
/// is to be opened again, and goes on at the last commit.
#[derive(Debug)]
pub struct Archive {
    storage: Arc<dyn Storage>,
    identity: Identity,
    options: Options,
    codec: Codec,
    /// Sealed parts, oldest first.
    sealed: VecDeque<SealedPart>,
    open: Option<OpenPart>,
    view: View,
    run: RunBuilder,
    /// Exchanges that could not be encoded yet, because there was no part for
    /// their bodies.
    waiting: VecDeque<Waiting>,
    scratch: Vec<u8>,
    seal_due: bool,
    seal_failure: Option<Error>,
    refusing: Option<String>,
    /// Told by the bodies that this writer began.
    token: u64,
    _lock: Box<dyn Any + Send + Sync>,
}

#[derive(Debug)]
struct Waiting {
    record: Scrubbed<ExchangeRecord>,
    request: BodyWriter,
    response: BodyWriter,
}

impl Archive {
    /// Opens the archive in the directory `path` for writing; makes it if need be.
    ///
    /// # Errors
    /// [`Error::Locked`] when it has a writer, [`Error::Version`] when a later
    /// release wrote it, [`Error::Identity`] when its identity can't be read,
    /// [`Error::Storage`].
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<(Archive, Recovery)> {
        Archive::open_in(Arc::new(LocalDisk::new(path)), options)
    }

    /// Opens the archive in `storage` for writing; makes it if need be.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn open_in(storage: Arc<dyn Storage>, options: Options) -> Result<(Archive, Recovery)> {
        static TOKENS: AtomicU64 = AtomicU64::new(1);
        let name = storage.describe();
        let lock = storage
            .lock()
            .map_err(Error::storage(&name, Operation::Lock))?
            .ok_or(Error::Locked { archive: name })?;
        let identity = recovery::identity(&*storage, &options)?;
        let mut codec = Codec::new(options.compression_level).map_err(|error| Error::Encode {
            what: "blocks",
            cause: error.to_string(),
        })?;
        let found = recovery::recover(&*storage, &identity, &mut codec)?;
        let recovery = found.recovery;
        let archive = Archive {
            storage,
            identity,
            options,
            codec,
            sealed: found.sealed,
            open: found.open,
            view: found.view,
            run: RunBuilder::default(),
            waiting: VecDeque::new(),
            scratch: Vec::new(),
            seal_due: false,
            seal_failure: None,
            refusing: None,
            token: TOKENS.fetch_add(1, Ordering::Relaxed),
            _lock: lock,
        };
        Ok((archive, recovery))
    }

    /// The archive's identity.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A reader of what is committed by now.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn reader(&self) -> Result<Reader> {
        Reader::open_in(Arc::clone(&self.storage))
    }

    /// Begins a body.
    pub fn begin_body(&mut self) -> BodyWriter {
        BodyWriter::new(self.token)
    }

    /// Appends to a body. Up to [`Options::inline_bytes`] are held in memory, what
    /// is more goes to blocks.
    ///
    /// # Errors
    /// [`Error::Storage`]; [`Error::Refusing`]; [`Error::ForeignBody`].
    pub fn write_body(&mut self, body: &mut BodyWriter, chunk: Scrubbed<Bytes>) -> Result<()> {
        self.check()?;
        self.check_body(body)?;
        let block_bytes = self.options.inline_bytes.max(1);
        let mut rest = &chunk[..];
        while body.held_bytes() + rest.len() > block_bytes {
            if let Err(error) = self.ensure_part() {
                body.take(rest);
                return Err(match body.held_bytes() > self.options.held_bytes {
                    true => self.refuse(error),
                    false => error,
                });
            }
            let Some(part) = &mut self.open else { break };
            let (piece, after) = rest.split_at(rest.len().min(block_bytes));
            body.take(piece);
            body.spill(part, &mut self.codec, block_bytes)?;
            rest = after;
        }
        body.take(rest);
        self.write_some()
    }

    /// Takes an exchange and its bodies.
    ///
    /// # Errors
    /// [`Error::Storage`]; [`Error::Refusing`]; [`Error::ForeignBody`]; and
    /// [`Error::RecordTooLarge`] and [`Error::Encode`], with which this one
    /// exchange was not taken and everything else goes on.
    pub fn store(
        &mut self,
        record: Scrubbed<ExchangeRecord>,
        request: BodyWriter,
        response: BodyWriter,
    ) -> Result<()> {
        self.check()?;
        self.check_body(&request)?;
        self.check_body(&response)?;
        self.waiting.push_back(Waiting {
            record,
            request,
            response,
        });
        self.settle()
    }

    /// Makes everything stored so far durable, together with `checkpoint`.
    ///
    /// When it returns, both are on disk; if it fails, a restart finds both or
    /// neither. Where nothing has changed since the last commit it does nothing.
    ///
    /// # Errors
    /// [`Error::Storage`]; [`Error::Refusing`].
    pub fn commit(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.check()?;
        self.settle()?;
        // Nothing waits when there is no part: the run's exchanges made one.
        if self.open.is_none() && self.view.clone().merge(checkpoint.clone()).is_none() {
            return Ok(());
        }
        self.ensure_part()?;
        self.flush_run();
        let delta = self.view.merge(checkpoint);
        let Some(part) = &mut self.open else {
            return Ok(());
        };
        if delta.is_none() && !part.is_uncommitted() {
            return Ok(());
        }
        let delta = delta.unwrap_or_else(|| self.view.unchanged());
        let pushed = part.push_checkpoint(&mut self.codec, Some(delta), &self.view);
        let synced = match pushed.and_then(|()| part.write()) {
            Ok(()) => part.sync(),
            Err(error @ Error::Storage { .. }) => return Err(self.refuse_when_full(error)),
            Err(error) => Err(error),
        };
        if let Err(error) = synced {
            return Err(self.refuse(error));
        }
        self.seal_if_due();
        Ok(())
    }

    /// Why the last attempt to seal a part failed. The part grows until one succeeds.
    pub fn seal_failure(&self) -> Option<&Error> {
        self.seal_failure.as_ref()
    }

    /// Exchanges in the archive: committed, and not removed.
    pub fn exchanges(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|part| part.exchanges).sum();
        sealed + self.open.as_ref().map_or(0, OpenPart::committed_exchanges)
    }

    /// Bytes of all parts on disk.
    pub fn bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|part| part.length).sum();
        sealed + self.open.as_ref().map_or(0, OpenPart::synced)
    }

    /// Bytes that wait in memory to be written, unfinished bodies apart.
    pub fn held_bytes(&self) -> usize {
        let waiting: usize = self
            .waiting
            .iter()
            .map(|waiting| waiting.request.held_bytes() + waiting.response.held_bytes())
            .sum();
        waiting + self.run.bytes() + self.open.as_ref().map_or(0, OpenPart::held_bytes)
    }

    /// Seals the open part. What was stored since the last commit is given up.
    ///
    /// # Errors
    /// [`Error::Storage`]; [`Error::Refusing`]. The next [`Archive::open`] finds
    /// everything that was committed all the same.
    pub fn close(mut self) -> Result<()> {
        self.check()?;
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        if open.is_uncommitted() {
            match recovery::reopen(&*self.storage, &self.identity, open)? {
                Some(part) => open = part,
                None => return Ok(()),
            }
        }
        let name = open.part.name.clone();
        open.seal(&*self.storage, &mut self.codec)?;
        self.storage
            .sync_directory()
            .map_err(Error::storage(&name, Operation::SyncDirectory))
    }

    /// Encodes the exchanges that wait.
    fn settle(&mut self) -> Result<()> {
        while !self.waiting.is_empty() {
            if let Err(error) = self.ensure_part() {
                return Err(self.refuse_when_full(error));
            }
            let (Some(part), Some(next)) = (&mut self.open, self.waiting.pop_front()) else {
                break;
            };
            let out = RecordOut {
                record: &next.record,
                request: next.request.finish(part, &mut self.codec)?,
                response: next.response.finish(part, &mut self.codec)?,
            };
            self.scratch.clear();
            to_cbor(&out, "an exchange", &mut self.scratch)?;
            let bytes = self.scratch.len();
            if bytes > MAX_RECORD_BYTES {
                return Err(Error::RecordTooLarge {
                    exchange: next.record.exchange.id.to_string(),
                    bytes,
                    limit: MAX_RECORD_BYTES,
                });
            }
            if !self.run.is_empty() && self.run.bytes() + bytes > self.options.run_bytes {
                self.flush_run();
            }
            let span = span(&next.record);
            self.run
                .push(key(&next.record.exchange.id), span, &self.scratch);
            self.scratch.shrink_to(self.options.run_bytes);
        }
        self.write_some()
    }

    fn flush_run(&mut self) {
        if let Some(part) = &mut self.open
            && !self.run.is_empty()
        {
            part.push_run(&mut self.codec, &self.run);
            self.run.clear();
        }
    }

    fn write_some(&mut self) -> Result<()> {
        match self.open.as_mut().map_or(Ok(()), OpenPart::write_some) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.refuse_when_full(error)),
        }
    }

    fn ensure_part(&mut self) -> Result<()> {
        if self.open.is_none() {
            let (number, exchanges_before, bytes_before) = match self.sealed.back() {
                Some(last) => (
                    last.number + 1,
                    last.exchanges_before + last.exchanges,
                    last.bytes_before + last.length,
                ),
                None => (1, 0, 0),
            };
            let header = PartHeader {
                version: (MAJOR, MINOR),
                id: self.identity.id,
                number,
                exchanges_before,
                bytes_before,
            };
            let part = OpenPart::create(&*self.storage, header, &self.view, &mut self.codec)?;
            self.open = Some(part);
        }
        Ok(())
    }

    fn seal_if_due(&mut self) {
        let Some(part) = &mut self.open else { return };
        let due = self.seal_due || part.synced() >= self.options.seal_bytes();
        if !due || part.is_uncommitted() {
            return;
        }
        match part.seal(&*self.storage, &mut self.codec) {
            Ok(sealed) => {
                self.sealed.push_back(sealed);
                self.open = None;
                self.seal_due = false;
                // The new name is durable with the next part, which is made only
                // after the directory was synced; until then recovery finds it
                // under either name.
                self.seal_failure = self
                    .storage
                    .sync_directory()
                    .map_err(Error::storage("the sealed part", Operation::SyncDirectory))
                    .err();
            }
            Err(error) => self.seal_failure = Some(error),
        }
    }

    fn check(&self) -> Result<()> {
        match &self.refusing {
            None => Ok(()),
            Some(cause) => Err(Error::Refusing {
                cause: cause.clone(),
            }),
        }
    }

    fn check_body(&self, body: &BodyWriter) -> Result<()> {
        if body.writer == self.token {
            Ok(())
        } else {
            Err(Error::ForeignBody)
        }
    }

    fn refuse_when_full(&mut self, error: Error) -> Error {
        if self.held_bytes() > self.options.held_bytes {
            self.refuse(error)
        } else {
            error
        }
    }

    fn refuse(&mut self, error: Error) -> Error {
        self.refusing = Some(error.to_string());
        error
    }
}

/// The instants of an exchange's messages.
fn span(record: &ExchangeRecord) -> Span {
    let mut span = Span::default();
    let exchange = &record.exchange;
    for time in [
        exchange.request.first_byte,
        exchange.request.last_byte,
        exchange.response.first_byte,
        exchange.response.last_byte,
    ] {
        span.add(time);
    }
    span
}
