//! The static and the dynamic table (RFC 7541, section 2.3).

use std::collections::VecDeque;

use bytes::Bytes;

use super::Fault;

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
pub(super) const INITIAL_SIZE: usize = 4096;

/// An entry of the dynamic table.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// None when it was that of an unknown entry.
    pub name: Option<Bytes>,
    pub value: Bytes,
}

impl Entry {
    /// Its size, or the least that it can be.
    fn size(&self) -> usize {
        self.name.as_ref().map_or(0, Bytes::len) + self.value.len() + ENTRY_OVERHEAD
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
    /// The newest first.
    entries: VecDeque<Entry>,
    /// Their sizes, or the least that those can be.
    bytes: usize,
    /// The size that the encoder set; None when that may have been missed.
    size: Option<usize>,
    /// The largest size that the encoder may set; None when that was missed.
    pub allowed: Option<usize>,
    /// Entries may exist beyond those that are held.
    has_unknown: bool,
    /// No more than this is held, whatever size the peers agreed on.
    hold: usize,
}

impl Table {
    pub fn new(hold: usize) -> Table {
        Table {
            entries: VecDeque::new(),
            bytes: 0,
            size: Some(INITIAL_SIZE),
            allowed: Some(INITIAL_SIZE),
            has_unknown: false,
            hold,
        }
    }

    /// Some of what made the table was missed.
    pub fn forget(&mut self) {
        self.entries = VecDeque::new();
        self.bytes = 0;
        self.size = None;
        self.has_unknown = true;
    }

    /// What holding it costs in bytes.
    pub fn cost(&self) -> usize {
        self.bytes
    }

    pub fn size(&self) -> Option<usize> {
        self.size
    }

    pub fn find(&self, index: usize) -> Result<Found, Fault> {
        let place = index.checked_sub(1).ok_or(Fault::Index)?;
        if let Some((name, value)) = STATIC.get(place) {
            let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
            return Ok(Found::Known(bytes(name), bytes(value)));
        }
        match self.entries.get(place - STATIC.len()) {
            Some(entry) => Ok(match &entry.name {
                Some(name) => Found::Known(name.clone(), entry.value.clone()),
                None => Found::Nameless,
            }),
            None if self.has_unknown => Ok(Found::Unknown),
            None => Err(Fault::Index),
        }
    }

    /// The encoder sets the size.
    pub fn resize(&mut self, size: usize) {
        self.size = Some(size);
        self.evict(0);
        self.settle();
    }

    pub fn insert(&mut self, entry: Entry) {
        let size = entry.size();
        self.evict(size);
        if size <= self.limit() {
            self.bytes += size;
            self.entries.push_front(entry);
        }
        self.settle();
    }

    /// The most that the table can have by what the peers agreed on.
    fn bound(&self) -> Option<usize> {
        self.size.or(self.allowed)
    }

    fn limit(&self) -> usize {
        self.bound().map_or(self.hold, |bound| bound.min(self.hold))
    }

    fn evict(&mut self, room: usize) {
        let limit = self.limit();
        let is_cut = self.bound().is_none_or(|bound| bound > self.hold);
        while self.bytes.saturating_add(room) > limit
            && let Some(entry) = self.entries.pop_back()
        {
            self.bytes -= entry.size();
            // The peers may still have it.
            self.has_unknown |= is_cut;
        }
        self.has_unknown |= is_cut && room > limit;
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }

    /// Where no entry has room beside the known ones, there is no unknown one.
    fn settle(&mut self) {
        if let Some(bound) = self.bound()
            && bound <= self.hold
            && self.bytes + ENTRY_OVERHEAD > bound
        {
            self.has_unknown = false;
        }
    }
}
