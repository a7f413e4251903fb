//! What a run works with: the archive, its policy and key, and the plan.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use twintap_archive::{Checkpoint, Reader, StoredExchange};
use twintap_plan::{Plan, PlanOptions, Planner};
use twintap_scrub::{Action, BodyFate, Encoding, ExchangeRecord, Part, Scrubber};

use super::file::RunFile;
use super::targets::{Captured, Resolver};
use crate::keys;

/// Everything that is known before anything is sent.
pub struct Prepared {
    /// The archive.
    pub reader: Reader,
    /// What was committed with it last.
    pub checkpoint: Option<Checkpoint>,
    /// With the archive's policy and key.
    pub scrubber: Scrubber,
    /// The plan.
    pub plan: Plan,
    /// What no run may send to.
    pub captured: Captured,
    /// Known loss in reading the archive, by name.
    pub loss: BTreeMap<String, u64>,
}

/// Exchanges by which the key is checked.
const KEY_SAMPLES: usize = 200;

impl Prepared {
    /// Opens the archive, checks that policy and key are those that it was scrubbed
    /// with, and makes the plan.
    ///
    /// # Errors
    /// When one of these can't be read, or does not belong to the others.
    pub fn new(file: &RunFile) -> Result<Prepared> {
        Prepared::with(file, false)
    }

    /// Likewise, with the reason of every decision in the plan.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn explained(file: &RunFile) -> Result<Prepared> {
        Prepared::with(file, true)
    }

    fn with(file: &RunFile, explain: bool) -> Result<Prepared> {
        let options = PlanOptions {
            explain,
            ..plan_options(file)?
        };
        let Opened {
            reader,
            checkpoint,
            scrubber,
        } = Opened::new(file)?;
        let captured = Captured::new(checkpoint.as_ref());
        let mut preparation = Preparation {
            checks: Checks::new(file, &scrubber, captured),
            loss: BTreeMap::new(),
        };
        let plan = preparation.plan(&reader, options)?;
        let load = file.settings.load(copies_key(&scrubber));
        let plan = plan.with_load(&load)?;
        let Preparation { checks, loss, .. } = preparation;
        let captured = checks.captured;
        Ok(Prepared {
            reader,
            checkpoint,
            scrubber,
            plan,
            captured,
            loss,
        })
    }
}

/// An archive with what was committed and how it was scrubbed.
pub struct Opened {
    /// The archive.
    pub reader: Reader,
    /// What was committed with it last.
    pub checkpoint: Option<Checkpoint>,
    /// With the archive's policy and key, as the run file names them.
    pub scrubber: Scrubber,
}

impl Opened {
    /// Opens what the run file names.
    ///
    /// # Errors
    /// When one of these can't be read.
    pub fn new(file: &RunFile) -> Result<Opened> {
        let reader = Reader::open(&file.archive)
            .with_context(|| format!("opening the archive {}", file.archive.display()))?;
        let checkpoint = reader.checkpoint().context("reading the checkpoint")?;
        let policy = keys::load_policy(&file.policy)?;
        let key = keys::load_key(&file.key)?;
        Ok(Opened {
            reader,
            checkpoint,
            scrubber: Scrubber::new(policy, &key),
        })
    }
}

/// What the planner goes by.
///
/// # Errors
/// When the bindings file can't be read, or says what none may.
pub fn plan_options(file: &RunFile) -> Result<PlanOptions> {
    Ok(PlanOptions {
        bindings: file.binding_rules()?,
        ..file.plan_options()
    })
}

/// The plan of all that an archive has.
pub fn plan(reader: &Reader, options: PlanOptions) -> Plan {
    let mut planner = Planner::new(options);
    for stored in reader.exchanges().flatten() {
        planner.note_request(&stored.record);
    }
    for stored in reader.exchanges().flatten() {
        let dropped = matches!(stored.record.request.body, BodyFate::Dropped(_));
        planner.add(&stored.record, !dropped);
    }
    planner.finish()
}

struct Preparation<'a> {
    checks: Checks<'a>,
    loss: BTreeMap<String, u64>,
}

impl Preparation<'_> {
    fn plan(&mut self, reader: &Reader, options: PlanOptions) -> Result<Plan> {
        let mut planner = Planner::new(options);
        for stored in reader.exchanges().flatten() {
            self.checks.check(&stored)?;
            planner.note_request(&stored.record);
        }
        let mut exchanges = reader.exchanges();
        for stored in exchanges.by_ref().flatten() {
            let dropped = matches!(stored.record.request.body, BodyFate::Dropped(_));
            planner.add(&stored.record, !dropped);
        }
        let losses = [
            ("archive_places_damaged", exchanges.damaged()),
            ("archive_blocks_unknown", exchanges.unknown()),
        ];
        for (name, count) in losses {
            if count > 0 {
                self.loss.insert(name.to_owned(), count);
            }
        }
        Ok(planner.finish())
    }
}

/// The key of what sets copies of a session apart, made of the archive's.
pub fn copies_key(scrubber: &Scrubber) -> [u8; 32] {
    let mut key = [0; 32];
    for (place, part) in key.chunks_exact_mut(8).enumerate() {
        let tag = scrubber.link_tag(format!("copies {place}").as_bytes());
        part.copy_from_slice(&tag.0.to_le_bytes());
    }
    key
}

/// What is looked at in each exchange before it is planned.
pub struct Checks<'a> {
    file: &'a RunFile,
    scrubber: &'a Scrubber,
    /// What no run may send to, with the servers of all exchanges so far.
    pub captured: Captured,
    key_samples: usize,
    resolver: Option<Resolver>,
}

impl<'a> Checks<'a> {
    /// Nothing was looked at yet.
    pub fn new(file: &'a RunFile, scrubber: &'a Scrubber, captured: Captured) -> Checks<'a> {
        Checks {
            file,
            scrubber,
            captured,
            key_samples: KEY_SAMPLES,
            resolver: None,
        }
    }

    /// Tells it of each new server, which no name may lead to from then on.
    pub fn telling(self, resolver: Resolver) -> Checks<'a> {
        Checks {
            resolver: Some(resolver),
            ..self
        }
    }

    /// Takes note of the exchange's server; says whether it is a new one.
    ///
    /// # Errors
    /// When the exchange was scrubbed with another policy or key than the run's.
    pub fn check(&mut self, stored: &StoredExchange) -> Result<bool> {
        let server = stored.exchange().endpoints.server;
        let is_new = self.captured.servers.insert(server);
        if let Some(resolver) = self.resolver.as_ref().filter(|_| is_new) {
            resolver.note(server);
        }
        let (archived, given) = (&stored.record.policy, self.scrubber.policy_hash());
        if archived != given {
            bail!(
                "the archive {} was scrubbed with policy {}, but `policy` ({}) is {}; answers \
                 scrubbed in another way can't be compared: name the policy it was captured with",
                self.file.archive.display(),
                archived.0,
                self.file.policy,
                given.0
            );
        }
        if self.key_samples > 0
            && let Some(is_same) = is_key_of(self.scrubber, &stored.record)
        {
            self.key_samples -= 1;
            if !is_same {
                bail!(
                    "the archive {} was scrubbed with another key than that in {}; set `key` to \
                     the key file that was used",
                    self.file.archive.display(),
                    self.file.key.display()
                );
            }
        }
        Ok(is_new)
    }
}

/// Whether a value that the policy allows, and so stands there as it was, has the
/// tag that this key gives it. `None` where there is none to look at.
fn is_key_of(scrubber: &Scrubber, record: &ExchangeRecord) -> Option<bool> {
    let head = record.exchange.request.head.as_ref()?;
    let leaves = record.request.leaves.iter();
    let mut plain =
        leaves.filter(|leaf| leaf.action == Action::Allowed && leaf.encoding == Encoding::Plain);
    plain.find_map(|leaf| {
        let part = match leaf.part {
            Part::Target => &head.target,
            Part::Field(index) => &head.fields.get(index as usize)?.value,
            Part::Body => return None,
        };
        let start = leaf.start as usize;
        let value = part.get(start..start + leaf.len as usize)?;
        Some(scrubber.link_tag(value) == leaf.tag)
    })
}
