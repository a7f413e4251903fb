//! A run without end: what is stored while it runs is planned and fired, window by
//! window, until it is stopped.

mod feeder;
mod probe;
mod recording;
mod stock;
mod tail;

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use twintap_archive::Reader;
use twintap_plan::Follower;
use twintap_verdict::Report;

use super::compare::{self, Comparison};
use super::confirm::Beside;
use super::file::RunFile;
use super::periods::Periods;
use super::prepare::{Checks, Opened, plan_options};
use super::renew::Renewal;
use super::resources::Sampler;
use super::targets::{self, Captured, Resolver};
use super::{Phase, Progress, facts, hooks, now, options, reproduce, write_results};
use crate::fire::{Options, PlanFeed, RunControl, Steering, follow};
use feeder::Feeder;
use probe::Probe;
use recording::FollowedRecording;
pub use stock::size;
use stock::{Stock, StockRecords, StockSource};
use tail::Tail;

/// How often twins are looked at.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// As [`execute`](super::execute), for a run file with `follow`: it ends when it is
/// stopped.
///
/// # Errors
/// As [`execute`](super::execute); and when what is captured meanwhile must not be
/// fired by this run.
pub fn execute(
    file: &RunFile,
    control: &RunControl,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report> {
    let settings = file.settings.follow.clone().unwrap_or_default();
    let mut tell = |phase| progress(Progress::of(phase, control));
    tell(Phase::Planning);
    let Opened {
        checkpoint,
        scrubber,
        ..
    } = Opened::new(file)?;
    let plan = plan_options(file)?;
    let rules = file.rules()?;
    let captured = Captured::new(checkpoint.as_ref());
    let addresses = targets::check(file, &captured)?;
    std::fs::create_dir_all(&file.output)
        .with_context(|| format!("making the directory {}", file.output.display()))?;
    tell(Phase::Preparing);
    hooks::prepare(file.settings.targets.both(), file, &captured, control)?;

    let sampler = Sampler::begin(file, &captured, &addresses, control, Duration::ZERO)?;

    tell(Phase::Firing);
    let resolver = Resolver::new(file, &captured, &addresses);
    let _looking = resolver.start()?;
    let options = Options {
        lead: settings.delay.0,
        when_down: settings.when_down,
        ..options(file, addresses, &scrubber)
    };
    let origin = now();
    let renewal = Renewal::following(file, origin, settings.delay.0)?;
    let follower = Follower::new(plan, origin, settings.memory_bytes);
    let tail = Tail::from_now(&file.archive)?;
    let recording = FollowedRecording::new(file, control, tail.passed());
    let stock = Stock::default();
    let (feed, fodder) = PlanFeed::new(control);
    let checks = Checks::new(file, &scrubber, captured).telling(resolver);
    let feeder = Feeder::new(file, control, checks, follower, tail, stock.clone(), feed);

    let limits = &file.settings.limits;
    let mut source = StockSource::new(stock.clone(), limits.request_body_bytes, renewal);
    let mut tick = || tell(Phase::Firing);
    let periods = Periods::new(
        file,
        control,
        &scrubber,
        rules,
        &sampler,
        settings.report_every.0,
        settings.memory_bytes,
    );
    let beside = Beside::new(file, control, &options, periods.desk());
    let mut comparison = Comparison::new(
        compare::Inputs {
            scrubber: &scrubber,
            options: &options,
            warm_up_ns: 0,
        },
        StockRecords::new(stock),
        periods,
        &mut tick,
    );
    let (fired, fed) = thread::scope(|scope| {
        let probing = scope.spawn(|| probe(&options, control));
        let confirming = scope.spawn(|| beside.run(recording));
        let feeding = scope.spawn(|| {
            let fed = feeder.run();
            if fed.is_err() {
                control.stop();
            }
            fed
        });
        let fired = follow(fodder, &mut source, &mut comparison, &options, control);
        // Both look at the run's being stopped, which it is when nothing is fired.
        control.stop();
        let fed = feeding.join();
        let ended = [probing.join(), confirming.join()];
        let failed = || anyhow!("a thread of the run failed");
        let ended: Result<(), _> = ended.into_iter().collect();
        ended.map_err(|_| failed())?;
        Ok::<_, anyhow::Error>((fired?, fed.map_err(|_| failed())??))
    })?;
    let ended = now();

    let lacks = comparison.lacks();
    let last = comparison.into_case().into_last();
    let seen = sampler.finish();
    tell(Phase::Concluding);
    let reader = Reader::open(&file.archive)
        .with_context(|| format!("opening the archive {}", file.archive.display()))?;
    let checkpoint = reader.checkpoint().context("reading the checkpoint")?;
    let origin = facts::Origin {
        checkpoint: checkpoint.as_ref(),
        scrubber: &scrubber,
        loss: &fed.loss,
        plan: &fed.summary,
    };
    let mut facts = facts::of_run(file, origin, &fired, lacks, (last.began(), ended));
    facts.resources = seen;
    let mut report = last.conclude(facts);
    reproduce::add(&mut report, file, &reader, None, &options);
    write_results(file, fed.summary, &fired, &report)?;
    Ok(report)
}

/// Looks after the twins until the run is stopped.
fn probe(options: &Options, control: &RunControl) {
    let of = |twin: usize| {
        let services = options.services.iter().map(move |both| both[twin].clone());
        let own = options.targets[twin].clone();
        std::iter::once(own).chain(services).collect()
    };
    let mut probe = Probe::new(of(0), of(1));
    while control.steering() != Steering::Stop {
        probe.look(control);
        thread::sleep(PROBE_EVERY);
    }
}
