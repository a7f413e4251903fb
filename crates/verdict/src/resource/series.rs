//! What a resource's series says of the candidate.

use std::collections::BTreeMap;

use super::{
    Course, Resource, ResourceFacts, ResourceReport, ResourceSample, ResourceUse, Slope, cost,
};
use crate::options::Options;
use crate::stats::median;
use crate::trend::{Course as Found, course};

/// Points of a curve in a report.
const CURVE_POINTS: usize = 60;
/// Looks on either side of one, of which the least is what is held.
const MOMENT: usize = 2;
const SECONDS_OF_HOUR: f64 = 3600.0;

/// What both used at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// In seconds.
    pub(super) at: f64,
    /// The same as if load had been even: as many of the run's seconds as the share of all
    /// requests that was answered by then.
    pub(super) by_load: f64,
    pub(super) candidate: f64,
    pub(super) baseline: f64,
}

/// The use of each resource that both twins were looked at for.
pub(crate) fn resources(facts: &ResourceFacts, options: &Options) -> Vec<ResourceReport> {
    let mut all = by_resource(&facts.samples);
    let of_requests = cost::points(&facts.samples);
    if !of_requests.is_empty() {
        all.insert(Resource::CpuPerRequest, of_requests);
    }
    let level = level(facts, options) / all.len().max(1) as f64;
    all.into_iter()
        .map(|(resource, points)| {
            let limit = |twin: usize| facts.limits[twin].get(&resource).copied();
            let mut report = report(resource, &points, [limit(0), limit(1)], level, options);
            if resource == Resource::CpuPerRequest {
                report.shift = cost::shift(&points, level, options);
            }
            report
        })
        .collect()
}

/// The level of all tests of this judgement. What is judged again and again has a level
/// for all judgements together: 1/2 + 1/6 + 1/12 + ... is 1.
fn level(facts: &ResourceFacts, options: &Options) -> f64 {
    match facts.period {
        0 => options.level,
        number => options.level / (number as f64 * (number as f64 + 1.0)),
    }
}

fn by_resource(samples: &[ResourceSample]) -> BTreeMap<Resource, Vec<Point>> {
    let mut series: BTreeMap<Resource, Vec<Point>> = BTreeMap::new();
    for (sample, by_load) in samples.iter().zip(by_load(samples)) {
        for (resource, candidate) in &sample.candidate {
            if let Some(baseline) = sample.baseline.get(resource) {
                series.entry(*resource).or_default().push(Point {
                    at: seconds(sample),
                    by_load,
                    candidate: *candidate,
                    baseline: *baseline,
                });
            }
        }
    }
    series
}

fn seconds(sample: &ResourceSample) -> f64 {
    sample.at_ns as f64 / 1e9
}

/// The times of samples as if load had been even; as they are where the load is not known.
/// What requests leave behind grows with these: where fewer come towards the end of a run, a
/// leak would else seem to level off.
fn by_load(samples: &[ResourceSample]) -> Vec<f64> {
    let even: Vec<f64> = samples.iter().map(seconds).collect();
    let mut known = 0.0;
    let answered: Vec<f64> = samples
        .iter()
        .map(|sample| {
            known = sample.candidate_work.map_or(known, |work| work.answered);
            known
        })
        .collect();
    let (Some(first), Some(last)) = (answered.first(), answered.last()) else {
        return even;
    };
    if last <= first {
        return even;
    }
    let (from, to) = (even[0], even[even.len() - 1]);
    answered
        .iter()
        .map(|count| from + (to - from) * (count - first) / (last - first))
        .collect()
}

/// What either twin holds for longer than a moment: the least at each look and at so many on
/// either side.
/// A buffer that is there and gone does not grow, and hides what does.
fn held(points: &[Point], moment: usize) -> Vec<[f64; 2]> {
    let least = |place: usize, of: fn(&Point) -> f64| {
        let from = place.saturating_sub(moment);
        let near = &points[from..points.len().min(place + moment + 1)];
        near.iter().map(of).fold(f64::INFINITY, f64::min)
    };
    (0..points.len())
        .map(|place| {
            let candidate = least(place, |point| point.candidate);
            [candidate, least(place, |point| point.baseline)]
        })
        .collect()
}

fn report(
    resource: Resource,
    points: &[Point],
    [candidate_limit, baseline_limit]: [Option<f64>; 2],
    level: f64,
    options: &Options,
) -> ResourceReport {
    let candidate = used(points.iter().map(|point| point.candidate), candidate_limit);
    let baseline = used(points.iter().map(|point| point.baseline), baseline_limit);
    let ends = points.first().zip(points.last());
    let seconds = ends.map_or(0.0, |(first, last)| last.at - first.at);
    let moment = match resource {
        // Not held, but spent.
        Resource::CpuPerRequest => 0,
        _ => MOMENT,
    };
    let held = held(points, moment);
    let difference: Vec<(f64, f64)> = points
        .iter()
        .zip(held)
        .map(|(point, [candidate, baseline])| (point.by_load, candidate - baseline))
        .collect();
    let (course, trend) = match course(&difference, level) {
        None => (Course::TooShort, None),
        Some(Found::Level(trend)) => (Course::Level, Some(trend)),
        Some(Found::LevelsOff(trend)) => (Course::LevelsOff, Some(trend)),
        Some(Found::Grows(trend)) => {
            let least = resource.least_growth();
            let an_hour = least.max(options.resources.min_growth * baseline.median);
            // A short run's little rise is much in an hour.
            let matters =
                trend.slope * SECONDS_OF_HOUR >= an_hour && trend.slope * seconds >= least;
            let course = if matters {
                Course::Grows
            } else {
                Course::Level
            };
            (course, Some(trend))
        }
    };
    let per_hour = trend.map(|trend| Slope {
        slope: trend.slope * SECONDS_OF_HOUR,
        low: trend.low * SECONDS_OF_HOUR,
        high: trend.high * SECONDS_OF_HOUR,
    });
    let hours_to_limit = match (course, per_hour, candidate.limit) {
        (Course::Grows, Some(per_hour), Some(limit)) => {
            Some((limit - candidate.last).max(0.0) / per_hour.slope)
        }
        _ => None,
    };
    ResourceReport {
        resource,
        unit: resource.unit().to_owned(),
        samples: points.len() as u64,
        seconds,
        candidate,
        baseline,
        course,
        per_hour,
        hours_to_limit,
        shift: None,
    }
}

fn used(values: impl Iterator<Item = f64>, limit: Option<f64>) -> ResourceUse {
    let mut values: Vec<f64> = values.collect();
    let stretch = values.len().div_ceil(CURVE_POINTS).max(1);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    ResourceUse {
        curve: values.chunks(stretch).map(mean).collect(),
        last: values.last().copied().unwrap_or(0.0),
        max: values.iter().copied().fold(0.0, f64::max),
        median: median(&mut values),
        limit,
    }
}
