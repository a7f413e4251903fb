//! Appending to the log.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;

use super::actor::Actor;
use super::event::Event;
use super::head::Head;
use super::line::{BEGINNING, Entry, Link};
use super::signer::Signer;
use super::tail::Tail;
use crate::keys;
use crate::replace::sync_directory;

/// Version of the format.
const FORMAT: u32 = 1;

/// Where a log and what belongs to it lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The log.
    pub log: PathBuf,
    /// The file with its signing key.
    pub key: PathBuf,
    /// The head file.
    pub head: PathBuf,
}

impl Place {
    /// A log in this file, with the rest beside it.
    pub fn new(log: PathBuf) -> Place {
        Place {
            key: with_ending(&log, ".key"),
            head: with_ending(&log, ".head"),
            log,
        }
    }

    /// That of an archive, beside it: a copy of the archive carries none of it.
    pub fn of_archive(archive: &Path) -> Place {
        Place::new(keys::beside(archive, ".audit.jsonl"))
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A log that is appended to, by several processes at a time.
#[derive(Clone, Debug)]
pub struct Log {
    place: Place,
}

impl Log {
    /// The log there; it begins with its first entry.
    pub fn new(place: Place) -> Log {
        Log { place }
    }

    /// Appends an entry for each event, in one write, and returns once they are on the disk.
    ///
    /// # Errors
    /// When they are not, or the log is not of its key: then what they tell of must not be done.
    pub fn append(&self, actor: &Actor, events: &[Event]) -> Result<()> {
        self.try_append(actor, events).with_context(|| {
            format!(
                "nothing is done that the audit log {} does not have",
                self.place.log.display()
            )
        })
    }

    fn try_append(&self, actor: &Actor, events: &[Event]) -> Result<()> {
        let mut file = self.locked().context("opening it")?;
        let signer = Signer::load_or_create(&self.place.key)?;
        let key = signer.public_key();
        check_beginning(&file, &signer)?;
        let tail = Tail::read(&file, &key).context("reading its end")?;
        let head = Head::read(&self.place.head, &key)
            .with_context(|| format!("reading {}", self.place.head.display()))?;

        let mut lines = Lines {
            link: tail.link,
            text: Vec::new(),
        };
        let mut put = |event: &Event| lines.put(&signer, actor, event);
        let mut rest = tail.rest.as_slice();
        if tail.link == Link::START {
            if head == Head::Missing && is_torn_beginning(rest) {
                // Nobody was told of anything that it says.
                file.set_len(0).context("removing its torn first line")?;
                rest = &[];
            }
            ensure!(rest.is_empty(), "it holds no entry that its key signed");
            put(&Event::LogBegun {
                format: FORMAT,
                public_key: key.to_string(),
                key_is_new: signer.is_new(),
            });
        }
        for seal in seals(tail.link, rest, tail.is_open, head) {
            put(&seal);
        }
        events.iter().for_each(put);
        if tail.is_open && (tail.link != Link::START || !rest.is_empty()) {
            lines.text.insert(0, b'\n');
        }

        let written = file.write(&lines.text).context("writing")?;
        let length = lines.text.len();
        ensure!(written == length, "only {written} of {length} bytes fit");
        file.sync_all().context("syncing it")?;
        if tail.link == Link::START {
            sync_directory(&self.place.log).context("syncing its directory")?;
        }
        Head::write(&self.place.head, lines.link, &signer)
            .with_context(|| format!("writing {}", self.place.head.display()))
    }

    /// The file, which nobody else appends to until it is closed.
    fn locked(&self) -> io::Result<File> {
        loop {
            let mut options = OpenOptions::new();
            options.read(true).append(true).create(true).mode(0o600);
            let file = options.open(&self.place.log)?;
            retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
            // It may have been moved away while this waited.
            let (own, there) = (file.metadata()?, std::fs::metadata(&self.place.log));
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())) {
                return Ok(file);
            }
        }
    }

    /// The policy that the log names last for an archive, as entries have its path.
    ///
    /// # Errors
    /// When the log is there and can't be read.
    pub fn last_policy(&self, archive: &str) -> io::Result<Option<String>> {
        let file = match File::open(&self.place.log) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut last = None;
        for line in BufReader::new(file).split(b'\n') {
            let line = line?;
            if memchr::memmem::find(&line, b"\"action\":\"policy_").is_none() {
                continue;
            }
            let event = Entry::read(&line).ok().and_then(|entry| entry.event());
            if let Some(
                Event::PolicyUsed {
                    archive: of,
                    policy,
                }
                | Event::PolicyChanged {
                    archive: of,
                    policy,
                    ..
                },
            ) = event
                && of == archive
            {
                last = Some(policy);
            }
        }
        Ok(last)
    }
}

/// Lines that follow on a log.
struct Lines {
    link: Link,
    text: Vec<u8>,
}

impl Lines {
    fn put(&mut self, signer: &Signer, actor: &Actor, event: &Event) {
        let (line, link) = self.link.line(signer, actor, event);
        self.text.extend_from_slice(line.as_bytes());
        self.text.push(b'\n');
        self.link = link;
    }
}

/// What is to be told of a log before anything else is.
fn seals(link: Link, rest: &[u8], is_torn: bool, head: Head) -> impl Iterator<Item = Event> {
    let rest = rest.strip_suffix(b"\n").unwrap_or(rest);
    let bytes = (!rest.is_empty()).then(|| Event::BytesSealed {
        bytes: rest.len() as u64,
        hash: blake3::hash(rest).to_string(),
        is_torn,
    });
    let head = match head {
        // The log is ahead of its head after a crash between the two.
        Head::Of(named) if named.seq < link.seq || named == link => None,
        Head::Of(named) => Some(Event::CutSealed {
            seq: named.seq,
            hash: named.hash.to_string(),
        }),
        Head::Missing if link == Link::START => None,
        Head::Missing | Head::Foreign => Some(Event::HeadMissing {}),
    };
    bytes.into_iter().chain(head)
}

/// Whether a crash cut off the very first line.
fn is_torn_beginning(bytes: &[u8]) -> bool {
    let beginning = BEGINNING.as_bytes();
    !bytes.contains(&b'\n') && (bytes.starts_with(beginning) || beginning.starts_with(bytes))
}

/// A log is continued with the key that it was begun with.
fn check_beginning(file: &File, signer: &Signer) -> Result<()> {
    let mut first = Vec::new();
    BufReader::new(file).read_until(b'\n', &mut first)?;
    let Some(line) = first.strip_suffix(b"\n") else {
        return Ok(());
    };
    match Entry::read(line).ok().and_then(|entry| entry.public_key()) {
        None => bail!(
            "its first line is no beginning of an audit log; `twintap audit verify` says more"
        ),
        Some(key) if key != signer.public_key() => bail!(
            "it was begun with the key {key}, and the key file has {}; keep the log and its head file elsewhere to begin another",
            signer.public_key()
        ),
        Some(_) => Ok(()),
    }
}
