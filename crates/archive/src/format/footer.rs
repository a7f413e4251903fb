//! The footer of a sealed part.

use crc32c::crc32c_append;
use twintap_stream::Timestamp;

use super::{array, same};

pub(crate) const FOOTER_BYTES: usize = 64;
const CHECKED: usize = FOOTER_BYTES - 4;
const MAGIC: &[u8; 8] = b"TWTP-END";

/// The last bytes of a sealed part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub index_offset: u64,
    pub exchanges: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// Length of the whole part.
    pub length: u64,
}

impl Footer {
    pub fn encode(&self, seed: u32) -> [u8; FOOTER_BYTES] {
        let mut out = [0; FOOTER_BYTES];
        out[0..8].copy_from_slice(MAGIC);
        let fields = [
            self.index_offset,
            self.exchanges,
            self.first.0,
            self.last.0,
            self.length,
        ];
        for (index, field) in fields.iter().enumerate() {
            let at = 8 + index * 8;
            out[at..at + 8].copy_from_slice(&field.to_le_bytes());
        }
        let checksum = crc32c_append(seed, &out[..CHECKED]);
        out[CHECKED..].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// The footer in `bytes`, if it is one of the part with `seed` and `length`.
    pub fn decode(bytes: &[u8; FOOTER_BYTES], seed: u32, length: u64) -> Option<Footer> {
        let checksum = u32::from_le_bytes(array(bytes, CHECKED));
        if &bytes[..8] != MAGIC || !same(crc32c_append(seed, &bytes[..CHECKED]), checksum) {
            return None;
        }
        let field = |index: usize| u64::from_le_bytes(array(bytes, 8 + index * 8));
        let footer = Footer {
            index_offset: field(0),
            exchanges: field(1),
            first: Timestamp(field(2)),
            last: Timestamp(field(3)),
            length: field(4),
        };
        (footer.length == length && footer.index_offset < length).then_some(footer)
    }
}
