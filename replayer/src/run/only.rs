//! Some exchanges, fired alone with everything that they depend on.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use twintap_plan::Plan;
use twintap_stream::ExchangeId;
use twintap_verdict::{Closeup, Refired, RunLedgers, Verdict};

use super::confirm::Part;
use super::dry::DryRun;
use super::file::RunFile;
use super::prepare::Prepared;
use super::targets::{self, Resolver};
use super::{Phase, Progress, hooks, options};
use crate::fire::RunControl;

/// What came of exchanges that were fired alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnlyReport {
    /// The run's name.
    pub run: String,
    /// `fail` where one differs, `pass` where all were compared and none does.
    pub verdict: Verdict,
    /// Whether both twins were brought back to their beginning first.
    pub reset: bool,
    /// Requests of the plan: what was asked for, and what that depends on.
    pub requests: u64,
    /// What was asked for.
    pub exchanges: Vec<Closeup>,
    /// What became of all of the plan's requests.
    pub ledgers: RunLedgers,
}

/// Fires the exchanges of these names (ids, or names of sessions) with everything that
/// they depend on, each once and as soon as it can be, and compares the answers: at the
/// twins for confirmation, where the run file has such. Nothing is written but what hooks
/// print.
///
/// # Errors
/// As [`execute`](super::execute); and when there is nothing of such a name.
pub fn only(
    file: &RunFile,
    names: &[String],
    control: &RunControl,
    progress: &mut dyn FnMut(Progress),
) -> Result<OnlyReport> {
    let fresh = file.at_fresh_twins();
    let file = fresh.as_ref().unwrap_or(file);
    let mut tell = |phase| progress(Progress::of(phase, control));
    tell(Phase::Planning);
    let (prepared, part) = prepare(file, names)?;
    let addresses = targets::check(file, &prepared.captured)?;
    std::fs::create_dir_all(&file.output)
        .with_context(|| format!("making the directory {}", file.output.display()))?;
    tell(Phase::Preparing);
    let twins = file.settings.targets.both();
    hooks::prepare(twins, file, &prepared.captured, control)?;

    tell(Phase::Firing);
    let resolver = Resolver::new(file, &prepared.captured, &addresses);
    let _looking = resolver.start()?;
    let options = options(file, addresses, &prepared.scrubber);
    let mut tick = || tell(Phase::Firing);
    let Refired { exchanges, ledgers } =
        part.fire(file, &prepared, &options, control, &mut tick)?;
    Ok(OnlyReport {
        run: file.name.clone(),
        verdict: verdict(&exchanges),
        reset: twins.iter().all(|(_, twin)| twin.reset.is_some()),
        requests: part.plan.requests.len() as u64,
        exchanges,
        ledgers,
    })
}

/// Plans the same, and sends nothing.
///
/// # Errors
/// As [`only`], as far as it can be said without sending anything.
pub fn only_dry_run(file: &RunFile, names: &[String]) -> Result<DryRun> {
    let fresh = file.at_fresh_twins();
    let file = fresh.as_ref().unwrap_or(file);
    let (prepared, part) = prepare(file, names)?;
    let addresses = targets::check(file, &prepared.captured)?;
    Ok(DryRun::new(file, &addresses, part.plan))
}

fn prepare(file: &RunFile, names: &[String]) -> Result<(Prepared, Part)> {
    let prepared = Prepared::new(file)?;
    let mut wanted = BTreeSet::new();
    for name in names {
        let found = positions(&prepared.plan, name)?;
        wanted.extend(found);
    }
    let wanted: Vec<u32> = wanted.into_iter().collect();
    let part = Part::of(&prepared.plan, &wanted);
    Ok((prepared, part))
}

/// The positions of an exchange, or of all of a session's.
fn positions(plan: &Plan, name: &str) -> Result<Vec<u32>> {
    if let Some(session) = plan.sessions.iter().find(|session| session.id == name) {
        return Ok(session.requests.clone());
    }
    let Ok(id) = name.parse::<ExchangeId>() else {
        bail!(
            "there is no session {name:?}, and it is no exchange's id (node/boot/flow/offset): \
             `twintap sessions` and `twintap exchanges` list them"
        );
    };
    let position = plan
        .requests
        .iter()
        .position(|request| request.exchange == id);
    let position = position.with_context(|| {
        format!("there is no exchange {name} in the archive; `twintap exchanges` lists them")
    })?;
    // A plan counts its requests in 32 bits.
    Ok(vec![position as u32])
}

fn verdict(exchanges: &[Closeup]) -> Verdict {
    if exchanges.iter().any(|one| !one.differences.is_empty()) {
        Verdict::Fail
    } else if !exchanges.is_empty() && exchanges.iter().all(|one| one.is_compared) {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    }
}
