//! The bytes of the format, as `docs/archive-format.md` lays them out.

mod block;
mod footer;
mod header;
mod name;

pub(crate) use block::{
    BLOCK_HEADER_BYTES, BLOCK_MAGIC, BlockHeader, BlockKind, Codec, FLAG_FULL, MAX_PLAIN_BYTES,
    Place, unpack,
};
pub(crate) use footer::{FOOTER_BYTES, Footer};
pub use header::{ArchiveId, Identity};
pub(crate) use header::{HEADER_BYTES, HeaderFault, MAJOR, MINOR, PartHeader};
pub(crate) use name::{IDENTITY, PartName, is_leftover, open_name, sealed_name};

use crate::error::DamageCause;

/// The `N` bytes at `at`; callers pass slices that they have checked the length of.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// Compares checksums; a fuzzer gets past them.
fn same(found: u32, expected: u32) -> bool {
    found == expected || cfg!(fuzzing)
}

/// Decodes one CBOR item that fills `bytes`.
pub(crate) fn from_cbor<T: serde::de::DeserializeOwned>(
    mut bytes: &[u8],
) -> Result<T, DamageCause> {
    let value = ciborium::from_reader(&mut bytes)
        .map_err(|error| DamageCause::Content(error.to_string()))?;
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err(DamageCause::Length)
    }
}

/// Appends `value` as one CBOR item.
pub(crate) fn to_cbor(
    value: &impl serde::Serialize,
    what: &'static str,
    out: &mut Vec<u8>,
) -> crate::Result<()> {
    ciborium::into_writer(value, out).map_err(|error| crate::Error::Encode {
        what,
        cause: error.to_string(),
    })
}
