//! When connections have something to write without anything happening to them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slots::Key;
use super::tempo::{Dues, Moment};
use super::twin::Now;

/// Moments, each with the connection that has something to do then.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    plan: BinaryHeap<Reverse<(u64, Key)>>,
    run: BinaryHeap<Reverse<(u64, Key)>>,
}

impl Wakes {
    /// Notes what of `dues` is new since `before`.
    pub(crate) fn push(&mut self, before: Dues, dues: Dues, key: Key) {
        if let Some(plan_ns) = dues.plan_ns.filter(|_| dues.plan_ns != before.plan_ns) {
            self.plan.push(Reverse((plan_ns, key)));
        }
        if let Some(run_ns) = dues.run_ns.filter(|_| dues.run_ns != before.run_ns) {
            self.run.push(Reverse((run_ns, key)));
        }
    }

    /// Takes out a connection whose moment has come.
    pub(crate) fn pop(&mut self, moment: Moment) -> Option<Key> {
        let of_plan = pop_until(&mut self.plan, moment.plan_ns);
        of_plan.or_else(|| pop_until(&mut self.run, moment.run_ns))
    }

    /// The clock time of the next moment; none while the run pauses, in which none comes.
    pub(crate) fn next_clock_ns(&self, now: Now) -> Option<u64> {
        let of_plan = self.plan.peek();
        let of_plan = of_plan.map(|&Reverse((plan_ns, _))| now.tempo.run_ns(plan_ns));
        let of_run = self.run.peek().map(|&Reverse((run_ns, _))| run_ns);
        let run_ns = of_plan.into_iter().chain(of_run).min()?;
        (!now.is_paused).then(|| now.clock_ns_at(run_ns))
    }
}

fn pop_until(heap: &mut BinaryHeap<Reverse<(u64, Key)>>, now_ns: u64) -> Option<Key> {
    let &Reverse((due_ns, key)) = heap.peek()?;
    if due_ns > now_ns {
        return None;
    }
    heap.pop();
    Some(key)
}
