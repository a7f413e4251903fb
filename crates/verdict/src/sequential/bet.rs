//! Betting against a coin.

use crate::stats::sign_test;

/// No e-value is said to be larger: JSON has no infinity.
const MOST: f64 = 1e300;

/// Evidence that a coin comes up plus more often than minus, which may be looked at after
/// every toss.
///
/// It is the winnings of who bets on plus, for one, with stakes mixed evenly over all that can
/// be right if plus has a chance of more than 1/2 (the mixture of Robbins, 1970): after x
/// pluses and y minuses 2^(x+y) times the mean of q^x (1-q)^y over q from 1/2 to 1. If plus
/// has a chance of at most 1/2 at each toss, whatever came before, that is a nonnegative
/// supermartingale: the chance that it ever reaches 1/a is at most a (Ville, 1939; as
/// e-process: Ramdas et al., 2023, "Game-theoretic statistics and safe anytime-valid
/// inference").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bet {
    pluses: u64,
    minuses: u64,
    /// The logarithm of the beta function of one more than each.
    log_beta: f64,
    log_peak: f64,
}

impl Default for Bet {
    fn default() -> Bet {
        Bet {
            pluses: 0,
            minuses: 0,
            log_beta: 0.0,
            log_peak: 0.0,
        }
    }
}

impl Bet {
    /// Takes a toss.
    pub fn toss(&mut self, is_plus: bool) {
        let count = if is_plus {
            &mut self.pluses
        } else {
            &mut self.minuses
        };
        *count += 1;
        // B(x + 2, y + 1) is (x + 1) / (x + y + 2) of B(x + 1, y + 1).
        let now = *count as f64;
        self.log_beta += (now / (self.tosses() as f64 + 1.0)).ln();
        self.log_peak = self.log_peak.max(self.log_e_value());
    }

    /// Tosses so far.
    pub fn tosses(&self) -> u64 {
        self.pluses + self.minuses
    }

    /// Of them, those that came up plus.
    pub fn pluses(&self) -> u64 {
        self.pluses
    }

    /// Of them, those that came up minus.
    pub fn minuses(&self) -> u64 {
        self.minuses
    }

    /// The evidence now: 1 is none, and what is below speaks for the coin.
    pub fn e_value(&self) -> f64 {
        self.log_e_value().exp().min(MOST)
    }

    /// The most that the evidence ever was. 1 over it is a p-value at any time.
    pub fn peak(&self) -> f64 {
        self.log_peak.exp().min(MOST)
    }

    fn log_e_value(&self) -> f64 {
        // The upper half of the beta distribution is a tail of tosses of a fair coin.
        let upper_half = sign_test(self.minuses + 1, self.pluses);
        let doubled = (self.tosses() + 1) as f64 * std::f64::consts::LN_2;
        doubled + self.log_beta + upper_half.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pluses: u64, minuses: u64, expected: f64) {
        // In whichever order they come.
        for first in [true, false] {
            let mut bet = Bet::default();
            let (of_first, of_other) = match first {
                true => (pluses, minuses),
                false => (minuses, pluses),
            };
            (0..of_first).for_each(|_| bet.toss(first));
            (0..of_other).for_each(|_| bet.toss(!first));
            let found = bet.e_value();
            assert!(
                (found / expected - 1.0).abs() < 1e-6,
                "{found} is not {expected}"
            );
        }
    }

    #[test]
    fn winnings_are_the_mean_over_all_stakes() {
        check(0, 0, 1.0);
        // 2 q over q from 1/2 to 1.
        check(1, 0, 1.5);
        check(0, 1, 0.5);
        // (2^(n+1) - 1) / (n + 1).
        check(10, 0, 2047.0 / 11.0);
        let steps = 100_000;
        let mean: f64 = (0..steps)
            .map(|step| {
                let q = 0.5 + (f64::from(step) + 0.5) / f64::from(steps) / 2.0;
                (2.0 * q).powi(30) * (2.0 * (1.0 - q)).powi(12)
            })
            .sum::<f64>()
            / f64::from(steps);
        check(30, 12, mean);
    }

    #[test]
    fn the_expected_winnings_of_the_next_toss_are_no_gain() {
        for (pluses, minuses) in [(0, 0), (3, 1), (40, 2), (7, 30), (600, 500)] {
            let mut now = Bet::default();
            (0..pluses).for_each(|_| now.toss(true));
            (0..minuses).for_each(|_| now.toss(false));
            let after = |is_plus| {
                let mut next = now;
                next.toss(is_plus);
                next.e_value()
            };
            let mean = f64::midpoint(after(true), after(false));
            let gain = mean / now.e_value();
            assert!(
                (0.999..1.001).contains(&gain),
                "{gain} after {pluses} and {minuses}"
            );
        }
    }

    #[test]
    fn the_peak_stays() {
        let mut bet = Bet::default();
        (0..20).for_each(|_| bet.toss(true));
        let peak = bet.e_value();
        (0..50).for_each(|_| bet.toss(false));
        assert!(bet.e_value() < 1.0);
        assert!((bet.peak() / peak - 1.0).abs() < 1e-9);
        (0..5000).for_each(|_| bet.toss(true));
        assert!(bet.e_value().is_finite() && bet.e_value() > 1e200);
    }
}
