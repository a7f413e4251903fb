//! Findings whose sessions are fired again at fresh twins.
//!
//! Where a place has no noise, one difference is a finding; what proves it is that it
//! shows again. One that does not, and that one session alone showed, is kept apart: a
//! fault that comes once in a long while looks the same as a machine that hiccuped. What
//! several sessions showed, be it that others followed from it, is no hiccup, and counts
//! even where it does not show again. Nor does a session say anything that is fired again
//! and never comes to where it was in the run.

use std::collections::BTreeSet;
use std::iter::successors;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closeup::{Closeup, Refired, Shown};
use crate::compare::{around, is_in_text};
use crate::evidence::Evidence;
use crate::failing::drop_said;
use crate::gate::{Gate, hold};
use crate::passing::ELSEWHERE;
use crate::reasons::weigh;
use crate::report::{Finding, Report, RunLedger, RunLedgers};

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
        }
    }

    /// Positions of exchanges that show what can be confirmed, in the order in which they
    /// are worth firing again: an example of each finding before a second one of any, and
    /// the rarest findings first.
    #[must_use]
    pub fn to_confirm(&self) -> Vec<u32> {
        let findings = self.report.findings.iter();
        let mut findings: Vec<&Finding> = findings.filter(|one| can_be_confirmed(one)).collect();
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
        let mut positions = BTreeSet::new();
        for round in rounds {
            let exchanges = round.exchanges.iter();
            positions.extend(exchanges.map(|closeup| closeup.exchange.position));
            add(&mut report.ledgers.candidate, &round.ledgers.candidate);
            add(&mut report.ledgers.baseline, &round.ledgers.baseline);
        }
        report.exchanges = positions.len() as u64;
        for finding in &mut self.report.findings {
            if can_be_confirmed(finding) {
                finding.confirmation = Some(confirmation(finding, rounds, ended_early));
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
        let floor_of_gate = self.gate.fidelity.floor.is_some();
        let (verdict, reasons) = weigh(&self.report, self.doubts, self.repeated, floor_of_gate);
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

/// Whether it is held against the candidate.
fn counts(finding: &Finding) -> bool {
    let outcome = finding.confirmation.as_ref().map(|made| made.outcome);
    outcome != Some(ConfirmationOutcome::NotReproduced) || why_it_counts(finding).is_some()
}

/// What shows that a finding is no hiccup though it did not show again. One from which other
/// sessions' differences follow stays, or nothing would be left that stands for these.
fn why_it_counts(finding: &Finding) -> Option<String> {
    if finding.sessions >= MANY_SESSIONS {
        return Some(format!(
            "it counts, since {} sessions showed it in the run: load, or what others did \
             meanwhile, may bring it about",
            finding.sessions
        ));
    }
    let mut consequences = finding.consequences.iter();
    let is_elsewhere = consequences.any(|then| then.elsewhere > 0);
    is_elsewhere.then(|| {
        "it counts, since differences in other sessions followed from it in the run".to_owned()
    })
}

/// What was seen of a finding when it was fired again.
#[derive(Default)]
struct Tries<'a> {
    /// How often one of its examples was looked at.
    looked_at: u64,
    /// How often that got as far as in the run, and could be compared.
    fired: u64,
    /// How often it showed.
    shown: u64,
    /// The first that was compared where it did not get as far: with its example.
    astray: Option<(&'a Closeup, &'a Evidence)>,
}

impl<'a> Tries<'a> {
    fn of(finding: &'a Finding, rounds: &'a [Refired]) -> Tries<'a> {
        let mut tries = Tries::default();
        for closeup in rounds.iter().flat_map(|round| &round.exchanges) {
            let position = closeup.exchange.position;
            let mut examples = finding.evidence.iter();
            if let Some(example) = examples.find(|example| example.position == position) {
                tries.add(finding, closeup, example);
            }
        }
        tries
    }

    /// Where state is missing both twins say so alike, and a fault beyond it can't show:
    /// the baseline tells, by its status, whether the session came to where it was. What
    /// shows all the same needs no such proof.
    fn add(&mut self, finding: &Finding, closeup: &'a Closeup, example: &'a Evidence) {
        let is_shown = closeup.differences.iter().any(|one| is_of(finding, one));
        let is_there = closeup.exchange.baseline.status == example.baseline.status;
        self.looked_at += 1;
        self.shown += u64::from(is_shown);
        if is_shown || closeup.is_compared && is_there {
            self.fired += 1;
        } else if closeup.is_compared {
            self.astray.get_or_insert((closeup, example));
        }
    }

    /// What they say, with a sentence.
    fn outcome(&self, finding: &Finding, why_not: Option<&str>) -> (ConfirmationOutcome, String) {
        if self.shown > 0 {
            let statement = format!("Confirmed at fresh twins ({}).", self.counts());
            return (ConfirmationOutcome::Confirmed, statement);
        }
        if self.fired > 0 {
            let why = why_it_counts(finding).map(|why| format!("; {why}"));
            let why = why.unwrap_or_default();
            let statement = format!("Not reproduced at fresh twins ({}){why}.", self.counts());
            return (ConfirmationOutcome::NotReproduced, statement);
        }
        let why = match self.astray {
            _ if self.looked_at == 0 => why_not
                .unwrap_or("other sessions were fired again in its place")
                .to_owned(),
            None => "its session was fired again, and there was no answer to compare".to_owned(),
            Some((closeup, example)) => format!(
                "its session was fired again, and did not come to where it was: the baseline \
                 answered with {}, in the run with {}",
                status(&closeup.exchange),
                status(example)
            ),
        };
        let statement = format!("Not confirmed: {why}.");
        (ConfirmationOutcome::NotTried, statement)
    }

    fn counts(&self) -> String {
        format!(
            "shown {} of {} times that it was fired again",
            self.shown, self.fired
        )
    }
}

fn confirmation(finding: &Finding, rounds: &[Refired], why_not: Option<&str>) -> Confirmation {
    let tries = Tries::of(finding, rounds);
    let (outcome, statement) = tries.outcome(finding, why_not);
    Confirmation {
        outcome,
        fired: tries.fired,
        shown: tries.shown,
        statement,
    }
}

/// What the baseline answered with, in a word.
fn status(exchange: &Evidence) -> String {
    let status = exchange.baseline.status;
    status.map_or_else(|| "nothing".to_owned(), |status| status.to_string())
}

/// Whether a difference is that of a finding, at any of its places.
fn is_of(finding: &Finding, shown: &Shown) -> bool {
    let own = std::iter::once((finding.kind, finding.location.as_str()));
    let also = finding.also.iter();
    own.chain(also.map(|also| (also.kind, also.location.as_str())))
        .any(|(kind, place)| kind == shown.kind && is_at(place, &shown.location))
}

/// What differs in many places of a text or a page is one finding, at what is around them;
/// and where there are too many places they are all one.
fn is_at(place: &str, location: &str) -> bool {
    let is_around = || {
        let mut outer = successors(Some(location), |place| around(place));
        is_in_text(location) && outer.any(|outer| outer == place)
    };
    place == location || place == ELSEWHERE || is_around()
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
