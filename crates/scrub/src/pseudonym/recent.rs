//! Values seen lately and what was made of them: a session sends the same values over and over,
//! and one that comes again costs no cryptography.

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use smallvec::SmallVec;

use super::Pseudonyms;
use crate::class::Class;
use crate::encoding::{NO_LITERAL, encode, is_as_written, is_literal};
use crate::leaf::{Encoding, LinkTag};

/// Bytes that remembered values take with all that is around them, about.
const MOST_BYTES: usize = 12 << 20;
/// What an entry takes beside its bytes: the table is between half full and full.
const ENTRY_BYTES: usize = 2 * size_of::<Known>();
/// Longer values are hardly repeated as often.
const LONGEST: usize = 128;

/// Bytes that an entry has room for: an address of mail and its pseudonym.
const BESIDE: usize = 96;

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
    bytes: usize,
    /// The last value that was too long to be remembered.
    passing: Option<Known>,
}

/// What is known of one value.
pub(crate) struct Known {
    /// The raw value, where it is remembered, and its pseudonym, once it was asked for.
    bytes: SmallVec<[u8; BESIDE]>,
    raw_len: usize,
    tag: LinkTag,
    chars: u32,
    class: Option<Class>,
    pseudonym: Option<Pseudonym>,
}

/// What a pseudonym that was made is like.
#[derive(Clone, Copy)]
struct Pseudonym {
    is_raw: bool,
    is_json_literal: bool,
    /// JSON's strings write it as it is.
    is_json_text: bool,
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
        self.recent.passing = None;
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
    pub(crate) fn of(&mut self, pseudonyms: &Pseudonyms, raw: &[u8]) -> &mut Known {
        if raw.len() > LONGEST {
            return self.passing.insert(Known::new(pseudonyms, raw));
        }
        if self.bytes > MOST_BYTES {
            self.table.clear();
            self.bytes = 0;
        }
        let hash = |raw: &[u8]| self.random.hash_one(raw);
        let is_it = |known: &Known| known.raw() == raw;
        match self
            .table
            .entry(hash(raw), is_it, |known| hash(known.raw()))
        {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                // A pseudonym is about as long.
                self.bytes += ENTRY_BYTES + 2 * raw.len();
                let mut known = Known::new(pseudonyms, raw);
                known.bytes.extend_from_slice(raw);
                known.raw_len = raw.len();
                place.insert(known).into_mut()
            }
        }
    }
}

impl Known {
    fn new(pseudonyms: &Pseudonyms, raw: &[u8]) -> Known {
        let chars = std::str::from_utf8(raw).map_or(raw.len(), |text| text.chars().count());
        Known {
            bytes: SmallVec::new(),
            raw_len: 0,
            tag: pseudonyms.keys().link_tag(raw),
            chars: u32::try_from(chars).unwrap_or(u32::MAX),
            class: None,
            pseudonym: None,
        }
    }

    fn raw(&self) -> &[u8] {
        &self.bytes[..self.raw_len]
    }

    pub(crate) fn tag(&self) -> LinkTag {
        self.tag
    }

    /// Characters of the raw value; bytes of one that is no text.
    pub(crate) fn chars(&self) -> u32 {
        self.chars
    }

    /// The class of the value, which is `raw`.
    pub(crate) fn class(&mut self, raw: &[u8], is_in_path: bool) -> Class {
        match is_in_path {
            true => Class::of(raw, true),
            false => *self.class.get_or_insert_with(|| Class::of(raw, false)),
        }
    }

    /// The pseudonym of the value, which is `raw`.
    pub(crate) fn pseudonym(&mut self, pseudonyms: &Pseudonyms, raw: &[u8]) -> &[u8] {
        self.made(pseudonyms, raw);
        &self.bytes[self.raw_len..]
    }

    /// The pseudonym of the value, which is `raw`, as it is written; `None` where it is the
    /// value itself. That of a JSON literal is a JSON literal.
    pub(crate) fn written(
        &mut self,
        pseudonyms: &Pseudonyms,
        raw: &[u8],
        encoding: Encoding,
    ) -> Option<Cow<'_, [u8]>> {
        let made = self.made(pseudonyms, raw);
        let new = &self.bytes[self.raw_len..];
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

    fn made(&mut self, pseudonyms: &Pseudonyms, raw: &[u8]) -> Pseudonym {
        *self.pseudonym.get_or_insert_with(|| {
            let new = pseudonyms.of(raw);
            self.bytes.extend_from_slice(&new);
            Pseudonym {
                is_raw: new == raw,
                is_json_literal: is_literal(&new),
                is_json_text: is_as_written(&new, Encoding::JsonString),
            }
        })
    }
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
                let known = recent.of(&pseudonyms, raw);
                prop_assert_eq!(known.tag(), pseudonyms.keys().link_tag(raw));
                prop_assert_eq!(known.class(raw, *is_in_path), Class::of(raw, *is_in_path));
                let text = std::str::from_utf8(raw);
                let chars = text.map_or(raw.len(), |text| text.chars().count());
                prop_assert_eq!(known.chars() as usize, chars);
                let new = pseudonyms.of(raw);
                let encoding = ENCODINGS[*encoding];
                let written = known.written(&pseudonyms, raw, encoding);
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
                prop_assert_eq!(known.pseudonym(&pseudonyms, raw), new);
            }
        }
    }

    #[test]
    fn memory_has_an_end() {
        let pseudonyms = pseudonyms();
        let mut recent = pseudonyms.recent();
        let mut was_begun_anew = false;
        for number in 0..100_000 {
            let before = recent.bytes;
            let raw = format!("{number:0>100}").into_bytes();
            recent.of(&pseudonyms, &raw);
            was_begun_anew |= recent.bytes < before;
            assert!(recent.bytes <= MOST_BYTES + ENTRY_BYTES + 2 * LONGEST);
        }
        assert!(was_begun_anew);
        let raw = b"0099999";
        let new = pseudonyms.of(raw);
        assert_eq!(recent.of(&pseudonyms, raw).pseudonym(&pseudonyms, raw), new);
    }
}
