//! Segments to flows, bytes and exchanges, without I/O, threads or a clock.
//!
//! A caller feeds [`Segment`]s with their times to a [`Streams`] and polls
//! [`Event`]s from it, after each segment: what is not polled is kept. Time is what the segments
//! say and what [`Streams::handle_timeout`] is told; [`Streams::poll_timeout`] says when it is due,
//! and [`Streams::finish`] ends a capture.
//!
//! | events | of |
//! |---|---|
//! | [`FlowOpened`], [`FlowClosed`], [`Gap`], [`Opaque`] | each flow |
//! | [`RequestHead`], [`ResponseHead`], [`Body`], [`Exchange`](EventKind::Exchange) | HTTP/1, HTTP/2 |
//! | [`CommandData`], [`Command`] | PostgreSQL, MySQL, Redis |
//! | [`SocketData`], [`Part`](EventKind::Part) | WebSockets |
//! | [`Part`](EventKind::Part), within [`Body`] | gRPC, gRPC-Web, server-sent events |
//!
//! Segments come from a kernel hook that knows their stream offsets, or from packets:
//! [`CaptureReader`] reads capture files, [`PacketDecoder`] opens link layers and tunnels. What is in
//! a body is read on demand: [`content`] undoes its codings, [`grpc`] reads its messages.
//!
//! What it holds to, whatever comes in:
//! - every byte is accounted for once, and every exchange emitted once ([`StoreLedger`]);
//! - nothing is guessed: what spans a hole is incomplete, what can't be paired says so, and what is
//!   irregular is flagged and kept as it was sent (`docs/stream-protocols.md` lists the flags);
//! - no message is ever held whole: bodies flow as chunks, and what must be held is bounded by
//!   [`Limits`];
//! - no input makes it panic, and none is an error.
//!
//! It never opens TLS, never asks for a port to tell a protocol, and reads neither a clock nor the
//! environment.
//!
//! [`FlowOpened`]: EventKind::FlowOpened
//! [`FlowClosed`]: EventKind::FlowClosed
//! [`Gap`]: EventKind::Gap
//! [`Opaque`]: EventKind::Opaque
//! [`RequestHead`]: EventKind::RequestHead
//! [`ResponseHead`]: EventKind::ResponseHead
//! [`Body`]: EventKind::Body
//! [`Command`]: EventKind::Command
//! [`CommandData`]: EventKind::CommandData
//! [`SocketData`]: EventKind::SocketData
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
pub mod dialogue;
pub mod document;
pub mod event;
mod flags;
mod flow;
pub mod grpc;
pub mod hpack;
mod http1;
mod http2;
pub mod http2_frame;
pub mod id;
pub mod ledger;
mod limits;
mod marks;
mod maybe;
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
pub mod websocket;

pub use capture_file::{CaptureFileError, CaptureReader};
pub use command::{CommandExchange, CommandHead, ReplyHead};
pub use content::{Coding, Codings, DecodeLimits, Decoder, Fault};
pub use dialogue::Dialogue;
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
