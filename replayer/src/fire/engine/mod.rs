//! The firing thread: due times, sockets and steering in one loop.

mod growth;
mod openings;
mod steering;
mod told;
mod window;

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender, TryRecvError};

use smallvec::{SmallVec, smallvec};
use twintap_plan::{Carried, Pace, SkipReason};

use super::batches::{Batch, PerBatch, Requests, ahead};
use super::control::{Steering, index};
use super::feed::Fed;
use super::flows::Flows;
use super::ledger::{FireSummary, Spread, thread_cpu_ns};
use super::mailbox::Receiver;
use super::options::WhenDown;
use super::outcome::{FromWitness, NOT_DUE, SEEKED, SHED, TWIN_DOWN, ToWitness, Wanted};
use super::poll::{Poll, Ready};
use super::priority::Standing;
use super::schedule::Timetable;
use super::source::{LoadedOrNot, ReadAhead};
use super::tempo::Tempo;
use super::turn::in_turn;
use super::twin::{Common, Now, TwinSide, from_token, nanos};
use openings::{Opening, Openings};
use window::Window;

/// The poll token of [`RunControl::wake`](super::RunControl::wake).
pub(crate) const WAKE_TOKEN: u64 = u64::MAX;

/// How soon to look again for a request that is due and not read yet.
const LOADER_LOOK_NS: u64 = 200_000;
/// How often a run that fires nothing tells how far it is.
const POSITION_EVERY_NS: u64 = 100_000_000;

pub(crate) struct Engine<'a> {
    common: Common<'a>,
    poll: Poll,
    /// More of the plan; none where all of it is here.
    feed: Option<mpsc::Receiver<Fed>>,
    /// All before this moment of the plan is here.
    horizon_ns: u64,
    batches: PerBatch<Rc<Batch<'a>>>,
    flows: Flows,
    /// Values of earlier batches' answers whose outcome is not there yet.
    wanted: Vec<Wanted>,
    sweep_ns: u64,
    twins: [TwinSide<'a>; 2],
    loads: Receiver<(u32, LoadedOrNot)>,
    /// Room for what is taken from there.
    taken: Vec<(u32, LoadedOrNot)>,
    read_ahead: &'a ReadAhead,
    is_loading: bool,
    values: Receiver<FromWitness>,
    outcomes: Sender<ToWitness>,
    /// Clock time by which outcomes that wait must go.
    outcomes_due_ns: Option<u64>,
    window: Window,
    /// The next request to become due, and the one after the last so far.
    next: u32,
    end: u32,
    openings: Openings,
    start_ns: u64,
    tempo: Tempo,
    /// Sessions that are not gone on with.
    shed: HashSet<Arc<str>>,
    paused_ns: u64,
    /// Clock time at which the pause began.
    pause: Option<u64>,
    /// Clock time at which a stopped run gives up what is in flight.
    give_up_ns: Option<u64>,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(
        common: Common<'a>,
        poll: Poll,
        twins: [TwinSide<'a>; 2],
        loads: Receiver<(u32, LoadedOrNot)>,
        read_ahead: &'a ReadAhead,
        values: Receiver<FromWitness>,
        outcomes: Sender<ToWitness>,
    ) -> Engine<'a> {
        Engine {
            common,
            poll,
            feed: None,
            horizon_ns: u64::MAX,
            batches: PerBatch::default(),
            flows: Flows::default(),
            wanted: Vec::new(),
            sweep_ns: 0,
            twins,
            loads,
            taken: Vec::new(),
            read_ahead,
            is_loading: true,
            values,
            outcomes,
            outcomes_due_ns: None,
            window: Window::default(),
            next: 0,
            end: 0,
            openings: Openings::new(nanos(common.options.connect_ahead)),
            start_ns: 0,
            tempo: Tempo::new(1.0, nanos(common.options.lead)),
            shed: HashSet::new(),
            paused_ns: 0,
            pause: None,
            give_up_ns: None,
        }
    }

    /// Fires a finite plan, until every request has its outcome.
    pub(crate) fn run(mut self, plan: Requests<'a>) -> FireSummary {
        self.append(plan);
        self.wait_for_first_load();
        self.fire()
    }

    /// Fires what the feed brings, until that ends and every request has its outcome.
    pub(crate) fn follow(mut self, feed: mpsc::Receiver<Fed>) -> FireSummary {
        self.feed = Some(feed);
        self.horizon_ns = 0;
        self.fire()
    }

    fn fire(mut self) -> FireSummary {
        let mut ready = Vec::new();
        let mut standing = Standing::first(self.common.clock.now_ns());
        // The first connections need a moment to open.
        let (_, ahead_ns) = self.openings.front().unzip();
        let usual_ns = nanos(self.common.options.connect_ahead);
        self.start_ns = self.common.clock.now_ns() + ahead_ns.unwrap_or(usual_ns);
        loop {
            self.take_batches();
            self.steer();
            self.take_loads();
            self.release();
            self.take_values();
            self.expire();
            self.open_ahead();
            self.release();

            let is_settled = self.twins.iter().all(TwinSide::is_settled);
            self.send_outcomes(is_settled);
            if is_settled && self.feed.is_none() {
                return self.finish();
            }
            self.let_go();

            let now = self.now();
            let mut has_more = false;
            for twin in &mut self.twins {
                has_more |= twin.read_on(now);
            }
            let due_ns = self.next_due();
            standing.look(now.clock_ns, due_ns);
            let deadline = if has_more {
                Some(0)
            } else {
                self.next_deadline(due_ns)
            };
            self.poll.wait(deadline, &mut ready);
            for event in ready.drain(..) {
                self.handle_event(event);
            }
            if let Some(due_ns) = due_ns
                && self.poll.spin_until(due_ns)
            {
                // Nothing goes before what is due now.
                self.release();
            }
        }
    }

    /// Why the plan says not to fire a request.
    fn skip_reason(&self, position: u32) -> Option<SkipReason> {
        let (batch, place) = self.batches.get(position)?;
        batch.requests[place].skip
    }

    /// Requests that can't be read yet must not make the first ones late.
    fn wait_for_first_load(&mut self) {
        if let Some((position, loaded)) = self.loads.wait() {
            self.window.put(position, loaded);
        }
    }

    fn now(&self) -> Now {
        let clock_ns = self.common.clock.now_ns();
        let paused_ns = self.pause.map_or(0, |since| clock_ns.saturating_sub(since));
        Now {
            clock_ns,
            origin_ns: self.start_ns + self.paused_ns + paused_ns,
            tempo: self.tempo,
            is_paused: self.pause.is_some(),
        }
    }

    /// When a request is due, in run time at the present speed.
    fn due_ns(&self, position: u32) -> u64 {
        due_ns(&self.batches, &self.tempo, position)
    }

    /// The clock time of a moment of run time, while the run does not pause.
    fn clock_ns(&self, run_ns: u64) -> u64 {
        run_ns.saturating_add(self.start_ns + self.paused_ns)
    }

    /// Whether a request comes before the next to become due.
    fn is_past(&self, position: u32) -> bool {
        ahead(position, self.next).is_none()
    }

    /// Lets go what is due and what has become ready.
    fn release(&mut self) {
        if self.pause.is_some() || self.give_up_ns.is_some() {
            return;
        }
        loop {
            self.fire_ready();
            let now = self.now();
            // Before T0 run time stands at 0, so the comparison is on the clock.
            let position = self.next;
            if position == self.end {
                return;
            }
            let due_ns = self.due_ns(position);
            if due_ns.saturating_add(now.origin_ns) > now.clock_ns {
                return;
            }
            if let Some(reason) = self.skip_reason(position) {
                for twin in &mut self.twins {
                    twin.skip(position, reason, now);
                }
            } else if let Some(word) = self.down_word(position) {
                self.leave_out(position, word, now);
            } else if let Some(is_readable) = self.window.holds(position) {
                // Neither twin shall always be the second.
                for twin in in_turn(position) {
                    let side = &mut self.twins[index(twin)];
                    if is_readable {
                        side.schedule.handle_due(position, due_ns);
                    } else {
                        side.refuse(position, "unreadable", now);
                        self.window.used(position, twin);
                    }
                }
            } else {
                return;
            }
            self.next = position.wrapping_add(1);
        }
    }

    fn fire_ready(&mut self) {
        // Firing can settle a request at once, which can make others ready.
        loop {
            let mut is_idle = true;
            for twin in in_turn(self.next) {
                let side = &mut self.twins[index(twin)];
                while let Some(release) = side.poll_ready() {
                    is_idle = false;
                    let now = Now {
                        clock_ns: self.common.clock.now_ns(),
                        origin_ns: self.start_ns + self.paused_ns,
                        tempo: self.tempo,
                        is_paused: false,
                    };
                    match self.window.get(release.position) {
                        Some(loaded) => side.fire(release, loaded, now),
                        None => side.refuse(release.position, "unreadable", now),
                    }
                    let freed = self.window.used(release.position, twin);
                    self.read_ahead.free(freed);
                }
            }
            if is_idle {
                return;
            }
        }
    }

    fn expire(&mut self) {
        let now = self.now();
        for twin in &mut self.twins {
            if self.pause.is_none() {
                twin.schedule.handle_timeout(now.run_ns());
            }
            twin.handle_timeout(now);
        }
        if self.give_up_ns.is_some_and(|at| at <= now.clock_ns) {
            for twin in &mut self.twins {
                twin.give_up("stopped", "the run was stopped before the answer", now);
            }
        }
    }

    fn open_ahead(&mut self) {
        // Where all is due at once, no connection is needed before its request.
        if self.give_up_ns.is_some() || self.common.options.pace == Pace::Asap {
            return;
        }
        while let Some((Opening { flow, position, .. }, ahead_ns)) = self.openings.front() {
            let now = self.now();
            let due_ns = self.due_ns(position);
            if due_ns.saturating_add(now.origin_ns) > now.clock_ns.saturating_add(ahead_ns) {
                return;
            }
            self.openings.pop();
            for twin in in_turn(position) {
                self.twins[index(twin)].open_ahead(flow, now);
            }
            // Many openings at one time must not hold up what is due.
            self.release();
        }
    }

    fn handle_event(&mut self, event: Ready) {
        if event.token == WAKE_TOKEN {
            self.common.control.clear_wake();
            self.take_values();
        } else {
            let (twin, key) = from_token(event.token);
            let now = self.now();
            self.twins[index(twin)].handle_io(key, event.flags, now);
        }
        self.release();
    }

    /// The clock time at which the next request is due and can be fired.
    fn next_due(&self) -> Option<u64> {
        let is_firing = self.pause.is_none() && self.next != self.end;
        is_firing.then(|| self.clock_ns(self.due_ns(self.next)))
    }

    fn next_deadline(&mut self, due_ns: Option<u64>) -> Option<u64> {
        let now = self.now();
        let now_ns = now.clock_ns;
        let is_firing = self.pause.is_none();
        // What is due and still here waits for the loader.
        let due_ns = due_ns.map(|due| {
            if due <= now_ns {
                now_ns + LOADER_LOOK_NS
            } else {
                due
            }
        });
        let position_ns = is_firing.then_some(now_ns + POSITION_EVERY_NS);
        let mut deadlines: SmallVec<[Option<u64>; 9]> =
            smallvec![due_ns, self.give_up_ns, self.outcomes_due_ns, position_ns];
        for twin in 0..2 {
            deadlines.push(self.twins[twin].poll_timeout(now));
            if is_firing {
                let wait_ns = self.twins[twin].schedule.poll_timeout();
                deadlines.push(wait_ns.map(|wait| self.clock_ns(wait)));
            }
        }
        if let Some((opening, ahead_ns)) = self.openings.front()
            && is_firing
            && self.common.options.pace != Pace::Asap
        {
            let due_ns = self.clock_ns(self.due_ns(opening.position));
            deadlines.push(Some(due_ns.saturating_sub(ahead_ns)));
        }
        deadlines.into_iter().flatten().min()
    }

    fn finish(self) -> FireSummary {
        let end_ns = self.common.clock.now_ns();
        let [candidate, baseline] = self.twins.map(TwinSide::finish);
        let mut release_error = candidate.1;
        // Both have the same bounds, so that adding can't fail.
        let _ = release_error.add(baseline.1);
        FireSummary {
            candidate: candidate.0,
            baseline: baseline.0,
            release_error: Spread::of(&release_error),
            stopped: self.give_up_ns.is_some(),
            wall_ns: end_ns.saturating_sub(self.start_ns),
            paused_ns: self.paused_ns,
            wire_cpu_ns: thread_cpu_ns(),
            spun_ns: self.poll.spun_ns(),
            ..FireSummary::default()
        }
    }
}

fn due_ns(batches: &PerBatch<Rc<Batch<'_>>>, tempo: &Tempo, position: u32) -> u64 {
    let found = batches.get(position);
    tempo.run_ns(found.map_or(u64::MAX, |(batch, place)| batch.table.due_ns(place)))
}
