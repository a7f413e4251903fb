//! Heads: which exchange a message belongs to.

use bytes::Bytes;

use super::body::framing_of;
use super::exchange::Open;
use super::fields;
use super::framing::{self, Body};
use super::side::State;
use super::{HeadPlace, Http1, head, probe};
use crate::event::{EventKind, Watermark};
use crate::message::{Framing, MessageState, ResponseHead};
use crate::parts::Parts;
use crate::protocol::{self, Claim, Switch};
use crate::segment::Direction;
use crate::sink::Sink;

impl Http1 {
    pub(super) fn request_head(
        &mut self,
        bytes: &Bytes,
        place: &HeadPlace,
        sink: &mut Sink<'_>,
    ) -> bool {
        let Some((head, mut flags)) = head::parse_request(bytes) else {
            return false;
        };
        let fields = head.fields.len();
        let body = framing::of_request(&head, &mut flags);
        fields::check_request(&head.fields, &mut flags);
        if self.client.is_closing {
            flags.set("after_close");
        }
        self.client.is_closing = fields::closes(&head.version, &head.fields);
        if self.client.is_sure && self.is_early(place) {
            self.pipelines = true;
        }
        if !self.head_is_open {
            let id = sink.exchange_id(place.offset, false);
            self.queue.open.push_back(Box::new(Open::new(id)));
        }
        self.head_is_open = false;
        let Some(open) = self.queue.open.back_mut() else {
            return false;
        };
        sink.event(EventKind::RequestHead {
            exchange: open.id.clone(),
            head: head.clone(),
            time: place.first_byte,
        });
        open.request_progress.parts = Parts::of(&head.fields, Direction::Client);
        open.request.head = Some(head);
        open.request.state = MessageState::Incomplete;
        open.request.framing = framing_of(body);
        open.request.offset = place.offset;
        open.request.first_byte = place.first_byte;
        open.request.last_byte = place.last_byte;
        open.request_after = place.after;
        open.body_start = place.end;
        open.is_sure = self.client.is_sure;
        open.losses_before = self.client.losses;
        open.request_progress.flags.merge(flags);
        self.queue
            .count_head(self.queue.open.len() - 1, bytes.len(), fields);
        self.client.regain();
        self.settle_lost_responses();
        self.bound_unanswered();
        self.begin_body(Direction::Client, body);
        true
    }

    pub(super) fn response_head(
        &mut self,
        bytes: &Bytes,
        place: &HeadPlace,
        sink: &mut Sink<'_>,
    ) -> bool {
        let Some((head, mut flags)) = head::parse_response(bytes) else {
            return false;
        };
        let index = self.pair(place, sink);
        self.server.regain();
        self.queue.count_head(index, bytes.len(), head.fields.len());
        let open = &mut self.queue.open[index];
        open.response_start.get_or_insert(place.offset);
        let body = framing::of_response(&head, open.method(), &mut flags);
        fields::check(&head.fields, &mut flags);
        if self.server.is_closing {
            flags.set("after_close");
        }
        if matches!(head.status, 100 | 102..=199) {
            open.response_progress.flags.merge(flags);
            open.interim.push(head);
            self.server.state = State::Between;
            return true;
        }
        self.server.is_closing = fields::closes(&head.version, &head.fields);
        let switches = head.status == 101
            || (open.method() == Some(b"CONNECT") && (200..300).contains(&head.status));
        if open.method().is_none() && body != Body::None {
            // What answers HEAD looks like this, and has no body.
            self.server.is_sure = false;
        }
        if switches && self.switch(index, place.end, &head) {
            // The successor finds the response; this was an interim one.
            let open = &mut self.queue.open[index];
            open.response_progress.flags.merge(flags);
            open.interim.push(head);
            open.is_handed_over = true;
            self.begin_body(Direction::Server, body);
            return true;
        }
        let open = &mut self.queue.open[index];
        sink.event(EventKind::ResponseHead {
            exchange: open.id.clone(),
            head: head.clone(),
            time: place.first_byte,
        });
        open.response_progress.parts = Parts::of(&head.fields, Direction::Server);
        open.response.head = Some(head);
        open.response.state = MessageState::Incomplete;
        open.response.framing = framing_of(body);
        open.response.offset = place.offset;
        open.response.first_byte = place.first_byte;
        open.response.last_byte = place.last_byte;
        open.response_progress.flags.merge(flags);
        open.response_progress.damaged = false;
        self.begin_body(Direction::Server, body);
        true
    }

    /// The connection becomes something else after the exchange at `index`, whose response's head
    /// ends at `end`. True when its successor goes on with the exchange.
    fn switch(&mut self, index: usize, end: u64, response: &ResponseHead) -> bool {
        let open = &self.queue.open[index];
        let switch = Switch {
            exchange: &open.id,
            request: open.request.head.as_ref(),
            response,
            response_start: open.response_start.unwrap_or(open.response.offset),
            from: Watermark {
                client: self.client.consumed,
                server: end,
            },
            first_index: self.queue.next_index + self.queue.open.len() as u32,
        };
        let successor = protocol::successor(&switch);
        let adopts = successor.adopts();
        self.successor = Some(successor);
        adopts
    }

    /// What answers a request of HTTP/0.9 is a body and nothing else; true when one begins.
    pub(super) fn begins_simple_response(&mut self) -> bool {
        let Some(index) = self.queue.answering() else {
            return false;
        };
        let open = &mut self.queue.open[index];
        let is_simple = open
            .request
            .head
            .as_ref()
            .is_some_and(|head| head.version.is_empty() && head.fields.is_empty());
        if !is_simple
            || self.server.is_lost()
            || probe::accept(Direction::Server, self.server.front()) != Claim::NotMine
        {
            return false;
        }
        open.response_start = Some(self.server.consumed);
        open.response.offset = self.server.consumed;
        open.response.first_byte = self.server.last_time();
        open.response.framing = Framing::Close;
        self.server.state = State::UntilClose;
        true
    }

    /// True while what the client sent last can only be understood with the response to come.
    pub(super) fn is_blocked(&self) -> bool {
        self.successor.is_none()
            && !self.server.ended
            && !self.releases
            && self.queue.open.back().is_some_and(|open| {
                open.request_progress.done && !open.response_progress.done && open.may_switch()
            })
    }
}
