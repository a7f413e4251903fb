//! The firing thread: due times, sockets and steering in one loop.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use twintap_verdict::observation::Twin;

use super::control::{Steering, TWINS, index};
use super::ledger::{FireSummary, Spread, thread_cpu_ns};
use super::outcome::{RawOutcome, ValuesOf};
use super::poll::{Poll, Ready};
use super::source::{LoadedOrNot, ReadAhead};
use super::tempo::Tempo;
use super::twin::{Common, Now, TwinSide, from_token, nanos};

/// The poll token of [`RunControl::wake`](super::RunControl::wake).
pub(crate) const WAKE_TOKEN: u64 = u64::MAX;

/// How soon to look again for a request that is due and not read yet.
const LOADER_LOOK_NS: u64 = 200_000;
/// How often a run that fires nothing tells how far it is.
const POSITION_EVERY_NS: u64 = 100_000_000;
/// Requests taken from the loader before anything else has its turn.
const LOADS_AT_ONCE: usize = 256;
/// With fewer requests here, more are taken from the loader; one by one, each
/// would wake it.
const FEW_LOADS: usize = 1024;
/// How many outcomes go to the comparison together, and how long the first of
/// them waits for others: one by one, each would wake it.
const OUTCOMES_AT_ONCE: usize = 64;
const OUTCOMES_WAIT_NS: u64 = 5_000_000;

pub(crate) struct Engine<'a> {
    common: Common<'a>,
    poll: Poll,
    twins: [TwinSide<'a>; 2],
    loads: Receiver<(u32, LoadedOrNot)>,
    read_ahead: &'a ReadAhead,
    is_loading: bool,
    values: Receiver<ValuesOf>,
    outcomes: Sender<Vec<RawOutcome>>,
    /// Clock time by which outcomes that wait must go.
    outcomes_due_ns: Option<u64>,
    window: Window,
    /// The next request to become due.
    next: u32,
    /// The next of the flows' openings.
    next_opening: usize,
    start_ns: u64,
    tempo: Tempo,
    /// Where the last seek went, in recorded nanoseconds.
    sought_ns: u64,
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
        values: Receiver<ValuesOf>,
        outcomes: Sender<Vec<RawOutcome>>,
    ) -> Engine<'a> {
        Engine {
            common,
            poll,
            twins,
            loads,
            read_ahead,
            is_loading: true,
            values,
            outcomes,
            outcomes_due_ns: None,
            window: Window::default(),
            next: 0,
            next_opening: 0,
            start_ns: 0,
            tempo: Tempo::new(1.0),
            sought_ns: 0,
            paused_ns: 0,
            pause: None,
            give_up_ns: None,
        }
    }

    /// Fires the plan, until every request has its outcome.
    pub(crate) fn run(mut self) -> FireSummary {
        let mut ready = Vec::new();
        self.wait_for_first_load();
        // The first connections need a moment to open.
        self.start_ns = self.common.clock.now_ns() + nanos(self.common.options.connect_ahead);
        loop {
            self.steer();
            self.take_loads();
            self.release();
            self.take_values();
            self.expire();
            self.open_ahead();
            self.release();

            let is_settled = self.twins.iter().all(TwinSide::is_settled);
            self.send_outcomes(is_settled);
            if is_settled {
                return self.finish();
            }

            let now = self.now();
            let mut has_more = false;
            for twin in &mut self.twins {
                has_more |= twin.read_on(now);
            }
            let due_ns = self.next_due();
            let deadline = if has_more {
                Some(0)
            } else {
                self.next_deadline(due_ns)
            };
            self.poll.wait(deadline, &mut ready);
            for event in ready.drain(..) {
                self.handle_event(event);
            }
            if let Some(due_ns) = due_ns {
                self.poll.spin_until(due_ns);
            }
        }
    }

    /// Requests that can't be read yet must not make the first ones late.
    fn wait_for_first_load(&mut self) {
        if let Ok((position, loaded)) = self.loads.recv() {
            self.window.put(position, loaded);
        }
    }

    fn now(&self) -> Now {
        let clock_ns = self.common.clock.now_ns();
        let paused_ns = self.pause.map_or(0, |since| clock_ns.saturating_sub(since));
        Now {
            clock_ns,
            origin_ns: self.start_ns + self.paused_ns + paused_ns,
        }
    }

    /// When a request is due, in run time at the present speed.
    fn due_ns(&self, position: u32) -> u64 {
        self.tempo.run_ns(self.common.table.due_ns(position))
    }

    /// The clock time of a moment of run time, while the run does not pause.
    fn clock_ns(&self, run_ns: u64) -> u64 {
        run_ns.saturating_add(self.start_ns + self.paused_ns)
    }

    fn steer(&mut self) {
        match (self.common.control.steering(), self.pause) {
            (Steering::Pause, None) => self.pause = Some(self.common.clock.now_ns()),
            (Steering::Go | Steering::Stop, Some(since)) => {
                self.pause = None;
                self.paused_ns += self.common.clock.now_ns().saturating_sub(since);
            }
            _ => {}
        }
        if self.common.control.steering() == Steering::Stop && self.give_up_ns.is_none() {
            self.stop();
        }
        if self.give_up_ns.is_none() {
            self.steer_time();
        }
    }

    /// Follows changes of speed and seeks, and tells how far the recording is.
    fn steer_time(&mut self) {
        let run_ns = self.now().run_ns();
        let plan_speed = self.common.options.plan_speed;
        if let Some(speed) = self.common.control.speed() {
            let rate = speed / plan_speed;
            if rate != self.tempo.rate() {
                self.tempo.set_rate(run_ns, rate);
            }
        }
        let seek_ns = self.common.control.seek_ns();
        if seek_ns > self.sought_ns {
            self.sought_ns = seek_ns;
            let plan_ns = (seek_ns as f64 / plan_speed) as u64;
            if plan_ns > self.tempo.plan_ns(run_ns) {
                self.release();
                self.seek(plan_ns);
            }
        }
        let recorded_ns = self.tempo.plan_ns(run_ns) as f64 * plan_speed;
        self.common.control.set_position(recorded_ns as u64);
    }

    /// Goes on from `plan_ns`: what is due before is not fired.
    fn seek(&mut self, plan_ns: u64) {
        let now = self.now();
        self.tempo.seek(now.run_ns(), plan_ns);
        while self.next < self.common.table.len() && self.common.table.due_ns(self.next) < plan_ns {
            let position = self.next;
            self.next += 1;
            for twin in in_turn(position) {
                let side = &mut self.twins[index(twin)];
                match self.common.plan.requests[position as usize].skip {
                    Some(reason) => side.skip(position, reason, now),
                    None => side.pass_over(position, now),
                }
                let freed = self.window.used(position, twin);
                self.read_ahead
                    .held_bytes
                    .fetch_sub(freed, Ordering::Relaxed);
            }
        }
        self.read_ahead.first.store(self.next, Ordering::Relaxed);
        // What still goes over flows whose first requests are passed over opens
        // them when it is due.
        let openings = self.common.flows.openings();
        while openings
            .get(self.next_opening)
            .is_some_and(|&(_, first)| first < self.next)
        {
            self.next_opening += 1;
        }
    }

    /// Refuses everything that is not out.
    fn stop(&mut self) {
        let now = self.now();
        let grace_ns = nanos(self.common.options.stop_grace);
        self.give_up_ns = Some(now.clock_ns.saturating_add(grace_ns));
        self.read_ahead.stop.store(true, Ordering::Relaxed);
        let first = self.next;
        self.next = self.common.table.len();
        for twin in &mut self.twins {
            for position in twin.schedule.drain() {
                twin.refuse(position, "stopped", now);
            }
            for position in first..self.common.table.len() {
                match self.common.plan.requests[position as usize].skip {
                    Some(reason) => twin.skip(position, reason, now),
                    None => twin.refuse(position, "stopped", now),
                }
            }
        }
    }

    fn take_loads(&mut self) {
        self.is_loading |= self.window.places.len() < FEW_LOADS;
        for _ in 0..LOADS_AT_ONCE {
            if !self.is_loading {
                return;
            }
            match self.loads.try_recv() {
                // What a seek passed over comes too late.
                Ok((position, loaded)) if position < self.next => {
                    let freed = loaded.map_or(0, |loaded| loaded.held_bytes);
                    self.read_ahead
                        .held_bytes
                        .fetch_sub(freed, Ordering::Relaxed);
                }
                Ok((position, loaded)) => self.window.put(position, loaded),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => self.is_loading = false,
            }
        }
    }

    /// Sends outcomes off, when there are many, when someone waits for values of
    /// one, or when they have waited for company.
    fn send_outcomes(&mut self, is_last: bool) {
        let now_ns = self.common.clock.now_ns();
        let due_ns = self.outcomes_due_ns.take();
        let is_due = is_last || due_ns.is_some_and(|due| due <= now_ns);
        for twin in &mut self.twins {
            let has_many = twin.outcomes.len() >= OUTCOMES_AT_ONCE;
            if twin.outcomes.is_empty() {
                continue;
            }
            if is_due || has_many || twin.has_urgent {
                twin.has_urgent = false;
                // The comparing side outlives this one; should it have failed, the
                // ledger still closes.
                let _ = self.outcomes.send(std::mem::take(&mut twin.outcomes));
            } else {
                let own_ns = now_ns + OUTCOMES_WAIT_NS;
                self.outcomes_due_ns = Some(due_ns.unwrap_or(own_ns));
            }
        }
    }

    fn take_values(&mut self) {
        while let Ok((position, twin, values)) = self.values.try_recv() {
            let now = self.now();
            self.twins[index(twin)].handle_values(position, values, now);
        }
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
            if position >= self.common.table.len() {
                return;
            }
            let due_ns = self.due_ns(position);
            if due_ns.saturating_add(now.origin_ns) > now.clock_ns {
                return;
            }
            if let Some(reason) = self.common.plan.requests[position as usize].skip {
                for twin in &mut self.twins {
                    twin.skip(position, reason, now);
                }
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
            self.next += 1;
        }
    }

    fn fire_ready(&mut self) {
        // Firing can settle a request at once, which can make others ready.
        loop {
            let mut is_idle = true;
            for twin in in_turn(self.next) {
                let side = &mut self.twins[index(twin)];
                while let Some(release) = side.schedule.poll_ready() {
                    is_idle = false;
                    let clock_ns = self.common.clock.now_ns();
                    let origin_ns = self.start_ns + self.paused_ns;
                    let now = Now {
                        clock_ns,
                        origin_ns,
                    };
                    match self.window.get(release.position) {
                        Some(loaded) => side.fire(release, loaded, now),
                        None => side.refuse(release.position, "unreadable", now),
                    }
                    let freed = self.window.used(release.position, twin);
                    self.read_ahead
                        .held_bytes
                        .fetch_sub(freed, Ordering::Relaxed);
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
        if self.give_up_ns.is_some() {
            return;
        }
        let ahead_ns = nanos(self.common.options.connect_ahead);
        let flows = self.common.flows;
        while let Some(&(flow, position)) = flows.openings().get(self.next_opening) {
            let now = self.now();
            let due_ns = self.due_ns(position);
            if due_ns.saturating_add(now.origin_ns) > now.clock_ns.saturating_add(ahead_ns) {
                return;
            }
            self.next_opening += 1;
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
        let is_firing = self.pause.is_none() && self.next < self.common.table.len();
        is_firing.then(|| self.clock_ns(self.due_ns(self.next)))
    }

    fn next_deadline(&mut self, due_ns: Option<u64>) -> Option<u64> {
        let now_ns = self.common.clock.now_ns();
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
        let mut deadlines = vec![due_ns, self.give_up_ns, self.outcomes_due_ns, position_ns];
        for twin in 0..2 {
            deadlines.push(self.twins[twin].poll_timeout());
            if is_firing {
                let wait_ns = self.twins[twin].schedule.poll_timeout();
                deadlines.push(wait_ns.map(|wait| self.clock_ns(wait)));
            }
        }
        if let Some(&(_, position)) = self.common.flows.openings().get(self.next_opening)
            && is_firing
        {
            let due_ns = self.clock_ns(self.due_ns(position));
            let ahead_ns = nanos(self.common.options.connect_ahead);
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

/// Both twins, the first of them by turns.
fn in_turn(position: u32) -> [Twin; 2] {
    let [first, second] = TWINS;
    if position.is_multiple_of(2) {
        [first, second]
    } else {
        [second, first]
    }
}

/// The requests that are read and not yet out at both twins.
#[derive(Default)]
struct Window {
    first: u32,
    places: VecDeque<Place>,
}

#[derive(Default)]
struct Place {
    loaded: Option<LoadedOrNot>,
    used: [bool; 2],
}

impl Window {
    fn put(&mut self, position: u32, loaded: LoadedOrNot) {
        if self.places.is_empty() {
            self.first = position;
        }
        let Some(place) = position.checked_sub(self.first) else {
            return;
        };
        while self.places.len() <= place as usize {
            self.places.push_back(Place::default());
        }
        self.places[place as usize].loaded = Some(loaded);
    }

    /// Whether the request is here, and if so, whether it could be read.
    fn holds(&self, position: u32) -> Option<bool> {
        self.place(position)?.loaded.as_ref().map(Result::is_ok)
    }

    fn get(&self, position: u32) -> Option<&super::source::Loaded> {
        self.place(position)?
            .loaded
            .as_ref()?
            .as_ref()
            .ok()
            .map(AsRef::as_ref)
    }

    /// A twin needs the request no more; gives the bytes freed by that.
    fn used(&mut self, position: u32, twin: Twin) -> usize {
        let Some(place) = position
            .checked_sub(self.first)
            .and_then(|place| self.places.get_mut(place as usize))
        else {
            return 0;
        };
        place.used[index(twin)] = true;
        if place.used != [true; 2] {
            return 0;
        }
        let freed = match place.loaded.take() {
            Some(Ok(loaded)) => loaded.held_bytes,
            _ => 0,
        };
        self.trim();
        freed
    }

    /// Places before the first that is in use go.
    fn trim(&mut self) {
        while self
            .places
            .front()
            .is_some_and(|place| place.loaded.is_none())
        {
            self.places.pop_front();
            self.first += 1;
        }
    }

    fn place(&self, position: u32) -> Option<&Place> {
        self.places.get(position.checked_sub(self.first)? as usize)
    }
}
