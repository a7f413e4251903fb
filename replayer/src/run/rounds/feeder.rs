//! Rounds, made as they are needed.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use twintap_plan::{PlanSummary, Rounds};
use twintap_verdict::Twin;

use crate::fire::{PlanFeed, RunControl, Steering};

/// How often it is looked whether more is needed.
const LOOK: Duration = Duration::from_millis(5);
/// Windows without outcome, at most: what the twins are slow with must not fill memory.
const MOST_WINDOWS: u64 = 4;

/// Appends rounds to the plan that is fired.
pub struct Feeder<'a> {
    rounds: Rounds<'a>,
    /// How many times faster than recorded the plan is.
    plan_speed: f64,
    feed: PlanFeed,
    control: &'a RunControl,
    summary: PlanSummary,
}

impl<'a> Feeder<'a> {
    /// A feeder of all rounds.
    pub fn new(
        rounds: Rounds<'a>,
        plan_speed: f64,
        feed: PlanFeed,
        control: &'a RunControl,
    ) -> Feeder<'a> {
        Feeder {
            rounds,
            plan_speed,
            feed,
            control,
            summary: PlanSummary::default(),
        }
    }

    /// Feeds until the run is stopped, and gives all that was fed in figures.
    pub fn run(mut self) -> PlanSummary {
        self.summary.speed = self.plan_speed;
        let mut last_starts_ns = 0;
        let mut most_left = u64::MAX;
        while self.control.steering() != Steering::Stop {
            let now_ns = (self.control.position().as_nanos() as f64 / self.plan_speed) as u64;
            // There is always one window more than the one under way.
            if now_ns < last_starts_ns || self.left() > most_left {
                thread::sleep(LOOK);
                continue;
            }
            let turn = self.rounds.next_window(now_ns);
            let requests = turn.window.requests.len() as u64;
            last_starts_ns = turn.starts_ns;
            most_left = match turn.horizon_ns {
                // All of it is due, so that one is under way until most of it is done.
                u64::MAX => requests,
                _ => requests * (MOST_WINDOWS - 1),
            };
            self.summary.add(turn.window.first, &turn.window.requests);
            let is_taken = self.feed.append(&Arc::new(turn.window), turn.horizon_ns);
            if !is_taken {
                break;
            }
        }
        self.summary
    }

    /// Requests that lack their outcome at one of the twins.
    fn left(&self) -> u64 {
        let settled = [Twin::Candidate, Twin::Baseline].map(|twin| {
            let twin = self.control.progress(twin);
            twin.answered + twin.errored + twin.refused + twin.skipped
        });
        let settled = settled.into_iter().min().unwrap_or(0);
        self.fed().saturating_sub(settled)
    }

    fn fed(&self) -> u64 {
        self.summary.planned
    }
}
