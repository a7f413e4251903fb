//! Error rates, and what is watched.

use serde_json::json;
use twintap_verdict::{Gate, Judge, Kind, Options, Report, Rules, RunFacts, Verdict, junit};

use crate::support::{Call, Reply, judge, judge_with, observations};

fn reply(fails: bool) -> Reply {
    match fails {
        true => Reply::json(503, &json!({"error": "busy"})),
        false => Reply::json(200, &json!({"ok": true})),
    }
}

/// As many sessions of two requests, of which the first ones fail at a twin, or in
/// production, so often.
fn run(sessions: usize, production: usize, baseline: usize, candidate: usize) -> Vec<Call> {
    (0..sessions)
        .flat_map(|index| {
            // What fails where is spread evenly, and not at all three alike.
            let fails = |count: usize, shift: usize| (index * 7 + shift) % sessions < count;
            let session = format!("s-{index:03}");
            let call = Call::new(&session, "GET", "/a", reply(fails(production, 0)))
                .baseline(reply(fails(baseline, 31)))
                .candidate(reply(fails(candidate, 67)));
            [call, Call::new(&session, "GET", "/b", reply(false))]
        })
        .collect()
}

fn kinds(report: &Report) -> Vec<(Kind, &str)> {
    let findings = report.findings.iter();
    findings
        .map(|finding| (finding.kind, finding.endpoint.as_str()))
        .collect()
}

#[test]
fn failures_that_both_have_are_no_finding() {
    let report = judge(&run(100, 8, 8, 8));
    assert_eq!(kinds(&report), []);
    let row = &report.errors[0];
    assert_eq!((row.requests, row.candidate, row.baseline), (100, 8, 8));
    assert!(row.low < 0.0 && row.high > 0.0 && !row.is_more, "{row:?}");
    assert_eq!(report.errors[1].p_value, 1.0);
}

#[test]
fn more_failures_than_the_baseline_has_are_a_finding() {
    let report = judge(&run(100, 12, 12, 45));
    assert_eq!(kinds(&report), [(Kind::ErrorRate, "GET /a")]);
    let finding = &report.findings[0];
    assert_eq!(finding.test.name, "mcnemar");
    assert_eq!((finding.count, finding.compared), (45, 100));
    assert_eq!(finding.evidence.len(), 3);
    let row = &report.errors[0];
    assert!(row.low > 0.1 && row.high < 0.5 && row.is_more, "{row:?}");
}

#[test]
fn failures_that_are_a_finding_by_themselves_are_one_finding() {
    let report = judge(&run(100, 0, 0, 45));
    assert_eq!(kinds(&report), [(Kind::Status, "GET /a")]);
    assert!(report.errors[0].is_more);
}

#[test]
fn another_status_that_is_no_failure_says_nothing_of_failures() {
    let mut calls = run(100, 12, 12, 45);
    calls.extend((0..30).map(|index| {
        let made = Reply::json(201, &json!({"ok": true}));
        let session = format!("s-{index:03}");
        Call::new(&session, "GET", "/a", reply(false)).candidate(made)
    }));
    let report = judge(&calls);
    let mut found = kinds(&report);
    found.sort_unstable();
    assert_eq!(
        found,
        [(Kind::ErrorRate, "GET /a"), (Kind::Status, "GET /a")]
    );
}

#[test]
fn what_does_not_show_again_hides_no_failures() {
    let mut calls = run(100, 12, 12, 45);
    let lost = || Call::new("s-lost", "GET", "/a", reply(false));
    calls.push(lost().candidate(Reply::error("reset")));
    let position = calls.len() as u32 - 1;
    let draft = |calls: &[Call]| {
        let mut judge = Judge::new(Options::default()).with_closeups([position]);
        let all = observations(calls).into_iter();
        all.for_each(|observation| judge.observe(observation));
        judge
    };
    let stays = draft(&calls).draft(RunFacts::default()).finish();
    assert_eq!(kinds(&stays), [(Kind::Error, "GET /a")]);
    let mut sound = calls.clone();
    sound.truncate(position as usize);
    sound.push(lost());
    let mut gone = draft(&calls).draft(RunFacts::default());
    gone.confirm(&[draft(&sound).into_closeups(201)], None);
    let gone = gone.finish();
    assert_eq!(kinds(&gone), [(Kind::ErrorRate, "GET /a")]);
    assert_eq!(gone.not_reproduced.len(), 1);
    assert_eq!(gone.findings[0].id, "F1");
}

#[test]
fn an_alarm_counts_where_it_was_asked_for() {
    // Production's failures are noise enough to hide the candidate's.
    let calls = run(60, 50, 0, 20);
    let report = judge(&calls);
    assert!(report.sequential.is_alarm, "{:?}", report.sequential);
    let stream = &report.sequential.streams[0];
    assert_eq!(
        (stream.what.as_str(), stream.pluses, stream.minuses),
        ("errors", 20, 0)
    );
    let options = Options {
        stop_early: true,
        fidelity_floor: 0.0,
        ..Options::default()
    };
    let report = judge_with(options.clone(), RunFacts::default(), observations(&calls));
    assert_eq!(report.verdict, Verdict::Fail);
    let reason = report
        .reasons
        .iter()
        .find(|reason| reason.contains("Watched"));
    let reason = reason.expect("the alarm is a reason");
    assert!(
        reason.contains("20 sessions against it and 0 for it"),
        "{reason}"
    );
    // A build is not green either, though no endpoint and no rule of the gate fails.
    let gate = Gate {
        levels: serde_json::from_value(json!([{"level": "warn"}])).expect("levels"),
        ..Gate::default()
    };
    let rules = Rules {
        options,
        gate,
        ..Rules::default()
    };
    let report = judge_with(rules, RunFacts::default(), observations(&calls));
    assert_eq!(report.verdict, Verdict::Fail);
    let xml = junit(&report);
    assert!(
        xml.contains("failures=\"1\" errors=\"0\"")
            && xml.contains("message=\"Watched from the start of the run: "),
        "{xml}"
    );
}

#[test]
fn what_fails_at_both_is_no_evidence() {
    let report = judge(&run(200, 0, 100, 100));
    let stream = &report.sequential.streams[0];
    assert!(stream.pluses > 0 && stream.minuses > 0, "{stream:?}");
    assert!(!report.sequential.is_alarm, "{stream:?}");
}
