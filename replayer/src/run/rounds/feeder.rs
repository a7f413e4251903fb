//! Rounds, made as they are needed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use twintap_plan::{PlanSummary, Rounds, Window};
use twintap_verdict::Twin;

use crate::fire::{PlanFeed, RunControl, Steering};

/// How often it is looked whether more is needed.
const LOOK: Duration = Duration::from_millis(5);
/// Windows without outcome, at most: what the twins are slow with must not fill memory.
const MOST_WINDOWS: u64 = 4;

/// How many requests the comparison is done with. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Compared(Arc<AtomicU64>);

impl Compared {
    /// One more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Appends rounds to the plan that is fired.
pub struct Feeder<'a> {
    rounds: Rounds<'a>,
    /// How many times faster than recorded the plan is.
    plan_speed: f64,
    feed: PlanFeed,
    control: &'a RunControl,
    compared: Compared,
    /// Requests of all windows so far.
    fed: u64,
    taken: Taken,
}

/// What the run has taken up.
pub struct Taken {
    /// Windows that it may not have taken up yet, each with how many requests there are to
    /// its end.
    sent: VecDeque<(u64, Arc<Window>)>,
    summary: PlanSummary,
}

impl<'a> Feeder<'a> {
    /// A feeder of all rounds.
    pub fn new(
        rounds: Rounds<'a>,
        plan_speed: f64,
        feed: PlanFeed,
        control: &'a RunControl,
        compared: Compared,
    ) -> Feeder<'a> {
        Feeder {
            rounds,
            plan_speed,
            feed,
            control,
            compared,
            fed: 0,
            taken: Taken {
                sent: VecDeque::new(),
                summary: PlanSummary {
                    speed: plan_speed,
                    ..PlanSummary::default()
                },
            },
        }
    }

    /// Feeds until the run is stopped; the plan has its end then.
    pub fn run(mut self) -> Taken {
        let mut last = None;
        while self.control.steering() != Steering::Stop {
            let now_ns = (self.control.position().as_nanos() as f64 / self.plan_speed) as u64;
            if last.is_some_and(|last| !self.has_room(last, now_ns)) {
                self.taken.sum_up(self.control.planned());
                thread::sleep(LOOK);
                continue;
            }
            let turn = self.rounds.next_window(now_ns);
            last = Some(Last {
                requests: turn.window.requests.len() as u64,
                starts_ns: turn.starts_ns,
                is_due: turn.horizon_ns == u64::MAX,
            });
            let window = Arc::new(turn.window);
            self.fed += window.requests.len() as u64;
            self.taken.sent.push_back((self.fed, Arc::clone(&window)));
            if !self.feed.append(&window, turn.horizon_ns) {
                break;
            }
        }
        self.taken
    }

    /// Whether another window is to be made. There is always one more than that under way.
    fn has_room(&self, last: Last, now_ns: u64) -> bool {
        if last.is_due {
            // Nothing but this keeps the comparison from falling behind.
            return self.fed.saturating_sub(self.compared.get()) <= last.requests;
        }
        let left = self.fed.saturating_sub(self.settled());
        now_ns >= last.starts_ns && left <= last.requests * (MOST_WINDOWS - 1)
    }

    /// Requests that have their outcomes at both twins.
    fn settled(&self) -> u64 {
        let settled = [Twin::Candidate, Twin::Baseline].map(|twin| {
            let twin = self.control.progress(twin);
            twin.answered + twin.errored + twin.refused + twin.skipped
        });
        settled.into_iter().min().unwrap_or(0)
    }
}

impl Taken {
    /// All that the run has taken up in figures, where that is `planned` requests in all.
    pub fn into_summary(mut self, planned: u64) -> PlanSummary {
        self.sum_up(planned);
        self.summary
    }

    /// Counts the windows that the run has taken up by now.
    fn sum_up(&mut self, planned: u64) {
        while let Some((_, window)) = self.sent.pop_front_if(|(end, _)| *end <= planned) {
            self.summary.add(window.first, &window.requests);
        }
    }
}

/// What matters of the last window that was made.
#[derive(Clone, Copy)]
struct Last {
    requests: u64,
    starts_ns: u64,
    /// All of it was due when it was made.
    is_due: bool,
}
