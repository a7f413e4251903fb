//! Firing sessions again that carry findings, at freshly reset twins: after a run that ends,
//! or beside one that goes on.

mod beside;
mod desk;
mod part;

use std::collections::HashMap;
use std::time::Instant;

use tracing::{info, warn};
use twintap_verdict::{Closeup, Draft, Refired};

use super::file::{Confirm, ConfirmSettings, RunFile};
use super::prepare::Prepared;
use super::targets::{Addresses, check_fresh};
use super::{Phase, Progress, hooks, options};
use crate::fire::{Options, RunControl, Steering};
pub use beside::{Beside, Found, Recording};
pub use desk::Desk;
use part::MOST_REQUESTS;
pub use part::Part;

/// Sessions that may be fired again.
pub struct Again<'a> {
    /// As the run file says; its twins are those that are fired at.
    pub file: &'a RunFile,
    /// Out of this archive.
    pub prepared: &'a Prepared,
    /// How they are fired.
    pub options: &'a Options,
    /// That of the run.
    pub control: &'a RunControl,
}

/// How twins for confirmation are fired at; `run` is how those of the run were.
///
/// # Errors
/// When they must not be fired at.
fn options_at(fresh: &RunFile, prepared: &Prepared, run: &Options) -> anyhow::Result<Options> {
    let own = Addresses {
        twins: run.targets.clone(),
        services: run.services.clone(),
        second_baseline: run.second_baseline.as_deref().cloned(),
    };
    let addresses = check_fresh(fresh, &own, &prepared.captured)?;
    Ok(options(fresh, addresses, &prepared.scrubber))
}

impl Again<'_> {
    /// Fires examples of findings of a run that is over again, as far as that proves
    /// something: at the twins for confirmation, where the run file has such. Tells the draft
    /// what came of it. What goes wrong then is said in the report: it ends no run.
    pub fn confirm(&self, draft: &mut Draft, progress: &mut dyn FnMut(Progress)) {
        let wanted = draft.to_confirm();
        if wanted.is_empty() {
            return;
        }
        let own: Vec<(u32, u32)> = wanted.iter().map(|at| (*at, *at)).collect();
        let Some(file) = &self.file.at_fresh_twins() else {
            return self.confirm_at(draft, &own, progress);
        };
        match &options_at(file, self.prepared, self.options) {
            Ok(options) => {
                let again = Again {
                    file,
                    options,
                    ..*self
                };
                again.confirm_at(draft, &own, progress);
            }
            Err(error) => draft.confirm(&[], Some(&format!("{error:#}"))),
        }
    }

    /// Fires examples again at the twins of `file`: each has its position in what was judged
    /// and that in the plan that is at hand.
    fn confirm_at(
        &self,
        draft: &mut Draft,
        examples: &[(u32, u32)],
        progress: &mut dyn FnMut(Progress),
    ) {
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(why_not) => return draft.confirm(&[], Some(&why_not)),
        };
        let mut wanted = Vec::new();
        let mut judged: HashMap<u32, Vec<u32>> = HashMap::new();
        for (own, planned) in examples {
            let same = judged.entry(*planned).or_default();
            if same.is_empty() {
                wanted.push(*planned);
            }
            same.push(*own);
        }
        let part = Part::within(&self.prepared.plan, &wanted, settings.sessions);
        let mut rounds = Vec::new();
        let mut ended_early = None;
        for round in 1..=settings.rounds.get() {
            info!(
                round,
                exchanges = part.wanted.len(),
                requests = part.plan.requests.len(),
                "findings are fired again"
            );
            match self.round(&part, settings, progress) {
                Ok(refired) => rounds.push(spread(refired, &judged)),
                Err(why) => {
                    warn!("findings could not be fired again: {why}");
                    ended_early = Some(why);
                    break;
                }
            }
        }
        if ended_early.is_none() && part.wanted.len() < wanted.len() {
            ended_early = Some(format!(
                "{} of {} examples of findings were fired again: no more than {} sessions \
                 (`confirm.sessions`) and {MOST_REQUESTS} requests are",
                part.wanted.len(),
                wanted.len(),
                settings.sessions
            ));
        }
        draft.confirm(&rounds, ended_early.as_deref());
    }

    /// How much is fired again.
    ///
    /// # Errors
    /// Says why it would prove nothing.
    fn settings(&self) -> Result<&ConfirmSettings, String> {
        let Confirm::On(settings) = &self.file.settings.confirm else {
            return Err(IS_OFF.to_owned());
        };
        if self.control.steering() == Steering::Stop {
            return Err(STOPPED.to_owned());
        }
        // Twins on which a run was fired are where no session began.
        for (twin, target) in self.file.settings.targets.both() {
            if target.reset.is_none() {
                return Err(format!("no `reset` hook brings the {twin} back"));
            }
        }
        Ok(settings)
    }

    fn round(
        &self,
        part: &Part,
        settings: &ConfirmSettings,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Refired, String> {
        let said = |error: anyhow::Error| format!("{error:#}");
        progress(Progress::of(Phase::Confirming, self.control));
        let twins = self.file.settings.targets.both();
        hooks::prepare(twins, self.file, &self.prepared.captured, self.control).map_err(said)?;
        let own = RunControl::new().map_err(|error| said(error.into()))?;
        let begun = Instant::now();
        let is_late = || begun.elapsed() > settings.within.0;
        let mut tick = || {
            match self.control.steering() {
                _ if is_late() => own.stop(),
                Steering::Stop => own.stop(),
                Steering::Pause => own.pause(),
                Steering::Go => own.resume(),
            }
            progress(Progress::of(Phase::Confirming, &own));
        };
        tick();
        let refired = part
            .fire(self.file, self.prepared, self.options, &own, &mut tick)
            .map_err(said)?;
        match (own.steering(), self.control.steering()) {
            (Steering::Go | Steering::Pause, _) => Ok(refired),
            (Steering::Stop, Steering::Stop) => Err(STOPPED.to_owned()),
            (Steering::Stop, _) => Err(format!(
                "a round took longer than {} (`confirm.within`)",
                settings.within
            )),
        }
    }
}

/// What was fired once stands for every example that it is of.
fn spread(refired: Refired, judged: &HashMap<u32, Vec<u32>>) -> Refired {
    let exchanges = refired.exchanges.into_iter().flat_map(|closeup| {
        let own = judged.get(&closeup.exchange.position);
        let own = own.into_iter().flatten();
        own.map(move |position| {
            let mut closeup: Closeup = closeup.clone();
            closeup.exchange.position = *position;
            closeup
        })
    });
    Refired {
        exchanges: exchanges.collect(),
        ledgers: refired.ledgers,
    }
}

/// Why nothing more is fired again.
pub const STOPPED: &str = "the run was stopped";
const IS_OFF: &str = "`confirm` is off";
