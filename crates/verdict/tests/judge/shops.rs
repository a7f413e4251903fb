//! Whole runs: identical twins give no finding, each fault gives exactly one.

use crate::support::shop::{Chance, FAULTS, Fault, run};
use crate::support::{judge, judge_with, lines, observations};
use twintap_verdict::{Options, RunFacts, Verdict};

/// A shop shows what nobody can foresee on two of its pages.
fn lenient() -> Options {
    Options {
        fidelity_floor: 0.6,
        ..Options::default()
    }
}

#[test]
fn identical_twins_give_no_finding() {
    for seed in 0..8 {
        let calls = observations(&run(seed, 100, &[]));
        let report = judge_with(lenient(), RunFacts::default(), calls);
        assert_eq!(lines(&report), Vec::<String>::new(), "seed {seed}");
        assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    }
}

#[test]
fn identical_twins_give_no_finding_in_few_sessions() {
    for seed in 100..140 {
        let report = judge(&run(seed, 6, &[]));
        assert_eq!(lines(&report), Vec::<String>::new(), "seed {seed}");
    }
}

#[track_caller]
fn check(fault: Fault, expected: &str) {
    for seed in 0..3 {
        let report = judge(&run(seed, 60, &[fault]));
        let found: Vec<String> = report
            .findings
            .iter()
            .map(|finding| format!("{} {} {}", finding.endpoint, finding.kind, finding.location))
            .collect();
        assert_eq!(found, [expected], "seed {seed}");
        assert_eq!(report.verdict, Verdict::Fail);
    }
}

#[test]
fn an_error_status_is_found() {
    check(Fault::Utf8Error, "PUT /profile status status");
}

#[test]
fn a_wrong_value_is_found() {
    check(
        Fault::Rounding,
        "POST /checkout body_changed /totals/total_cents",
    );
}

#[test]
fn a_slow_endpoint_is_found() {
    check(Fault::Slow, "GET /search latency latency");
}

#[test]
fn a_missing_header_is_found() {
    check(
        Fault::HeaderGone,
        "GET /products header_missing header.cache-control",
    );
}

#[test]
fn another_type_is_found() {
    check(Fault::TypeChange, "GET /products/{id} body_type /stock");
}

#[test]
fn a_missing_field_is_found() {
    check(Fault::FieldGone, "GET /profile body_missing /email");
}

#[test]
fn no_answer_is_found() {
    check(Fault::Reset, "GET /products/{id}/image error answer");
}

#[test]
fn all_faults_together_are_told_apart() {
    let report = judge(&run(1, 80, &FAULTS));
    let found: Vec<String> = report
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.endpoint, finding.kind))
        .collect();
    assert_eq!(
        found,
        [
            "GET /products/{id}/image error",
            "PUT /profile status",
            "GET /profile body_missing",
            "GET /products/{id} body_type",
            "POST /checkout body_changed",
            "GET /search latency",
            "GET /products header_missing",
        ]
    );
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let calls = run(5, 30, &FAULTS);
    let expected = serde_json::to_string(&judge(&calls)).expect("a report is plain data");
    let mut shuffled = observations(&calls);
    let mut chance = Chance::new(9);
    for index in (1..shuffled.len()).rev() {
        shuffled.swap(index, chance.below(index as u64 + 1) as usize);
    }
    let report = judge_with(Options::default(), RunFacts::default(), shuffled);
    let report = serde_json::to_string(&report).expect("a report is plain data");
    assert_eq!(report, expected);
}

#[test]
fn a_little_memory_for_order_still_finds() {
    let options = Options {
        reorder_bytes: 20_000,
        ..Options::default()
    };
    let mut reversed = observations(&run(5, 30, &[Fault::TypeChange]));
    reversed.reverse();
    let report = judge_with(options, RunFacts::default(), reversed);
    assert!(
        lines(&report)
            .iter()
            .any(|line| line.starts_with("GET /products/{id} body_type /stock")),
        "{:?}",
        lines(&report)
    );
    assert_eq!(report.ledgers.runs.candidate.unexplained, 0);
}
