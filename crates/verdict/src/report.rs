//! What a run says: `report.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::business::Figure;
use crate::confirm::{Confirmation, ConfirmationReport};
use crate::errors::EndpointErrors;
use crate::evidence::Evidence;
use crate::facts::{CaptureSource, Correlation, PlanSummary, Quantiles, Target};
use crate::gate::{GateRule, Level};
use crate::kind::Kind;
use crate::latency::{EffectSize, LoadShift, QuantileShifts, TailTest};
use crate::options::Options;
use crate::resource::{ResourceReport, Slope};
use crate::scope::Component;
use crate::second::SecondBaselineReport;
use crate::sequential::SequentialReport;

/// The version of the report's layout; it changes when a key is removed or
/// means something else, not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

/// What a run says of the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing was found, and enough was seen.
    Pass,
    /// There is a finding.
    Fail,
    /// The run can't tell.
    Inconclusive,
}

impl Verdict {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
        }
    }
}

/// The report of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The run's name.
    pub run: String,
    /// The version of the tool.
    pub tool_version: String,
    /// Where the traffic came from.
    pub capture_source: CaptureSource,
    /// What the run says.
    pub verdict: Verdict,
    /// Why, a sentence each.
    pub reasons: Vec<String>,
    /// What the candidate would have broken: what fails the run first, then the most harmful.
    pub findings: Vec<Finding>,
    /// What one session alone showed, and did not show again when it was fired again at
    /// fresh twins: `N1`, `N2`, ... It fails no run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_reproduced: Vec<Finding>,
    /// How sessions with findings were fired again, where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<ConfirmationReport>,
    /// Differences that are not the candidate's doing, as far as can be told: races,
    /// and what follows where the run did not do the same to both twins.
    #[serde(default)]
    pub apart: Vec<Apart>,
    /// Differences (exchanges by place) that follow from others, by what these are:
    /// `finding`, or the word of an [`ApartCause`].
    #[serde(default)]
    pub consequences: BTreeMap<String, u64>,
    /// Equal over captured entry exchanges that could have been, 0 to 1.
    pub fidelity: f64,
    /// The fidelity in numbers, and by endpoint.
    pub fidelity_detail: FidelityReport,
    /// Where both baselines differ, where the run has a second one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_baseline: Option<SecondBaselineReport>,
    /// Latencies by endpoint.
    pub latency: Vec<EndpointLatency>,
    /// Failed requests by endpoint.
    #[serde(default)]
    pub errors: Vec<EndpointErrors>,
    /// How the candidate's rate of failed requests less the baseline's goes on: its slope, in
    /// an hour. Absent where the run is too short to tell.
    #[serde(default)]
    pub error_drift: Option<Slope>,
    /// What was watched from the start of the run, with tests that may be looked at any time.
    #[serde(default)]
    pub sequential: SequentialReport,
    /// Business figures, where the run has some.
    #[serde(default)]
    pub business: Vec<Figure>,
    /// What came of the rules of the gate.
    #[serde(default)]
    pub gate: Vec<GateRule>,
    /// What the twins' processes used, where they were looked at.
    #[serde(default)]
    pub resources: Vec<ResourceReport>,
    /// What of the twins' processes could not be looked at, and why, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources_unseen: Vec<String>,
    /// The three ledgers.
    pub ledgers: Ledgers,
    /// Known loss, by name.
    pub loss: BTreeMap<String, u64>,
    /// Microseconds from ready to the first byte written.
    pub release_error_us: Quantiles,
    /// Lateness of each twin's requests.
    pub timing: Timings,
    /// What correlation achieved.
    pub correlation: Correlation,
    /// What was seen, fired and compared.
    pub scope: Scope,
    /// Places whose differences say nothing.
    pub masked: Vec<MaskedPlace>,
    /// The twins.
    pub twins: Twins,
    /// The plan in numbers.
    pub plan: Option<PlanSummary>,
    /// When the run began, as RFC 3339.
    pub started: Option<String>,
    /// When it ended, as RFC 3339.
    pub ended: Option<String>,
    /// The hash of the scrubbing policy.
    pub policy: Option<String>,
    /// Whether the twins' state went through the same policy.
    pub twin_state_scrubbed: Option<bool>,
    /// Command lines that do it again.
    pub reproduce: Vec<String>,
    /// The rules that were judged by.
    pub options: Options,
}

/// A difference that survived noise cancellation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Its name in this report: `F1`, `F2`, ...
    pub id: String,
    /// Method and path template; `the process` or `the business` where it is of no endpoint.
    pub endpoint: String,
    /// What differs.
    pub kind: Kind,
    /// Where: `status`, `header.NAME`, `set-cookie.NAME`, its value
    /// `set-cookie.NAME=`, a JSON pointer with
    /// `*` for indices, `body`, `text after "WORD"`, `answer`, `errors`, `latency`,
    /// `latency.busy`, `latency.p99`, `latency.drift`, or what is used:
    /// `memory`, `heap`, `file_descriptors`, `threads`, `sockets`, `cpu_per_request`.
    pub location: String,
    /// Other places that differ in the very same exchanges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Also>,
    /// What the endpoint does, for people.
    pub claim: String,
    /// The same as a sentence with endpoint and counts.
    pub summary: String,
    /// Exchanges that show it.
    pub count: u64,
    /// Sessions that show it.
    pub sessions: u64,
    /// `count` over the exchanges of the endpoint that were compared.
    pub rate: f64,
    /// The exchanges of the endpoint that were compared.
    pub compared: u64,
    /// Why it counts.
    pub test: Test,
    /// For a rule without chance in it: whether it showed again at fresh twins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
    /// For `latency`, by how much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyShift>,
    /// Examples.
    pub evidence: Vec<Evidence>,
    /// Of `count`, those in exchanges that raced with a write.
    #[serde(default)]
    pub racing: u64,
    /// Differences that came after it, in the same sessions or in others that depend
    /// on these, and nowhere else first.
    pub consequences: Vec<Consequence>,
    /// Findings that look like the same fault elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<String>,
    /// What it does to the verdict.
    #[serde(default)]
    pub level: Level,
    /// The rule of the gate that says so, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl Finding {
    /// One that nothing follows from and nothing is known of beyond this: no counts, no
    /// summary, no examples.
    pub(crate) fn bare(
        endpoint: impl Into<String>,
        kind: Kind,
        location: impl Into<String>,
        claim: String,
        test: Test,
    ) -> Finding {
        Finding {
            id: String::new(),
            endpoint: endpoint.into(),
            kind,
            location: location.into(),
            also: Vec::new(),
            claim,
            summary: String::new(),
            count: 0,
            sessions: 0,
            rate: 1.0,
            compared: 0,
            test,
            confirmation: None,
            latency: None,
            evidence: Vec::new(),
            racing: 0,
            consequences: Vec::new(),
            related: Vec::new(),
            level: Level::Fail,
            rule: None,
        }
    }
}

/// A further place of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Also {
    /// What differs.
    pub kind: Kind,
    /// Where.
    pub location: String,
}

/// Why a difference counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Test {
    /// `exact`, `novel_status`, `permutation`, `exceedance`, `mcnemar`, `signed_rank`,
    /// `tail_permutation` or `theil_sen`.
    pub name: String,
    /// The level of significance; none for a rule without chance in it.
    pub level: Option<f64>,
    /// The chance of as much under the null hypothesis.
    pub p_value: Option<f64>,
    /// What the sample is made of: `exchange`, `session`, `request`, `look` or `stretch`.
    pub unit: String,
    /// How many of them.
    pub sample: u64,
    /// All of it in a sentence.
    pub statement: String,
}

/// By how much a candidate is slower.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyShift {
    /// The median of the paired differences, in milliseconds.
    pub median_shift_ms: f64,
    /// The same as a share of the baseline's median.
    pub median_shift_ratio: f64,
    /// The baseline's median in milliseconds.
    pub baseline_p50_ms: f64,
    /// The candidate's median in milliseconds.
    pub candidate_p50_ms: f64,
}

/// Differences that came after a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consequence {
    /// Method and path template.
    pub endpoint: String,
    /// What differs.
    pub kind: Kind,
    /// Where.
    pub location: String,
    /// Exchanges.
    pub count: u64,
    /// Sessions.
    pub sessions: u64,
    /// Of these, those that do not show themselves what it follows from.
    #[serde(default)]
    pub elsewhere: u64,
    /// One of the exchanges.
    pub example: Option<String>,
    /// The position in the plan from which that one follows.
    #[serde(default)]
    pub cause_position: Option<u32>,
    /// The exchange there.
    #[serde(default)]
    pub cause: Option<String>,
}

/// Why differences are kept apart from findings.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ApartCause {
    /// The requests raced with writes of what they touch, and what differs is no more
    /// than races make differ.
    Race,
    /// The baseline gave no answer, or could not be asked.
    Baseline,
    /// A limit of the run refused to fire the request.
    Limit,
    /// A request that changes state was fired before what it waits for was there.
    Late,
    /// A twin had not given a value that the request uses, so that it was fired with
    /// the recorded one.
    Unbound,
}

impl ApartCause {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            ApartCause::Race => "race",
            ApartCause::Baseline => "baseline",
            ApartCause::Limit => "limit",
            ApartCause::Late => "late",
            ApartCause::Unbound => "unbound",
        }
    }
}

/// Differences of one kind at one place that are kept apart from findings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Apart {
    /// Its name in this report: `A1`, `A2`, ...
    pub id: String,
    /// Why it is kept apart.
    pub cause: ApartCause,
    /// Method and path template.
    pub endpoint: String,
    /// What differs, where something does: a race.
    pub kind: Option<Kind>,
    /// Where, as in [`Finding::location`].
    pub location: String,
    /// Exchanges.
    pub count: u64,
    /// Sessions.
    pub sessions: u64,
    /// Examples; those of races name the writes that they raced with.
    pub evidence: Vec<Evidence>,
    /// Differences that follow from it, and come nowhere else first.
    pub consequences: Vec<Consequence>,
}

/// How far the baseline answers as production did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FidelityReport {
    /// Exchanges that could have been equal: captured, neither filtered nor incomplete.
    pub exchanges: u64,
    /// Those that were.
    pub equal: u64,
    /// The others, by cause.
    pub unequal: BTreeMap<String, u64>,
    /// By endpoint.
    pub endpoints: Vec<EndpointFidelity>,
}

/// The fidelity of one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointFidelity {
    /// Method and path template.
    pub endpoint: String,
    /// Exchanges that could have been equal.
    pub exchanges: u64,
    /// Those that were.
    pub equal: u64,
    /// `equal` over `exchanges`.
    pub fidelity: f64,
    /// The others, by cause.
    pub unequal: BTreeMap<String, u64>,
    /// Places where baseline and production differ, most often first.
    pub differs_at: Vec<NoisyPlace>,
}

/// A place where baseline and production differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoisyPlace {
    /// Where.
    pub location: String,
    /// Exchanges.
    pub count: u64,
    /// Whether it is always the same difference, and so no noise.
    pub constant: bool,
}

/// Latencies of one endpoint, from ready to the last byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointLatency {
    /// Method and path template.
    pub endpoint: String,
    /// The baseline's, in milliseconds.
    pub baseline_ms: Quantiles,
    /// The candidate's, in milliseconds.
    pub candidate_ms: Quantiles,
    /// The baseline's at 0, 5, ... 100 %, in milliseconds.
    pub baseline_curve_ms: Vec<f64>,
    /// The candidate's, likewise.
    pub candidate_curve_ms: Vec<f64>,
    /// The median of the paired differences in milliseconds, where there were enough.
    pub median_shift_ms: Option<f64>,
    /// The chance of such a shift by chance, before correction for the number of endpoints.
    pub p_value: Option<f64>,
    /// The differences of quantiles, with intervals.
    #[serde(default)]
    pub quantile_shifts: Option<QuantileShifts>,
    /// How far apart the twins' latencies lie, without a unit.
    #[serde(default)]
    pub effect: Option<EffectSize>,
    /// Whether slow answers are more often the candidate's.
    #[serde(default)]
    pub tail: Option<TailTest>,
    /// The shift by load, where that varies.
    #[serde(default)]
    pub by_load: Option<LoadShift>,
    /// How candidate minus baseline goes on: milliseconds an hour. Absent where there is too
    /// little to tell.
    #[serde(default)]
    pub drift_ms_per_hour: Option<Slope>,
}

/// The three ledgers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ledgers {
    /// In the kernel.
    pub kernel: KernelReport,
    /// From delivery to the archive.
    pub store: StoreReport,
    /// Of each twin.
    pub runs: RunLedgers,
}

/// seen = delivered + dropped + pending.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelReport {
    /// TCP payload bytes of named flows.
    pub seen_bytes: u64,
    /// Bytes that reached the daemon.
    pub delivered_bytes: u64,
    /// Bytes that did not.
    pub dropped_bytes: u64,
    /// The same by cause.
    pub dropped_by_cause: BTreeMap<String, u64>,
    /// Bytes on their way.
    pub pending_bytes: u64,
    /// Bytes that nothing accounts for; 0 when the ledger closes.
    pub unexplained_bytes: i64,
}

/// delivered = message + framing + duplicate + opaque + discarded + pending in
/// bytes, rebuilt = stored + discarded + pending in exchanges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoreReport {
    /// TCP payload bytes that entered.
    pub delivered_bytes: u64,
    /// Start lines, header fields and body octets.
    pub message_bytes: u64,
    /// Chunk sizes and line ends around chunks and messages.
    pub framing_bytes: u64,
    /// Bytes seen again.
    pub duplicate_bytes: u64,
    /// Bytes of flows that nobody claimed.
    pub opaque_bytes: u64,
    /// Bytes given up.
    pub discarded_bytes: u64,
    /// The same by cause.
    pub discarded_bytes_by_cause: BTreeMap<String, u64>,
    /// Bytes held: out of order, or undecided.
    pub pending_bytes: u64,
    /// Exchanges that were finished or are still built.
    pub rebuilt: u64,
    /// Exchanges in the archive.
    pub stored: u64,
    /// Exchanges given up.
    pub discarded: u64,
    /// The same by cause.
    pub discarded_by_cause: BTreeMap<String, u64>,
    /// Exchanges unfinished or not yet durable.
    pub pending: u64,
    /// Bytes that nothing accounts for; 0 when the ledger closes.
    pub unexplained_bytes: i64,
    /// Exchanges that nothing accounts for; 0 when the ledger closes.
    pub unexplained_exchanges: i64,
}

/// The run ledger of each twin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunLedgers {
    /// The candidate's.
    pub candidate: RunLedger,
    /// The baseline's.
    pub baseline: RunLedger,
    /// The second baseline's, where the run has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_baseline: Option<RunLedger>,
}

/// planned = answered + errored + refused + skipped, in requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunLedger {
    /// Requests of the plan; where the run did not say how many, those observed.
    pub planned: u64,
    /// Answered.
    pub answered: u64,
    /// Not answered.
    pub errored: u64,
    /// The same by cause.
    pub errored_by_cause: BTreeMap<String, u64>,
    /// Not fired, for a limit of the run.
    pub refused: u64,
    /// The same by cause.
    pub refused_by_cause: BTreeMap<String, u64>,
    /// Not fired: unbound, incomplete or filtered.
    pub skipped: u64,
    /// The same by cause.
    pub skipped_by_cause: BTreeMap<String, u64>,
    /// Requests that nothing accounts for; 0 when the ledger closes.
    pub unexplained: i64,
}

/// Lateness of requests, apart from latency.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timings {
    /// The candidate's.
    pub candidate: Lateness,
    /// The baseline's.
    pub baseline: Lateness,
}

/// Lateness of one twin's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lateness {
    /// Microseconds from due to ready: what dependencies cost.
    pub ready_after_due_us: Quantiles,
    /// Microseconds from ready to the first byte written: what the engine costs.
    pub release_after_ready_us: Quantiles,
    /// Requests whose wait for a dependency ran out.
    pub wait_expired: u64,
}

/// What was seen, fired and compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scope {
    /// Sessions.
    pub sessions: u64,
    /// Exchanges that both twins answered and that were compared.
    pub compared: u64,
    /// Exchanges that production and baseline answered.
    pub witnessed: u64,
    /// Planned requests of the run's warm-up, which are not judged.
    #[serde(default)]
    pub warm_up: u64,
    /// By endpoint.
    pub endpoints: Vec<EndpointScope>,
    /// How much of the captured exchanges was compared.
    #[serde(default)]
    pub traffic: Coverage,
    /// How many of the sessions have an exchange that was compared.
    #[serde(default)]
    pub session_coverage: Coverage,
    /// How many of the exchanges that production answered with a status from 400 on were
    /// compared.
    #[serde(default)]
    pub error_paths: Coverage,
    /// What the twins are made of, where somebody said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
}

/// How much of something was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// How many were captured.
    pub seen: u64,
    /// How many of these were compared.
    pub compared: u64,
    /// `compared` over `seen`; 0 where nothing was captured.
    pub share: f64,
}

impl Coverage {
    pub(crate) fn of(seen: u64, compared: u64) -> Coverage {
        Coverage {
            seen,
            compared,
            share: match seen {
                0 => 0.0,
                seen => compared as f64 / seen as f64,
            },
        }
    }
}

/// What was seen and compared of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointScope {
    /// Method and path template.
    pub endpoint: String,
    /// Planned exchanges.
    pub seen: u64,
    /// Compared exchanges.
    pub compared: u64,
    /// Left out because a twin's wait for a value ran out.
    pub late: u64,
    /// Left out because a twin had not given a value that it uses, or that what it
    /// uses was made with.
    #[serde(default)]
    pub unbound: u64,
    /// Fired at neither twin, by cause.
    pub skipped: BTreeMap<String, u64>,
    /// Of `seen`, those that production answered with a status from 400 on.
    #[serde(default)]
    pub errors_seen: u64,
    /// Of these, those that were compared.
    #[serde(default)]
    pub errors_compared: u64,
}

/// A place whose differences say nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MaskedPlace {
    /// Method and path template.
    pub endpoint: String,
    /// Where.
    pub location: String,
    /// `generated`: made up anew each time, and alike. `volatile`: never compared by value.
    pub reason: String,
    /// Exchanges in which the baseline differs from production so.
    pub baseline_vs_production: u64,
    /// Exchanges in which the candidate differs from the baseline so.
    pub candidate_vs_baseline: u64,
}

/// The twins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Twins {
    /// The candidate.
    pub candidate: Target,
    /// The baseline.
    pub baseline: Target,
    /// The second baseline, where the run has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_baseline: Option<Target>,
}
