//! The store ledger: where each delivered byte and each exchange went.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The store ledger: delivered = message + framing + duplicate + opaque +
/// discarded + pending, in bytes; rebuilt = stored + discarded + pending, in exchanges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreLedger {
    /// TCP payload bytes that entered.
    pub delivered_bytes: u64,
    /// Start lines, header fields and body octets.
    pub message_bytes: u64,
    /// Chunk sizes, extensions, and line ends around chunks and messages.
    pub framing_bytes: u64,
    /// Bytes seen again.
    pub duplicate_bytes: u64,
    /// Bytes of flows that nobody claimed.
    pub opaque_bytes: u64,
    /// Bytes given up, by cause.
    pub discarded_bytes: BTreeMap<String, u64>,
    /// Bytes held: out of order, or undecided.
    pub pending_bytes: u64,
    /// Exchanges that `stream` finished or still builds.
    pub rebuilt: u64,
    /// Exchanges in the archive.
    pub stored: u64,
    /// Exchanges given up, by cause.
    pub discarded: BTreeMap<String, u64>,
    /// Exchanges unfinished or not yet durable.
    pub pending: u64,
}

impl StoreLedger {
    /// Counts `bytes` discarded for `cause`.
    pub fn discard_bytes(&mut self, cause: &str, bytes: u64) {
        if bytes > 0 {
            add(&mut self.discarded_bytes, cause, bytes);
        }
    }

    /// Counts one exchange discarded for `cause`.
    pub fn discard_exchange(&mut self, cause: &str) {
        add(&mut self.discarded, cause, 1);
    }

    /// Adds another ledger, cause by cause.
    pub fn add(&mut self, other: &StoreLedger) {
        self.delivered_bytes += other.delivered_bytes;
        self.message_bytes += other.message_bytes;
        self.framing_bytes += other.framing_bytes;
        self.duplicate_bytes += other.duplicate_bytes;
        self.opaque_bytes += other.opaque_bytes;
        for (cause, bytes) in &other.discarded_bytes {
            add(&mut self.discarded_bytes, cause, *bytes);
        }
        self.pending_bytes += other.pending_bytes;
        self.rebuilt += other.rebuilt;
        self.stored += other.stored;
        for (cause, count) in &other.discarded {
            add(&mut self.discarded, cause, *count);
        }
        self.pending += other.pending;
    }

    /// delivered minus everything that explains it: 0 when the byte ledger closes.
    pub fn bytes_unexplained(&self) -> i128 {
        let explained = u128::from(self.message_bytes)
            + u128::from(self.framing_bytes)
            + u128::from(self.duplicate_bytes)
            + u128::from(self.opaque_bytes)
            + u128::from(self.discarded_bytes.values().sum::<u64>())
            + u128::from(self.pending_bytes);
        i128::from(self.delivered_bytes) - explained as i128
    }

    /// rebuilt minus everything that explains it: 0 when the exchange ledger closes.
    pub fn exchanges_unexplained(&self) -> i128 {
        let explained = u128::from(self.stored)
            + u128::from(self.discarded.values().sum::<u64>())
            + u128::from(self.pending);
        i128::from(self.rebuilt) - explained as i128
    }

    /// True when both ledgers close.
    pub fn closes(&self) -> bool {
        self.bytes_unexplained() == 0 && self.exchanges_unexplained() == 0
    }
}

fn add(map: &mut BTreeMap<String, u64>, cause: &str, amount: u64) {
    match map.get_mut(cause) {
        Some(count) => *count += amount,
        None => {
            map.insert(cause.to_owned(), amount);
        }
    }
}
