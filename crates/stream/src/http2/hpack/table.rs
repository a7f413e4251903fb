//! The static and the dynamic table (RFC 7541, section 2.3).

use std::collections::VecDeque;

use bytes::Bytes;

use super::Fault;
use crate::maybe::{Maybe32, Rare};

/// Appendix A, from index 1.
pub(super) const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// What an entry counts beyond its octets (section 4.1).
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// The size that a table has at first (RFC 9113, section 6.5.2).
pub(super) const INITIAL_SIZE: u32 = 4096;

/// An entry of the dynamic table.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// None when it was that of an unknown entry.
    pub name: Option<Bytes>,
    pub value: Bytes,
}

impl Entry {
    /// Its size, or the least that it can be.
    fn size(&self) -> u32 {
        let octets = self.name.as_ref().map_or(0, Bytes::len) + self.value.len();
        u32::try_from(octets + ENTRY_OVERHEAD).unwrap_or(u32::MAX)
    }
}

/// What an index stands for.
pub(super) enum Found {
    Known(Bytes, Bytes),
    /// An entry whose name was that of an unknown one.
    Nameless,
    /// An entry that was made where nothing was seen.
    Unknown,
}

/// The dynamic table as far as it is known.
///
/// Indexes count from the newest entry: what was added since anything was missed is known at its
/// place, and beyond it lies what is unknown. Where the size is in doubt the table is held as
/// larger than it may be: an encoder does not refer to what it evicted.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest first. An empty table takes one word for them.
    entries: Rare<VecDeque<Entry>>,
    /// Their sizes, or the least that those can be.
    bytes: u32,
    /// The size that the encoder set; None when that may have been missed.
    size: Maybe32,
    /// The largest size that the encoder may set; None when that was missed.
    pub allowed: Maybe32,
    /// The next block has to set a size no larger than this.
    pub expected: Maybe32,
    /// Entries may exist beyond those that are held.
    has_unknown: bool,
    /// No more than this is held, whatever size the peers agreed on.
    hold: u32,
}

impl Table {
    pub fn new(hold: u32) -> Table {
        Table {
            entries: None,
            bytes: 0,
            size: Maybe32::from(INITIAL_SIZE),
            allowed: Maybe32::from(INITIAL_SIZE),
            expected: Maybe32::NONE,
            has_unknown: false,
            hold,
        }
    }

    /// Some of what made the table was missed.
    pub fn forget(&mut self) {
        self.entries = None;
        self.bytes = 0;
        self.size = Maybe32::NONE;
        self.has_unknown = true;
    }

    /// What holding it costs in bytes.
    pub fn cost(&self) -> usize {
        self.bytes as usize
    }

    pub fn size(&self) -> Option<u32> {
        self.size.get()
    }

    pub fn find(&self, index: usize) -> Result<Found, Fault> {
        let place = index.checked_sub(1).ok_or(Fault::Index)?;
        if let Some((name, value)) = STATIC.get(place) {
            let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
            return Ok(Found::Known(bytes(name), bytes(value)));
        }
        let entries = self.entries.as_ref();
        match entries.and_then(|entries| entries.get(place - STATIC.len())) {
            Some(entry) => Ok(match &entry.name {
                Some(name) => Found::Known(name.clone(), entry.value.clone()),
                None => Found::Nameless,
            }),
            None if self.has_unknown => Ok(Found::Unknown),
            None => Err(Fault::Index),
        }
    }

    /// The encoder sets the size.
    pub fn resize(&mut self, size: u32) {
        self.size = Maybe32::from(size);
        self.evict(0);
        self.settle();
    }

    pub fn insert(&mut self, entry: Entry) {
        let size = entry.size();
        self.evict(size);
        if size <= self.limit() {
            self.bytes += size;
            self.entries.get_or_insert_default().push_front(entry);
        }
        self.settle();
    }

    /// The most that the table can have by what the peers agreed on.
    fn bound(&self) -> Option<u32> {
        self.size.get().or(self.allowed.get())
    }

    fn limit(&self) -> u32 {
        self.bound().map_or(self.hold, |bound| bound.min(self.hold))
    }

    fn evict(&mut self, room: u32) {
        let limit = self.limit();
        let is_cut = self.bound().is_none_or(|bound| bound > self.hold);
        while self.bytes.saturating_add(room) > limit
            && let Some(entry) = self.entries.as_mut().and_then(|entries| entries.pop_back())
        {
            self.bytes -= entry.size();
            // The peers may still have it.
            self.has_unknown |= is_cut;
        }
        self.has_unknown |= is_cut && room > limit;
        if self
            .entries
            .as_ref()
            .is_some_and(|entries| entries.is_empty())
        {
            self.entries = None;
        }
    }

    /// Where no entry has room beside the known ones, there is no unknown one.
    fn settle(&mut self) {
        if let Some(bound) = self.bound()
            && bound <= self.hold
            && self.bytes.saturating_add(ENTRY_OVERHEAD as u32) > bound
        {
            self.has_unknown = false;
        }
    }
}
