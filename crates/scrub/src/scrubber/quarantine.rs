//! The second look over a whole exchange, and what becomes of one that must not be stored.

use bytes::Bytes;
use twintap_stream::message::{Framing, MessageState};
use twintap_stream::{Exchange, Field, Message, RequestHead, ResponseHead};

use super::Shared;
use crate::heads;
use crate::leaf::{Leaf, Part};
use crate::record::{BodyFate, ExchangeRecord, MessageNote};
use crate::rewrite::Means;
use crate::second_look::{Hit, Looked, QUARANTINED};

/// The heads of an exchange as they came.
pub(super) struct Raw {
    pub(super) request: Option<RequestHead>,
    pub(super) response: Option<ResponseHead>,
    /// Of the request and of the response.
    pub(super) trailers: [Vec<Field>; 2],
    pub(super) interim: Vec<ResponseHead>,
}

impl Raw {
    /// Takes them out of the exchange.
    pub(super) fn take(exchange: &mut Exchange) -> Raw {
        Raw {
            request: exchange.request.head.take(),
            response: exchange.response.head.take(),
            trailers: [
                std::mem::take(&mut exchange.request.trailers),
                std::mem::take(&mut exchange.response.trailers),
            ],
            interim: std::mem::take(&mut exchange.interim),
        }
    }
}

/// An exchange that may be stored unless the second look finds something.
pub(super) struct Unlooked {
    pub(super) record: ExchangeRecord,
    pub(super) request_rest: Option<Bytes>,
    pub(super) response_rest: Option<Bytes>,
}

/// The leaves that the record does not keep.
#[derive(Default)]
pub(super) struct RestLeaves {
    /// Of the trailers of the request and of the response.
    pub(super) trailers: [Vec<Leaf>; 2],
    /// Of each interim response.
    pub(super) interim: Vec<Vec<Leaf>>,
}

impl Shared {
    /// Looks at the exchange, and quarantines it where something is found.
    pub(super) fn look_again(&self, exchange: &mut Unlooked, raw: &Raw, rest: &RestLeaves) {
        if !self.look.is_on() {
            return;
        }
        self.count_passed(exchange);
        let [request, response] = looked(exchange, rest);
        let messages = &exchange.record.exchange;
        let time = messages.request.last_byte.max(messages.response.last_byte);
        let bytes = request.iter().chain(&response).map(Looked::bytes).sum();
        if !self.look.takes(bytes, time) {
            return;
        }
        let hits = |side: Vec<Looked<'_>>| -> Vec<Hit> {
            let keys = self.pseudonyms.keys();
            let looks = side.into_iter();
            looks
                .flat_map(|part| self.look.message(keys, part))
                .collect()
        };
        let (of_request, of_response) = (hits(request), hits(response));
        if of_request.is_empty() && of_response.is_empty() {
            return;
        }
        self.look.quarantine(of_request.iter().chain(&of_response));
        self.quarantine(exchange, raw);
        let record = &mut exchange.record;
        record.request.hits.extend(of_request);
        record.response.hits.extend(of_response);
    }

    /// What the second look can't see: bodies that passed as they came.
    fn count_passed(&self, exchange: &Unlooked) {
        let record = &exchange.record;
        let messages = &record.exchange;
        let sides = [
            (
                &record.request,
                &exchange.request_rest,
                messages.request.body_bytes,
            ),
            (
                &record.response,
                &exchange.response_rest,
                messages.response.body_bytes,
            ),
        ];
        for (note, rest, bytes) in sides {
            if note.body == BodyFate::Allowed && rest.is_none() {
                self.look.pass_over(bytes);
            }
        }
    }

    /// Puts filler in place of every value outside of bodies, and drops the bodies.
    fn quarantine(&self, exchange: &mut Unlooked, raw: &Raw) {
        let means = Means {
            pseudonyms: &self.pseudonyms,
            view: Some(&self.quarantine),
        };
        let record = &mut exchange.record;
        let messages = &mut record.exchange;
        let mut leaves = Vec::new();
        let head = raw.request.as_ref();
        messages.request.head =
            head.map(|head| heads::request(means, head, &head.fields, &mut leaves));
        seal(&mut messages.request, &mut record.request, leaves);
        let mut leaves = Vec::new();
        let head = raw.response.as_ref();
        messages.response.head =
            head.map(|head| heads::response(means, head, &head.fields, &mut leaves));
        seal(&mut messages.response, &mut record.response, leaves);
        let fields = |from| heads::trailers(means, from, &mut Vec::new());
        messages.request.trailers = fields(&raw.trailers[0]);
        messages.response.trailers = fields(&raw.trailers[1]);
        let interim = raw.interim.iter();
        messages.interim = interim
            .map(|head| heads::response(means, head, &head.fields, &mut Vec::new()))
            .collect();
        exchange.request_rest = None;
        exchange.response_rest = None;
    }
}

/// What is to be looked at of the request, and of the response.
fn looked<'a>(exchange: &'a Unlooked, rest: &'a RestLeaves) -> [Vec<Looked<'a>>; 2] {
    let record = &exchange.record;
    let (request, response) = (&record.exchange.request, &record.exchange.response);
    let bytes = |rest: &'a Option<Bytes>| rest.as_deref().unwrap_or_default();
    let of_request = Looked::request(record, bytes(&exchange.request_rest));
    let of_response = Looked::response(record, bytes(&exchange.response_rest));
    let [of_trailers, of_last_trailers] = &rest.trailers;
    let mut responses = vec![of_response, fields(&response.trailers, of_last_trailers)];
    let interim = record.exchange.interim.iter().zip(&rest.interim);
    responses.extend(interim.map(|(head, leaves)| fields(&head.fields, leaves)));
    [
        vec![of_request, fields(&request.trailers, of_trailers)],
        responses,
    ]
}

fn fields<'a>(fields: &'a [Field], leaves: &'a [Leaf]) -> Looked<'a> {
    Looked {
        target: &[],
        fields,
        body: &[],
        leaves,
    }
}

/// A quarantined message has no body, and is not complete: no run fires or compares it.
fn seal<H>(message: &mut Message<H>, note: &mut MessageNote, leaves: Vec<Leaf>) {
    let in_head = note.leaves.partition_point(|leaf| leaf.part != Part::Body);
    let of_body = note.leaves.split_off(in_head);
    note.leaves = leaves;
    // What was said over a WebSocket was looked at message by message, and stays.
    if message.framing == Framing::Socket {
        note.leaves.extend(of_body);
    } else if note.body != BodyFate::Empty {
        note.body = BodyFate::Dropped(QUARANTINED.to_owned());
        note.undone = None;
    }
    if message.state == MessageState::Complete {
        message.state = MessageState::Incomplete;
    }
    if message.state != MessageState::Absent {
        message.flags.push(QUARANTINED.to_owned());
    }
}
