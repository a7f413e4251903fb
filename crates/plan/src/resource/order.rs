//! What waits for what, and what races.
//!
//! The exchanges are gone through in time. A resource remembers the touches that
//! ended last: who reads it waits for those that wrote and that no later write waited
//! for, who writes it waits for those that read since, too. Each list holds the newest
//! few, so that the work for an exchange does not grow with their number.
//!
//! A request *races* with a write that overlapped it, and with writes before it that
//! overlapped each other and that no later write came after. A read leaves the writer
//! alone that it overlapped: nobody can notice it.

use std::cmp::Reverse;
use std::collections::VecDeque;

use twintap_stream::message::MessageState;

use super::Mode;
use super::share::Shares;
use crate::capture::Capture;
use crate::collect::Item;
use crate::model::Race;
use crate::session::Sessions;

/// Most races that one request has.
const MOST_RACES: usize = 4;
/// Writes of one resource that are remembered for what they overlap.
const MOST_WRITES: usize = 8;

/// The resources while the capture is gone through.
pub(crate) struct Resources {
    shares: Shares,
    states: Vec<State>,
    most_waits: usize,
    clock_uncertainty_ns: u64,
}

/// What was done with one resource so far.
#[derive(Clone, Debug, Default)]
struct State {
    reads: VecDeque<u32>,
    appends: VecDeque<u32>,
    writes: VecDeque<u32>,
    /// Writes and appends that have begun and not ended.
    open: Vec<(u32, Mode)>,
    /// Those that began last.
    begun: VecDeque<(u32, Mode)>,
}

/// What a request comes after, the last to end first.
#[derive(Debug, Default)]
pub(crate) struct After {
    pub all: Vec<u32>,
    /// Those of them that wrote what it touches.
    pub writes: Vec<u32>,
}

impl Resources {
    /// Nothing was touched yet; a resource remembers at most `most_waits` touches of
    /// each mode.
    pub fn new(
        capture: &Capture,
        sessions: &Sessions,
        most_waits: usize,
        clock_uncertainty_ns: u64,
    ) -> Resources {
        let shares = Shares::of(capture, sessions);
        Resources {
            states: vec![State::default(); shares.orders.len()],
            shares,
            most_waits,
            clock_uncertainty_ns,
        }
    }

    /// The exchange at `position` begins and is fired: gives what it comes after, and
    /// adds what it races with so far.
    pub fn begin(&mut self, capture: &Capture, position: u32, races: &mut Vec<Race>) -> After {
        let items = Items {
            capture,
            clock_uncertainty_ns: self.clock_uncertainty_ns,
        };
        let mut after = After::default();
        for touch in self.shares.touches(position) {
            let state = &mut self.states[touch.resource as usize];
            let orders = self.shares.orders[touch.resource as usize];
            let mut race = |request: u32| {
                if !items.on_one_flow(request, position) {
                    add_race(races, request, capture.resource_name(touch.name));
                }
            };
            for (request, mode) in &state.open {
                if mode.conflicts(touch.mode) {
                    race(*request);
                }
            }
            for (request, mode) in state.ended() {
                if !mode.conflicts(touch.mode) {
                    continue;
                }
                if items.is_before(request, position) {
                    after.all.extend(orders.then_some(request));
                    let is_write = orders && mode.writes();
                    after.writes.extend(is_write.then_some(request));
                } else if mode.writes() {
                    race(request);
                }
            }
            for request in state.undecided(&items) {
                race(request);
            }
            if touch.mode.writes() && items.has_end(position) {
                state.open.push((position, touch.mode));
                push_newest(&mut state.begun, (position, touch.mode), MOST_WRITES);
            }
        }
        let newest = |request: &u32| Reverse((items.end_ns(*request), *request));
        for list in [&mut after.all, &mut after.writes] {
            list.sort_unstable_by_key(newest);
            list.dedup();
        }
        after
    }

    /// The exchange at `position`, which is fired, has ended: adds what it races with
    /// of what began since it did.
    pub fn end(&mut self, capture: &Capture, position: u32, races: &mut Vec<Race>) {
        let items = Items {
            capture,
            clock_uncertainty_ns: self.clock_uncertainty_ns,
        };
        for touch in self.shares.touches(position) {
            let state = &mut self.states[touch.resource as usize];
            state.open.retain(|(open, _)| *open != position);
            for (request, mode) in &state.begun {
                let is_later = *request > position && mode.conflicts(touch.mode);
                if is_later && !items.on_one_flow(*request, position) {
                    add_race(races, *request, capture.resource_name(touch.name));
                }
            }
            if touch.mode == Mode::Write {
                for list in [&mut state.reads, &mut state.appends, &mut state.writes] {
                    list.retain(|before| !items.is_before(*before, position));
                }
            }
            let list = match touch.mode {
                Mode::Write => &mut state.writes,
                Mode::Append => &mut state.appends,
                Mode::Read | Mode::Birth => &mut state.reads,
            };
            push_newest(list, position, self.most_waits);
        }
    }
}

impl State {
    /// What ended, and what no write came after.
    fn ended(&self) -> impl Iterator<Item = (u32, Mode)> {
        let of = |list: &VecDeque<u32>, mode| {
            let list: Vec<(u32, Mode)> = list.iter().map(|request| (*request, mode)).collect();
            list
        };
        of(&self.writes, Mode::Write)
            .into_iter()
            .chain(of(&self.appends, Mode::Append))
            .chain(of(&self.reads, Mode::Read))
    }

    /// Writes that ended and that overlapped each other: what they left is for no
    /// recording to say.
    fn undecided(&self, items: &Items<'_>) -> Vec<u32> {
        let mut undecided = Vec::new();
        for (index, write) in self.writes.iter().enumerate() {
            let others = self
                .appends
                .iter()
                .chain(self.writes.iter().skip(index + 1));
            for other in others {
                let is_open = !items.is_before(*write, *other) && !items.is_before(*other, *write);
                if is_open && !items.on_one_flow(*write, *other) {
                    undecided.extend([*write, *other]);
                }
            }
        }
        undecided
    }
}

/// The exchanges by position.
struct Items<'a> {
    capture: &'a Capture,
    clock_uncertainty_ns: u64,
}

impl Items<'_> {
    /// True when the first had ended before the second began, by clocks that can say so.
    fn is_before(&self, first: u32, second: u32) -> bool {
        let (first, second) = (self.item(first), self.item(second));
        let one_clock = (first.id.boot, &first.id.node) == (second.id.boot, &second.id.node);
        let uncertainty_ns = match one_clock {
            true => 0,
            false => self.clock_uncertainty_ns,
        };
        first.end_ns.saturating_add(uncertainty_ns) < second.start_ns
    }

    /// True when a connection keeps the two in order, or the service does.
    fn on_one_flow(&self, one: u32, other: u32) -> bool {
        self.item(one).flow == self.item(other).flow
    }

    fn has_end(&self, position: u32) -> bool {
        self.item(position).response != MessageState::Absent
    }

    fn end_ns(&self, position: u32) -> u64 {
        self.item(position).end_ns
    }

    fn item(&self, position: u32) -> &Item {
        &self.capture.items[position as usize]
    }
}

/// Adds a race, unless there is one with that request, or there are many.
pub(crate) fn add_race(races: &mut Vec<Race>, request: u32, resource: &str) {
    if races.len() < MOST_RACES && races.iter().all(|race| race.request != request) {
        races.push(Race {
            request,
            resource: resource.to_owned(),
        });
    }
}

fn push_newest<T>(list: &mut VecDeque<T>, new: T, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    if most > 0 {
        list.push_back(new);
    }
}
