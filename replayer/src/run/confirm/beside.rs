//! Confirming the findings of periods while the run goes on.

use std::thread;
use std::time::Duration;

use tracing::{error, info};
use twintap_verdict::{Draft, Report};

use super::desk::{Desk, Waiting};
use super::{Again, options_at};
use crate::fire::{Options, RunControl, Steering, go_behind};
use crate::run::file::RunFile;
use crate::run::periods::write_period;
use crate::run::prepare::Prepared;

/// How often it is looked whether a draft waits.
const LOOK: Duration = Duration::from_millis(50);
/// Requests in flight at one twin: the run beside it wants the processors.
const IN_FLIGHT: usize = 8;
/// Of the memory that the run may take for answers and for reading ahead, one in so many is
/// for this.
const SHARE_OF_MEMORY: usize = 4;

/// Where the requests of a run are found again.
pub trait Recording {
    /// A plan with these examples of a draft.
    ///
    /// # Errors
    /// Says why there is none.
    fn find(&mut self, draft: &Draft, wanted: &[u32]) -> Result<Found<'_>, String>;

    /// Nothing more is fired of what was found.
    fn let_go(&mut self) {}
}

/// Examples of findings in a plan.
pub struct Found<'a> {
    /// With the plan.
    pub prepared: &'a Prepared,
    /// Of each example its position in what was judged, and in the plan.
    pub examples: Vec<(u32, u32)>,
    /// Why examples can't be fired again as they were, or at all.
    pub doubts: Vec<(u32, String)>,
}

/// Fires the findings of periods again beside their run, at twins of their own.
pub struct Beside<'a> {
    file: &'a RunFile,
    /// As the run file says, with those twins.
    fresh: Option<RunFile>,
    control: &'a RunControl,
    /// How the run is fired.
    options: &'a Options,
    desk: Desk,
}

impl<'a> Beside<'a> {
    /// Takes drafts from the desk.
    pub fn new(
        file: &'a RunFile,
        control: &'a RunControl,
        options: &'a Options,
        desk: Desk,
    ) -> Beside<'a> {
        let mut fresh = file.at_fresh_twins();
        if let Some(fresh) = &mut fresh {
            let limits = &mut fresh.settings.limits;
            limits.in_flight = Some(limits.in_flight.unwrap_or(IN_FLIGHT).min(IN_FLIGHT));
            limits.held_answer_bytes /= SHARE_OF_MEMORY;
            limits.read_ahead_bytes /= SHARE_OF_MEMORY;
        }
        Beside {
            file,
            fresh,
            control,
            options,
            desk,
        }
    }

    /// Goes on until the run is stopped. What is under way then is given up.
    pub fn run(self, mut recording: impl Recording) {
        let Some(fresh) = &self.fresh else {
            return;
        };
        go_behind();
        while self.control.steering() != Steering::Stop {
            match self.desk.next() {
                Some(Waiting { period, mut draft }) => {
                    self.confirm(&mut draft, fresh, &mut recording);
                    recording.let_go();
                    self.desk.learn(period, &draft);
                    self.write(period, &draft.finish());
                }
                None => thread::sleep(LOOK),
            }
        }
        for (period, report) in self.desk.close() {
            self.write(period, &report);
        }
    }

    fn confirm(&self, draft: &mut Draft, fresh: &RunFile, recording: &mut impl Recording) {
        let wanted = draft.to_confirm();
        if wanted.is_empty() {
            return;
        }
        let found = match recording.find(draft, &wanted) {
            Ok(found) => found,
            Err(why) => return draft.confirm(&[], Some(&why)),
        };
        for (position, why) in found.doubts {
            draft.doubt(position, why);
        }
        if found.examples.is_empty() {
            return draft.confirm(&[], None);
        }
        let prepared = found.prepared;
        let options = match options_at(fresh, prepared, self.options) {
            Ok(options) => Options {
                threads: 1,
                goes_first: false,
                max_spin: Duration::ZERO,
                // The run must not wait for it when it is stopped.
                stop_grace: Duration::ZERO,
                ..options
            },
            Err(error) => return draft.confirm(&[], Some(&format!("{error:#}"))),
        };
        let again = Again {
            file: fresh,
            prepared,
            options: &options,
            control: self.control,
        };
        again.confirm_at(draft, &found.examples, &mut |_| {});
    }

    fn write(&self, period: u64, report: &Report) {
        let verdict = report.verdict.name();
        match write_period(self.file, period, report) {
            Ok(()) => info!(period, verdict, "the report of a period is written anew"),
            Err(error) => error!(period, "the report of a period stays as it was: {error:#}"),
        }
    }
}
