//! Failed requests by time.

use crate::trend::{Trend, course};

/// Stretches of the run that are told apart.
const STRETCHES: usize = 80;
/// How long each is at first: twice as long whenever there would be too many.
const FIRST_MS: u64 = 250;

/// Failed requests over the run, in bounded room.
#[derive(Debug)]
pub(crate) struct ErrorTrail {
    stretch_ms: u64,
    stretches: Vec<Stretch>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    requests: u64,
    candidate: u64,
    baseline: u64,
}

impl Default for ErrorTrail {
    fn default() -> ErrorTrail {
        ErrorTrail {
            stretch_ms: FIRST_MS,
            stretches: Vec::new(),
        }
    }
}

impl ErrorTrail {
    /// Counts a request that both twins had: whether it failed there.
    pub(crate) fn add(&mut self, at_ns: u64, candidate: bool, baseline: bool) {
        let at_ms = at_ns / 1_000_000;
        while at_ms / self.stretch_ms >= STRETCHES as u64 {
            self.stretch_ms *= 2;
            self.stretches = self.stretches.chunks(2).map(Stretch::joined).collect();
        }
        // There are so few.
        let place = (at_ms / self.stretch_ms) as usize;
        if place >= self.stretches.len() {
            self.stretches.resize(place + 1, Stretch::default());
        }
        let stretch = &mut self.stretches[place];
        stretch.requests += 1;
        stretch.candidate += u64::from(candidate);
        stretch.baseline += u64::from(baseline);
    }

    /// How the candidate's rate less the baseline's goes on, by second; none where the run is
    /// too short to tell.
    pub(crate) fn drift(&self, level: f64) -> Option<Trend> {
        let stretches = self.stretches.iter().enumerate();
        let points: Vec<(f64, f64)> = stretches
            .filter(|(_, stretch)| stretch.requests > 0)
            .map(|(place, stretch)| {
                let seconds = (place as f64 + 0.5) * self.stretch_ms as f64 / 1000.0;
                let more = stretch.candidate as f64 - stretch.baseline as f64;
                (seconds, more / stretch.requests as f64)
            })
            .collect();
        Some(course(&points, level)?.trend())
    }
}

impl Stretch {
    fn joined(some: &[Stretch]) -> Stretch {
        some.iter().fold(Stretch::default(), |sum, one| Stretch {
            requests: sum.requests + one.requests,
            candidate: sum.candidate + one.candidate,
            baseline: sum.baseline + one.baseline,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten requests a second for so long, of which the candidate fails as many a hundred.
    fn trail(seconds: u64, percent: impl Fn(u64) -> u64) -> ErrorTrail {
        let mut trail = ErrorTrail::default();
        for request in 0..seconds * 10 {
            let fails = request * 61 % 100 < percent(request / 10);
            trail.add(request * 100_000_000, fails, false);
        }
        trail
    }

    #[test]
    fn rates_that_rise_have_a_slope() {
        let rising = trail(600, |second| second / 12)
            .drift(0.01)
            .expect("long enough");
        // Half of all fail after ten minutes.
        assert!((rising.slope * 600.0 - 0.5).abs() < 0.05, "{rising:?}");
        assert!(rising.low > 0.0);
        let level = trail(600, |_| 20).drift(0.01).expect("long enough");
        assert!(level.low <= 0.0 && level.high >= 0.0, "{level:?}");
        assert_eq!(trail(3, |_| 20).drift(0.01), None);
    }

    #[test]
    fn a_long_run_takes_no_more_room() {
        let trail = trail(30_000, |_| 1);
        assert!(trail.stretches.len() <= STRETCHES);
        let requests: u64 = trail.stretches.iter().map(|one| one.requests).sum();
        assert_eq!(requests, 300_000);
    }
}
