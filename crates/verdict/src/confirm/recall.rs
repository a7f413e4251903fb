//! What firing again said of findings, from period to period of a run without end.

use std::collections::{BTreeSet, HashMap};

use super::tries::statement;
use super::{Confirmation, ConfirmationOutcome, Draft};
use crate::kind::Kind;
use crate::report::Finding;

/// The most findings that are remembered; those that showed longest ago go first.
const MOST_KNOWN: usize = 4096;

/// What firing again said of findings after the periods of a run so far.
///
/// What was confirmed once stays so wherever it shows. What was not reproduced is not fired
/// again for the same exchanges; other ones may show it yet.
#[derive(Clone, Debug, Default)]
pub struct Recollection {
    known: HashMap<Place, Known>,
}

/// What makes two findings of two periods the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    endpoint: String,
    kind: Kind,
    location: String,
}

impl Place {
    /// That of a finding.
    pub(super) fn of(finding: &Finding) -> Place {
        Place {
            endpoint: finding.endpoint.clone(),
            kind: finding.kind,
            location: finding.location.clone(),
        }
    }
}

/// What is known of one finding.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// What came of it.
    made: Confirmation,
    /// After which period.
    period: u64,
    /// The examples that it had then.
    exchanges: BTreeSet<String>,
    /// Sessions that showed it, in all periods so far.
    sessions: u64,
    /// The last period that it showed in.
    latest: u64,
}

impl Recollection {
    /// Learns what firing again after a period, counted from 1, said of its findings. Once
    /// for each period, after [`Draft::confirm`].
    pub fn learn(&mut self, period: u64, draft: &Draft) {
        for finding in &draft.report.findings {
            let Some(made) = &finding.confirmation else {
                continue;
            };
            let place = Place::of(finding);
            if made.period.is_some() {
                if let Some(known) = self.known.get_mut(&place) {
                    known.sessions += finding.sessions;
                    known.latest = period;
                }
            } else if is_told(made.outcome) {
                let exchanges = finding.evidence.iter().map(|one| one.exchange.clone());
                let known = Known {
                    made: made.clone(),
                    period,
                    exchanges: exchanges.collect(),
                    sessions: made.sessions_before + finding.sessions,
                    latest: period,
                };
                self.known.insert(place, known);
            }
        }
        self.forget();
    }

    /// What is known of a finding.
    pub(super) fn of(&self, finding: &Finding) -> Option<&Known> {
        self.known.get(&Place::of(finding))
    }

    fn forget(&mut self) {
        let too_many = self.known.len().saturating_sub(MOST_KNOWN);
        if too_many > 0 {
            let mut periods: Vec<u64> = self.known.values().map(|one| one.latest).collect();
            periods.sort_unstable();
            let last = periods[too_many - 1];
            self.known.retain(|_, one| one.latest > last);
        }
    }
}

impl Known {
    /// Sessions that showed it, in all periods so far.
    pub(super) fn sessions(&self) -> u64 {
        self.sessions
    }

    /// What it says of the finding in a later period, if anything.
    pub(super) fn confirmation(&self, finding: &Finding) -> Option<Confirmation> {
        let is_confirmed = self.made.outcome == ConfirmationOutcome::Confirmed;
        let mut examples = finding.evidence.iter();
        if !is_confirmed && !examples.all(|one| self.exchanges.contains(&one.exchange)) {
            return None;
        }
        let mut made = Confirmation {
            period: Some(self.period),
            sessions_before: self.sessions,
            ..self.made.clone()
        };
        made.statement = statement(finding, &made);
        Some(made)
    }
}

/// Whether firing again said anything.
fn is_told(outcome: ConfirmationOutcome) -> bool {
    matches!(
        outcome,
        ConfirmationOutcome::Confirmed | ConfirmationOutcome::NotReproduced
    )
}
