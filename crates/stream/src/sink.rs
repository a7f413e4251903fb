//! Where parsers put what they found: events, and the books of the ledger.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::event::{Event, EventKind};
use crate::id::{ExchangeId, FlowId};
use crate::limits::Limits;
use crate::message::{Exchange, Message, Protocol};
use crate::segment::{Direction, Endpoints};
use crate::tcp::Piece;
use crate::time::Timestamp;

/// Sums over all flows since the start. What is pending is not here: it is measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub delivered: u64,
    pub message: u64,
    pub framing: u64,
    pub duplicate: u64,
    pub opaque: u64,
    pub discarded: BTreeMap<&'static str, u64>,
    /// Exchanges in the event queue.
    pub queued_exchanges: u64,
    /// Exchanges that the caller took.
    pub emitted_exchanges: u64,
    pub counts: Counts,
}

/// What happened that the ledger doesn't show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Overlaps whose bytes disagreed with those seen first, which won. Of bytes already handed
    /// on, the last 32 of each direction can be compared.
    pub conflicting_overlaps: u64,
    /// RSTs outside the window, or contradicted by later data of their sender.
    pub ignored_resets: u64,
    /// FINs contradicted by later data of their sender.
    pub ignored_fins: u64,
    /// SYNs inside a live flow that nobody answered.
    pub ignored_syns: u64,
    /// Gaps declared.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// Flows evicted for memory.
    pub evicted_flows: u64,
    /// Segments without payload or SYN that belong to no known flow.
    pub stray_segments: u64,
}

impl Books {
    pub fn discard(&mut self, cause: &'static str, bytes: u64) {
        if bytes > 0 {
            *self.discarded.entry(cause).or_default() += bytes;
        }
    }
}

/// What a parser may know of its flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowFacts {
    pub id: FlowId,
    pub endpoints: Endpoints,
    pub round_trip_ns: Option<u64>,
    pub before_capture: bool,
}

/// The way out for one flow during one call.
pub(crate) struct Sink<'a> {
    pub facts: FlowFacts,
    /// The latest time that was heard of; a segment's own may lie before it.
    pub now: Timestamp,
    pub limits: &'a Limits,
    pub node: &'a Arc<str>,
    pub boot: u64,
    pub events: &'a mut VecDeque<Event>,
    pub books: &'a mut Books,
}

impl Sink<'_> {
    pub fn event(&mut self, kind: EventKind) {
        if kind.is_exchange() {
            self.books.queued_exchanges += 1;
        }
        self.events.push_back(Event {
            flow: self.facts.id,
            kind,
        });
    }

    pub fn exchange_id(&self, offset: u64, from_response: bool) -> ExchangeId {
        ExchangeId {
            node: Arc::clone(self.node),
            boot: self.boot,
            flow: self.facts.id,
            offset,
            from_response,
        }
    }

    /// An exchange of this flow, as it leaves.
    pub fn exchange<Q, S>(
        &self,
        protocol: Protocol,
        id: ExchangeId,
        index_in_flow: u32,
        request: Message<Q>,
        response: Message<S>,
    ) -> Exchange<Q, S> {
        Exchange {
            id,
            protocol,
            endpoints: self.facts.endpoints,
            round_trip_ns: self.facts.round_trip_ns,
            flow_began_before_capture: self.facts.before_capture,
            index_in_flow,
            request,
            response,
            interim: Vec::new(),
        }
    }

    pub fn message(&mut self, bytes: usize) {
        self.books.message += bytes as u64;
    }

    pub fn framing(&mut self, bytes: usize) {
        self.books.framing += bytes as u64;
    }

    pub fn discard(&mut self, cause: &'static str, bytes: usize) {
        self.books.discard(cause, bytes as u64);
    }

    pub fn opaque(&mut self, direction: Direction, piece: Piece) {
        if piece.bytes.is_empty() {
            return;
        }
        self.books.opaque += piece.bytes.len() as u64;
        if self.limits.emit_opaque {
            self.event(EventKind::Opaque {
                direction,
                offset: piece.offset,
                chunk: piece.bytes,
                time: piece.time,
            });
        }
    }
}
