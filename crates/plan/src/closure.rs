//! A part of a plan: some requests, with everything that they depend on.

use std::collections::{BTreeSet, HashMap};

use crate::load::refer;
use crate::model::{Plan, PlannedRequest, WaitReason};

impl Plan {
    /// Positions of these requests and of everything that they depend on, in order: what
    /// their sessions did before them, whose values they use, whose order before them is
    /// kept, and who made what their clients name. Of what they depend on, only what is
    /// fired. A connection is none of it: whoever shared it did so by chance.
    pub fn closure_of(&self, positions: &[u32]) -> Vec<u32> {
        let created = self.created_before();
        let mut closure = BTreeSet::new();
        // By session, how many of its requests were gone through.
        let mut reached: HashMap<u32, usize> = HashMap::new();
        let mut ahead = positions.to_vec();
        while let Some(position) = ahead.pop() {
            let Some(request) = self.requests.get(position as usize) else {
                continue;
            };
            if !closure.insert(position) {
                continue;
            }
            let own = &self.sessions[request.session as usize].requests;
            let reached = reached.entry(request.session).or_default();
            let end = own.partition_point(|own| *own < position);
            let earlier = own.get(*reached..end).unwrap_or_default();
            *reached = end.max(*reached);
            let created = created.get(&position).into_iter().flatten();
            let needed = earlier.iter().chain(created).copied();
            ahead.extend(
                needed
                    .chain(depends_on(request))
                    .filter(|needed| self.requests[*needed as usize].skip.is_none()),
            );
        }
        closure.into_iter().collect()
    }

    /// The plan of the requests at these positions alone, in their order. What refers to
    /// others is left out: such a value is sent as recorded.
    #[must_use]
    pub fn only(&self, positions: &[u32]) -> Plan {
        let kept: BTreeSet<u32> = positions
            .iter()
            .copied()
            .filter(|position| (*position as usize) < self.requests.len())
            .collect();
        let new_of: HashMap<u32, u32> = kept.iter().copied().zip(0..).collect();
        let mut sessions = Vec::new();
        let mut session_of: HashMap<u32, u32> = HashMap::new();
        for (session, number) in self.sessions.iter().zip(0..) {
            let requests = session.requests.iter();
            let requests: Vec<u32> = requests
                .filter_map(|position| new_of.get(position).copied())
                .collect();
            if !requests.is_empty() {
                session_of.insert(number, sessions.len() as u32);
                let mut session = session.clone();
                session.requests = requests;
                sessions.push(session);
            }
        }
        let requests = kept.iter().map(|position| {
            let mut request = self.requests[*position as usize].clone();
            // Every request that is kept is one of its session's.
            request.session = session_of[&request.session];
            drop_references(&mut request, |position| new_of.contains_key(&position));
            refer(&mut request, |position| new_of[&position]);
            request
        });
        let created = self.created.iter().filter_map(|created| {
            let mut created = created.clone();
            created.session = *session_of.get(&created.session)?;
            created.places.retain_mut(|place| {
                let new = new_of.get(&place.request);
                place.request = new.copied().unwrap_or_default();
                new.is_some()
            });
            Some(created)
        });
        Plan {
            capture_start: self.capture_start,
            speed: self.speed,
            requests: requests.collect(),
            created: created.collect(),
            sessions,
        }
    }

    /// For requests that name what a client made: those in which it stood before.
    fn created_before(&self) -> HashMap<u32, Vec<u32>> {
        let mut before: HashMap<u32, Vec<u32>> = HashMap::new();
        for created in &self.created {
            let places = created.places.iter().map(|place| place.request);
            let first = places.clone().min();
            for later in places.filter(|place| Some(*place) != first) {
                before.entry(later).or_default().extend(first);
            }
        }
        before
    }
}

/// The requests without which one means something else, beside those of its session.
fn depends_on(request: &PlannedRequest) -> impl Iterator<Item = u32> + '_ {
    let producers = request.bindings.iter().map(|binding| binding.producer);
    let ordered = request.waits.iter().filter(|wait| {
        matches!(
            wait.reason,
            WaitReason::Binding | WaitReason::Resource | WaitReason::Recorded
        )
    });
    producers
        .chain(request.follows.iter().copied())
        .chain(ordered.map(|wait| wait.request))
}

fn drop_references(request: &mut PlannedRequest, is_kept: impl Fn(u32) -> bool) {
    request.waits.retain(|wait| is_kept(wait.request));
    request.follows.retain(|write| is_kept(*write));
    request.races.retain(|race| is_kept(race.request));
    request.bindings.retain(|binding| is_kept(binding.producer));
    request.think = request.think.filter(|think| is_kept(think.after));
}
