//! The gate: what a team lets through, beyond what differs at all.

mod amount;
mod budgets;
mod coverage;
mod hold;
mod levels;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use amount::{Amount, Rise, Share};
pub(crate) use hold::hold;

use crate::kind::Kind;
use crate::pattern::Pattern;
use crate::resource::Resource;

/// What a team lets through; as it comes, everything that differs fails.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate {
    /// What kinds of finding do at which endpoints; at each place of a finding the first that
    /// takes it decides, and of these the worst.
    pub levels: Vec<LevelRule>,
    /// How much figures may change.
    pub budgets: Budgets,
    /// What must have been compared.
    pub coverage: CoverageRules,
    /// How good a twin the baseline must be.
    pub fidelity: FidelityRules,
}

/// What a finding does to the verdict, the worst first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The run fails.
    #[default]
    Fail,
    /// It is told, and fails nothing.
    Warn,
    /// It is let pass, and listed all the same.
    Pass,
}

impl Level {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            Level::Fail => "fail",
            Level::Warn => "warn",
            Level::Pass => "pass",
        }
    }
}

/// A level for findings.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelRule {
    /// What reasons call it.
    #[serde(default)]
    pub name: Option<String>,
    /// At which endpoints; at all where nothing is said.
    #[serde(default)]
    pub endpoint: Option<Pattern>,
    /// Findings of which kinds; of all where nothing is said.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// At which locations, as patterns; at all where nothing is said.
    #[serde(default)]
    pub locations: Vec<Pattern>,
    /// What they do.
    pub level: Level,
}

/// How much figures may change.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// By how much latencies may rise.
    pub latency: Vec<LatencyBudget>,
    /// How many requests may fail.
    pub error_rate: Vec<ErrorBudget>,
    /// By how much the use of a resource may grow.
    pub growth: BTreeMap<Resource, GrowthBudget>,
    /// By how much business figures may change, by their names.
    pub metrics: BTreeMap<String, MetricBudget>,
}

/// By how much latencies may rise.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatencyBudget {
    /// What reasons call it.
    pub name: Option<String>,
    /// Of which endpoints; of each where nothing is said.
    pub endpoint: Option<Pattern>,
    /// The median.
    pub p50: Option<Rise>,
    /// What nine of ten requests stay below.
    pub p90: Option<Rise>,
    /// What 99 of 100 stay below.
    pub p99: Option<Rise>,
}

/// How many requests may fail: no answer, or a status from 500 on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorBudget {
    /// What reasons call it.
    pub name: Option<String>,
    /// Of which endpoints; of each where nothing is said.
    pub endpoint: Option<Pattern>,
    /// The candidate's share at most.
    pub max: Option<Share>,
    /// By how much the candidate's share may be above the baseline's.
    pub max_rise: Option<Share>,
}

/// By how much the candidate's use of a resource may grow against the baseline's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrowthBudget {
    /// What reasons call it.
    pub name: Option<String>,
    /// In an hour, in the unit of the resource.
    pub max_per_hour: Option<f64>,
    /// Hours until the limit is met, at least.
    pub min_hours_to_limit: Option<f64>,
}

/// By how much a business figure may change.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricBudget {
    /// What reasons call it.
    pub name: Option<String>,
    /// Down.
    pub max_drop: Option<Amount>,
    /// Up.
    pub max_rise: Option<Amount>,
}

/// What must have been compared, for a run to say anything.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoverageRules {
    /// Endpoints, so often each.
    pub endpoints: Vec<EndpointCoverage>,
    /// Of the exchanges that were captured.
    pub traffic: Option<Share>,
    /// Of the sessions, those with an exchange that was compared.
    pub sessions: Option<Share>,
    /// Of the exchanges that production answered with a status from 400 on.
    pub error_paths: Option<Share>,
}

/// How often endpoints must have been compared.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointCoverage {
    /// What reasons call it.
    #[serde(default)]
    pub name: Option<String>,
    /// Which; at least one must be there.
    pub endpoint: Pattern,
    /// Exchanges of each.
    pub compared: u64,
}

/// How often the baseline must answer as production did.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FidelityRules {
    /// Over the whole run, in place of [`Options::fidelity_floor`](crate::Options).
    pub floor: Option<Share>,
    /// At endpoints.
    pub endpoints: Vec<EndpointFloor>,
}

/// How often the baseline must answer as production did at endpoints.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointFloor {
    /// What reasons call it.
    #[serde(default)]
    pub name: Option<String>,
    /// Which; at least one must be there.
    pub endpoint: Pattern,
    /// The share of exchanges, at each of them.
    pub floor: Share,
}

/// What a rule of the gate came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateRule {
    /// What the gate calls it, else what it is about.
    pub name: String,
    /// What came of it.
    pub outcome: RuleOutcome,
    /// In a sentence.
    pub statement: String,
}

/// What came of a rule.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// It holds, and changes nothing.
    Held,
    /// It changed the level of findings.
    Applied,
    /// It does not hold: the run fails.
    Failed,
    /// It does not hold, or can't be told: the run says nothing of the candidate.
    Doubted,
}

impl RuleOutcome {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            RuleOutcome::Held => "held",
            RuleOutcome::Applied => "applied",
            RuleOutcome::Failed => "failed",
            RuleOutcome::Doubted => "doubted",
        }
    }
}
