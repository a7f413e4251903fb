//! Places in the line for a processor.

use std::io;

use super::ledger::thread_cpu_ns;

/// The longest turn beside others, in nanoseconds: who asks for short turns gets them soon.
const SLICE_NS: u64 = 100_000;
/// How much it goes before others where it may (see `nice(2)`).
const NICE: i32 = -10;
/// How much it lets others go first where it runs beside another run.
const NICE_BEHIND: i32 = 10;
/// The lowest of the real-time priorities.
const REAL_TIME: u32 = 1;

/// How often the firing thread's share of a processor is looked at.
const LOOK_NS: u64 = 200_000_000;
/// With a larger share of what it may have than this it goes first no more: it would take the processor from
/// those whose answers it wants, and the kernel takes it from who is always first.
const BUSY: f64 = 0.85;
/// With a smaller one it goes first again.
const AT_LEISURE: f64 = 0.7;

/// How far the firing thread goes before others: before all, as long as it waits enough
/// and there are due times to be met, since a request that is due must not wait until a
/// twin, or the comparison, has had its turn.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Of a processor, what it may have.
    most: f64,
    place: Place,
    looked_ns: u64,
    cpu_ns: u64,
    /// A due time lay ahead since it was looked at last.
    is_timely: bool,
}

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before all.
    First,
    /// Before others, which get their share.
    Ahead,
    /// As before, in turns of the usual length: what came meanwhile is dealt with together,
    /// which costs least.
    Batched,
    /// Where the thread that began the run is.
    Given,
}

impl Standing {
    /// Leaves the calling thread where it is.
    pub(crate) fn given() -> Standing {
        Standing {
            most: 1.0,
            place: Place::Given,
            looked_ns: 0,
            cpu_ns: 0,
            is_timely: false,
        }
    }

    /// Puts the calling thread before all others, as far as the system lets it, while it
    /// needs no more than about `most` of a processor.
    pub(crate) fn first(now_ns: u64, most: f64) -> Standing {
        go_first();
        Standing {
            most,
            place: Place::First,
            looked_ns: now_ns,
            cpu_ns: thread_cpu_ns(),
            is_timely: false,
        }
    }

    /// Looks, now and then, whether the thread waits enough. `due_ns` is when the next
    /// request is due, on the clock.
    pub(crate) fn look(&mut self, now_ns: u64, due_ns: Option<u64>) {
        if self.place == Place::Given {
            return;
        }
        self.is_timely |= due_ns.is_some_and(|due_ns| due_ns > now_ns);
        let wall_ns = now_ns.saturating_sub(self.looked_ns);
        if wall_ns < LOOK_NS {
            return;
        }
        let cpu_ns = thread_cpu_ns();
        let share = cpu_ns.saturating_sub(self.cpu_ns) as f64 / wall_ns as f64;
        (self.looked_ns, self.cpu_ns) = (now_ns, cpu_ns);
        let place = if !std::mem::take(&mut self.is_timely) {
            Place::Batched
        } else if may_go_first(self.place == Place::First, share / self.most) {
            Place::First
        } else {
            Place::Ahead
        };
        if place != self.place {
            self.place = place;
            match place {
                Place::First => go_first(),
                Place::Ahead => go_ahead(),
                Place::Batched => go_batched(),
                Place::Given => {}
            }
        }
    }
}

/// Whether a thread that has this share of a processor may go first.
fn may_go_first(is_first: bool, share: f64) -> bool {
    share < if is_first { BUSY } else { AT_LEISURE }
}

fn go_first() {
    // Without the right to it, release errors are larger, and reported so.
    if set(libc::SCHED_FIFO, 0, REAL_TIME, 0).is_err() {
        go_ahead();
    }
}

fn go_batched() {
    if set(libc::SCHED_OTHER, NICE, 0, 0).is_err() {
        let _ = set(libc::SCHED_OTHER, 0, 0, 0);
    }
}

/// Puts the calling thread, and what it starts from now on, behind others that want a
/// processor: for what is fired beside a run.
pub(crate) fn go_behind() {
    // Everybody may step back.
    let _ = set(libc::SCHED_BATCH, NICE_BEHIND, 0, 0);
}

/// Puts the calling thread before others that want a processor as well, and leaves them
/// their share.
pub(crate) fn go_ahead() {
    if set(libc::SCHED_OTHER, NICE, 0, SLICE_NS).is_err() {
        let _ = set(libc::SCHED_OTHER, 0, 0, SLICE_NS);
    }
}

/// `sched_setattr(2)` for the calling thread.
fn set(policy: i32, nice: i32, priority: u32, slice_ns: u64) -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: policy as u32,
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: priority,
        sched_runtime: slice_ns,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of a structure that lives through the call.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_busy_steps_back_until_there_is_leisure() {
        assert!(may_go_first(true, 0.8));
        assert!(!may_go_first(true, 0.9));
        assert!(!may_go_first(false, 0.8));
        assert!(may_go_first(false, 0.5));
    }

    #[test]
    fn who_goes_behind_takes_along_what_it_starts() {
        let behind = std::thread::spawn(|| {
            go_behind();
            std::thread::spawn(|| std::fs::read_to_string("/proc/thread-self/stat")).join()
        });
        let started = behind.join().expect("it does not panic");
        let stat = started.expect("it does not panic").expect("Linux");
        // proc_pid_stat(5): the name, which may have blanks, is the second field, and the nice
        // value the 19th.
        let (_, rest) = stat.rsplit_once(')').expect("a name");
        let nice = rest.split_whitespace().nth(16).map(str::parse::<i32>);
        let nice = nice.expect("19 fields").expect("a number");
        assert!(nice >= NICE_BEHIND, "{nice}");
    }

    #[test]
    fn whoever_may_do_nothing_else_gets_short_turns() {
        let set = std::thread::spawn(|| set(libc::SCHED_OTHER, 0, 0, SLICE_NS));
        assert!(set.join().expect("it does not panic").is_ok());
    }
}
