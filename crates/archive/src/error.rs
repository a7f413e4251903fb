//! What can go wrong with an archive, and what to do about it.

use std::fmt;
use std::io;

use thiserror::Error;

/// The result of an operation on an archive.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with an archive.
#[derive(Debug, Error)]
pub enum Error {
    /// The storage failed. See [`Error::is_retryable`].
    #[error("archive: can't {operation} {file}: {source} ({})", advice(source))]
    Storage {
        /// The file's name in the archive's directory, or the directory.
        file: String,
        /// What was tried.
        operation: Operation,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process writes this archive.
    #[error(
        "archive {archive} has another writer; stop it, or give this one a directory of its own"
    )]
    Locked {
        /// The archive.
        archive: String,
    },
    /// There is no archive.
    #[error(
        "{archive} is no archive: it has no file archive.id; name the directory that a capture or an import wrote"
    )]
    NotAnArchive {
        /// The directory.
        archive: String,
    },
    /// There are parts without an identity.
    #[error(
        "{archive} has parts but no readable archive.id ({cause}); restore that file from a copy, or move the parts away"
    )]
    Identity {
        /// The directory.
        archive: String,
        /// What is wrong with the identity.
        cause: DamageCause,
    },
    /// A file was written by a version that this one can't read.
    #[error(
        "{file} has archive format version {found}, and this program reads version {supported}; use a matching release"
    )]
    Version {
        /// The file.
        file: String,
        /// Its major version.
        found: u16,
        /// The major version that can be read.
        supported: u16,
    },
    /// Something stored is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A part that is referred to was removed by retention.
    #[error("part {part:08} was removed by retention")]
    PartRemoved {
        /// The part's number.
        part: u64,
    },
    /// The archive takes nothing more until it is opened again.
    #[error(
        "the archive refuses to write since {cause}; open it again: what was committed is safe"
    )]
    Refusing {
        /// The failure that began it.
        cause: String,
    },
    /// One exchange is larger than a block can be; it was not taken.
    #[error("exchange {exchange} has a record of {bytes} bytes, and at most {limit} can be stored")]
    RecordTooLarge {
        /// The exchange.
        exchange: String,
        /// Bytes of its record.
        bytes: usize,
        /// What a record may have.
        limit: usize,
    },
    /// A body is larger than the caller wants.
    #[error("the body has {bytes} bytes, above the limit of {limit}")]
    BodyTooLarge {
        /// Bytes of the body.
        bytes: u64,
        /// The caller's limit.
        limit: u64,
    },
    /// A body was begun by another writer, or before the archive was opened again.
    #[error("the body was begun by another writer of the archive")]
    ForeignBody,
    /// A value can't be written as CBOR; it was not taken.
    #[error("can't encode {what}: {cause}")]
    Encode {
        /// What was to be encoded.
        what: &'static str,
        /// The encoder's reason.
        cause: String,
    },
}

impl Error {
    /// True when the same archive can go on: what was stored is held in memory,
    /// and the next call writes it.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Storage { operation, .. } => *operation != Operation::Sync,
            Error::RecordTooLarge { .. } | Error::Encode { .. } | Error::ForeignBody => true,
            _ => false,
        }
    }

    pub(crate) fn storage(
        file: &str,
        operation: Operation,
    ) -> impl FnOnce(io::Error) -> Error + use<> {
        let file = file.to_owned();
        move |source| Error::Storage {
            file,
            operation,
            source,
        }
    }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free space, or lower the archive's size cap so that its oldest parts go; what was committed is safe"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make the directory writable for this process"
        }
        io::ErrorKind::NotFound => "see that nothing else moves or removes the archive's files",
        _ => "look into the kernel's log for the disk; what was committed is safe",
    }
}

/// What was tried with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Listing the directory.
    List,
    /// Taking the writer's lock.
    Lock,
    /// Making the file.
    Create,
    /// Opening the file.
    Open,
    /// Reading from it.
    Read,
    /// Writing to it.
    Write,
    /// Cutting it.
    Truncate,
    /// Making it durable.
    Sync,
    /// Giving it its final name.
    Rename,
    /// Removing it.
    Remove,
    /// Making the directory's entries durable.
    SyncDirectory,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::List => "list",
            Operation::Lock => "lock",
            Operation::Create => "create",
            Operation::Open => "open",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Truncate => "truncate",
            Operation::Sync => "sync",
            Operation::Rename => "rename",
            Operation::Remove => "remove",
            Operation::SyncDirectory => "sync the directory for",
        })
    }
}

/// A place in a part that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("part {part:08} is damaged at offset {offset}: {cause}")]
pub struct Damage {
    /// The part's number.
    pub part: u64,
    /// Where in the file the damaged block, header or footer begins.
    pub offset: u64,
    /// What is wrong there.
    pub cause: DamageCause,
}

/// What is wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DamageCause {
    /// The file ends within it.
    #[error("cut short")]
    Truncated,
    /// Its header is not one.
    #[error("not a valid header")]
    Header,
    /// The payload's checksum does not match.
    #[error("the payload's checksum does not match")]
    PayloadChecksum,
    /// The payload can't be decompressed.
    #[error("the payload can't be decompressed")]
    Compression,
    /// Its length, or a length in it, can't be.
    #[error("a length is out of bounds")]
    Length,
    /// It has flags of a later version.
    #[error("flags {0:#04x} of a later version")]
    Flags(u8),
    /// It is a block of another kind than was referred to.
    #[error("a block of kind {0} was not expected here")]
    Kind(u8),
    /// The CBOR in it can't be read.
    #[error("its content can't be decoded: {0}")]
    Content(String),
    /// The footer is not one.
    #[error("not a valid footer")]
    Footer,
    /// The index does not describe the part.
    #[error("the index does not match the part")]
    Index,
    /// It is a part of another archive, or has another part's name.
    #[error("it belongs to another archive, or under another number; move it away")]
    Foreign,
    /// The part is missing, though parts around it are there.
    #[error("the part is missing")]
    Missing,
}
