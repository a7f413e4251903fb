//! What a run knows of itself, beside its observations.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use twintap_stream::{StoreLedger, Timestamp};

use crate::resource::ResourceFacts;
use crate::sequential::SequentialReport;

/// Where the traffic came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptureSource {
    /// The agent's kernel programs.
    #[default]
    Ebpf,
    /// A capture file.
    Pcap,
}

impl CaptureSource {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            CaptureSource::Ebpf => "ebpf",
            CaptureSource::Pcap => "pcap",
        }
    }
}

/// The kernel ledger of a capture: seen = delivered + dropped + pending, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelLedger {
    /// TCP payload bytes of named flows.
    pub seen_bytes: u64,
    /// Bytes that reached the daemon.
    pub delivered_bytes: u64,
    /// Bytes that did not, by cause.
    pub dropped_bytes: BTreeMap<String, u64>,
    /// Bytes on their way: in a ring, or held by an agent.
    pub pending_bytes: u64,
}

impl KernelLedger {
    /// seen minus everything that explains it: 0 when the ledger closes.
    pub fn bytes_unexplained(&self) -> i128 {
        let dropped: u128 = self.dropped_bytes.values().copied().map(u128::from).sum();
        let explained = u128::from(self.delivered_bytes) + u128::from(self.pending_bytes) + dropped;
        i128::from(self.seen_bytes) - explained as i128
    }
}

/// A distribution in few numbers; the unit is in the name of what holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Quantiles {
    /// How many values.
    pub count: u64,
    /// The median.
    pub p50: f64,
    /// Nine of ten are not above it.
    pub p90: f64,
    /// 99 of 100 are not above it.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// How many values of requests could be replaced by the twins' own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Correlation {
    /// Values that an earlier response of the plan produces.
    pub bound: u64,
    /// Values that look produced, but whose producer is not in the capture.
    pub unbound: u64,
    /// More counts, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, u64>,
}

/// A twin as the run file names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: String,
}

/// The plan in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PlanSummary {
    /// Requests in the plan, those to be skipped among them.
    pub requests: u64,
    /// Sessions.
    pub sessions: u64,
    /// Sessions that began before the capture.
    pub sessions_began_before_capture: u64,
    /// Nanoseconds from the first due time to the last.
    pub duration_ns: u64,
    /// More counts, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, u64>,
}

/// Everything in a report that the observations do not say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFacts {
    /// The run's name.
    pub run: String,
    /// The version of the tool.
    pub tool_version: String,
    /// Where the traffic came from.
    pub capture_source: CaptureSource,
    /// The kernel ledger.
    pub kernel: KernelLedger,
    /// The store ledger.
    pub store: StoreLedger,
    /// Known loss in segments, exchanges and the like, by name.
    pub loss: BTreeMap<String, u64>,
    /// Microseconds from ready to the first byte written, where the engine
    /// measured it itself; else it is computed from the observations.
    pub release_error_us: Option<Quantiles>,
    /// What correlation achieved.
    pub correlation: Correlation,
    /// The baseline twin.
    pub baseline: Target,
    /// The candidate twin.
    pub candidate: Target,
    /// The second baseline, where the run has one.
    pub second_baseline: Option<Target>,
    /// The plan in numbers.
    pub plan: Option<PlanSummary>,
    /// How many requests were planned, where that is known without a plan; without both the
    /// run ledger is held against nothing.
    pub planned: Option<u64>,
    /// When the run began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The hash of the scrubbing policy.
    pub policy: Option<String>,
    /// Whether the twins' state went through the same policy.
    pub twin_state_scrubbed: Option<bool>,
    /// Further reasons for which the run says nothing about the candidate,
    /// such as a twin that was never reached.
    pub inconclusive: Vec<String>,
    /// Command lines that do it again.
    pub reproduce: Vec<String>,
    /// What a run with several periods was watched for from its start on, if it has them.
    pub sequential: Option<SequentialReport>,
    /// What was seen of the twins' processes.
    pub resources: ResourceFacts,
}
