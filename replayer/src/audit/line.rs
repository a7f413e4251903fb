//! One line of the log.
//!
//! The signature is the line's last field and always as long, so that what is signed and
//! what is chained are plain bytes of the file, and no form of JSON has to be agreed upon.

use blake3::Hash;
use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::event::Event;
use super::signer::{PublicKey, SIGNATURE_CHARACTERS, Signer};

const BEFORE_SIGNATURE: &str = r#","signature":""#;
const AFTER_SIGNATURE: &str = r#""}"#;

/// What every log begins with.
pub const BEGINNING: &str = r#"{"seq":1,"time":""#;

/// Where a chain of lines ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Number of the last line, from 1; 0 where there is none.
    pub seq: u64,
    /// BLAKE3 of the last line without its line feed; zeros where there is none.
    pub hash: Hash,
}

impl Link {
    /// Before the first line.
    pub const START: Link = Link {
        seq: 0,
        hash: Hash::from_bytes([0; 32]),
    };

    /// Reads a line that has to follow on this one, signed by this key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn follow(self, line: &[u8], key: &PublicKey) -> Result<(Entry, Link), LineFault> {
        let entry = Entry::check(line, key)?;
        let due = self.seq + 1;
        if entry.seq != due {
            return Err(LineFault::Number {
                found: entry.seq,
                due,
            });
        }
        if entry.prev.0 != self.hash {
            return Err(LineFault::Chain);
        }
        let hash = blake3::hash(line);
        Ok((entry, Link { seq: due, hash }))
    }

    /// The line that follows on this one, without a line feed, and where the chain ends then.
    pub fn line(self, signer: &Signer, actor: &Actor, event: &Event) -> (String, Link) {
        #[derive(Serialize)]
        struct Unsigned<'a> {
            seq: u64,
            time: String,
            actor: &'a Actor,
            #[serde(flatten)]
            event: &'a Event,
            prev: &'a str,
        }
        let unsigned = Unsigned {
            seq: self.seq + 1,
            time: now(),
            actor,
            event,
            prev: &self.hash.to_hex(),
        };
        let mut line = serde_json::to_string(&unsigned).expect("texts and numbers are JSON");
        line.pop();
        let signature = signer.sign(line.as_bytes());
        line = [&line, BEFORE_SIGNATURE, &signature, AFTER_SIGNATURE].concat();
        let link = Link {
            seq: self.seq + 1,
            hash: blake3::hash(line.as_bytes()),
        };
        (line, link)
    }
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// When, RFC 3339 in UTC, by the machine's clock.
    pub time: String,
    /// Who.
    pub actor: Actor,
    /// What was done; one of [`ACTIONS`](super::ACTIONS), or of a later version.
    pub action: String,
    /// The fields that belong to the action.
    pub subject: serde_json::Value,
    /// Hash of the line before.
    pub prev: Hexadecimal,
}

/// A hash as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hexadecimal(pub Hash);

impl TryFrom<String> for Hexadecimal {
    type Error = blake3::HexError;

    fn try_from(text: String) -> Result<Hexadecimal, blake3::HexError> {
        Hash::from_hex(text).map(Hexadecimal)
    }
}

/// Why some bytes are no line of the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// It has not the form of one.
    #[error("it is no entry of an audit log{0}")]
    Form(String),
    /// It has the form, and the log's key did not sign what it says.
    #[error("its signature does not match what it says: it was changed, or another key signed it")]
    Signature,
    /// It is signed, and another is due in its place.
    #[error("its number is {found} and should be {due}: entries were removed, moved or repeated")]
    Number {
        /// Its number.
        found: u64,
        /// That of the line that is due.
        due: u64,
    },
    /// It is signed, and chained to another line.
    #[error("it does not follow on the line before: that was replaced")]
    Chain,
}

impl Entry {
    /// Reads a line without its line feed. The signature is looked at by
    /// [`check`](Entry::check).
    ///
    /// # Errors
    /// [`LineFault::Form`].
    pub fn read(line: &[u8]) -> Result<Entry, LineFault> {
        split(line)?;
        serde_json::from_slice(line).map_err(|error| LineFault::Form(format!(": {error}")))
    }

    /// Reads a line that this key has to have signed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(line: &[u8], key: &PublicKey) -> Result<Entry, LineFault> {
        let (signed, signature) = split(line)?;
        if !key.is_signed(signed, signature) {
            Entry::read(line)?;
            return Err(LineFault::Signature);
        }
        Entry::read(line)
    }

    /// The event, where this version knows the action.
    pub fn event(&self) -> Option<Event> {
        let event = serde_json::json!({"action": self.action, "subject": self.subject});
        serde_json::from_value(event).ok()
    }

    /// The key that a log's first entry names.
    pub fn public_key(&self) -> Option<PublicKey> {
        match self.event()? {
            Event::LogBegun { public_key, .. } => public_key.parse().ok(),
            _ => None,
        }
    }
}

/// What is signed, and the signature.
fn split(line: &[u8]) -> Result<(&[u8], &str), LineFault> {
    let fault = || LineFault::Form(String::new());
    let length = BEFORE_SIGNATURE.len() + SIGNATURE_CHARACTERS + AFTER_SIGNATURE.len();
    let end = line.len().checked_sub(length).ok_or_else(fault)?;
    let (signed, rest) = line.split_at(end);
    let rest = std::str::from_utf8(rest).map_err(|_| fault())?;
    let signature = rest
        .strip_prefix(BEFORE_SIGNATURE)
        .and_then(|rest| rest.strip_suffix(AFTER_SIGNATURE))
        .ok_or_else(fault)?;
    Ok((signed, signature))
}

/// With nine decimals, so that times sort as texts.
fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%9fZ")
        .to_string()
}
