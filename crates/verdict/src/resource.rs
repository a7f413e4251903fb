//! What the twins' processes use, and whether the candidate uses more and more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::stats::median;
use crate::trend::{Course as Found, course};

/// Points of a curve in a report.
const CURVE_POINTS: usize = 60;
const SECONDS_OF_HOUR: f64 = 3600.0;

/// What is measured of a twin's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Memory that is no cache of files, in bytes.
    Memory,
    /// Open file descriptors.
    FileDescriptors,
    /// Threads.
    Threads,
    /// Open sockets.
    Sockets,
}

impl Resource {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::FileDescriptors => "file_descriptors",
            Resource::Threads => "threads",
            Resource::Sockets => "sockets",
        }
    }

    /// What it is counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Resource::Memory => "bytes",
            Resource::FileDescriptors | Resource::Threads | Resource::Sockets => "1",
        }
    }

    /// What there is more of.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::FileDescriptors => "file descriptors",
            Resource::Threads => "threads",
            Resource::Sockets => "sockets",
        }
    }

    /// A number of them, for people.
    pub(crate) fn amount(self, value: f64) -> String {
        const MIB: f64 = 1024.0 * 1024.0;
        match self {
            Resource::Memory if value.abs() >= 1024.0 * MIB => {
                format!("{:.1} GiB", value / 1024.0 / MIB)
            }
            Resource::Memory => format!("{:.1} MiB", value / MIB),
            Resource::FileDescriptors | Resource::Threads | Resource::Sockets => {
                format!("{value:.0}")
            }
        }
    }

    /// A growth of fewer in an hour is none, whatever there was to begin with.
    fn least_growth(self) -> f64 {
        match self {
            Resource::Memory => 1024.0 * 1024.0,
            Resource::FileDescriptors | Resource::Threads | Resource::Sockets => 10.0,
        }
    }
}

/// What both twins' processes used at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceSample {
    /// Nanoseconds from T0 of the run.
    pub at_ns: u64,
    /// The candidate's, as far as it is known.
    pub candidate: BTreeMap<Resource, f64>,
    /// The baseline's, likewise.
    pub baseline: BTreeMap<Resource, f64>,
}

/// Both twins' use of a resource over a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceReport {
    /// What.
    pub resource: Resource,
    /// What it is counted in: `bytes`, or `1`.
    pub unit: String,
    /// How often both were looked at, after the warm-up.
    pub samples: u64,
    /// From the first to the last of these, in seconds.
    pub seconds: f64,
    /// The candidate's.
    pub candidate: ResourceUse,
    /// The baseline's.
    pub baseline: ResourceUse,
    /// How the candidate's goes on against the baseline's.
    pub course: Course,
    /// By how much candidate minus baseline grows in an hour; where it grows, or levels
    /// off, over the last half of the run. Absent where the run is too short to tell.
    pub per_hour: Option<Slope>,
    /// Hours from the run's end until the candidate meets its limit, where both are known.
    pub hours_to_limit: Option<f64>,
}

/// One twin's use of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceUse {
    /// The median.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// The last.
    pub last: f64,
    /// What it must stay below, where that is known.
    pub limit: Option<f64>,
    /// Means of equal stretches of the run.
    pub curve: Vec<f64>,
}

/// A slope with an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// The slope.
    pub slope: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// How a series goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    /// The run is too short to tell.
    TooShort,
    /// It may as well stay where it is.
    Level,
    /// It grew, and less and less.
    LevelsOff,
    /// It grows.
    Grows,
}

/// The use of each resource that both twins were looked at for. `limits` are the
/// candidate's and the baseline's.
pub(crate) fn resources(
    samples: &[ResourceSample],
    limits: &[BTreeMap<Resource, f64>; 2],
    options: &Options,
) -> Vec<ResourceReport> {
    let mut series: BTreeMap<Resource, Vec<(f64, f64, f64)>> = BTreeMap::new();
    for sample in samples {
        for (resource, candidate) in &sample.candidate {
            if let Some(baseline) = sample.baseline.get(resource) {
                let seconds = sample.at_ns as f64 / 1e9;
                let of_one = series.entry(*resource).or_default();
                of_one.push((seconds, *candidate, *baseline));
            }
        }
    }
    let tests = series.len();
    let level = options.level / tests.max(1) as f64;
    series
        .into_iter()
        .map(|(resource, points)| {
            let limit = |twin: usize| limits[twin].get(&resource).copied();
            report(resource, &points, [limit(0), limit(1)], level, options)
        })
        .collect()
}

fn report(
    resource: Resource,
    points: &[(f64, f64, f64)],
    [candidate_limit, baseline_limit]: [Option<f64>; 2],
    level: f64,
    options: &Options,
) -> ResourceReport {
    let candidate = used(points.iter().map(|point| point.1), candidate_limit);
    let baseline = used(points.iter().map(|point| point.2), baseline_limit);
    let difference: Vec<(f64, f64)> = points
        .iter()
        .map(|(at, candidate, baseline)| (*at, candidate - baseline))
        .collect();
    let (course, trend) = match course(&difference, level) {
        None => (Course::TooShort, None),
        Some(Found::Level(trend)) => (Course::Level, Some(trend)),
        Some(Found::LevelsOff(trend)) => (Course::LevelsOff, Some(trend)),
        Some(Found::Grows(trend)) => {
            let least = options.resources.min_growth * baseline.median;
            let matters = trend.slope * SECONDS_OF_HOUR >= least.max(resource.least_growth());
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
    let ends = points.first().zip(points.last());
    ResourceReport {
        resource,
        unit: resource.unit().to_owned(),
        samples: points.len() as u64,
        seconds: ends.map_or(0.0, |(first, last)| last.0 - first.0),
        candidate,
        baseline,
        course,
        per_hour,
        hours_to_limit,
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
