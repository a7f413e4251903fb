//! What leaves firing: raw outcomes, for one thread that compares.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use twintap_plan::SkipReason;
use twintap_verdict::observation::{Timing, Twin};

use super::control::RunControl;
use super::response::RawAnswer;

/// What one twin did with one request, raw: it must not reach a disk.
#[derive(Debug)]
pub struct RawOutcome {
    /// Position in the plan.
    pub position: u32,
    /// The twin.
    pub twin: Twin,
    /// What it did.
    pub result: RawResult,
    /// When, where the request went out.
    pub timing: Option<Timing>,
}

/// What a twin did.
#[derive(Debug)]
pub enum RawResult {
    /// It answered.
    Answered(Box<RawAnswer>),
    /// It did not.
    Errored {
        /// `connect_refused`, `connect_failed`, `reset`, `timeout`, `closed_early`,
        /// `garbage`, `io` or `stopped`.
        kind: &'static str,
        /// For people.
        detail: String,
    },
    /// A limit of the run kept the request back: `in_flight`, `connections`,
    /// `sockets`, `backlog`, `unreadable`, `unwritable` or `stopped`.
    Refused(String),
    /// It is not to be fired: the plan's reason ([`skip_word`]), [`SEEKED`], or
    /// `unbound` where it uses values of a request that was not fired for that.
    Skipped(&'static str),
}

/// Sees the outcomes of a run, on a thread of its own.
pub trait Witness {
    /// The values at the answer's paths that the plan's `produces` names, in that
    /// order. Later requests wait for it.
    fn values(&mut self, position: u32, answer: &RawAnswer) -> Vec<Option<Bytes>>;

    /// Takes an outcome: for each twin one for each request of the plan.
    fn observe(&mut self, outcome: RawOutcome);

    /// Called a few times a second, whether there are outcomes or not.
    fn tick(&mut self) {}
}

/// The word of the run ledger for what a seek passed over.
pub const SEEKED: &str = "seeked";

/// The word of the run ledger for a reason.
pub fn skip_word(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Unbound => "unbound",
        SkipReason::Incomplete => "incomplete",
        SkipReason::Filtered => "filtered",
    }
}

/// How often [`Witness::tick`] is called.
const TICK: Duration = Duration::from_millis(200);

/// The values of one answer.
pub(crate) type ValuesOf = (u32, Twin, Vec<Option<Bytes>>);

/// Hands outcomes to `witness` until the firing thread is done. Values go first,
/// since requests wait for them.
pub(crate) fn witness_all(
    witness: &mut dyn Witness,
    outcomes: &Receiver<Vec<RawOutcome>>,
    has_users: impl Fn(u32) -> bool,
    values: &Sender<ValuesOf>,
    control: &RunControl,
) {
    let mut unseen = VecDeque::new();
    let take = |witness: &mut dyn Witness, outcome: RawOutcome| {
        if let RawResult::Answered(answer) = &outcome.result
            && has_users(outcome.position)
        {
            let found = witness.values(outcome.position, answer);
            // The firing thread may be gone after a stop.
            let _ = values.send((outcome.position, outcome.twin, found));
            control.wake();
        }
        outcome
    };
    let mut last_tick = Instant::now();
    loop {
        match outcomes.recv_timeout(TICK) {
            Ok(some) => unseen.extend(some.into_iter().map(|outcome| take(witness, outcome))),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        loop {
            while let Ok(some) = outcomes.try_recv() {
                unseen.extend(some.into_iter().map(|outcome| take(witness, outcome)));
            }
            if last_tick.elapsed() >= TICK {
                last_tick = Instant::now();
                witness.tick();
            }
            match unseen.pop_front() {
                Some(outcome) => witness.observe(outcome),
                None => break,
            }
        }
    }
}
