//! HTTP/2 on a connection that began with HTTP/1 (RFC 7540, section 3.2).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::Http2;
use super::side::{Side, State};
use super::stream::Open;
use super::streams::Streams;
use crate::flags::Flags;
use crate::message::{Exchange, MessageState, RequestHead, field_values};
use crate::protocol::{Parser, Switch};
use crate::segment::Direction;
use crate::sink::Sink;

/// Takes over a connection that a server switched to `h2c`. The HTTP/1 request is stream 1.
pub(super) fn upgrade(switch: &Switch<'_>) -> Option<Box<dyn Parser>> {
    let is_named = switch.response.status == 101
        && field_values(&switch.response.fields, "upgrade")
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"h2c"));
    is_named.then(|| {
        let boxed: Box<dyn Parser> = Box::new(Http2::upgraded(switch));
        boxed
    })
}

impl Http2 {
    fn upgraded(switch: &Switch<'_>) -> Http2 {
        let mut http2 = Http2 {
            client: Side::fresh(switch.from.client, State::Start),
            server: Side::fresh(switch.from.server, State::Header),
            // The exchange that it takes over is counted again.
            streams: Streams::new(switch.first_index.saturating_sub(1)),
            has_preface: false,
            awaits_request: true,
            is_closed: false,
        };
        let mut open = Open::new(switch.exchange.clone());
        if !http2.take_settings(switch.request) {
            open.flag(Direction::Client, "bad_http2_settings");
        }
        http2.open(1, open);
        if !switch.exchange.from_response {
            let offset = switch.exchange.offset;
            http2.streams.touch(1, Direction::Client, offset);
        }
        http2
            .streams
            .touch(1, Direction::Server, switch.response_start);
        http2
    }

    /// The settings of the client are in its request, and acknowledged by the switch; false when
    /// they can't be read. Of a lost request nothing is known.
    fn take_settings(&mut self, request: Option<&RequestHead>) -> bool {
        let Some(request) = request else {
            self.client.announced.forget();
            return true;
        };
        let mut values = field_values(&request.fields, "http2-settings");
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value,
            _ => return false,
        };
        let Ok(payload) = BASE64_URL_SAFE_NO_PAD.decode(value) else {
            return false;
        };
        let mut flags = Flags::default();
        self.client.announced.announce(&payload, &mut flags);
        let settings = self.client.announced.acknowledge();
        self.server.decoder.allow(settings.table_bytes);
        payload.len().is_multiple_of(6) && flags == Flags::default()
    }

    /// HTTP/1 hands over the request that the upgrade came with, and the 101.
    pub(super) fn take_request(&mut self, exchange: Exchange, sink: &mut Sink<'_>) {
        if !std::mem::take(&mut self.awaits_request) {
            return;
        }
        let Some(open) = self.streams.get(1) else {
            return;
        };
        open.request = exchange.request;
        open.response.flags = exchange.response.flags;
        let later = std::mem::replace(&mut open.interim, exchange.interim);
        open.interim.extend(later);
        let is_complete = open.request.state == MessageState::Complete;
        let progress = open.progress_mut(Direction::Client);
        progress.is_begun = true;
        progress.is_done = true;
        progress.is_damaged = !is_complete;
        match self.is_closed {
            true => self.give_up(1, Direction::Server, sink),
            false => self.settle(1, sink),
        }
    }
}
