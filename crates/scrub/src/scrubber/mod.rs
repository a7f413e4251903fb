//! The scrubber: a policy and a key at work.

mod quarantine;

use std::sync::Arc;

use bytes::Bytes;
use twintap_stream::message::MessageState;
use twintap_stream::{
    Direction, Exchange, Message, Part, PartKind, RequestHead, ResponseHead, Timestamp,
};

use self::quarantine::{Raw, RestLeaves, Unlooked};
use crate::body::{BodyOutcome, BodyScrubber};
use crate::extract;
use crate::find::uri;
use crate::heads;
use crate::key::{Key, Keys};
use crate::leaf::{Leaf, LinkTag};
use crate::media::Media;
use crate::policy::{Keep, Policy, Route, View, Views};
use crate::pseudonym::Pseudonyms;
use crate::record::{ExchangeRecord, MessageNote, PolicyHash};
use crate::rewrite::Means;
use crate::scrubbed::Scrubbed;
use crate::second_look::{SecondLook, SecondLookCounts};
use crate::snapshot::{SnapshotFormat, SnapshotScrubber};
use crate::socket::{self, Ended, SocketMessage, SocketSide};
use crate::timeline::{Piece, Timeline};

/// Scrubs with one policy and one key. Clones share both.
#[derive(Clone)]
pub struct Scrubber(Arc<Shared>);

struct Shared {
    policy: Arc<Policy>,
    hash: PolicyHash,
    views: Views,
    pseudonyms: Pseudonyms,
    look: SecondLook,
    /// What quarantined heads go through.
    quarantine: Arc<View>,
}

/// Scrubs one exchange while it is being rebuilt.
///
/// Call order: each head before the chunks of its body, each direction's chunks
/// in stream order, [`ExchangeScrubber::finish`] once.
///
/// For each of the two bodies it holds at most the policy's `limits.body_bytes`,
/// of allowed bodies too, whose values are found when they end.
pub struct ExchangeScrubber {
    shared: Arc<Shared>,
    view: Option<Arc<View>>,
    request_media: Option<Media>,
    response_media: Option<Media>,
    request: Option<BodyScrubber>,
    response: Option<BodyScrubber>,
    /// What the client and the server of a WebSocket say.
    socket: Option<Box<[SocketSide; 2]>>,
}

/// What may be stored of an exchange, beside the chunks given out before.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exchange with its heads scrubbed.
    pub record: Scrubbed<ExchangeRecord>,
    /// The request's body, where it had to be whole to be scrubbed.
    pub request_rest: Option<Scrubbed<Bytes>>,
    /// The response's body, likewise.
    pub response_rest: Option<Scrubbed<Bytes>>,
}

impl Scrubber {
    /// A scrubber that goes by `policy`, with pseudonyms and tags of `key`.
    #[must_use]
    pub fn new(policy: Policy, key: &Key) -> Scrubber {
        let policy = Arc::new(policy);
        let prefixes = policy.prefixes.iter().cloned().map(String::from).collect();
        let views = Views::new(Arc::clone(&policy));
        let inside = Some(views.of(None));
        let quarantine = Views::new(Arc::new(Policy::quarantine()));
        Scrubber(Arc::new(Shared {
            hash: policy.hash(),
            look: SecondLook::new(policy.second_look.clone()),
            quarantine: quarantine.of(None),
            views,
            pseudonyms: Pseudonyms::new(Keys::derive(key), prefixes, inside),
            policy,
        }))
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// The hash that records carry.
    #[must_use]
    pub fn policy_hash(&self) -> &PolicyHash {
        &self.0.hash
    }

    /// What the second look did so far, of this scrubber and all its clones.
    #[must_use]
    pub fn second_look(&self) -> SecondLookCounts {
        self.0.look.counts()
    }

    /// Begins an exchange.
    #[must_use]
    pub fn exchange(&self) -> ExchangeScrubber {
        ExchangeScrubber {
            shared: Arc::clone(&self.0),
            view: None,
            request_media: None,
            response_media: None,
            request: None,
            response: None,
            socket: None,
        }
    }

    /// Begins a flow that no parser claimed, where the policy keeps such flows:
    /// both directions' bytes are its bodies, and pass as they are.
    #[must_use]
    pub fn opaque(&self) -> Option<ExchangeScrubber> {
        let shared = &self.0;
        shared.policy.keep_opaque().then(|| {
            let view = shared.view(None);
            let body = || Some(BodyScrubber::opaque(Arc::clone(&view)));
            ExchangeScrubber {
                request: body(),
                response: body(),
                view: Some(Arc::clone(&view)),
                ..self.exchange()
            }
        })
    }

    /// The tag that a leaf with this raw value has.
    #[must_use]
    pub fn link_tag(&self, raw: &[u8]) -> LinkTag {
        self.0.pseudonyms.keys().link_tag(raw)
    }

    /// The pseudonym that takes the place of this raw value.
    #[must_use]
    pub fn pseudonym(&self, raw: &[u8]) -> Vec<u8> {
        self.0.pseudonyms.of(raw)
    }

    /// Begins a snapshot of a database.
    #[must_use]
    pub fn snapshot(&self, format: SnapshotFormat) -> SnapshotScrubber {
        SnapshotScrubber::new(self, format)
    }

    /// Scrubs one whole response to `request`, whose head may be scrubbed already.
    #[must_use]
    pub fn scrub_response(
        &self,
        request: &RequestHead,
        head: &ResponseHead,
        body: Bytes,
    ) -> (Scrubbed<ResponseHead>, Option<Scrubbed<Bytes>>, MessageNote) {
        let shared = &self.0;
        let view = shared.view(Some(request));
        let media = Media::of(&head.fields, &head.version);
        let mut scrubber = BodyScrubber::new(Arc::clone(&view), media);
        let passed = scrubber
            .chunk(body, shared.policy.limits, &shared.pseudonyms)
            .filter(|body| !body.is_empty());
        let limits = shared.policy.limits;
        let outcome = scrubber.finish(&shared.pseudonyms, limits, true, Timestamp::default());
        let (head, body, note) = shared.response(&view, head, outcome);
        let body = passed.or(body).map(Scrubbed::vouch);
        (Scrubbed::vouch(head), body, note)
    }

    /// Scrubs what a twin's side of a WebSocket said, in a conversation that `request` opened:
    /// as [`render_messages`](crate::render_messages) gives it, with its leaves.
    #[must_use]
    pub fn scrub_messages(
        &self,
        request: &RequestHead,
        messages: &[SocketMessage],
    ) -> (Scrubbed<Bytes>, Vec<Leaf>) {
        let shared = &self.0;
        let view = shared.view(Some(request));
        let (body, timeline, leaves) =
            socket::scrub_all(messages, &shared.pseudonyms, &view, shared.policy.limits);
        let cleaned = socket::split_messages(&body, &timeline);
        let (rendered, leaves) = socket::render_messages(&cleaned, &leaves);
        (Scrubbed::vouch(rendered), leaves)
    }

    /// The raw value at a leaf's path in what a twin's side of a WebSocket said.
    #[must_use]
    pub fn extract_from_messages(&self, messages: &[SocketMessage], path: &str) -> Option<Vec<u8>> {
        let renames = self.0.policy.names != Keep::Allow;
        socket::extract(messages, path, renames.then_some(&self.0.pseudonyms))
    }

    /// The raw value at a leaf's path in one message of a twin, whichever its number is.
    #[must_use]
    pub fn extract_from_message(&self, message: &SocketMessage, path: &str) -> Option<Vec<u8>> {
        let renames = self.0.policy.names != Keep::Allow;
        socket::extract_one(message, path, renames.then_some(&self.0.pseudonyms))
    }

    /// Like [`extract()`](crate::extract()), for paths in which a name was scrubbed too.
    #[must_use]
    pub fn extract(&self, head: &ResponseHead, body: &[u8], path: &str) -> Option<Vec<u8>> {
        let renames = self.0.policy.names != Keep::Allow;
        extract::extract_with(head, body, path, renames.then_some(&self.0.pseudonyms))
    }
}

impl Scrubber {
    pub(crate) fn pseudonyms(&self) -> &Pseudonyms {
        &self.0.pseudonyms
    }

    /// The rules for what came over no route.
    pub(crate) fn view_of_no_route(&self) -> Arc<View> {
        self.0.view(None)
    }

    pub(crate) fn means<'a>(&'a self, view: &'a View) -> Means<'a> {
        self.0.means(view)
    }
}

impl ExchangeScrubber {
    /// Takes the request's head.
    pub fn request_head(&mut self, head: &RequestHead) {
        self.view = Some(self.shared.view(Some(head)));
        self.request_media = Some(Media::of_request(head));
    }

    /// Takes the final response's head.
    pub fn response_head(&mut self, head: &ResponseHead) {
        self.response_media = Some(Media::of(&head.fields, &head.version));
    }

    /// Takes a chunk of a body; gives back what may be stored at once. What
    /// comes back was not copied.
    pub fn body(&mut self, direction: Direction, chunk: Bytes) -> Option<Scrubbed<Bytes>> {
        if chunk.is_empty() {
            return None;
        }
        let shared = &self.shared;
        let (body, media) = match direction {
            Direction::Client => (&mut self.request, &mut self.request_media),
            Direction::Server => (&mut self.response, &mut self.response_media),
        };
        let view = self.view.get_or_insert_with(|| shared.view(None));
        body.get_or_insert_with(|| {
            // Without a head nothing is known of the type, and that decides.
            let media = media.take().unwrap_or_else(Media::unknown);
            let body = BodyScrubber::new(Arc::clone(view), media);
            match shared.look.is_on() {
                true => body.waiting(),
                false => body,
            }
        })
        .chunk(chunk, shared.policy.limits, &shared.pseudonyms)
        .map(Scrubbed::vouch)
    }

    /// Notes that what a body had so far was sent at `time`; `ends_chunk` where a chunk
    /// of chunked transfer coding ends there.
    pub fn sent(&mut self, direction: Direction, time: Timestamp, ends_chunk: bool) {
        let piece = match ends_chunk {
            true => Piece::Chunk,
            false => Piece::Bytes,
        };
        if let Some(body) = self.body_of(direction) {
            body.note_piece(time, piece);
        }
    }

    /// Notes a part of a body, after the chunks that it lies in.
    pub fn part(&mut self, part: &Part) {
        let piece = match part.kind {
            PartKind::GrpcMessage { .. } | PartKind::GrpcTrailers => Piece::Message,
            PartKind::ServerSentEvent => Piece::Event,
            _ => return,
        };
        // In gRPC-Web's text form places count decoded bytes.
        let is_text = part.flags.iter().any(|flag| flag == "base64");
        if !is_text && let Some(body) = self.body_of(part.direction) {
            let end = part.offset.saturating_add(part.bytes);
            body.note_part(end, part.last_byte, piece);
        }
    }

    /// Takes payload of message `part` of a WebSocket; a fragment that another follows ends
    /// with it where `fragment_end` says when. Of each message at most the policy's
    /// `limits.body_bytes` are held.
    pub fn socket_data(
        &mut self,
        direction: Direction,
        part: u32,
        chunk: Bytes,
        fragment_end: Option<Timestamp>,
    ) {
        let limits = self.shared.policy.limits;
        self.side(direction).data(part, chunk, fragment_end, limits);
    }

    /// Ends a message of a WebSocket; gives back what may be stored of it.
    pub fn socket_part(&mut self, part: &Part) -> Option<Scrubbed<Bytes>> {
        let shared = Arc::clone(&self.shared);
        let view = Arc::clone(self.view.get_or_insert_with(|| shared.view(None)));
        let ended = Ended {
            index: part.index,
            kind: part.kind,
            bytes: part.bytes,
            last_byte: part.last_byte,
        };
        self.side(part.direction)
            .end(ended, &shared.pseudonyms, &view, Some(&shared.look))
            .map(Scrubbed::vouch)
    }

    fn side(&mut self, direction: Direction) -> &mut SocketSide {
        &mut self.socket.get_or_insert_default()[direction as usize]
    }

    fn body_of(&mut self, direction: Direction) -> Option<&mut BodyScrubber> {
        match direction {
            Direction::Client => self.request.as_mut(),
            Direction::Server => self.response.as_mut(),
        }
    }

    /// Ends the exchange.
    #[must_use]
    pub fn finish(self, mut exchange: Exchange) -> Finished {
        let shared = &self.shared;
        let view = match self.view {
            Some(view) => view,
            None => shared.view(exchange.request.head.as_ref()),
        };
        let ended = |body: Option<BodyScrubber>, is_whole: bool, begin: Timestamp| {
            let limits = shared.policy.limits;
            body.map(|body| body.finish(&shared.pseudonyms, limits, is_whole, begin))
                .unwrap_or_else(BodyOutcome::empty)
        };
        let begin = exchange.request.first_byte;
        let mut request = ended(self.request, is_whole(&exchange.request), begin);
        let begin = exchange.response.first_byte;
        let mut response = ended(self.response, is_whole(&exchange.response), begin);
        if let Some([client, server]) = self.socket.map(|sides| *sides) {
            mark_cut(&mut exchange.request, &client);
            mark_cut(&mut exchange.response, &server);
            request = client.finish(exchange.request.first_byte);
            response = server.finish(exchange.response.first_byte);
        }
        let request_rest = request.rest.clone();
        let response_rest = response.rest.clone();

        let raw = Raw::take(&mut exchange);
        let request_note = match &raw.request {
            Some(head) => {
                let (head, note) = shared.request(&view, head, request);
                exchange.request.head = Some(head);
                note
            }
            None => request.note(&mut Vec::new()),
        };
        let response_note = match &raw.response {
            Some(head) => {
                let (head, _, note) = shared.response(&view, head, response);
                exchange.response.head = Some(head);
                note
            }
            None => response.note(&mut Vec::new()),
        };
        let rest = shared.scrub_rest(&view, &raw, &mut exchange);
        let mut finished = Unlooked {
            record: ExchangeRecord {
                exchange,
                policy: shared.hash.clone(),
                request: request_note,
                response: response_note,
            },
            request_rest,
            response_rest,
        };
        shared.look_again(&mut finished, &raw, &rest);
        Finished {
            record: Scrubbed::vouch(finished.record),
            request_rest: finished.request_rest.map(Scrubbed::vouch),
            response_rest: finished.response_rest.map(Scrubbed::vouch),
        }
    }
}

impl Shared {
    fn view(&self, request: Option<&RequestHead>) -> Arc<View> {
        let Some(head) = request else {
            return self.views.of(None);
        };
        self.views.of(Some(Route {
            method: &String::from_utf8_lossy(&head.method),
            path: &String::from_utf8_lossy(uri::path_of(&head.target)),
        }))
    }

    fn means<'a>(&'a self, view: &'a View) -> Means<'a> {
        Means {
            pseudonyms: &self.pseudonyms,
            view: Some(view),
        }
    }

    fn request(
        &self,
        view: &View,
        head: &RequestHead,
        mut body: BodyOutcome,
    ) -> (RequestHead, MessageNote) {
        let mut leaves = Vec::new();
        let mended = heads::mend(&head.fields, &body);
        let fields = mended.as_deref().unwrap_or(&head.fields);
        let head = heads::request(self.means(view), head, fields, &mut leaves);
        (head, body.note(&mut leaves))
    }

    fn response(
        &self,
        view: &View,
        head: &ResponseHead,
        mut body: BodyOutcome,
    ) -> (ResponseHead, Option<Bytes>, MessageNote) {
        let mut leaves = Vec::new();
        let mended = heads::mend(&head.fields, &body);
        let fields = mended.as_deref().unwrap_or(&head.fields);
        let head = heads::response(self.means(view), head, fields, &mut leaves);
        let note = body.note(&mut leaves);
        (head, body.rest, note)
    }

    /// What has no leaves in the record: trailers, interim responses, the client's address.
    /// Gives the leaves for the second look.
    fn scrub_rest(&self, view: &View, raw: &Raw, exchange: &mut Exchange) -> RestLeaves {
        let means = self.means(view);
        let mut rest = RestLeaves::default();
        let sides = [
            (&raw.trailers[0], &mut exchange.request.trailers),
            (&raw.trailers[1], &mut exchange.response.trailers),
        ];
        for ((from, to), leaves) in sides.into_iter().zip(&mut rest.trailers) {
            *to = heads::trailers(means, from, leaves);
        }
        for from in &raw.interim {
            let mut leaves = Vec::new();
            let head = heads::response(means, from, &from.fields, &mut leaves);
            exchange.interim.push(head);
            rest.interim.push(leaves);
        }
        if self.policy.client_addresses == Keep::Pseudonym {
            let client = &mut exchange.endpoints.client;
            client.set_ip(self.pseudonyms.address(client.ip()));
        }
        rest
    }
}

impl BodyOutcome {
    pub(crate) fn empty() -> BodyOutcome {
        BodyOutcome {
            fate: Default::default(),
            rest: None,
            leaves: Vec::new(),
            tag: None,
            undone: None,
            timeline: Timeline::default(),
            hits: Vec::new(),
        }
    }

    /// The note of the message whose head has these leaves.
    fn note(&mut self, head_leaves: &mut Vec<crate::leaf::Leaf>) -> MessageNote {
        let mut leaves = std::mem::take(&mut self.leaves);
        leaves.splice(0..0, head_leaves.drain(..));
        MessageNote {
            leaves,
            body: self.fate.clone(),
            body_tag: self.tag,
            undone: self.undone.take(),
            timeline: std::mem::take(&mut self.timeline),
            hits: std::mem::take(&mut self.hits),
        }
    }
}

/// A side of a WebSocket of which messages were left out is not complete.
fn mark_cut<H>(message: &mut Message<H>, side: &SocketSide) {
    if side.is_cut() {
        message.state = MessageState::Incomplete;
        message.flags.push("websocket_cut".to_owned());
    }
}

fn is_whole<H>(message: &Message<H>) -> bool {
    message.state == MessageState::Complete
}
