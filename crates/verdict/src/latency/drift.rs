//! Whether the candidate becomes slower while the run goes on.

use super::pairs::{Pair, Pairs};
use crate::options::LatencyOptions;
use crate::stats::median;
use crate::trend::{Course, Trend, course};

/// Stretches of the run, each with one median.
const STRETCHES: u64 = 48;
/// Requests of a stretch below which it has none.
const FEWEST_EACH: usize = 3;
/// Shorter runs drift too little to be told from what warms up.
const FEWEST_SECONDS: f64 = 60.0;

/// How candidate minus baseline goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Drifting {
    /// Milliseconds a second.
    pub(crate) trend: Trend,
    pub(crate) seconds: f64,
    /// Whether it grows, and by as much over the run as matters.
    pub(crate) is_large: bool,
}

pub(super) fn drift(
    pairs: &Pairs,
    baseline_ms: f64,
    level: f64,
    rules: &LatencyOptions,
) -> Option<Drifting> {
    let times = || pairs.all().map(|(_, pair)| u64::from(pair.at_ms));
    let (first, last) = (times().min()?, times().max()?);
    let length = last - first + 1;
    let mut stretches: Vec<Vec<f64>> = vec![Vec::new(); STRETCHES as usize];
    for (_, pair) in pairs.all() {
        let place = (u64::from(pair.at_ms) - first) * STRETCHES / length;
        stretches[place as usize].push(Pair::shift_ms(pair));
    }
    let width = length as f64 / STRETCHES as f64 / 1000.0;
    let points: Vec<(f64, f64)> = stretches
        .iter_mut()
        .enumerate()
        .filter(|(_, shifts)| shifts.len() >= FEWEST_EACH)
        .map(|(place, shifts)| ((place as f64 + 0.5) * width, median(shifts)))
        .collect();
    let found = course(&points, level)?;
    let seconds = length as f64 / 1000.0;
    let (trend, grows) = (found.trend(), matches!(found, Course::Grows(_)));
    let matters = trend.slope * seconds >= rules.needed_ms(baseline_ms);
    Some(Drifting {
        trend,
        seconds,
        is_large: grows && matters && seconds >= FEWEST_SECONDS,
    })
}
