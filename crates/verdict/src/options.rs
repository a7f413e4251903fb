//! What decides a verdict, and can be set.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointPattern;
use crate::pattern::Pattern;

/// The rules of judgement; the defaults are what ships.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Below this fidelity (0 to 1) a run says nothing about the candidate.
    pub fidelity_floor: f64,
    /// Likewise where, at one endpoint of [`Self::min_exchanges`] and more, the baseline answers
    /// with production's status in a smaller share (0 to 1) than this, unless the gate has a
    /// floor for that endpoint.
    pub same_status_floor: f64,
    /// With fewer exchanges answered by both twins a run says nothing.
    pub min_exchanges: u64,
    /// Level of significance of each family of tests, after correction for
    /// their number (Benjamini and Hochberg, 1995).
    pub level: f64,
    /// At a noisy place, the candidate must differ this much more often than
    /// noise does, as a share of the sessions that show either.
    pub min_rate_difference: f64,
    /// Ends a run, as failed, as soon as what was watched from its start is evidence enough: with
    /// a chance of a false alarm of at most `level`, however long the run is.
    pub stop_early: bool,
    /// When a candidate is slower.
    pub latency: LatencyOptions,
    /// When a candidate uses more and more.
    pub resources: ResourceOptions,
    /// Header fields that are not compared at all, in lower case: what frames a
    /// message on one connection, and what the body decides.
    pub ignored_headers: Vec<String>,
    /// Header fields whose values are not compared, in lower case; that they
    /// are there still counts. In all four lists a `*` at the end stands for any rest.
    pub volatile_headers: Vec<String>,
    /// Further header fields that are not compared at all.
    pub extra_ignored_headers: Vec<String>,
    /// Further header fields whose values are not compared.
    pub extra_volatile_headers: Vec<String>,
    /// How arrays are compared whose place a pattern takes: `/items` at any endpoint, or
    /// `GET /products/{id} /items/*/tags`. Of several patterns the first in their order as texts
    /// counts.
    pub arrays: BTreeMap<Pattern, ArrayMatch>,
    /// What requests are called in place of what is inferred; the first that takes one counts.
    pub endpoints: Vec<EndpointPattern>,
    /// Examples kept for each finding.
    pub examples: usize,
    /// Distinct places (endpoint and location) told apart; what comes after is
    /// counted under its endpoint alone.
    pub max_places: usize,
    /// Bytes of observations held to put them back into the order of the plan.
    pub reorder_bytes: usize,
}

/// When a candidate counts as slower than the baseline; all of it must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LatencyOptions {
    /// Requests of an endpoint that both twins answered.
    pub min_samples: usize,
    /// Median shift in milliseconds.
    pub min_shift_ms: f64,
    /// Median shift as a share of the baseline's median.
    pub min_shift_ratio: f64,
    /// With fewer sessions the requests themselves are the sample, and nothing is said of
    /// slow answers that are rare.
    pub min_sessions: usize,
    /// Shift of p99 in milliseconds, where the median does not show it.
    pub min_tail_shift_ms: f64,
    /// Shift of p99 as a share of the baseline's p99.
    pub min_tail_shift_ratio: f64,
}

impl LatencyOptions {
    /// The median shift that matters, at a baseline with this median.
    pub(crate) fn needed_ms(&self, baseline_ms: f64) -> f64 {
        self.min_shift_ms.max(self.min_shift_ratio * baseline_ms)
    }
}

/// When a candidate counts as using more and more of something, or more processor time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceOptions {
    /// Growth in an hour, against the baseline's, as a share of what the baseline uses.
    pub min_growth: f64,
    /// Processor time a request above the baseline's, as a share of that.
    pub min_cpu_shift: f64,
}

impl Default for ResourceOptions {
    fn default() -> Self {
        Self {
            min_growth: 0.05,
            min_cpu_shift: 0.2,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            fidelity_floor: 0.9,
            same_status_floor: 0.5,
            min_exchanges: 10,
            level: 0.01,
            min_rate_difference: 0.05,
            stop_early: false,
            latency: LatencyOptions::default(),
            resources: ResourceOptions::default(),
            ignored_headers: owned(IGNORED_HEADERS),
            volatile_headers: owned(VOLATILE_HEADERS),
            extra_ignored_headers: Vec::new(),
            extra_volatile_headers: Vec::new(),
            arrays: BTreeMap::new(),
            endpoints: Vec::new(),
            examples: 3,
            max_places: 4096,
            reorder_bytes: 64 << 20,
        }
    }
}

impl Default for LatencyOptions {
    fn default() -> Self {
        Self {
            min_samples: 20,
            min_shift_ms: 5.0,
            min_shift_ratio: 0.2,
            min_sessions: 10,
            min_tail_shift_ms: 20.0,
            min_tail_shift_ratio: 0.5,
        }
    }
}

impl Options {
    pub(crate) fn ignores_header(&self, name: &str) -> bool {
        is_listed(&self.ignored_headers, name) || is_listed(&self.extra_ignored_headers, name)
    }

    pub(crate) fn masks_header(&self, name: &str) -> bool {
        is_listed(&self.volatile_headers, name) || is_listed(&self.extra_volatile_headers, name)
    }

    /// How the array at a place of an endpoint is compared, where that is said.
    pub(crate) fn array_match(&self, endpoint: &str, place: &str) -> Option<ArrayMatch> {
        let mut arrays = self.arrays.iter();
        let (_, how) = arrays.find(|(pattern, _)| pattern.takes_place(endpoint, place))?;
        Some(*how)
    }
}

fn is_listed(list: &[String], name: &str) -> bool {
    let takes = |listed: &String| match listed.strip_suffix('*') {
        Some(beginning) => name
            .get(..beginning.len())
            .is_some_and(|begins| begins.eq_ignore_ascii_case(beginning)),
        None => name.eq_ignore_ascii_case(listed),
    };
    list.iter().any(takes)
}

/// How an array is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArrayMatch {
    /// By what is in it: its order says nothing.
    Set,
    /// Each element with that at the same index.
    Sequence,
}

/// Hop-by-hop fields (RFC 9110, section 7.6.1) and framing: a connection's, not the service's.
const IGNORED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
];

/// Fields that tell the time, name this very request, or restate the body.
const VOLATILE_HEADERS: &[&str] = &[
    "age",
    "cf-ray",
    "content-digest",
    "content-md5",
    "date",
    "digest",
    "etag",
    "expires",
    "last-modified",
    "repr-digest",
    "request-id",
    "sec-websocket-accept",
    "server-timing",
    "traceparent",
    "tracestate",
    "x-amzn-trace-id",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-correlation-id",
    "x-envoy-upstream-service-time",
    "x-request-id",
    "x-response-time",
    "x-runtime",
    "x-trace-id",
];

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
