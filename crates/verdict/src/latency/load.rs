//! Latencies when there is much to do, against those when there is little.

use super::Shift;
use super::compared::LoadShift;
use super::pairs::{Pair, Pairs};
use crate::options::LatencyOptions;
use crate::stats::median;

/// What busy seconds show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Busy {
    pub(crate) shift: Shift,
    pub(crate) by_load: LoadShift,
}

/// Tests the shift over the seconds that have more requests of the endpoint than those of
/// half of all requests have; none where all seconds are alike. By session and by second:
/// the larger chance counts.
pub(super) fn busy(pairs: &Pairs, baseline_ms: f64, rules: &LatencyOptions) -> Option<Busy> {
    let seconds = pairs.by_second();
    let mut rates: Vec<usize> = seconds
        .values()
        .flat_map(|of| std::iter::repeat_n(of.len(), of.len()))
        .collect();
    rates.sort_unstable();
    let middle = *rates.get(rates.len() / 2)?;
    let is_busy = |pair: &Pair| {
        seconds
            .get(&pair.second())
            .is_some_and(|of| of.len() > middle)
    };
    let busy = pairs.chosen(is_busy);
    let mut quiet: Vec<f64> = pairs
        .all()
        .filter(|(_, pair)| !is_busy(pair))
        .map(|(_, pair)| pair.shift_ms())
        .collect();
    let mut shift = Shift::of(&busy, baseline_ms, rules)?;
    shift.p_value = shift.p_value.max(shift.p_by_second);
    Some(Busy {
        by_load: LoadShift {
            busy_from: middle as u64 + 1,
            quiet_shift_ms: median(&mut quiet),
            busy_shift_ms: shift.median_ms,
        },
        shift,
    })
}
