//! Due times and dependencies of one batch.

use std::collections::HashMap;

use smallvec::SmallVec;
use twintap_plan::PlannedRequest;

use super::batches::ahead;

/// What both twins' schedules share of one batch: due times and who waits for whom.
/// Places count from the batch's first request.
#[derive(Debug)]
pub struct Timetable {
    first: u32,
    due_ns: Vec<u64>,
    /// The waiters of place `n` are `edges[starts[n]..starts[n + 1]]`.
    starts: Vec<u32>,
    edges: Vec<Edge>,
    waits: Vec<u32>,
    /// Positions of earlier batches with who waits for them here.
    outer: Vec<(u32, Edge)>,
    /// By place, of requests in a closed loop: the position of the request that their user
    /// goes on after, and how much later, in nanoseconds.
    thinks: HashMap<u32, (u32, u64)>,
}

/// Who waits for a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    /// Its place.
    pub(crate) waiter: u32,
    /// It waits for values that the answer produces, not for the outcome alone.
    pub(crate) wants_values: bool,
}

impl Timetable {
    /// The timetable of `requests`, the first of which is at `first`.
    pub fn new(first: u32, requests: &[PlannedRequest]) -> Timetable {
        let count = requests.len();
        let mut list: Vec<(u32, Edge)> = Vec::new();
        let mut outer = Vec::new();
        let mut waits = vec![0; count];
        for (waiter, request) in (0u32..).zip(requests) {
            let bound = request.bindings.iter().map(|binding| binding.producer);
            let waited = request.waits.iter().map(|wait| wait.request);
            let mut producers: SmallVec<[u32; 8]> = bound.chain(waited).collect();
            producers.sort_unstable();
            producers.dedup();
            for producer in producers {
                let bindings = &request.bindings;
                let wants_values = bindings.iter().any(|binding| binding.producer == producer);
                let edge = Edge {
                    waiter,
                    wants_values,
                };
                let place = producer.wrapping_sub(first);
                // An edge that does not point back could never be met.
                if place < waiter {
                    waits[waiter as usize] += 1;
                    list.push((place, edge));
                } else if ahead(first, producer).is_some_and(|ahead| ahead > 0) {
                    outer.push((producer, edge));
                }
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
            first,
            due_ns: requests.iter().map(|request| request.due_ns).collect(),
            starts,
            edges: list.into_iter().map(|(_, edge)| edge).collect(),
            waits,
            outer,
            thinks: thinks(requests),
        }
    }

    /// The position of the first request.
    pub fn first(&self) -> u32 {
        self.first
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
    pub fn due_ns(&self, place: usize) -> u64 {
        self.due_ns[place]
    }

    /// How many requests of the batch use values of this one.
    pub fn value_users(&self, place: usize) -> u32 {
        let users = self.waiters(place).iter().filter(|edge| edge.wants_values);
        u32::try_from(users.count()).unwrap_or(u32::MAX)
    }

    /// The place of a position of this batch.
    pub(crate) fn place(&self, position: u32) -> usize {
        position.wrapping_sub(self.first) as usize
    }

    /// How many requests of the batch each waits for.
    pub(crate) fn waits(&self) -> &[u32] {
        &self.waits
    }

    /// How long after the outcome of the request at `position` the user of the one at the
    /// place `waiter` goes on, if it is for that one.
    pub(crate) fn think_ns(&self, waiter: u32, position: u32) -> Option<u64> {
        let &(after, ns) = self.thinks.get(&waiter)?;
        (after == position).then_some(ns)
    }

    /// True where users think.
    pub(crate) fn has_thinkers(&self) -> bool {
        !self.thinks.is_empty()
    }

    /// Positions of earlier batches with who waits for them here.
    pub(crate) fn outer(&self) -> &[(u32, Edge)] {
        &self.outer
    }

    /// Who of the batch waits for the request at a place.
    pub(crate) fn waiters(&self, place: usize) -> &[Edge] {
        &self.edges[self.starts[place] as usize..self.starts[place + 1] as usize]
    }
}

/// After which requests users go on.
fn thinks(requests: &[PlannedRequest]) -> HashMap<u32, (u32, u64)> {
    let thinkers = (0u32..).zip(requests);
    thinkers
        .filter_map(|(place, request)| {
            let think = request.think?;
            Some((place, (think.after, think.ns)))
        })
        .collect()
}
