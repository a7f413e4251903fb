//! Firing a plan at two twins, or at three: a second baseline may stand beside them.
//!
//! For each twin one thread does all that time hangs on: it waits for due times and
//! sockets, writes requests and reads answers. (There may be one thread for all. The second
//! baseline has none of its own.)
//! Another reads requests from the archive ahead of them, and the caller's thread
//! takes the outcomes: it finds the values that later requests use, scrubs, and hands
//! on to the comparison. Nothing that a firing thread does depends on how fast the
//! others are, apart from requests that wait for values; how time runs they have in
//! common ([`course`]).

mod awake;
mod batches;
pub mod capture;
mod clean;
pub mod command;
mod connection;
pub mod control;
mod course;
mod ear;
pub mod echo;
mod engine;
mod feed;
mod flows;
pub mod http2;
pub mod lateness;
pub mod ledger;
mod link;
mod login;
mod mailbox;
mod moving;
pub mod options;
pub mod outcome;
pub mod poll;
mod priority;
mod rescue;
pub mod response;
pub mod rewrite;
pub mod schedule;
mod slots;
pub mod source;
mod statement;
mod talk;
mod tempo;
#[cfg(test)]
mod testing;
mod timetable;
mod turn;
mod twin;
mod values;
mod wakes;
pub mod websocket;
pub mod wire;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use thiserror::Error;
use twintap_plan::Plan;
use twintap_verdict::observation::Twin;

pub use clean::WireForm;
pub use control::{Following, RunControl, SteerError, Steering, TwinProgress};
pub use ear::{Ear, EarlyValue};
pub use feed::{Fodder, PlanFeed};
pub use lateness::LatenessCounts;
pub use ledger::{FireSummary, Spread, TwinLedger, TwinSummary};
pub use link::tls::{Tls, TlsError, TlsFiles};
pub use login::Login;
pub use moving::Moving;
pub use options::{Options, SecondTargets, Target, WhenDown};
pub use outcome::{RawOutcome, RawResult, Witness};
pub(crate) use priority::go_behind;
pub use source::RequestSource;
pub use wire::{BodyPace, Recorded};

use awake::Awake;
use batches::Requests;
use capture::CaptureLimits;
use control::{TWINS, thread_of};
use course::{Course, Unsent};
use engine::{Engine, Fired, Inbox, Role, WAKE_TOKEN};
use feed::Fed;
use mailbox::mailbox;
use outcome::Answers;
use poll::{Clock, Poll, Registry};
use rescue::Beds;
use source::ReadAhead;
use timetable::Timetable;
use twin::{Common, TwinSide, nanos};

/// Why nothing could be fired.
#[derive(Debug, Error)]
pub enum FireError {
    /// The machine gives no sockets or threads.
    #[error("cannot set up firing")]
    SetUp(#[source] io::Error),
    /// The firing thread ended by a panic.
    #[error("the firing thread failed")]
    Failed,
}

/// Requests between the loader and the firing thread.
const LOADS_QUEUED: usize = 4096;

/// Fires `plan` at all twins and gives every outcome to `witness`, on the
/// calling thread. Returns when each request has its outcome, or the run was
/// stopped, which settles the rest as refused.
///
/// # Errors
/// When the machine lacks what firing needs. Whatever the twins do is an outcome.
pub fn fire(
    plan: &Plan,
    source: &mut dyn RequestSource,
    witness: &mut dyn Witness,
    options: &Options,
    control: &RunControl,
) -> Result<FireSummary, FireError> {
    let all = Requests::Whole(&plan.requests);
    let feed = Feed::Whole(all.clone());
    fire_all(
        feed,
        std::iter::once(all),
        source,
        witness,
        options,
        control,
    )
}

/// As [`fire`], for a plan that grows: what is fired comes from a [`PlanFeed`], and
/// the run ends after the feed has. Memory goes with what is not settled.
///
/// # Errors
/// As [`fire`].
pub fn follow(
    fodder: Fodder,
    source: &mut dyn RequestSource,
    witness: &mut dyn Witness,
    options: &Options,
    control: &RunControl,
) -> Result<FireSummary, FireError> {
    let Fodder { firing, loading } = fodder;
    let windows = loading.into_iter().map(Requests::Window);
    let feed = Feed::Growing(firing);
    fire_all(feed, windows, source, witness, options, control)
}

enum Feed<'a> {
    Whole(Requests<'a>),
    Growing([Receiver<Fed>; 2]),
}

impl<'a> Feed<'a> {
    /// What each of the firing threads takes from, in their order.
    fn split(self, threads: usize) -> Vec<FeedOfOne<'a>> {
        match self {
            Feed::Whole(plan) => {
                let table = Arc::new(Timetable::new(plan.first(), &plan));
                let one = || FeedOfOne::Whole(plan.clone(), Arc::clone(&table));
                std::iter::repeat_with(one).take(threads).collect()
            }
            Feed::Growing(feeds) => {
                let feeds = feeds.into_iter().take(threads);
                feeds.map(FeedOfOne::Growing).collect()
            }
        }
    }
}

enum FeedOfOne<'a> {
    Whole(Requests<'a>, Arc<Timetable>),
    Growing(Receiver<Fed>),
}

fn fire_all<'a>(
    feed: Feed<'a>,
    batches: impl Iterator<Item = Requests<'a>> + Send,
    source: &mut dyn RequestSource,
    witness: &mut dyn Witness,
    options: &Options,
    control: &RunControl,
) -> Result<FireSummary, FireError> {
    raise_file_limit();
    let threads = options.threads.clamp(1, TWINS.len());
    let capture = CaptureLimits::new(
        options.max_body_bytes,
        options.capture_bytes,
        options.digest.clone(),
    );
    let firing = Firing {
        threads,
        share: share_of(threads),
        grows: matches!(feed, Feed::Growing(_)),
        options,
        control,
        capture,
        clock: Clock::start(),
        course: Course::new(options.twins().collect()),
        beds: Beds::default(),
        read_ahead: ReadAhead::default(),
    };
    let feeds = feed.split(threads);
    let (loaded, loads): (Vec<_>, Vec<_>) = feeds.iter().map(|_| mailbox(LOADS_QUEUED)).unzip();
    let (values_to, values): (Vec<_>, Vec<_>) = feeds.iter().map(|_| mailbox(usize::MAX)).unzip();
    let (tell, told) = channel();
    let awake = options.stay_awake.then(Awake::ask).flatten();
    let stolen_before = ledger::steal_ns();
    let compare_before = ledger::thread_cpu_ns();
    thread::scope(|scope| {
        let firing = &firing;
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let loader = spawn("load").spawn_scoped(scope, move || {
            // What is not read in time is late, and reading takes little.
            if options.goes_first {
                priority::go_ahead();
            }
            source::read_ahead(batches, source, options, &firing.read_ahead, &loaded);
            ledger::thread_cpu_ns()
        });
        let loader = loader.map_err(FireError::SetUp)?;
        let means = loads.into_iter().zip(values).zip(feeds).enumerate();
        let mut running = Vec::new();
        // The one that leads comes last: nothing begins before all are there.
        for (thread, ((loads, values), feed)) in means.rev() {
            let inbox = Inbox {
                loads,
                values,
                outcomes: tell.clone(),
            };
            let spawned = Registry::new().and_then(|registry| {
                registry.add(control.wake_fd(thread), WAKE_TOKEN)?;
                spawn("fire")
                    .spawn_scoped(scope, move || firing.run(thread, &registry, inbox, feed))
            });
            match spawned {
                Ok(spawned) => running.push(spawned),
                Err(error) => {
                    firing.course.give_up();
                    firing.read_ahead.stop.store(true, Ordering::Relaxed);
                    return Err(FireError::SetUp(error));
                }
            }
        }
        drop(tell);
        outcome::witness_all(witness, &told, &Answers(values_to), control);
        firing.read_ahead.stop.store(true, Ordering::Relaxed);
        let joined = running.into_iter().map(|thread| thread.join());
        let fired: Result<Vec<Fired>, _> = joined.collect();
        let mut summary = summary(fired.map_err(|_| FireError::Failed)?);
        summary.moved = firing.beds.moved();
        summary.stayed_awake = awake.is_some();
        summary.load_cpu_ns = loader.join().map_err(|_| FireError::Failed)?;
        summary.compare_cpu_ns = ledger::thread_cpu_ns() - compare_before;
        summary.steal_ns = ledger::steal_ns()
            .zip(stolen_before)
            .map(|(after, before)| after.saturating_sub(before));
        Ok(summary)
    })
}

/// What the firing threads share.
struct Firing<'a> {
    threads: usize,
    /// Of a processor, what each may have while it goes before others.
    share: f64,
    grows: bool,
    options: &'a Options,
    control: &'a RunControl,
    capture: Arc<CaptureLimits>,
    clock: Clock,
    course: Course,
    beds: Beds,
    read_ahead: ReadAhead,
}

impl Firing<'_> {
    /// Fires at the twins of one thread, on it.
    fn run<'a>(
        &'a self,
        thread: usize,
        registry: &'a Registry,
        inbox: Inbox,
        feed: FeedOfOne<'a>,
    ) -> Fired {
        let own = |twin: &Twin| thread_of(*twin, self.threads) == thread;
        let twins = self.options.twins().filter(own);
        let _fallen = Fallen {
            firing: self,
            twins: twins.clone().collect(),
        };
        let max_spin_ns = nanos(self.options.max_spin);
        let poll = Poll::new(registry.clone(), self.clock, max_spin_ns);
        let common = Common {
            options: self.options,
            control: self.control,
            grows: self.grows,
            capture: &self.capture,
            registry,
            clock: self.clock,
        };
        let sides = twins.map(|twin| TwinSide::new(common, twin)).collect();
        let role = Role {
            thread,
            share: self.share,
            course: &self.course,
            beds: &self.beds,
            read_ahead: &self.read_ahead,
        };
        let engine = Engine::new(common, poll, sides, role, inbox);
        match feed {
            FeedOfOne::Whole(plan, table) => engine.run(plan, table),
            FeedOfOne::Growing(feed) => engine.follow(feed),
        }
    }
}

/// Ends the run where a firing thread falls, so that no other waits for it.
struct Fallen<'a> {
    firing: &'a Firing<'a>,
    twins: Vec<Twin>,
}

impl Drop for Fallen<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        for twin in &self.twins {
            self.firing.course.end(*twin, Unsent::default());
        }
        self.firing.course.give_up();
        self.firing.control.stop();
    }
}

/// How much of a processor each firing thread may have while it goes before others: all,
/// where these have a processor of their own.
fn share_of(threads: usize) -> f64 {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    if threads < processors { 1.0 } else { 0.85 }
}

/// All that firing came to.
fn summary(fired: Vec<Fired>) -> FireSummary {
    let mut summary = FireSummary::default();
    let mut release_error = ledger::histogram();
    for of_thread in fired {
        for (twin, of_twin, errors) in of_thread.twins {
            if twin != Twin::SecondBaseline {
                // All have the same bounds, so that adding can't fail.
                let _ = release_error.add(errors);
            }
            match twin {
                Twin::Candidate => summary.candidate = of_twin,
                Twin::Baseline => summary.baseline = of_twin,
                Twin::SecondBaseline => summary.second_baseline = Some(of_twin),
            }
        }
        summary.stopped |= of_thread.stopped;
        summary.wall_ns = summary.wall_ns.max(of_thread.wall_ns);
        summary.paused_ns = summary.paused_ns.max(of_thread.paused_ns);
        summary.wire_cpu_ns += of_thread.wire_cpu_ns;
        summary.spun_ns += of_thread.spun_ns;
    }
    summary.release_error = Spread::of(&release_error);
    summary
}

/// Every connection takes a file descriptor, and the usual soft limit is 1024.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it can't be raised, requests beyond it are refused and counted.
    let _ = setrlimit(Resource::Nofile, limit);
}
