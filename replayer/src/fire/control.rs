//! Steering a run and watching it from other threads.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use twintap_verdict::observation::Twin;

use super::lateness::{LatenessCounters, LatenessCounts};

/// Steers one run. Clones steer the same run.
#[derive(Clone, Debug)]
pub struct RunControl {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    /// One for each firing thread there can be.
    wakes: [OwnedFd; 2],
    /// The bits of the speed that was asked for; 0 is no speed, and none was.
    speed: AtomicU64,
    /// Recorded nanoseconds to go on from, until the run does; 0 without a seek.
    seek_ns: AtomicU64,
    following: Mutex<Option<Following>>,
    /// A bit for each twin that can't be reached.
    down: AtomicU8,
    /// Recorded nanoseconds from the plan's first request that are past.
    position_ns: Counter,
    planned: Counter,
    twins: [Counters; MOST_TWINS],
}

/// How a run is that follows what is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Following {
    /// From the sending of a recorded request to its being due, now.
    pub lag: Duration,
    /// Windows planned.
    pub windows: u64,
    /// Requests that were stored too late to be due in their place.
    pub tardy: u64,
    /// Exchanges that retention removed before they were planned.
    pub missed: u64,
    /// Earlier exchanges that requests to come may refer to.
    pub kept: u64,
    /// Earlier exchanges that they can't refer to any more.
    pub forgotten: u64,
}

/// Why a run is not steered as was asked.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum SteerError {
    /// No such speed.
    #[error("speed must be from {least} to {most}, not {asked}", least = SPEEDS.0, most = SPEEDS.1)]
    Speed {
        /// The speed.
        asked: f64,
    },
    /// It lies behind.
    #[error(
        "the run is at {position:?} of the recording and can't go back to {asked:?}: the twins keep what was done to them"
    )]
    Backward {
        /// The place in the recording that was asked for.
        asked: Duration,
        /// Where the run is.
        position: Duration,
    },
}

/// The lowest and the highest speed.
const SPEEDS: (f64, f64) = (0.1, 100.0);

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
    pub(crate) unbound: Counter,
    pub(crate) lateness: LatenessCounters,
}

/// A number that one thread changes and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
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
    /// Requests that lacked a value of the twin's own: fired with the recorded one, or
    /// skipped.
    pub unbound: u64,
}

impl RunControl {
    /// A run that goes on once it starts.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<RunControl> {
        let wake = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        Ok(RunControl {
            shared: Arc::new(Shared {
                state: AtomicU8::new(0),
                wakes: [wake()?, wake()?],
                speed: AtomicU64::new(0),
                seek_ns: AtomicU64::new(0),
                following: Mutex::default(),
                down: AtomicU8::new(0),
                position_ns: Counter::default(),
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

    /// From now on the recorded times go by `speed` times as fast as recorded, as
    /// the run file's `speed` says at the start. What was due stays due.
    ///
    /// # Errors
    /// When the speed is not within 0.1 to 100.
    pub fn set_speed(&self, speed: f64) -> Result<(), SteerError> {
        if !(SPEEDS.0..=SPEEDS.1).contains(&speed) {
            return Err(SteerError::Speed { asked: speed });
        }
        self.shared.speed.store(speed.to_bits(), Ordering::Release);
        self.wake();
        Ok(())
    }

    /// Goes on from `offset` of the recording, counted from the plan's first
    /// request. What is not due until there is not fired and counts as `seeked`.
    ///
    /// # Errors
    /// When that is behind: the twins' state can't be taken back.
    pub fn seek(&self, offset: Duration) -> Result<(), SteerError> {
        let offset_ns = u64::try_from(offset.as_nanos()).unwrap_or(u64::MAX);
        let to_ns = self.shared.seek_ns.load(Ordering::Acquire);
        let position_ns = self.shared.position_ns.get().max(to_ns);
        if offset_ns < position_ns {
            return Err(SteerError::Backward {
                asked: offset,
                position: Duration::from_nanos(position_ns),
            });
        }
        self.shared.seek_ns.fetch_max(offset_ns, Ordering::AcqRel);
        self.wake();
        Ok(())
    }

    /// How far the recording is gone through, from the plan's first request.
    pub fn position(&self) -> Duration {
        Duration::from_nanos(self.shared.position_ns.get())
    }

    /// The speed that was asked for last while it ran.
    pub fn speed(&self) -> Option<f64> {
        let speed = f64::from_bits(self.shared.speed.load(Ordering::Acquire));
        (speed > 0.0).then_some(speed)
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
            unbound: counters.unbound.get(),
        }
    }

    /// How much later than due a twin's requests went out so far, those that have
    /// their outcome.
    pub fn lateness(&self, twin: Twin) -> LatenessCounts {
        self.counters(twin).lateness.read()
    }

    /// Recorded nanoseconds to go on from, told once: to the firing thread that leads.
    pub(crate) fn take_seek(&self) -> Option<u64> {
        let seek_ns = &self.shared.seek_ns;
        if seek_ns.load(Ordering::Acquire) == 0 {
            return None;
        }
        Some(seek_ns.swap(0, Ordering::AcqRel)).filter(|&to_ns| to_ns > 0)
    }

    pub(crate) fn set_position(&self, recorded_ns: u64) {
        self.shared.position_ns.set(recorded_ns);
    }

    pub(crate) fn add_planned(&self, more: u64) {
        self.shared.planned.add(more);
    }

    /// How far behind what is captured the run is, if it follows that.
    pub fn following(&self) -> Option<Following> {
        *self.lock_following()
    }

    pub(crate) fn set_following(&self, following: Following) {
        *self.lock_following() = Some(following);
    }

    fn lock_following(&self) -> MutexGuard<'_, Option<Following>> {
        let following = &self.shared.following;
        // It is replaced as a whole.
        following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether a twin can be reached.
    pub fn set_down(&self, twin: Twin, is_down: bool) {
        let bit = 1 << index(twin);
        let before = if is_down {
            self.shared.down.fetch_or(bit, Ordering::AcqRel)
        } else {
            self.shared.down.fetch_and(!bit, Ordering::AcqRel)
        };
        if (before & bit != 0) != is_down {
            self.wake();
        }
    }

    /// Whether a twin can't be reached.
    pub fn is_a_twin_down(&self) -> bool {
        self.shared.down.load(Ordering::Acquire) != 0
    }

    pub(crate) fn counters(&self, twin: Twin) -> &Counters {
        &self.shared.twins[index(twin)]
    }

    /// The descriptor that [`wake_one`](Self::wake_one) makes readable.
    pub(crate) fn wake_fd(&self, thread: usize) -> &OwnedFd {
        &self.shared.wakes[thread]
    }

    /// Ends the sleep of all firing threads.
    pub(crate) fn wake(&self) {
        for thread in 0..self.shared.wakes.len() {
            self.wake_one(thread);
        }
    }

    /// Ends a firing thread's sleep.
    pub(crate) fn wake_one(&self, thread: usize) {
        // It can only fail by being full of wake-ups, and one is enough.
        let _ = rustix::io::write(self.wake_fd(thread), &1u64.to_ne_bytes());
    }

    /// Takes back all wake-ups of a firing thread.
    pub(crate) fn clear_wake(&self, thread: usize) {
        let mut count = [0; 8];
        // It can only fail by there being none.
        let _ = rustix::io::read(self.wake_fd(thread), &mut count);
    }

    fn steer(&self, from: u8, to: u8) {
        let state = &self.shared.state;
        let changed = state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        if changed.is_ok() {
            self.wake();
        }
    }
}

/// Place of a twin in arrays of all.
pub(crate) fn index(twin: Twin) -> usize {
    match twin {
        Twin::Candidate => 0,
        Twin::Baseline => 1,
        Twin::SecondBaseline => 2,
    }
}

/// Which of so many firing threads fires at a twin: the second baseline goes with the baseline.
pub(crate) fn thread_of(twin: Twin, threads: usize) -> usize {
    index(twin).min(threads.saturating_sub(1))
}

/// The twins that every run has, each at its [`index`].
pub(crate) const TWINS: [Twin; 2] = [Twin::Candidate, Twin::Baseline];
/// How many twins a run can have.
pub(crate) const MOST_TWINS: usize = TWINS.len() + 1;
