//! Whether a log is whole: chain, numbers, signatures, end.

use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result};
use blake3::Hash;
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use serde::Serialize;

use super::event::Event;
use super::head::Head;
use super::line::{Entry, LineFault, Link};
use super::log::Place;
use super::signer::PublicKey;

/// What is known of a log from elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Who signs it.
    pub public_key: Option<PublicKey>,
    /// The hash of an entry that it had.
    pub hash: Option<Hash>,
}

/// What was found; documented in docs/audit.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Whether nothing is wrong.
    pub is_sound: bool,
    /// Entries up to the first that is wrong.
    pub entries: u64,
    /// The time of the first.
    pub first: Option<String>,
    /// The time of the last.
    pub last: Option<String>,
    /// The hash of the last, to be kept elsewhere.
    pub head: Option<String>,
    /// Who signed them.
    pub public_key: Option<String>,
    /// What is no fault, and to be known.
    pub notes: Vec<Note>,
    /// What is wrong first.
    pub fault: Option<Fault>,
}

/// What is no fault, and to be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The line, from 1.
    pub line: u64,
    /// What is to be known of it.
    pub text: String,
}

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The first line that is wrong, from 1; after the last where the end is missing.
    pub line: u64,
    /// Why.
    pub cause: String,
}

/// Checks a log, up to its first fault. Nobody appends to it meanwhile.
///
/// # Errors
/// When it can't be read.
pub fn verify(place: &Place, expected: Expected) -> Result<Verified> {
    let name = || format!("reading {}", place.log.display());
    let file = File::open(&place.log).with_context(name)?;
    retry_on_intr(|| flock(&file, FlockOperation::LockShared)).with_context(name)?;
    let mut check = Check::new(expected);
    let mut reader = BufReader::new(&file);
    let mut fault = None;
    let mut line = Vec::new();
    while fault.is_none() && reader.read_until(b'\n', &mut line).with_context(name)? > 0 {
        fault = check.line(&line).err();
        line.clear();
    }
    if fault.is_none() {
        let head = match &check.key {
            Some(key) => Head::read(&place.head, key)
                .with_context(|| format!("reading {}", place.head.display()))?,
            None => Head::Missing,
        };
        fault = check.end(head).err();
    }
    Ok(check.verified(fault))
}

/// How far a log was checked.
struct Check {
    expected: Expected,
    key: Option<PublicKey>,
    link: Link,
    lines: u64,
    /// Lines that are no entries, and wait for one that seals them.
    loose: Option<Loose>,
    /// Hashes of all entries.
    hashes: Vec<Hash>,
    first: Option<String>,
    last: Option<String>,
    notes: Vec<Note>,
}

struct Loose {
    line: u64,
    bytes: Vec<u8>,
    cause: String,
}

impl Loose {
    /// Whether the event seals these very bytes, and then whether a write was cut off.
    fn sealed_by(&self, event: Option<&Event>) -> Option<bool> {
        let text = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        match event? {
            Event::BytesSealed {
                bytes,
                hash,
                is_torn,
            } if *bytes == text.len() as u64 && *hash == blake3::hash(text).to_string() => {
                Some(*is_torn)
            }
            _ => None,
        }
    }

    fn fault(&self) -> Fault {
        Fault {
            line: self.line,
            cause: self.cause.clone(),
        }
    }
}

impl Check {
    fn new(expected: Expected) -> Check {
        Check {
            expected,
            key: expected.public_key,
            link: Link::START,
            lines: 0,
            loose: None,
            hashes: Vec::new(),
            first: None,
            last: None,
            notes: Vec::new(),
        }
    }

    fn line(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.lines += 1;
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if self.lines == 1 {
            self.begin(line)?;
        }
        let Some(key) = &self.key else {
            return Err(self.fault("the log has no key"));
        };
        let (entry, link) = match self.link.follow(line, key) {
            Ok(followed) => followed,
            Err(why @ (LineFault::Form(_) | LineFault::Signature)) => {
                return self.loosen(bytes, &why.to_string());
            }
            Err(why) => {
                let loose = self.loose.as_ref().map(Loose::fault);
                return Err(loose.unwrap_or_else(|| self.fault(&why.to_string())));
            }
        };
        let event = entry.event();
        if let Some(loose) = self.loose.take() {
            let Some(is_torn) = loose.sealed_by(event.as_ref()) else {
                return Err(loose.fault());
            };
            if !is_torn {
                let cause = format!("{}; sealed by line {}", loose.cause, self.lines);
                return Err(Fault {
                    cause,
                    ..loose.fault()
                });
            }
            let text = "a write was cut off here, and sealed by the next line";
            self.note(loose.line, text);
        }
        self.link = link;
        self.hashes.push(link.hash);
        self.first.get_or_insert_with(|| entry.time.clone());
        self.last = Some(entry.time);
        match event {
            Some(Event::CutSealed { seq, .. }) => Err(self.fault(&format!(
                "it tells that entries up to {seq} were missing when it was written"
            ))),
            Some(Event::HeadMissing {}) => {
                self.note(
                    self.lines,
                    "there was no head file then: whether entries were missing can't be told",
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The first line names the key.
    fn begin(&mut self, line: &[u8]) -> Result<(), Fault> {
        let named = Entry::read(line).ok().and_then(|entry| entry.public_key());
        let Some(named) = named else {
            return Err(self.fault("it is no beginning of an audit log"));
        };
        match self.expected.public_key {
            Some(expected) if expected != named => {
                Err(self.fault(&format!("the log is signed by {named}, not {expected}")))
            }
            _ => {
                self.key = Some(named);
                Ok(())
            }
        }
    }

    /// Keeps a line that is no entry until a later one seals it; the first can't be sealed.
    fn loosen(&mut self, bytes: &[u8], cause: &str) -> Result<(), Fault> {
        if self.lines == 1 {
            return Err(self.fault(cause));
        }
        let loose = self.loose.get_or_insert_with(|| Loose {
            line: self.lines,
            bytes: Vec::new(),
            cause: cause.to_owned(),
        });
        loose.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Holds the end against what is known of it.
    fn end(&mut self, head: Head) -> Result<(), Fault> {
        if let Some(loose) = self.loose.take() {
            if loose.bytes.ends_with(b"\n") {
                return Err(loose.fault());
            }
            let text = "a write was cut off here; the next entry will seal it";
            self.note(loose.line, text);
        }
        let after = |cause: String| Fault {
            line: self.lines + 1,
            cause,
        };
        if self.link == Link::START {
            return Err(after("the log holds no entry".to_owned()));
        }
        if let Some(hash) = self.expected.hash
            && !self.hashes.contains(&hash)
        {
            return Err(after(format!("there is no entry with the hash {hash}")));
        }
        let own = self.link.seq;
        match head {
            Head::Missing => self.note(
                self.lines,
                "there is no head file: a cut end shows by --expect alone",
            ),
            Head::Foreign => {
                return Err(after("the head file is not signed by the log's key".to_owned()));
            }
            Head::Of(named) if named.seq > own => {
                let cause = format!("entries {} to {} are missing at the end", own + 1, named.seq);
                return Err(after(cause));
            }
            Head::Of(named) if self.hash_of(named.seq) != Some(named.hash) => {
                return Err(after(format!("entry {} is not the one that the head file names", named.seq)));
            }
            Head::Of(named) if named.seq < own => self.note(
                self.lines,
                "the head file is older: a crash came between log and head file, or somebody put it back",
            ),
            Head::Of(_) => {}
        }
        Ok(())
    }

    fn hash_of(&self, seq: u64) -> Option<Hash> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.hashes.get(index).copied()
    }

    fn note(&mut self, line: u64, text: &str) {
        self.notes.push(Note {
            line,
            text: text.to_owned(),
        });
    }

    fn fault(&self, cause: &str) -> Fault {
        Fault {
            line: self.lines,
            cause: cause.to_owned(),
        }
    }

    fn verified(self, fault: Option<Fault>) -> Verified {
        let has_any = self.link != Link::START;
        Verified {
            is_sound: fault.is_none(),
            entries: self.link.seq,
            first: self.first,
            last: self.last,
            head: has_any.then(|| self.link.hash.to_string()),
            public_key: self.key.map(|key| key.to_string()),
            notes: self.notes,
            fault,
        }
    }
}
