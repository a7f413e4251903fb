//! Firing sessions again that carry findings, at freshly reset twins.

use tracing::{info, warn};
use twintap_plan::{Pace, Plan};
use twintap_verdict::{Closeup, Draft, Judge, Refired};

use super::file::{Confirm, ConfirmSettings, RunFile};
use super::hooks;
use super::once::Shot;
use super::prepare::Prepared;
use super::{Phase, Progress};
use crate::fire::{Options, RunControl, Steering};

/// The most requests that are fired again in a round.
const MOST_REQUESTS: usize = 20_000;

/// A run that is over, and may be fired again in part.
pub struct Again<'a> {
    /// As the run file says.
    pub file: &'a RunFile,
    /// Out of this archive.
    pub prepared: &'a Prepared,
    /// As the run was fired.
    pub options: &'a Options,
    /// That of the run.
    pub control: &'a RunControl,
}

/// Exchanges that are fired alone, with everything that they depend on.
pub struct Part {
    /// Their plan, due at once.
    pub plan: Plan,
    /// By position in it, that in the plan of the run.
    positions: Vec<u32>,
    /// Positions in it of what is to be looked at.
    wanted: Vec<u32>,
}

impl Again<'_> {
    /// Fires examples of findings again, as far as that proves something, and tells the
    /// draft what came of it. What goes wrong then is said in the report: it ends no run.
    pub fn confirm(&self, draft: &mut Draft, progress: &mut dyn FnMut(Progress)) {
        let wanted = draft.to_confirm();
        if wanted.is_empty() {
            return;
        }
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(why_not) => return draft.confirm(&[], Some(&why_not)),
        };
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
            match self.round(&part, progress) {
                Ok(refired) => rounds.push(refired),
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
    fn settings(&self) -> Result<ConfirmSettings, String> {
        let Confirm::On(settings) = self.file.settings.confirm else {
            return Err("`confirm` is off".to_owned());
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

    fn round(&self, part: &Part, progress: &mut dyn FnMut(Progress)) -> Result<Refired, String> {
        let said = |error: anyhow::Error| format!("{error:#}");
        progress(Progress::of(Phase::Confirming, self.control));
        let twins = self.file.settings.targets.both();
        hooks::prepare(twins, self.file, &self.prepared.captured, self.control).map_err(said)?;
        let own = RunControl::new().map_err(|error| said(error.into()))?;
        let mut tick = || {
            match self.control.steering() {
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
        match own.steering() {
            Steering::Stop => Err(STOPPED.to_owned()),
            Steering::Go | Steering::Pause => Ok(refired),
        }
    }
}

const STOPPED: &str = "the run was stopped";

impl Part {
    /// The requests at `wanted`, with everything that they depend on.
    pub fn of(plan: &Plan, wanted: &[u32]) -> Part {
        let positions = plan.closure_of(wanted);
        let place = |position: &u32| positions.binary_search(position).ok();
        Part {
            plan: plan.only(&positions).at_once(),
            // A plan counts its requests in 32 bits.
            wanted: wanted
                .iter()
                .filter_map(place)
                .map(|at| at as u32)
                .collect(),
            positions,
        }
    }

    /// Likewise, as many of them as are within so many, and within [`MOST_REQUESTS`].
    fn within(plan: &Plan, wanted: &[u32], most: u32) -> Part {
        let mut taken: Vec<u32> = Vec::new();
        for position in wanted {
            if taken.len() >= most as usize {
                break;
            }
            taken.push(*position);
            if plan.closure_of(&taken).len() > MOST_REQUESTS {
                taken.pop();
            }
        }
        Part::of(plan, &taken)
    }

    /// Fires it at the twins as they are.
    ///
    /// # Errors
    /// As [`Shot::fire`].
    pub fn fire(
        &self,
        file: &RunFile,
        prepared: &Prepared,
        options: &Options,
        control: &RunControl,
        tick: &mut dyn FnMut(),
    ) -> anyhow::Result<Refired> {
        let options = Options {
            pace: Pace::Asap,
            max_in_flight: file.settings.max_in_flight(Pace::Asap),
            // One exchange tells nothing of what varies.
            second_baseline: None,
            ..options.clone()
        };
        let shot = Shot {
            file,
            prepared,
            plan: &self.plan,
            options: &options,
            warm_up_ns: 0,
        };
        let judge = Judge::new(file.rules()?).with_closeups(self.wanted.iter().copied());
        let fired = shot.fire(judge, control, tick)?;
        let mut refired = fired.case.into_closeups(self.plan.requests.len() as u64);
        for Closeup { exchange, .. } in &mut refired.exchanges {
            let own = self.positions.get(exchange.position as usize);
            exchange.position = own.copied().unwrap_or(exchange.position);
        }
        Ok(refired)
    }
}
