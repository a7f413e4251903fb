//! Labels that could as well be the other way round.

use super::{Chance, sign_test};

/// Sums of signed differences that are told apart in an exact distribution.
const MOST_SUMS: usize = 1 << 14;
/// Steps that an exact distribution may take.
const MOST_STEPS: usize = 1 << 18;
/// Sign patterns drawn where there are too many to go through them all.
const MOST_DRAWS: usize = 99_999;
/// The fewest of them, however long a pattern is.
const FEWEST_DRAWS: usize = 9_999;
/// Signs drawn in all, beyond the fewest patterns.
const MOST_SIGNS: usize = 1 << 23;
/// Patterns as extreme as what was seen after which no more are drawn.
const ENOUGH_HITS: usize = 20;
/// Differences are told apart to one part in so many: a multiple of all numbers up to 16, so
/// that sums of rates of as many exchanges tie as they should.
const GRAIN: f64 = 720_720_000.0;

/// What a permutation test says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Permuted {
    /// The chance of as large a sum under the null hypothesis.
    pub p_value: f64,
    /// Patterns that were drawn; none where the chance is exact.
    pub draws: Option<usize>,
}

/// One-sided permutation test by session (Fisher, 1935; Pitman, 1937): `differences` has
/// one for each session, between two labels which under the null hypothesis could as well
/// be the other way round there, so that the difference would have the other sign. How
/// much the requests of a session depend on each other does not matter.
///
/// Exact where the sums that all patterns of signs give can be gone through, and for
/// differences that are all of one size. Beyond that patterns are drawn until 20 were as
/// extreme (Besag and Clifford, 1991): p is then 20 over the draws, or else
/// (1 + hits) / (1 + draws). Both hold their level exactly.
pub fn permutation_test(differences: &[f64], chance: &mut Chance) -> Permuted {
    let units: Vec<i64> = differences
        .iter()
        .map(|difference| (difference * GRAIN).round() as i64)
        .filter(|unit| *unit != 0)
        .collect();
    let exact = |p_value| Permuted {
        p_value,
        draws: None,
    };
    let Some(first) = units.first() else {
        return exact(1.0);
    };
    if units.iter().all(|unit| unit.abs() == first.abs()) {
        let plus = units.iter().filter(|unit| **unit > 0).count() as u64;
        return exact(sign_test(plus, units.len() as u64 - plus));
    }
    // What rounding may have taken from a sum that is as large.
    let least = units.iter().sum::<i64>() - units.len() as i64;
    let sizes: Vec<i64> = units.iter().map(|unit| unit.abs()).collect();
    match exact_tail(&sizes, least) {
        Some(p_value) => exact(p_value),
        None => drawn_tail(&sizes, least, chance),
    }
}

/// The share of all patterns of signs that give a sum of at least `least`.
fn exact_tail(sizes: &[i64], least: i64) -> Option<f64> {
    let mut sums = vec![(0_i64, 1.0_f64)];
    let mut steps = 0;
    for size in sizes {
        sums = with_one_more(&sums, *size);
        steps += sums.len();
        if sums.len() > MOST_SUMS || steps > MOST_STEPS {
            return None;
        }
    }
    let from = sums.partition_point(|(sum, _)| *sum < least);
    let share: f64 = sums[from..].iter().map(|(_, share)| share).sum();
    Some(share.min(1.0))
}

/// The sums, ascending and each with its share, when one more has either sign.
fn with_one_more(sums: &[(i64, f64)], size: i64) -> Vec<(i64, f64)> {
    let mut lower = sums.iter().map(|(sum, share)| (sum - size, share / 2.0));
    let mut upper = sums.iter().map(|(sum, share)| (sum + size, share / 2.0));
    let (mut low, mut high) = (lower.next(), upper.next());
    let mut merged: Vec<(i64, f64)> = Vec::with_capacity(sums.len() * 2);
    loop {
        let is_low = match (low, high) {
            (None, None) => return merged,
            (Some(one), Some(other)) => one.0 <= other.0,
            (one, _) => one.is_some(),
        };
        let next = if is_low {
            std::mem::replace(&mut low, lower.next())
        } else {
            std::mem::replace(&mut high, upper.next())
        };
        match (merged.last_mut(), next) {
            (Some(last), Some((sum, share))) if last.0 == sum => last.1 += share,
            (_, Some(next)) => merged.push(next),
            (_, None) => return merged,
        }
    }
}

/// The same from patterns drawn by chance.
fn drawn_tail(sizes: &[i64], least: i64, chance: &mut Chance) -> Permuted {
    let most = (MOST_SIGNS / sizes.len()).clamp(FEWEST_DRAWS, MOST_DRAWS);
    let mut hits = 0;
    for draw in 1..=most {
        hits += usize::from(drawn_sum(sizes, chance) >= least);
        if hits == ENOUGH_HITS {
            return Permuted {
                p_value: hits as f64 / draw as f64,
                draws: Some(draw),
            };
        }
    }
    Permuted {
        p_value: (1 + hits) as f64 / (1 + most) as f64,
        draws: Some(most),
    }
}

fn drawn_sum(sizes: &[i64], chance: &mut Chance) -> i64 {
    let of_chunk = |chunk: &[i64]| {
        let mut bits = chance.bits();
        let mut sum = 0;
        for size in chunk {
            sum += if bits & 1 == 0 { -size } else { *size };
            bits >>= 1;
        }
        sum
    };
    sizes.chunks(64).map(of_chunk).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(differences: &[f64], expected: f64) {
        let found = permutation_test(differences, &mut Chance::new(1));
        assert_eq!(found.draws, None);
        assert!((found.p_value - expected).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn all_patterns_of_signs_are_gone_through() {
        check(&[], 1.0);
        check(&[0.0, 0.0], 1.0);
        check(&[1.0, 1.0, 1.0], 1.0 / 8.0);
        check(&[1.0, 2.0, 3.0], 1.0 / 8.0);
        // +1 +2 +3, and both ways to get 4 or more: -1 +2 +3.
        check(&[-1.0, 2.0, 3.0], 2.0 / 8.0);
        // 0 and above: 3 of the sums -6 -4 -2 0 0 2 4 6 are below.
        check(&[1.0, 2.0, -3.0], 5.0 / 8.0);
        // A zero says nothing.
        check(&[1.0, 2.0, 0.0, 3.0], 1.0 / 8.0);
    }

    #[test]
    fn thirds_tie_with_their_sum() {
        // 1/3 + 1/3 + 1/3 - 1 is 0, as are all patterns with the signs of three and of one
        // turned: 1 + 1 patterns of 16 give 0, and 7 more.
        check(&[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, -1.0], 9.0 / 16.0);
    }

    #[test]
    fn drawn_patterns_agree_with_all_of_them() {
        let sizes: Vec<i64> = (1..=15).map(|size| size * 1_000_000_007 % 99_991).collect();
        let least = sizes.iter().sum::<i64>() / 3;
        let all = (0..1_u32 << 15).filter(|signs| {
            let signed = sizes.iter().enumerate().map(|(place, size)| {
                if signs >> place & 1 == 0 {
                    -size
                } else {
                    *size
                }
            });
            signed.sum::<i64>() >= least
        });
        let exact = all.count() as f64 / f64::from(1 << 15);
        let drawn: f64 = (0..20)
            .map(|seed| drawn_tail(&sizes, least, &mut Chance::new(seed)).p_value)
            .sum();
        assert!((drawn / 20.0 / exact - 1.0).abs() < 0.2, "{exact} {drawn}");
        let found = exact_tail(&sizes, least);
        assert!(
            found.is_none_or(|found| (found - exact).abs() < 1e-9),
            "{found:?} {exact}"
        );
    }

    #[test]
    fn nothing_is_less_likely_than_the_draws_can_say() {
        let differences: Vec<f64> = (0..60).map(|size| 1.0 + f64::from(size).sqrt()).collect();
        let found = permutation_test(&differences, &mut Chance::new(3));
        assert_eq!(found.draws, Some(99_999));
        assert_eq!(found.p_value, 1e-5);
    }
}
