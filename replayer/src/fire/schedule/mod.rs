//! When each request of one twin may go out: pure bookkeeping over run time.
//!
//! Run time counts in nanoseconds from T0 and stands still while the run pauses.
//! Call [`Schedule::append`] for each batch of the plan, then
//! [`Schedule::handle_due`] once for each request in the plan's order, with
//! the run time at which it was due at the speed of that moment, then
//! [`Schedule::handle_outcome`] and [`Schedule::handle_values`] as its requests
//! settle, [`Schedule::handle_timeout`] when [`Schedule::poll_timeout`] says, and
//! [`Schedule::poll_ready`] until it is empty.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;

use super::batches::PerBatch;
use super::timetable::Edge;
pub use super::timetable::Timetable;

#[cfg(test)]
mod tests;

/// A request that may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Position in the plan.
    pub position: u32,
    /// When it was due, in run time.
    pub due_ns: u64,
    /// The later of due and the moment its dependencies were met (or given up).
    pub ready_ns: u64,
    /// True when the bounded wait for a dependency ran out.
    pub wait_expired: bool,
}

/// What became ready goes out in the plan's order.
#[derive(Debug, PartialEq, Eq)]
struct Ready(Release);

impl Ord for Ready {
    fn cmp(&self, other: &Ready) -> Ordering {
        other.0.position.cmp(&self.0.position)
    }
}

impl PartialOrd for Ready {
    fn partial_cmp(&self, other: &Ready) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One twin's schedule.
#[derive(Debug)]
pub struct Schedule {
    max_wait_ns: u64,
    batches: PerBatch<State>,
    /// In the order of due times, which is that of their deadlines.
    waiting: VecDeque<u32>,
    /// What waits for its user to go on, by that moment of run time.
    thinking: BinaryHeap<Reverse<(u64, u32)>>,
    ready: BinaryHeap<Ready>,
}

/// How far the requests of one batch are, by their places.
#[derive(Debug)]
struct State {
    table: Arc<Timetable>,
    unmet: Vec<u32>,
    met_ns: Vec<u64>,
    /// In run time, of what has become due.
    due_ns: Vec<u64>,
    stage: Vec<Stage>,
    /// Requests without outcome.
    left: u32,
    /// Who of later batches waits for the outcome of a place here, by position.
    later: HashMap<u32, SmallVec<[u32; 2]>>,
    /// Who here waits for values of an earlier batch's answer, by the position that
    /// makes them.
    carried: HashMap<u32, Vec<u32>>,
    /// Places with those here that had their values before the answer ended.
    early: HashSet<(u32, u32)>,
    /// When the user of each place goes on, in run time; known once the outcome that
    /// this counts from is there.
    goes_on_ns: HashMap<u32, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    NotDue,
    Waiting,
    Thinking,
    Released,
    Settled,
}

impl Schedule {
    /// Without requests yet. A request waits at most `max_wait_ns` from its due time.
    pub fn new(max_wait_ns: u64) -> Schedule {
        Schedule {
            max_wait_ns,
            batches: PerBatch::default(),
            waiting: VecDeque::new(),
            thinking: BinaryHeap::new(),
            ready: BinaryHeap::new(),
        }
    }

    /// Takes up a batch, which is due after all that came before.
    pub fn append(&mut self, table: Arc<Timetable>) {
        let mut unmet = table.waits().to_vec();
        let mut carried: HashMap<u32, Vec<u32>> = HashMap::new();
        for &(producer, edge) in table.outer() {
            if edge.wants_values {
                unmet[edge.waiter as usize] += 1;
                carried.entry(producer).or_default().push(edge.waiter);
            } else if let Some((state, place)) = self.batches.get_mut(producer)
                && state.stage[place] != Stage::Settled
            {
                unmet[edge.waiter as usize] += 1;
                let waiter = table.first().wrapping_add(edge.waiter);
                state.later.entry(place as u32).or_default().push(waiter);
            }
        }
        let count = table.len() as usize;
        let (first, len) = (table.first(), table.len());
        let state = State {
            table,
            unmet,
            met_ns: vec![0; count],
            due_ns: vec![0; count],
            stage: vec![Stage::NotDue; count],
            left: len,
            later: HashMap::new(),
            carried,
            early: HashSet::new(),
            goes_on_ns: HashMap::new(),
        };
        self.batches.push(first, len, state);
    }

    /// Lets the earliest batch go if all its requests have their outcomes, and says
    /// whether it did.
    pub fn pop_settled(&mut self) -> bool {
        let is_settled = self
            .batches
            .front()
            .is_some_and(|(_, state)| state.left == 0);
        if is_settled {
            self.batches.pop_front();
        }
        is_settled
    }

    /// Whether a request has its outcome.
    pub fn is_settled(&self, position: u32) -> bool {
        let found = self.batches.get(position);
        found.is_none_or(|(state, place)| state.stage[place] == Stage::Settled)
    }

    /// The request's due time has come: it was due at `due_ns` of run time.
    pub fn handle_due(&mut self, position: u32, due_ns: u64) {
        let Some((state, place)) = self.batches.get_mut(position) else {
            return;
        };
        state.due_ns[place] = due_ns;
        if state.unmet[place] == 0 {
            self.go_on(position);
        } else {
            state.stage[place] = Stage::Waiting;
            self.waiting.push_back(position);
        }
    }

    /// The request has its outcome. `has_values` says that values of its answer
    /// follow by [`handle_values`](Self::handle_values); else who uses them goes on
    /// without.
    pub fn handle_outcome(&mut self, position: u32, now_ns: u64, has_values: bool) {
        let Some((state, place)) = self.batches.get_mut(position) else {
            return;
        };
        state.left = state.left.saturating_sub(1);
        state.stage[place] = Stage::Settled;
        state.note_thinkers(place, now_ns);
        let later = match state.later.is_empty() {
            true => None,
            false => state.later.remove(&(place as u32)),
        };
        self.meet(position, now_ns, |edge| !(has_values && edge.wants_values));
        for waiter in later.into_iter().flatten() {
            if let Some((state, place)) = self.batches.get_mut(waiter) {
                state.note_thinker(place as u32, position, now_ns);
            }
            self.meet_one(waiter, now_ns);
        }
    }

    /// All values of the request's answer that the one at `waiter` uses are there, though the
    /// answer goes on.
    pub fn handle_early(&mut self, position: u32, waiter: u32, now_ns: u64) {
        let Some((state, place)) = self.batches.get_mut(position) else {
            return;
        };
        let waiter_place = state.table.place(waiter);
        if state.early.insert((place as u32, waiter_place as u32)) {
            self.meet_one(waiter, now_ns);
        }
    }

    /// The values of the request's answer are there.
    pub fn handle_values(&mut self, position: u32, now_ns: u64) {
        self.meet(position, now_ns, |edge| edge.wants_values);
    }

    /// The values that requests of the batch from `first` on use of an earlier batch's
    /// answer are there, as far as there are any.
    pub fn handle_carried(&mut self, first: u32, producer: u32, now_ns: u64) {
        let Some((state, _)) = self.batches.get_mut(first) else {
            return;
        };
        for waiter in state.carried.remove(&producer).into_iter().flatten() {
            self.meet_one(first.wrapping_add(waiter), now_ns);
        }
    }

    /// Releases what has waited too long, and whose user goes on.
    pub fn handle_timeout(&mut self, now_ns: u64) {
        while let Some(&Reverse((goes_on_ns, position))) = self.thinking.peek() {
            if goes_on_ns > now_ns {
                break;
            }
            self.thinking.pop();
            self.release(position, false);
        }
        while let Some(&position) = self.waiting.front() {
            let deadline = self.deadline_ns(position);
            if deadline.is_some_and(|deadline| deadline > now_ns) {
                return;
            }
            self.waiting.pop_front();
            if let Some(deadline) = deadline
                && let Some((state, place)) = self.batches.get_mut(position)
            {
                state.met_ns[place] = deadline;
                self.release(position, true);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&mut self) -> Option<u64> {
        let goes_on_ns = self.thinking.peek().map(|&Reverse((at_ns, _))| at_ns);
        while let Some(&position) = self.waiting.front() {
            if let Some(deadline_ns) = self.deadline_ns(position) {
                return Some(goes_on_ns.map_or(deadline_ns, |at_ns| at_ns.min(deadline_ns)));
            }
            self.waiting.pop_front();
        }
        goes_on_ns
    }

    /// The next request that may go out.
    pub fn poll_ready(&mut self) -> Option<Release> {
        self.ready.pop().map(|Ready(release)| release)
    }

    /// Takes out everything that is due and not out: what waits and what is ready.
    pub fn drain(&mut self) -> Vec<u32> {
        let ready = std::iter::from_fn(|| self.ready.pop());
        let mut drained: Vec<u32> = ready.map(|Ready(release)| release.position).collect();
        let thinking = self.thinking.drain().map(|Reverse((_, position))| position);
        for position in thinking {
            if let Some((state, place)) = self.batches.get_mut(position) {
                state.stage[place] = Stage::Released;
                drained.push(position);
            }
        }
        for position in self.waiting.drain(..) {
            if let Some((state, place)) = self.batches.get_mut(position)
                && state.stage[place] == Stage::Waiting
            {
                state.stage[place] = Stage::Released;
                drained.push(position);
            }
        }
        drained
    }

    fn meet(&mut self, position: u32, now_ns: u64, concerns: impl Fn(Edge) -> bool) {
        let Some((state, place)) = self.batches.get_mut(position) else {
            return;
        };
        let table = Arc::clone(&state.table);
        for &edge in table.waiters(place) {
            if !concerns(edge) || state.had_early(place, edge) {
                continue;
            }
            if state.meet(edge.waiter as usize, now_ns) {
                match state.go_on(edge.waiter as usize) {
                    Next::Thinks(at) => self.thinking.push(Reverse(at)),
                    Next::Ready(release) => self.ready.push(Ready(release)),
                }
            }
        }
    }

    fn meet_one(&mut self, waiter: u32, now_ns: u64) {
        if let Some((state, place)) = self.batches.get_mut(waiter)
            && state.meet(place, now_ns)
        {
            self.go_on(waiter);
        }
    }

    /// All that the request waited for is there.
    fn go_on(&mut self, position: u32) {
        if let Some((state, place)) = self.batches.get_mut(position) {
            match state.go_on(place) {
                Next::Thinks(at) => self.thinking.push(Reverse(at)),
                Next::Ready(release) => self.ready.push(Ready(release)),
            }
        }
    }

    fn release(&mut self, position: u32, wait_expired: bool) {
        if let Some((state, place)) = self.batches.get_mut(position) {
            self.ready.push(Ready(state.release(place, wait_expired)));
        }
    }

    /// Until when a request waits, if it does.
    fn deadline_ns(&self, position: u32) -> Option<u64> {
        let (state, place) = self.batches.get(position)?;
        let is_waiting = state.stage[place] == Stage::Waiting;
        is_waiting.then(|| state.due_ns[place].saturating_add(self.max_wait_ns))
    }
}

/// What becomes of a request that waits for no other any more.
enum Next {
    /// Its user goes on at that moment of run time.
    Thinks((u64, u32)),
    Ready(Release),
}

impl State {
    /// In a closed loop the request is due only when its user goes on.
    fn go_on(&mut self, place: usize) -> Next {
        let goes_on_ns = match self.goes_on_ns.is_empty() {
            true => None,
            false => self.goes_on_ns.remove(&(place as u32)),
        };
        let Some(goes_on_ns) = goes_on_ns else {
            return Next::Ready(self.release(place, false));
        };
        let due_ns = &mut self.due_ns[place];
        *due_ns = goes_on_ns.max(*due_ns);
        self.stage[place] = Stage::Thinking;
        Next::Thinks((*due_ns, self.table.first().wrapping_add(place as u32)))
    }

    /// Users who have the outcome of the request at `place` go on some time from now.
    fn note_thinkers(&mut self, place: usize, now_ns: u64) {
        if !self.table.has_thinkers() {
            return;
        }
        let table = Arc::clone(&self.table);
        let position = table.first().wrapping_add(place as u32);
        for edge in table.waiters(place) {
            self.note_thinker(edge.waiter, position, now_ns);
        }
    }

    /// The user of the request at the place `waiter` may go on some time after the outcome
    /// of that at `position`, which came now.
    fn note_thinker(&mut self, waiter: u32, position: u32, now_ns: u64) {
        if let Some(think_ns) = self.table.think_ns(waiter, position) {
            let goes_on_ns = now_ns.saturating_add(think_ns);
            self.goes_on_ns.insert(waiter, goes_on_ns);
        }
    }

    /// Whether the waiter goes on already, having the values that it wants.
    fn had_early(&self, place: usize, edge: Edge) -> bool {
        !self.early.is_empty() && self.early.contains(&(place as u32, edge.waiter))
    }

    /// One dependency of a request is met; says whether it may go out by that.
    fn meet(&mut self, place: usize, now_ns: u64) -> bool {
        self.unmet[place] = self.unmet[place].saturating_sub(1);
        if matches!(self.stage[place], Stage::NotDue | Stage::Waiting) {
            self.met_ns[place] = self.met_ns[place].max(now_ns);
        }
        self.unmet[place] == 0 && self.stage[place] == Stage::Waiting
    }

    fn release(&mut self, place: usize, wait_expired: bool) -> Release {
        self.stage[place] = Stage::Released;
        let due_ns = self.due_ns[place];
        Release {
            position: self.table.first().wrapping_add(place as u32),
            due_ns,
            ready_ns: self.met_ns[place].max(due_ns),
            wait_expired,
        }
    }
}
