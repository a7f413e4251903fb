//! Processor time a request: what a release costs, whatever the load is.

use super::series::Point;
use super::{LevelShift, ResourceSample, Work};
use crate::options::Options;
use crate::stats::{median, signed_rank_test};

/// Stretches that a run is cut into at most.
const MOST_STRETCHES: f64 = 60.0;
/// With fewer nothing is said of a shift.
const FEWEST_STRETCHES: usize = 20;
/// What a stretch holds at least of either twin: systems count processor time in steps of
/// 10 ms, and requests are not alike.
const LEAST: Work = Work {
    cpu_seconds: 0.1,
    answered: 20.0,
};

/// The work of both twins between two samples.
#[derive(Clone, Copy, Default)]
struct Stretch {
    candidate: Work,
    baseline: Work,
    seconds: f64,
}

/// Milliseconds of processor time a request in equal stretches of the run, each at its end.
/// Between samples where a process began anew, and lost its count, nothing is counted.
pub(super) fn points(samples: &[ResourceSample]) -> Vec<Point> {
    let known: Vec<(f64, Work, Work)> = samples
        .iter()
        .filter_map(|sample| {
            let works = sample.candidate_work.zip(sample.baseline_work);
            works.map(|(candidate, baseline)| (sample.at_ns as f64 / 1e9, candidate, baseline))
        })
        .collect();
    let stretches: Vec<(f64, Stretch)> = known
        .windows(2)
        .filter_map(|pair| {
            let stretch = Stretch {
                candidate: pair[0].1.until(pair[1].1)?,
                baseline: pair[0].2.until(pair[1].2)?,
                seconds: pair[1].0 - pair[0].0,
            };
            Some((pair[1].0, stretch))
        })
        .collect();
    let mut whole = Stretch::default();
    stretches.iter().for_each(|(_, stretch)| whole.add(stretch));
    let count = whole.candidate.fullness().min(whole.baseline.fullness());
    let count = count.min(MOST_STRETCHES).min(known.len() as f64 / 2.0);
    if count < 1.0 {
        return Vec::new();
    }
    let width = whole.seconds / count.floor();
    let mut points = Vec::new();
    let mut held = Stretch::default();
    for (at, stretch) in &stretches {
        held.add(stretch);
        let costs = held.candidate.cost().zip(held.baseline.cost());
        let costs = costs.filter(|_| held.seconds >= width * 0.999);
        if let Some((candidate, baseline)) = costs {
            points.push(Point {
                at: *at,
                by_load: *at,
                candidate,
                baseline,
            });
            held = Stretch::default();
        }
    }
    points
}

impl Stretch {
    fn add(&mut self, other: &Stretch) {
        for (own, other) in [
            (&mut self.candidate, other.candidate),
            (&mut self.baseline, other.baseline),
        ] {
            own.cpu_seconds += other.cpu_seconds;
            own.answered += other.answered;
        }
        self.seconds += other.seconds;
    }
}

impl Work {
    /// What was done between two samples; none where a count fell, since a process has gone
    /// with what it used.
    fn until(self, later: Work) -> Option<Work> {
        let done = Work {
            cpu_seconds: later.cpu_seconds - self.cpu_seconds,
            answered: later.answered - self.answered,
        };
        (done.cpu_seconds >= 0.0 && done.answered >= 0.0).then_some(done)
    }

    /// How many stretches it would fill.
    fn fullness(self) -> f64 {
        let cpu = self.cpu_seconds / LEAST.cpu_seconds;
        cpu.min(self.answered / LEAST.answered)
    }

    /// None where nothing was answered.
    fn cost(self) -> Option<f64> {
        (self.answered > 0.0).then(|| self.cpu_seconds * 1000.0 / self.answered)
    }
}

/// By how much the candidate's lies above the baseline's; none with too few stretches. It
/// counts where chance does not explain it (a signed-rank test over the stretches, which
/// carry the same load in both), it is more than `resources.min_cpu_shift` of what the
/// baseline takes, and there in every third of the run.
pub(super) fn shift(points: &[Point], level: f64, options: &Options) -> Option<LevelShift> {
    if points.len() < FEWEST_STRETCHES {
        return None;
    }
    let mut differences: Vec<f64> = points
        .iter()
        .map(|point| point.candidate - point.baseline)
        .collect();
    let p_value = signed_rank_test(&differences);
    let mut usual: Vec<f64> = points.iter().map(|point| point.baseline).collect();
    let usual = median(&mut usual);
    let least = options.resources.min_cpu_shift * usual;
    let thirds = differences.chunks(points.len().div_ceil(3));
    let lasts = thirds
        .map(|third| median(&mut third.to_vec()))
        .all(|of_third| of_third >= least / 2.0);
    let middle = median(&mut differences);
    Some(LevelShift {
        median: middle,
        ratio: if usual > 0.0 { middle / usual } else { 0.0 },
        p_value,
        is_higher: lasts && middle >= least && p_value <= level,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run in which a request takes the candidate so much time, and the baseline 2 ms;
    /// the clock goes in steps of 10 ms.
    fn run(seconds: u64, candidate_ms: impl Fn(u64) -> f64) -> Vec<ResourceSample> {
        let rate = 100.0;
        let mut used = 0.0;
        let steps = |seconds: f64| (seconds * 100.0).floor() / 100.0;
        (0..=seconds)
            .map(|second| {
                used += candidate_ms(second) * rate / 1000.0;
                let answered = rate * second as f64;
                let work = |cpu_seconds| Work {
                    cpu_seconds: steps(cpu_seconds),
                    answered,
                };
                ResourceSample {
                    at_ns: second * 1_000_000_000,
                    candidate_work: Some(work(used)),
                    baseline_work: Some(work(0.002 * answered)),
                    ..ResourceSample::default()
                }
            })
            .collect()
    }

    fn is_higher(samples: &[ResourceSample]) -> bool {
        let found = shift(&points(samples), 0.01, &Options::default());
        found.expect("the run is long enough").is_higher
    }

    #[test]
    fn what_costs_more_is_seen_with_how_much() {
        let samples = run(60, |_| 3.0);
        let points = points(&samples);
        let found = shift(&points, 0.01, &Options::default()).expect("it is long enough");
        assert!(found.is_higher, "{found:?}");
        assert!((found.median - 1.0).abs() < 0.05, "{found:?}");
        assert!((found.ratio - 0.5).abs() < 0.03, "{found:?}");
    }

    #[test]
    fn little_more_and_a_spell_of_more_are_none() {
        assert!(!is_higher(&run(60, |_| 2.0)));
        assert!(!is_higher(&run(60, |_| 2.1)));
        assert!(!is_higher(&run(60, |second| {
            if second < 25 { 9.0 } else { 2.0 }
        })));
    }

    #[test]
    fn too_little_work_says_nothing() {
        assert!(points(&[]).is_empty());
        assert!(points(&run(0, |_| 2.0)).is_empty());
        let samples = run(5, |_| 3.0);
        assert!(!points(&samples).is_empty());
        assert_eq!(shift(&points(&samples), 0.01, &Options::default()), None);
    }

    #[test]
    fn a_process_that_began_anew_hides_nothing() {
        let mut samples = run(60, |_| 3.0);
        for sample in &mut samples[30..] {
            if let Some(work) = &mut sample.candidate_work {
                work.cpu_seconds -= 5.0;
            }
        }
        let points = points(&samples);
        assert!(points.iter().all(|point| point.candidate > 2.5));
        assert!(is_higher(&samples));
    }
}
