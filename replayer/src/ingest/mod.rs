//! Frames of agents to the archive, and the marks that go back.
//!
//! [`service`] speaks gRPC and decodes; [`keeper`] is the one thread that owns
//! the archive and all captures; [`frames`] turns records into segments.

pub mod frames;
pub mod keeper;
pub mod ranges;
pub mod service;

pub use keeper::{Keeper, KeeperHandle, KeeperOptions, Overview};
pub use service::IngestService;
