//! Firing a plan at two twins.
//!
//! One thread does all that time hangs on: it waits for due times and sockets,
//! writes requests and reads answers of both twins. A second reads requests from
//! the archive ahead of it, and the caller's thread takes the outcomes: it finds
//! the values that later requests use, scrubs, and hands on to the comparison.
//! Nothing that the firing thread does depends on how fast the others are, apart
//! from requests that wait for values.

mod batches;
pub mod capture;
mod clean;
mod connection;
pub mod control;
mod ear;
mod engine;
mod feed;
mod flows;
pub mod http2;
pub mod lateness;
pub mod ledger;
mod link;
mod mailbox;
mod moving;
pub mod options;
pub mod outcome;
pub mod poll;
mod priority;
pub mod response;
pub mod rewrite;
pub mod schedule;
mod slots;
pub mod source;
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
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use thiserror::Error;
use twintap_plan::Plan;

pub use clean::WireForm;
pub use control::{Following, RunControl, SteerError, Steering, TwinProgress};
pub use ear::{Ear, EarlyValue};
pub use feed::{Fodder, PlanFeed};
pub use lateness::LatenessCounts;
pub use ledger::{FireSummary, Spread, TwinLedger, TwinSummary};
pub use link::tls::{Tls, TlsError, TlsFiles};
pub use moving::Moving;
pub use options::{Options, Target, WhenDown};
pub use outcome::{RawOutcome, RawResult, Witness};
pub use source::RequestSource;
pub use wire::{BodyPace, Recorded};

use batches::Requests;
use capture::CaptureLimits;
use control::TWINS;
use engine::{Engine, WAKE_TOKEN};
use feed::Fed;
use mailbox::mailbox;
use poll::{Clock, Poll, Registry};
use source::ReadAhead;
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

/// Fires `plan` at both twins and gives every outcome to `witness`, on the
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
    let clock = Clock::start();
    let registry = Registry::new().map_err(FireError::SetUp)?;
    registry
        .add(control.wake_fd(), WAKE_TOKEN)
        .map_err(FireError::SetUp)?;
    let capture = CaptureLimits::new(
        options.max_body_bytes,
        options.capture_bytes,
        options.digest.clone(),
    );
    let common = Common {
        options,
        control,
        grows: matches!(feed, Feed::Growing(_)),
        capture: &capture,
        registry: &registry,
        clock,
    };

    let read_ahead = ReadAhead::default();
    let (loaded, loads) = mailbox(LOADS_QUEUED);
    let (tell, told) = channel();
    let (values_to, values) = mailbox(usize::MAX);
    let stolen_before = ledger::steal_ns();
    let compare_before = ledger::thread_cpu_ns();
    thread::scope(|scope| {
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let read_ahead = &read_ahead;
        let loader = spawn("load").spawn_scoped(scope, move || {
            // What is not read in time is late, and reading takes little.
            priority::go_ahead();
            source::read_ahead(batches, source, options, read_ahead, &loaded);
            ledger::thread_cpu_ns()
        });
        let loader = loader.map_err(FireError::SetUp)?;
        let registry = registry.clone();
        let firing = spawn("fire").spawn_scoped(scope, move || {
            let poll = Poll::new(registry, clock, nanos(options.max_spin));
            let twins = TWINS.map(|twin| TwinSide::new(common, twin));
            let engine = Engine::new(common, poll, twins, loads, read_ahead, values, tell);
            let summary = match feed {
                Feed::Whole(plan) => engine.run(plan),
                Feed::Growing(feed) => engine.follow(feed),
            };
            read_ahead.stop.store(true, Ordering::Relaxed);
            summary
        });
        let firing = firing.map_err(|error| {
            read_ahead.stop.store(true, Ordering::Relaxed);
            FireError::SetUp(error)
        })?;
        outcome::witness_all(witness, &told, &values_to, control);
        let mut summary = firing.join().map_err(|_| FireError::Failed)?;
        summary.load_cpu_ns = loader.join().map_err(|_| FireError::Failed)?;
        summary.compare_cpu_ns = ledger::thread_cpu_ns() - compare_before;
        summary.steal_ns = ledger::steal_ns()
            .zip(stolen_before)
            .map(|(after, before)| after.saturating_sub(before));
        Ok(summary)
    })
}

/// Every connection takes a file descriptor, and the usual soft limit is 1024.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it can't be raised, requests beyond it are refused and counted.
    let _ = setrlimit(Resource::Nofile, limit);
}
