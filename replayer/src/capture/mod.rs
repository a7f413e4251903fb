//! One capture on its way into the archive: segments, exchanges, scrubbing, storage.
//!
//! Live traffic and capture files take this same way.

mod opaque;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use opaque::{OpaqueChunk, OpaqueFlows};
use twintap_archive::{Archive, BodyWriter, FlowMark};
use twintap_scrub::{ExchangeScrubber, Scrubber};
use twintap_stream::{
    CommandExchange, Direction, Endpoints, Event, EventKind, Exchange, ExchangeId, FlowId, Limits,
    PartKind, Segment, StoreLedger, Streams, Timestamp,
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
    node: Arc<str>,
    boot: u64,
    /// What the lives of the daemon before this one had accounted for, and what this one discarded.
    base: StoreLedger,
    stored: u64,
    opaque_stored: u64,
    gaps: Gaps,
    seen: Option<(Timestamp, Timestamp)>,
    /// Ends and next exchange of flows that are not closed.
    flows: HashMap<FlowId, (Endpoints, u32)>,
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
            node,
            boot,
            base,
            stored: 0,
            opaque_stored: 0,
            gaps: Gaps::default(),
            seen: None,
            flows: HashMap::new(),
            closed: Vec::new(),
        }
    }

    /// Goes on with a flow of an earlier life, from its committed mark.
    pub fn resume_flow(&mut self, mark: &FlowMark) {
        self.flows
            .insert(mark.flow, (mark.endpoints, mark.next_index));
        self.streams
            .resume_flow(mark.flow, mark.endpoints, mark.watermark, mark.next_index);
    }

    /// From where each live flow would go on after a restart.
    pub fn flow_marks(&self) -> impl Iterator<Item = FlowMark> + '_ {
        self.streams
            .watermarks()
            .map(|(flow, endpoints, watermark, next_index)| FlowMark {
                flow,
                endpoints,
                watermark,
                next_index,
            })
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
        ledger.pending += open;
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
                self.building(exchange, archive).scrub.request_head(&head);
            }
            EventKind::ResponseHead { exchange, head, .. } => {
                self.building(exchange, archive).scrub.response_head(&head);
            }
            EventKind::Body {
                exchange,
                direction,
                chunk,
                ..
            } => {
                let building = self.building(exchange, archive);
                if let Some(clean) = building.scrub.body(direction, chunk) {
                    archive.write_body(building.body(direction), clean)?;
                }
            }
            EventKind::Exchange(exchange) => self.store(*exchange, archive)?,
            EventKind::Command(exchange) => self.discard(&exchange),
            EventKind::Part(part) => self.pass_part(part.kind),
            EventKind::CommandData { .. } | EventKind::SocketData { .. } => {}
            EventKind::Gap { bytes, .. } => {
                self.gaps.count += 1;
                self.gaps.bytes += bytes;
            }
            EventKind::FlowOpened { endpoints, .. } => {
                self.flows.insert(event.flow, (endpoints, 0));
            }
            EventKind::FlowClosed { watermark, .. } => {
                if self.opaque.close(event.flow, archive)? {
                    self.opaque_stored += 1;
                }
                if let Some((endpoints, next_index)) = self.flows.remove(&event.flow) {
                    self.closed.push(FlowMark {
                        flow: event.flow,
                        endpoints,
                        watermark,
                        next_index,
                    });
                }
            }
            EventKind::Opaque {
                direction,
                offset,
                chunk,
                time,
            } => {
                let Some(&(endpoints, _)) = self.flows.get(&event.flow) else {
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

    fn building(&mut self, id: ExchangeId, archive: &mut Archive) -> &mut Building {
        let scrubber = &self.scrubber;
        self.building.entry(id).or_insert_with(|| Building {
            scrub: scrubber.exchange(),
            request_body: archive.begin_body(),
            response_body: archive.begin_body(),
        })
    }

    /// Counts an exchange that the archive has no form for yet.
    fn discard(&mut self, exchange: &CommandExchange) {
        if let Some((_, next_index)) = self.flows.get_mut(&exchange.id.flow) {
            *next_index = exchange.index_in_flow + 1;
        }
        let cause = format!("{}_not_stored", exchange.protocol.name());
        self.base.discard_exchange(&cause);
    }

    /// Counts a message of a WebSocket as an exchange that the archive has no form for yet. The
    /// bytes of other parts are stored with the body that they are part of.
    fn pass_part(&mut self, kind: PartKind) {
        if matches!(kind, PartKind::SocketText | PartKind::SocketBinary) {
            self.base.rebuilt += 1;
            self.base.discard_exchange("websocket_message_not_stored");
        }
    }

    fn store(&mut self, exchange: Exchange, archive: &mut Archive) -> Result<()> {
        if let Some((_, next_index)) = self.flows.get_mut(&exchange.id.flow) {
            *next_index = exchange.index_in_flow + 1;
        }
        self.building(exchange.id.clone(), archive);
        let Some(mut building) = self.building.remove(&exchange.id) else {
            unreachable!("entered on the line above");
        };
        let finished = building.scrub.finish(exchange);
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
