//! Time, and waiting for sockets until an absolute deadline.

use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll;

pub use rustix::event::epoll::EventFlags;

/// Nanoseconds of a monotonic clock from when this was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: Instant,
}

impl Clock {
    /// A clock that shows 0 now.
    pub fn start() -> Clock {
        Clock {
            base: Instant::now(),
        }
    }

    /// What it shows.
    pub fn now_ns(self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The sockets that are waited for.
#[derive(Clone, Debug)]
pub struct Registry {
    epoll: Arc<OwnedFd>,
}

impl Registry {
    /// None yet.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<Registry> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Registry {
            epoll: Arc::new(epoll),
        })
    }

    /// Reports `source`'s edges (readable, writable, ended) under `token`. Closing
    /// it takes it out.
    ///
    /// # Errors
    /// When the kernel has no room for it.
    pub fn add(&self, source: impl AsFd, token: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, source, epoll::EventData::new_u64(token), flags)?;
        Ok(())
    }
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The token that the socket was added with.
    pub token: u64,
    /// What it is ready for.
    pub flags: EventFlags,
}

/// Waits for sockets, edge by edge, and for deadlines.
///
/// The kernel wakes a thread some time after the deadline it asked for. So the
/// thread asks for an earlier one and spins the rest; by how much earlier follows
/// what the kernel did lately, and has a bound, because whoever spins takes the
/// processor from the twins.
pub struct Poll {
    registry: Registry,
    clock: Clock,
    events: Vec<epoll::Event>,
    early_ns: u64,
    max_early_ns: u64,
    spun_ns: u64,
}

const EVENTS_AT_ONCE: usize = 256;
/// The longest time for which nobody looks at the sockets.
const LOOK_AGAIN_NS: u64 = 20_000;

impl Poll {
    /// Waits for what `registry` has, and spins at most `max_early_ns` before a
    /// deadline. Sets the calling thread's timer slack, so make it on the thread
    /// that waits.
    pub fn new(registry: Registry, clock: Clock, max_early_ns: u64) -> Poll {
        // The default slack of 50 us would come on top of each wake-up. Without
        // the right to change it the waits are late by that much, and reported so.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        Poll {
            registry,
            clock,
            events: Vec::with_capacity(EVENTS_AT_ONCE),
            early_ns: max_early_ns / 2,
            max_early_ns,
            spun_ns: 0,
        }
    }

    /// Waits until something is ready or, shortly before `deadline_ns`, until it
    /// is time to [`spin`](Self::spin_until). Without a deadline it waits for
    /// events alone.
    pub fn wait(&mut self, deadline_ns: Option<u64>, ready: &mut Vec<Ready>) {
        let before = self.clock.now_ns();
        let wake_ns = deadline_ns.map(|deadline| deadline.saturating_sub(self.early_ns));
        let sleep_ns = wake_ns.map(|wake| wake.saturating_sub(before));
        let timeout = sleep_ns.map(|ns| Timespec {
            tv_sec: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (ns % 1_000_000_000) as _,
        });
        self.events.clear();
        // Being interrupted is no event; the caller's loop comes back.
        let waited = epoll::wait(
            &self.registry.epoll,
            spare_capacity(&mut self.events),
            timeout.as_ref(),
        );
        if waited.is_ok()
            && self.events.is_empty()
            && let (Some(wake), Some(1..)) = (wake_ns, sleep_ns)
        {
            self.learn(self.clock.now_ns().saturating_sub(wake));
        }
        ready.extend(self.events.iter().map(|event| Ready {
            token: event.data.u64(),
            flags: event.flags,
        }));
    }

    /// Spins until `deadline_ns` if that is near enough; says whether it was.
    pub fn spin_until(&mut self, deadline_ns: u64) -> bool {
        let start = self.clock.now_ns();
        if deadline_ns > start.saturating_add(self.early_ns) {
            return false;
        }
        let until_ns = deadline_ns.min(start + LOOK_AGAIN_NS);
        let mut now = start;
        while now < until_ns {
            std::hint::spin_loop();
            now = self.clock.now_ns();
        }
        self.spun_ns += now - start;
        until_ns == deadline_ns
    }

    /// Nanoseconds spun so far.
    pub fn spun_ns(&self) -> u64 {
        self.spun_ns
    }

    /// Follows a high quantile of how late wake-ups are: quickly up, slowly down.
    fn learn(&mut self, late_ns: u64) {
        let step = (self.max_early_ns / 200).max(1);
        self.early_ns = if late_ns > self.early_ns {
            (self.early_ns + 100 * step).min(self.max_early_ns)
        } else {
            self.early_ns
                .saturating_sub(step)
                .max(1000.min(self.max_early_ns))
        };
    }
}
