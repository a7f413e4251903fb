//! From raw outcomes to what the judge sees.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use twintap_archive::{StoredBody, StoredExchange};
use twintap_plan::Window;
use twintap_scrub::{
    BodyFate, Leaf, LinkTag, MessageNote, Part, Scrubber, SocketMessage, Timeline, render_messages,
    split_messages,
};
use twintap_stream::message::{Framing, Message, MessageState};
use twintap_stream::{Exchange, RequestHead, ResponseHead};
use twintap_verdict::{Answer, Body, Judge, Observation, Outcome, Twin};

use super::given::values_at;
use super::joined::{AsDigest, HeldAnswer, Joined, Pending, Settled};
use super::records::{Record, Records};
use super::sent;
use super::vouch::{stored_bytes, stored_part};
use crate::fire::capture::RawBody;
use crate::fire::echo::Echo;
use crate::fire::options::Options;
use crate::fire::response::RawAnswer;
use crate::fire::{RawOutcome, RawResult, Witness};

/// The most of a request's body that goes along as evidence.
const EVIDENCE_BYTES: u64 = 64 << 10;

/// Joins the twins' outcomes, scrubs them, adds production's answer, and shows
/// them to the judge.
pub struct Comparison<'a, R, C> {
    inputs: Inputs<'a>,
    records: R,
    case: C,
    pending: HashMap<u32, Pending>,
    lacks: Lacks,
    tick: &'a mut dyn FnMut(),
}

/// What a comparison lacked, in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Exchanges of the plan that could not be read again.
    pub unreadable: u64,
    /// Answers of which a twin's body was too large to hold or came while memory was short:
    /// they are compared by length and digest.
    pub held: u64,
}

/// Where observations go, and what a plan that grows asks for beside them.
pub trait Case {
    /// Takes what came of a request.
    fn observe(&mut self, observation: Observation);

    /// An answer came, before it is scrubbed.
    fn answered(&mut self, position: u32, twin: Twin, answer: &RawAnswer) {
        let _ = (position, twin, answer);
    }

    /// The plan has grown.
    fn appended(&mut self, window: &Arc<Window>) {
        let _ = window;
    }

    /// An answer that came earlier, if it is kept.
    fn answer(&mut self, position: u32, twin: Twin) -> Option<&RawAnswerKept> {
        let _ = (position, twin);
        None
    }

    /// Called a few times a second.
    fn tick(&mut self) {}
}

impl Case for Judge {
    fn observe(&mut self, observation: Observation) {
        Judge::observe(self, observation);
    }
}

/// As much of an answer as values are taken from.
#[derive(Clone, Debug)]
pub struct RawAnswerKept {
    /// Its head.
    pub head: ResponseHead,
    /// Its body; empty where it was too large to be held.
    pub body: Bytes,
    /// Of a WebSocket where its messages end in the body.
    pub said: Option<Timeline>,
}

/// What a comparison works with.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// With the archive's policy and key.
    pub scrubber: &'a Scrubber,
    /// Where the twins are, what is changed for them, and the largest body that is compared
    /// in full.
    pub options: &'a Options,
    /// What goes out within this of T0 is not judged, in nanoseconds of run time.
    pub warm_up_ns: u64,
}

impl<'a, R: Records, C: Case> Comparison<'a, R, C> {
    /// `tick` is called a few times a second.
    pub fn new(
        inputs: Inputs<'a>,
        records: R,
        case: C,
        tick: &'a mut dyn FnMut(),
    ) -> Comparison<'a, R, C> {
        Comparison {
            inputs,
            records,
            case,
            pending: HashMap::new(),
            lacks: Lacks::default(),
            tick,
        }
    }

    /// What could not be compared in full.
    pub fn lacks(&self) -> Lacks {
        self.lacks
    }

    /// The case, which has seen everything.
    pub fn into_case(self) -> C {
        self.case
    }

    fn outcome(&self, raw: RawOutcome, record: &Record) -> Settled {
        let mut held = None;
        let outcome = match raw.result {
            RawResult::Answered(answer) => {
                let target = self.inputs.options.target(raw.twin, record.service);
                let unknown = empty_head();
                let request = record.request().unwrap_or(&unknown);
                let echo = Echo::of(&self.inputs.options.rewrite, request, target);
                let (answer, of_answer) = self.answer(*answer, request, &echo);
                held = Some(of_answer);
                let timing = raw.timing.unwrap_or_default();
                Outcome::Answered { answer, timing }
            }
            RawResult::Errored { kind, detail } => Outcome::Errored {
                kind: kind.to_owned(),
                detail,
                timing: raw.timing,
            },
            RawResult::Refused(limit) => Outcome::Refused(limit),
            RawResult::Skipped(reason) => Outcome::Skipped(reason.to_owned()),
        };
        (outcome, held)
    }

    /// A twin's answer, scrubbed as production's was.
    fn answer(&self, raw: RawAnswer, request: &RequestHead, echo: &Echo) -> (Answer, HeldAnswer) {
        let mut head = raw.head;
        let trailers = raw.trailers.len();
        head.fields.extend(raw.trailers);
        self.inputs.options.rewrite.mend_answer(&mut head, &mut []);
        echo.mend_head(&mut head);
        let held = |as_digest| HeldAnswer {
            _held: raw.held,
            as_digest,
        };
        let (body, not_held) = match raw.body {
            RawBody::Whole(body) => (body, None),
            RawBody::Digest { bytes, tag } => (Bytes::new(), Some(Body::Digest { bytes, tag })),
        };
        if raw.framing == Framing::Socket && not_held.is_none() {
            let mut messages = split_messages(&body, &raw.timeline);
            for message in &mut messages {
                echo.mend_message(&mut message.payload);
            }
            let answer = self.conversation(request, &head, &messages);
            return (answer, held(AsDigest::NotAtAll));
        }
        let bytes = body.len() as u64;
        let mended = echo.mend_body(&mut head, &body);
        // A digest is of what was sent.
        let tag = mended.is_some().then(|| self.tag(&body));
        let (body, undone) = mended.map_or((body, None), |(body, codings)| (body, Some(codings)));
        let (head, scrubbed, note) = self.inputs.scrubber.scrub_response(request, &head, body);
        let tag = tag.unwrap_or(note.body_tag);
        let is_held = not_held.is_none();
        let body = not_held.unwrap_or_else(|| match scrubbed {
            Some(body) => Body::Whole(body),
            None if note.body == BodyFate::Empty => Body::Whole(stored_bytes(&Bytes::new())),
            None => Body::Digest { bytes, tag },
        });
        let answer = Answer {
            head,
            trailers,
            body,
            undone: undone.or(note.undone),
            leaves: note.leaves,
        };
        let as_digest = match is_held {
            true => AsDigest::Would(Body::Digest { bytes, tag }),
            false => AsDigest::Is,
        };
        (answer, held(as_digest))
    }

    /// The tag of a body as it was sent.
    fn tag(&self, body: &[u8]) -> Option<LinkTag> {
        let mut digest = self.inputs.options.digest.as_ref()?();
        digest.push(body);
        digest.finish()
    }

    /// What a twin said over a WebSocket, scrubbed as production's was.
    fn conversation(
        &self,
        request: &RequestHead,
        head: &ResponseHead,
        messages: &[SocketMessage],
    ) -> Answer {
        let scrubber = self.inputs.scrubber;
        let (head, _, note) = scrubber.scrub_response(request, head, Bytes::new());
        let (body, leaves) = scrubber.scrub_messages(request, messages);
        Answer {
            head,
            trailers: 0,
            body: Body::Whole(body),
            undone: None,
            leaves: note.leaves.into_iter().chain(leaves).collect(),
        }
    }

    fn conclude(&mut self, position: u32, mut joined: Joined) {
        // What is held counts until the case has seen it.
        let are_digests = joined.are_digests();
        if are_digests {
            self.lacks.held += 1;
            joined.make_digests();
        }
        let Joined {
            record,
            candidate: (candidate, _candidate_held),
            baseline: (baseline, _baseline_held),
            second_baseline,
        } = joined;
        let (second_baseline, _second_held) = second_baseline.unzip();
        let was_fired = is_fired(&candidate) || is_fired(&baseline);
        let went_out_ns = [&candidate, &baseline].into_iter().filter_map(released_ns);
        let is_warm_up = went_out_ns.min().unwrap_or(record.due_ns) < self.inputs.warm_up_ns;
        let stored = record.stored.as_deref();
        let exchange = stored.map(StoredExchange::exchange);
        let head = exchange.and_then(|exchange| exchange.request.head.as_ref());
        let mut leaves = match stored {
            Some(stored) if was_fired => stored.record.request.leaves.clone(),
            _ => Vec::new(),
        };
        let request_body = match stored {
            Some(stored) if was_fired => self.body(
                position,
                &stored.request_body,
                &stored.record.request,
                &stored.exchange().request,
                EVIDENCE_BYTES,
                &mut leaves,
            ),
            _ => Body::Digest {
                bytes: exchange.map_or(0, |exchange| exchange.request.body_bytes),
                tag: None,
            },
        };
        let sent = head.map_or_else(Vec::new, |head| {
            sent::values(self.inputs.scrubber, head, &request_body, &leaves)
        });
        let observation = Observation {
            exchange: record.id.clone(),
            session: record.session.to_string(),
            position,
            recorded: exchange
                .map(|exchange| exchange.request.first_byte)
                .unwrap_or_default(),
            request: stored_part(head.unwrap_or(&empty_head())),
            request_body,
            production_latency_ns: exchange.and_then(production_latency_ns),
            production_status: exchange.and_then(answered_status),
            production: stored
                .filter(|_| was_fired)
                .and_then(|stored| self.production(position, stored, are_digests)),
            copy: record.copy,
            is_warm_up,
            sent,
            produced: record.produced,
            depends_on: record.depends_on,
            is_awaited: record.is_awaited,
            races: record.races,
            baseline,
            candidate,
            second_baseline,
        };
        self.case.observe(observation);
        self.records.done(position);
    }

    /// What production answered, where it was seen whole.
    fn production(
        &self,
        position: u32,
        stored: &StoredExchange,
        as_digest: bool,
    ) -> Option<Answer> {
        let response = &stored.exchange().response;
        let head = response.head.as_ref()?;
        if response.state != MessageState::Complete {
            return None;
        }
        let note = &stored.record.response;
        let mut head = head.clone();
        head.fields.extend_from_slice(&response.trailers);
        let mut leaves = note.leaves.clone();
        self.inputs
            .options
            .rewrite
            .mend_answer(&mut head, &mut leaves);
        let body = match as_digest {
            true => digest(response, note.body_tag),
            false => self.body(
                position,
                &stored.response_body,
                note,
                response,
                self.inputs.options.max_body_bytes as u64,
                &mut leaves,
            ),
        };
        Some(Answer {
            head: stored_part(&head),
            trailers: response.trailers.len(),
            body,
            undone: note.undone.clone(),
            leaves,
        })
    }

    fn body<H>(
        &self,
        position: u32,
        body: &StoredBody,
        note: &MessageNote,
        message: &Message<H>,
        limit: u64,
        leaves: &mut Vec<Leaf>,
    ) -> Body {
        if message.framing == Framing::Socket {
            return self.said(position, body, note, message, limit, leaves);
        }
        let is_kept = !matches!(note.body, BodyFate::Dropped(_));
        match self.records.body(position, body, limit) {
            Some(bytes) if is_kept => Body::Whole(stored_bytes(&bytes)),
            _ => digest(message, note.body_tag),
        }
    }
}

/// A body that is not at hand.
fn digest<H>(message: &Message<H>, tag: Option<LinkTag>) -> Body {
    Body::Digest {
        bytes: message.body_bytes,
        tag,
    }
}

impl<R: Records, C: Case> Comparison<'_, R, C> {
    /// What a side of a WebSocket said in production, whose leaves move along.
    fn said<H>(
        &self,
        position: u32,
        body: &StoredBody,
        note: &MessageNote,
        message: &Message<H>,
        limit: u64,
        leaves: &mut Vec<Leaf>,
    ) -> Body {
        let Some(bytes) = self.records.body(position, body, limit) else {
            return digest(message, None);
        };
        let messages = split_messages(&bytes, &note.timeline);
        let (of_body, of_head): (Vec<Leaf>, _) = std::mem::take(leaves)
            .into_iter()
            .partition(|leaf| leaf.part == Part::Body);
        let (rendered, of_body) = render_messages(&messages, &of_body);
        *leaves = of_head;
        leaves.extend(of_body);
        Body::Whole(stored_bytes(&rendered))
    }
}

impl<R: Records, C: Case> Witness for Comparison<'_, R, C> {
    fn values(&mut self, position: u32, answer: &RawAnswer) -> Vec<Option<Bytes>> {
        let body = match &answer.body {
            RawBody::Whole(body) => body.clone(),
            RawBody::Digest { .. } => Bytes::new(),
        };
        let is_conversation = answer.framing == Framing::Socket;
        let said = is_conversation.then_some(&answer.timeline);
        let produces = self.records.produces(position).iter();
        let paths = produces.map(|produced| &*produced.path);
        values_at(self.inputs.scrubber, &answer.head, &body, said, paths)
    }

    fn observe(&mut self, raw: RawOutcome) {
        let (position, twin) = (raw.position, raw.twin);
        if let RawResult::Answered(answer) = &raw.result {
            self.case.answered(position, twin, answer);
        }
        let mut pending = match self.pending.entry(position) {
            Entry::Occupied(pending) => pending.remove(),
            Entry::Vacant(_) => {
                let record = self.records.take(position);
                self.lacks.unreadable += u64::from(record.stored.is_none());
                Pending::new(record)
            }
        };
        let settled = self.outcome(raw, &pending.record);
        if pending.len() + 1 < self.inputs.options.twins().count() {
            pending.add(twin, settled);
            self.pending.insert(position, pending);
        } else if let Some(joined) = pending.join(twin, settled) {
            self.conclude(position, joined);
        }
    }

    fn appended(&mut self, window: &Arc<Window>) {
        self.records.appended(window);
        self.case.appended(window);
    }

    fn carried(
        &mut self,
        producer: u32,
        twin: Twin,
        paths: &[String],
    ) -> Option<Vec<Option<Bytes>>> {
        let RawAnswerKept { head, body, said } = self.case.answer(producer, twin)?;
        let paths = paths.iter().map(String::as_str);
        let scrubber = self.inputs.scrubber;
        Some(values_at(scrubber, head, body, said.as_ref(), paths))
    }

    fn tick(&mut self) {
        self.case.tick();
        (self.tick)();
    }
}

/// Whether a request went out, or should have.
fn is_fired(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Answered { .. } | Outcome::Errored { .. })
}

/// When it went out, if it did.
fn released_ns(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Answered { timing, .. } => Some(timing.released_ns),
        Outcome::Errored { timing, .. } => timing.map(|timing| timing.released_ns),
        Outcome::Refused(_) | Outcome::Skipped(_) => None,
    }
}

fn answered_status(exchange: &Exchange) -> Option<u16> {
    let head = exchange.response.head.as_ref();
    head.map(|head| head.status)
}

fn production_latency_ns(exchange: &Exchange) -> Option<u64> {
    let (request, response) = (&exchange.request, &exchange.response);
    let is_seen = request.state == MessageState::Complete && response.head.is_some();
    // What a client says over a WebSocket follows the answer.
    let asked = match exchange.is_conversation() {
        true => request.first_byte,
        false => request.last_byte,
    };
    is_seen.then(|| response.first_byte.since_ns(asked))
}

fn empty_head() -> RequestHead {
    RequestHead {
        method: Bytes::new(),
        target: Bytes::new(),
        version: Bytes::new(),
        fields: Vec::new(),
        line_spelling: None,
        end: Bytes::new(),
    }
}
