//! Findings after their sessions were fired again.

use serde_json::json;
use twintap_verdict::{
    ConfirmationOutcome, Draft, Judge, Options, Refired, Report, RunFacts, Verdict, html, markdown,
    text,
};

use crate::support::{Call, Reply, observations, repeated};

/// Twenty sessions that agree, and then so many in which the candidate has another total.
pub fn run(odd: usize) -> Vec<Call> {
    let mut calls = repeated(20, |_, session| vec![call(session)]);
    let candidate = Reply::json(200, &json!({"total": 6}));
    calls.extend((0..odd).map(|index| call(&format!("s-odd{index}")).candidate(candidate.clone())));
    calls
}

pub fn call(session: &str) -> Call {
    Call::new(
        session,
        "GET",
        "/cart",
        Reply::json(200, &json!({"total": 5})),
    )
}

pub fn draft(calls: &[Call]) -> Draft {
    let mut judge = Judge::new(Options::default());
    for observation in observations(calls) {
        judge.observe(observation);
    }
    judge.draft(RunFacts::default())
}

/// Fires all calls again, looking at these positions.
pub fn again(calls: &[Call], wanted: &[u32]) -> Refired {
    let mut judge = Judge::new(Options::default()).with_closeups(wanted.iter().copied());
    for observation in observations(calls) {
        judge.observe(observation);
    }
    judge.into_closeups(calls.len() as u64)
}

#[track_caller]
pub fn check(report: &Report, verdict: Verdict, outcome: ConfirmationOutcome, statement: &str) {
    assert_eq!(report.verdict, verdict, "{:?}", report.reasons);
    let mut all = report.findings.iter().chain(&report.not_reproduced);
    let finding = all
        .next()
        .expect("a finding, or one that was not reproduced");
    let confirmation = finding.confirmation.as_ref().expect("an exact finding");
    assert_eq!(confirmation.outcome, outcome);
    assert_eq!(confirmation.statement, statement);
    assert!(html(report).contains(statement));
    assert!(text(report).contains(statement));
}

#[test]
fn what_shows_again_is_confirmed() {
    let mut draft = draft(&run(1));
    assert_eq!(draft.to_confirm(), [20]);
    let rounds = [
        again(&run(1), &[20]),
        again(&run(0), &[]),
        again(&run(1), &[20]),
    ];
    draft.confirm(&rounds, None);
    let report = draft.finish();
    check(
        &report,
        Verdict::Fail,
        ConfirmationOutcome::Confirmed,
        "Confirmed at fresh twins (shown 2 of 2 times that it was fired again).",
    );
    let confirmation = report.confirmation.expect("it was fired again");
    assert_eq!((confirmation.rounds, confirmation.exchanges), (3, 1));
    let ledger = &confirmation.ledgers.candidate;
    assert_eq!(
        (ledger.planned, ledger.answered, ledger.unexplained),
        (62, 62, 0)
    );
}

#[test]
fn what_one_session_showed_and_does_not_show_again_is_no_finding() {
    let calls = run(1);
    let mut sound = run(0);
    sound.push(call("s-odd0"));
    let mut draft = draft(&calls);
    draft.confirm(&[again(&sound, &[20])], None);
    let report = draft.finish();
    check(
        &report,
        Verdict::Pass,
        ConfirmationOutcome::NotReproduced,
        "Not reproduced at fresh twins (shown 0 of 1 times that it was fired again).",
    );
    assert!(report.findings.is_empty());
    assert_eq!(report.not_reproduced[0].id, "N1");
    assert!(
        report.reasons[1].contains("did not show again"),
        "{:?}",
        report.reasons
    );
    assert!(html(&report).contains("id=\"not-reproduced\""));
    assert!(!markdown(&report).contains("F1"));
}

#[test]
fn what_several_sessions_showed_is_a_finding_all_the_same() {
    let mut draft = draft(&run(2));
    assert_eq!(draft.to_confirm(), [20, 21]);
    draft.confirm(
        &[again(&repeated(22, |_, name| vec![call(name)]), &[20, 21])],
        None,
    );
    check(
        &draft.finish(),
        Verdict::Fail,
        ConfirmationOutcome::NotReproduced,
        "Not reproduced at fresh twins (shown 0 of 2 times that it was fired again); it counts, \
         since 2 sessions showed it in the run: load, or what others did meanwhile, may bring it \
         about.",
    );
}

#[test]
fn another_difference_is_no_confirmation() {
    let calls = run(1);
    let mut other = run(0);
    let answer = Reply::json(200, &json!({"total": "5"}));
    other.push(call("s-odd0").candidate(answer));
    let mut draft = draft(&calls);
    draft.confirm(&[again(&other, &[20])], None);
    let report = draft.finish();
    assert_eq!((report.findings.len(), report.not_reproduced.len()), (0, 1));
}

#[test]
fn without_a_try_a_finding_stays_and_says_why() {
    let mut draft = draft(&run(1));
    draft.confirm(&[], Some("no `reset` hook brings the baseline back"));
    check(
        &draft.finish(),
        Verdict::Fail,
        ConfirmationOutcome::NotTried,
        "Not confirmed: no `reset` hook brings the baseline back.",
    );
}

#[test]
fn without_answers_to_compare_nothing_was_tried() {
    let mut down = run(0);
    down.push(call("s-odd0").baseline(Reply::error("reset")));
    let mut draft = draft(&run(1));
    draft.confirm(&[again(&down, &[20])], None);
    check(
        &draft.finish(),
        Verdict::Fail,
        ConfirmationOutcome::NotTried,
        "Not confirmed: its session was fired again, and there was no answer to compare.",
    );
}

#[test]
fn where_the_state_is_missing_nothing_was_tried() {
    let gone = Reply::json(404, &json!({"error": "no such cart"}));
    let mut missing = run(0);
    missing.push(call("s-odd0").baseline(gone.clone()).candidate(gone));
    let mut draft = draft(&run(1));
    draft.confirm(&[again(&missing, &[20])], None);
    let report = draft.finish();
    check(
        &report,
        Verdict::Fail,
        ConfirmationOutcome::NotTried,
        "Not confirmed: its session was fired again, and did not come to where it was: the \
         baseline answered with 404, in the run with 200.",
    );
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn a_round_that_missed_the_state_counts_for_nothing() {
    let gone = Reply::json(404, &json!({"error": "no such cart"}));
    let mut missing = run(0);
    missing.push(call("s-odd0").baseline(gone.clone()).candidate(gone));
    let mut sound = run(0);
    sound.push(call("s-odd0"));
    let mut draft = draft(&run(1));
    draft.confirm(&[again(&missing, &[20]), again(&sound, &[20])], None);
    check(
        &draft.finish(),
        Verdict::Pass,
        ConfirmationOutcome::NotReproduced,
        "Not reproduced at fresh twins (shown 0 of 1 times that it was fired again).",
    );
}

/// As [`run`] with one odd session, and a look at the total by this session, which depends
/// on the odd answer and differs, too.
fn handed_on(to: &str) -> Vec<Call> {
    let total = |total: u32| Reply::json(200, &json!({"total": total}));
    let mut calls = repeated(20, |_, session| {
        let look = Call::new(session, "GET", "/total", total(5));
        vec![buy(session, &total(5)), look]
    });
    calls.push(buy("s-odd0", &total(6)));
    let look = Call::new(to, "GET", "/total", total(5));
    calls.push(look.candidate(total(6)).after(40));
    calls
}

fn buy(session: &str, candidate: &Reply) -> Call {
    let reply = Reply::json(200, &json!({"total": 5}));
    Call::new(session, "POST", "/cart", reply).candidate(candidate.clone())
}

/// The report of a run whose finding did not show again.
fn not_shown_again(calls: &[Call]) -> Report {
    let sound: Vec<Call> = repeated(21, |_, session| {
        let reply = Reply::json(200, &json!({"total": 5}));
        vec![buy(session, &reply), call(session)]
    });
    let mut draft = draft(calls);
    assert_eq!(draft.to_confirm(), [40]);
    draft.confirm(&[again(&sound, &[40])], None);
    draft.finish()
}

#[test]
fn what_others_suffered_from_is_a_finding_all_the_same() {
    let report = not_shown_again(&handed_on("s-other"));
    check(
        &report,
        Verdict::Fail,
        ConfirmationOutcome::NotReproduced,
        "Not reproduced at fresh twins (shown 0 of 1 times that it was fired again); it counts, \
         since differences in other sessions followed from it in the run.",
    );
    assert_eq!(report.findings.len(), 1);
    let then = &report.findings[0].consequences[0];
    assert_eq!((then.sessions, then.elsewhere), (1, 1));
}

#[test]
fn what_its_own_session_suffered_from_goes_with_it() {
    let report = not_shown_again(&handed_on("s-odd0"));
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    let then = &report.not_reproduced[0].consequences[0];
    assert_eq!((then.sessions, then.elsewhere), (1, 0));
}

#[test]
fn the_rarest_findings_come_first_and_each_once_before_any_twice() {
    let mut calls = run(3);
    let lost = Call::new(
        "s-lost",
        "GET",
        "/stock",
        Reply::json(200, &json!({"left": 1})),
    );
    calls.push(lost.candidate(Reply::error("reset")));
    let draft = draft(&calls);
    assert_eq!(draft.to_confirm(), [23, 20, 21, 22]);
}

#[test]
fn what_a_test_decides_is_not_fired_again() {
    let slow = repeated(40, |_, session| {
        let reply = Reply::json(200, &json!({"total": 5}));
        vec![call(session).candidate(reply.after_ms(90.0))]
    });
    let draft = draft(&slow);
    assert!(draft.to_confirm().is_empty());
    let report = draft.finish();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].confirmation, None);
}

#[test]
fn an_exchange_that_is_looked_at_says_what_differs_and_what_varies() {
    let body = |total: u32, at: u32| Reply::json(200, &json!({"total": total, "at": at}));
    let call = Call::new("s-1", "GET", "/cart", body(5, 1));
    let call = call.baseline(body(5, 2)).candidate(body(6, 3));
    let refired = again(&[call], &[0]);
    let [closeup] = &refired.exchanges[..] else {
        panic!("{refired:?}");
    };
    assert!(closeup.is_compared);
    let shown: Vec<(&str, bool)> = closeup
        .differences
        .iter()
        .map(|shown| (shown.location.as_str(), shown.is_noisy))
        .collect();
    assert_eq!(shown, [("/at", true), ("/total", false)]);
    assert!(closeup.exchange.candidate.text.contains("\"total\":6"));
}
