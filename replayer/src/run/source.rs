//! The archive's requests, for firing.

use std::sync::Arc;

use bytes::Bytes;
use twintap_archive::{Reader, StoredExchange};
use twintap_plan::{Plan, Within};
use twintap_scrub::split_messages;
use twintap_stream::RequestHead;
use twintap_stream::message::MessageState;

use super::renew::Renewal;
use super::shelf::Shelf;
use crate::fire::websocket::{Script, fresh_key};
use crate::fire::{Recorded, RequestSource};

/// Reads a plan's requests from the archive.
pub struct ArchiveSource<'a> {
    plan: &'a Plan,
    reader: &'a Reader,
    shelf: Shelf<'a>,
    max_body_bytes: u64,
    speed: f64,
    renewal: Renewal,
}

/// The round trip of a client whose handshake was not seen.
const ROUND_TRIP_NS: u64 = 1_000_000;

impl<'a> ArchiveSource<'a> {
    /// Request bodies of more than `max_body_bytes` are not fired. What is said over
    /// WebSockets goes by `speed`, as the plan does.
    pub fn new(
        plan: &'a Plan,
        reader: &'a Reader,
        held_bytes: usize,
        max_body_bytes: u64,
        speed: f64,
        renewal: Renewal,
    ) -> ArchiveSource<'a> {
        ArchiveSource {
            plan,
            reader,
            shelf: Shelf::new(reader, held_bytes),
            max_body_bytes,
            speed,
            renewal,
        }
    }
}

impl RequestSource for ArchiveSource<'_> {
    fn load(&mut self, position: u32) -> Result<Recorded, String> {
        let stored = self
            .shelf
            .take(&self.plan.requests[position as usize].exchange)?;
        let within = &self.plan.requests[position as usize].within;
        let mut recorded = recorded(
            &stored,
            self.reader,
            self.max_body_bytes,
            within,
            self.speed,
        )?;
        // What is said over a WebSocket is written as it was.
        if recorded.script.is_none() {
            recorded.edits = self
                .renewal
                .edits(position, &stored, &recorded.head, &recorded.body);
        }
        Ok(recorded)
    }
}

/// The request of an exchange, with its body. What a client says over a WebSocket goes by
/// `speed`, and takes values from `within` it.
///
/// # Errors
/// A text: it is not whole, too large, or can't be read.
pub fn recorded(
    stored: &StoredExchange,
    reader: &Reader,
    max_body_bytes: u64,
    within: &[Within],
    speed: f64,
) -> Result<Recorded, String> {
    let request = &stored.exchange().request;
    let mut head = match &request.head {
        Some(head) if request.state == MessageState::Complete => head.clone(),
        _ => return Err("the request was not seen whole".to_owned()),
    };
    let body = reader
        .read_body(&stored.request_body, max_body_bytes)
        .map_err(|error| error.to_string())?;
    let script = stored.exchange().is_conversation().then(|| {
        let key = renew_key(&mut head);
        let script = script(stored, &body, within, speed);
        Arc::new(Script { key, ..script })
    });
    let timeline = stored.record.request.timeline.clone();
    Ok(Recorded {
        head,
        framing: request.framing,
        chunks: timeline.chunk_sizes(body.len() as u64),
        timeline,
        script,
        body,
        trailers: request.trailers.clone(),
        edits: Vec::new(),
    })
}

/// What the client of a WebSocket said.
fn script(stored: &StoredExchange, body: &Bytes, within: &[Within], speed: f64) -> Script {
    let (exchange, record) = (stored.exchange(), &stored.record);
    let said = split_messages(body, &record.request.timeline);
    let mut heard = split_messages(&Bytes::new(), &record.response.timeline);
    let (request, response) = (&exchange.request, &exchange.response);
    let ahead_ns = response.first_byte.since_ns(request.first_byte);
    for message in &mut heard {
        message.after_ns = message.after_ns.saturating_add(ahead_ns);
    }
    let round_trip_ns = exchange.round_trip_ns.unwrap_or(ROUND_TRIP_NS);
    let mut script = Script::new(said, &heard, round_trip_ns, speed);
    for value in within {
        let (start, len) = (u64::from(value.start), value.len as usize);
        script.add_use(start, len, value.encoding, &value.producer_path);
    }
    script
}

/// Gives the handshake of a WebSocket a key that a server takes.
fn renew_key(head: &mut RequestHead) -> Bytes {
    let mut fields = head.fields.iter_mut();
    match fields.find(|field| field.is("sec-websocket-key")) {
        Some(field) => {
            field.value = fresh_key(&field.value);
            field.value.clone()
        }
        None => Bytes::new(),
    }
}
