//! Policy and exchange to scrubbed exchange: the only maker of [`Scrubbed`].
//!
//! A [`Scrubber`] goes by a [`Policy`] and a [`Key`]. It finds every value of a
//! message, allows it or puts a pseudonym or filler in its place, and notes each
//! as a [`Leaf`] with its keyed tag. What it can't read is dropped. A
//! [`SnapshotScrubber`] does likewise with what a database holds.
//!
//! No I/O: callers read policies, keys and traffic.

#![forbid(unsafe_code)]

mod body;
mod canary;
mod class;
mod command;
pub mod detect;
mod encoding;
mod extract;
mod find;
mod heads;
mod key;
pub mod leaf;
mod media;
mod names;
mod nest;
mod policy;
mod pseudonym;
pub mod record;
mod rewrite;
pub mod scrubbed;
mod scrubber;
mod second_look;
mod snapshot;
mod socket;
mod timeline;

pub use canary::{CanaryLeak, try_canaries};
pub use encoding::{decode, encode, fit, splice};
pub use extract::extract;
pub use find::events::{ServerEvent, read_events, value_in_event};
pub use key::{Key, KeyError};
pub use leaf::{Action, Encoding, Leaf, LinkTag, Part};
pub use names::words;
pub use nest::{is_framed, replace_inside, split_path, value_inside};
pub use policy::{Canaries, Glob, IdleRule, Policy, PolicyError};
pub use record::{BodyFate, ExchangeRecord, MessageNote, PolicyHash};
pub use scrubbed::Scrubbed;
pub use scrubber::{ExchangeScrubber, Finished, Scrubber};
pub use second_look::{Hit, SecondLookCounts, second_look};
pub use snapshot::sql::statement::fingerprint::fingerprint;
pub use snapshot::{SnapshotCounts, SnapshotError, SnapshotFormat, SnapshotScrubber};
pub use socket::{SocketMessage, render_messages, split_messages};
pub use timeline::{Mark, Piece, Timeline};
