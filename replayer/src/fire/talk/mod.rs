//! The protocols that are spoken with a twin, each without I/O.

pub(crate) mod commands;
pub(crate) mod http1;
pub(crate) mod http2;
mod socket;

use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;

use super::connection::Fate;
use super::ear::EarlyValue;
use super::response::RawAnswer;
use super::schedule::Release;
use super::tempo::{Dues, Moment};
use super::websocket::Script;
use super::wire::Wire;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) release: Release,
    pub(crate) method: Bytes,
    /// What to send again should a kept-alive connection end; for safe methods.
    pub(crate) again: Option<Wire>,
    /// Run time is clock time minus this.
    pub(crate) origin_ns: u64,
    /// Clock times; 0 while it has not happened.
    pub(crate) released_ns: u64,
    pub(crate) first_byte_ns: u64,
    /// How far the plan was when it was released.
    pub(crate) released_plan_ns: u64,
    /// How long it says something after that, in the plan's time.
    pub(crate) lasts_ns: u64,
    /// It waited for the twin to take one more stream.
    pub(crate) has_waited: bool,
    /// How often it was sent again because the twin had not processed it.
    pub(crate) times_unprocessed: u8,
    /// What follows, where it opens a WebSocket.
    pub(crate) script: Option<Arc<Script>>,
    /// Paths of values that others use of the answer, where that may go on after them.
    pub(crate) wanted: Option<Arc<[Arc<str>]>>,
    /// What followed lacked values of the twin.
    pub(crate) lacks_values: bool,
    /// What followed went out without what it waited for.
    pub(crate) lines_expired: bool,
    /// Messages of the twin that the answer tells of by their bytes alone.
    pub(crate) messages_not_kept: u64,
}

impl InFlight {
    pub(crate) fn new(release: Release, method: Bytes, origin_ns: u64) -> InFlight {
        InFlight {
            release,
            method,
            again: None,
            origin_ns,
            released_ns: 0,
            first_byte_ns: 0,
            released_plan_ns: 0,
            lasts_ns: 0,
            has_waited: false,
            times_unprocessed: 0,
            script: None,
            wanted: None,
            lacks_values: false,
            lines_expired: false,
            messages_not_kept: 0,
        }
    }
}

/// What became of a request while its connection goes on.
#[derive(Debug)]
pub(crate) enum Settlement {
    /// A whole answer.
    Answered(Box<RawAnswer>),
    /// No answer: the outcome's kind and what was seen.
    Failed(&'static str, String),
    /// The twin says that it did not process it, so that this may be sent again.
    Unprocessed(Wire),
}

/// A request that is not in flight any more.
pub(crate) type Settled = (InFlight, Settlement);

/// A request that its connection left without an answer.
#[derive(Debug)]
pub(crate) struct Stranded {
    pub(crate) request: InFlight,
    /// A byte of its answer had come.
    pub(crate) has_begun: bool,
    /// Its answer would have come after that of another that failed.
    pub(crate) is_behind: bool,
}

/// Called for each request whose first byte went out, after it did; gives the
/// clock time that it noted.
pub(crate) type Released<'a> = &'a mut dyn FnMut(&mut InFlight);

/// One side of a connection: requests in, bytes out; bytes in, answers out.
///
/// [`push`](Talk::push) requests; write what [`slices`](Talk::slices) gives and say
/// so by [`advance`](Talk::advance), after each `push`, after each `receive` and at
/// its [`dues`](Talk::dues).
pub(crate) trait Talk: fmt::Debug {
    /// Lines up a request.
    fn push(&mut self, request: InFlight, wire: Wire);

    /// Puts what is to be written by this moment into `slices`, and says into how many
    /// of them.
    fn slices<'a>(&'a mut self, now: Moment, slices: &mut [IoSlice<'a>]) -> usize;

    /// So many bytes of the slices were written.
    fn advance(&mut self, written: usize, released: Released<'_>);

    /// When after this moment more is to be written, where it is known.
    fn dues(&self, now: Moment) -> Dues;

    /// Takes bytes of the twin at this clock time. Requests that this settles go to `settled`; a fate
    /// is that of the connection.
    fn receive(&mut self, input: &[u8], now_ns: u64, settled: &mut Vec<Settled>) -> Option<Fate>;

    /// Takes values of answers that go on, each with its request's position.
    fn take_heard(&mut self, _heard: &mut Vec<(u32, EarlyValue)>) {}

    /// Settles what is over by this moment, with everything written.
    fn settle(&mut self, _now: Moment, _settled: &mut Vec<Settled>) {}

    /// The twin ended its side.
    fn end(&mut self, settled: &mut Vec<Settled>) -> Fate;

    /// Requests in flight.
    fn in_flight(&self) -> usize;

    /// The request at this position, if it is one of them.
    fn request(&self, position: u32) -> Option<&InFlight>;

    /// Gives up one request alone, where the others can go on.
    fn cancel(&mut self, position: u32) -> Option<InFlight>;

    /// True when answers come in the order of requests, each holding up the next.
    fn is_in_order(&self) -> bool;

    /// True when what the twin sends may call for something to be written.
    fn talks_back(&self) -> bool {
        !self.is_in_order()
    }

    /// True when another request may be lined up.
    fn takes_more(&self) -> bool;

    /// The requests in flight, when the connection is gone.
    fn strand(&mut self) -> Vec<Stranded>;
}
