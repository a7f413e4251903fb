//! What firing a finding's sessions again says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use super::{Confirmation, ConfirmationOutcome, MANY_SESSIONS};
use crate::closeup::{Closeup, Refired, Shown};
use crate::compare::{around, is_in_text};
use crate::evidence::Evidence;
use crate::passing::ELSEWHERE;
use crate::report::Finding;

/// What is known of a finding beside what was fired again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside<'a> {
    /// Why none of its sessions was fired again, if none was.
    pub(super) why_not: Option<&'a str>,
    /// By position, why firing an example again can't refute it.
    pub(super) doubted: &'a BTreeMap<u32, String>,
    /// How many sessions of earlier periods showed it.
    pub(super) sessions_before: u64,
}

/// What these rounds say of a finding.
pub(super) fn confirmation(
    finding: &Finding,
    rounds: &[Refired],
    beside: Beside<'_>,
) -> Confirmation {
    let tries = Tries::of(finding, rounds, beside.doubted);
    let mut confirmation = Confirmation {
        outcome: tries.outcome(),
        fired: tries.fired,
        shown: tries.shown,
        period: None,
        sessions_before: beside.sessions_before,
        statement: String::new(),
    };
    confirmation.statement = match confirmation.outcome {
        ConfirmationOutcome::NotTried => {
            format!("Not confirmed: {}.", tries.why_not(finding, beside))
        }
        _ => statement(finding, &confirmation),
    };
    confirmation
}

/// What came of firing a finding again, in a sentence.
pub(super) fn statement(finding: &Finding, made: &Confirmation) -> String {
    let after = made.period.map(|period| format!(" after period {period}"));
    let after = after.unwrap_or_default();
    let counts = format!(
        "shown {} of {} times that it was fired again",
        made.shown, made.fired
    );
    match made.outcome {
        ConfirmationOutcome::Confirmed => format!("Confirmed at fresh twins{after} ({counts})."),
        _ => {
            let why = why_it_counts(finding, made.sessions_before);
            let why = why.map(|why| format!("; {why}")).unwrap_or_default();
            format!("Not reproduced at fresh twins{after} ({counts}){why}.")
        }
    }
}

/// What shows that a finding is no hiccup though it did not show again. One from which other
/// sessions' differences follow stays, or nothing would be left that stands for these.
pub(super) fn why_it_counts(finding: &Finding, sessions_before: u64) -> Option<String> {
    const WHY: &str = "load, or what others did meanwhile, may bring it about";
    if finding.sessions >= MANY_SESSIONS {
        return Some(format!(
            "it counts, since {} sessions showed it in the run: {WHY}",
            finding.sessions
        ));
    }
    if finding.sessions + sessions_before >= MANY_SESSIONS {
        return Some(format!(
            "it counts, since sessions of earlier periods showed it too ({sessions_before}): {WHY}"
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
    fn of(
        finding: &'a Finding,
        rounds: &'a [Refired],
        doubted: &BTreeMap<u32, String>,
    ) -> Tries<'a> {
        let mut tries = Tries::default();
        for round in rounds {
            // What stands for several requests of the run was fired once.
            let mut known = BTreeSet::new();
            for closeup in &round.exchanges {
                let again = &closeup.exchange;
                let mut examples = finding.evidence.iter();
                let example = examples.find(|example| example.position == again.position);
                if let Some(example) = example
                    && known.insert((&again.exchange, &again.session))
                {
                    let is_sound = !doubted.contains_key(&example.position);
                    tries.add(finding, closeup, example, is_sound);
                }
            }
        }
        tries
    }

    /// Where state is missing both twins say so alike, and a fault beyond it can't show:
    /// the baseline tells, by its status, whether the session came to where it was. What
    /// shows all the same needs no such proof.
    fn add(
        &mut self,
        finding: &Finding,
        closeup: &'a Closeup,
        example: &'a Evidence,
        is_sound: bool,
    ) {
        let is_shown = closeup.differences.iter().any(|one| is_of(finding, one));
        let is_there = closeup.exchange.baseline.status == example.baseline.status;
        self.looked_at += 1;
        self.shown += u64::from(is_shown);
        if is_shown || closeup.is_compared && is_there && is_sound {
            self.fired += 1;
        } else if closeup.is_compared && !is_there {
            self.astray.get_or_insert((closeup, example));
        }
    }

    fn outcome(&self) -> ConfirmationOutcome {
        match (self.shown, self.fired) {
            (1.., _) => ConfirmationOutcome::Confirmed,
            (0, 1..) => ConfirmationOutcome::NotReproduced,
            (0, 0) => ConfirmationOutcome::NotTried,
        }
    }

    /// Why they say nothing.
    fn why_not(&self, finding: &Finding, beside: Beside<'_>) -> String {
        let examples = finding.evidence.iter();
        let mut doubts = examples.filter_map(|one| beside.doubted.get(&one.position));
        match (doubts.next(), self.astray) {
            (Some(doubt), _) => doubt.clone(),
            _ if self.looked_at == 0 => beside
                .why_not
                .unwrap_or("other sessions were fired again in its place")
                .to_owned(),
            (_, None) => {
                "its session was fired again, and there was no answer to compare".to_owned()
            }
            (_, Some((closeup, example))) => format!(
                "its session was fired again, and did not come to where it was: the baseline \
                 answered with {}, in the run with {}",
                status(&closeup.exchange),
                status(example)
            ),
        }
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
