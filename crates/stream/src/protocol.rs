//! The protocols that flows are probed for. A protocol is one folder and one line here.

use crate::detect::Reader;
use crate::event::{EventKind, Watermark};
use crate::id::ExchangeId;
use crate::message::{Exchange, RequestHead, ResponseHead};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

/// All protocols, in the order in which they are asked.
pub(crate) const PROTOCOLS: &[Protocol] = &[
    crate::http1::PROTOCOL,
    crate::http2::PROTOCOL,
    crate::websocket::PROTOCOL,
    crate::postgres::PROTOCOL,
    crate::mysql::PROTOCOL,
    crate::redis::PROTOCOL,
];

/// One protocol: how connections come to speak it.
pub(crate) struct Protocol {
    /// Finds it in the bytes of flows; None where none begins with it.
    pub opening: Option<Opening>,
    /// Takes over a connection that HTTP/1 switched to it; None where none is.
    pub upgrade: Option<Upgrade>,
}

type Upgrade = fn(&Switch<'_>) -> Option<Box<dyn Parser>>;
type ProbeBoth = fn(client: &[u8], server: &[u8]) -> Claim;

/// How a protocol is found in the bytes of a flow, and what reads it then.
pub(crate) struct Opening {
    /// Judges bytes where a segment starts; `begins` when they are the first of a direction
    /// whose begin was seen.
    pub probe: fn(Direction, bytes: &[u8], begins: bool) -> Claim,
    /// Judges what the client began with and what the server answered, where neither alone gives
    /// the protocol away.
    pub probe_both: Option<ProbeBoth>,
    /// Makes a parser for a flow that is claimed.
    pub start: fn(Start) -> Box<dyn Parser>,
}

/// What a protocol says of the first bytes of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Certain,
    /// More bytes are needed.
    Unsure,
    NotMine,
}

/// What all protocols say of bytes.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    Claimed(&'static Opening),
    /// More bytes are needed.
    Unsure,
    Nobodys,
}

/// Where a parser begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// Up to where each direction was passed over before.
    pub from: Watermark,
    /// True where that place need not be where a message starts.
    pub client_is_lost: bool,
    pub server_is_lost: bool,
    /// True where bytes before that place are missing that the flow had.
    pub has_gap: bool,
    /// The connection begins there, where it isn't lost.
    pub begins: bool,
    /// The index of the first exchange.
    pub first_index: u32,
}

/// An HTTP/1 exchange after which the connection speaks something else: 101 (RFC 9110,
/// section 7.8), or 2xx to CONNECT (section 9.3.6).
pub(crate) struct Switch<'a> {
    pub exchange: &'a ExchangeId,
    /// Absent when it was lost.
    pub request: Option<&'a RequestHead>,
    pub response: &'a ResponseHead,
    /// Where the response begins, interim ones included.
    pub response_start: u64,
    /// Where both directions go on.
    pub from: Watermark,
    pub first_index: u32,
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
    /// Bytes of memory that its state takes beside what is held: tables, windows of inflaters.
    fn state_bytes(&self) -> u64 {
        0
    }
    /// True while it waits for the exchange that made it the successor, which it will emit.
    fn adopts(&self) -> bool {
        false
    }
    /// Takes the exchange that it waits for.
    fn adopt(&mut self, exchange: Box<Exchange>, sink: &mut Sink<'_>) {
        sink.event(EventKind::Exchange(exchange));
    }
}

/// What reads a connection after a switch: the protocol that it was switched to. In the tunnel of a
/// proxy it is whichever the bytes turn out to be.
pub(crate) fn successor(switch: &Switch<'_>) -> Box<dyn Parser> {
    let mut upgrades = PROTOCOLS.iter().filter_map(|protocol| protocol.upgrade);
    let named = upgrades.find_map(|upgrade| upgrade(switch));
    named.unwrap_or_else(|| {
        let reader = match switch.response.status {
            101 => Reader::unreadable,
            _ => Reader::inside,
        };
        Box::new(reader(switch.from, switch.first_index))
    })
}

fn openings() -> impl Iterator<Item = &'static Opening> {
    PROTOCOLS
        .iter()
        .filter_map(|protocol| protocol.opening.as_ref())
}

/// Asks all protocols.
pub(crate) fn probe(direction: Direction, bytes: &[u8], begins: bool) -> Verdict {
    let mut verdict = Verdict::Nobodys;
    for opening in openings() {
        match (opening.probe)(direction, bytes, begins) {
            Claim::Certain => return Verdict::Claimed(opening),
            Claim::Unsure => verdict = Verdict::Unsure,
            Claim::NotMine => {}
        }
    }
    verdict
}

/// Asks what both directions together are, where neither is certain.
pub(crate) fn probe_both(client: &[u8], server: &[u8]) -> Option<&'static Opening> {
    openings().find(|opening| {
        opening
            .probe_both
            .is_some_and(|probe| probe(client, server) == Claim::Certain)
    })
}
