//! Instants as the capture stamped them.

use serde::{Deserialize, Serialize};

/// Nanoseconds since 1970-01-01T00:00:00Z (POSIX time, without leap seconds).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Nanoseconds from `earlier` to `self`; 0 when `earlier` is later.
    pub fn since_ns(self, earlier: Timestamp) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant `ns` nanoseconds later.
    #[must_use]
    pub fn plus_ns(self, ns: u64) -> Timestamp {
        Timestamp(self.0.saturating_add(ns))
    }
}
