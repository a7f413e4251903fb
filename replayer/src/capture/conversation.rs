//! WebSockets: what both sides said, stored with the exchange that opened it when it is over.
//!
//! Its bytes are accounted for as they come, so that an open WebSocket, which may
//! last for days, holds no frame back. One that a restart of the daemon cuts off is
//! counted, by the mark of its flow.

use std::collections::HashMap;

use anyhow::Result;
use bytes::Bytes;
use twintap_archive::Archive;
use twintap_stream::event::CloseReason;
use twintap_stream::message::{Framing, Message, MessageState};
use twintap_stream::{Direction, Exchange, FlowId, Part, Timestamp};

use super::Building;

/// The cause for which a WebSocket is discarded that was open when the daemon ended.
pub(super) const CUT_BY_RESTART: &str = "websocket_cut_by_restart";

/// WebSockets that are open, by their flows.
#[derive(Default)]
pub(super) struct Conversations {
    open: HashMap<FlowId, Conversation>,
}

struct Conversation {
    building: Building,
    exchange: Exchange,
    /// Some of it was not seen.
    is_damaged: bool,
}

impl Conversations {
    /// How many are open: exchanges that are pending.
    pub fn len(&self) -> u64 {
        self.open.len() as u64
    }

    /// True when the flow is an open WebSocket.
    pub fn is_open(&self, flow: FlowId) -> bool {
        self.open.contains_key(&flow)
    }

    /// Takes the exchange that opened a WebSocket.
    pub fn open(&mut self, exchange: Exchange, building: Building) {
        let conversation = Conversation {
            building,
            exchange,
            is_damaged: false,
        };
        self.open
            .insert(conversation.exchange.id.flow, conversation);
    }

    /// Takes payload of a message.
    pub fn data(
        &mut self,
        flow: FlowId,
        direction: Direction,
        part: u32,
        chunk: Bytes,
        fragment_end: Option<Timestamp>,
    ) {
        if let Some(conversation) = self.open.get_mut(&flow) {
            let scrub = &mut conversation.building.scrub;
            scrub.socket_data(direction, part, chunk, fragment_end);
        }
    }

    /// Takes the end of a message.
    pub fn part(&mut self, part: &Part, archive: &mut Archive) -> Result<()> {
        let Some(conversation) = self.open.get_mut(&part.exchange.flow) else {
            return Ok(());
        };
        conversation.is_damaged |= part.state != MessageState::Complete;
        let exchange = &mut conversation.exchange;
        match part.direction {
            Direction::Client => extend(&mut exchange.request, part),
            Direction::Server => extend(&mut exchange.response, part),
        }
        let building = &mut conversation.building;
        if let Some(clean) = building.scrub.socket_part(part) {
            archive.write_body(building.body(part.direction), clean)?;
        }
        Ok(())
    }

    /// Bytes of the flow are missing.
    pub fn gap(&mut self, flow: FlowId) {
        if let Some(conversation) = self.open.get_mut(&flow) {
            conversation.is_damaged = true;
        }
    }

    /// The flow is over: the exchange is to be stored.
    pub fn close(&mut self, flow: FlowId, reason: CloseReason) -> Option<(Exchange, Building)> {
        let Conversation {
            building,
            mut exchange,
            is_damaged,
        } = self.open.remove(&flow)?;
        let is_over = matches!(
            reason,
            CloseReason::Finished | CloseReason::Reset | CloseReason::Closed
        );
        seal(&mut exchange.request, is_over, is_damaged);
        seal(&mut exchange.response, is_over, is_damaged);
        Some((exchange, building))
    }
}

/// One more message of a side.
fn extend<H>(side: &mut Message<H>, part: &Part) {
    side.body_bytes += part.bytes;
    side.last_byte = side.last_byte.max(part.last_byte);
}

fn seal<H>(side: &mut Message<H>, is_over: bool, is_damaged: bool) {
    side.framing = Framing::Socket;
    if !is_over {
        side.flags.push("websocket_open".to_owned());
    }
    if (is_damaged || !is_over) && side.state == MessageState::Complete {
        side.state = MessageState::Incomplete;
    }
}
