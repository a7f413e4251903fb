//! A plan in figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Identity, Plan, PlannedRequest, SkipReason, WaitReason};

/// A plan in figures: `planned` = `fired` + the sum of `skipped`, and
/// `planned` = `entry` + `internal`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// Requests of the plan.
    pub planned: u64,
    /// Requests that a run fires.
    pub fired: u64,
    /// Requests that it doesn't, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Requests skipped as unbound, by the leaf that nothing could bind.
    pub missing: BTreeMap<String, u64>,
    /// Requests of entry flows.
    pub entry: u64,
    /// Requests of internal flows; all are skipped as filtered.
    pub internal: u64,
    /// Requests that each route took, by its number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routes: BTreeMap<u16, u64>,
    /// Sessions, by what they were told apart by.
    pub sessions: BTreeMap<Identity, u64>,
    /// Sessions that began before the capture.
    pub began_before_capture: u64,
    /// Values that the twin's own answers replace.
    pub bindings: u64,
    /// Those of them whose producer is in another session.
    pub cross_session_bindings: u64,
    /// Requests whose order against another the recording leaves open.
    pub racing: u64,
    /// Waits by reason.
    pub waits: BTreeMap<WaitReason, u64>,
    /// Due time of the last request that is fired, in nanoseconds from T0; in a closed
    /// loop at twins that take no time.
    pub duration_ns: u64,
    /// How many times faster than recorded due times follow each other.
    pub speed: f64,
    /// How often each session is there.
    pub copies: u32,
}

impl Plan {
    /// Counts what the plan has.
    pub fn summary(&self) -> PlanSummary {
        let mut summary = PlanSummary {
            speed: self.speed,
            copies: 1,
            ..PlanSummary::default()
        };
        summary.add(0, &self.requests);
        for session in &self.sessions {
            *summary.sessions.entry(session.identity).or_default() += 1;
            summary.began_before_capture += u64::from(session.began_before_capture);
        }
        summary
    }
}

impl PlanSummary {
    /// Counts more requests, the first of which is at `first`.
    pub fn add(&mut self, first: u32, requests: &[PlannedRequest]) {
        let summary = self;
        summary.planned += requests.len() as u64;
        for request in requests {
            summary.copies = summary.copies.max(request.copy + 1);
            match request.skip {
                None => {
                    summary.fired += 1;
                    summary.duration_ns = summary.duration_ns.max(request.due_ns);
                }
                Some(reason) => *summary.skipped.entry(reason).or_default() += 1,
            }
            if let Some(leaf) = &request.missing {
                *summary.missing.entry(leaf.clone()).or_default() += 1;
            }
            if request.route > 0 {
                *summary.routes.entry(request.route).or_default() += 1;
            }
            if request.internal {
                summary.internal += 1;
            } else {
                summary.entry += 1;
            }
            summary.bindings += request.within.len() as u64;
            for binding in &request.bindings {
                summary.bindings += 1;
                let place = binding.producer.wrapping_sub(first) as usize;
                let is_other = requests
                    .get(place)
                    .is_some_and(|producer| producer.session != request.session);
                summary.cross_session_bindings += u64::from(is_other);
            }
            summary.racing += u64::from(!request.races.is_empty());
            for wait in &request.waits {
                *summary.waits.entry(wait.reason).or_default() += 1;
            }
        }
    }
}
