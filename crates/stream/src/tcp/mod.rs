//! Reassembly: from segments to the bytes of each direction, in order, with gaps named.
//!
//! What is done about each shape that traffic has; `tests/reassembly` has a test for each.
//!
//! - **Seen again**: bytes seen first win, whether they still wait or were handed on. Those that
//!   come again are duplicate. A disagreement is counted, for bytes handed on as far as they are
//!   remembered: the last 32 of a direction.
//! - **Out of order**: waits as long as memory allows. A hole is a gap when the receiver
//!   acknowledged it (it was lost for the capture alone) and some time or some segments have
//!   passed, or when nobody acknowledged it for long.
//! - **Refused**: where the receiver goes on to acknowledge no more than what is before a hole, the
//!   bytes beyond never reached it, and are dropped in the end. They are late duplicates of an
//!   earlier connection, forged, or lost on the way.
//! - **Begin**: a SYN, or the first bytes of a direction. A second SYN-ACK with another number
//!   replaces the first. Data on SYN and SYN-ACK counts. SYNs that cross are one connection.
//! - **Same ends again**: a SYN begins a new flow where the old one is over or reset; inside a live
//!   flow when it is answered or continued.
//! - **End**: FIN, at the offset where it stands. A FIN that later bytes contradict is void, but for
//!   bytes that the receiver refused. What follows an end that was reached is discarded.
//! - **RST**: counts when it stands where its sender's bytes end (RFC 5961); the flow lingers for
//!   bytes that are under way, and goes on where its sender does. What it carries is no data.
//! - **Probes**: of keep-alive, none or one byte before the next: duplicate. Of a closed window, the
//!   next byte: data, which its retransmission repeats.
//! - **Urgent** bytes are bytes of the stream (RFC 6093).
//! - **Wrap-around**: sequence numbers are read as the offset nearest to what was seen, so a stream
//!   may be longer than 4 GiB.
//! - **One direction alone**: acknowledgements tell what the other one said; it is a gap.

pub(crate) mod half;
pub(crate) mod handshake;

pub(crate) use half::{Half, Overdue, Piece};
pub(crate) use handshake::Handshake;
