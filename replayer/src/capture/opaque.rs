//! Flows that no parser claimed, where the policy keeps them: the bytes of each
//! direction, stored as one exchange when the flow closes.
//!
//! Their bytes are accounted for as they come, so that an open flow holds no
//! frame back; what a crash of the daemon cuts off is not stored.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::Result;
use bytes::Bytes;
use twintap_archive::{Archive, BodyWriter};
use twintap_scrub::{ExchangeScrubber, Scrubber};
use twintap_stream::message::{Framing, Message, MessageState, Protocol};
use twintap_stream::{Direction, Endpoints, Exchange, ExchangeId, FlowId, Timestamp};

/// Opaque flows that are open.
#[derive(Default)]
pub(super) struct OpaqueFlows {
    open: HashMap<FlowId, OpaqueFlow>,
}

struct OpaqueFlow {
    scrub: ExchangeScrubber,
    exchange: Exchange,
    request_body: BodyWriter,
    response_body: BodyWriter,
}

/// A piece of one direction.
pub(super) struct OpaqueChunk {
    /// What the exchange is called if this is the flow's first opaque chunk.
    pub id: ExchangeId,
    pub endpoints: Endpoints,
    pub direction: Direction,
    pub offset: u64,
    pub bytes: Bytes,
    pub time: Timestamp,
}

impl OpaqueFlows {
    /// How many are open: exchanges that are pending.
    pub fn len(&self) -> u64 {
        self.open.len() as u64
    }

    /// Takes bytes of a flow; nothing where the policy keeps none.
    pub fn take(
        &mut self,
        chunk: OpaqueChunk,
        scrubber: &Scrubber,
        archive: &mut Archive,
    ) -> Result<()> {
        let flow = match self.open.entry(chunk.id.flow) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                let Some(scrub) = scrubber.opaque() else {
                    return Ok(());
                };
                vacant.insert(OpaqueFlow {
                    scrub,
                    exchange: exchange(chunk.id, chunk.endpoints),
                    request_body: archive.begin_body(),
                    response_body: archive.begin_body(),
                })
            }
        };
        let bytes = chunk.bytes.len() as u64;
        let body = match chunk.direction {
            Direction::Client => {
                extend(&mut flow.exchange.request, chunk.offset, bytes, chunk.time);
                &mut flow.request_body
            }
            Direction::Server => {
                extend(&mut flow.exchange.response, chunk.offset, bytes, chunk.time);
                &mut flow.response_body
            }
        };
        if let Some(clean) = flow.scrub.body(chunk.direction, chunk.bytes) {
            archive.write_body(body, clean)?;
        }
        Ok(())
    }

    /// Stores the flow; true when there was something of it.
    pub fn close(&mut self, id: FlowId, archive: &mut Archive) -> Result<bool> {
        let Some(flow) = self.open.remove(&id) else {
            return Ok(false);
        };
        let finished = flow.scrub.finish(flow.exchange);
        archive.store(finished.record, flow.request_body, flow.response_body)?;
        Ok(true)
    }
}

fn exchange(id: ExchangeId, endpoints: Endpoints) -> Exchange {
    Exchange {
        id,
        protocol: Protocol::Opaque,
        endpoints,
        ..Exchange::of_no_flow(Message::default(), Message::default())
    }
}

/// One more chunk of a direction. Nobody knows where its messages end, so it is
/// never complete.
fn extend<H>(message: &mut Message<H>, offset: u64, bytes: u64, time: Timestamp) {
    if message.state == MessageState::Absent {
        message.state = MessageState::Incomplete;
        message.framing = Framing::Close;
        message.first_byte = time;
        message.offset = offset;
    }
    message.last_byte = message.last_byte.max(time);
    message.body_bytes += bytes;
}
