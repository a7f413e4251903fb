//! HPACK (RFC 7541) for those who speak HTTP/2 themselves.

use thiserror::Error;

use crate::http2::hpack;
use crate::message::Field;

/// The largest header table that is held (RFC 9113, section 6.5.2): the initial one.
const TABLE_BYTES: u32 = 4096;

/// Why a header block has no fields. The connection can't go on (RFC 9113, section 4.3).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BlockError {
    /// It breaks a rule, by the name of its flag.
    #[error("a header block with {0}")]
    Broken(&'static str),
    /// Its fields take more than may be held.
    #[error("a header block of more than {0} bytes")]
    TooLarge(usize),
}

/// Header blocks to fields, for one direction of a connection whose receiver never announced a
/// table of another size than the initial one.
#[derive(Debug)]
pub struct Decoder(hpack::Decoder);

impl Decoder {
    /// For the begin of a connection.
    #[expect(
        clippy::new_without_default,
        reason = "a connection begins once, which a default does not say"
    )]
    pub fn new() -> Decoder {
        Decoder(hpack::Decoder::new(TABLE_BYTES))
    }

    /// The fields of the next block. With their overhead (RFC 9113, section 6.5.2) they take no
    /// more than `max_bytes`.
    ///
    /// # Errors
    /// When it is no header block, or larger.
    pub fn decode(&mut self, block: &[u8], max_bytes: usize) -> Result<Vec<Field>, BlockError> {
        let block = self.0.decode(block, Some(TABLE_BYTES), max_bytes);
        if let Some(flag) = block.flags.first() {
            return Err(BlockError::Broken(flag));
        }
        if block.is_cut {
            return Err(BlockError::TooLarge(max_bytes));
        }
        Ok(block.fields)
    }
}

/// Fields to header blocks, for one direction of a connection.
#[derive(Debug)]
pub struct Encoder(hpack::Encoder);

impl Encoder {
    /// For the begin of a connection.
    #[expect(
        clippy::new_without_default,
        reason = "a connection begins once, which a default does not say"
    )]
    pub fn new() -> Encoder {
        Encoder(hpack::Encoder::new())
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE, in bytes.
    pub fn allow(&mut self, size: usize) {
        self.0.allow(size);
    }

    /// Appends the header block of these fields, in their order, to `out`.
    pub fn encode<'a>(&mut self, fields: impl IntoIterator<Item = &'a Field>, out: &mut Vec<u8>) {
        self.0.encode(fields, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields() -> impl Strategy<Value = Vec<Field>> {
        let name = prop_oneof![
            Just("content-type".to_owned()),
            Just(":method".to_owned()),
            Just(":path".to_owned()),
            Just("authorization".to_owned()),
            "[a-z-]{1,40}",
        ];
        let value = prop_oneof![Just("GET".to_owned()), "[ -~]{0,300}"];
        let field = (name, value).prop_map(|(name, value)| Field::new(name, value));
        prop::collection::vec(field, 0..12)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            blocks in prop::collection::vec((fields(), prop::option::of(0usize..6000)), 1..12),
        ) {
            let mut encoder = Encoder::new();
            let mut decoder = Decoder::new();
            for (fields, size) in blocks {
                if let Some(size) = size {
                    encoder.allow(size);
                    let size = u32::try_from(size).expect("a small number");
                    decoder.0.allow(size.min(TABLE_BYTES));
                }
                let mut block = Vec::new();
                encoder.encode(&fields, &mut block);
                prop_assert_eq!(decoder.decode(&block, 1 << 20), Ok(fields));
            }
        }
    }

    #[test]
    fn what_comes_again_is_short() {
        let fields = [
            Field::new(":method", "POST"),
            Field::new("user-agent", "a long text that nobody wants twice"),
        ];
        let mut encoder = Encoder::new();
        let mut block = Vec::new();
        encoder.encode(&fields, &mut block);
        block.clear();
        encoder.encode(&fields, &mut block);
        assert_eq!(block, [0x83, 0xbe]);
    }

    #[test]
    fn broken_and_large_blocks_are_errors() {
        let broken = Decoder::new().decode(&[0xff], 1000);
        assert_eq!(broken, Err(BlockError::Broken("hpack_truncated")));
        let mut block = Vec::new();
        Encoder::new().encode(&[Field::new("a", "b".repeat(2000))], &mut block);
        let large = Decoder::new().decode(&block, 1000);
        assert_eq!(large, Err(BlockError::TooLarge(1000)));
    }
}
