//! What the twins' processes use, and whether the candidate uses more and more.

mod cost;
mod finding;
mod series;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use finding::findings;
pub(crate) use series::resources;

/// What is measured of a twin's processes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Memory that is no cache of files, in bytes.
    Memory,
    /// Memory that is in use, as the process's own allocator or collector tells, in bytes.
    Heap,
    /// Open file descriptors.
    FileDescriptors,
    /// Threads.
    Threads,
    /// Open sockets: its connections, and what it listens at.
    Sockets,
    /// Processor time for a request that is answered, in milliseconds.
    CpuPerRequest,
}

impl Resource {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::Heap => "heap",
            Resource::FileDescriptors => "file_descriptors",
            Resource::Threads => "threads",
            Resource::Sockets => "sockets",
            Resource::CpuPerRequest => "cpu_per_request",
        }
    }

    /// What it is counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Resource::Memory | Resource::Heap => "bytes",
            Resource::FileDescriptors | Resource::Threads | Resource::Sockets => "1",
            Resource::CpuPerRequest => "ms",
        }
    }

    /// What there is more of.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::Heap => "memory in use",
            Resource::FileDescriptors => "file descriptors",
            Resource::Threads => "threads",
            Resource::Sockets => "sockets",
            Resource::CpuPerRequest => "processor time a request",
        }
    }

    /// A number of them, for people.
    pub(crate) fn amount(self, value: f64) -> String {
        const MIB: f64 = 1024.0 * 1024.0;
        match self {
            Resource::Memory | Resource::Heap if value.abs() >= 1024.0 * MIB => {
                format!("{:.1} GiB", value / 1024.0 / MIB)
            }
            Resource::Memory | Resource::Heap => format!("{:.1} MiB", value / MIB),
            Resource::FileDescriptors | Resource::Threads | Resource::Sockets => {
                format!("{value:.0}")
            }
            Resource::CpuPerRequest => format!("{value:.2} ms"),
        }
    }

    /// A growth of fewer is none, be it over the run or in an hour, whatever there was to
    /// begin with.
    fn least_growth(self) -> f64 {
        match self {
            Resource::Memory | Resource::Heap => 1024.0 * 1024.0,
            Resource::FileDescriptors | Resource::Threads | Resource::Sockets => 10.0,
            Resource::CpuPerRequest => 0.2,
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
    /// What the candidate's have done by then, where it is known.
    #[serde(default)]
    pub candidate_work: Option<Work>,
    /// What the baseline's have done, likewise.
    #[serde(default)]
    pub baseline_work: Option<Work>,
}

/// What a twin's processes have done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Seconds of processor time, of the user's side and the kernel's.
    pub cpu_seconds: f64,
    /// Requests of the run that were answered; a fraction where samples are means.
    pub answered: f64,
}

/// What was seen of the twins' processes in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceFacts {
    /// What they used, by time.
    pub samples: Vec<ResourceSample>,
    /// What the candidate's and the baseline's must stay below, as far as it is known.
    pub limits: [BTreeMap<Resource, f64>; 2],
    /// What could not be looked at, and why, a sentence each.
    pub unseen: Vec<String>,
    /// Of a run without end, the number of the period at whose end this is judged, from 1:
    /// each has a share of the level of significance. 0 for a run that has an end.
    pub period: u64,
}

/// Both twins' use of a resource over a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceReport {
    /// What.
    pub resource: Resource,
    /// What it is counted in: `bytes`, `ms`, or `1`.
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
    /// For processor time a request, by how much the candidate's lies above the baseline's,
    /// where there was enough to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<LevelShift>,
}

/// One twin's use of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Slope {
    /// The slope.
    pub slope: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// By how much one level lies above another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LevelShift {
    /// The median of candidate minus baseline over equal stretches of the run.
    pub median: f64,
    /// The same as a share of the baseline's median.
    pub ratio: f64,
    /// The chance of such a shift by chance.
    pub p_value: f64,
    /// Whether it counts.
    pub is_higher: bool,
}

/// How a series goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

impl Course {
    /// What it does, for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Course::TooShort => "too short to tell",
            Course::Level => "level",
            Course::LevelsOff => "levels off",
            Course::Grows => "grows",
        }
    }
}
