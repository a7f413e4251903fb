//! Values beyond all that two others of their kind ever had.

/// The chance that in `sessions` sessions one of three labels has values beyond all values
/// of the other two, above or below, when the three could in each session as well have been
/// dealt otherwise (an exceedance test: Rosenbaum, 1954).
///
/// For k sessions above to be all one label's, the k largest values must be, each in a
/// session of its own, which has a chance of 3^-k; sessions above and below share out
/// in k + 1 ways.
pub fn range_exceedance(sessions: usize) -> f64 {
    let sessions = sessions as f64;
    ((sessions + 1.0) * 3.0_f64.powf(-sessions)).min(1.0)
}

/// The same of two labels.
pub fn pair_exceedance(sessions: usize) -> f64 {
    let sessions = sessions as f64;
    ((sessions + 1.0) * 2.0_f64.powf(-sessions)).min(1.0)
}

/// The chance that of `classes` classes of values one is seen in `sessions` sessions and with
/// one of three labels alone, as in [`range_exceedance`]; Bonferroni's bound over the classes.
pub fn class_exceedance(sessions: usize, classes: usize) -> f64 {
    (classes.max(1) as f64 * 3.0_f64.powf(-(sessions as f64))).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::Chance;
    use super::*;

    #[test]
    fn nothing_beyond_is_no_evidence() {
        assert_eq!(range_exceedance(0), 1.0);
        assert_eq!((pair_exceedance(0), pair_exceedance(1)), (1.0, 1.0));
        assert!(pair_exceedance(10) > range_exceedance(10));
        assert_eq!(class_exceedance(0, 5), 1.0);
        assert!(range_exceedance(10) < 2e-4 && class_exceedance(10, 6) < 2e-4);
    }

    #[test]
    fn values_of_one_kind_are_rarely_far_beyond_each_other() {
        let mut chance = Chance::new(4);
        let runs = 4000;
        let mut small = [0_usize; 3];
        for _ in 0..runs {
            // A heavy tail, and sessions that differ.
            let mut beyond = 0;
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            let mut candidate = Vec::new();
            for _ in 0..30 {
                let session = chance.unit() * 10.0;
                let mut value = || session + 1.0 / (1e-6 + chance.unit());
                candidate.push(value());
                for other in [value(), value()] {
                    low = other.min(low);
                    high = other.max(high);
                }
            }
            for value in candidate {
                beyond += usize::from(value < low || value > high);
            }
            let p_value = range_exceedance(beyond);
            for (count, level) in small.iter_mut().zip([0.5, 0.1, 0.01]) {
                *count += usize::from(p_value <= level);
            }
        }
        for (count, level) in small.into_iter().zip([0.5, 0.1, 0.01]) {
            let most = level * f64::from(runs) + 4.0 * (f64::from(runs) * level).sqrt();
            assert!((count as f64) < most, "{count} of {runs} at {level}");
        }
    }
}
