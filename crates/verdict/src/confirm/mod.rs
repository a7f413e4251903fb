//! Findings whose sessions are fired again at fresh twins.
//!
//! Where a place has no noise, one difference is a finding; what proves it is that it
//! shows again. One that does not, and that one session alone showed, is kept apart: a
//! fault that comes once in a long while looks the same as a machine that hiccuped. What
//! several sessions showed, be it that others followed from it, is no hiccup, and counts
//! even where it does not show again. Nor does a session say anything that is fired again
//! and never comes to where it was in the run.
//!
//! A run without end has a draft for each period. What was fired again after one holds for
//! the same finding in later ones ([`Recollection`]).

mod recall;
mod tries;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closeup::Refired;
use crate::evidence::Evidence;
use crate::failing::drop_said;
use crate::gate::{Gate, hold};
use crate::reasons::weigh;
use crate::report::{Finding, Report, RunLedger, RunLedgers};
use recall::Place;
pub use recall::Recollection;
use tries::{Beside, confirmation, why_it_counts};

/// From so many sessions on a finding counts though it does not show again.
pub(crate) const MANY_SESSIONS: u64 = 2;

/// What came of firing a finding's sessions again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmation {
    /// What that says of the finding.
    pub outcome: ConfirmationOutcome,
    /// How often an example of it was fired again, got as far as in the run, and could be
    /// compared.
    pub fired: u64,
    /// How often it showed then.
    pub shown: u64,
    /// After which period of a run without end it was fired again, where that was an earlier
    /// one than the report's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// How many sessions of earlier periods showed it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sessions_before: u64,
    /// All of it in a sentence.
    pub statement: String,
}

/// What firing again says of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmationOutcome {
    /// It showed again.
    Confirmed,
    /// It never showed again.
    NotReproduced,
    /// Nothing was fired again that could have shown it, or it never got there.
    NotTried,
    /// It is yet to be fired again while the run goes on; the report is written anew then.
    Pending,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How sessions with findings were fired again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmationReport {
    /// How often they were, each time at freshly reset twins.
    pub rounds: u64,
    /// Exchanges that were to show their findings again, each of a session of its own.
    pub exchanges: u64,
    /// What was fired in all rounds together, with all that those depend on. None of it is
    /// in the ledgers of the run.
    pub ledgers: RunLedgers,
    /// Why nothing was fired again, or no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<String>,
}

/// A report whose findings can still be confirmed.
#[derive(Clone, Debug)]
pub struct Draft {
    report: Report,
    gate: Gate,
    doubts: Vec<String>,
    repeated: u64,
    /// By position, why firing an example again can't refute it.
    doubted: BTreeMap<u32, String>,
    /// How many sessions of earlier periods showed a finding.
    before: HashMap<Place, u64>,
}

impl Draft {
    /// `gate` is what the findings left are held to, `doubts` are the run's own reasons for saying nothing, `repeated` counts
    /// observations that came twice.
    pub(crate) fn new(report: Report, gate: Gate, doubts: Vec<String>, repeated: u64) -> Draft {
        Draft {
            report,
            gate,
            doubts,
            repeated,
            doubted: BTreeMap::new(),
            before: HashMap::new(),
        }
    }

    /// Whether firing again could say something of a finding of it.
    #[must_use]
    pub fn is_confirmable(&self) -> bool {
        self.report.findings.iter().any(can_be_confirmed)
    }

    /// The example at a position, if a finding has one there.
    #[must_use]
    pub fn example(&self, position: u32) -> Option<&Evidence> {
        let findings = self.report.findings.iter();
        let mut examples = findings.flat_map(|finding| &finding.evidence);
        examples.find(|example| example.position == position)
    }

    /// Takes note that firing the example at a position again does not refute it, if it is
    /// fired at all, and why; that it shows still proves it.
    pub fn doubt(&mut self, position: u32, why: String) {
        self.doubted.insert(position, why);
    }

    /// Takes over what firing again after earlier periods said of the same findings.
    pub fn recall(&mut self, recollection: &Recollection) {
        for finding in &mut self.report.findings {
            if can_be_confirmed(finding)
                && let Some(known) = recollection.of(finding)
            {
                self.before.insert(Place::of(finding), known.sessions());
                finding.confirmation = known.confirmation(finding);
            }
        }
    }

    /// The report as it is until sessions were fired again.
    #[must_use]
    pub fn until_confirmed(mut self) -> Report {
        for finding in &mut self.report.findings {
            if is_open(finding) {
                finding.confirmation = Some(Confirmation {
                    outcome: ConfirmationOutcome::Pending,
                    fired: 0,
                    shown: 0,
                    period: None,
                    sessions_before: 0,
                    statement: "Not confirmed yet: its session is to be fired again while the run \
                                goes on, and this report is written anew then."
                        .to_owned(),
                });
            }
        }
        self.finish()
    }

    /// Positions of exchanges that show what can be confirmed, in the order in which they
    /// are worth firing again: an example of each finding before a second one of any, and
    /// the rarest findings first.
    #[must_use]
    pub fn to_confirm(&self) -> Vec<u32> {
        let findings = self.report.findings.iter();
        let mut findings: Vec<&Finding> = findings.filter(|one| is_open(one)).collect();
        findings.sort_by_key(|finding| (finding.sessions, finding.count));
        let most = findings.iter().map(|finding| finding.evidence.len()).max();
        let mut known = BTreeSet::new();
        (0..most.unwrap_or(0))
            .flat_map(|place| {
                findings
                    .iter()
                    .filter_map(move |one| one.evidence.get(place))
            })
            .map(|example| example.position)
            .filter(|position| known.insert(*position))
            .collect()
    }

    /// Takes what came of firing exchanges again, by their positions in the run's plan,
    /// round by round; `ended_early` says why that is not all that was wanted.
    pub fn confirm(&mut self, rounds: &[Refired], ended_early: Option<&str>) {
        let mut report = ConfirmationReport {
            rounds: rounds.len() as u64,
            ended_early: ended_early.map(str::to_owned),
            ..ConfirmationReport::default()
        };
        let mut fired = BTreeSet::new();
        for round in rounds {
            let exchanges = round.exchanges.iter().map(|closeup| &closeup.exchange);
            fired.extend(exchanges.map(|one| (&one.exchange, &one.session)));
            add(&mut report.ledgers.candidate, &round.ledgers.candidate);
            add(&mut report.ledgers.baseline, &round.ledgers.baseline);
        }
        report.exchanges = fired.len() as u64;
        for finding in &mut self.report.findings {
            if is_open(finding) {
                let before = self.before.get(&Place::of(finding));
                let beside = Beside {
                    why_not: ended_early,
                    doubted: &self.doubted,
                    sessions_before: before.copied().unwrap_or(0),
                };
                finding.confirmation = Some(confirmation(finding, rounds, beside));
            }
        }
        self.report.confirmation = Some(report);
    }

    /// The report, with its verdict.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let findings = std::mem::take(&mut self.report.findings);
        let (kept, gone): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(counts);
        self.report.findings = kept;
        self.report.not_reproduced = gone;
        drop_said(&mut self.report.findings);
        for (finding, number) in self.report.not_reproduced.iter_mut().zip(1..) {
            finding.id = format!("N{number}");
            finding.related = Vec::new();
        }
        self.report.gate = hold(&self.gate, &mut self.report);
        let floors = &self.gate.fidelity;
        let (verdict, reasons) = weigh(&self.report, self.doubts, self.repeated, floors);
        self.report.verdict = verdict;
        self.report.reasons = reasons;
        self.report.reasons.extend(apart(&self.report));
        self.report
    }
}

/// Whether one difference was enough for it, and an exchange can show it.
fn can_be_confirmed(finding: &Finding) -> bool {
    let test = &finding.test;
    test.level.is_none() && test.p_value.is_none() && !finding.evidence.is_empty()
}

/// Whether that is still to be done.
fn is_open(finding: &Finding) -> bool {
    can_be_confirmed(finding) && finding.confirmation.is_none()
}

/// Whether it is held against the candidate.
fn counts(finding: &Finding) -> bool {
    finding.confirmation.as_ref().is_none_or(|made| {
        made.outcome != ConfirmationOutcome::NotReproduced
            || why_it_counts(finding, made.sessions_before).is_some()
    })
}

/// What is no finding since it did not show again, in a sentence.
fn apart(report: &Report) -> Option<String> {
    let gone = report.not_reproduced.len();
    let what = match gone {
        0 => return None,
        1 => "1 difference".to_owned(),
        _ => format!("{gone} differences"),
    };
    Some(format!(
        "{what} of one session each did not show again when the session was fired again at fresh \
         twins: listed as not reproduced, and no finding."
    ))
}

fn add(sum: &mut RunLedger, more: &RunLedger) {
    sum.planned += more.planned;
    sum.answered += more.answered;
    sum.errored += more.errored;
    sum.refused += more.refused;
    sum.skipped += more.skipped;
    sum.unexplained += more.unexplained;
    for (into, from) in [
        (&mut sum.errored_by_cause, &more.errored_by_cause),
        (&mut sum.refused_by_cause, &more.refused_by_cause),
        (&mut sum.skipped_by_cause, &more.skipped_by_cause),
    ] {
        for (cause, count) in from {
            *into.entry(cause.clone()).or_default() += count;
        }
    }
}
