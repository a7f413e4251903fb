//! Proof that scrubbing does what it should, beside the commands that scrub.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use twintap_scrub::{Canaries, CanaryLeak, Key, Policy, Scrubber, SecondLookCounts};

use crate::audit::{Event, Trail, path};

/// How often what was quarantined is told.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Tries the policy with made-up personal values, and tells those that would be stored.
///
/// # Errors
/// Where one would be, and the policy says `canaries: required`.
pub fn try_canaries(policy: &Policy, key: &Key) -> Result<Vec<CanaryLeak>> {
    if policy.canaries() == Canaries::Nothing {
        return Ok(Vec::new());
    }
    let leaks = twintap_scrub::try_canaries(policy, key);
    for leak in &leaks {
        warn!(
            route = leak.route,
            place = leak.place,
            kinds = leak.kinds.join(" "),
            "the policy would store these personal values as they are"
        );
    }
    match (policy.canaries(), leaks.first()) {
        (Canaries::Required, Some(leak)) => bail!(
            "the policy says `canaries: required`, and would store personal values at {} places, such as {} at {} of {}; have rules give them pseudonyms",
            leaks.len(),
            leak.kinds.join(", "),
            leak.place,
            leak.route
        ),
        _ => Ok(leaks),
    }
}

/// Tells the log and the audit log what the second look quarantines.
pub struct QuarantineWatch {
    scrubber: Scrubber,
    trail: Trail,
    archive: String,
    told: SecondLookCounts,
}

impl QuarantineWatch {
    /// Of what this scrubber keeps out of the archive from now on.
    #[must_use]
    pub fn new(scrubber: Scrubber, trail: Trail, archive: &Path) -> QuarantineWatch {
        QuarantineWatch {
            told: scrubber.second_look(),
            scrubber,
            trail,
            archive: path(archive),
        }
    }

    /// Tells what was quarantined since it told the last time.
    ///
    /// # Errors
    /// When the audit log can't be told.
    pub fn tell(&mut self) -> Result<()> {
        let counts = self.scrubber.second_look();
        let exchanges = counts.quarantined - self.told.quarantined;
        if exchanges == 0 {
            return Ok(());
        }
        let before = &self.told.by_kind;
        let new = |(kind, count): (&String, &u64)| {
            let new = count - before.get(kind).copied().unwrap_or_default();
            (new > 0).then(|| (kind.clone(), new))
        };
        let kinds: BTreeMap<String, u64> = counts.by_kind.iter().filter_map(new).collect();
        warn!(
            exchanges,
            ?kinds,
            "the second look found what scrubbing let through: quarantined"
        );
        self.trail.tell(&[Event::Quarantined {
            archive: self.archive.clone(),
            exchanges,
            kinds,
        }])?;
        self.told = counts;
        Ok(())
    }

    /// Tells it from time to time until `stop` is cancelled; then the caller tells the rest.
    pub async fn watch(mut self, stop: CancellationToken) -> QuarantineWatch {
        let mut tick = tokio::time::interval(TOLD_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return self,
                _ = tick.tick() => {
                    // It is told again the next time.
                    if let Err(error) = self.tell() {
                        error!("telling of quarantined exchanges: {error:#}");
                    }
                }
            }
        }
    }
}
