//! Values seen lately and what was made of them: a session sends the same values over and over,
//! and one that comes again costs no cryptography.

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::Pseudonyms;
use crate::class::Class;
use crate::encoding::{NO_LITERAL, encode, is_as_written, is_literal};
use crate::leaf::{Encoding, LinkTag};

/// Bytes that remembered values take with all that is around them, about.
const MOST_BYTES: usize = 10 << 20;
/// What an entry takes beside its bytes: the table is between half full and full.
const ENTRY_BYTES: usize = 2 * size_of::<Known>();
/// Longer values are hardly repeated as often.
const LONGEST: u8 = 128;

/// As many are kept as threads commonly scrub at once.
const MOST_IDLE: usize = 4;

/// What was learnt of values, lent to one part of a message at a time, so that no value waits for
/// a lock.
#[derive(Default)]
pub(crate) struct Recents(Mutex<Vec<Recent>>);

/// What is known of values seen lately.
///
/// Values are told apart byte by byte. Clients choose them, so that their hash is seeded at
/// random, and were it still met: what a full table costs is that it is begun anew.
#[derive(Default)]
pub(crate) struct Recent {
    table: HashTable<Known>,
    random: RandomState,
    /// The values and their pseudonyms, in the order in which they came: those that came
    /// together once come together again.
    bytes: Vec<u8>,
    /// The last value that was too long to be remembered, and its pseudonym.
    passing: (Known, Vec<u8>),
}

/// What is known of one value.
#[derive(Clone, Copy, Default)]
struct Known {
    tag: LinkTag,
    /// Where the value is among the bytes; nowhere where it isn't remembered.
    raw_start: u32,
    raw_len: u8,
    class: Option<Class>,
    pseudonym: Option<Pseudonym>,
    chars: u32,
    /// Where its pseudonym is, once it was asked for.
    start: u32,
    len: u32,
}

/// What a pseudonym that was made is like.
#[derive(Clone, Copy)]
struct Pseudonym {
    is_raw: bool,
    is_json_literal: bool,
    /// JSON's strings write it as it is.
    is_json_text: bool,
}

/// A raw value and what is known of it.
pub(crate) struct Value<'a> {
    pseudonyms: &'a Pseudonyms,
    raw: &'a [u8],
    known: &'a mut Known,
    bytes: &'a mut Vec<u8>,
}

/// What was lent; it is given back when dropped.
pub(crate) struct Lent<'a> {
    recents: &'a Recents,
    recent: Recent,
}

impl Recents {
    pub(super) fn lend(&self) -> Lent<'_> {
        let idle = self.0.lock().ok().and_then(|mut idle| idle.pop());
        Lent {
            recents: self,
            recent: idle.unwrap_or_default(),
        }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.recent.passing = Default::default();
        if let Ok(mut idle) = self.recents.0.lock()
            && idle.len() < MOST_IDLE
        {
            idle.push(std::mem::take(&mut self.recent));
        }
    }
}

impl Deref for Lent<'_> {
    type Target = Recent;

    fn deref(&self) -> &Recent {
        &self.recent
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Recent {
        &mut self.recent
    }
}

impl Recent {
    /// What is known of a raw value; what isn't yet is found out.
    pub(crate) fn of<'a>(&'a mut self, pseudonyms: &'a Pseudonyms, raw: &'a [u8]) -> Value<'a> {
        let Ok(raw_len @ ..=LONGEST) = u8::try_from(raw.len()) else {
            let (known, bytes) = &mut self.passing;
            *known = Known::new(pseudonyms, raw);
            bytes.clear();
            return Value {
                pseudonyms,
                raw,
                known,
                bytes,
            };
        };
        if self.used_bytes() > MOST_BYTES {
            self.table.clear();
            self.bytes.clear();
        }
        let bytes = &mut self.bytes;
        let hash = |raw: &[u8]| self.random.hash_one(raw);
        let is_it = |known: &Known| known.raw(bytes) == raw;
        let entry = self
            .table
            .entry(hash(raw), is_it, |known| hash(known.raw(bytes)));
        let known = match entry {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let new = Known {
                    raw_start: offset(bytes),
                    raw_len,
                    ..Known::new(pseudonyms, raw)
                };
                bytes.extend_from_slice(raw);
                place.insert(new).into_mut()
            }
        };
        Value {
            pseudonyms,
            raw,
            known,
            bytes,
        }
    }

    fn used_bytes(&self) -> usize {
        self.bytes.len() + self.table.len() * ENTRY_BYTES
    }
}

impl Known {
    fn new(pseudonyms: &Pseudonyms, raw: &[u8]) -> Known {
        let chars = std::str::from_utf8(raw).map_or(raw.len(), |text| text.chars().count());
        Known {
            tag: pseudonyms.keys().link_tag(raw),
            chars: u32::try_from(chars).unwrap_or(u32::MAX),
            ..Known::default()
        }
    }

    fn raw<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.raw_start as usize..][..usize::from(self.raw_len)]
    }
}

impl Value<'_> {
    pub(crate) fn tag(&self) -> LinkTag {
        self.known.tag
    }

    /// Its characters; bytes of one that is no text.
    pub(crate) fn chars(&self) -> u32 {
        self.known.chars
    }

    pub(crate) fn class(&mut self, is_in_path: bool) -> Class {
        let raw = self.raw;
        match is_in_path {
            true => Class::of(raw, true),
            false => *self
                .known
                .class
                .get_or_insert_with(|| Class::of(raw, false)),
        }
    }

    pub(crate) fn pseudonym(&mut self) -> &[u8] {
        self.made();
        self.bytes_made()
    }

    /// The pseudonym as it is written; `None` where it is the value itself. That of a JSON
    /// literal is a JSON literal.
    pub(crate) fn written(&mut self, encoding: Encoding) -> Option<Cow<'_, [u8]>> {
        let made = self.made();
        let new = self.bytes_made();
        let is_as_it_is = match encoding {
            _ if made.is_raw => return None,
            Encoding::JsonLiteral if !made.is_json_literal => return Some(NO_LITERAL.into()),
            Encoding::JsonString => made.is_json_text,
            encoding => is_as_written(new, encoding),
        };
        Some(match is_as_it_is {
            true => Cow::Borrowed(new),
            false => Cow::Owned(encode(new, encoding)),
        })
    }

    fn made(&mut self) -> Pseudonym {
        if let Some(made) = self.known.pseudonym {
            return made;
        }
        let new = self.pseudonyms.of(self.raw);
        self.known.start = offset(self.bytes);
        self.known.len = u32::try_from(new.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&new);
        let made = Pseudonym {
            is_raw: new == self.raw,
            is_json_literal: is_literal(&new),
            is_json_text: is_as_written(&new, Encoding::JsonString),
        };
        self.known.pseudonym = Some(made);
        made
    }

    fn bytes_made(&self) -> &[u8] {
        &self.bytes[self.known.start as usize..][..self.known.len as usize]
    }
}

/// Where the next bytes come to stand: their number has an end that is far below 4 GiB.
fn offset(bytes: &[u8]) -> u32 {
    bytes.len() as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encoding::decode;
    use crate::key::{Key, Keys};

    const ENCODINGS: [Encoding; 6] = [
        Encoding::Plain,
        Encoding::Percent,
        Encoding::Form,
        Encoding::JsonString,
        Encoding::JsonLiteral,
        Encoding::HtmlAttribute,
    ];

    fn pseudonyms() -> Pseudonyms {
        let keys = Keys::derive(&Key::from_bytes([7; 32]));
        Pseudonyms::new(keys, vec!["ord_".to_owned()], None)
    }

    /// Texts that meet each other's classes and forms, such that cannot be remembered, and bytes.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "[a-c\"\\\\]{0,3}".prop_map(String::into_bytes),
            "-?[0-9]{1,9}|true|null|ord_[0-9]{3}".prop_map(String::into_bytes),
            "[a-z]{1,4}@[a-z]{1,4}\\.org|\\{\"a\":\"[a-z ]{0,9}\"\\}".prop_map(String::into_bytes),
            "[a-zä]{120,140}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..6),
        ]
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_would_be_made(
            values in prop::collection::vec((value(), 0..ENCODINGS.len(), any::<bool>()), 1..60),
        ) {
            let pseudonyms = pseudonyms();
            for (raw, encoding, is_in_path) in values.iter().chain(&values) {
                let mut recent = pseudonyms.recent();
                let mut known = recent.of(&pseudonyms, raw);
                prop_assert_eq!(known.tag(), pseudonyms.keys().link_tag(raw));
                prop_assert_eq!(known.class(*is_in_path), Class::of(raw, *is_in_path));
                let text = std::str::from_utf8(raw);
                let chars = text.map_or(raw.len(), |text| text.chars().count());
                prop_assert_eq!(known.chars() as usize, chars);
                let new = pseudonyms.of(raw);
                let encoding = ENCODINGS[*encoding];
                let written = known.written(encoding);
                prop_assert_eq!(written.is_none(), new == *raw);
                if let Some(written) = written {
                    match encoding == Encoding::JsonLiteral && !is_literal(&new) {
                        true => prop_assert_eq!(&*written, NO_LITERAL),
                        false => prop_assert_eq!(&*written, encode(&new, encoding)),
                    }
                    let is_text = std::str::from_utf8(&new).is_ok();
                    let is_read_back = *decode(&written, encoding) == new;
                    prop_assert!(is_read_back || !is_text || encoding == Encoding::JsonLiteral);
                }
                prop_assert_eq!(known.pseudonym(), new);
            }
        }
    }

    #[test]
    fn memory_has_an_end() {
        let pseudonyms = pseudonyms();
        let mut recent = pseudonyms.recent();
        let mut was_begun_anew = false;
        for number in 0..100_000 {
            let before = recent.used_bytes();
            let raw = format!("{number:0>100}").into_bytes();
            recent.of(&pseudonyms, &raw);
            let after = recent.used_bytes();
            was_begun_anew |= after < before;
            assert!(after <= MOST_BYTES + ENTRY_BYTES + usize::from(LONGEST));
        }
        assert!(was_begun_anew);
        let raw = b"0099999";
        let new = pseudonyms.of(raw);
        assert_eq!(recent.of(&pseudonyms, raw).pseudonym(), new);
    }
}
