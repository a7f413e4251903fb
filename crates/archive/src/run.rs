//! Runs of exchanges: what one block of exchanges holds.

use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};
use twintap_stream::{ExchangeId, Timestamp};

use crate::error::DamageCause;
use crate::format::from_cbor;
use crate::stored::{StoredExchange, StoredRequest};

const PREFIX_BYTES: usize = 16;
const ENTRY_BYTES: usize = 8;

/// The key that an exchange is found by; more than one exchange can have it.
pub(crate) fn key(id: &ExchangeId) -> u32 {
    let mut sum = crc32c(id.node.as_bytes());
    for number in [id.boot, id.flow.0, id.offset] {
        sum = crc32c_append(sum, &number.to_le_bytes());
    }
    crc32c_append(sum, &[u8::from(id.from_response)])
}

/// From the earliest to the latest instant of some exchanges; 0 where no time is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub first: Timestamp,
    pub last: Timestamp,
}

impl Span {
    /// Takes in an instant; 0 is none.
    pub fn add(&mut self, time: Timestamp) {
        if time.0 == 0 {
            return;
        }
        if self.first.0 == 0 || time < self.first {
            self.first = time;
        }
        self.last = self.last.max(time);
    }

    pub fn merge(&mut self, other: Span) {
        self.add(other.first);
        self.add(other.last);
    }
}

/// A run being filled.
#[derive(Debug, Default)]
pub(crate) struct RunBuilder {
    records: Vec<u8>,
    /// Key, and offset in `records`.
    entries: Vec<(u32, u32)>,
    span: Span,
}

impl RunBuilder {
    pub fn push(&mut self, key: u32, span: Span, record: &[u8]) {
        self.entries.push((key, self.records.len() as u32));
        self.span.merge(span);
        self.records.extend_from_slice(record);
    }

    pub fn bytes(&self) -> usize {
        PREFIX_BYTES + self.entries.len() * ENTRY_BYTES + self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn keys(&self) -> impl ExactSizeIterator<Item = u32> {
        self.entries.iter().map(|(key, _)| *key)
    }

    pub fn span(&self) -> Span {
        self.span
    }

    /// The payload of the block.
    pub fn payload(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes());
        out.extend_from_slice(&self.span.first.0.to_le_bytes());
        out.extend_from_slice(&self.span.last.0.to_le_bytes());
        let base = PREFIX_BYTES + self.entries.len() * ENTRY_BYTES;
        for (key, offset) in &self.entries {
            out.extend_from_slice(&key.to_le_bytes());
            // The whole payload is at most MAX_PLAIN_BYTES long.
            out.extend_from_slice(&(base as u32 + offset).to_le_bytes());
        }
        out.extend_from_slice(&self.records);
        out
    }

    pub fn clear(&mut self) {
        self.records.clear();
        self.entries.clear();
        self.span = Span::default();
    }
}

/// A run as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    payload: Bytes,
    count: usize,
}

impl Run {
    /// The run in `payload`, which the block's header says has `count` exchanges.
    pub fn parse(payload: Bytes, count: u32) -> Result<Run, DamageCause> {
        let count = count as usize;
        let records = count
            .checked_mul(ENTRY_BYTES)
            .and_then(|bytes| bytes.checked_add(PREFIX_BYTES))
            .ok_or(DamageCause::Length)?;
        if records > payload.len() {
            return Err(DamageCause::Length);
        }
        Ok(Run { payload, count })
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn span(&self) -> Span {
        let time = |at| Timestamp(u64::from_le_bytes(self.array(at)));
        Span {
            first: time(0),
            last: time(8),
        }
    }

    /// The key of the exchange at `index`, which is below `len()`.
    pub fn key(&self, index: usize) -> u32 {
        u32::from_le_bytes(self.array(PREFIX_BYTES + index * ENTRY_BYTES))
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// The exchange at `index`, which is below `len()`.
    pub fn get(&self, index: usize) -> Result<StoredExchange, DamageCause> {
        from_cbor(self.record(index)?)
    }

    /// The request of the exchange at `index`, which is below `len()`.
    pub fn request(&self, index: usize) -> Result<StoredRequest, DamageCause> {
        StoredRequest::decode(self.record(index)?)
    }

    fn record(&self, index: usize) -> Result<&[u8], DamageCause> {
        let start = self.offset(index);
        let end = if index + 1 < self.count {
            self.offset(index + 1)
        } else {
            self.payload.len()
        };
        self.payload.get(start..end).ok_or(DamageCause::Length)
    }

    fn offset(&self, index: usize) -> usize {
        u32::from_le_bytes(self.array(PREFIX_BYTES + index * ENTRY_BYTES + 4)) as usize
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.payload[at..at + N]);
        out
    }
}
