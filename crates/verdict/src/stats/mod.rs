//! The tests that judgement needs: exact where that can be, each with the paper that it is
//! from. They know of numbers alone; docs/verdict.md says what they are used for.

mod bootstrap;
mod chance;
mod exceedance;
mod paired;
mod permutation;
mod ranks;

pub use bootstrap::{Interval, SessionPairs};
pub use chance::Chance;
pub use exceedance::{class_exceedance, pair_exceedance, range_exceedance};
pub use paired::PairedCounts;
pub use permutation::{Permuted, permutation_test};
pub use ranks::{MannWhitney, mann_whitney, signed_rank_test};

/// One-sided sign test: the chance of at least `plus` heads in `plus + minus`
/// tosses of a fair coin.
pub fn sign_test(plus: u64, minus: u64) -> f64 {
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

/// Which of these p-values are significant while at most `level` of those so
/// called are expected to be false (Benjamini and Hochberg, 1995).
pub fn benjamini_hochberg(p_values: &[f64], level: f64) -> Vec<bool> {
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

/// The value that a standard normal one is below with a chance of `share`.
pub(crate) fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    // As often as it takes for the last bit.
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if 1.0 - normal_tail(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
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
#[track_caller]
fn near(value: f64, expected: f64) {
    let error = (value - expected).abs();
    assert!(error <= 1e-6 + expected * 1e-3, "{value} is not {expected}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_test_counts_tosses() {
        near(sign_test(0, 5), 1.0);
        near(sign_test(5, 0), 1.0 / 32.0);
        near(sign_test(8, 2), 56.0 / 1024.0);
        near(sign_test(600, 400), 1.364e-10);
        near(sign_test(501, 500), 0.5);
    }

    #[test]
    fn quantiles_of_the_normal_distribution_are_known() {
        near(normal_quantile(0.975), 1.959_964);
        near(normal_quantile(0.5), 0.0);
        near(-normal_quantile(0.01), 2.326_348);
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
