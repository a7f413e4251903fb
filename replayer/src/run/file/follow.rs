//! What a run file says of a run without end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fire::WhenDown;
use crate::run::values::Span;

/// The run goes on with what is stored while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FollowSettings {
    /// From a recorded request to its being due.
    pub delay: Span,
    /// What becomes of the schedule while a twin can't be reached.
    pub when_down: WhenDown,
    /// Memory for what later requests may refer to: recorded exchanges, and as much
    /// again for each twin's answers.
    pub memory_bytes: usize,
    /// How long a period is, which is judged as a run of its own.
    pub report_every: Span,
}

impl Default for FollowSettings {
    fn default() -> FollowSettings {
        FollowSettings {
            delay: Span(Duration::from_secs(30)),
            when_down: WhenDown::default(),
            memory_bytes: 64 << 20,
            report_every: Span(Duration::from_secs(3600)),
        }
    }
}

impl FollowSettings {
    /// What these can't be.
    pub(super) fn check(&self) -> Result<(), String> {
        // Exchanges have to be committed before they are due.
        const LEAST: Duration = Duration::from_secs(1);
        if self.delay.0 < LEAST {
            return Err(format!(
                "follow.delay must be {LEAST:?} or more, not {:?}",
                self.delay.0
            ));
        }
        Ok(())
    }
}
