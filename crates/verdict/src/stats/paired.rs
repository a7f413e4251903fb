//! How much more often one of two things happens to the same sessions.

use super::{normal_quantile, sign_test};

/// What happened to how many sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairedCounts {
    /// More often with the candidate.
    pub candidate: u64,
    /// More often with the baseline.
    pub baseline: u64,
    /// As often with both, and at all.
    pub both: u64,
    /// With neither.
    pub neither: u64,
}

impl PairedCounts {
    /// All sessions.
    pub fn sessions(&self) -> u64 {
        self.candidate + self.baseline + self.both + self.neither
    }

    /// By how much larger a share of the sessions the candidate has it in.
    pub fn difference(&self) -> f64 {
        (self.candidate as f64 - self.baseline as f64) / self.sessions().max(1) as f64
    }

    /// The exact one-sided test on the sessions that tell the twins apart (McNemar, 1947): the
    /// chance that as many of them are the candidate's, when each is either twin's by a
    /// fair coin.
    pub fn p_value(&self) -> f64 {
        sign_test(self.candidate, self.baseline)
    }

    /// The interval of [`difference`](Self::difference) that holds the true one with this
    /// `confidence` (Newcombe, 1998, Statistics in Medicine 17:2635, method 10): of Wilson's
    /// intervals of both shares, with how far they go together.
    pub fn interval(&self, confidence: f64) -> (f64, f64) {
        let count = self.sessions() as f64;
        if count == 0.0 {
            return (-1.0, 1.0);
        }
        let z = normal_quantile(1.0 - (1.0 - confidence) / 2.0);
        let [both, one, other, neither] =
            [self.both, self.candidate, self.baseline, self.neither].map(|count| count as f64);
        let (share_one, share_other) = ((both + one) / count, (both + other) / count);
        let (low_one, high_one) = wilson(share_one, count, z);
        let (low_other, high_other) = wilson(share_other, count, z);
        let together = correlation(both, one, other, neither);
        let distance = |of_one: f64, of_other: f64| {
            let square = of_one * of_one - 2.0 * together * of_one * of_other + of_other * of_other;
            square.max(0.0).sqrt()
        };
        let difference = self.difference();
        let below = distance(share_one - low_one, high_other - share_other);
        let above = distance(high_one - share_one, share_other - low_other);
        (
            (difference - below).max(-1.0),
            (difference + above).min(1.0),
        )
    }
}

/// The score interval of a share of `count` (Wilson, 1927).
fn wilson(share: f64, count: f64, z: f64) -> (f64, f64) {
    let square = z * z / count;
    let middle = (share + square / 2.0) / (1.0 + square);
    let half = (share * (1.0 - share) * square + square * square / 4.0).sqrt() / (1.0 + square);
    (middle - half, middle + half)
}

/// Phi of a table of two by two, corrected for continuity as Newcombe says.
fn correlation(both: f64, one: f64, other: f64, neither: f64) -> f64 {
    let margins = (both + one) * (other + neither) * (both + other) * (one + neither);
    if margins == 0.0 {
        return 0.0;
    }
    let count = both + one + other + neither;
    let product = both * neither - one * other;
    let corrected = if product > 0.0 {
        (product - count / 2.0).max(0.0)
    } else {
        product
    };
    corrected / margins.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_paper() {
        let counts = PairedCounts {
            candidate: 12,
            baseline: 2,
            both: 36,
            neither: 0,
        };
        let (low, high) = counts.interval(0.95);
        let is_near = |one: f64, other: f64| (one - other).abs() < 5e-5;
        assert!(
            is_near(low, 0.0569) && is_near(high, 0.3404),
            "{low} {high}"
        );
        let turned = PairedCounts {
            candidate: 2,
            baseline: 12,
            ..counts
        };
        let (turned_low, turned_high) = turned.interval(0.95);
        assert!(is_near(turned_low, -high) && is_near(turned_high, -low));
    }

    #[test]
    fn nothing_is_known_of_no_sessions() {
        let none = PairedCounts::default();
        assert_eq!(none.interval(0.95), (-1.0, 1.0));
        assert_eq!((none.difference(), none.p_value()), (0.0, 1.0));
    }

    #[test]
    fn sessions_that_tell_nothing_do_not_change_the_test() {
        let few = PairedCounts {
            candidate: 8,
            baseline: 2,
            both: 0,
            neither: 0,
        };
        let many = PairedCounts {
            neither: 10_000,
            both: 7,
            ..few
        };
        assert_eq!(few.p_value(), many.p_value());
        assert!((few.p_value() - 56.0 / 1024.0).abs() < 1e-9);
        let (low, high) = many.interval(0.95);
        assert!(low < 6.0 / 10_017.0 && 6.0 / 10_017.0 < high);
    }
}
