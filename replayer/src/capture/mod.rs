//! One capture on its way into the archive: segments, exchanges, scrubbing, storage.
//!
//! Live traffic and capture files take this same way.

mod before;
mod conversation;
mod opaque;
mod orders;
mod replies;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use anyhow::{Context, Result};
use before::StoredBefore;
use bytes::Bytes;
use conversation::{CUT_BY_RESTART, Conversations};
use opaque::{OpaqueChunk, OpaqueFlows};
pub use orders::OrderRules;
use orders::Orders;
use replies::Replies;
use twintap_archive::{Archive, BodyWriter, FlowMark};
use twintap_proto::v1::flow_order::Order;
use twintap_scrub::{BodyFate, ExchangeScrubber, Scrubber};
use twintap_stream::event::Watermark;
use twintap_stream::{
    CommandExchange, Direction, Endpoints, Event, EventKind, Exchange, ExchangeId, FlowId, Limits,
    Part, Segment, StoreLedger, Streams, Timestamp,
};

/// The state between the segments of one boot (or one file) and the archive.
///
/// Call [`Capture::handle_segment`] and [`Capture::handle_close`] as things
/// arrive, [`Capture::finish`] at the end of a file.
pub struct Capture {
    streams: Streams,
    scrubber: Scrubber,
    building: HashMap<ExchangeId, Building>,
    opaque: OpaqueFlows,
    conversations: Conversations,
    replies: Replies,
    node: Arc<str>,
    boot: u64,
    /// What the lives of the daemon before this one had accounted for, and what this one discarded.
    base: StoreLedger,
    stored: u64,
    opaque_stored: u64,
    gaps: Gaps,
    seen: Option<(Timestamp, Timestamp)>,
    /// Flows that are not closed.
    flows: HashMap<FlowId, KnownFlow>,
    stored_before: StoredBefore,
    orders: Orders,
    closed: Vec<FlowMark>,
}

/// Holes in the streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// How many.
    pub count: u64,
    /// Bytes known missing.
    pub bytes: u64,
}

/// What a flow's mark says of it beside its watermark.
#[derive(Clone, Copy)]
struct KnownFlow {
    endpoints: Endpoints,
    next_index: u32,
    reached: Watermark,
}

impl KnownFlow {
    fn mark(self, flow: FlowId, watermark: Watermark, is_websocket: bool) -> FlowMark {
        FlowMark {
            flow,
            endpoints: self.endpoints,
            watermark,
            next_index: self.next_index,
            reached: self.reached,
            is_websocket,
        }
    }
}

struct Building {
    scrub: ExchangeScrubber,
    request_body: BodyWriter,
    response_body: BodyWriter,
}

impl Building {
    fn body(&mut self, direction: Direction) -> &mut BodyWriter {
        match direction {
            Direction::Client => &mut self.request_body,
            Direction::Server => &mut self.response_body,
        }
    }

    /// Takes bytes of a body, and stores what may be stored at once.
    fn take(&mut self, direction: Direction, chunk: Bytes, archive: &mut Archive) -> Result<()> {
        if let Some(clean) = self.scrub.body(direction, chunk) {
            archive.write_body(self.body(direction), clean)?;
        }
        Ok(())
    }
}

impl Capture {
    /// A capture that begins now; `base` is what an earlier life accounted for.
    pub fn new(
        node: Arc<str>,
        boot: u64,
        limits: Limits,
        scrubber: Scrubber,
        base: StoreLedger,
    ) -> Capture {
        let limits = Limits {
            emit_opaque: scrubber.policy().keep_opaque(),
            ..limits
        };
        Capture {
            streams: Streams::new(node.clone(), boot, limits),
            scrubber,
            building: HashMap::new(),
            opaque: OpaqueFlows::default(),
            conversations: Conversations::default(),
            replies: Replies::default(),
            node,
            boot,
            base,
            stored: 0,
            opaque_stored: 0,
            gaps: Gaps::default(),
            seen: None,
            flows: HashMap::new(),
            stored_before: StoredBefore::default(),
            orders: Orders::default(),
            closed: Vec::new(),
        }
    }

    /// With rules by which flows get orders: see [`Capture::take_orders`].
    #[must_use]
    pub fn with_orders(mut self, rules: OrderRules) -> Capture {
        self.orders = Orders::new(rules);
        self
    }

    /// Orders for whoever captures the flows, that came of what was seen since the last call.
    pub fn take_orders(&mut self) -> Vec<(FlowId, Order)> {
        self.orders.take()
    }

    /// Goes on with a flow of an earlier life, from its committed mark.
    pub fn resume_flow(&mut self, mark: &FlowMark) {
        let known = KnownFlow {
            endpoints: mark.endpoints,
            next_index: mark.next_index,
            reached: mark.reached,
        };
        self.flows.insert(mark.flow, known);
        if mark.is_websocket {
            self.base.rebuilt += 1;
            self.base.discard_exchange(CUT_BY_RESTART);
        }
        self.stored_before.resume(mark);
        self.streams
            .resume_flow(mark.flow, mark.endpoints, mark.watermark, mark.next_index);
    }

    /// From where each live flow would go on after a restart.
    pub fn flow_marks(&self) -> impl Iterator<Item = FlowMark> + '_ {
        self.streams
            .watermarks()
            .map(|(flow, endpoints, watermark, next_index)| {
                let known = self.flows.get(&flow);
                let known = KnownFlow {
                    endpoints,
                    next_index,
                    reached: known.map_or_else(Watermark::default, |known| known.reached),
                };
                known.mark(flow, watermark, self.conversations.is_open(flow))
            })
    }

    /// Gives free what is held for the moment alone.
    pub fn rest(&mut self) {
        self.stored_before.rest();
    }

    /// The final marks of flows that closed since the last call.
    pub fn take_closed(&mut self) -> Vec<FlowMark> {
        std::mem::take(&mut self.closed)
    }

    /// The frames that unfinished exchanges still need: the first and the last of each range,
    /// sorted.
    pub fn held_marks(&self) -> Vec<(u64, u64)> {
        let mut held = Vec::new();
        self.streams
            .held_marks(&mut |first, last| held.push((first, last)));
        held.sort_unstable();
        held.dedup();
        held
    }

    /// Takes one segment. Fails only where the archive does.
    pub fn handle_segment(&mut self, segment: Segment, archive: &mut Archive) -> Result<()> {
        let time = segment.time;
        self.seen = Some(match self.seen {
            None => (time, time),
            Some((first, last)) => (first.min(time), last.max(time)),
        });
        self.streams.handle_segment(segment);
        self.drain(archive)
    }

    /// Takes the kernel's word that a flow closed, with its final stream offsets.
    pub fn handle_close(
        &mut self,
        flow: FlowId,
        time: Timestamp,
        finals: Option<(u64, u64)>,
        archive: &mut Archive,
    ) -> Result<()> {
        self.streams.handle_close(flow, time, finals);
        self.drain(archive)
    }

    /// Lets idle flows and stale holes time out.
    pub fn handle_timeout(&mut self, now: Timestamp, archive: &mut Archive) -> Result<()> {
        self.streams.handle_timeout(now);
        self.drain(archive)
    }

    /// Ends the capture: whatever is unfinished is stored as incomplete or counted.
    pub fn finish(&mut self, archive: &mut Archive) -> Result<()> {
        let now = self.seen.map(|(_, last)| last).unwrap_or_default();
        self.streams.finish(now);
        self.drain(archive)
    }

    /// The store ledger over all lives of the daemon.
    pub fn ledger(&self) -> StoreLedger {
        let mut ledger = self.streams.ledger();
        let open = self.opaque.len();
        ledger.rebuilt += self.opaque_stored + open;
        // Of WebSockets the exchange that opened each counts as rebuilt already.
        ledger.pending += open + self.conversations.len();
        ledger.stored += self.stored + self.opaque_stored;
        ledger.add(&self.base);
        ledger
    }

    /// Holes so far in this life.
    pub fn gaps(&self) -> Gaps {
        self.gaps
    }

    /// Times of the first and the last segment of this life.
    pub fn seen(&self) -> Option<(Timestamp, Timestamp)> {
        self.seen
    }

    fn drain(&mut self, archive: &mut Archive) -> Result<()> {
        while let Some(event) = self.streams.poll_event() {
            self.handle_event(event, archive)
                .context("storing an exchange")?;
        }
        Ok(())
    }

    fn handle_event(&mut self, event: Event, archive: &mut Archive) -> Result<()> {
        match event.kind {
            EventKind::RequestHead { exchange, head, .. } => {
                self.orders.request(&exchange, &head);
                if let Some(building) = self.building(exchange, archive)? {
                    building.scrub.request_head(&head);
                }
            }
            EventKind::ResponseHead { exchange, head, .. } => {
                if let Some(building) = self.building(exchange, archive)? {
                    building.scrub.response_head(&head);
                }
            }
            EventKind::Body {
                exchange,
                direction,
                chunk,
                ends_chunk,
                time,
            } => {
                if let Some(building) = self.building(exchange, archive)? {
                    building.take(direction, chunk, archive)?;
                    building.scrub.sent(direction, time, ends_chunk);
                }
            }
            EventKind::Exchange(exchange) => self.store(*exchange, archive)?,
            EventKind::Command(command) => self.store_command(*command, archive)?,
            EventKind::Part(part) => self.pass_part(&part, archive)?,
            EventKind::SocketData {
                direction,
                part,
                chunk,
                ends_fragment,
                time,
                ..
            } => {
                let fragment_end = ends_fragment.then_some(time);
                self.conversations
                    .data(event.flow, direction, part, chunk, fragment_end);
            }
            EventKind::CommandData {
                exchange,
                direction: Direction::Server,
                chunk,
                ..
            } => self.replies.data(exchange, &chunk),
            // What a command says is in its head.
            EventKind::CommandData { .. } => {}
            EventKind::Gap { bytes, .. } => {
                self.conversations.gap(event.flow);
                self.gaps.count += 1;
                self.gaps.bytes += bytes;
            }
            EventKind::FlowOpened { endpoints, .. } => {
                let known = KnownFlow {
                    endpoints,
                    next_index: 0,
                    reached: Watermark::default(),
                };
                self.flows.insert(event.flow, known);
            }
            EventKind::Unclaimed { .. } => self.orders.unclaimed(event.flow),
            EventKind::FlowClosed { watermark, reason } => {
                self.orders.close(event.flow);
                if let Some((exchange, building)) = self.conversations.close(event.flow, reason) {
                    self.put(exchange, building, archive)?;
                }
                if self.opaque.close(event.flow, archive)? {
                    self.opaque_stored += 1;
                }
                self.stored_before.close(event.flow);
                if let Some(known) = self.flows.remove(&event.flow) {
                    self.closed.push(known.mark(event.flow, watermark, false));
                }
            }
            EventKind::Opaque {
                direction,
                offset,
                chunk,
                time,
            } => {
                let Some(&KnownFlow { endpoints, .. }) = self.flows.get(&event.flow) else {
                    return Ok(());
                };
                let chunk = OpaqueChunk {
                    id: ExchangeId {
                        node: self.node.clone(),
                        boot: self.boot,
                        flow: event.flow,
                        offset,
                        from_response: direction == Direction::Server,
                    },
                    endpoints,
                    direction,
                    offset,
                    bytes: chunk,
                    time,
                };
                self.opaque.take(chunk, &self.scrubber, archive)?;
            }
        }
        Ok(())
    }

    /// What the exchange is put together in; none where it was stored before, or is never to be.
    fn building(&mut self, id: ExchangeId, archive: &mut Archive) -> Result<Option<&mut Building>> {
        if self.orders.is_protected(&id) {
            return Ok(None);
        }
        match self.building.entry(id) {
            Entry::Occupied(known) => Ok(Some(known.into_mut())),
            Entry::Vacant(vacant) => {
                if self.stored_before.is_repeat(vacant.key(), archive)? {
                    return Ok(None);
                }
                Ok(Some(vacant.insert(Building {
                    scrub: self.scrubber.exchange(),
                    request_body: archive.begin_body(),
                    response_body: archive.begin_body(),
                })))
            }
        }
    }

    /// Stores a command of a database and its reply as an exchange whose bodies say them.
    fn store_command(&mut self, command: CommandExchange, archive: &mut Archive) -> Result<()> {
        let made = self.replies.end(command);
        let exchange = made.exchange;
        if let Some(building) = self.building(exchange.id.clone(), archive)? {
            if let Some(head) = &exchange.request.head {
                building.scrub.request_head(head);
            }
            if let Some(head) = &exchange.response.head {
                building.scrub.response_head(head);
            }
            let bodies = [
                (Direction::Client, made.request, exchange.request.last_byte),
                (
                    Direction::Server,
                    made.response,
                    exchange.response.last_byte,
                ),
            ];
            for (direction, body, time) in bodies {
                if let Some(body) = body {
                    building.take(direction, body, archive)?;
                    building.scrub.sent(direction, time, false);
                }
            }
        }
        self.store(exchange, archive)
    }

    /// Notes a part of a body that is being put together, or the end of a WebSocket's message.
    fn pass_part(&mut self, part: &Part, archive: &mut Archive) -> Result<()> {
        match self.building.get_mut(&part.exchange) {
            Some(building) => building.scrub.part(part),
            None => self.conversations.part(part, archive)?,
        }
        Ok(())
    }

    fn store(&mut self, exchange: Exchange, archive: &mut Archive) -> Result<()> {
        if let Some(known) = self.flows.get_mut(&exchange.id.flow) {
            known.next_index = exchange.index_in_flow + 1;
        }
        if self.orders.end_protected(&exchange.id) {
            self.reach(&exchange.id);
            self.base.discard_exchange("protected");
            return Ok(());
        }
        self.building(exchange.id.clone(), archive)?;
        let Some(building) = self.building.remove(&exchange.id) else {
            self.reach(&exchange.id);
            self.stored_before.end(&exchange.id);
            self.base.discard_exchange("stored_before");
            return Ok(());
        };
        if exchange.opens_websocket() {
            self.conversations.open(exchange, building);
            return Ok(());
        }
        self.put(exchange, building, archive)
    }

    /// An exchange with this id is stored.
    fn reach(&mut self, id: &ExchangeId) {
        if let Some(known) = self.flows.get_mut(&id.flow) {
            let reached = match id.from_response {
                true => &mut known.reached.server,
                false => &mut known.reached.client,
            };
            *reached = id.offset.saturating_add(1).max(*reached);
        }
    }

    /// Hands an exchange that is over to the archive.
    fn put(
        &mut self,
        exchange: Exchange,
        mut building: Building,
        archive: &mut Archive,
    ) -> Result<()> {
        self.reach(&exchange.id);
        let is_conversation = exchange.is_conversation();
        let finished = building.scrub.finish(exchange);
        // What was passed on of a body before it was dropped is not kept either.
        for (note, body) in [
            (&finished.record.request, &mut building.request_body),
            (&finished.record.response, &mut building.response_body),
        ] {
            if matches!(note.body, BodyFate::Dropped(_)) && !is_conversation {
                *body = archive.begin_body();
            }
        }
        if let Some(rest) = finished.request_rest {
            archive.write_body(&mut building.request_body, rest)?;
        }
        if let Some(rest) = finished.response_rest {
            archive.write_body(&mut building.response_body, rest)?;
        }
        archive.store(
            finished.record,
            building.request_body,
            building.response_body,
        )?;
        self.stored += 1;
        Ok(())
    }
}

/// The ledger that a new life starts from: what was pending when the old one
/// ended is not accounted for, and will be delivered again.
pub fn ledger_to_resume(mut ledger: StoreLedger) -> StoreLedger {
    ledger.delivered_bytes -= ledger.pending_bytes.min(ledger.delivered_bytes);
    ledger.pending_bytes = 0;
    ledger.rebuilt -= ledger.pending.min(ledger.rebuilt);
    ledger.pending = 0;
    ledger
}
