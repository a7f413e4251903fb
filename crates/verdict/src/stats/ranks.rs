//! Tests that look at ranks alone, so that no outlier decides.

use super::normal_tail;

/// Values of both samples together up to which the distribution of U is exact.
const EXACT_VALUES: usize = 24;

/// One-sided Wilcoxon signed-rank test that the differences lie above 0
/// (Wilcoxon, 1945), ties by mid-ranks and zeros left out: exact up to 40
/// differences, by the normal approximation beyond.
pub fn signed_rank_test(differences: &[f64]) -> f64 {
    let ranked = SignedRanks::new(differences);
    match ranked.doubled.len() {
        0 => 1.0,
        1..=40 => exact_rank_tail(&ranked.doubled, ranked.sum),
        _ => ranked.normal_tail(),
    }
}

/// What the test of Mann and Whitney (1947) says of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// Pairs of a value of each sample in which that of the second is larger; ties count half.
    pub u: f64,
    /// The chance of as many, if both samples came from one distribution: one-sided, that the
    /// second lies above.
    pub p_value: f64,
    /// The share of pairs in which the second is larger: 0.5 where there is no effect
    /// (the common-language effect size of McGraw and Wong, 1992).
    pub common_language: f64,
    /// The share of pairs in which the second is larger less that in which the first is: -1 to 1
    /// (Cliff, 1993).
    pub cliffs_delta: f64,
}

/// Compares two samples by ranks, ties by mid-ranks: exact up to 24 values together, by the
/// normal approximation with correction for ties and continuity beyond. None where one of
/// the samples is empty.
pub fn mann_whitney(first: &[f64], second: &[f64]) -> Option<MannWhitney> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let (count_first, count_second) = (first.len() as f64, second.len() as f64);
    let values = first.iter().map(|value| (*value, false));
    let mut values: Vec<(f64, bool)> = values
        .chain(second.iter().map(|value| (*value, true)))
        .collect();
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let Ranks { doubled, ties } = ranks(values.iter().map(|(value, _)| *value));
    let of_second = doubled.iter().zip(&values).filter(|(_, (_, is))| *is);
    let sum: usize = of_second.map(|(rank, _)| rank).sum();
    let u = sum as f64 / 2.0 - count_second * (count_second + 1.0) / 2.0;
    let pairs = count_first * count_second;
    let p_value = if values.len() <= EXACT_VALUES {
        exact_choice_tail(&doubled, second.len(), sum)
    } else {
        let all = count_first + count_second;
        let spread = pairs / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)));
        match spread > 0.0 {
            true => normal_tail((u - 0.5 - pairs / 2.0) / spread.sqrt()),
            // Nothing but ties.
            false => 1.0,
        }
    };
    Some(MannWhitney {
        u,
        p_value,
        common_language: u / pairs,
        cliffs_delta: 2.0 * u / pairs - 1.0,
    })
}

/// Ranks of ascending values.
struct Ranks {
    /// Ranks, doubled, so that mid-ranks are whole numbers.
    doubled: Vec<usize>,
    /// The sum of t^3 - t over groups of t ties.
    ties: f64,
}

fn ranks(ascending: impl Iterator<Item = f64>) -> Ranks {
    let values: Vec<f64> = ascending.collect();
    let mut doubled = vec![0_usize; values.len()];
    let mut ties = 0.0;
    let mut from = 0;
    while from < values.len() {
        let mut to = from + 1;
        while to < values.len() && values[to] == values[from] {
            to += 1;
        }
        doubled[from..to].fill(from + to + 1);
        let tied = (to - from) as f64;
        ties += tied * tied * tied - tied;
        from = to;
    }
    Ranks { doubled, ties }
}

/// Differences by the ranks of their sizes.
struct SignedRanks {
    /// Ranks from the smallest on, doubled.
    doubled: Vec<usize>,
    /// The sum of those of positive differences.
    sum: usize,
    /// The sum of t^3 - t over groups of t ties.
    ties: f64,
}

impl SignedRanks {
    fn new(differences: &[f64]) -> Self {
        let mut sizes: Vec<(f64, bool)> = differences
            .iter()
            .filter(|difference| **difference != 0.0)
            .map(|difference| (difference.abs(), *difference > 0.0))
            .collect();
        sizes.sort_by(|one, other| one.0.total_cmp(&other.0));
        let Ranks { doubled, ties } = ranks(sizes.iter().map(|(size, _)| *size));
        let positive = doubled
            .iter()
            .zip(&sizes)
            .filter(|(_, (_, positive))| *positive);
        Self {
            sum: positive.map(|(rank, _)| rank).sum(),
            doubled,
            ties,
        }
    }

    fn normal_tail(&self) -> f64 {
        let n = self.doubled.len() as f64;
        let mean = n * (n + 1.0) / 4.0;
        let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - self.ties / 48.0;
        normal_tail((self.sum as f64 / 2.0 - 0.5 - mean) / variance.sqrt())
    }
}

/// The chance that a random half of the signs gives a rank sum of at least `sum`.
fn exact_rank_tail(ranks: &[usize], sum: usize) -> f64 {
    let total: usize = ranks.iter().sum();
    let mut ways = vec![0.0_f64; total + 1];
    ways[0] = 1.0;
    for rank in ranks {
        for target in (*rank..=total).rev() {
            ways[target] += ways[target - rank];
        }
    }
    let at_least: f64 = ways[sum..].iter().sum();
    at_least / 2.0_f64.powi(ranks.len() as i32)
}

/// The chance that `chosen` of the ranks, all choices alike, sum to at least `sum`.
fn exact_choice_tail(ranks: &[usize], chosen: usize, sum: usize) -> f64 {
    let total: usize = ranks.iter().sum();
    // By how many are chosen and what they sum to.
    let mut ways = vec![vec![0.0_f64; total + 1]; chosen + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        for count in (1..=chosen).rev() {
            let (fewer, more) = ways.split_at_mut(count);
            for target in *rank..=total {
                more[0][target] += fewer[count - 1][target - rank];
            }
        }
    }
    let of_chosen = &ways[chosen];
    let at_least: f64 = of_chosen[sum..].iter().sum();
    at_least / of_chosen.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::super::near;
    use super::*;

    #[test]
    fn the_signed_rank_test_agrees_with_tables() {
        near(signed_rank_test(&[1.0, 2.0, 3.0, 4.0, 5.0]), 1.0 / 32.0);
        // Sums of at most 8 of the ranks 1 to 10 on the other side: 25 of 1024 ways.
        let mixed = [-1.0, -2.0, -5.0, 3.0, 4.0, 6.0, 7.0, 8.0, 9.0, 10.0];
        near(signed_rank_test(&mixed), 25.0 / 1024.0);
        near(signed_rank_test(&[]), 1.0);
        near(signed_rank_test(&[0.0, 0.0]), 1.0);
        // Tied sizes share their ranks: only all positive gives the full sum.
        near(signed_rank_test(&[2.0; 10]), 1.0 / 1024.0);
    }

    #[test]
    fn approximation_and_exact_distribution_meet() {
        for step in [2, 3, 5] {
            let differences: Vec<f64> = (1..=40)
                .map(|size| f64::from(if size % step == 0 { -size } else { size }))
                .collect();
            let exact = signed_rank_test(&differences);
            let approximate = SignedRanks::new(&differences).normal_tail();
            assert!((exact - approximate).abs() < 0.002, "{exact} {approximate}");
        }
    }

    #[test]
    fn two_samples_agree_with_tables() {
        let low = [1.0, 2.0, 3.0, 4.0];
        let high = [5.0, 6.0, 7.0, 8.0];
        let found = mann_whitney(&low, &high).expect("both have values");
        // One of the 70 choices of four of eight.
        near(found.p_value, 1.0 / 70.0);
        assert_eq!((found.u, found.cliffs_delta), (16.0, 1.0));
        let turned = mann_whitney(&high, &low).expect("both have values");
        assert_eq!((turned.u, turned.cliffs_delta), (0.0, -1.0));
        near(turned.p_value, 1.0);
        let same = mann_whitney(&[2.0; 5], &[2.0; 5]).expect("both have values");
        assert_eq!((same.common_language, same.cliffs_delta), (0.5, 0.0));
        near(same.p_value, 1.0);
        assert_eq!(mann_whitney(&[], &[1.0]), None);
    }

    #[test]
    fn u_by_approximation_and_exactly_meet() {
        let first: Vec<f64> = (0..12).map(|value| f64::from(value * 7 % 12)).collect();
        let second: Vec<f64> = first.iter().map(|value| value + 2.5).collect();
        let exact = mann_whitney(&first, &second).expect("both have values");
        let twice = |values: &[f64]| [values, values].concat();
        let more = mann_whitney(&twice(&first), &twice(&second)).expect("both have values");
        assert_eq!(exact.cliffs_delta, more.cliffs_delta);
        // Beside the exact chance, what the approximation says of U, with its mean and deviation.
        let deviation = (144.0 / 12.0 * 25.0_f64).sqrt();
        let approximate = normal_tail((exact.u - 0.5 - 72.0) / deviation);
        assert!(
            (exact.p_value - approximate).abs() < 0.005,
            "{exact:?} {approximate}"
        );
        assert!(more.p_value < exact.p_value, "{exact:?} {more:?}");
    }
}
