//! Blocks: a checked header and a payload, mostly compressed.

use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};
use zstd::bulk::{Compressor, Decompressor};

use super::{array, same};
use crate::error::DamageCause;

pub(crate) const BLOCK_HEADER_BYTES: usize = 36;
pub(crate) const BLOCK_MAGIC: &[u8; 4] = b"TWBK";
/// The largest payload, unpacked: what one block can make a reader allocate.
pub(crate) const MAX_PLAIN_BYTES: usize = 256 << 20;

const CHECKED: usize = BLOCK_HEADER_BYTES - 4;
const FLAG_ZSTD: u8 = 1;
/// The checkpoint in the block is a full one.
pub(crate) const FLAG_FULL: u8 = 2;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BlockKind {
    Exchanges = 1,
    Body = 2,
    References = 3,
    Checkpoint = 4,
    Index = 5,
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    kind: u8,
    pub flags: u8,
    stored_bytes: u32,
    plain_bytes: u32,
    pub offset: u64,
    /// Exchanges in the block.
    pub exchanges: u32,
    payload_checksum: u32,
}

impl BlockHeader {
    /// The header in `bytes`, if it is one of the part with `seed`, at `offset`.
    pub fn decode(
        bytes: &[u8; BLOCK_HEADER_BYTES],
        seed: u32,
        offset: u64,
    ) -> Result<BlockHeader, DamageCause> {
        if &bytes[..4] != BLOCK_MAGIC {
            return Err(DamageCause::Header);
        }
        let header = BlockHeader {
            kind: bytes[4],
            flags: bytes[5],
            stored_bytes: u32::from_le_bytes(array(bytes, 8)),
            plain_bytes: u32::from_le_bytes(array(bytes, 12)),
            offset: u64::from_le_bytes(array(bytes, 16)),
            exchanges: u32::from_le_bytes(array(bytes, 24)),
            payload_checksum: u32::from_le_bytes(array(bytes, 28)),
        };
        let checksum = u32::from_le_bytes(array(bytes, CHECKED));
        if !same(crc32c_append(seed, &bytes[..CHECKED]), checksum) || header.offset != offset {
            return Err(DamageCause::Header);
        }
        if header.plain_bytes as usize > MAX_PLAIN_BYTES {
            return Err(DamageCause::Length);
        }
        Ok(header)
    }

    fn encode(&self, seed: u32) -> [u8; BLOCK_HEADER_BYTES] {
        let mut out = [0; BLOCK_HEADER_BYTES];
        out[0..4].copy_from_slice(BLOCK_MAGIC);
        out[4] = self.kind;
        out[5] = self.flags;
        out[8..12].copy_from_slice(&self.stored_bytes.to_le_bytes());
        out[12..16].copy_from_slice(&self.plain_bytes.to_le_bytes());
        out[16..24].copy_from_slice(&self.offset.to_le_bytes());
        out[24..28].copy_from_slice(&self.exchanges.to_le_bytes());
        out[28..32].copy_from_slice(&self.payload_checksum.to_le_bytes());
        let checksum = crc32c_append(seed, &out[..CHECKED]);
        out[CHECKED..].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// What the block holds; `Err` has the number of a kind of a later version.
    pub fn kind(&self) -> Result<BlockKind, u8> {
        Ok(match self.kind {
            1 => BlockKind::Exchanges,
            2 => BlockKind::Body,
            3 => BlockKind::References,
            4 => BlockKind::Checkpoint,
            5 => BlockKind::Index,
            other => return Err(other),
        })
    }

    pub fn is(&self, kind: BlockKind) -> bool {
        self.kind == kind as u8
    }

    pub fn raw_kind(&self) -> u8 {
        self.kind
    }

    pub fn stored_bytes(&self) -> usize {
        self.stored_bytes as usize
    }

    /// Where the next block begins.
    pub fn end(&self) -> u64 {
        // The offset is the header's place in a file, far below the type's end.
        self.offset
            .saturating_add(BLOCK_HEADER_BYTES as u64 + u64::from(self.stored_bytes))
    }

    /// True when `stored` is the payload that this header was written for.
    pub fn matches(&self, stored: &[u8]) -> bool {
        stored.len() == self.stored_bytes() && same(crc32c(stored), self.payload_checksum)
    }
}

/// The payload as it was before it was stored.
pub(crate) fn unpack(header: &BlockHeader, stored: Bytes) -> Result<Bytes, DamageCause> {
    if !header.matches(&stored) {
        return Err(DamageCause::PayloadChecksum);
    }
    let unknown = header.flags & !(FLAG_ZSTD | FLAG_FULL);
    if unknown != 0 {
        return Err(DamageCause::Flags(unknown));
    }
    let plain_bytes = header.plain_bytes as usize;
    let plain = if header.flags & FLAG_ZSTD == 0 {
        stored
    } else {
        let unpacked = Decompressor::new()
            .and_then(|mut decompressor| decompressor.decompress(&stored, plain_bytes))
            .map_err(|_| DamageCause::Compression)?;
        Bytes::from(unpacked)
    };
    if plain.len() == plain_bytes {
        Ok(plain)
    } else {
        Err(DamageCause::Length)
    }
}

/// Makes blocks; keeps zstd's working memory from one to the next.
pub(crate) struct Codec {
    compressor: Compressor<'static>,
    scratch: Vec<u8>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codec")
    }
}

impl Codec {
    pub fn new(level: i32) -> std::io::Result<Codec> {
        Ok(Codec {
            compressor: Compressor::new(level)?,
            scratch: Vec::new(),
        })
    }

    /// Appends a block that will lie at `offset`. `plain` is at most
    /// [`MAX_PLAIN_BYTES`] long.
    pub fn append(&mut self, out: &mut Vec<u8>, place: Place, plain: &[u8]) {
        self.scratch.clear();
        self.scratch
            .reserve(zstd::zstd_safe::compress_bound(plain.len()));
        // A payload that does not shrink, or can't be compressed, is stored as it is.
        let packed = match self.compressor.compress_to_buffer(plain, &mut self.scratch) {
            Ok(length) if length < plain.len() => Some(&self.scratch[..length]),
            _ => None,
        };
        let stored = packed.unwrap_or(plain);
        let header = BlockHeader {
            kind: place.kind as u8,
            flags: place.flags | if packed.is_some() { FLAG_ZSTD } else { 0 },
            // Both are at most MAX_PLAIN_BYTES.
            stored_bytes: stored.len() as u32,
            plain_bytes: plain.len() as u32,
            offset: place.offset,
            exchanges: place.exchanges,
            payload_checksum: crc32c(stored),
        };
        out.extend_from_slice(&header.encode(place.seed));
        out.extend_from_slice(stored);
    }
}

/// What the header of a new block says beside its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub seed: u32,
    pub offset: u64,
    pub kind: BlockKind,
    pub flags: u8,
    pub exchanges: u32,
}
