//! The load that a plan makes at a twin: how fast, how many times, and what a
//! request waits for besides its dependencies.
//!
//! [`Plan::with_load`] takes a plan as it was recorded. In this order: sessions are
//! copied and the whole is repeated, due times are divided by the speed (or by
//! what gives the rate), the ramp stretches their beginning, and the pace says
//! what becomes of them then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::{Plan, PlannedRequest, Think, Wait, WaitReason};
use crate::union::DisjointSets;

/// Copies of a session begin within this of it.
const MOST_SPREAD_NS: u64 = 10_000_000_000;

/// How a plan is fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Due times and think times are divided by it. A value that is not finite and
    /// positive counts as 1.0.
    pub speed: f64,
    /// In place of a speed: requests a second, in the mean over the whole plan.
    pub rate: Option<f64>,
    /// When a request is due.
    pub pace: Pace,
    /// How often each session is there, at least once.
    pub copies: u32,
    /// How often the whole is gone through, at least once.
    pub rounds: u32,
    /// The span in which the rate rises from nothing to what it is then, linearly, in
    /// nanoseconds.
    pub ramp_ns: u64,
    /// What decides how far copies are apart: the same key gives the same plan.
    pub key: [u8; 32],
}

/// When requests are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// As recorded, whatever the twins do: an open loop.
    #[default]
    Recorded,
    /// At once: only waits order them.
    Asap,
    /// The recorded think time after the answer before: a closed loop of users who
    /// wait for what they see.
    Closed,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            speed: 1.0,
            rate: None,
            pace: Pace::Recorded,
            copies: 1,
            rounds: 1,
            ramp_ns: 0,
            key: [0; 32],
        }
    }
}

/// More requests than a plan can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a plan of {requests} requests is too large: 2^32 is the most")]
pub struct TooLarge {
    /// How many it would have.
    pub requests: u64,
}

impl Plan {
    /// The plan under this load. [`Plan::speed`] says how much faster than recorded
    /// it is then.
    ///
    /// # Errors
    /// When it would have more than 2^32 requests.
    pub fn with_load(mut self, load: &Load) -> Result<Plan, TooLarge> {
        let sessions = self.sessions.len();
        if load.copies > 1 || load.rounds > 1 {
            self = multiplied(&self, load)?;
        }
        let started_ns: Vec<u64> = self.requests.iter().map(|request| request.due_ns).collect();
        self.speed = speed(&self, load);
        spread_evenly(&mut self, load);
        for request in &mut self.requests {
            request.due_ns = ramped(divided(request.due_ns, self.speed), load.ramp_ns);
        }
        match load.pace {
            Pace::Recorded => {}
            Pace::Asap => self = self.at_once(),
            Pace::Closed => {
                let copies = load.copies.max(1) as usize;
                self = closed(self, &started_ns, sessions, copies);
            }
        }
        Ok(self)
    }

    /// The same plan with everything due at once, so that only waits order it.
    #[must_use]
    pub fn at_once(mut self) -> Plan {
        for request in &mut self.requests {
            request.due_ns = 0;
            request.think = None;
        }
        self
    }
}

/// From the first request that is fired to the end of the last exchange.
fn length_ns(plan: &Plan) -> u64 {
    let fired = plan
        .requests
        .iter()
        .filter(|request| request.skip.is_none());
    let ends = fired.map(|request| request.due_ns.saturating_add(request.took_ns));
    ends.max().unwrap_or(0).max(1)
}

/// Each session `copies` times, the whole `rounds` times one after the other.
///
/// Sessions that wait for each other are moved by the same span, so that every wait
/// lies in time as it was recorded.
fn multiplied(plan: &Plan, load: &Load) -> Result<Plan, TooLarge> {
    let (copies, rounds) = (load.copies.max(1), load.rounds.max(1));
    let (requests, sessions) = (plan.requests.len(), plan.sessions.len());
    let all = (requests as u64)
        .saturating_mul(copies.into())
        .saturating_mul(rounds.into());
    if u32::try_from(all).is_err() {
        return Err(TooLarge { requests: all });
    }
    let length_ns = length_ns(plan);
    let groups = groups(plan);
    let mut many = Plan {
        capture_start: plan.capture_start,
        speed: plan.speed,
        requests: Vec::with_capacity(all as usize),
        sessions: Vec::with_capacity(sessions * (copies * rounds) as usize),
        created: Vec::new(),
    };
    for number in 0..copies * rounds {
        let (round, copy) = (number / copies, number % copies);
        let base = many.requests.len() as u32;
        let first_session = many.sessions.len() as u32;
        for request in &plan.requests {
            let group = groups[request.session as usize];
            let offset_ns = offset_ns(load, &plan.sessions[group as usize].id, copy, length_ns);
            let round_ns = length_ns.saturating_mul(round.into());
            let mut request = request.clone();
            request.copy = number;
            request.session += first_session;
            request.due_ns = request.due_ns.saturating_add(offset_ns + round_ns);
            refer(&mut request, |position| position + base);
            many.requests.push(request);
        }
        for session in &plan.sessions {
            let mut session = session.clone();
            if number > 0 {
                session.id = format!("{}~{}", session.id, number + 1);
            }
            for position in &mut session.requests {
                *position += base;
            }
            many.sessions.push(session);
        }
        for created in &plan.created {
            let mut created = created.clone();
            created.session += first_session;
            for place in &mut created.places {
                place.request += base;
            }
            many.created.push(created);
        }
    }
    Ok(in_order_of_due(many))
}

/// For each session one that stands for all that it is tied to by waits or values.
fn groups(plan: &Plan) -> Vec<u32> {
    let mut sets = DisjointSets::new(plan.sessions.len());
    for request in &plan.requests {
        let waited = request.waits.iter().map(|wait| wait.request);
        let bound = request.bindings.iter().map(|binding| binding.producer);
        for other in waited.chain(bound) {
            let other = plan.requests[other as usize].session;
            if other != request.session {
                sets.union(request.session, other);
            }
        }
    }
    (0..plan.sessions.len() as u32)
        .map(|session| sets.find(session))
        .collect()
}

/// How much later a copy begins: a keyed hash of its group and number.
fn offset_ns(load: &Load, group: &str, copy: u32, length_ns: u64) -> u64 {
    if copy == 0 {
        return 0;
    }
    let mut hasher = blake3::Hasher::new_keyed(&load.key);
    hasher.update(b"offset of a copy\0");
    hasher.update(&copy.to_le_bytes());
    hasher.update(group.as_bytes());
    let mut number = [0; 8];
    hasher.finalize_xof().fill(&mut number);
    u64::from_le_bytes(number) % length_ns.min(MOST_SPREAD_NS)
}

/// How many times faster than recorded.
fn speed(plan: &Plan, load: &Load) -> f64 {
    let is_sound = |speed: &f64| speed.is_finite() && *speed > 0.0;
    let speed = match load.rate.filter(is_sound) {
        Some(rate) => {
            let (gaps, last_ns) = gaps_and_last(plan);
            rate * last_ns as f64 / 1e9 / gaps as f64
        }
        None => load.speed,
    };
    Some(speed).filter(is_sound).unwrap_or(1.0)
}

/// Spaces between the requests that are fired, and when the last of them is due.
fn gaps_and_last(plan: &Plan) -> (u64, u64) {
    let fired = plan
        .requests
        .iter()
        .filter(|request| request.skip.is_none());
    let (count, last_ns) = fired.fold((0u64, 0), |(count, last_ns), request| {
        (count + 1, request.due_ns.max(last_ns))
    });
    (count.saturating_sub(1), last_ns)
}

/// What was recorded in one instant has no speed that gives it a rate: its requests
/// follow each other in even spaces.
fn spread_evenly(plan: &mut Plan, load: &Load) {
    let Some(rate) = load.rate else { return };
    if gaps_and_last(plan).1 > 0 {
        return;
    }
    let mut fired = 0u64;
    for request in &mut plan.requests {
        request.due_ns = (fired as f64 * 1e9 / rate) as u64;
        fired += u64::from(request.skip.is_none());
    }
}

pub(crate) fn divided(ns: u64, speed: f64) -> u64 {
    if speed == 1.0 {
        ns
    } else {
        // A float beyond the range becomes its end.
        (ns as f64 / speed) as u64
    }
}

/// When a moment comes while the rate rises linearly for `ramp_ns`: in that span half
/// as much of the plan goes by, as the square of the time.
pub(crate) fn ramped(ns: u64, ramp_ns: u64) -> u64 {
    let half_ns = ramp_ns / 2;
    if ns >= half_ns {
        return ns.saturating_add(half_ns);
    }
    (2.0 * ramp_ns as f64 * ns as f64).sqrt() as u64
}

/// Every request of a user is due its recorded think time after the answer that came
/// last before it; `started_ns` are the recorded starts. Each of the `sessions` of each copy
/// is a user; where all of the recorded order is kept all of a copy are one, since what one of
/// them does matters to the others.
///
/// The due times that remain are those of twins that take no time to answer: nothing
/// can be due earlier.
fn closed(mut plan: Plan, started_ns: &[u64], sessions: usize, copies: usize) -> Plan {
    let users = sessions * copies;
    let mut of_user: Vec<User> = (0..users).map(|_| User::default()).collect();
    let is_recorded = |wait: &Wait| wait.reason == WaitReason::Recorded;
    let keeps_order = |request: &PlannedRequest| request.waits.iter().any(is_recorded);
    let per_user = match plan.requests.iter().any(keeps_order) {
        true => sessions,
        false => 1,
    };
    for (position, &start_ns) in (0u32..).zip(started_ns) {
        let request = &mut plan.requests[position as usize];
        if request.skip.is_some() {
            continue;
        }
        let user = &mut of_user[request.session as usize % users / per_user];
        if let Some((end_ns, after)) = user.answered_before(start_ns) {
            let ns = divided(start_ns - end_ns, plan.speed);
            request.think = Some(Think { after, ns });
            if !request.waits.iter().any(|wait| wait.request == after) {
                let reason = WaitReason::Think;
                request.waits.push(Wait {
                    request: after,
                    reason,
                });
                request.waits.sort_unstable_by_key(|wait| wait.request);
            }
        }
        let end_ns = start_ns.saturating_add(request.took_ns);
        user.under_way.push(Reverse((end_ns, position)));
    }
    for position in 0..plan.requests.len() {
        let request = &plan.requests[position];
        let due_ns = |of: u32| plan.requests[of as usize].due_ns;
        let own_ns = match request.think {
            Some(think) => due_ns(think.after).saturating_add(think.ns),
            None => request.due_ns,
        };
        let waited_ns = request.waits.iter().map(|wait| due_ns(wait.request));
        plan.requests[position].due_ns = waited_ns.fold(own_ns, u64::max);
    }
    in_order_of_due(plan)
}

/// What one user has asked for.
#[derive(Default)]
struct User {
    /// Ends of exchanges, with their positions.
    under_way: BinaryHeap<Reverse<(u64, u32)>>,
    last: Option<(u64, u32)>,
}

impl User {
    /// The answer that came last until `start_ns`: its end and its request.
    fn answered_before(&mut self, start_ns: u64) -> Option<(u64, u32)> {
        while let Some(&Reverse((end_ns, position))) = self.under_way.peek() {
            if end_ns > start_ns {
                break;
            }
            self.under_way.pop();
            self.last = Some((end_ns, position));
        }
        self.last
    }
}

/// The same plan, its requests in the order of due times. No request may be due
/// before one that it refers to.
fn in_order_of_due(plan: Plan) -> Plan {
    let mut order: Vec<u32> = (0..plan.requests.len() as u32).collect();
    order.sort_by_key(|&position| plan.requests[position as usize].due_ns);
    let mut new_of = vec![0u32; order.len()];
    for (new, &old) in (0u32..).zip(&order) {
        new_of[old as usize] = new;
    }
    let mut sessions = plan.sessions;
    for session in &mut sessions {
        for position in &mut session.requests {
            *position = new_of[*position as usize];
        }
        session.requests.sort_unstable();
    }
    let mut created = plan.created;
    for place in created.iter_mut().flat_map(|created| &mut created.places) {
        place.request = new_of[place.request as usize];
    }
    let mut requests: Vec<Option<PlannedRequest>> = plan.requests.into_iter().map(Some).collect();
    let moved = order.iter().filter_map(|&old| {
        let mut request = requests[old as usize].take()?;
        refer(&mut request, |position| new_of[position as usize]);
        request.waits.sort_unstable_by_key(|wait| wait.request);
        Some(request)
    });
    Plan {
        requests: moved.collect(),
        sessions,
        created,
        ..plan
    }
}

/// Changes every reference to another request.
pub(crate) fn refer(request: &mut PlannedRequest, new: impl Fn(u32) -> u32) {
    for wait in &mut request.waits {
        wait.request = new(wait.request);
    }
    for race in &mut request.races {
        race.request = new(race.request);
    }
    for binding in &mut request.bindings {
        binding.producer = new(binding.producer);
    }
    for write in &mut request.follows {
        *write = new(*write);
    }
    if let Some(think) = &mut request.think {
        think.after = new(think.after);
    }
}
