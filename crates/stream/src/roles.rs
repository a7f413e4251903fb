//! Who is client and who is server, and where one flow ends and another begins.

use crate::flow::{Flow, NewSyn};
use crate::protocol::{self, Verdict};
use crate::segment::{Direction, Endpoints, Segment, TcpFlags};
use crate::sink::Books;

/// Two SYNs that cross each other are one connection (RFC 9293, section 3.5), whose client is who
/// was seen first. One that comes later than this opens a connection the other way.
const SIMULTANEOUS_NS: u64 = 1_000_000_000;

/// Which end sent a segment of an unknown flow; None when the segment doesn't open one.
pub(crate) fn role_of_sender(ends: Endpoints, segment: &Segment) -> Option<Direction> {
    if segment.flags.has(TcpFlags::SYN) {
        return Some(match segment.flags.has(TcpFlags::ACK) {
            true => Direction::Server,
            false => Direction::Client,
        });
    }
    if segment.payload.is_empty() || segment.flags.has(TcpFlags::RST) {
        return if segment.payload.is_empty() {
            None
        } else {
            Some(Direction::Client)
        };
    }
    let claims = |direction| {
        matches!(
            protocol::probe(direction, &segment.payload, false),
            Verdict::Claimed(_)
        )
    };
    match (claims(Direction::Client), claims(Direction::Server)) {
        (true, false) => return Some(Direction::Client),
        (false, true) => return Some(Direction::Server),
        // Either could have sent it.
        (true, true) | (false, false) => {}
    }
    // A server has the lower port, as a rule.
    Some(match ends.client.port() < ends.server.port() {
        true => Direction::Server,
        false => Direction::Client,
    })
}

/// Why a new flow takes the ends of an older one.
#[derive(Clone, Copy)]
pub(crate) enum Replacing {
    /// The segment is the new flow's SYN.
    ByThis,
    /// The segment answers or continues a SYN seen before.
    BySyn(NewSyn),
}

impl Replacing {
    /// Client and server of the new flow, where `ends` are sender and receiver of a segment in
    /// `direction` of the old one.
    pub fn endpoints(self, ends: Endpoints, direction: Direction) -> Endpoints {
        match self {
            Replacing::BySyn(syn) if syn.sender != direction => ends.swapped(),
            _ => ends,
        }
    }
}

/// Whether a segment begins a new flow between the ends of `flow`.
///
/// A SYN inside a live flow may be forged: it counts when it is answered, or continued.
pub(crate) fn replaces(
    flow: &mut Flow,
    direction: Direction,
    segment: &Segment,
    books: &mut Books,
) -> Option<Replacing> {
    let flags = segment.flags;
    let is_over = flow.closed.is_some() || flow.is_resetting();
    if flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK) {
        let first = segment.sequence_number.wrapping_add(1);
        let is_repeated = flow.half(direction).offset_of(first) == Some(0);
        if is_repeated && direction == Direction::Client {
            return None;
        }
        let is_crossing = direction == Direction::Server
            && !is_over
            && flow.is_empty()
            && flow
                .opening()
                .is_some_and(|syn| segment.time.since_ns(syn) < SIMULTANEOUS_NS);
        if is_crossing {
            return None;
        }
        if is_over || flow.is_empty() || !segment.payload.is_empty() {
            return Some(Replacing::ByThis);
        }
        flow.new_syn = Some(Box::new(NewSyn {
            sequence: segment.sequence_number,
            sender: direction,
            time: segment.time,
        }));
        return None;
    }
    let syn = **flow.new_syn.as_ref()?;
    let first = syn.sequence.wrapping_add(1);
    let is_answer = direction != syn.sender
        && flags.has(TcpFlags::SYN)
        && flags.has(TcpFlags::ACK)
        && segment.acknowledgement == first;
    let is_continued = direction == syn.sender
        && segment.sequence_number == first
        && !flags.has(TcpFlags::RST)
        && !segment.payload.is_empty();
    if is_answer || is_continued {
        return Some(Replacing::BySyn(syn));
    }
    if !segment.payload.is_empty() {
        flow.new_syn = None;
        books.counts.ignored_syns += 1;
    }
    None
}
