//! Findings of periods, and what firing again after earlier ones said of them.

use twintap_verdict::{ConfirmationOutcome, Draft, Recollection, Report, Verdict};

use crate::confirm::{again, call, check, draft, run};
use crate::support::Call;

/// As [`run`] with one odd session, but in which other calls came before: another exchange.
fn later() -> Vec<Call> {
    let mut calls = vec![call("s-early")];
    calls.extend(run(1));
    calls
}

/// A session that does not show it, at each place.
fn sound() -> Vec<Call> {
    let mut calls = run(0);
    calls.extend(["s-odd0", "s-odd1"].map(call));
    calls
}

/// A period whose findings are fired again, where that is not known to be needless.
fn fired(known: &mut Recollection, number: u64, calls: &[Call], shows: &[Call]) -> Report {
    let mut draft = draft(calls);
    draft.recall(known);
    let wanted = draft.to_confirm();
    let rounds: Vec<_> = (!wanted.is_empty())
        .then(|| again(shows, &wanted))
        .into_iter()
        .collect();
    draft.confirm(&rounds, None);
    known.learn(number, &draft);
    draft.finish()
}

/// What would be fired again of a period.
fn wanted(known: &Recollection, calls: &[Call]) -> Vec<u32> {
    let mut draft = draft(calls);
    draft.recall(known);
    draft.to_confirm()
}

#[test]
fn what_is_confirmed_is_known_in_later_periods() {
    let mut known = Recollection::default();
    fired(&mut known, 3, &run(1), &run(1));
    assert!(wanted(&known, &run(1)).is_empty());
    // Whichever exchange shows it.
    let report = fired(&mut known, 4, &later(), &[]);
    check(
        &report,
        Verdict::Fail,
        ConfirmationOutcome::Confirmed,
        "Confirmed at fresh twins after period 3 (shown 1 of 1 times that it was fired again).",
    );
    let confirmation = report.findings[0].confirmation.as_ref();
    let confirmation = confirmation.expect("an exact finding");
    assert_eq!(confirmation.period, Some(3));
    assert_eq!(confirmation.sessions_before, 1);
    // Nothing was fired after this period.
    let all = report.confirmation.expect("it says so");
    assert_eq!((all.rounds, all.exchanges), (0, 0));
}

#[test]
fn what_was_refuted_and_shows_again_counts_and_is_not_fired_again() {
    let mut known = Recollection::default();
    let first = fired(&mut known, 1, &run(1), &sound());
    assert_eq!(first.verdict, Verdict::Pass, "{:?}", first.reasons);
    assert!(wanted(&known, &run(1)).is_empty());
    check(
        &fired(&mut known, 2, &run(1), &[]),
        Verdict::Fail,
        ConfirmationOutcome::NotReproduced,
        "Not reproduced at fresh twins after period 1 (shown 0 of 1 times that it was fired \
         again); it counts, since sessions of earlier periods showed it too (1): load, or what \
         others did meanwhile, may bring it about.",
    );
    // Sessions of all periods add up.
    let third = fired(&mut known, 3, &run(1), &[]);
    let confirmation = third.findings[0].confirmation.as_ref();
    assert_eq!(confirmation.expect("an exact finding").sessions_before, 2);
}

#[test]
fn another_exchange_may_show_what_the_first_did_not() {
    let mut known = Recollection::default();
    fired(&mut known, 1, &run(1), &sound());
    assert_eq!(wanted(&known, &later()), [21]);
    let report = fired(&mut known, 2, &later(), &later());
    check(
        &report,
        Verdict::Fail,
        ConfirmationOutcome::Confirmed,
        "Confirmed at fresh twins (shown 1 of 1 times that it was fired again).",
    );
}

#[test]
fn what_was_not_tried_is_tried_in_the_next_period() {
    let mut known = Recollection::default();
    let mut open = draft(&run(1));
    open.confirm(&[], Some("the run was stopped"));
    known.learn(1, &open);
    assert_eq!(wanted(&known, &run(1)), [20]);
}

fn pending(draft: Draft) -> Report {
    assert!(draft.is_confirmable());
    draft.until_confirmed()
}

#[test]
fn until_it_was_fired_again_a_finding_counts_and_says_so() {
    check(
        &pending(draft(&run(1))),
        Verdict::Fail,
        ConfirmationOutcome::Pending,
        "Not confirmed yet: its session is to be fired again while the run goes on, and this \
         report is written anew then.",
    );
    assert!(!draft(&run(0)).is_confirmable());
}

#[test]
fn a_session_that_is_not_whole_proves_and_does_not_refute() {
    let doubted = |shows: &[Call]| {
        let mut draft = draft(&run(1));
        draft.doubt(20, "its session began before the run".to_owned());
        assert_eq!(draft.to_confirm(), [20]);
        draft.confirm(&[again(shows, &[20])], None);
        draft.finish()
    };
    check(
        &doubted(&run(1)),
        Verdict::Fail,
        ConfirmationOutcome::Confirmed,
        "Confirmed at fresh twins (shown 1 of 1 times that it was fired again).",
    );
    check(
        &doubted(&sound()),
        Verdict::Fail,
        ConfirmationOutcome::NotTried,
        "Not confirmed: its session began before the run.",
    );
}
