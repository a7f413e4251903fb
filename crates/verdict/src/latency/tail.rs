//! Slow answers that are rare: the median does not show them.

use std::collections::BTreeMap;

use super::compared::{ShiftInterval, TailTest};
use super::pairs::Pairs;
use crate::options::LatencyOptions;
use crate::stats::{Chance, permutation_test};

/// Answers count as slow above these quantiles of both twins' together.
const QUANTILES: [f64; 2] = [0.95, 0.99];
/// And above the widest gap that there is between two of the slowest: of all answers, this share.
const SLOWEST: f64 = 0.1;
/// As many at least lie above the gap: fewer would not be told from chance.
const FEWEST_SLOW: usize = 12;

/// What holds a twin up for longer than this is rare: a collector's pause, a processor that is
/// busy with something else.
const STRETCH_MS: u32 = 500;

/// Tests whether slow answers are more often the candidate's than the baseline's: both twins'
/// labels are swapped by session, and by half second of the run, since what holds a twin up for
/// a while holds up many sessions. The larger chance counts, and of those above several
/// thresholds the smallest, as many times as there are thresholds. These are of both twins'
/// answers together, and so the same whichever label these have.
pub(super) fn tail(
    pairs: &Pairs,
    shift: ShiftInterval,
    baseline_ms: f64,
    rules: &LatencyOptions,
) -> Option<TailTest> {
    if pairs.sessions() < rules.min_sessions {
        return None;
    }
    let needed_ms = rules
        .min_tail_shift_ms
        .max(rules.min_tail_shift_ratio * baseline_ms);
    let is_large = shift.shift_ms >= needed_ms && shift.low_ms > 0.0;
    let mut all: Vec<f64> = pairs
        .all()
        .flat_map(|(_, pair)| <[f64; 2]>::from(pair.both_ms()))
        .collect();
    all.sort_by(f64::total_cmp);
    let thresholds = thresholds(&all);
    let found = thresholds
        .iter()
        .map(|above_ms| above(pairs, *above_ms, is_large));
    let best = found.min_by(|one, other| one.p_value.total_cmp(&other.p_value))?;
    Some(TailTest {
        p_value: (best.p_value * thresholds.len() as f64).min(1.0),
        ..best
    })
}

/// Above what answers are slow; `all` are those of both twins, ascending.
fn thresholds(all: &[f64]) -> Vec<f64> {
    let of_quantile = |quantile: f64| {
        // There are pairs, or there would be no shift.
        let place = ((all.len() as f64 * quantile) as usize).min(all.len() - 1);
        all[place]
    };
    let mut thresholds = QUANTILES.map(of_quantile).to_vec();
    thresholds.extend(below_widest_gap(all));
    thresholds
}

/// The lower end of the widest gap among the slowest, by ratio: where some answers take a time of
/// their own, all of these lie above it.
fn below_widest_gap(all: &[f64]) -> Option<f64> {
    let fastest = (all.len() as f64 * (1.0 - SLOWEST)) as usize;
    let last = all.len().checked_sub(FEWEST_SLOW)?;
    let slowest = all.get(fastest..=last)?;
    let ratio = |pair: &[f64]| pair[1] / pair[0].max(f64::MIN_POSITIVE);
    let widest = slowest
        .windows(2)
        .max_by(|one, other| ratio(one).total_cmp(&ratio(other)))?;
    Some(widest[0])
}

fn above(pairs: &Pairs, above_ms: f64, is_large: bool) -> TailTest {
    let (mut candidate, mut baseline) = (0, 0);
    let mut by_session: BTreeMap<u32, f64> = BTreeMap::new();
    let mut by_stretch: BTreeMap<u32, f64> = BTreeMap::new();
    for (session, pair) in pairs.all() {
        let (of_baseline, of_candidate) = pair.both_ms();
        let (is_of_baseline, is_of_candidate) = (of_baseline > above_ms, of_candidate > above_ms);
        candidate += u64::from(is_of_candidate);
        baseline += u64::from(is_of_baseline);
        if is_of_baseline != is_of_candidate {
            let sign = if is_of_candidate { 1.0 } else { -1.0 };
            *by_session.entry(session).or_default() += sign;
            *by_stretch.entry(pair.at_ms / STRETCH_MS).or_default() += sign;
        }
    }
    // The same run gives the same report.
    let mut chance = Chance::new(pairs.count() as u64);
    let mut p_value = |differences: BTreeMap<u32, f64>| {
        let differences: Vec<f64> = differences.into_values().collect();
        permutation_test(&differences, &mut chance).p_value
    };
    TailTest {
        above_ms,
        candidate,
        baseline,
        p_value: p_value(by_session).max(p_value(by_stretch)),
        is_large,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_with_a_time_of_their_own_lie_above_a_threshold() {
        let mut all: Vec<f64> = (0..970)
            .map(|number| 1.0 + f64::from(number) / 500.0)
            .collect();
        all.extend((0..30).map(|number| 200.0 + f64::from(number)));
        let slow = |above: f64| all.iter().filter(|value| **value > above).count();
        let thresholds = thresholds(&all);
        assert_eq!(thresholds.len(), 3);
        assert_eq!(slow(thresholds[2]), 30);
        // Too few of them are no cluster.
        assert!(below_widest_gap(&all[..100]).is_none_or(|above| slow(above) > 30));
        assert_eq!(below_widest_gap(&all[..FEWEST_SLOW - 1]), None);
    }
}
