//! The head file: the log's last entry by number and hash, beside the log.
//!
//! It is written after the log, so that what it names was in the log for certain.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use blake3::Hash;
use serde::{Deserialize, Serialize};

use super::line::Link;
use super::signer::{PublicKey, Signer};
use crate::replace::replace;

/// What a head file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// There is none.
    Missing,
    /// There is one that the log's key did not sign.
    Foreign,
    /// The log's last entry.
    Of(Link),
}

#[derive(Serialize, Deserialize)]
struct Text {
    seq: u64,
    hash: String,
    signature: String,
}

impl Head {
    /// Reads it.
    ///
    /// # Errors
    /// When it is there and can't be read.
    pub fn read(path: &Path, key: &PublicKey) -> io::Result<Head> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Head::Missing),
            Err(error) => return Err(error),
        };
        Ok(parse(&bytes, key).map_or(Head::Foreign, Head::Of))
    }

    /// Writes it. Readers find the old one or the new one, also after a crash.
    ///
    /// # Errors
    /// When the place can't be written to.
    pub fn write(path: &Path, link: Link, signer: &Signer) -> io::Result<()> {
        let hash = link.hash.to_hex().to_string();
        let text = serde_json::to_string(&Text {
            seq: link.seq,
            signature: signer.sign(signed(link.seq, &hash).as_bytes()),
            hash,
        })?;
        replace(path, format!("{text}\n").as_bytes())
    }
}

fn parse(bytes: &[u8], key: &PublicKey) -> Option<Link> {
    let text: Text = serde_json::from_slice(bytes).ok()?;
    let hash = Hash::from_hex(&text.hash).ok()?;
    let is_signed = key.is_signed(signed(text.seq, &text.hash).as_bytes(), &text.signature);
    is_signed.then_some(Link {
        seq: text.seq,
        hash,
    })
}

fn signed(seq: u64, hash: &str) -> String {
    format!("head {seq} {hash}")
}
