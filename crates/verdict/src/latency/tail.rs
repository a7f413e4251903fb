//! Slow answers that are rare: the median does not show them.

use std::collections::BTreeMap;

use super::compared::{ShiftInterval, TailTest};
use super::pairs::Pairs;
use crate::options::LatencyOptions;
use crate::stats::{Chance, permutation_test};

/// Answers count as slow above these quantiles of both twins' together.
const THRESHOLDS: [f64; 2] = [0.95, 0.99];

/// What holds a twin up for longer than this is rare: a collector's pause, a processor that is
/// busy with something else.
const STRETCH_MS: u32 = 500;

/// Tests whether slow answers are more often the candidate's than the baseline's: both twins'
/// labels are swapped by session, and by half second of the run, since what holds a twin up for
/// a while holds up many sessions. The larger chance counts, and twice the smaller of those
/// above two thresholds.
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
    let found = THRESHOLDS.map(|quantile| {
        // There are pairs, or there would be no shift.
        let place = ((all.len() as f64 * quantile) as usize).min(all.len() - 1);
        above(pairs, all[place], is_large)
    });
    let best = found
        .into_iter()
        .min_by(|one, other| one.p_value.total_cmp(&other.p_value))?;
    Some(TailTest {
        p_value: (best.p_value * THRESHOLDS.len() as f64).min(1.0),
        ..best
    })
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
