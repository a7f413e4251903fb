//! Segments to flows, bytes and exchanges, without I/O, threads or a clock.
//!
//! A caller feeds [`Segment`]s with their times to a [`Streams`] and polls
//! [`Event`]s from it. Bodies flow as chunks; no message is ever held whole.
//!
//! A capture file's exchanges:
//!
//! ```no_run
//! use std::{fs::File, sync::Arc};
//! use twintap_stream::{CaptureReader, EventKind, Limits, PacketDecoder, Streams};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut decoder = PacketDecoder::new();
//! let mut streams = Streams::new(Arc::from("node"), 1, Limits::default());
//! for packet in CaptureReader::new(File::open("traffic.pcap")?)? {
//!     let packet = packet?;
//!     streams.handle_timeout(packet.time);
//!     if let Some(segment) = decoder.decode(&packet, 0) {
//!         streams.handle_segment(segment);
//!     }
//!     while let Some(event) = streams.poll_event() {
//!         if let EventKind::Exchange(exchange) = event.kind {
//!             println!("{:?} -> {:?}", exchange.request.head, exchange.response.head);
//!         }
//!     }
//! }
//! // What is unfinished becomes events too, to be taken as above.
//! streams.finish(Default::default());
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod capture_file;
pub mod command;
pub mod content;
mod detect;
pub mod event;
mod flow;
pub mod grpc;
mod http1;
mod http2;
pub mod id;
pub mod ledger;
mod limits;
mod marks;
pub mod message;
mod mysql;
pub mod packet;
pub mod part;
mod parts;
mod postgres;
mod protocol;
mod redis;
mod roles;
pub mod segment;
mod sink;
mod streams;
mod tcp;
pub mod time;
mod websocket;

pub use capture_file::{CaptureFileError, CaptureReader};
pub use command::{CommandExchange, CommandHead, ReplyHead};
pub use content::{Coding, Codings, DecodeLimits, Decoder, Fault};
pub use event::{Event, EventKind};
pub use id::{ExchangeId, FlowId};
pub use ledger::StoreLedger;
pub use limits::Limits;
pub use message::{Exchange, Field, Message, RequestHead, ResponseHead};
pub use packet::{CapturedPacket, LinkType, PacketCounts, PacketDecoder};
pub use part::{Part, PartKind};
pub use segment::{Direction, Endpoints, Segment, Source, TcpFlags};
pub use sink::Counts;
pub use streams::Streams;
pub use time::Timestamp;
