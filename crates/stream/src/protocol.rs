//! The protocols that flows are probed for. A protocol is one folder and one line here.

use crate::event::Watermark;
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

/// All protocols, in the order in which they are asked.
pub(crate) const PROTOCOLS: &[Protocol] = &[crate::http1::PROTOCOL];

/// What a protocol says of the first bytes of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Certain,
    /// More bytes are needed.
    Unsure,
    NotMine,
}

/// One protocol.
pub(crate) struct Protocol {
    /// Judges bytes where a segment starts; `begins` when they are the first of a direction
    /// whose begin was seen.
    pub probe: fn(Direction, bytes: &[u8], begins: bool) -> Claim,
    /// Makes a parser for a flow that is claimed, with up to where each direction was passed
    /// over before; `is_lost` when those places need not be where a message starts.
    pub start: fn(from: Watermark, is_lost: bool, first_index: u32) -> Box<dyn Parser>,
}

/// The parser of one flow. It takes the bytes of each direction in order, and accounts for each
/// of them with the sink, or still holds it.
pub(crate) trait Parser: std::fmt::Debug + Send {
    /// The next bytes of a direction.
    fn piece(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>);
    /// The next bytes of a direction are missing.
    fn gap(&mut self, direction: Direction, offset: u64, bytes: u64, sink: &mut Sink<'_>);
    /// A direction ended, by its sender's will.
    fn end(&mut self, direction: Direction, sink: &mut Sink<'_>);
    /// The flow is over: everything held is emitted or discarded.
    fn close(&mut self, now: Timestamp, cause: &'static str, sink: &mut Sink<'_>);
    /// Bytes held.
    fn held_bytes(&self) -> u64;
    /// Exchanges begun and not emitted.
    fn pending_exchanges(&self) -> u64;
    /// Where parsing would resume without loss or repetition.
    fn watermark(&self) -> Watermark;
    /// The index of the next exchange to be emitted.
    fn next_index(&self) -> u32;
}

/// Asks all protocols.
pub(crate) fn probe(
    direction: Direction,
    bytes: &[u8],
    begins: bool,
) -> (Claim, Option<&'static Protocol>) {
    let mut unsure = false;
    for protocol in PROTOCOLS {
        match (protocol.probe)(direction, bytes, begins) {
            Claim::Certain => return (Claim::Certain, Some(protocol)),
            Claim::Unsure => unsure = true,
            Claim::NotMine => {}
        }
    }
    match unsure {
        true => (Claim::Unsure, None),
        false => (Claim::NotMine, None),
    }
}
