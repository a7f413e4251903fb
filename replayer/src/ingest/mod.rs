//! Frames of agents to the archive, and the marks that go back.
//!
//! [`service`] speaks gRPC and decodes; [`keeper`] is the one thread that owns
//! the archive and all captures; [`frames`] turns records into segments;
//! [`pauses`] remembers which agents are to capture nothing.

pub mod frames;
pub mod keeper;
pub mod pauses;
pub mod ranges;
pub mod service;

pub use keeper::{AgentOverview, Keeper, KeeperHandle, KeeperOptions, Overview};
pub use service::IngestService;
