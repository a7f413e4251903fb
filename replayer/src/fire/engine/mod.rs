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

use hdrhistogram::Histogram;
use smallvec::{SmallVec, smallvec};
use twintap_plan::{Carried, Pace, SkipReason};
use twintap_verdict::observation::Twin;

use super::batches::{Batch, PerBatch, Requests, ahead};
use super::control::{MOST_TWINS, Steering, index};
use super::course::{Course, Time, Unsent};
use super::feed::Fed;
use super::flows::Flows;
use super::ledger::{TwinSummary, thread_cpu_ns};
use super::mailbox::Receiver;
use super::options::WhenDown;
use super::outcome::{FromWitness, NOT_DUE, SEEKED, SHED, TWIN_DOWN, ToWitness, Wanted};
use super::poll::{Poll, Ready};
use super::priority::Standing;
use super::rescue::Beds;
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
    /// The number of the firing thread; the first leads.
    thread: usize,
    /// Of a processor, at most, while it goes before others.
    share: f64,
    course: &'a Course,
    beds: &'a Beds,
    /// The version of the time that is taken over.
    known_time: u32,
    /// Those that this thread fires at.
    twins: Vec<TwinSide<'a>>,
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
    time: Time,
    /// Clock time at which a stopped run gives up what is in flight.
    give_up_ns: Option<u64>,
    /// Of a stopped run, what was due and is not out, by twin, until that is settled.
    stopped: Option<Vec<Vec<u32>>>,
}

/// What one of the firing threads is among them.
pub(crate) struct Role<'a> {
    /// Its number; the first leads.
    pub(crate) thread: usize,
    /// Of a processor, at most, while it goes before others.
    pub(crate) share: f64,
    pub(crate) course: &'a Course,
    pub(crate) beds: &'a Beds,
    pub(crate) read_ahead: &'a ReadAhead,
}

/// From and to the threads that read and compare.
pub(crate) struct Inbox {
    pub(crate) loads: Receiver<(u32, LoadedOrNot)>,
    pub(crate) values: Receiver<FromWitness>,
    pub(crate) outcomes: Sender<ToWitness>,
}

/// What a firing thread came to.
pub(crate) struct Fired {
    /// Each twin's summary, with its release errors in nanoseconds.
    pub(crate) twins: Vec<(Twin, TwinSummary, Histogram<u64>)>,
    pub(crate) stopped: bool,
    pub(crate) wall_ns: u64,
    pub(crate) paused_ns: u64,
    pub(crate) wire_cpu_ns: u64,
    pub(crate) spun_ns: u64,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(
        common: Common<'a>,
        poll: Poll,
        twins: Vec<TwinSide<'a>>,
        role: Role<'a>,
        inbox: Inbox,
    ) -> Engine<'a> {
        let lead_ns = nanos(common.options.lead);
        Engine {
            common,
            poll,
            thread: role.thread,
            share: role.share,
            course: role.course,
            beds: role.beds,
            known_time: 0,
            feed: None,
            horizon_ns: u64::MAX,
            batches: PerBatch::default(),
            flows: Flows::default(),
            wanted: Vec::new(),
            sweep_ns: 0,
            window: Window::new(twins.len()),
            twins,
            loads: inbox.loads,
            taken: Vec::new(),
            read_ahead: role.read_ahead,
            is_loading: true,
            values: inbox.values,
            outcomes: inbox.outcomes,
            outcomes_due_ns: None,
            next: 0,
            end: 0,
            openings: Openings::new(nanos(common.options.connect_ahead)),
            time: Time {
                start_ns: 0,
                tempo: Tempo::new(1.0, lead_ns),
                paused_ns: 0,
                pause: None,
                sought_ns: 0,
            },
            give_up_ns: None,
            stopped: None,
        }
    }

    /// Fires a finite plan, until every request has its outcome.
    pub(crate) fn run(mut self, plan: Requests<'a>, table: Arc<Timetable>) -> Fired {
        self.append(plan, table);
        self.wait_for_first_load();
        self.fire()
    }

    /// Fires what the feed brings, until that ends and every request has its outcome.
    pub(crate) fn follow(mut self, feed: mpsc::Receiver<Fed>) -> Fired {
        self.feed = Some(feed);
        self.horizon_ns = 0;
        self.fire()
    }

    fn fire(mut self) -> Fired {
        let mut ready = Vec::new();
        let mut standing = match self.common.options.goes_first {
            true => Standing::first(self.common.clock.now_ns(), self.share),
            false => Standing::given(),
        };
        self.beds.take(self.thread);
        if !self.begin() {
            return self.finish();
        }
        loop {
            if self.give_up_ns.is_none() {
                self.take_batches();
            }
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
            self.sleep(deadline, &mut ready);
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

    /// Waits for sockets until a clock time. Other firing threads see that this one sleeps,
    /// and it looks after them before.
    fn sleep(&mut self, deadline_ns: Option<u64>, ready: &mut Vec<Ready>) {
        let now_ns = self.common.clock.now_ns();
        let look_ns = self.beds.look(self.thread, now_ns, self.common.control);
        let until_ns = deadline_ns.filter(|deadline| *deadline > now_ns);
        self.beds.sleeps(self.thread, until_ns);
        let wake_ns = deadline_ns.into_iter().chain(look_ns).min();
        self.poll.wait(wake_ns, ready);
        self.beds.wakes(self.thread, self.common.clock);
    }

    /// Sets T0, or takes over when it is; says whether the run begins.
    fn begin(&mut self) -> bool {
        if !self.leads() {
            let begins = self.course.wait_for_begin();
            self.take_over_time();
            return begins;
        }
        // The first connections need a moment to open.
        let (_, ahead_ns) = self.openings.front().unzip();
        let usual_ns = nanos(self.common.options.connect_ahead);
        self.time.start_ns = self.common.clock.now_ns() + ahead_ns.unwrap_or(usual_ns);
        self.course.set_time(self.time);
        true
    }

    /// Whether how time runs is for this thread to say.
    fn leads(&self) -> bool {
        self.thread == 0
    }

    /// The place of a twin that this thread fires at.
    fn place(&self, twin: Twin) -> usize {
        place(&self.twins, twin)
    }

    /// The places of this thread's twins, in the order in which they have a request.
    fn turn(&self, position: u32) -> impl Iterator<Item = usize> + use<> {
        let own = self.twins.len();
        let is_for_all = own > 1 && self.leads();
        // The second baseline makes no other twin wait.
        let [first, second] = match is_for_all {
            true => in_turn(position).map(index),
            false => [0, 1],
        };
        let places: [usize; MOST_TWINS] = [first, second, 2];
        places.into_iter().take(own)
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
        let paused_ns = self
            .time
            .pause
            .map_or(0, |since| clock_ns.saturating_sub(since));
        Now {
            clock_ns,
            origin_ns: self.time.start_ns + self.time.paused_ns + paused_ns,
            tempo: self.time.tempo,
            is_paused: self.time.pause.is_some(),
        }
    }

    /// When a request is due, in run time at the present speed.
    fn due_ns(&self, position: u32) -> u64 {
        due_ns(&self.batches, &self.time.tempo, position)
    }

    /// The clock time of a moment of run time, while the run does not pause.
    fn clock_ns(&self, run_ns: u64) -> u64 {
        run_ns.saturating_add(self.time.start_ns + self.time.paused_ns)
    }

    /// Whether a request comes before the next to become due.
    fn is_past(&self, position: u32) -> bool {
        ahead(position, self.next).is_none()
    }

    /// Lets go what is due and what has become ready.
    fn release(&mut self) {
        if self.time.pause.is_some() || self.give_up_ns.is_some() {
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
                // Neither of two twins shall always be the second.
                for twin in self.turn(position) {
                    let side = &mut self.twins[twin];
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
            for twin in self.turn(self.next) {
                let side = &mut self.twins[twin];
                while let Some(release) = side.poll_ready() {
                    is_idle = false;
                    let now = Now {
                        clock_ns: self.common.clock.now_ns(),
                        origin_ns: self.time.start_ns + self.time.paused_ns,
                        tempo: self.time.tempo,
                        is_paused: false,
                    };
                    match self.window.get(release.position) {
                        Some(loaded) => side.fire(release, loaded, now),
                        None => side.refuse(release.position, "unreadable", now),
                    }
                    self.window.used(release.position, twin);
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
            if self.time.pause.is_none() {
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
            for twin in self.turn(position) {
                self.twins[twin].open_ahead(flow, now);
            }
            // Many openings at one time must not hold up what is due.
            self.release();
        }
    }

    fn handle_event(&mut self, event: Ready) {
        if event.token == WAKE_TOKEN {
            self.common.control.clear_wake(self.thread);
            self.take_values();
        } else {
            let (twin, key) = from_token(event.token);
            let now = self.now();
            let place = self.place(twin);
            self.twins[place].handle_io(key, event.flags, now);
        }
        self.release();
    }

    /// The clock time at which the next request is due and can be fired.
    fn next_due(&self) -> Option<u64> {
        let is_firing = self.time.pause.is_none() && self.next != self.end;
        is_firing.then(|| self.clock_ns(self.due_ns(self.next)))
    }

    fn next_deadline(&mut self, due_ns: Option<u64>) -> Option<u64> {
        let now = self.now();
        let now_ns = now.clock_ns;
        let is_firing = self.time.pause.is_none();
        // What is due and still here waits for the loader.
        let due_ns = due_ns.map(|due| {
            if due <= now_ns {
                now_ns + LOADER_LOOK_NS
            } else {
                due
            }
        });
        let position_ns = is_firing.then_some(now_ns + POSITION_EVERY_NS);
        let mut deadlines: SmallVec<[Option<u64>; 11]> =
            smallvec![due_ns, self.give_up_ns, self.outcomes_due_ns, position_ns];
        let begun_ns = self.clock_ns(0);
        for twin in &mut self.twins {
            deadlines.push(twin.poll_timeout(now));
            if is_firing {
                let wait_ns = twin.schedule.poll_timeout();
                deadlines.push(wait_ns.map(|wait| wait.saturating_add(begun_ns)));
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

    fn finish(self) -> Fired {
        for twin in &self.twins {
            let unsent = Unsent {
                drained: HashSet::new(),
                next: self.next,
                end: self.end,
            };
            self.course.end(twin.twin, unsent);
        }
        let end_ns = self.common.clock.now_ns();
        Fired {
            twins: self.twins.into_iter().map(TwinSide::finish).collect(),
            stopped: self.give_up_ns.is_some(),
            wall_ns: end_ns.saturating_sub(self.time.start_ns),
            paused_ns: self.time.paused_ns,
            wire_cpu_ns: thread_cpu_ns(),
            spun_ns: self.poll.spun_ns(),
        }
    }
}

/// The place of a twin among those of a thread, which is one of them.
fn place(twins: &[TwinSide<'_>], twin: Twin) -> usize {
    let own = twins.iter().position(|side| side.twin == twin);
    own.unwrap_or(0)
}

fn due_ns(batches: &PerBatch<Rc<Batch<'_>>>, tempo: &Tempo, position: u32) -> u64 {
    let found = batches.get(position);
    tempo.run_ns(found.map_or(u64::MAX, |(batch, place)| batch.table.due_ns(place)))
}
