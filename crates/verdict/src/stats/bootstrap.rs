//! Intervals for quantiles of what two twins did to the same sessions.

use super::Chance;

/// Sets of sessions drawn for an interval.
const DRAWS: usize = 199;
/// The share of intervals that hold the true value, as they are made here.
const CONFIDENCE: f64 = 0.95;

/// An estimate with its interval of 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// Values of two twins by session.
#[derive(Clone, Debug, Default)]
pub struct SessionPairs {
    sessions: usize,
    baseline: Values,
    candidate: Values,
}

/// Ascending values, each with its session.
#[derive(Clone, Debug, Default)]
struct Values(Vec<(f64, u32)>);

impl SessionPairs {
    /// Of (baseline, candidate) by session.
    pub fn new<'a>(sessions: impl IntoIterator<Item = &'a [(f64, f64)]>) -> SessionPairs {
        let mut made = SessionPairs::default();
        for pairs in sessions {
            let session = made.sessions as u32;
            made.sessions += 1;
            for (baseline, candidate) in pairs {
                made.baseline.0.push((*baseline, session));
                made.candidate.0.push((*candidate, session));
            }
        }
        for values in [&mut made.baseline.0, &mut made.candidate.0] {
            values.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
        made
    }

    /// By how much the candidate's values at these quantiles are above the baseline's, in the
    /// order of `quantiles`, with intervals by the bootstrap of whole sessions (Efron, 1979;
    /// of clusters: Davison and Hinkley, 1997, section 3.8), percentile method: requests of a
    /// session depend on each other, and both twins' are drawn together. None for no values.
    pub fn quantile_differences(
        &self,
        quantiles: &[f64],
        chance: &mut Chance,
    ) -> Option<Vec<Interval>> {
        if self.baseline.0.is_empty() {
            return None;
        }
        let differences = |times: &[u32]| -> Vec<f64> {
            let baseline = self.baseline.at(quantiles, times);
            let candidate = self.candidate.at(quantiles, times);
            let pairs = candidate.iter().zip(&baseline);
            pairs.map(|(one, other)| one - other).collect()
        };
        let seen = differences(&vec![1; self.sessions]);
        let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(DRAWS); quantiles.len()];
        let mut times = vec![0_u32; self.sessions];
        for _ in 0..DRAWS {
            times.fill(0);
            for _ in 0..self.sessions {
                times[chance.below(self.sessions)] += 1;
            }
            for (drawn, difference) in drawn.iter_mut().zip(differences(&times)) {
                drawn.push(difference);
            }
        }
        let intervals = seen.into_iter().zip(drawn).map(|(value, mut drawn)| {
            drawn.sort_by(f64::total_cmp);
            let place = |share: f64| drawn[(share * (DRAWS - 1) as f64).round() as usize];
            Interval {
                value,
                low: place((1.0 - CONFIDENCE) / 2.0).min(value),
                high: place((1.0 + CONFIDENCE) / 2.0).max(value),
            }
        });
        Some(intervals.collect())
    }
}

impl Values {
    /// The values at ascending quantiles, where each session counts so many times.
    fn at(&self, quantiles: &[f64], times: &[u32]) -> Vec<f64> {
        let times = |session: &u32| u64::from(times[*session as usize]);
        let all: u64 = self.0.iter().map(|(_, session)| times(session)).sum();
        let mut found = Vec::with_capacity(quantiles.len());
        let mut below = 0;
        let mut values = self.0.iter();
        let mut last = self.0.first().map_or(0.0, |(value, _)| *value);
        for quantile in quantiles {
            // The smallest value that as many are not above.
            let needed = (quantile * all as f64).ceil().max(1.0) as u64;
            while below < needed
                && let Some((value, session)) = values.next()
            {
                below += times(session);
                last = *value;
            }
            found.push(last);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_there() {
        let pairs: Vec<(f64, f64)> = (1..=100)
            .map(|value| (f64::from(value), f64::from(value * 2)))
            .collect();
        let sessions: Vec<&[(f64, f64)]> = pairs.chunks(1).collect();
        let pairs = SessionPairs::new(sessions);
        let once = vec![1; 100];
        let quantiles = [0.5, 0.9, 0.99, 1.0];
        assert_eq!(
            pairs.baseline.at(&quantiles, &once),
            [50.0, 90.0, 99.0, 100.0]
        );
        let found = pairs.quantile_differences(&quantiles, &mut Chance::new(1));
        let found = found.expect("there are values");
        let values: Vec<f64> = found.iter().map(|found| found.value).collect();
        assert_eq!(values, [50.0, 90.0, 99.0, 100.0]);
        assert!(
            found
                .iter()
                .all(|of| of.low <= of.value && of.value <= of.high)
        );
        assert!(found[0].low < 45.0 && found[0].high > 55.0, "{found:?}");
    }

    #[test]
    fn without_values_nothing_is_said() {
        let none: [&[(f64, f64)]; 1] = [&[]];
        let none = SessionPairs::new(none);
        assert_eq!(none.quantile_differences(&[0.5], &mut Chance::new(1)), None);
    }
}
