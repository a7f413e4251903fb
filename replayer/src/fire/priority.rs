//! Places in the line for a processor.

use std::io;

/// The longest turn beside others, in nanoseconds: who asks for short turns gets them soon.
const SLICE_NS: u64 = 100_000;
/// How much it goes before others where it may (see `nice(2)`).
const NICE: i32 = -10;
/// The lowest of the real-time priorities.
const REAL_TIME: u32 = 1;

/// Puts the calling thread before all others, as far as the system lets it: a request that
/// is due must not wait until a twin, or the comparison, has had its turn.
///
/// For who waits most of the time, and so takes little from anyone.
pub(crate) fn go_first() {
    // Without the right to it, release errors are larger, and reported so.
    if set(libc::SCHED_FIFO, 0, REAL_TIME, 0).is_err() {
        go_ahead();
    }
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
    fn whoever_may_do_nothing_else_gets_short_turns() {
        let set = std::thread::spawn(|| set(libc::SCHED_OTHER, 0, 0, SLICE_NS));
        assert!(set.join().expect("it does not panic").is_ok());
    }
}
