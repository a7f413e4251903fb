//! What a second baseline shows to vary by itself.

use twintap_verdict::SecondBaselineReport;

use super::*;
use crate::support::shop::Chance;

fn value(text: &str) -> Reply {
    ok(json!({"v": text, "w": 1}))
}

/// `noisy` of 20 sessions in which both baselines differ, and `odd` others in which the
/// candidate differs from the baseline; production answers as the baseline does.
fn sessions(noisy: usize, odd: usize) -> Vec<Call> {
    repeated(20, |index, session| {
        let second = if index < noisy { "blue" } else { "red" };
        let candidate = if index >= 20 - odd { "green" } else { "red" };
        vec![
            Call::new(session, "GET", "/a", value("red"))
                .second(value(second))
                .candidate(value(candidate)),
        ]
    })
}

fn seen(report: &Report) -> &SecondBaselineReport {
    let second = report.second_baseline.as_ref();
    second.expect("the run has a second baseline")
}

#[test]
fn what_both_baselines_differ_in_is_noise() {
    let mut calls = sessions(3, 2);
    let report = check(&calls, expect![""]);
    let second = seen(&report);
    assert_eq!((second.compared, second.equal, second.silent), (20, 17, 0));
    let place = &second.endpoints[0].differs_at[0];
    assert_eq!((place.location.as_str(), place.count), ("/v", 3));
    // It is no doubt about how good a twin the baseline is.
    assert_eq!(report.fidelity, 1.0);
    assert!(report.fidelity_detail.endpoints[0].differs_at.is_empty());
    for call in &mut calls {
        call.second = None;
    }
    let report = check(&calls, expect!["GET /a body_changed /v x2\n"]);
    assert_eq!(report.second_baseline, None);
    assert_eq!(report.ledgers.runs.second_baseline, None);
}

#[test]
fn a_test_tells_differences_from_those_of_the_baselines() {
    let report = check(&sessions(2, 16), expect!["GET /a body_changed /v x16\n"]);
    let test = &report.findings[0].test;
    assert_eq!((test.name.as_str(), test.sample), ("permutation", 18));
    let says = |what: &str| assert!(test.statement.contains(what), "{}", test.statement);
    says("both baselines differ here in 2 exchanges");
    says("than the second baseline from the baseline, in 2 in fewer");
}

#[test]
fn where_both_baselines_agree_one_difference_counts() {
    let mut calls = sessions(5, 0);
    calls[19].candidate = ok(json!({"v": "red", "w": 2}));
    let report = check(&calls, expect!["GET /a body_changed /w x1\n"]);
    let test = &report.findings[0].test;
    assert_eq!(test.name, "exact");
    assert!(test.statement.contains("both baselines in all 20"));
    calls[19].candidate = ok(json!({"v": 17, "w": 1}));
    check(&calls, expect!["GET /a body_type /v x1\n"]);
}

#[test]
fn the_stricter_of_both_tests_decides() {
    let with = |production: usize| {
        let mut calls = sessions(1, 14);
        for call in &mut calls[..production] {
            call.production = Some(value("white"));
        }
        calls
    };
    check(&with(1), expect!["GET /a body_changed /v x14\n"]);
    // The baselines alone would let it count.
    check(&with(13), expect![""]);
}

#[test]
fn values_made_up_alike_are_masked_at_all_twins() {
    let id = |number: u32| {
        let id = format!("3f2b8c1e-5d4a-4b7c-9e8f-{number:012x}");
        ok(json!({"id": id}))
    };
    let sessions = |seen: bool| {
        repeated(12, |index, session| {
            let number = index as u32 * 10;
            let call = Call::new(session, "GET", "/a", id(number))
                .baseline(id(number + 1))
                .candidate(id(number + 2))
                .second(id(number + 3));
            vec![if seen { call } else { call.unseen() }]
        })
    };
    let report = check(&sessions(true), expect![""]);
    assert_eq!(seen(&report).equal, 12);
    // Without production's answers, the second baseline tells that they vary.
    check(&sessions(false), expect![""]);
}

#[test]
fn what_the_second_baseline_fails_at_is_noise_of_nothing() {
    let mut calls = sessions(0, 1);
    for call in &mut calls[5..] {
        call.second = Some(Reply::error("connect_refused"));
    }
    let report = check(&calls, expect!["GET /a body_changed /v x1\n"]);
    assert_eq!(report.findings[0].test.name, "exact");
    let second = seen(&report);
    assert_eq!((second.compared, second.equal, second.silent), (5, 5, 15));
    let ledger = report.ledgers.runs.second_baseline.as_ref();
    let ledger = ledger.expect("it has a ledger");
    assert_eq!(
        (
            ledger.planned,
            ledger.answered,
            ledger.errored,
            ledger.unexplained
        ),
        (20, 5, 15, 0)
    );
    for call in &mut calls {
        call.second = Some(Reply::error("connect_refused"));
    }
    check(&calls, expect!["GET /a body_changed /v x1\n"]);
}

#[test]
fn a_second_baseline_that_lacks_a_request_is_no_witness_of_what_follows() {
    let calls = |lacking: bool| {
        repeated(12, |index, session| {
            let made = Call::new(session, "POST", "/cart", value("red"));
            let looked = Call::new(session, "GET", "/cart", value("red"));
            let odd = if index == 11 { "green" } else { "red" };
            let looked = looked.candidate(value(odd)).second(value("none"));
            vec![
                match lacking {
                    true => made.second(Reply::error("timeout")),
                    false => made.second(value("red")),
                },
                looked,
            ]
        })
    };
    let report = check(&calls(true), expect!["GET /cart body_changed /v x1\n"]);
    assert_eq!((seen(&report).compared, seen(&report).silent), (0, 24));
    check(&calls(false), expect![""]);
}

#[test]
fn a_status_that_the_second_baseline_gives_too_is_no_new_one() {
    let mut calls = sessions(0, 0);
    calls[3].second = Some(Reply::json(404, &json!({})));
    calls[10].candidate = Reply::json(404, &json!({}));
    check(&calls, expect![""]);
    calls[10].candidate = Reply::json(500, &json!({}));
    let report = check(&calls, expect!["GET /a status status x1\n"]);
    assert_eq!(report.findings[0].test.name, "novel_status");
}

/// Of 100 runs of 40 sessions in which each twin answers otherwise by chance, in these shares of
/// its sessions, those with a finding.
fn found(baseline: f64, second: f64, candidate: f64) -> usize {
    let run = |seed| {
        let mut chance = Chance::new(seed);
        let mut some = |share: f64| value(if chance.unit() < share { "blue" } else { "red" });
        let calls: Vec<Call> = (0..40)
            .map(|session| {
                Call::new(&format!("s-{session}"), "GET", "/a", value("red"))
                    .baseline(some(baseline))
                    .second(some(second))
                    .candidate(some(candidate))
            })
            .collect();
        judge(&calls)
    };
    let runs = (0..100).map(run);
    runs.filter(|report| !report.findings.is_empty()).count()
}

#[test]
fn a_candidate_that_varies_as_a_baseline_does_is_not_found() {
    // One is to be expected at a level of 0.01, and six in one of a thousand such tests.
    assert!(found(0.0, 0.2, 0.2) < 6);
    assert!(found(0.2, 0.2, 0.2) < 6);
}

#[test]
fn a_candidate_that_varies_much_more_is_found() {
    assert!(found(0.0, 0.1, 0.7) >= 85);
    assert!(found(0.1, 0.1, 0.7) >= 85);
}
