//! Several places that tell of one twin's use of resources, taken together.

use std::net::SocketAddr;

use anyhow::Result;

use super::probe::Probe;
use super::{Look, Use};
use crate::run::file::{RunFile, TargetSettings};
use crate::run::targets::Captured;

/// Where a twin's use of resources is read.
#[derive(Debug)]
pub struct Probes(Vec<Probe>);

/// What was seen at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// What the places told.
    pub look: Look,
    /// Why one of them told nothing, for people.
    pub unseen: Option<String>,
}

impl Probes {
    /// As the run file says at `place`, of the twin that listens at `address`.
    ///
    /// # Errors
    /// When what the run file names is not there or not allowed.
    pub fn new(
        place: &str,
        twin: &TargetSettings,
        address: SocketAddr,
        file: &RunFile,
        captured: &Captured,
    ) -> Result<Probes> {
        let sources = &twin.resources.0;
        let several = sources.len() > 1;
        let probes = sources.iter().enumerate().map(|(number, source)| {
            let place = match several {
                true => format!("{place}[{number}]"),
                false => place.to_owned(),
            };
            Probe::new(&place, source, twin, address, file, captured)
        });
        Ok(Probes(probes.collect::<Result<_>>()?))
    }

    /// What is used now: of a resource that several tell of, what the first of them tells.
    pub fn look(&mut self) -> Sight {
        let mut seen = Sight::default();
        for probe in &mut self.0 {
            match probe.look() {
                Ok(look) => {
                    add(&mut seen.look.used, look.used);
                    seen.look.cpu_seconds = seen.look.cpu_seconds.or(look.cpu_seconds);
                }
                Err(why) => seen.unseen = Some(why),
            }
        }
        seen
    }

    /// What it must stay below, as far as it is known.
    pub fn limits(&mut self) -> Use {
        let mut limits = Use::new();
        for probe in &mut self.0 {
            add(&mut limits, probe.limits());
        }
        limits
    }
}

impl From<Probe> for Probes {
    fn from(one: Probe) -> Probes {
        Probes(vec![one])
    }
}

/// Adds what was not known.
fn add(known: &mut Use, more: Use) {
    for (resource, value) in more {
        known.entry(resource).or_insert(value);
    }
}
