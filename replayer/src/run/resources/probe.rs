//! Where a twin's use of resources is read.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::cgroup::Cgroup;
use super::process::Processes;
use super::prometheus::Scraper;
use super::settings::ResourceSettings;
use super::{Look, Use};
use crate::run::file::{RunFile, TargetSettings};
use crate::run::targets::Captured;

/// Where a twin's use of resources is read.
#[derive(Debug)]
pub enum Probe {
    /// Nowhere, as the run file says.
    Nothing,
    /// From those processes that listen at an address, once there are any.
    Listener(SocketAddr, Option<Processes>),
    /// From processes.
    Processes(Processes),
    /// From its control group.
    Cgroup(Cgroup),
    /// From what it tells of itself.
    Prometheus(Box<Scraper>),
}

impl Probe {
    /// As the run file says at `place`, of the twin that listens at `address`.
    ///
    /// # Errors
    /// When what the run file names is not there or not allowed.
    pub fn new(
        place: &str,
        source: &ResourceSettings,
        twin: &TargetSettings,
        address: SocketAddr,
        file: &RunFile,
        captured: &Captured,
    ) -> Result<Probe> {
        Ok(match source {
            ResourceSettings::None => Probe::Nothing,
            ResourceSettings::Listener => Probe::Listener(address, None),
            ResourceSettings::Process(pid) => Probe::of_process(*pid)?,
            ResourceSettings::PidFile(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("reading {}", path.display()))?;
                let pid = text
                    .trim()
                    .parse()
                    .with_context(|| format!("{} has no number of a process", path.display()))?;
                Probe::of_process(pid)?
            }
            ResourceSettings::Cgroup(path) => Probe::Cgroup(Cgroup::open(path)?),
            ResourceSettings::Prometheus(scrape) => {
                let scraper = Scraper::new(place, scrape, twin, file, captured)?;
                Probe::Prometheus(Box::new(scraper))
            }
        })
    }

    /// From this process and those it starts.
    ///
    /// # Errors
    /// When there is none, or it can't be looked at.
    pub fn of_process(pid: i32) -> Result<Probe> {
        Ok(Probe::Processes(Processes::of(pid)?))
    }

    /// What is used now.
    ///
    /// # Errors
    /// Why nothing is known, for people.
    pub fn look(&mut self) -> Result<Look, String> {
        match self {
            Probe::Nothing => Err("the run file says `none`".to_owned()),
            Probe::Listener(address, found) => {
                // A twin that began anew is another process.
                if !found.as_mut().is_some_and(Processes::are_there) {
                    let processes = Processes::listening(*address);
                    *found = Some(processes.map_err(|unseen| unseen.to_string())?);
                }
                let processes = found.as_mut().map(Processes::look);
                processes.unwrap_or_else(|| Err("it has gone".to_owned()))
            }
            Probe::Processes(processes) => processes.look(),
            Probe::Cgroup(cgroup) => cgroup.look(),
            Probe::Prometheus(scraper) => scraper.look(),
        }
    }

    /// What it must stay below, as far as it is known.
    pub fn limits(&mut self) -> Use {
        match self {
            Probe::Nothing => Use::new(),
            Probe::Listener(address, found) => {
                *found = Processes::listening(*address).ok();
                let limits = found.as_ref().map(Processes::limits);
                limits.unwrap_or_default()
            }
            Probe::Processes(processes) => processes.limits(),
            Probe::Cgroup(cgroup) => cgroup.limits(),
            Probe::Prometheus(scraper) => scraper.limits(),
        }
    }
}
