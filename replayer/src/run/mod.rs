//! A run: run file, hooks, plan, firing, verdict, report.

mod ask;
pub mod bindings;
mod compare;
mod confirm;
mod digests;
mod dry;
mod facts;
pub mod file;
mod follow;
mod given;
mod hooks;
mod joined;
mod once;
mod only;
mod periods;
mod prepare;
mod records;
pub mod renew;
mod reproduce;
pub mod resources;
mod rounds;
mod rules;
mod sent;
mod shelf;
pub mod shell;
mod source;
mod targets;
pub mod values;
mod vouch;
mod watched;
mod yaml;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use twintap_archive::Reader;
use twintap_plan::{Plan, PlanOptions, PlanSummary, UnboundRule};
use twintap_scrub::Scrubber;
use twintap_stream::Timestamp;
use twintap_verdict::{Judge, Observation, Report, SequentialReport, Twin, html};

pub use dry::DryRun;
pub use file::RunFile;
pub use only::{OnlyReport, only, only_dry_run};
pub use rules::{incidents, scope};

use crate::fire::{FireSummary, LatenessCounts, Options, RunControl, TwinProgress};
use crate::keys;
use confirm::Again;
use file::Threads;
use once::Shot;
use prepare::Prepared;
use resources::Sampler;
use targets::{Addresses, Resolver};
use watched::Watched;

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It reads the archive and plans.
    Planning,
    /// It resets the twins, and waits until they are well.
    Preparing,
    /// It fires.
    Firing,
    /// It fires sessions again that carry findings.
    Confirming,
    /// It concludes and writes the report.
    Concluding,
}

impl Phase {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Planning => "planning",
            Phase::Preparing => "preparing",
            Phase::Firing => "firing",
            Phase::Confirming => "confirming",
            Phase::Concluding => "concluding",
        }
    }
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is at.
    pub phase: Phase,
    /// Requests in the plan; 0 before there is one.
    pub planned: u64,
    /// How far the candidate is.
    pub candidate: TwinProgress,
    /// How far the baseline is.
    pub baseline: TwinProgress,
    /// How late the candidate's requests went out.
    pub candidate_lateness: LatenessCounts,
    /// How late the baseline's requests went out.
    pub baseline_lateness: LatenessCounts,
}

impl Progress {
    fn of(phase: Phase, control: &RunControl) -> Progress {
        Progress {
            phase,
            planned: control.planned(),
            candidate: control.progress(Twin::Candidate),
            baseline: control.progress(Twin::Baseline),
            candidate_lateness: control.lateness(Twin::Candidate),
            baseline_lateness: control.lateness(Twin::Baseline),
        }
    }
}

/// Carries out a run and writes its results to the run file's output directory:
/// `report.json`, `report.html` and `run.json`. `progress` is called at each
/// change of phase and a few times a second while firing.
///
/// # Errors
/// When the run can't be made as the run file says. What the twins do is no error.
pub fn execute(
    file: &RunFile,
    control: &RunControl,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report> {
    if file.settings.follow.is_some() {
        return follow::execute(file, control, progress);
    }
    if file.settings.is_endless() {
        return rounds::execute(file, control, progress);
    }
    execute_watched(file, control, progress, &mut |_| {})
}

/// As [`execute`], and shows `watch` what came of each request before it is judged: for tools
/// that judge otherwise.
///
/// # Errors
/// As [`execute`], and of a run that has no end.
pub fn execute_watched(
    file: &RunFile,
    control: &RunControl,
    progress: &mut dyn FnMut(Progress),
    watch: &mut dyn FnMut(&Observation),
) -> Result<Report> {
    ensure!(
        file.settings.has_end(),
        "a run without end can't be watched"
    );
    let mut tell = |phase| progress(Progress::of(phase, control));
    tell(Phase::Planning);
    let rules = file.rules()?;
    let prepared = Prepared::new(file)?;
    let addresses = targets::check(file, &prepared.captured)?;
    std::fs::create_dir_all(&file.output)
        .with_context(|| format!("making the directory {}", file.output.display()))?;
    tell(Phase::Preparing);
    let twins: Vec<_> = file.settings.targets.all().collect();
    hooks::prepare(twins, file, &prepared.captured, control)?;

    let warm_up = file.settings.warm_up.0;
    let sampler = Sampler::begin(file, &prepared.captured, &addresses, control, warm_up)?;

    tell(Phase::Firing);
    let resolver = Resolver::new(file, &prepared.captured, &addresses);
    let _looking = resolver.start()?;
    let options = Options {
        pace: file.settings.pace,
        plan_speed: prepared.plan.speed,
        ..options(file, addresses, &prepared.scrubber)
    };
    let shot = Shot {
        file,
        prepared: &prepared,
        plan: &prepared.plan,
        options: &options,
        warm_up_ns: u64::try_from(warm_up.as_nanos()).unwrap_or(u64::MAX),
    };
    let case = Watched {
        judge: Judge::new(rules),
        file,
        control,
        watch,
    };
    let fired = shot.fire(case, control, &mut || tell(Phase::Firing))?;
    let seen = sampler.finish();

    let plan = prepared.plan.summary();
    let origin = facts::Origin {
        checkpoint: prepared.checkpoint.as_ref(),
        scrubber: &prepared.scrubber,
        loss: &prepared.loss,
        plan: &plan,
    };
    let mut facts = facts::of_run(file, origin, &fired.summary, fired.lacks, fired.span);
    facts.resources = seen;
    let mut draft = fired.case.judge.draft(facts);
    let again = Again {
        file,
        prepared: &prepared,
        options: &options,
        control,
    };
    again.confirm(&mut draft, progress);
    progress(Progress::of(Phase::Concluding, control));
    let mut report = draft.finish();
    let Prepared {
        reader,
        plan: whole,
        ..
    } = &prepared;
    reproduce::add(&mut report, file, reader, Some(whole), &options);
    write_results(file, plan, &fired.summary, &report)?;
    Ok(report)
}

/// Says what can be said against a run without reading the exchanges: policy, key,
/// archive and targets.
///
/// # Errors
/// As [`execute`], which looks again.
pub fn check(file: &RunFile) -> Result<()> {
    let checkpoint = Reader::open(&file.archive)
        .with_context(|| format!("opening the archive {}", file.archive.display()))?
        .checkpoint()
        .context("reading the checkpoint")?;
    keys::load_policy(&file.policy)?;
    keys::load_key(&file.key)?;
    file.binding_rules()?;
    file.rules()?;
    file.signers()?;
    targets::check(file, &targets::Captured::new(checkpoint.as_ref()))?;
    Ok(())
}

/// Plans, and sends nothing.
///
/// # Errors
/// As [`execute`], as far as it can be said without sending anything.
pub fn dry_run(file: &RunFile) -> Result<DryRun> {
    file.rules()?;
    let prepared = Prepared::new(file)?;
    let addresses = targets::check(file, &prepared.captured)?;
    Ok(DryRun::new(file, &addresses, prepared.plan))
}

/// Plans as the run file says, with the reason of every decision.
///
/// # Errors
/// As [`execute`], as far as it concerns archive, policy, key and bindings file.
pub fn plan_run(file: &RunFile) -> Result<(Reader, Plan)> {
    let prepared = Prepared::explained(file)?;
    Ok((prepared.reader, prepared.plan))
}

/// Plans what an archive has, without a run file.
pub fn plan_archive(reader: &Reader, options: PlanOptions) -> Plan {
    prepare::plan(reader, options)
}

fn options(file: &RunFile, addresses: Addresses, scrubber: &Scrubber) -> Options {
    let [candidate, baseline] = addresses.twins;
    let (limits, timeouts) = (&file.settings.limits, &file.settings.timeouts);
    Options {
        services: addresses.services,
        second_baseline: addresses.second_baseline.map(Arc::new),
        rewrite: file.rewrite(),
        wire: file.settings.wire,
        bodies: file.settings.bodies,
        skip_unbound: file.settings.unbound == UnboundRule::Skip,
        wait: timeouts.wait.0,
        response_timeout: timeouts.response.0,
        connect_timeout: timeouts.connect.0,
        stop_grace: timeouts.stop.0,
        max_in_flight: file.settings.max_in_flight(file.settings.pace),
        threads: file
            .settings
            .limits
            .threads
            .unwrap_or_else(Threads::of_machine)
            .get(),
        stay_awake: file.settings.stays_awake(),
        max_connections: limits.connections,
        max_body_bytes: limits.body_bytes,
        capture_bytes: limits.held_answer_bytes,
        read_ahead_bytes: limits.read_ahead_bytes,
        digest: Some(digests::digests(scrubber)),
        extract: Some(given::extract(scrubber)),
        ..Options::new(candidate, baseline)
    }
}

/// `run.json`: how the run went, beside what the report says.
#[derive(Serialize)]
struct RunRecord<'a> {
    run: &'a str,
    /// The run file as it was understood.
    run_file: &'a RunFile,
    plan: PlanSummary,
    fired: &'a FireSummary,
    /// What was watched from the start of the run on, over all of its periods.
    sequential: &'a SequentialReport,
}

fn write_results(
    file: &RunFile,
    plan: PlanSummary,
    fired: &FireSummary,
    report: &Report,
) -> Result<()> {
    let record = RunRecord {
        run: &file.name,
        run_file: file,
        plan,
        fired,
        sequential: &report.sequential,
    };
    let json = |value: serde_json::Result<String>| value.context("writing JSON");
    write(
        &file.output.join("run.json"),
        &json(serde_json::to_string_pretty(&record))?,
    )?;
    write(&file.output.join("report.html"), &html(report))?;
    write(
        &file.report_path(),
        &json(serde_json::to_string_pretty(report))?,
    )
}

/// Writes a file of results. Readers find the old one or the new one, and never half of it.
///
/// # Errors
/// When the place can't be written to.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, text)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("writing {}", path.display()))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let ns = since.map_or(0, |since| since.as_nanos());
    Timestamp(u64::try_from(ns).unwrap_or(u64::MAX))
}
