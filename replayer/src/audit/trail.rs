//! A log with whoever acts.

use std::path::Path;

use anyhow::{Context, Result};
use twintap_archive::Reader;
use twintap_scrub::{Key, PolicyHash};
use twintap_verdict::Verdict;

use super::actor::Actor;
use super::event::{Data, Event, path};
use super::log::{Log, Place};
use crate::keys;
use crate::run::RunFile;
use crate::run::file::Targets;

/// Tells a log what somebody does.
#[derive(Clone, Debug)]
pub struct Trail {
    log: Log,
    actor: Actor,
}

impl Trail {
    /// The log there, of what the user does that this process runs as.
    pub fn own(place: Place) -> Trail {
        Trail {
            log: Log::new(place),
            actor: Actor::own(),
        }
    }

    /// The same log, of what somebody else does.
    pub fn of(&self, actor: Actor) -> Trail {
        Trail {
            log: self.log.clone(),
            actor,
        }
    }

    /// Tells of these, and returns once it is on the disk.
    ///
    /// # Errors
    /// When it is not: then what they tell of must not be done.
    pub fn tell(&self, events: &[Event]) -> Result<()> {
        self.log.append(&self.actor, events)
    }

    /// Tells that stored data of an archive is to be shown.
    ///
    /// # Errors
    /// As [`tell`](Self::tell).
    pub fn reveal(&self, archive: &Path, data: Data) -> Result<()> {
        let archive = path(archive);
        self.tell(&[Event::Revealed { archive, data }])
    }

    /// What is told of the policy and the key that an archive is scrubbed with.
    ///
    /// # Errors
    /// When the log is there and can't be read.
    pub fn scrubbing(&self, archive: &Path, policy: &PolicyHash, key: &Key) -> Result<[Event; 2]> {
        let archive = path(archive);
        let policy = policy.0.clone();
        let before = self.log.last_policy(&archive)?;
        let fingerprint = keys::fingerprint(key);
        let loaded = Event::KeyLoaded {
            archive: archive.clone(),
            fingerprint,
        };
        let used = match before.filter(|before| *before != policy) {
            Some(before) => Event::PolicyChanged {
                archive,
                policy,
                before,
            },
            None => Event::PolicyUsed { archive, policy },
        };
        Ok([loaded, used])
    }

    /// Carries out a run between the two entries that tell of it. `only` names exchanges that
    /// are fired alone.
    ///
    /// # Errors
    /// Those of the run; and when the log can't be told, before which nothing is fired.
    pub fn run<T>(
        &self,
        file: &RunFile,
        only: &[String],
        run: impl FnOnce() -> Result<T>,
        verdict: impl FnOnce(&T) -> Verdict,
    ) -> Result<T> {
        // What is no archive has nothing beside it.
        Reader::open(&file.archive)
            .with_context(|| format!("opening the archive {}", file.archive.display()))?;
        let archive = path(&file.archive);
        let fresh = file.settings.confirm.targets();
        // Exchanges that are fired alone have the twins for confirmation, if there are such,
        // and no second baseline.
        let (targets, fresh) = match fresh {
            Some(fresh) if !only.is_empty() => (fresh, None),
            fresh => (&file.settings.targets, fresh),
        };
        let second = targets.second_baseline.as_ref();
        let second = second.filter(|_| only.is_empty());
        let fresh = fresh.into_iter().flat_map(Targets::both);
        self.tell(&[Event::RunStarted {
            run: file.name.clone(),
            archive: archive.clone(),
            candidate: targets.candidate.address.to_string(),
            baseline: targets.baseline.address.to_string(),
            second_baseline: second.map(|second| second.address.to_string()),
            confirm: fresh.map(|(_, twin)| twin.address.to_string()).collect(),
            policy: keys::load_policy(&file.policy)?.hash().0,
            key: keys::fingerprint(&keys::load_key(&file.key)?),
            only: only.to_vec(),
        }])?;
        let outcome = run();
        let ended = self.tell(&[Event::RunEnded {
            run: file.name.clone(),
            archive,
            verdict: outcome
                .as_ref()
                .ok()
                .map(|done| verdict(done).name().to_owned()),
            error: outcome.as_ref().err().map(|error| format!("{error:#}")),
        }]);
        // What went wrong first is what is to be known.
        let done = outcome?;
        ended.map(|()| done)
    }
}
