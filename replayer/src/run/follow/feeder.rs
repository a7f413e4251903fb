//! From what is committed to what is fired, window by window.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tracing::warn;
use twintap_archive::{Reader, StoredExchange};
use twintap_plan::{Follower, PlanSummary, Window};
use twintap_scrub::{BodyFate, ExchangeRecord};
use twintap_stream::message::MessageState;
use twintap_stream::{ExchangeId, Timestamp};

use super::super::file::RunFile;
use super::super::prepare::Checks;
use super::super::{now, targets};
use super::stock::{Stock, Stocked, size};
use super::tail::Tail;
use crate::fire::{Following, PlanFeed, RunControl, Steering};

/// How often the archive is looked at, at least.
const LOOK: Duration = Duration::from_secs(1);
/// A window costs a plan of all that is kept, too: after it comes a pause of so many times
/// what it took, unless requests would be planned late for it.
const PAUSE_FACTOR: u32 = 9;
/// How much of the delay is left for planning and reading ahead, at most.
const MOST_AHEAD: Duration = Duration::from_secs(5);

/// Plans what is committed, and appends it to the plan that is fired.
pub struct Feeder<'a> {
    file: &'a RunFile,
    control: &'a RunControl,
    checks: Checks<'a>,
    tail: Tail,
    follower: Follower,
    stock: Stock,
    feed: PlanFeed,
    /// Due times count from here.
    origin: Timestamp,
    delay: Duration,
    /// Read and not planned, in the order of their requests.
    pending: BTreeMap<(Timestamp, ExchangeId), StoredExchange>,
    pending_bytes: usize,
    /// Nothing is planned before.
    pauses_until: Instant,
    fed: Fed,
}

/// What was fed.
#[derive(Debug, Default)]
pub struct Fed {
    /// The plan so far in figures.
    pub summary: PlanSummary,
    windows: u64,
    tardy: u64,
    /// Known loss, by name.
    pub loss: BTreeMap<String, u64>,
}

impl<'a> Feeder<'a> {
    /// A feeder of everything that is sent from the follower's origin on, and committed
    /// from where the tail begins.
    pub fn new(
        file: &'a RunFile,
        control: &'a RunControl,
        checks: Checks<'a>,
        follower: Follower,
        tail: Tail,
        stock: Stock,
        feed: PlanFeed,
    ) -> Feeder<'a> {
        let follow = file.settings.follow.clone().unwrap_or_default();
        Feeder {
            file,
            control,
            checks,
            tail,
            origin: follower.origin(),
            follower,
            stock,
            feed,
            delay: follow.delay.0,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            pauses_until: Instant::now(),
            fed: Fed::default(),
        }
    }

    /// Feeds until the run ends.
    ///
    /// # Errors
    /// When what is committed must not be fired by this run.
    pub fn run(mut self) -> Result<Fed> {
        while self.control.steering() != Steering::Stop {
            let is_taken = self.step()?;
            if !is_taken {
                break;
            }
            thread::sleep(LOOK.min(self.delay / 16));
        }
        for (name, count) in [
            ("archive_exchanges_missed", self.tail.missed()),
            ("archive_places_damaged", self.tail.damaged()),
            ("exchanges_tardy", self.fed.tardy),
            ("exchanges_forgotten", self.follower.forgotten()),
        ] {
            if count > 0 {
                self.fed.loss.insert(name.to_owned(), count);
            }
        }
        Ok(self.fed)
    }

    /// Looks once at what is new; says whether the run still takes it.
    fn step(&mut self) -> Result<bool> {
        let is_full = |bytes| bytes > self.file.settings.limits.read_ahead_bytes;
        let mut is_taken = true;
        // What is not read now is read when there is room: the archive has it.
        let begun = Instant::now();
        if !is_full(self.pending_bytes)
            && !is_full(self.stock.bytes())
            && begun >= self.pauses_until
            && let Some(reader) = self.read()?
        {
            let ahead = MOST_AHEAD.min(self.delay / 4);
            let before_ns = self.delay.saturating_sub(ahead).as_nanos() as u64;
            let horizon = Timestamp(now().0.saturating_sub(before_ns));
            is_taken = self.feed(horizon, reader);
            let pause = (begun.elapsed() * PAUSE_FACTOR).min(ahead / 2);
            self.pauses_until = Instant::now() + pause;
        }
        let at_ns = self.origin.0 + self.control.position().as_nanos() as u64;
        self.control.set_following(Following {
            lag: Duration::from_nanos(now().0.saturating_sub(at_ns)),
            windows: self.fed.windows,
            tardy: self.fed.tardy,
            missed: self.tail.missed(),
            kept: self.follower.kept(),
            forgotten: self.follower.forgotten(),
        });
        Ok(is_taken)
    }

    /// Reads what was committed since.
    fn read(&mut self) -> Result<Option<Arc<Reader>>> {
        let mut new = Vec::new();
        let reader = match self.tail.read(|stored| new.push(stored)) {
            Ok(reader) => reader,
            Err(error) => {
                warn!("the archive can't be read now: {error:#}");
                return Ok(None);
            }
        };
        for stored in new {
            if self.checks.check(&stored)? {
                // A server that was not seen before may be one that this run fires at.
                targets::check(self.file, &self.checks.captured)?;
            }
            let sent = sent(&stored.record);
            // What was sent before the run began is not of it.
            if sent >= self.origin {
                self.pending_bytes += size(&stored);
                self.pending.insert((sent, stored.id().clone()), stored);
            }
        }
        Ok(Some(reader))
    }

    /// Plans what was sent before `horizon`, and appends it.
    fn feed(&mut self, horizon: Timestamp, reader: Arc<Reader>) -> bool {
        let mut due = BTreeMap::new();
        while let Some(first) = self.pending.first_entry()
            && first.key().0 < horizon
        {
            let ((_, id), stored) = first.remove_entry();
            self.pending_bytes = self.pending_bytes.saturating_sub(size(&stored));
            due.insert(id, Arc::new(stored));
        }
        let window = self.plan(&due);
        let stored: Vec<Arc<StoredExchange>> = window
            .requests
            .iter()
            .filter_map(|request| due.remove(&request.exchange))
            .collect();
        let window = Arc::new(window);
        if !window.requests.is_empty() {
            self.fed.windows += 1;
            self.fed.tardy += window.tardy;
            self.fed.summary.add(window.first, &window.requests);
            self.stock.add(Stocked {
                bytes: stored.iter().map(|stored| size(stored)).sum(),
                window: Arc::clone(&window),
                stored,
                reader,
            });
        }
        self.feed.append(&window, horizon.since_ns(self.origin))
    }

    fn plan(&mut self, due: &BTreeMap<ExchangeId, Arc<StoredExchange>>) -> Window {
        if due.is_empty() {
            return Window::default();
        }
        self.follower.plan(due.values().map(|stored| {
            let dropped = matches!(stored.record.request.body, BodyFate::Dropped(_));
            (&*stored.record, !dropped)
        }))
    }
}

/// When its request was sent; its response, where no request was seen.
fn sent(record: &ExchangeRecord) -> Timestamp {
    let exchange = &record.exchange;
    if exchange.request.state != MessageState::Absent && !exchange.id.from_response {
        exchange.request.first_byte
    } else {
        exchange.response.first_byte
    }
}
