//! How long users think.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

/// The visit ends here: the time is up.
pub struct TimeUp;

/// How fast a user is, and until when.
pub struct Pace {
    think_ms: RangeInclusive<u64>,
    deadline: Option<Instant>,
}

impl Pace {
    pub fn new(think_ms: RangeInclusive<u64>, deadline: Option<Instant>) -> Self {
        Self { think_ms, deadline }
    }

    /// Whether the time is up.
    pub fn is_over(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Waits before a user's first visit, for up to a few steps' time.
    pub async fn arrive(&self, rng: &mut impl Rng) {
        let wait_ms = rng.random_range(0..=self.think_ms.end().saturating_mul(ARRIVAL_STEPS));
        self.wait(Duration::from_millis(wait_ms)).await;
    }

    /// Waits as long as a user thinks.
    pub async fn think(&self, rng: &mut impl Rng) -> Result<(), TimeUp> {
        let think = Duration::from_millis(rng.random_range(self.think_ms.clone()));
        self.wait(think).await;
        if self.is_over() { Err(TimeUp) } else { Ok(()) }
    }

    async fn wait(&self, duration: Duration) {
        match self.deadline {
            Some(deadline) => sleep_until(deadline.min(Instant::now() + duration)).await,
            None => sleep(duration).await,
        }
    }
}

/// The users' arrivals are spread over this many of the longest steps.
const ARRIVAL_STEPS: u64 = 4;
