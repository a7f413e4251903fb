//! What leaves firing: raw outcomes, for one thread that compares.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use twintap_plan::{SkipReason, Window};
use twintap_verdict::observation::{Timing, Twin};

use super::batches::ahead;
use super::control::{RunControl, thread_of};
use super::mailbox::Sender;
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
    /// Whether requests of its batch use values of the answer.
    pub has_users: bool,
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
    /// `sockets`, `address`, `backlog`, `unreadable`, `unwritable` or `stopped`.
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

    /// The plan has grown by this, of which outcomes will follow. Of a finite plan
    /// nothing is told.
    fn appended(&mut self, window: &Arc<Window>) {
        let _ = window;
    }

    /// The values at these paths of an answer that came earlier, for requests of a
    /// later window; `None` where no answer came, or it is forgotten. Later requests
    /// wait for it.
    fn carried(
        &mut self,
        producer: u32,
        twin: Twin,
        paths: &[String],
    ) -> Option<Vec<Option<Bytes>>> {
        let _ = (producer, twin, paths);
        None
    }

    /// Called a few times a second, whether there are outcomes or not.
    fn tick(&mut self) {}
}

/// The word of the run ledger for what a seek passed over.
pub const SEEKED: &str = "seeked";
/// The word for what was due while a twin was down.
pub const TWIN_DOWN: &str = "twin_down";
/// The word for what belongs to a session that lost a request while a twin was down.
pub const SHED: &str = "shed";

/// The word for what a run without end had planned ahead when it was stopped.
pub const NOT_DUE: &str = "not_due";

/// The word of the run ledger for a reason.
pub fn skip_word(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Unbound => "unbound",
        SkipReason::Incomplete => "incomplete",
        SkipReason::Filtered => "filtered",
        SkipReason::Protocol => "protocol",
        SkipReason::Login => "login",
        SkipReason::Stream => "stream",
        SkipReason::Administration => "administration",
    }
}

/// How often [`Witness::tick`] is called.
const TICK: Duration = Duration::from_millis(200);

/// What the firing threads tell the one that compares.
#[derive(Debug)]
pub(crate) enum ToWitness {
    /// Outcomes, and nothing else comes of these requests.
    Outcomes(Vec<RawOutcome>),
    /// The plan has grown.
    Appended(Arc<Window>),
    /// Requests of a batch use values of an answer whose outcome was told before.
    Wanted(Wanted),
}

/// Values of an earlier answer that a batch uses.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The first position of the batch.
    pub(crate) first: u32,
    pub(crate) producer: u32,
    pub(crate) twin: Twin,
    pub(crate) paths: Vec<String>,
}

/// What it tells a firing thread.
#[derive(Debug)]
pub(crate) enum FromWitness {
    /// The values of an answer, for its own batch.
    Values(u32, Twin, Vec<Option<Bytes>>),
    /// What was wanted.
    Carried(Wanted, Option<Vec<Option<Bytes>>>),
}

/// Where the firing threads take up what they are told.
#[derive(Debug)]
pub(crate) struct Answers(pub(crate) Vec<Sender<FromWitness>>);

impl Answers {
    /// Tells the thread that fires at a twin.
    fn send(&self, twin: Twin, told: FromWitness, control: &RunControl) {
        let thread = thread_of(twin, self.0.len());
        // It may be gone after a stop, and takes no values then.
        self.0[thread].send(told);
        control.wake_one(thread);
    }
}

/// Hands outcomes to `witness` until the firing threads are done. Values go first,
/// since requests wait for them.
pub(crate) fn witness_all(
    witness: &mut dyn Witness,
    told: &Receiver<ToWitness>,
    answers: &Answers,
    control: &RunControl,
) {
    let mut unseen = VecDeque::new();
    let mut appended: Option<u32> = None;
    let mut take = |witness: &mut dyn Witness, unseen: &mut VecDeque<RawOutcome>, told| {
        match told {
            ToWitness::Outcomes(some) => {
                for outcome in &some {
                    if let RawResult::Answered(answer) = &outcome.result
                        && outcome.has_users
                    {
                        let found = witness.values(outcome.position, answer);
                        let values = FromWitness::Values(outcome.position, outcome.twin, found);
                        answers.send(outcome.twin, values, control);
                    }
                }
                unseen.extend(some);
            }
            ToWitness::Appended(window) => {
                // Each firing thread tells it, before its outcomes.
                let is_news = appended.is_none_or(|last| ahead(window.first, last) > Some(0));
                if is_news {
                    appended = Some(window.first);
                    witness.appended(&window);
                }
            }
            ToWitness::Wanted(wanted) => {
                // The answer may be among those that wait for their turn.
                while let Some(outcome) = unseen.pop_front() {
                    witness.observe(outcome);
                }
                let found = witness.carried(wanted.producer, wanted.twin, &wanted.paths);
                let twin = wanted.twin;
                answers.send(twin, FromWitness::Carried(wanted, found), control);
            }
        }
    };
    let mut last_tick = Instant::now();
    loop {
        match told.recv_timeout(TICK) {
            Ok(some) => take(witness, &mut unseen, some),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        loop {
            while let Ok(some) = told.try_recv() {
                take(witness, &mut unseen, some);
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
