//! Retention: the oldest parts go.

use twintap_stream::Timestamp;

use super::Archive;
use crate::error::{Error, Operation, Result};
use crate::format::sealed_name;

/// An open part is sealed when it spans more than this share of the maximum age.
const AGE_SHARE: u64 = 16;

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Parts.
    pub parts: u64,
    /// Exchanges in them.
    pub exchanges: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Retention {
    /// Takes in what was removed elsewhere.
    pub fn add(&mut self, other: Retention) {
        self.parts += other.parts;
        self.exchanges += other.exchanges;
        self.bytes += other.bytes;
    }
}

impl Archive {
    /// Removes the oldest sealed parts, while the archive is above its size cap or
    /// their last exchange is past the maximum age at `now`; says what went.
    ///
    /// # Errors
    /// [`Error::Storage`]: what is left goes with the next call. [`Error::Refusing`].
    pub fn enforce_retention(&mut self, now: Timestamp) -> Result<Retention> {
        self.check()?;
        self.seal_by_age(now);
        let mut removed = Retention::default();
        while self.is_oldest_due(now) {
            removed.add(self.remove_oldest()?);
        }
        Ok(removed)
    }

    /// What retention removed since the archive was made.
    pub fn removed(&self) -> Retention {
        let (number, exchanges, bytes) = match (self.sealed.front(), &self.open) {
            (Some(part), _) => (part.number, part.exchanges_before, part.bytes_before),
            (None, Some(part)) => (
                part.header.number,
                part.header.exchanges_before,
                part.header.bytes_before,
            ),
            (None, None) => (1, 0, 0),
        };
        Retention {
            parts: number - 1,
            exchanges,
            bytes,
        }
    }

    fn seal_by_age(&mut self, now: Timestamp) {
        let (Some(age), Some(part)) = (self.options.max_age_ns, &self.open) else {
            return;
        };
        let first = part.span().first;
        if first.0 != 0 && now.since_ns(first) > age / AGE_SHARE {
            self.seal_due = true;
            // Where something is not yet committed, the next commit seals.
            if self.run.is_empty() && self.waiting.is_empty() {
                self.seal_if_due();
            }
        }
    }

    fn is_oldest_due(&self, now: Timestamp) -> bool {
        if self.sealed.is_empty() {
            return false;
        }
        let too_large = self.options.max_bytes.is_some_and(|max| self.bytes() > max);
        let too_old = self.options.max_age_ns.is_some_and(|age| {
            self.oldest_time()
                .is_some_and(|time| now.since_ns(time) > age)
        });
        too_large || too_old
    }

    /// The last instant in the oldest part. One without exchanges has the time of the
    /// next: it may hold bodies of that one's.
    fn oldest_time(&self) -> Option<Timestamp> {
        let open = self.open.iter().map(|part| part.span().last);
        self.sealed
            .iter()
            .map(|part| part.span.last)
            .chain(open)
            .find(|time| time.0 != 0)
    }

    fn remove_oldest(&mut self) -> Result<Retention> {
        // The newest checkpoint is copied before its part goes.
        if self.sealed.len() == 1 {
            self.ensure_part()?;
        }
        let Some(oldest) = self.sealed.front() else {
            return Ok(Retention::default());
        };
        let removed = Retention {
            parts: 1,
            exchanges: oldest.exchanges,
            bytes: oldest.length,
        };
        let name = sealed_name(oldest.number);
        self.storage
            .remove(&name)
            .or_else(|error| match error.kind() {
                // A call before this one removed it, and failed after that.
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .map_err(Error::storage(&name, Operation::Remove))?;
        self.storage
            .sync_directory()
            .map_err(Error::storage(&name, Operation::SyncDirectory))?;
        self.sealed.pop_front();
        Ok(removed)
    }
}
