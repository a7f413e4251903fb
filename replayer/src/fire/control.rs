//! Steering a run and watching it from other threads.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use serde::{Deserialize, Serialize};
use twintap_verdict::observation::Twin;

/// Steers one run. Clones steer the same run.
#[derive(Clone, Debug)]
pub struct RunControl {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    wake: OwnedFd,
    planned: Counter,
    twins: [Counters; 2],
}

/// What a run was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Steering {
    /// Go on.
    Go,
    /// Fire nothing; what is left keeps its spacing when the run goes on.
    Pause,
    /// Fire nothing more; what is left is refused as `stopped`.
    Stop,
}

/// Counters of one twin, live.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) answered: Counter,
    pub(crate) errored: Counter,
    pub(crate) refused: Counter,
    pub(crate) skipped: Counter,
    pub(crate) in_flight: Counter,
}

/// A number that one thread changes and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far one twin is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwinProgress {
    /// Requests that it answered.
    pub answered: u64,
    /// Requests that it did not answer: an outcome too.
    pub errored: u64,
    /// Requests that a limit of the run kept back.
    pub refused: u64,
    /// Requests that the plan says not to fire.
    pub skipped: u64,
    /// Requests sent, or about to be, and without outcome.
    pub in_flight: u64,
}

impl RunControl {
    /// A run that goes on once it starts.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<RunControl> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(RunControl {
            shared: Arc::new(Shared {
                state: AtomicU8::new(0),
                wake,
                planned: Counter::default(),
                twins: Default::default(),
            }),
        })
    }

    /// Fires nothing until [`resume`](Self::resume). What is in flight goes on.
    pub fn pause(&self) {
        self.steer(0, 1);
    }

    /// Goes on after a pause.
    pub fn resume(&self) {
        self.steer(1, 0);
    }

    /// Ends the run early. It can't be taken back.
    pub fn stop(&self) {
        self.shared.state.store(2, Ordering::Release);
        self.wake();
    }

    /// What the run was told last.
    pub fn steering(&self) -> Steering {
        match self.shared.state.load(Ordering::Acquire) {
            0 => Steering::Go,
            1 => Steering::Pause,
            _ => Steering::Stop,
        }
    }

    /// Requests in the plan; 0 before there is one.
    pub fn planned(&self) -> u64 {
        self.shared.planned.get()
    }

    /// How far a twin is, now.
    pub fn progress(&self, twin: Twin) -> TwinProgress {
        let counters = self.counters(twin);
        TwinProgress {
            answered: counters.answered.get(),
            errored: counters.errored.get(),
            refused: counters.refused.get(),
            skipped: counters.skipped.get(),
            in_flight: counters.in_flight.get(),
        }
    }

    pub(crate) fn set_planned(&self, planned: u64) {
        self.shared.planned.set(planned);
    }

    pub(crate) fn counters(&self, twin: Twin) -> &Counters {
        &self.shared.twins[index(twin)]
    }

    /// The descriptor that [`wake`](Self::wake) makes readable.
    pub(crate) fn wake_fd(&self) -> &OwnedFd {
        &self.shared.wake
    }

    /// Ends the firing thread's sleep.
    pub(crate) fn wake(&self) {
        // It can only fail by being full of wake-ups, and one is enough.
        let _ = rustix::io::write(&self.shared.wake, &1u64.to_ne_bytes());
    }

    /// Takes back all wake-ups.
    pub(crate) fn clear_wake(&self) {
        let mut count = [0; 8];
        // It can only fail by there being none.
        let _ = rustix::io::read(&self.shared.wake, &mut count);
    }

    fn steer(&self, from: u8, to: u8) {
        let state = &self.shared.state;
        let changed = state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        if changed.is_ok() {
            self.wake();
        }
    }
}

/// Place of a twin in arrays of both.
pub(crate) fn index(twin: Twin) -> usize {
    match twin {
        Twin::Candidate => 0,
        Twin::Baseline => 1,
    }
}

/// Both twins, each at its [`index`].
pub(crate) const TWINS: [Twin; 2] = [Twin::Candidate, Twin::Baseline];
