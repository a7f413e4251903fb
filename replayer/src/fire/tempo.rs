//! How the plan's time runs: piecewise linear in run time.
//!
//! Due times count in the plan's time. A change of speed and a seek begin a new
//! piece, so that neither moves what was due before it.

/// The plan's time against run time, both in nanoseconds from T0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tempo {
    run_base_ns: u64,
    plan_base_ns: u64,
    /// Nanoseconds of the plan in one of run time.
    rate: f64,
    /// The rate before the piece, for what was due then and is let go only now.
    rate_before: f64,
}

impl Tempo {
    /// The plan's time begins at `lead_ns` of run time.
    pub(crate) fn new(rate: f64, lead_ns: u64) -> Tempo {
        Tempo {
            run_base_ns: lead_ns,
            plan_base_ns: 0,
            rate,
            rate_before: rate,
        }
    }

    /// How many nanoseconds of the plan go by in one of run time.
    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    /// How far the plan is.
    pub(crate) fn plan_ns(&self, run_ns: u64) -> u64 {
        let passed_ns = run_ns.saturating_sub(self.run_base_ns);
        self.plan_base_ns
            .saturating_add(scaled(passed_ns, self.rate))
    }

    /// When a moment of the plan is there.
    pub(crate) fn run_ns(&self, plan_ns: u64) -> u64 {
        match plan_ns.checked_sub(self.plan_base_ns) {
            Some(ahead_ns) => self
                .run_base_ns
                .saturating_add(scaled(ahead_ns, 1.0 / self.rate)),
            None => {
                let behind_ns = self.plan_base_ns - plan_ns;
                self.run_base_ns
                    .saturating_sub(scaled(behind_ns, 1.0 / self.rate_before))
            }
        }
    }

    /// How long so much of the plan takes in run time at the present rate.
    pub(crate) fn in_run(&self, plan_ns: u64) -> u64 {
        scaled(plan_ns, 1.0 / self.rate)
    }

    /// From `now_ns` of run time on the plan goes at another rate.
    pub(crate) fn set_rate(&mut self, now_ns: u64, rate: f64) {
        *self = Tempo {
            run_base_ns: self.run_base_ns.max(now_ns),
            plan_base_ns: self.plan_ns(now_ns),
            rate,
            rate_before: self.rate,
        };
    }

    /// At `now_ns` of run time the plan is at `plan_ns`.
    pub(crate) fn seek(&mut self, now_ns: u64, plan_ns: u64) {
        *self = Tempo {
            run_base_ns: now_ns,
            plan_base_ns: plan_ns,
            rate: self.rate,
            rate_before: self.rate,
        };
    }
}

/// One instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    /// On the clock.
    pub(crate) clock_ns: u64,
    /// In run time, which stands still while the run pauses.
    pub(crate) run_ns: u64,
    /// How far the plan is.
    pub(crate) plan_ns: u64,
}

/// When there is something to do next, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dues {
    /// A moment of the plan, which comes sooner or later as the speed changes.
    pub(crate) plan_ns: Option<u64>,
    /// A moment of run time.
    pub(crate) run_ns: Option<u64>,
}

fn scaled(ns: u64, rate: f64) -> u64 {
    if rate == 1.0 {
        ns
    } else {
        // A float beyond the range becomes its end.
        (ns as f64 * rate) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_recorded_speed_both_are_equal() {
        let tempo = Tempo::new(1.0, 0);
        for ns in [0, 1, u64::MAX / 2, u64::MAX] {
            assert_eq!((tempo.plan_ns(ns), tempo.run_ns(ns)), (ns, ns));
        }
    }

    #[test]
    fn a_change_of_rate_moves_nothing_that_was_due() {
        let mut tempo = Tempo::new(2.0, 0);
        assert_eq!(tempo.run_ns(1000), 500);
        tempo.set_rate(500, 0.5);
        assert_eq!(tempo.plan_ns(500), 1000);
        assert_eq!(tempo.run_ns(1000), 500);
        // Twice as slow as recorded from here on, and as before up to here.
        assert_eq!(tempo.run_ns(1100), 700);
        assert_eq!(tempo.run_ns(900), 450);
        tempo.set_rate(700, 10.0);
        assert_eq!((tempo.run_ns(1100), tempo.run_ns(2100)), (700, 800));
    }

    #[test]
    fn a_seek_makes_a_moment_the_present_one() {
        let mut tempo = Tempo::new(1.0, 0);
        tempo.seek(100, 5000);
        assert_eq!((tempo.plan_ns(100), tempo.run_ns(5000)), (5000, 100));
        assert_eq!(tempo.run_ns(5010), 110);
    }

    #[test]
    fn what_leads_is_not_scaled() {
        let mut tempo = Tempo::new(1.0, 1000);
        assert_eq!((tempo.plan_ns(400), tempo.run_ns(0)), (0, 1000));
        tempo.set_rate(400, 2.0);
        assert_eq!((tempo.run_ns(0), tempo.run_ns(100)), (1000, 1050));
        assert_eq!((tempo.plan_ns(1000), tempo.plan_ns(1050)), (0, 100));
    }
}
