//! Firing threads look after one another.
//!
//! A thread sleeps until shortly before something is due, and is woken on the processor on
//! which it slept. Where another program is in a long system call there, or the kernel does
//! work of its own, most kernels finish that first, whoever waits (`preempt=none` and
//! `voluntary`): requests would go out milliseconds late. A thread that runs meanwhile takes
//! such a sleeper over to its own processor.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::control::{RunControl, TWINS};
use super::poll::Clock;

/// How late a sleeper may be without anything being wrong, in nanoseconds: as long as an idle
/// processor of a virtual machine may take to wake.
const GRACE_NS: u64 = 100_000;
/// For how long a thread that was taken over, and the one that did it, stay where they are:
/// the other processor may take as long to come back, and the kernel would send either there.
const KEEP_NS: u64 = 3_000_000;
/// In place of a time to wake at: it does not sleep.
const AWAKE: u64 = u64::MAX;

/// Where each firing thread sleeps, for the others to see.
#[derive(Debug, Default)]
pub(crate) struct Beds([Bed; TWINS.len()]);

#[derive(Debug)]
struct Bed {
    sleeper: OnceLock<Sleeper>,
    /// Clock time at which the sleeper wanted to be awake at the latest.
    until_ns: AtomicU64,
    /// Clock time until which the sleeper is kept to one processor; 0 if it is not.
    kept_until_ns: AtomicU64,
    /// How often it was taken over.
    moved: AtomicU64,
}

#[derive(Debug)]
struct Sleeper {
    thread: Pid,
    /// Where it may run.
    processors: CpuSet,
}

impl Default for Bed {
    fn default() -> Bed {
        Bed {
            sleeper: OnceLock::new(),
            until_ns: AtomicU64::new(AWAKE),
            kept_until_ns: AtomicU64::new(0),
            moved: AtomicU64::new(0),
        }
    }
}

impl Beds {
    /// The calling thread is this one of the firing threads.
    pub(crate) fn take(&self, thread: usize) {
        // Where the system tells nothing, nobody is moved.
        if let Ok(processors) = sched_getaffinity(None)
            && processors.count() > 1
        {
            let sleeper = Sleeper {
                thread: gettid(),
                processors,
            };
            let _ = self.0[thread].sleeper.set(sleeper);
        }
    }

    /// The thread goes to sleep, until a clock time at the latest.
    pub(crate) fn sleeps(&self, thread: usize, until_ns: Option<u64>) {
        let until_ns = until_ns.unwrap_or(AWAKE);
        self.0[thread].until_ns.store(until_ns, Ordering::Release);
    }

    /// The thread is awake. Where it was kept to a processor for long enough, it may run
    /// wherever it might.
    pub(crate) fn wakes(&self, thread: usize, clock: Clock) {
        let bed = &self.0[thread];
        bed.until_ns.store(AWAKE, Ordering::Release);
        let kept_until_ns = bed.kept_until_ns.load(Ordering::Acquire);
        if kept_until_ns > 0
            && clock.now_ns() >= kept_until_ns
            && let Some(sleeper) = bed.sleeper.get()
        {
            bed.kept_until_ns.store(0, Ordering::Relaxed);
            // It was allowed before; else the thread stays where it is.
            let _ = sched_setaffinity(Some(sleeper.thread), &sleeper.processors);
        }
    }

    /// Takes over whoever should be awake and is not. Gives when to look again, if someone
    /// is late by less than it may be.
    pub(crate) fn look(&self, thread: usize, now_ns: u64, control: &RunControl) -> Option<u64> {
        let others = (0..self.0.len()).filter(|other| *other != thread);
        let again = others.filter_map(|other| {
            let bed = &self.0[other];
            let until_ns = bed.until_ns.load(Ordering::Acquire);
            let overdue_ns = now_ns.checked_sub(until_ns)?;
            if overdue_ns < GRACE_NS {
                return Some(until_ns + GRACE_NS);
            }
            let still =
                bed.until_ns
                    .compare_exchange(until_ns, AWAKE, Ordering::AcqRel, Ordering::Relaxed);
            let mut here = CpuSet::new();
            here.set(sched_getcpu());
            // The caller too, or the kernel makes room for the other by sending the caller
            // where that one can't run.
            if still.is_ok()
                && self.0[thread].keep(&here, now_ns + KEEP_NS)
                && bed.keep(&here, now_ns + KEEP_NS)
            {
                bed.moved.fetch_add(1, Ordering::Relaxed);
                // Its own timer may wait for that processor too.
                control.wake_one(other);
            }
            None
        });
        again.min()
    }

    /// How often a thread was taken over.
    pub(crate) fn moved(&self) -> u64 {
        let all = self.0.iter();
        all.map(|bed| bed.moved.load(Ordering::Relaxed)).sum()
    }
}

impl Bed {
    /// Keeps the sleeper to these processors; says whether that went well.
    fn keep(&self, processors: &CpuSet, until_ns: u64) -> bool {
        let Some(sleeper) = self.sleeper.get() else {
            return false;
        };
        let is_kept = sched_setaffinity(Some(sleeper.thread), processors).is_ok();
        if is_kept {
            // Whenever it wakes after that, it may run elsewhere again.
            self.kept_until_ns.store(until_ns, Ordering::Release);
        }
        is_kept
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use super::*;

    /// A control whose first thread is woken.
    fn is_woken(control: &RunControl) -> bool {
        let mut count = [0; 8];
        rustix::io::read(control.wake_fd(0), &mut count).is_ok()
    }

    #[test]
    fn who_oversleeps_is_fetched_once_and_may_run_anywhere_again() {
        let (beds, control) = (Beds::default(), RunControl::new().expect("a control"));
        let may_wake = AtomicBool::new(false);
        let now = || sched_getaffinity(None).expect("it is told");
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                beds.take(0);
                let clock = Clock::start();
                let before = now();
                beds.sleeps(0, Some(1_000));
                let deadline = Instant::now() + Duration::from_secs(60);
                while !may_wake.load(Ordering::Acquire) && Instant::now() < deadline {
                    std::thread::yield_now();
                }
                let kept = now();
                while clock.now_ns() < 1_000 + GRACE_NS + KEEP_NS {
                    std::thread::yield_now();
                }
                beds.wakes(0, clock);
                (before, kept, now())
            });
            let fetcher = scope.spawn(|| {
                beds.take(1);
                while beds.0[0].until_ns.load(Ordering::Acquire) == AWAKE {
                    std::thread::yield_now();
                }
                assert_eq!(beds.look(1, 900, &control), None);
                assert_eq!(beds.look(1, 1_000, &control), Some(1_000 + GRACE_NS));
                assert!(!is_woken(&control));
                for _ in 0..2 {
                    assert_eq!(beds.look(1, 1_000 + GRACE_NS, &control), None);
                }
                may_wake.store(true, Ordering::Release);
                now()
            });
            let here = fetcher.join().expect("it does not panic");
            let (before, kept, after) = sleeper.join().expect("it does not panic");
            assert_eq!(before, after);
            assert_eq!((kept.count(), kept), (1, here));
            // A machine with one processor has nowhere to move it.
            let could_move = before.count() > 1;
            assert_eq!(
                (beds.moved() == 1, is_woken(&control)),
                (could_move, could_move)
            );
        });
    }

    #[test]
    fn who_is_awake_is_left_alone() {
        let (beds, control) = (Beds::default(), RunControl::new().expect("a control"));
        let look = |beds: &Beds| beds.look(1, AWAKE - 1, &control);
        beds.sleeps(0, None);
        assert_eq!(look(&beds), None);
        beds.sleeps(0, Some(1_000));
        beds.wakes(0, Clock::start());
        assert_eq!(look(&beds), None);
        assert_eq!((beds.moved(), is_woken(&control)), (0, false));
    }
}
