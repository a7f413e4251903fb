//! What a run would do.

use std::fmt::Write as _;

use serde::Serialize;
use twintap_plan::{Plan, PlanSummary, WaitReason};

use super::file::RunFile;
use super::targets::Addresses;
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
    /// Where the second baseline's would go, if the run has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_baseline: Option<String>,
    /// Where the requests of routes would go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<DryService>,
    /// What each route takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<DryRoute>,
    /// The plan in figures.
    pub summary: PlanSummary,
    /// The plan.
    pub plan: Plan,
}

/// A service of the twins beside that at their own addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DryService {
    /// Its name.
    pub name: String,
    /// Where the candidate has it.
    pub candidate: String,
    /// Where the baseline has it.
    pub baseline: String,
    /// Where the second baseline has it, if the run has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_baseline: Option<String>,
}

/// A route, and how much goes that way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DryRoute {
    /// What it asks of a request, and where it leads.
    pub route: String,
    /// Requests that it takes, those among them that are skipped.
    pub requests: u64,
}

impl DryRun {
    pub(crate) fn new(file: &RunFile, addresses: &Addresses, plan: Plan) -> DryRun {
        let text = |target: &Target| target.address.to_string();
        let texts = |both: &[Target; 2]| both.each_ref().map(text);
        let [candidate, baseline] = texts(&addresses.twins);
        let second = addresses.second_baseline.as_ref();
        let services = file.services().zip(&addresses.services).enumerate();
        let services = services.map(|(number, (name, both))| {
            let [candidate, baseline] = texts(both);
            let second_baseline = second.and_then(|second| second.services.get(number));
            DryService {
                name: name.to_owned(),
                candidate,
                baseline,
                second_baseline: second_baseline.map(text),
            }
        });
        let summary = plan.summary();
        let routes = file.settings.routes.iter().zip(1..);
        let routes = routes.map(|(route, number)| DryRoute {
            route: route.to_string(),
            requests: summary.routes.get(&number).copied().unwrap_or(0),
        });
        DryRun {
            run: file.name.clone(),
            candidate,
            baseline,
            second_baseline: second.map(|second| text(&second.own)),
            services: services.collect(),
            routes: routes.collect(),
            summary,
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
        if let Some(second) = &self.second_baseline {
            line("second baseline", second.clone());
        }
        for service in &self.services {
            let mut places = format!("{}, {}", service.candidate, service.baseline);
            if let Some(second) = &service.second_baseline {
                places = format!("{places}, {second}");
            }
            line(&format!("  {}", service.name), places);
        }
        line("planned", summary.planned.to_string());
        line("fired", summary.fired.to_string());
        for (reason, count) in &summary.skipped {
            let word = crate::fire::outcome::skip_word(*reason);
            line(&format!("skipped {word}"), count.to_string());
        }
        for (leaf, count) in &summary.missing {
            line(&format!("  for lack of {leaf}"), count.to_string());
        }
        for (number, DryRoute { route, requests }) in (1..).zip(&self.routes) {
            line(&format!("route {number}"), format!("{requests} ({route})"));
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
                WaitReason::Recorded => "for the recorded order",
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
