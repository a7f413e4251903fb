//! The round trip of a handshake.

use crate::segment::Direction;
use crate::time::Timestamp;

/// A SYN that comes again sooner than this was captured twice, not sent twice: nobody sends it
/// again before 200 ms have passed (RFC 6298, section 2, says 1 s).
const SEEN_AGAIN_NS: u64 = 100_000_000;

/// Times of SYN and SYN-ACK.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Handshake {
    syn: Option<Timestamp>,
    syn_ack: Option<Timestamp>,
    /// A retransmitted SYN or SYN-ACK: which of them was answered is unknown.
    ambiguous: bool,
}

impl Handshake {
    pub fn syn(&mut self, time: Timestamp) {
        self.ambiguous |= is_sent_again(self.syn, time);
        self.syn.get_or_insert(time);
    }

    pub fn syn_ack(&mut self, time: Timestamp) {
        self.ambiguous |= is_sent_again(self.syn_ack, time);
        self.syn_ack.get_or_insert(time);
    }

    /// When the SYN was seen, until it is answered.
    pub fn opening(&self) -> Option<Timestamp> {
        match self.syn_ack {
            Some(_) => None,
            None => self.syn,
        }
    }

    /// True when a segment with ACK and without SYN ends the handshake: the client's first one.
    pub fn acknowledgement(&self, sender: Direction) -> bool {
        sender == Direction::Client && self.syn_ack.is_some()
    }

    /// From SYN to the acknowledgement of SYN-ACK at `end`, wherever between both ends the
    /// capture was made. None when a part is missing or was sent twice.
    pub fn round_trip_ns(&self, end: Timestamp) -> Option<u64> {
        match self.ambiguous {
            true => None,
            false => Some(end.since_ns(self.syn?)),
        }
    }
}

fn is_sent_again(first: Option<Timestamp>, time: Timestamp) -> bool {
    first.is_some_and(|first| time.since_ns(first) >= SEEN_AGAIN_NS)
}
