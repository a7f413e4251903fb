//! How far arrivals are from what was due.

use std::time::Instant;

/// Blocks of arrivals whose medians tell whether lateness grows.
const BLOCKS: usize = 20;
/// Of Student's distribution with as many degrees of freedom as blocks less two, the value
/// that holds 95 of 100.
const STUDENT_95: f64 = 2.101;

/// The two-sample statistic of Kolmogorov and Smirnov: the largest distance of the two
/// empirical distributions, from 0 (the same) to 1.
#[must_use]
pub fn ks_distance(one: &[f64], other: &[f64]) -> f64 {
    let [one, other] = [one, other].map(|values| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    });
    let share = |values: &[f64], at: f64| {
        values.partition_point(|value| *value <= at) as f64 / values.len().max(1) as f64
    };
    one.iter()
        .chain(&other)
        .map(|at| (share(&one, *at) - share(&other, *at)).abs())
        .fold(0.0, f64::max)
}

/// From each to the next.
#[must_use]
pub fn gaps(times: &[f64]) -> Vec<f64> {
    times.windows(2).map(|two| two[1] - two[0]).collect()
}

/// Microseconds from the first.
#[must_use]
pub fn micros(arrivals: &[Instant]) -> Vec<f64> {
    let Some(first) = arrivals.first() else {
        return Vec::new();
    };
    let since = arrivals.iter().map(|at| at.duration_since(*first));
    since.map(|span| span.as_nanos() as f64 / 1000.0).collect()
}

/// How arrivals wander off from due times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// By how much one came later than another one, both counted from when they were due: the
    /// largest |arrival - T0 - due| where T0 is when the most punctual one says it was.
    pub largest_us: f64,
    /// By how much lateness grows with time, in millionths.
    pub slope_ppm: f64,
    /// Half the width of the interval around the slope that holds it with a confidence of
    /// 95 %, as its 20 medians of successive arrivals tell.
    pub slope_half_width_ppm: f64,
}

impl Drift {
    /// Of sorted arrivals against sorted due times, both in microseconds and as many.
    #[must_use]
    pub fn of(arrivals: &[f64], due: &[f64]) -> Drift {
        let late: Vec<f64> = arrivals.iter().zip(due).map(|(at, due)| at - due).collect();
        let earliest = late.iter().copied().fold(f64::INFINITY, f64::min);
        let latest = late.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let points: Vec<(f64, f64)> = due.iter().copied().zip(late).collect();
        let trend = Trend::of(&points);
        Drift {
            largest_us: (latest - earliest).max(0.0),
            slope_ppm: trend.slope * 1e6,
            slope_half_width_ppm: trend.half_width * 1e6,
        }
    }

    /// True when lateness does not grow: its slope is not told from 0, or below a millionth.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        self.slope_ppm.abs() <= self.slope_half_width_ppm || self.slope_ppm.abs() < 1.0
    }
}

/// How something goes with time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Its mean.
    pub mean: f64,
    /// By how much it grows in a unit of time.
    pub slope: f64,
    /// Half the width of the interval around the slope that holds it with a confidence of 95 %.
    pub half_width: f64,
}

impl Trend {
    /// Of points in the order of time: the line of least squares through the medians of 20
    /// successive blocks, so that single ones count for little.
    #[must_use]
    pub fn of(points: &[(f64, f64)]) -> Trend {
        let size = points.len().div_ceil(BLOCKS).max(1);
        let medians: Vec<(f64, f64)> = points.chunks(size).map(median_of).collect();
        let (slope, half_width) = line_through(&medians);
        Trend {
            mean: points.iter().map(|point| point.1).sum::<f64>() / points.len().max(1) as f64,
            slope,
            half_width,
        }
    }
}

fn median_of(block: &[(f64, f64)]) -> (f64, f64) {
    let middle = |of: fn(&(f64, f64)) -> f64| median(&block.iter().map(of).collect::<Vec<_>>());
    (middle(|point| point.0), middle(|point| point.1))
}

/// The slope of least squares, and half its 95 % interval.
fn line_through(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    let common: f64 = points
        .iter()
        .map(|(x, y)| (x - x_mean) * (y - y_mean))
        .sum();
    let slope = common / spread;
    let rest: f64 = points
        .iter()
        .map(|(x, y)| (y - y_mean - slope * (x - x_mean)).powi(2))
        .sum();
    (slope, STUDENT_95 * (rest / (count - 2.0) / spread).sqrt())
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_ms(count: u32) -> Vec<f64> {
        (0..count)
            .map(|number| f64::from(number) * 1000.0)
            .collect()
    }

    #[test]
    fn distributions_are_as_far_apart_as_they_differ() {
        let ten: Vec<f64> = (0..10).map(f64::from).collect();
        let moved: Vec<f64> = ten.iter().map(|value| value + 3.0).collect();
        assert!(ks_distance(&ten, &ten).abs() < 1e-9);
        assert!((ks_distance(&ten, &moved) - 0.3).abs() < 1e-9);
        assert!((ks_distance(&[1.0], &[2.0]) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_sleeps_each_gap_drifts_and_what_goes_by_deadlines_does_not() {
        let due = every_ms(1000);
        // Each is late by another 0 to 60 us, and that adds up in one of them alone.
        let late = |number: usize| (number * 7 % 61) as f64;
        let by_deadline: Vec<f64> = (0..due.len()).map(|n| due[n] + late(n)).collect();
        let mut sum = 0.0;
        let by_gap: Vec<f64> = (0..due.len())
            .map(|n| {
                sum += late(n);
                due[n] + sum
            })
            .collect();
        let (steady, growing) = (Drift::of(&by_deadline, &due), Drift::of(&by_gap, &due));
        assert!(steady.is_steady(), "{steady:?}");
        assert!((steady.largest_us - 60.0).abs() < 1e-6, "{steady:?}");
        assert!(!growing.is_steady(), "{growing:?}");
        assert!((growing.slope_ppm - 30_000.0).abs() < 500.0, "{growing:?}");
    }
}
