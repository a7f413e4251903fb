//! What the report says of a run beside its observations.

use std::collections::BTreeMap;

use twintap_archive::Checkpoint;
use twintap_plan::{PlanSummary, WaitReason};
use twintap_scrub::Scrubber;
use twintap_stream::Timestamp;
use twintap_verdict::{
    CaptureSource, Correlation, PlanSummary as PlanFacts, Quantiles, RunFacts, Target,
};

use super::compare::Lacks;
use super::file::{RunFile, TargetSettings};
use crate::fire::{FireSummary, Spread, TwinSummary};

/// What a run was made from.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// What was committed with the archive last.
    pub checkpoint: Option<&'a Checkpoint>,
    /// With the archive's policy and key.
    pub scrubber: &'a Scrubber,
    /// Known loss in reading the archive, by name.
    pub loss: &'a BTreeMap<String, u64>,
    /// The plan in figures.
    pub plan: &'a PlanSummary,
}

/// The facts of a run that was fired.
pub fn of_run(
    file: &RunFile,
    origin: Origin<'_>,
    fired: &FireSummary,
    lacks: Lacks,
    (started, ended): (Timestamp, Timestamp),
) -> RunFacts {
    let plan = origin.plan;
    let targets = &file.settings.targets;
    let mut facts = RunFacts {
        run: file.name.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        loss: origin.loss.clone(),
        release_error_us: Some(quantiles(&fired.release_error)),
        correlation: correlation(plan, fired),
        baseline: target(&targets.baseline),
        candidate: target(&targets.candidate),
        second_baseline: targets.second_baseline.as_ref().map(target),
        plan: Some(plan_facts(plan)),
        started: Some(started),
        ended: Some(ended),
        policy: Some(origin.scrubber.policy_hash().0.clone()),
        twin_state_scrubbed: file.settings.state.scrubbed,
        inconclusive: doubts(file, fired, lacks.unreadable),
        reproduce: vec![file.reproduce.clone()],
        ..RunFacts::default()
    };
    if let Some(checkpoint) = origin.checkpoint {
        add_captures(&mut facts, checkpoint);
    }
    for (name, count) in [
        ("archive_exchanges_unreadable", lacks.unreadable),
        ("answers_not_held", lacks.held),
    ] {
        if count > 0 {
            facts.loss.insert(name.to_owned(), count);
        }
    }
    if let Some(second) = &fired.second_baseline {
        let name = "second_baseline_fired_unbound".to_owned();
        facts.correlation.other.insert(name, second.fired_unbound);
    }
    let second = fired.second_baseline.iter();
    for (name, twin) in [
        ("candidate_messages_not_kept", &fired.candidate),
        ("baseline_messages_not_kept", &fired.baseline),
    ]
    .into_iter()
    .chain(second.map(|second| ("second_baseline_messages_not_kept", second)))
    {
        if twin.messages_not_kept > 0 {
            facts.loss.insert(name.to_owned(), twin.messages_not_kept);
        }
    }
    facts
}

fn target(settings: &TargetSettings) -> Target {
    let address = settings.address.to_string();
    Target {
        name: settings.name.clone().unwrap_or_else(|| address.clone()),
        address,
    }
}

fn quantiles(spread: &Spread) -> Quantiles {
    Quantiles {
        count: spread.count,
        p50: spread.p50_us,
        p90: spread.p90_us,
        p99: spread.p99_us,
        max: spread.max_us,
    }
}

fn correlation(plan: &PlanSummary, fired: &FireSummary) -> Correlation {
    Correlation {
        bound: plan.bindings,
        unbound: plan.missing.values().sum(),
        other: counts([
            ("cross_session", plan.cross_session_bindings),
            ("candidate_fired_unbound", fired.candidate.fired_unbound),
            ("baseline_fired_unbound", fired.baseline.fired_unbound),
        ]),
    }
}

fn plan_facts(plan: &PlanSummary) -> PlanFacts {
    PlanFacts {
        requests: plan.planned,
        sessions: plan.sessions.values().sum(),
        sessions_began_before_capture: plan.began_before_capture,
        duration_ns: plan.duration_ns,
        other: counts([
            ("fired", plan.fired),
            ("entry", plan.entry),
            ("internal", plan.internal),
            (
                "resource_waits",
                plan.waits.get(&WaitReason::Resource).copied().unwrap_or(0),
            ),
            (
                "recorded_waits",
                plan.waits.get(&WaitReason::Recorded).copied().unwrap_or(0),
            ),
            ("racing", plan.racing),
        ]),
    }
}

fn counts<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

/// Adds up the ledgers of all captures.
fn add_captures(facts: &mut RunFacts, checkpoint: &Checkpoint) {
    let is_pcap = |source| source == twintap_archive::CaptureSource::Pcap;
    if checkpoint
        .captures
        .iter()
        .any(|capture| is_pcap(capture.source))
    {
        facts.capture_source = CaptureSource::Pcap;
    }
    for capture in &checkpoint.captures {
        let kernel = &mut facts.kernel;
        kernel.seen_bytes += capture.kernel.seen_bytes;
        kernel.delivered_bytes += capture.kernel.delivered_bytes;
        kernel.pending_bytes += capture.kernel.pending_bytes;
        for (cause, dropped) in &capture.kernel.dropped {
            *kernel.dropped_bytes.entry(cause.clone()).or_default() += dropped.bytes;
        }
        let (store, of_capture) = (&mut facts.store, &capture.store);
        store.add(of_capture);
        for (name, count) in [
            ("gaps", capture.gaps),
            ("gap_bytes", capture.gap_bytes),
            ("frames_undecodable", capture.undecodable_frames),
            ("unprotected_bytes", capture.kernel.unprotected_bytes),
            ("tls_bytes_unread", capture.kernel.tls_bytes),
        ] {
            if count > 0 {
                *facts.loss.entry(name.to_owned()).or_default() += count;
            }
        }
    }
}

/// Why the run says nothing about the candidate.
fn doubts(file: &RunFile, fired: &FireSummary, unreadable: u64) -> Vec<String> {
    let mut doubts = Vec::new();
    // A run without end has no other.
    if fired.stopped && file.settings.has_end() {
        doubts.push("The run was stopped before its end.".to_owned());
    }
    for (name, twin) in [
        ("candidate", &fired.candidate),
        ("baseline", &fired.baseline),
    ] {
        if was_never_reached(twin) {
            doubts.push(format!("The {name} was never reached."));
        }
    }
    if unreadable > 0 {
        doubts.push(format!(
            "{unreadable} planned exchanges could not be read from the archive again."
        ));
    }
    doubts
}

fn was_never_reached(twin: &TwinSummary) -> bool {
    let no_connection = |kind: &str| {
        matches!(
            kind,
            "connect_refused" | "connect_failed" | "tls_failed" | "login_failed"
        )
    };
    let errored = &twin.ledger.errored;
    twin.ledger.answered == 0
        && !errored.is_empty()
        && errored.keys().all(|kind| no_connection(kind))
}
