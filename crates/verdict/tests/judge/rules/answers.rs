//! Answers as a whole, and none.

use super::*;

#[test]
fn another_status_is_one_finding() {
    let agreed = ok(json!({"a": 1})).with("Vary", "a");
    let candidate = Reply::text(503, "text/plain", "no");
    check(
        &one_in_many(&agreed, candidate),
        expect!["GET /a status status x1\n"],
    );
}

#[test]
fn no_answer_is_a_finding_when_the_baseline_answers() {
    let agreed = ok(json!({"a": 1}));
    let report = check(
        &one_in_many(&agreed, Reply::error("timeout")),
        expect!["GET /a error answer x1\n"],
    );
    assert_eq!(report.findings[0].evidence[0].change, "no answer: timeout");
    let mut calls = one_in_many(&agreed, Reply::error("timeout"));
    calls[12].baseline = Reply::error("timeout");
    check(&calls, expect![""]);
}

#[test]
fn errors_that_the_baseline_has_too_are_noise() {
    let agreed = ok(json!({"a": 1}));
    let mut calls = one_in_many(&agreed, Reply::error("reset"));
    calls[3].baseline = Reply::error("reset");
    check(&calls, expect![""]);
}

#[test]
fn what_was_fired_without_its_values_is_not_compared() {
    let agreed = ok(json!({"a": 1}));
    let report = check(
        &one_in_many(&agreed, Reply::json(404, &json!({})).late()),
        expect![""],
    );
    assert_eq!(report.scope.endpoints[0].late, 1);
}

#[test]
fn what_a_twin_gave_no_values_for_is_not_compared() {
    let agreed = ok(json!({"a": 1}));
    for reply in [Reply::json(404, &json!({})), Reply::error("reset")] {
        let report = check(&one_in_many(&agreed, reply.unbound()), expect![""]);
        assert_eq!(report.scope.endpoints[0].unbound, 1);
    }
    let mut calls = one_in_many(&agreed, agreed.clone());
    calls[3].baseline = Reply::error("reset").unbound();
    let report = check(&calls, expect![""]);
    assert_eq!(report.fidelity_detail.unequal["unbound"], 1);
}
