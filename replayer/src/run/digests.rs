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
        let mut exchange = Exchange::of_no_flow(Message::default(), Message::default());
        exchange.response.state = MessageState::Complete;
        self.exchange.finish(exchange).record.response.body_tag
    }
}
