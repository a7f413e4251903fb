//! When each request of one twin may go out: pure bookkeeping over run time.
//!
//! Run time counts in nanoseconds from T0 and stands still while the run pauses.
//! Call [`Schedule::handle_due`] once for each request in the plan's order, with
//! the run time at which it was due at the speed of that moment, then
//! [`Schedule::handle_outcome`] and [`Schedule::handle_values`] as its requests
//! settle, [`Schedule::handle_timeout`] when [`Schedule::poll_timeout`] says, and
//! [`Schedule::poll_ready`] until it is empty.

use std::collections::VecDeque;
use std::sync::Arc;

use twintap_plan::Plan;

/// What both twins' schedules share: due times and who waits for whom.
#[derive(Debug)]
pub struct Timetable {
    due_ns: Vec<u64>,
    /// The waiters of request `n` are `edges[starts[n]..starts[n + 1]]`.
    starts: Vec<u32>,
    edges: Vec<Edge>,
    waits: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    waiter: u32,
    /// It waits for values that the answer produces, not for the outcome alone.
    wants_values: bool,
}

impl Timetable {
    /// The timetable of `plan`.
    pub fn new(plan: &Plan) -> Timetable {
        let count = plan.requests.len();
        let mut list: Vec<(u32, Edge)> = Vec::new();
        let mut waits = vec![0; count];
        for (position, request) in (0u32..).zip(&plan.requests) {
            let bound = request.bindings.iter().map(|binding| binding.producer);
            let waited = request.waits.iter().map(|wait| wait.request);
            let mut producers: Vec<u32> = bound.chain(waited).collect();
            producers.sort_unstable();
            producers.dedup();
            // An edge that does not point back could never be met.
            producers.retain(|&producer| producer < position);
            waits[position as usize] = u32::try_from(producers.len()).unwrap_or(u32::MAX);
            for producer in producers {
                let wants_values = request
                    .bindings
                    .iter()
                    .any(|binding| binding.producer == producer);
                let edge = Edge {
                    waiter: position,
                    wants_values,
                };
                list.push((producer, edge));
            }
        }
        list.sort_by_key(|(producer, edge)| (*producer, edge.waiter));
        let mut starts = vec![0u32; count + 1];
        for (producer, _) in &list {
            starts[*producer as usize + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        Timetable {
            due_ns: plan.requests.iter().map(|request| request.due_ns).collect(),
            starts,
            edges: list.into_iter().map(|(_, edge)| edge).collect(),
            waits,
        }
    }

    /// How many requests there are.
    pub fn len(&self) -> u32 {
        u32::try_from(self.due_ns.len()).unwrap_or(u32::MAX)
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.due_ns.is_empty()
    }

    /// When a request is due, in the plan's time.
    pub fn due_ns(&self, position: u32) -> u64 {
        self.due_ns[position as usize]
    }

    /// How many requests use values of this one.
    pub fn value_users(&self, position: u32) -> u32 {
        let users = self
            .waiters(position)
            .iter()
            .filter(|edge| edge.wants_values);
        u32::try_from(users.count()).unwrap_or(u32::MAX)
    }

    fn waiters(&self, position: u32) -> &[Edge] {
        let start = self.starts[position as usize] as usize;
        let end = self.starts[position as usize + 1] as usize;
        &self.edges[start..end]
    }
}

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

/// One twin's schedule.
#[derive(Debug)]
pub struct Schedule {
    table: Arc<Timetable>,
    max_wait_ns: u64,
    unmet: Vec<u32>,
    met_ns: Vec<u64>,
    /// In run time, of what has become due.
    due_ns: Vec<u64>,
    stage: Vec<Stage>,
    /// In the order of due times, which is that of their deadlines.
    waiting: VecDeque<u32>,
    ready: VecDeque<Release>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    NotDue,
    Waiting,
    Released,
}

impl Schedule {
    /// Nothing is due yet. A request waits at most `max_wait_ns` from its due time.
    pub fn new(table: Arc<Timetable>, max_wait_ns: u64) -> Schedule {
        let count = table.due_ns.len();
        Schedule {
            unmet: table.waits.clone(),
            met_ns: vec![0; count],
            due_ns: vec![0; count],
            stage: vec![Stage::NotDue; count],
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            table,
            max_wait_ns,
        }
    }

    /// The request's due time has come: it was due at `due_ns` of run time.
    pub fn handle_due(&mut self, position: u32, due_ns: u64) {
        self.due_ns[position as usize] = due_ns;
        if self.unmet[position as usize] == 0 {
            self.release(position, false);
        } else {
            self.stage[position as usize] = Stage::Waiting;
            self.waiting.push_back(position);
        }
    }

    /// The request has its outcome. `has_values` says that values of its answer
    /// follow by [`handle_values`](Self::handle_values); else who uses them goes on
    /// without.
    pub fn handle_outcome(&mut self, position: u32, now_ns: u64, has_values: bool) {
        self.meet(position, now_ns, |edge| !(has_values && edge.wants_values));
    }

    /// The values of the request's answer are there.
    pub fn handle_values(&mut self, position: u32, now_ns: u64) {
        self.meet(position, now_ns, |edge| edge.wants_values);
    }

    /// Releases what has waited too long.
    pub fn handle_timeout(&mut self, now_ns: u64) {
        while let Some(&position) = self.waiting.front() {
            let is_waiting = self.stage[position as usize] == Stage::Waiting;
            let deadline = self.deadline_ns(position);
            if is_waiting && deadline > now_ns {
                return;
            }
            self.waiting.pop_front();
            if is_waiting {
                self.met_ns[position as usize] = deadline;
                self.release(position, true);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&mut self) -> Option<u64> {
        while let Some(&position) = self.waiting.front() {
            if self.stage[position as usize] == Stage::Waiting {
                return Some(self.deadline_ns(position));
            }
            self.waiting.pop_front();
        }
        None
    }

    /// The next request that may go out.
    pub fn poll_ready(&mut self) -> Option<Release> {
        self.ready.pop_front()
    }

    /// Takes out everything that is due and not out: what waits and what is ready.
    pub fn drain(&mut self) -> Vec<u32> {
        let ready = self.ready.drain(..).map(|release| release.position);
        let mut drained: Vec<u32> = ready.collect();
        for position in self.waiting.drain(..) {
            let stage = &mut self.stage[position as usize];
            if *stage == Stage::Waiting {
                *stage = Stage::Released;
                drained.push(position);
            }
        }
        drained
    }

    fn meet(&mut self, position: u32, now_ns: u64, concerns: impl Fn(Edge) -> bool) {
        let table = Arc::clone(&self.table);
        for &edge in table.waiters(position) {
            if !concerns(edge) {
                continue;
            }
            let waiter = edge.waiter as usize;
            self.unmet[waiter] = self.unmet[waiter].saturating_sub(1);
            if self.stage[waiter] != Stage::Released {
                self.met_ns[waiter] = self.met_ns[waiter].max(now_ns);
            }
            if self.unmet[waiter] == 0 && self.stage[waiter] == Stage::Waiting {
                self.release(edge.waiter, false);
            }
        }
    }

    fn release(&mut self, position: u32, wait_expired: bool) {
        self.stage[position as usize] = Stage::Released;
        let due_ns = self.due_ns[position as usize];
        self.ready.push_back(Release {
            position,
            due_ns,
            ready_ns: self.met_ns[position as usize].max(due_ns),
            wait_expired,
        });
    }

    fn deadline_ns(&self, position: u32) -> u64 {
        self.due_ns[position as usize].saturating_add(self.max_wait_ns)
    }
}

#[cfg(test)]
mod tests {
    use twintap_plan::model::{Wait, WaitReason};

    use super::super::testing::{binding, plan};
    use super::*;

    fn schedule(plan: &Plan) -> Schedule {
        Schedule::new(Arc::new(Timetable::new(plan)), 1000)
    }

    fn ready(schedule: &mut Schedule) -> Vec<(u32, u64, bool)> {
        std::iter::from_fn(|| schedule.poll_ready())
            .map(|release| (release.position, release.ready_ns, release.wait_expired))
            .collect()
    }

    /// The recorded speed: run time is the plan's.
    fn due(schedule: &mut Schedule, position: u32) {
        let due_ns = schedule.table.due_ns(position);
        schedule.handle_due(position, due_ns);
    }

    fn wait(request: u32) -> Wait {
        Wait {
            request,
            reason: WaitReason::Connection,
        }
    }

    #[test]
    fn what_waits_for_nothing_is_ready_when_due() {
        let mut schedule = schedule(&plan(&[10, 20]));
        due(&mut schedule, 0);
        due(&mut schedule, 1);
        assert_eq!(ready(&mut schedule), [(0, 10, false), (1, 20, false)]);
        assert_eq!(schedule.poll_timeout(), None);
    }

    #[test]
    fn ready_is_the_later_of_due_and_met() {
        let mut plan = plan(&[10, 20, 30]);
        plan.requests[1].waits = vec![wait(0)];
        plan.requests[2].waits = vec![wait(0)];
        let mut schedule = schedule(&plan);
        due(&mut schedule, 0);
        due(&mut schedule, 1);
        assert_eq!(ready(&mut schedule), [(0, 10, false)]);
        schedule.handle_outcome(0, 25, false);
        assert_eq!(ready(&mut schedule), [(1, 25, false)]);
        due(&mut schedule, 2);
        assert_eq!(ready(&mut schedule), [(2, 30, false)]);
    }

    #[test]
    fn a_user_of_values_waits_for_them_and_not_for_the_outcome() {
        let mut plan = plan(&[10, 20, 20]);
        plan.requests[1].bindings = vec![binding(0, "json./id")];
        plan.requests[1].waits = vec![wait(0)];
        plan.requests[2].waits = vec![wait(0)];
        let mut schedule = schedule(&plan);
        for position in 0..3 {
            due(&mut schedule, position);
        }
        ready(&mut schedule);
        schedule.handle_outcome(0, 30, true);
        assert_eq!(ready(&mut schedule), [(2, 30, false)]);
        schedule.handle_values(0, 40);
        assert_eq!(ready(&mut schedule), [(1, 40, false)]);
    }

    #[test]
    fn without_values_their_users_go_on() {
        let mut plan = plan(&[10, 20]);
        plan.requests[1].bindings = vec![binding(0, "json./id")];
        let mut schedule = schedule(&plan);
        due(&mut schedule, 0);
        due(&mut schedule, 1);
        schedule.handle_outcome(0, 30, false);
        assert_eq!(ready(&mut schedule), [(0, 10, false), (1, 30, false)]);
    }

    #[test]
    fn a_wait_ends_by_itself() {
        let mut plan = plan(&[10, 20, 30]);
        plan.requests[1].waits = vec![wait(0)];
        plan.requests[2].waits = vec![wait(1)];
        let mut schedule = schedule(&plan);
        for position in 0..3 {
            due(&mut schedule, position);
        }
        ready(&mut schedule);
        assert_eq!(schedule.poll_timeout(), Some(1020));
        schedule.handle_timeout(1019);
        assert_eq!(ready(&mut schedule), []);
        schedule.handle_timeout(1020);
        assert_eq!(ready(&mut schedule), [(1, 1020, true)]);
        // Its late outcome must not release anything twice.
        schedule.handle_outcome(0, 1025, false);
        assert_eq!(ready(&mut schedule), []);
        schedule.handle_outcome(1, 1026, false);
        assert_eq!(ready(&mut schedule), [(2, 1026, false)]);
        assert_eq!(schedule.poll_timeout(), None);
    }

    #[test]
    fn draining_gives_each_request_once() {
        let mut plan = plan(&[10, 20, 30]);
        plan.requests[1].waits = vec![wait(0)];
        let mut schedule = schedule(&plan);
        due(&mut schedule, 0);
        due(&mut schedule, 1);
        assert_eq!(schedule.drain(), [0, 1]);
        schedule.handle_outcome(0, 50, false);
        assert!(schedule.drain().is_empty());
    }
}
