//! What sessions did before an exchange: where a difference comes from can lie there.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::observation::{Observation, Outcome};
use crate::tally::Session;

/// Steps of all sessions that are remembered.
const MOST_REMEMBERED: usize = 20_000;
/// Steps that an example has.
const MOST_STEPS: usize = 8;
/// The longest request line, in characters.
const MOST_CHARS: usize = 120;

/// An exchange that a session had before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Its position in the plan.
    pub position: u32,
    /// The request's method and target.
    pub request: String,
    /// What became of it at the baseline: a status, or why there is none.
    pub baseline: String,
    /// What became of it at the candidate.
    pub candidate: String,
}

/// The latest steps, by their place in the plan.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<(Session, Step)>);

impl History {
    pub(crate) fn add(&mut self, session: Session, observation: &Observation) {
        if self.0.len() == MOST_REMEMBERED {
            self.0.pop_front();
        }
        let head = &observation.request;
        let request = [&head.method, &head.target]
            .map(|part| String::from_utf8_lossy(part))
            .join(" ");
        let step = Step {
            position: observation.position,
            request: request.chars().take(MOST_CHARS).collect(),
            baseline: end(&observation.baseline),
            candidate: end(&observation.candidate),
        };
        self.0.push_back((session, step));
    }

    /// The session's latest steps, the latest last.
    pub(crate) fn of(&self, session: Session) -> Vec<Step> {
        let latest = self.0.iter().rev().filter(|(of, _)| *of == session);
        let mut steps: Vec<Step> = latest
            .take(MOST_STEPS)
            .map(|(_, step)| step.clone())
            .collect();
        steps.reverse();
        steps
    }
}

fn end(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { answer, .. } => answer.head.status.to_string(),
        Outcome::Errored { kind, .. } => kind.clone(),
        Outcome::Refused(cause) | Outcome::Skipped(cause) => format!("not fired: {cause}"),
    }
}
