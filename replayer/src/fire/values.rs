//! What a twin's answers gave for later requests to use.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use smallvec::SmallVec;
use twintap_plan::{Binding, Plan};

use super::schedule::Timetable;
use super::wire::Edit;

/// The values of one twin's answers, each kept until its last user went out.
#[derive(Debug)]
pub(crate) struct ValueStore {
    /// For each producer in the order of the plan's `produces`.
    values: HashMap<u32, Vec<Option<Bytes>>>,
    users_left: Vec<u32>,
    /// Producers that were passed over, each until its last user is settled.
    lost: HashSet<u32>,
}

impl ValueStore {
    pub(crate) fn new(table: &Timetable) -> ValueStore {
        ValueStore {
            values: HashMap::new(),
            users_left: (0..table.len())
                .map(|position| table.value_users(position))
                .collect(),
            lost: HashSet::new(),
        }
    }

    /// True when some request that is not out yet uses values of this one.
    pub(crate) fn has_users(&self, producer: u32) -> bool {
        self.users_left[producer as usize] > 0
    }

    /// The request is not fired, so that nobody gets values of it.
    pub(crate) fn lose(&mut self, producer: u32) {
        if self.has_users(producer) {
            self.lost.insert(producer);
        }
    }

    /// Whether a request uses values of one that was passed over.
    pub(crate) fn has_lost(&self, plan: &Plan, position: u32) -> bool {
        let bindings = &plan.requests[position as usize].bindings;
        !self.lost.is_empty() && bindings.iter().any(|b| self.lost.contains(&b.producer))
    }

    /// Takes the values of an answer.
    pub(crate) fn put(&mut self, producer: u32, values: Vec<Option<Bytes>>) {
        if self.has_users(producer) {
            self.values.insert(producer, values);
        }
    }

    /// The edits that put the twin's own values into a request, and how many
    /// values it has not given.
    pub(crate) fn edits(&self, plan: &Plan, position: u32) -> (Vec<Edit>, u32) {
        let bindings = &plan.requests[position as usize].bindings;
        let mut edits = Vec::with_capacity(bindings.len() + 2);
        let mut missing = 0;
        for binding in bindings {
            match self.value(plan, binding) {
                Some(value) => edits.push(Edit {
                    part: binding.part,
                    start: binding.start,
                    len: binding.len,
                    value: Bytes::from(twintap_scrub::encode(value, binding.encoding)),
                }),
                None => missing += 1,
            }
        }
        (edits, missing)
    }

    /// The request is out: what no other uses goes.
    pub(crate) fn used(&mut self, plan: &Plan, position: u32) {
        let bindings = &plan.requests[position as usize].bindings;
        let mut producers: SmallVec<[u32; 4]> =
            bindings.iter().map(|binding| binding.producer).collect();
        producers.sort_unstable();
        producers.dedup();
        for producer in producers
            .into_iter()
            .filter(|&producer| producer < position)
        {
            let left = &mut self.users_left[producer as usize];
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.values.remove(&producer);
                self.lost.remove(&producer);
            }
        }
    }

    fn value(&self, plan: &Plan, binding: &Binding) -> Option<&Bytes> {
        let produces = &plan.requests.get(binding.producer as usize)?.produces;
        let place = produces
            .iter()
            .position(|produced| produced.path == binding.producer_path)?;
        self.values.get(&binding.producer)?.get(place)?.as_ref()
    }
}
