//! Whether a figure differs between the twins, and by how much.
//!
//! Both are asked the same by the same sessions, so the sample is of pairs: what a group of
//! sessions adds up to at the baseline, and at the candidate.

use super::parts::Shape;
use crate::stats::Chance;

/// With fewer groups there is no interval.
pub(super) const FEWEST_GROUPS: usize = 8;
/// With so many pairs that differ at most, every exchange of labels is looked at.
const MOST_ENUMERATED: usize = 12;
/// Exchanges of labels drawn for a test.
const PERMUTATIONS: usize = 9_999;
/// Samples drawn for an interval.
const SAMPLES: usize = 2_000;
/// The same for quantiles, which take longer.
const QUANTILE_SAMPLES: usize = 400;

/// What a group of sessions adds up to: at the baseline, and at the candidate.
pub(super) type Pair = [Vec<f64>; 2];
/// Values of a quantile, each with its group.
pub(super) type Values = Vec<(f64, usize)>;

/// The chance of a difference at least as large were the twins alike: a permutation test
/// (Fisher, 1935) that exchanges the twins within groups; exact where few groups differ, else
/// by draws, p = (1 + hits) / (1 + draws) (Phipson and Smyth, 2010).
pub(super) fn p_value(shape: &Shape, pairs: &[Pair]) -> f64 {
    let (same, differing): (Vec<&Pair>, Vec<&Pair>) = pairs
        .iter()
        .partition(|[baseline, candidate]| baseline == candidate);
    let mut common = [vec![0.0; shape.width()], vec![0.0; shape.width()]];
    for pair in same {
        add(&mut common, pair, false);
    }
    let size_of = |is_exchanged: &mut dyn FnMut(usize) -> bool| {
        let mut sums = common.clone();
        for (place, pair) in differing.iter().enumerate() {
            add(&mut sums, pair, is_exchanged(place));
        }
        difference(shape, &sums).map_or(0.0, f64::abs)
    };
    let observed = size_of(&mut |_| false);
    // Sums in another order differ in their last digits.
    let least = observed * (1.0 - 1e-9);
    if differing.is_empty() || observed == 0.0 {
        return 1.0;
    }
    if differing.len() <= MOST_ENUMERATED {
        let all = 1_u32 << differing.len();
        let hits = (0..all).filter(|bits| size_of(&mut |place| bits >> place & 1 == 1) >= least);
        return hits.count() as f64 / f64::from(all);
    }
    // The same run gives the same report.
    let mut chance = Chance::new(differing.len() as u64);
    let hits = (0..PERMUTATIONS).filter(|_| {
        let mut bits = 0;
        let mut is_exchanged = |place: usize| {
            if place.is_multiple_of(64) {
                bits = chance.bits();
            }
            bits >> (place % 64) & 1 == 1
        };
        size_of(&mut is_exchanged) >= least
    });
    (1 + hits.count()) as f64 / (1 + PERMUTATIONS) as f64
}

/// The interval that the difference lies in but for a chance of `level`: percentiles of what
/// groups drawn anew give (Efron, 1979).
pub(super) fn interval(shape: &Shape, pairs: &[Pair], level: f64) -> Option<[f64; 2]> {
    if pairs.len() < FEWEST_GROUPS {
        return None;
    }
    let mut chance = Chance::new(pairs.len() as u64);
    let drawn = (0..SAMPLES).filter_map(|_| {
        let mut sums = [vec![0.0; shape.width()], vec![0.0; shape.width()]];
        for _ in pairs {
            add(&mut sums, &pairs[chance.below(pairs.len())], false);
        }
        difference(shape, &sums)
    });
    ends(drawn.collect(), level)
}

/// The value that `share` of them are not above.
pub(super) fn quantile(values: &Values, share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied()
}

/// As pairs of shares that lie above the quantile of both twins' values together: where the
/// twins are alike, so are these.
pub(super) fn above_quantile(twins: &[Values; 2], share: f64, groups: usize) -> Vec<Pair> {
    let both: Values = twins.iter().flatten().copied().collect();
    let Some(middle) = quantile(&both, share) else {
        return Vec::new();
    };
    let mut pairs: Vec<Pair> = vec![[vec![0.0; 2], vec![0.0; 2]]; groups];
    for (twin, values) in twins.iter().enumerate() {
        for (value, group) in values {
            pairs[*group][twin][0] += f64::from(u8::from(*value > middle));
            pairs[*group][twin][1] += 1.0;
        }
    }
    pairs
}

/// As [`interval`], for a quantile.
pub(super) fn quantile_interval(
    twins: &[Values; 2],
    share: f64,
    groups: usize,
    level: f64,
) -> Option<[f64; 2]> {
    if groups < FEWEST_GROUPS {
        return None;
    }
    let sorted = twins.clone().map(|mut values| {
        values.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        values
    });
    let mut chance = Chance::new(groups as u64);
    let drawn = (0..QUANTILE_SAMPLES).filter_map(|_| {
        let mut times = vec![0_u32; groups];
        for _ in 0..groups {
            times[chance.below(groups)] += 1;
        }
        let [baseline, candidate] = sorted
            .each_ref()
            .map(|values| weighted(values, &times, share));
        Some(candidate? - baseline?)
    });
    ends(drawn.collect(), level)
}

/// The quantile of sorted values, each there as often as its group was drawn.
fn weighted(sorted: &Values, times: &[u32], share: f64) -> Option<f64> {
    let all: u64 = sorted
        .iter()
        .map(|(_, group)| u64::from(times[*group]))
        .sum();
    let wanted = ((share * all as f64).ceil() as u64).max(1);
    let mut before = 0;
    let found = sorted.iter().find(|(_, group)| {
        before += u64::from(times[*group]);
        before >= wanted
    });
    found.map(|(value, _)| *value)
}

fn ends(mut drawn: Vec<f64>, level: f64) -> Option<[f64; 2]> {
    drawn.sort_by(f64::total_cmp);
    let last = drawn.len().checked_sub(1)?;
    let beyond = (drawn.len() as f64 * level / 2.0) as usize;
    Some([drawn[beyond.min(last)], drawn[last - beyond.min(last)]])
}

/// The candidate's figure minus the baseline's; one that there is nothing to make of is 0.
fn difference(shape: &Shape, [baseline, candidate]: &Pair) -> Option<f64> {
    match (shape.value(candidate), shape.value(baseline)) {
        (None, None) => None,
        (candidate, baseline) => Some(candidate.unwrap_or(0.0) - baseline.unwrap_or(0.0)),
    }
}

fn add(sums: &mut Pair, pair: &Pair, is_exchanged: bool) {
    for (twin, sums) in sums.iter_mut().enumerate() {
        let from = if is_exchanged { 1 - twin } else { twin };
        for (sum, part) in sums.iter_mut().zip(&pair[from]) {
            *sum += part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty sessions of one to eight requests each, whose values hang together: what a session
    /// spends is its own, and each twin adds its noise. The candidate's is less by `lost`.
    fn shoppers(seed: u64, lost: f64) -> Vec<Pair> {
        let mut chance = Chance::new(seed);
        (0..40)
            .map(|_| {
                let requests = 1 + chance.below(8);
                let own = 20.0 * chance.unit();
                let mut spent = |lost: f64| {
                    let noise: f64 = (0..requests).map(|_| chance.unit() - 0.5).sum();
                    vec![
                        requests as f64 * (own - lost) + 4.0 * noise,
                        requests as f64,
                    ]
                };
                [spent(0.0), spent(lost)]
            })
            .collect()
    }

    #[test]
    fn twins_that_are_alike_rarely_differ() {
        let alarms = (0..100).filter(|seed| p_value(&Shape::Share, &shoppers(*seed, 0.0)) <= 0.05);
        let alarms = alarms.count();
        // Five are expected; 14 or more come once in 2,000 times.
        assert!(alarms <= 13, "{alarms} of 100");
    }

    #[test]
    fn what_is_lost_is_found_and_lies_in_its_interval() {
        let (mut found, mut within) = (0, 0);
        for seed in 0..20 {
            let pairs = shoppers(seed, 0.6);
            found += u32::from(p_value(&Shape::Share, &pairs) <= 0.01);
            let [low, high] = interval(&Shape::Share, &pairs, 0.05).expect("forty groups");
            within += u32::from(low <= -0.6 && -0.6 <= high);
        }
        assert!(found >= 18, "found {found} of 20");
        assert!(within >= 15, "{within} of 20 intervals hold the truth");
    }

    #[test]
    fn few_pairs_are_gone_through() {
        let pair = |baseline: f64, candidate: f64| [vec![baseline], vec![candidate]];
        let pairs: Vec<Pair> = (0..5).map(|_| pair(1.0, 2.0)).collect();
        // All one way or all the other, of 32.
        assert_eq!(p_value(&Shape::Total, &pairs), 2.0 / 32.0);
        assert_eq!(p_value(&Shape::Total, &[pair(1.0, 1.0)]), 1.0);
        assert_eq!(interval(&Shape::Total, &pairs, 0.05), None);
    }

    #[test]
    fn quantiles_are_those_of_the_values_kept() {
        let of = |values: &[f64]| -> Values {
            let values = values.iter().enumerate();
            values.map(|(group, value)| (*value, group)).collect()
        };
        let values = of(&[3.0, 1.0, 2.0, 4.0]);
        assert_eq!(quantile(&values, 0.5), Some(2.0));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&of(&[]), 0.5), None);
        let ten: Vec<f64> = (0..10).map(f64::from).collect();
        let more: Vec<f64> = ten.iter().map(|value| value + 5.0).collect();
        let twins = [of(&ten), of(&more)];
        let [low, high] = quantile_interval(&twins, 0.5, 10, 0.05).expect("ten groups");
        assert_eq!((low, high), (5.0, 5.0));
        let above = above_quantile(&twins, 0.5, 10);
        let sum = |twin: usize| above.iter().map(|pair| pair[twin][0]).sum::<f64>();
        assert!(sum(1) > sum(0), "{above:?}");
    }
}
