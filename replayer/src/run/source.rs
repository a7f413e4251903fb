//! The archive's requests, for firing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use twintap_archive::reader::Block;
use twintap_archive::{Reader, StoredBody, StoredExchange, StoredRequest};
use twintap_plan::{Plan, Within};
use twintap_scrub::{Timeline, split_messages};
use twintap_stream::message::{Framing, MessageState};
use twintap_stream::{ExchangeId, Message, RequestHead};

use super::renew::{Renewal, Repeat};
use super::shelf::{Shelf, Wanted};
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
    /// Takes requests off `shelf`. Request bodies of more than `max_body_bytes` are not fired. What is said over
    /// WebSockets goes by `speed`, as the plan does.
    pub fn new(
        plan: &'a Plan,
        reader: &'a Reader,
        shelf: Shelf<'a>,
        max_body_bytes: u64,
        speed: f64,
        renewal: Renewal,
    ) -> ArchiveSource<'a> {
        ArchiveSource {
            plan,
            reader,
            shelf,
            max_body_bytes,
            speed,
            renewal,
        }
    }
}

impl RequestSource for ArchiveSource<'_> {
    fn load(&mut self, position: u32) -> Result<Recorded, String> {
        let planned = &self.plan.requests[position as usize];
        let (reader, limit) = (self.reader, self.max_body_bytes);
        let repeat = Repeat {
            position,
            copy: planned.copy,
            later: Duration::ZERO,
        };
        if !self.renewal.needs_leaves() {
            return match self.shelf.take(&planned.exchange)? {
                Sent::Request(request) => {
                    let StoredRequest {
                        request,
                        timeline,
                        body,
                        ..
                    } = request;
                    let mut sent = sent(request, timeline, &body, reader, limit)?;
                    sent.edits = self.renewal.edits(repeat, &[], &sent.head, &sent.body);
                    Ok(sent)
                }
                Sent::Conversation(stored) => {
                    recorded(&stored, reader, limit, &planned.within, self.speed)
                }
            };
        }
        let stored: StoredExchange = self.shelf.take(&planned.exchange)?;
        let mut recorded = recorded(&stored, reader, limit, &planned.within, self.speed)?;
        // What is said over a WebSocket is written as it was.
        if recorded.script.is_none() {
            let leaves = &stored.record.request.leaves;
            recorded.edits = self
                .renewal
                .edits(repeat, leaves, &recorded.head, &recorded.body);
        }
        Ok(recorded)
    }
}

/// As much of an exchange as is needed to send its request.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and the large one is the usual one"
)]
enum Sent {
    Request(StoredRequest),
    /// When the client of a WebSocket speaks goes by what it heard.
    Conversation(Box<StoredExchange>),
}

impl Wanted for Sent {
    fn decode(block: &Block, place: usize) -> twintap_archive::Result<Sent> {
        let request = block.request(place)?;
        Ok(if request.request.framing == Framing::Socket {
            Sent::Conversation(Box::new(block.get(place)?))
        } else {
            Sent::Request(request)
        })
    }

    fn id(&self) -> &ExchangeId {
        match self {
            Sent::Request(request) => &request.id,
            Sent::Conversation(stored) => stored.id(),
        }
    }
}

impl From<StoredExchange> for Sent {
    fn from(stored: StoredExchange) -> Sent {
        if stored.exchange().is_conversation() {
            Sent::Conversation(Box::new(stored))
        } else {
            Sent::Request(stored.into())
        }
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
    let (exchange, note) = (stored.exchange(), &stored.record.request);
    let mut recorded = sent(
        exchange.request.clone(),
        note.timeline.clone(),
        &stored.request_body,
        reader,
        max_body_bytes,
    )?;
    if exchange.is_conversation() {
        let key = renew_key(&mut recorded.head);
        let script = script(stored, &recorded.body, within, speed);
        recorded.script = Some(Arc::new(Script { key, ..script }));
    }
    Ok(recorded)
}

/// A request with its body, without what follows it.
fn sent(
    request: Message<RequestHead>,
    timeline: Timeline,
    body: &StoredBody,
    reader: &Reader,
    max_body_bytes: u64,
) -> Result<Recorded, String> {
    let head = match request.head {
        Some(head) if request.state == MessageState::Complete => head,
        _ => return Err("the request was not seen whole".to_owned()),
    };
    let body = reader
        .read_body(body, max_body_bytes)
        .map_err(|error| error.to_string())?;
    Ok(Recorded {
        head,
        framing: request.framing,
        chunks: timeline.chunk_sizes(body.len() as u64),
        timeline,
        script: None,
        body,
        trailers: request.trailers,
        omitted: Vec::new(),
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
