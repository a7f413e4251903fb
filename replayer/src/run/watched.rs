//! Runs that end as soon as they know enough.

use twintap_verdict::{Judge, Observation};

use super::compare::Case;
use super::file::RunFile;
use crate::fire::{RunControl, Steering};

/// The judge of a run that has one.
pub struct Watched<'a> {
    /// It sees all of the run.
    pub judge: Judge,
    /// What the run file says.
    pub file: &'a RunFile,
    /// The run's.
    pub control: &'a RunControl,
    /// Sees each request before the judge does.
    pub watch: &'a mut dyn FnMut(&Observation),
}

impl Case for Watched<'_> {
    fn observe(&mut self, observation: Observation) {
        (self.watch)(&observation);
        self.judge.observe(observation);
        stop_on_alarm(self.file, self.control, self.judge.is_alarm());
    }
}

/// Ends a run that was told to on an alarm.
pub fn stop_on_alarm(file: &RunFile, control: &RunControl, is_alarm: bool) {
    if is_alarm && file.settings.verdict.stop_early && control.steering() != Steering::Stop {
        control.stop();
    }
}
