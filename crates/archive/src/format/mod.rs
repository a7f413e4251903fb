//! The bytes of the format, as `docs/archive-format.md` lays them out.

mod block;
mod cursor;
mod footer;
mod header;
mod name;

pub(crate) use block::{
    BLOCK_HEADER_BYTES, BLOCK_MAGIC, BlockHeader, BlockKind, Codec, FLAG_FULL, MAX_PLAIN_BYTES,
    Place, unpack,
};
pub(crate) use cursor::Cursor;
pub(crate) use footer::{FOOTER_BYTES, Footer};
pub use header::{ArchiveId, Identity};
pub(crate) use header::{HEADER_BYTES, HeaderFault, MAJOR, MINOR, PartHeader};
pub(crate) use name::{IDENTITY, PartName, is_leftover, open_name, sealed_name};

use minicbor_serde::{Deserializer, Serializer};
use serde::Serialize;
use serde::de::DeserializeOwned;

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
pub(crate) fn from_cbor<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DamageCause> {
    let mut decoder = Deserializer::new(bytes);
    let value =
        T::deserialize(&mut decoder).map_err(|error| DamageCause::Content(error.to_string()))?;
    if decoder.decoder().position() == bytes.len() {
        Ok(value)
    } else {
        Err(DamageCause::Length)
    }
}

/// Appends `value` as one CBOR item.
pub(crate) fn to_cbor(
    value: &impl Serialize,
    what: &'static str,
    out: &mut Vec<u8>,
) -> crate::Result<()> {
    value
        .serialize(&mut Serializer::new(out))
        .map_err(|error| crate::Error::Encode {
            what,
            cause: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Capture, Checkpoint};

    /// The format is CBOR, not what one library makes of it.
    #[test]
    fn another_library_reads_and_writes_the_same() {
        let checkpoint = Checkpoint {
            captures: vec![Capture {
                durable_frames: vec![(1, 300), (70_000, u64::MAX)],
                ..Capture::default()
            }],
            ..Checkpoint::default()
        };
        let mut ours = Vec::new();
        to_cbor(&checkpoint, "a checkpoint", &mut ours).expect("it can be encoded");
        let mut theirs = Vec::new();
        ciborium::into_writer(&checkpoint, &mut theirs).expect("it can be encoded");
        assert_eq!(ours, theirs);
        let read: Checkpoint = ciborium::from_reader(&ours[..]).expect("it can be decoded");
        assert_eq!(read, checkpoint);
    }

    #[test]
    fn what_follows_an_item_is_told_of() {
        assert_eq!(from_cbor::<u8>(&[7]), Ok(7));
        assert_eq!(from_cbor::<u8>(&[7, 7]), Err(DamageCause::Length));
        assert!(matches!(from_cbor::<u8>(&[]), Err(DamageCause::Content(_))));
    }
}
