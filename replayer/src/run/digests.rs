//! Keyed digests of answers that are not held.

use std::sync::Arc;

use bytes::Bytes;
use twintap_scrub::{ExchangeScrubber, LinkTag, Scrubber};
use twintap_stream::message::{Message, MessageState};
use twintap_stream::{Direction, Exchange};

use crate::fire::capture::{BodyDigest, DigestMaker};

/// Makes digests with the scrubber's key, equal to those of archived bodies.
pub fn digests(scrubber: &Scrubber) -> DigestMaker {
    let scrubber = scrubber.clone();
    Arc::new(move || {
        Box::new(ScrubbersDigest {
            exchange: scrubber.exchange(),
        })
    })
}

/// A body of no known type: nothing is kept of it but its digest.
struct ScrubbersDigest {
    exchange: ExchangeScrubber,
}

impl BodyDigest for ScrubbersDigest {
    fn push(&mut self, piece: &[u8]) {
        // What an allowing policy passes on is not kept here.
        let _ = self
            .exchange
            .body(Direction::Server, Bytes::copy_from_slice(piece));
    }

    fn finish(self: Box<Self>) -> Option<LinkTag> {
        let mut exchange = no_exchange();
        exchange.response.state = MessageState::Complete;
        self.exchange.finish(exchange).record.response.body_tag
    }
}

fn no_exchange() -> Exchange {
    let nowhere = ([0, 0, 0, 0], 0).into();
    Exchange {
        id: twintap_stream::ExchangeId {
            node: Arc::from(""),
            boot: 0,
            flow: Default::default(),
            offset: 0,
            from_response: false,
        },
        protocol: twintap_stream::message::Protocol::Http1,
        endpoints: twintap_stream::Endpoints::normalised(nowhere, nowhere),
        round_trip_ns: None,
        flow_began_before_capture: false,
        index_in_flow: 0,
        request: Message::default(),
        response: Message::default(),
        interim: Vec::new(),
    }
}
