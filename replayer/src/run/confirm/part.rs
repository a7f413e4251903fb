//! Exchanges that are fired alone, with everything that they depend on.

use twintap_plan::{Pace, Plan};
use twintap_verdict::{Closeup, Judge, Refired};

use crate::fire::{Options, RunControl};
use crate::run::file::RunFile;
use crate::run::once::Shot;
use crate::run::prepare::Prepared;

/// The most requests that are fired in a round.
pub(super) const MOST_REQUESTS: usize = 20_000;

/// Exchanges that are fired alone, with everything that they depend on.
pub struct Part {
    /// Their plan, due at once.
    pub plan: Plan,
    /// By position in it, that in the plan of the run.
    positions: Vec<u32>,
    /// Positions in it of what is to be looked at.
    pub(super) wanted: Vec<u32>,
}

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
    pub(super) fn within(plan: &Plan, wanted: &[u32], most: u32) -> Part {
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
            // Nothing is due by the clock.
            stay_awake: false,
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
