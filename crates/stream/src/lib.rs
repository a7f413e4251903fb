//! Segments to flows, bytes and exchanges, without I/O, threads or a clock.
//!
//! A caller feeds [`Segment`]s with their times to a [`Streams`] and polls
//! [`Event`]s from it. Bodies flow as chunks; no message is ever held whole.

pub mod event;
pub mod id;
pub mod ledger;
pub mod message;
pub mod segment;
pub mod time;

pub use event::{Event, EventKind};
pub use id::{ExchangeId, FlowId};
pub use ledger::StoreLedger;
pub use message::{Exchange, Field, Message, RequestHead, ResponseHead};
pub use segment::{Direction, Endpoints, Segment, Source, TcpFlags};
pub use time::Timestamp;
