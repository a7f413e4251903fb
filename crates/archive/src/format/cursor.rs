//! Records of which not all is wanted: the rest is passed over, neither decoded nor checked.

use minicbor_serde::Deserializer;
use serde::de::DeserializeOwned;

use crate::error::DamageCause;

/// A place in CBOR (RFC 8949) where an item begins.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Result<T> = std::result::Result<T, DamageCause>;

/// An item's head (RFC 8949, section 3).
struct Head {
    major: u8,
    /// None: of an item of indefinite length.
    argument: Option<u64>,
}

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

impl<'a> Cursor<'a> {
    /// At the first of the items in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// True after the last item.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Gives each key of a map with text keys to `take`, which takes or skips its value.
    pub fn map(&mut self, mut take: impl FnMut(&'a [u8], &mut Self) -> Result<()>) -> Result<()> {
        let head = self.head()?;
        let (MAP, Some(entries)) = (head.major, head.argument) else {
            return Err(unexpected("no map of a known length"));
        };
        for _ in 0..entries {
            let key = match self.head()? {
                Head {
                    major: TEXT,
                    argument: Some(length),
                } => self.take(length)?,
                _ => return Err(unexpected("a key that is no text")),
            };
            take(key, self)?;
        }
        Ok(())
    }

    /// Decodes an item.
    pub fn decode<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut deserializer = Deserializer::new(&self.bytes[self.at..]);
        let value = T::deserialize(&mut deserializer)
            .map_err(|error| DamageCause::Content(error.to_string()))?;
        self.at += deserializer.decoder().position();
        Ok(value)
    }

    /// Passes over an item with all that is in it.
    pub fn skip(&mut self) -> Result<()> {
        // Whoever has more items open than bytes left will miss some.
        let mut left = 1u64;
        while left > 0 {
            left -= 1;
            let Head { major, argument } = self.head()?;
            let Some(argument) = argument else {
                return Err(unexpected("an item of indefinite length"));
            };
            let inner = match major {
                BYTES | TEXT => {
                    self.take(argument)?;
                    0
                }
                ARRAY => argument,
                MAP => argument.saturating_mul(2),
                TAG => 1,
                _ => 0,
            };
            left = left.saturating_add(inner);
        }
        Ok(())
    }

    fn head(&mut self) -> Result<Head> {
        let [first] = *self.take(1)? else {
            return Err(DamageCause::Length);
        };
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..=23 => Some(u64::from(info)),
            24..=27 => {
                let bytes = self.take(1 << (info - 24))?;
                let number = bytes
                    .iter()
                    .fold(0, |number, byte| number << 8 | u64::from(*byte));
                // What a float or a simple value is says nothing of a length.
                Some(if major == SIMPLE { 0 } else { number })
            }
            31 => None,
            _ => return Err(unexpected("an item that is none")),
        };
        Ok(Head { major, argument })
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = usize::try_from(length).map_err(|_| DamageCause::Length)?;
        let taken = rest.get(..length).ok_or(DamageCause::Length)?;
        self.at += length;
        Ok(taken)
    }
}

fn unexpected(what: &str) -> DamageCause {
    DamageCause::Content(format!("{what} in a record"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::to_cbor;
    use super::*;

    /// What CBOR can say, as far as archives say it.
    fn any_value() -> impl Strategy<Value = ciborium::Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<bool>().prop_map(Into::into),
            Just(ciborium::Value::Null),
            ".{0,300}".prop_map(Into::into),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..30).prop_map(Into::into),
                proptest::collection::vec((inner.clone(), inner), 0..30)
                    .prop_map(ciborium::Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_item_is_passed_over_and_none_that_is_cut(value in any_value(), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            ciborium::into_writer(&value, &mut bytes).expect("memory takes everything");
            let end = bytes.len();
            bytes.extend_from_slice(b"\x07after");
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.skip(), Ok(()));
            prop_assert_eq!(cursor.at, end);
            prop_assert_eq!(cursor.decode::<u8>(), Ok(7));
            let mut torn = Cursor::new(&bytes[..cut.index(end)]);
            prop_assert!(torn.skip().is_err());
        }

        #[test]
        fn any_bytes_are_passed_over_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut cursor = Cursor::new(&bytes);
            while !cursor.is_at_end() && cursor.skip().is_ok() {}
            let mut cursor = Cursor::new(&bytes);
            let _ = cursor.map(|_, cursor| cursor.skip());
            prop_assert!(cursor.at <= bytes.len());
        }
    }

    #[test]
    fn a_map_gives_what_is_asked_for() {
        let map = BTreeMap::from([("a", 1u64), ("b", 1 << 40), ("c", 3)]);
        let mut bytes = Vec::new();
        to_cbor(&map, "a map", &mut bytes).expect("it can be encoded");
        let mut cursor = Cursor::new(&bytes);
        let mut found = 0u64;
        let result = cursor.map(|key, cursor| {
            if key == b"b" {
                found = cursor.decode()?;
                return Ok(());
            }
            cursor.skip()
        });
        assert_eq!((result, found), (Ok(()), 1 << 40));
        assert!(cursor.is_at_end());
    }
}
