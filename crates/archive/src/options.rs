//! How an archive is written.

use twintap_stream::Timestamp;

/// How an archive is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// A part is sealed at the first commit that finds it at least this large.
    /// With a size cap, at most an eighth of it.
    pub part_bytes: u64,
    /// Retention removes the oldest sealed parts while the archive is larger.
    pub max_bytes: Option<u64>,
    /// Retention removes sealed parts whose last exchange is older, in
    /// nanoseconds of recorded time; a part spans at most a sixteenth of it.
    pub max_age_ns: Option<u64>,
    /// zstd's level.
    pub compression_level: i32,
    /// Bytes of records, before compression, that make one block.
    pub run_bytes: usize,
    /// The largest body that lies within its record, and the size of the blocks
    /// of larger ones: what one unfinished body holds in memory.
    pub inline_bytes: usize,
    /// Bytes kept in memory while the storage can't be written; above it the
    /// archive refuses until it is opened again.
    pub held_bytes: usize,
    /// The instant that a new archive's identity is stamped with.
    pub created: Timestamp,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            part_bytes: 64 << 20,
            max_bytes: None,
            max_age_ns: None,
            compression_level: 1,
            run_bytes: 256 << 10,
            inline_bytes: 64 << 10,
            held_bytes: 16 << 20,
            created: Timestamp::default(),
        }
    }
}

impl Options {
    pub(crate) fn seal_bytes(&self) -> u64 {
        match self.max_bytes {
            Some(max) => self.part_bytes.min(max / 8),
            None => self.part_bytes,
        }
    }
}
