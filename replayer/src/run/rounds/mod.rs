//! A run that goes through its recording again and again, until it is stopped.

mod feeder;
mod recording;
mod records;
mod shelf;
mod source;

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use twintap_plan::Rounds;
use twintap_verdict::Report;

use super::compare::{self, Comparison};
use super::confirm::Beside;
use super::file::RunFile;
use super::periods::Periods;
use super::prepare::Prepared;
use super::renew::Renewal;
use super::resources::Sampler;
use super::targets::Resolver;
use super::{Phase, Progress, facts, hooks, now, options, reproduce, targets, write_results};
use crate::fire::{Options, PlanFeed, RunControl, follow};
use feeder::{Compared, Feeder};
use recording::RoundRecording;
use records::RoundRecords;
use shelf::RoundShelf;
use source::RoundSource;

/// How long a period is where nothing is said.
const REPORT_EVERY: Duration = Duration::from_secs(3600);

/// As [`execute`](super::execute), for a run file with `loop: forever`: it ends when it is
/// stopped.
///
/// # Errors
/// As [`execute`](super::execute); and when nothing would ever be fired.
pub fn execute(
    file: &RunFile,
    control: &RunControl,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let settings = &file.settings;
    let mut tell = |phase| progress(Progress::of(phase, control));
    tell(Phase::Planning);
    let rules = file.rules()?;
    let prepared = Prepared::new(file)?;
    let plan = &prepared.plan;
    if plan.requests.iter().all(|request| request.skip.is_some()) {
        bail!(
            "`loop: forever` needs a request to fire: of the {} in the archive {} none is; \
             --dry-run says why",
            plan.requests.len(),
            file.archive.display()
        );
    }
    let addresses = targets::check(file, &prepared.captured)?;
    std::fs::create_dir_all(&file.output)
        .with_context(|| format!("making the directory {}", file.output.display()))?;
    tell(Phase::Preparing);
    hooks::prepare(
        file.settings.targets.both(),
        file,
        &prepared.captured,
        control,
    )?;

    let warm_up = settings.warm_up.0;
    let sampler = Sampler::begin(file, &prepared.captured, &addresses, control, warm_up)?;

    tell(Phase::Firing);
    let resolver = Resolver::new(file, &prepared.captured, &addresses);
    let _looking = resolver.start()?;
    let options = Options {
        pace: settings.pace,
        plan_speed: plan.speed,
        flows_end: true,
        ..options(file, addresses, &prepared.scrubber)
    };
    let limits = &settings.limits;
    let started = now();
    let ramp_ns = u64::try_from(settings.ramp.0.as_nanos()).unwrap_or(u64::MAX);
    let rounds = Rounds::new(plan, settings.pace, ramp_ns);
    let renewal = Renewal::new(file, plan, &prepared.scrubber, started)?;
    let copies = settings.scale.get();
    let shelf = || RoundShelf::new(&prepared, limits.read_ahead_bytes, copies);
    let mut source = RoundSource::new(&prepared, &rounds, shelf(), settings, renewal);
    let mut tick = || tell(Phase::Firing);
    let every = settings.report_every.map_or(REPORT_EVERY, |every| every.0);
    let compared = Compared::default();
    // No value crosses from one round to another.
    let periods = Periods::new(file, control, &prepared.scrubber, rules, &sampler, every, 0);
    let beside = Beside::new(file, control, &options, periods.desk());
    let mut comparison = Comparison::new(
        compare::Inputs {
            scrubber: &prepared.scrubber,
            options: &options,
            warm_up_ns: u64::try_from(warm_up.as_nanos()).unwrap_or(u64::MAX),
        },
        RoundRecords::new(&prepared, &rounds, shelf(), compared.clone()),
        periods,
        &mut tick,
    );
    let (feed, fodder) = PlanFeed::new(control);
    let feeder = Feeder::new(rounds.clone(), plan.speed, feed, control, compared);
    let (fired, summary) = thread::scope(|scope| {
        let feeding = scope.spawn(|| feeder.run());
        let confirming = scope.spawn(|| beside.run(RoundRecording::new(&prepared)));
        let fired = follow(fodder, &mut source, &mut comparison, &options, control);
        // Where it could not be set up, nobody else ends the feeding.
        control.stop();
        let taken = feeding.join();
        let confirmed = confirming.join();
        let failed = || anyhow!("a thread of the run failed");
        confirmed.map_err(|_| failed())?;
        let taken = taken.map_err(|_| failed())?;
        Ok::<_, anyhow::Error>((fired?, taken.into_summary(control.planned())))
    })?;
    let ended = now();

    let lacks = comparison.lacks();
    let last = comparison.into_case().into_last();
    let seen = sampler.finish();
    tell(Phase::Concluding);
    let origin = facts::Origin {
        checkpoint: prepared.checkpoint.as_ref(),
        scrubber: &prepared.scrubber,
        loss: &prepared.loss,
        plan: &summary,
    };
    let mut facts = facts::of_run(file, origin, &fired, lacks, (last.began(), ended));
    facts.resources = seen;
    let mut report = last.conclude(facts);
    reproduce::add(&mut report, file, &prepared.reader, Some(plan), &options);
    write_results(file, summary, &fired, &report)?;
    Ok(report)
}
