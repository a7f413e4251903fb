//! The few tests that judgement needs.

/// One-sided sign test: the chance of at least `plus` heads in `plus + minus`
/// tosses of a fair coin.
pub(crate) fn sign_test(plus: u64, minus: u64) -> f64 {
    let tosses = plus + minus;
    if plus == 0 {
        return 1.0;
    }
    if tosses > 1000 {
        let mean = tosses as f64 / 2.0;
        let deviation = (tosses as f64).sqrt() / 2.0;
        return normal_tail((plus as f64 - 0.5 - mean) / deviation);
    }
    // In logarithms, as 2^-1000 is near the end of f64.
    let mut log_choose = 0.0;
    let mut log_terms = Vec::new();
    for heads in 0..=tosses {
        if heads >= plus {
            log_terms.push(log_choose);
        }
        log_choose += ((tosses - heads) as f64 / (heads + 1) as f64).ln();
    }
    let log_all = tosses as f64 * std::f64::consts::LN_2;
    log_terms
        .iter()
        .map(|term| (term - log_all).exp())
        .sum::<f64>()
        .min(1.0)
}

/// One-sided Wilcoxon signed-rank test that the differences lie above 0
/// (Wilcoxon, 1945), ties by mid-ranks and zeros left out: exact up to 40
/// differences, by the normal approximation beyond.
pub(crate) fn signed_rank_test(differences: &[f64]) -> f64 {
    let ranked = Ranked::new(differences);
    match ranked.doubled.len() {
        0 => 1.0,
        1..=40 => exact_rank_tail(&ranked.doubled, ranked.sum),
        _ => ranked.normal_tail(),
    }
}

/// Differences by the ranks of their sizes.
struct Ranked {
    /// Ranks from the smallest on, doubled, so that mid-ranks are whole numbers.
    doubled: Vec<usize>,
    /// The sum of those of positive differences.
    sum: usize,
    /// The sum of t^3 - t over groups of t ties.
    ties: f64,
}

impl Ranked {
    fn new(differences: &[f64]) -> Self {
        let mut sizes: Vec<(f64, bool)> = differences
            .iter()
            .filter(|difference| **difference != 0.0)
            .map(|difference| (difference.abs(), *difference > 0.0))
            .collect();
        sizes.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut doubled = vec![0_usize; sizes.len()];
        let mut ties = 0.0;
        let mut from = 0;
        while from < sizes.len() {
            let mut to = from + 1;
            while to < sizes.len() && sizes[to].0 == sizes[from].0 {
                to += 1;
            }
            doubled[from..to].fill(from + to + 1);
            let tied = (to - from) as f64;
            ties += tied * tied * tied - tied;
            from = to;
        }
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

/// Which of these p-values are significant while at most `level` of those so
/// called are expected to be false (Benjamini and Hochberg, 1995).
pub(crate) fn benjamini_hochberg(p_values: &[f64], level: f64) -> Vec<bool> {
    let mut sorted = p_values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let threshold = sorted
        .iter()
        .enumerate()
        .filter(|(index, p)| **p <= level * (*index as f64 + 1.0) / count)
        .map(|(_, p)| *p)
        .next_back();
    p_values
        .iter()
        .map(|p| threshold.is_some_and(|threshold| *p <= threshold))
        .collect()
}

/// The median; of an even number, the mean of the two in the middle. 0 for none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// P(Z >= z) for a standard normal Z, to 1.2e-7 of its size (Numerical Recipes, `erfcc`).
fn normal_tail(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    const COEFFICIENTS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let series = COEFFICIENTS
        .iter()
        .rev()
        .fold(0.0, |sum, coefficient| sum * t + coefficient);
    let tail = 0.5 * t * (series - x * x).exp();
    if z >= 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(value: f64, expected: f64) {
        let error = (value - expected).abs();
        assert!(error <= 1e-6 + expected * 1e-3, "{value} is not {expected}");
    }

    #[test]
    fn the_sign_test_counts_tosses() {
        near(sign_test(0, 5), 1.0);
        near(sign_test(5, 0), 1.0 / 32.0);
        near(sign_test(8, 2), 56.0 / 1024.0);
        near(sign_test(600, 400), 1.364e-10);
        near(sign_test(501, 500), 0.5);
    }

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
            let approximate = Ranked::new(&differences).normal_tail();
            assert!((exact - approximate).abs() < 0.002, "{exact} {approximate}");
        }
    }

    #[test]
    fn benjamini_hochberg_takes_the_largest_that_holds() {
        let p_values = [0.04, 0.001, 0.9, 0.012, 0.011];
        assert_eq!(
            benjamini_hochberg(&p_values, 0.05),
            [true, true, false, true, true]
        );
        assert_eq!(benjamini_hochberg(&[0.2, 0.3], 0.05), [false, false]);
        assert_eq!(benjamini_hochberg(&[], 0.05), Vec::<bool>::new());
    }

    #[test]
    fn the_median_of_none_is_zero() {
        near(median(&mut []), 0.0);
        near(median(&mut [3.0, 1.0, 2.0]), 2.0);
        near(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
