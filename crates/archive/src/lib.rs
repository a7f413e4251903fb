//! Scrubbed exchanges in immutable parts of zstd blocks.
//!
//! An [`Archive`] writes, a [`Reader`] reads beside it without a lock. The
//! format and its guarantees are in `docs/archive-format.md`: what
//! [`Archive::commit`] acknowledged is there after a crash, exactly once, and
//! together with its [`Checkpoint`].

#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod error;
pub mod options;
pub mod reader;
pub mod storage;

mod body;
mod format;
mod index;
mod part;
mod recovery;
mod run;
mod scan;
mod sealed;
mod stored;
mod view;
mod writer;

pub use body::BodyWriter;
pub use checkpoint::{Capture, CaptureSource, Checkpoint, Dropped, FlowMark, KernelLedger};
pub use error::{Damage, DamageCause, Error, Operation, Result};
pub use format::{ArchiveId, Identity};
pub use options::Options;
pub use reader::{Reader, Verified};
pub use recovery::Recovery;
pub use storage::{LocalDisk, Storage, StorageFile};
pub use stored::{BlockRef, StoredBody, StoredExchange, StoredRequest};
pub use writer::{Archive, Retention};
