//! Judging a run without end by periods, so that memory has a bound.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use twintap_verdict::{Judge, Observation, Rules};

/// The judges of the periods that are not over: mostly one.
#[derive(Debug)]
pub struct Judges {
    rules: Rules,
    every: Duration,
    periods: VecDeque<Period>,
    /// Those that are over.
    over: Vec<Judged>,
}

/// A period's judge, and how many requests it was to see.
#[derive(Debug)]
pub struct Judged {
    /// It.
    pub judge: Judge,
    /// Requests that the period's windows planned.
    pub planned: u64,
}

#[derive(Debug)]
struct Period {
    /// The position of its first request.
    first: u32,
    planned: u64,
    observed: u64,
    began: Instant,
    judge: Judge,
}

impl Judges {
    /// A new judge begins each `every`, with a window.
    pub fn new(rules: Rules, every: Duration) -> Judges {
        Judges {
            rules,
            every,
            periods: VecDeque::new(),
            over: Vec::new(),
        }
    }

    /// `count` requests from `first` on will be observed.
    pub fn expect(&mut self, first: u32, count: u64) {
        let is_over = |period: &Period| period.began.elapsed() >= self.every;
        if self.periods.back().is_none_or(is_over) {
            self.periods.push_back(Period {
                first,
                planned: 0,
                observed: 0,
                began: Instant::now(),
                judge: Judge::of_period(self.rules.clone()),
            });
        }
        if let Some(period) = self.periods.back_mut() {
            period.planned += count;
        }
        self.end_periods();
    }

    /// Takes a request, of whichever period.
    pub fn observe(&mut self, mut observation: Observation) {
        let position = observation.position;
        let is_of = |period: &&mut Period| position.wrapping_sub(period.first) < 1 << 31;
        if let Some(period) = self.periods.iter_mut().rev().find(is_of) {
            // To its judge a period is a whole run.
            observation.position = position.wrapping_sub(period.first);
            period.observed += 1;
            period.judge.observe(observation);
        }
        self.end_periods();
    }

    /// Periods that are over, oldest first, each once.
    pub fn over(&mut self) -> Vec<Judged> {
        std::mem::take(&mut self.over)
    }

    /// The last period.
    pub fn into_last(mut self) -> Judged {
        let last = self.periods.pop_back();
        last.map_or_else(
            || Judged {
                judge: Judge::of_period(self.rules),
                planned: 0,
            },
            Period::judged,
        )
    }

    fn end_periods(&mut self) {
        while self.periods.len() > 1
            && let Some(first) = self.periods.front()
            && first.observed == first.planned
        {
            self.over
                .extend(self.periods.pop_front().map(Period::judged));
        }
    }
}

impl Period {
    fn judged(self) -> Judged {
        Judged {
            judge: self.judge,
            planned: self.planned,
        }
    }
}
