//! A plan that is gone through without end, window by window.

use std::sync::Arc;

use crate::follow::Window;
use crate::load::{Pace, divided, ramped, refer};
use crate::model::{Plan, PlannedRequest, Think, Wait, WaitReason};

/// Makes windows of a plan, each of some rounds, one round after the other.
///
/// A round has the plan's requests with values and sessions of its own, and nothing refers
/// from one round to another. Positions go on from window to window, and begin again at 0
/// after 2^32 requests, as those of a [`Follower`](crate::Follower) do.
#[derive(Clone, Debug)]
pub struct Rounds<'a> {
    plan: &'a Plan,
    pace: Pace,
    ramp_ns: u64,
    length_ns: u64,
    copies: u64,
    /// Of each session the request whose answer ended last, and when that was, in a round.
    ends: Vec<Option<(u32, u64)>>,
    /// How many rounds windows were made of.
    made: u64,
}

/// A window with the span of the plan's time that it is for.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The requests.
    pub window: Window,
    /// When its first round begins.
    pub starts_ns: u64,
    /// When the first round of the next window begins: nothing of that is due before.
    pub horizon_ns: u64,
}

/// Where a request of a window comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundPlace {
    /// The round, from 0.
    pub round: u64,
    /// Its position in the plan.
    pub position: u32,
}

/// A window lasts about as long, so that few are made.
const WINDOW_NS: u64 = 10_000_000_000;
/// Or has about as many requests: it and the next are held in memory.
const WINDOW_REQUESTS: u64 = 8192;

impl<'a> Rounds<'a> {
    /// Rounds of `plan`, which has its load but for a ramp: that stretches the first
    /// `ramp_ns`. At [`Pace::Asap`] a round is due when it is made.
    pub fn new(plan: &'a Plan, pace: Pace, ramp_ns: u64) -> Rounds<'a> {
        let requests = plan.requests.iter();
        let copies = requests.map(|request| u64::from(request.copy) + 1).max();
        Rounds {
            plan,
            pace,
            ramp_ns,
            length_ns: length_ns(plan),
            copies: copies.unwrap_or(1),
            ends: ends(plan),
            made: 0,
        }
    }

    /// From the beginning of a round to that of the next, in the plan's time: to the end
    /// of the last exchange, as it was recorded.
    pub fn length_ns(&self) -> u64 {
        self.length_ns
    }

    /// The next window, where `now_ns` of the plan's time are past.
    pub fn next_window(&mut self, now_ns: u64) -> Turn {
        let rounds = self.rounds_a_window();
        let mut window = Window {
            first: self.made.wrapping_mul(self.requests()) as u32,
            ..Window::default()
        };
        let starts_ns = self.starts_ns(now_ns);
        for _ in 0..rounds {
            self.add_round(&mut window, now_ns);
            self.made += 1;
        }
        Turn {
            window,
            starts_ns,
            horizon_ns: match self.pace {
                Pace::Asap => u64::MAX,
                Pace::Recorded | Pace::Closed => self.starts_ns(now_ns),
            },
        }
    }

    fn requests(&self) -> u64 {
        self.plan.requests.len() as u64
    }

    fn rounds_a_window(&self) -> u64 {
        let by_size = WINDOW_REQUESTS / self.requests().max(1);
        let by_time = match self.pace {
            Pace::Asap => u64::MAX,
            Pace::Recorded | Pace::Closed => WINDOW_NS.div_ceil(self.length_ns),
        };
        by_size.min(by_time).max(1)
    }

    /// When the next round begins.
    fn starts_ns(&self, now_ns: u64) -> u64 {
        match self.pace {
            Pace::Asap => now_ns,
            Pace::Recorded | Pace::Closed => {
                ramped(self.made.saturating_mul(self.length_ns), self.ramp_ns)
            }
        }
    }

    fn add_round(&self, window: &mut Window, now_ns: u64) {
        let base = window.first.wrapping_add(window.requests.len() as u32);
        let first_session = window.sessions.len() as u32;
        let before_ns = self.made.saturating_mul(self.length_ns);
        for request in &self.plan.requests {
            let mut request = request.clone();
            request.copy = self.copy(self.made, request.copy) as u32;
            let think = self.think(&request);
            request.session += first_session;
            request.due_ns = match self.pace {
                Pace::Asap => now_ns,
                Pace::Recorded | Pace::Closed => {
                    ramped(before_ns.saturating_add(request.due_ns), self.ramp_ns)
                }
            };
            refer(&mut request, |position| base.wrapping_add(position));
            if let Some((before, ns)) = think {
                let after = base.wrapping_sub(before);
                request.think = Some(Think { after, ns });
                let reason = WaitReason::Think;
                request.waits.push(Wait {
                    request: after,
                    reason,
                });
            }
            window.requests.push(request);
        }
        let sessions = 0..self.plan.sessions.len() as u32;
        let names = sessions.map(|session| Arc::from(self.session_name(self.made, session)));
        window.sessions.extend(names);
    }

    /// In a closed loop a user goes on with a round some time after the last answer of the
    /// round before: how far before this round its request was, and how long after.
    fn think(&self, request: &PlannedRequest) -> Option<(u32, u64)> {
        let goes_on = self.pace == Pace::Closed && self.made > 0;
        if !goes_on || request.think.is_some() || request.skip.is_some() {
            return None;
        }
        let (last, end_ns) = self.ends[request.session as usize]?;
        let next_ns = self.length_ns.saturating_add(request.due_ns);
        let before = self.plan.requests.len() as u32 - last;
        Some((before, next_ns.saturating_sub(end_ns)))
    }

    /// The number of a copy of a session, of all in all rounds.
    pub fn copy(&self, round: u64, copy: u32) -> u64 {
        round.wrapping_mul(self.copies).wrapping_add(copy.into())
    }

    /// What a session of the plan is called in a round.
    pub fn session_name(&self, round: u64, session: u32) -> String {
        // Copies have their sessions one copy after the other.
        let of_one_copy = (self.plan.sessions.len() as u64 / self.copies).max(1);
        let copy = u64::from(session) / of_one_copy;
        let first = u64::from(session) % of_one_copy;
        let name = &self.plan.sessions[first as usize].id;
        match self.copy(round, copy as u32) {
            0 => name.clone(),
            number => format!("{name}~{}", number + 1),
        }
    }
}

/// Finds the places of positions that are near each other.
#[derive(Clone, Debug)]
pub struct RoundPlaces {
    requests: u64,
    /// A request near those that are asked for: how many come before it in all rounds.
    near: u64,
}

impl RoundPlaces {
    /// For windows of `plan`, which has a request.
    pub fn of(plan: &Plan) -> RoundPlaces {
        RoundPlaces {
            requests: (plan.requests.len() as u64).max(1),
            near: 0,
        }
    }

    /// Where the request at `position` comes from: of those that have this position the
    /// one that is nearest to that which was asked for last.
    pub fn place(&mut self, position: u32) -> RoundPlace {
        let ahead = position.wrapping_sub(self.near as u32) as i32;
        self.near = self.near.saturating_add_signed(ahead.into());
        RoundPlace {
            round: self.near / self.requests,
            position: (self.near % self.requests) as u32,
        }
    }
}

/// When an exchange ended as recorded, at the plan's speed.
fn end_ns(plan: &Plan, request: &PlannedRequest) -> u64 {
    request
        .due_ns
        .saturating_add(divided(request.took_ns, plan.speed))
}

/// From the first request that is fired to the end of the last exchange.
fn length_ns(plan: &Plan) -> u64 {
    let fired = plan
        .requests
        .iter()
        .filter(|request| request.skip.is_none());
    let ends = fired.map(|request| end_ns(plan, request));
    let last = plan.requests.last().map_or(0, |request| request.due_ns);
    ends.max().unwrap_or(0).max(last).max(1)
}

fn ends(plan: &Plan) -> Vec<Option<(u32, u64)>> {
    let mut ends: Vec<Option<(u32, u64)>> = vec![None; plan.sessions.len()];
    for (position, request) in (0u32..).zip(&plan.requests) {
        let end_ns = end_ns(plan, request);
        let last = &mut ends[request.session as usize];
        if request.skip.is_none() && last.is_none_or(|(_, last_ns)| last_ns <= end_ns) {
            *last = Some((position, end_ns));
        }
    }
    ends
}
