//! What a run would do.

use std::fmt::Write as _;

use serde::Serialize;
use twintap_plan::{Plan, PlanSummary, WaitReason};

use super::file::RunFile;
use crate::fire::Target;

/// A plan that was not fired.
#[derive(Clone, Debug, Serialize)]
pub struct DryRun {
    /// The run's name.
    pub run: String,
    /// Where the candidate's requests would go.
    pub candidate: String,
    /// Where the baseline's requests would go.
    pub baseline: String,
    /// The plan in figures.
    pub summary: PlanSummary,
    /// The plan.
    pub plan: Plan,
}

impl DryRun {
    pub(crate) fn new(file: &RunFile, targets: &[Target; 2], plan: Plan) -> DryRun {
        let [candidate, baseline] = targets.each_ref().map(|target| target.address.to_string());
        DryRun {
            run: file.name.clone(),
            candidate,
            baseline,
            summary: plan.summary(),
            plan,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let summary = &self.summary;
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a string never fails.
            let _ = writeln!(text, "{name:<24}{value}");
        };
        line("run", self.run.clone());
        line("candidate", self.candidate.clone());
        line("baseline", self.baseline.clone());
        line("planned", summary.planned.to_string());
        line("fired", summary.fired.to_string());
        for (reason, count) in &summary.skipped {
            let word = crate::fire::outcome::skip_word(*reason);
            line(&format!("skipped {word}"), count.to_string());
        }
        for (leaf, count) in &summary.missing {
            line(&format!("  for lack of {leaf}"), count.to_string());
        }
        line("of entry flows", summary.entry.to_string());
        line("of internal flows", summary.internal.to_string());
        line(
            "sessions",
            summary.sessions.values().sum::<u64>().to_string(),
        );
        let before = summary.began_before_capture;
        line("  began before", before.to_string());
        line("bindings", summary.bindings.to_string());
        line("waits", summary.waits.values().sum::<u64>().to_string());
        for (reason, count) in &summary.waits {
            let what = match reason {
                WaitReason::Binding => "for values",
                WaitReason::Connection => "for the connection",
                WaitReason::ClientHad => "for what clients had",
                WaitReason::Resource => "for resources",
                WaitReason::Think => "for users who think",
            };
            line(&format!("  {what}"), count.to_string());
        }
        line("racing", summary.racing.to_string());
        line("speed", format!("{:.3} times the recorded", summary.speed));
        line("copies of each session", summary.copies.to_string());
        let seconds = summary.duration_ns as f64 / 1e9;
        line("duration", format!("{seconds:.3} s"));
        text
    }
}
