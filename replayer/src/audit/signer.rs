//! Who signs the lines, and who can tell that they did.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::keys;

/// Goes before what is signed, so that a signature here means nothing elsewhere.
const CONTEXT: &[u8] = b"twintap audit v1\n";

/// Signs with Ed25519 (RFC 8032).
pub struct Signer {
    pair: Ed25519KeyPair,
    is_new: bool,
}

impl Signer {
    /// By the key in a file of 64 hexadecimal digits, made when absent. The signing key is
    /// derived from it, so that a pseudonym key that is named by mistake is not given away.
    ///
    /// # Errors
    /// When the file can't be read or made, or holds something else.
    pub fn load_or_create(path: &Path) -> Result<Signer> {
        let is_new = !path.exists();
        let key = keys::load_or_create_key(path).context("the audit log's signing key")?;
        let digits = key.to_hex();
        let seed = blake3::derive_key("twintap audit v1 signing key", digits.as_bytes());
        let seed = Zeroizing::new(seed);
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed)
            .context("making the audit log's signing key")?;
        Ok(Signer { pair, is_new })
    }

    /// Whether the file was made just now.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Who can tell.
    pub fn public_key(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// The signature, in base64: always [`SIGNATURE_CHARACTERS`].
    pub fn sign(&self, text: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(&[CONTEXT, text].concat()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public_key())
    }
}

/// Characters of a signature.
pub const SIGNATURE_CHARACTERS: usize = 88;

/// Tells whether a signature is a signer's. As text it is base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Whether `signature` (in base64) is that of `text`.
    pub fn is_signed(&self, text: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(&[CONTEXT, text].concat(), &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<PublicKey, String> {
        let bytes = STANDARD.decode(text).ok();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(PublicKey)
            .ok_or_else(|| format!("{text:?} is no public key: 44 characters of base64"))
    }
}
