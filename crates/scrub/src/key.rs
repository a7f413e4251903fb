//! The key of a key period, and what is derived from it.

use std::fmt;

use siphasher::sip::SipHasher13;
use zeroize::Zeroizing;

use crate::leaf::LinkTag;

/// The secret that pseudonyms and link tags of one key period depend on.
///
/// It is zeroed when dropped and prints nothing of itself.
pub struct Key(Zeroizing<[u8; Key::BYTES]>);

/// A text that is no key. The text itself is not repeated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a key is {} hexadecimal digits, not {characters} characters{}", 2 * Key::BYTES, if *.foreign { " of which some are no hexadecimal digits" } else { "" })]
pub struct KeyError {
    characters: usize,
    foreign: bool,
}

impl Key {
    /// Bytes of a key.
    pub const BYTES: usize = 32;

    /// The key with these bytes. A new key is made of 32 bytes of the system's
    /// randomness, which the caller reads.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Key::BYTES]) -> Key {
        Key(Zeroizing::new(bytes))
    }

    /// The key written as 64 hexadecimal digits; white space around them is ignored.
    ///
    /// # Errors
    /// [`KeyError`] when the text is anything else.
    pub fn from_hex(text: &str) -> Result<Key, KeyError> {
        let text = text.trim();
        let error = KeyError {
            characters: text.chars().count(),
            foreign: !text.chars().all(|c| c.is_ascii_hexdigit()),
        };
        if text.len() != 2 * Key::BYTES || error.foreign {
            return Err(error);
        }
        let mut bytes = Zeroizing::new([0; Key::BYTES]);
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
            *byte = digit(digits[0]) << 4 | digit(digits[1]);
        }
        Ok(Key(bytes))
    }

    /// The 64 hexadecimal digits that [`Key::from_hex`] reads.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        use fmt::Write as _;
        let mut text = Zeroizing::new(String::with_capacity(2 * Key::BYTES));
        for byte in self.0.iter() {
            // Writing to a string never fails.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// One subkey for each use, so that no use tells anything about another.
pub(crate) struct Keys {
    tag: Zeroizing<[u8; 32]>,
    body: Zeroizing<[u8; 32]>,
    stream: Zeroizing<[u8; 32]>,
    permutation: Zeroizing<[u8; 16]>,
}

impl Keys {
    pub(crate) fn derive(key: &Key) -> Keys {
        let derive = |context| Zeroizing::new(blake3::derive_key(context, &*key.0));
        let wide = derive("twintap scrub v1 permutation");
        let mut permutation = Zeroizing::new([0; 16]);
        permutation.copy_from_slice(&wide[..16]);
        Keys {
            tag: derive("twintap scrub v1 link tag"),
            body: derive("twintap scrub v1 body tag"),
            stream: derive("twintap scrub v1 pseudonym"),
            permutation,
        }
    }

    pub(crate) fn link_tag(&self, raw: &[u8]) -> LinkTag {
        LinkTag(first_u64(&blake3::keyed_hash(&self.tag, raw)))
    }

    /// The tag of a whole body.
    pub(crate) fn body_tag(&self, body: &[u8]) -> LinkTag {
        LinkTag(first_u64(&blake3::keyed_hash(&self.body, body)))
    }

    /// Takes a body chunk by chunk; [`body_tag`] ends it, which is that of the whole.
    pub(crate) fn body_hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.body)
    }

    /// As many bytes as one likes, which depend on the key and all of `value`.
    pub(crate) fn stream(&self, value: &[u8]) -> Stream {
        let reader = blake3::Hasher::new_keyed(&self.stream)
            .update(value)
            .finalize_xof();
        Stream {
            reader,
            block: [0; blake3::BLOCK_LEN],
            used: blake3::BLOCK_LEN,
        }
    }

    /// The pseudo-random function that permutations are built from.
    pub(crate) fn permutation(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.permutation)
    }
}

/// Keyed bytes, computed a block at a time.
pub(crate) struct Stream {
    reader: blake3::OutputReader,
    block: [u8; blake3::BLOCK_LEN],
    used: usize,
}

impl Stream {
    pub(crate) fn next_u16(&mut self) -> u16 {
        if self.used + 2 > self.block.len() {
            self.reader.fill(&mut self.block);
            self.used = 0;
        }
        let bytes = [self.block[self.used], self.block[self.used + 1]];
        self.used += 2;
        u16::from_le_bytes(bytes)
    }

    pub(crate) fn fill(mut self, out: &mut [u8]) {
        self.reader.fill(out);
    }
}

pub(crate) fn body_tag(hasher: &blake3::Hasher) -> LinkTag {
    LinkTag(first_u64(&hasher.finalize()))
}

fn first_u64(hash: &blake3::Hash) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}
