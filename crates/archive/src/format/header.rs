//! The identity of an archive and the header of a part.

use std::fmt;

use crc32c::{crc32c, crc32c_append};
use twintap_stream::Timestamp;

use super::array;

pub(crate) const MAJOR: u16 = 1;
pub(crate) const MINOR: u16 = 0;

/// Bytes of a part's header, and of the identity.
pub(crate) const HEADER_BYTES: usize = 64;
const CHECKED: usize = HEADER_BYTES - 4;

const IDENTITY_MAGIC: &[u8; 8] = b"TWTP-ARC";
const PART_MAGIC: &[u8; 8] = b"TWTP-PRT";

/// What tells one archive from every other: random.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArchiveId(pub [u8; 16]);

impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl ArchiveId {
    /// Where the checksums in a part begin.
    pub(crate) fn seed(self, part: u64) -> u32 {
        crc32c_append(crc32c(&self.0), &part.to_le_bytes())
    }
}

/// An archive's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The format's version, major and minor.
    pub version: (u16, u16),
    /// The archive.
    pub id: ArchiveId,
    /// When it was made.
    pub created: Timestamp,
}

/// Why a header can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Truncated,
    Invalid,
    Version(u16),
}

impl Identity {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = begin(IDENTITY_MAGIC, self.version, self.id);
        out[32..40].copy_from_slice(&self.created.0.to_le_bytes());
        finish(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Identity, HeaderFault> {
        let version = check(bytes, IDENTITY_MAGIC)?;
        Ok(Identity {
            version,
            id: ArchiveId(array(bytes, 16)),
            created: Timestamp(u64::from_le_bytes(array(bytes, 32))),
        })
    }
}

/// The header of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartHeader {
    pub version: (u16, u16),
    pub id: ArchiveId,
    pub number: u64,
    /// Exchanges committed in all parts before.
    pub exchanges_before: u64,
    /// Bytes of all parts before.
    pub bytes_before: u64,
}

impl PartHeader {
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = begin(PART_MAGIC, self.version, self.id);
        out[32..40].copy_from_slice(&self.number.to_le_bytes());
        out[40..48].copy_from_slice(&self.exchanges_before.to_le_bytes());
        out[48..56].copy_from_slice(&self.bytes_before.to_le_bytes());
        finish(out)
    }

    pub fn decode(bytes: &[u8]) -> Result<PartHeader, HeaderFault> {
        let version = check(bytes, PART_MAGIC)?;
        Ok(PartHeader {
            version,
            id: ArchiveId(array(bytes, 16)),
            number: u64::from_le_bytes(array(bytes, 32)),
            exchanges_before: u64::from_le_bytes(array(bytes, 40)),
            bytes_before: u64::from_le_bytes(array(bytes, 48)),
        })
    }
}

fn begin(magic: &[u8; 8], version: (u16, u16), id: ArchiveId) -> [u8; HEADER_BYTES] {
    let mut out = [0; HEADER_BYTES];
    out[0..8].copy_from_slice(magic);
    out[8..10].copy_from_slice(&version.0.to_le_bytes());
    out[10..12].copy_from_slice(&version.1.to_le_bytes());
    out[16..32].copy_from_slice(&id.0);
    out
}

fn finish(mut out: [u8; HEADER_BYTES]) -> [u8; HEADER_BYTES] {
    let checksum = crc32c(&out[..CHECKED]);
    out[CHECKED..].copy_from_slice(&checksum.to_le_bytes());
    out
}

fn check(bytes: &[u8], magic: &[u8; 8]) -> Result<(u16, u16), HeaderFault> {
    if bytes.len() < HEADER_BYTES {
        return Err(HeaderFault::Truncated);
    }
    if &bytes[..8] != magic
        || crc32c(&bytes[..CHECKED]) != u32::from_le_bytes(array(bytes, CHECKED))
    {
        return Err(HeaderFault::Invalid);
    }
    let version = (
        u16::from_le_bytes(array(bytes, 8)),
        u16::from_le_bytes(array(bytes, 10)),
    );
    if version.0 == MAJOR {
        Ok(version)
    } else {
        Err(HeaderFault::Version(version.0))
    }
}
