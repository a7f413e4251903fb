//! What the twins' processes use while a run fires.

mod cgroup;
mod exposition;
mod probe;
mod probes;
mod process;
mod prometheus;
mod series;
mod settings;

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use twintap_verdict::resource::Work;
use twintap_verdict::{Resource, ResourceFacts, ResourceSample, Twin};

use probes::{Probes, Sight};
use series::Series;
pub use settings::{ResourceSettings, ResourceSources};

use super::file::RunFile;
use super::targets::{Addresses, Captured};
use crate::fire::RunControl;

/// How often the twins are looked at in the first [`SOON`] of a run, so that a short run has
/// enough looks for a trend, and how often later.
const LOOKS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
const SOON: Duration = Duration::from_secs(30);

/// Numbers by what they are of.
type Use = BTreeMap<Resource, f64>;

/// What a look at a twin gives.
#[derive(Clone, Debug, Default, PartialEq)]
struct Look {
    used: Use,
    /// Seconds of processor time so far.
    cpu_seconds: Option<f64>,
}

/// Looks at both twins until it is finished or dropped.
#[derive(Debug)]
pub struct Sampler {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
    seen: Arc<Mutex<Seen>>,
    limits: [Use; 2],
}

/// What the looks gave.
#[derive(Debug, Default)]
struct Seen {
    series: Series,
    /// Of each twin.
    missed: [Missed; 2],
}

/// Looks at which something was not seen.
#[derive(Clone, Debug, Default)]
struct Missed {
    looks: u64,
    failed: u64,
    last: String,
}

impl Sampler {
    /// Begins to look at the twins of a run. What is seen in the first `warm_up` does not
    /// count.
    ///
    /// # Errors
    /// When what the run file names is not there or not allowed, or the machine gives no
    /// thread.
    pub fn begin(
        file: &RunFile,
        captured: &Captured,
        addresses: &Addresses,
        control: &RunControl,
        warm_up: Duration,
    ) -> Result<Sampler> {
        let twins = file.settings.targets.both().into_iter();
        let mut probes = Vec::new();
        for ((twin, settings), target) in twins.zip(&addresses.twins) {
            let place = format!("targets.{twin}.resources");
            let of_twin = Probes::new(&place, settings, target.address, file, captured)
                .with_context(|| place.clone())?;
            probes.push(of_twin);
        }
        let [candidate, baseline] =
            <[Probes; 2]>::try_from(probes).map_err(|_| anyhow::anyhow!("a run has two twins"))?;
        Sampler::start([candidate, baseline], control.clone(), warm_up)
    }

    fn start(mut probes: [Probes; 2], control: RunControl, warm_up: Duration) -> Result<Sampler> {
        let limits = [probes[0].limits(), probes[1].limits()];
        let (stop, stopped) = channel();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noting = Arc::clone(&seen);
        let look_until_stopped = move || {
            let start = Instant::now();
            loop {
                let at = start.elapsed();
                let looks = probes.each_mut().map(Probes::look);
                let answered =
                    [Twin::Candidate, Twin::Baseline].map(|twin| control.progress(twin).answered);
                if at >= warm_up {
                    lock(&noting).note(at, looks, answered);
                }
                let every = LOOKS[usize::from(at >= SOON)];
                let next = start.elapsed().as_nanos() / every.as_nanos() + 1;
                let next = every * u32::try_from(next).unwrap_or(u32::MAX);
                match stopped.recv_timeout(next.saturating_sub(start.elapsed())) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = thread::Builder::new()
            .name("resources".to_owned())
            .spawn(look_until_stopped)
            .context("starting the thread that looks at the twins' processes")?;
        Ok(Sampler {
            stop,
            thread: Some(thread),
            seen,
            limits,
        })
    }

    /// What was seen so far.
    pub fn so_far(&self) -> ResourceFacts {
        let seen = lock(&self.seen);
        ResourceFacts {
            samples: seen.series.samples(),
            limits: self.limits.clone(),
            unseen: seen.unseen(),
            period: 0,
        }
    }

    /// Ends looking, and gives what was seen.
    pub fn finish(mut self) -> ResourceFacts {
        self.end();
        self.so_far()
    }

    fn end(&mut self) {
        // It is gone already where it failed, and what it saw before stays.
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.end();
    }
}

impl Seen {
    fn note(&mut self, at: Duration, looks: [Sight; 2], answered: [u64; 2]) {
        for (missed, sight) in self.missed.iter_mut().zip(&looks) {
            missed.looks += 1;
            if let Some(why) = &sight.unseen {
                missed.failed += 1;
                missed.last.clone_from(why);
            }
        }
        let [candidate, baseline] = looks.map(|sight| sight.look);
        let work = |look: &Look, answered: u64| {
            look.cpu_seconds.map(|cpu_seconds| Work {
                cpu_seconds,
                answered: answered as f64,
            })
        };
        self.series.push(ResourceSample {
            at_ns: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
            candidate_work: work(&candidate, answered[0]),
            baseline_work: work(&baseline, answered[1]),
            candidate: candidate.used,
            baseline: baseline.used,
        });
    }

    fn unseen(&self) -> Vec<String> {
        let twins = ["candidate", "baseline"].into_iter().zip(&self.missed);
        twins
            .filter(|(_, missed)| missed.failed > 0)
            .map(|(twin, missed)| match missed.looks - missed.failed {
                0 => format!("The {twin}: {}.", missed.last),
                _ => format!(
                    "The {twin}: in {} of {} looks something was not seen; in the last of these: {}.",
                    missed.failed, missed.looks, missed.last
                ),
            })
            .collect()
    }
}

/// What a panic left is as whole as each note.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::probe::Probe;
    use super::*;

    fn look(bytes: f64) -> Sight {
        Sight {
            look: Look {
                used: Use::from([(Resource::Memory, bytes)]),
                cpu_seconds: Some(bytes / 100.0),
            },
            unseen: None,
        }
    }

    #[test]
    fn what_is_missed_is_said_with_its_reason() {
        let mut seen = Seen::default();
        let nothing = || Sight {
            unseen: Some("nobody is there".to_owned()),
            ..Sight::default()
        };
        seen.note(Duration::from_secs(1), [look(100.0), nothing()], [5, 6]);
        assert_eq!(seen.unseen(), ["The baseline: nobody is there."]);
        seen.note(Duration::from_secs(2), [look(200.0), look(300.0)], [15, 16]);
        assert_eq!(
            seen.unseen(),
            [
                "The baseline: in 1 of 2 looks something was not seen; in the last of these: \
                 nobody is there."
            ]
        );
        let samples = seen.series.samples();
        assert_eq!(samples[0].baseline_work, None);
        let work = samples[1].candidate_work.expect("it was looked at");
        assert_eq!((work.cpu_seconds, work.answered), (2.0, 15.0));
    }

    #[test]
    fn both_are_looked_at_until_the_end() {
        let control = RunControl::new().expect("a descriptor is free");
        let own = || {
            let pid = i32::try_from(std::process::id()).expect("it fits");
            Probe::of_process(pid).expect("this process is there")
        };
        let probes = [own(), Probe::Nothing].map(Probes::from);
        let sampler = Sampler::start(probes, control, Duration::ZERO);
        let sampler = sampler.expect("a thread is there");
        while sampler.so_far().samples.is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        let facts = sampler.finish();
        assert!(facts.samples[0].candidate[&Resource::Memory] > 0.0);
        assert!(facts.samples[0].baseline.is_empty());
        assert_eq!(facts.unseen, ["The baseline: the run file says `none`."]);
    }
}
