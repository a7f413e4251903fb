//! What the twins' processes use while a run fires.

mod cgroup;
mod process;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use twintap_verdict::{Resource, ResourceSample};

use cgroup::Cgroup;
use process::Processes;
pub use settings::ResourceSettings;

use super::file::RunFile;
use crate::fire::Target;

/// How often the twins are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Numbers by what they are of.
type Use = BTreeMap<Resource, f64>;

/// Where a twin's use of resources is read.
#[derive(Debug)]
enum Probe {
    /// From its processes.
    Processes(Processes),
    /// From its control group.
    Cgroup(Cgroup),
}

impl Probe {
    /// As the run file says, of the twin that listens at `address`. None where nothing is to
    /// be looked at, or nobody said what and the twin is no process that can be seen here.
    ///
    /// # Errors
    /// When what the run file names is not there.
    fn new(settings: &ResourceSettings, address: SocketAddr) -> Result<Option<Probe>> {
        Ok(match settings {
            ResourceSettings::None => None,
            ResourceSettings::Listener => Processes::listening(address).map(Probe::Processes),
            ResourceSettings::Process(pid) => Some(Probe::Processes(Processes::of(*pid)?)),
            ResourceSettings::PidFile(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("reading {}", path.display()))?;
                let pid = text
                    .trim()
                    .parse()
                    .with_context(|| format!("{} has no number of a process", path.display()))?;
                Some(Probe::Processes(Processes::of(pid)?))
            }
            ResourceSettings::Cgroup(path) => Some(Probe::Cgroup(Cgroup::open(path)?)),
        })
    }

    fn look(&self) -> Use {
        match self {
            Probe::Processes(processes) => processes.look(),
            Probe::Cgroup(cgroup) => cgroup.look(),
        }
    }

    fn limits(&self) -> Use {
        match self {
            Probe::Processes(processes) => processes.limits(),
            Probe::Cgroup(cgroup) => cgroup.limits(),
        }
    }
}

/// Looks at both twins until it is finished.
#[derive(Debug)]
pub struct Sampler {
    stop: Sender<()>,
    thread: JoinHandle<Vec<ResourceSample>>,
    limits: [Use; 2],
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Sampled {
    /// By time.
    pub samples: Vec<ResourceSample>,
    /// What the candidate's and the baseline's must stay below.
    pub limits: [Use; 2],
}

impl Sampler {
    /// Begins to look at the twins of a run, which take requests at these addresses; none
    /// where one of them can't be looked at.
    ///
    /// # Errors
    /// When what the run file names is not there, or the machine gives no thread.
    pub fn watch(file: &RunFile, twins: &[Target; 2]) -> Result<Option<Sampler>> {
        let mut probes = Vec::new();
        for ((twin, settings), target) in file.settings.targets.both().into_iter().zip(twins) {
            let probe = Probe::new(&settings.resources, target.address)
                .with_context(|| format!("targets.{twin}.resources"))?;
            probes.extend(probe);
        }
        match <[Probe; 2]>::try_from(probes) {
            Ok(probes) => Sampler::start(probes).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn start(probes: [Probe; 2]) -> Result<Sampler> {
        let limits = [probes[0].limits(), probes[1].limits()];
        let (stop, stopped) = channel();
        let [candidate, baseline] = probes;
        let look_until_stopped = move || {
            let start = Instant::now();
            let mut samples = Vec::new();
            loop {
                let at = start.elapsed();
                samples.push(ResourceSample {
                    at_ns: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
                    candidate: candidate.look(),
                    baseline: baseline.look(),
                });
                let next = LOOK * (u32::try_from(at.as_secs()).unwrap_or(u32::MAX - 1) + 1);
                match stopped.recv_timeout(next.saturating_sub(start.elapsed())) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return samples,
                }
            }
        };
        let thread = thread::Builder::new()
            .name("resources".to_owned())
            .spawn(look_until_stopped)
            .context("starting the thread that looks at the twins' processes")?;
        Ok(Sampler {
            stop,
            thread,
            limits,
        })
    }

    /// Ends looking, and gives what was seen after the first `warm_up`.
    pub fn finish(self, warm_up: Duration) -> Sampled {
        // It is gone already where it failed, and has seen nothing then.
        let _ = self.stop.send(());
        let mut samples = self.thread.join().unwrap_or_default();
        let warm_up_ns = u64::try_from(warm_up.as_nanos()).unwrap_or(u64::MAX);
        samples.retain(|sample| sample.at_ns >= warm_up_ns);
        Sampled {
            samples,
            limits: self.limits,
        }
    }
}
