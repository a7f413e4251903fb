//! What races make differ, and what they don't hide.

use super::*;

fn order(state: &str) -> Reply {
    ok(json!({"state": state}))
}

/// A session whose read of an order raced with another's write, in which the twins
/// took one of two ways.
fn raced(session: &str, baseline: &str, candidate: &str) -> Call {
    Call::new(session, "GET", "/orders/17", order("new"))
        .baseline(order(baseline))
        .candidate(order(candidate))
        .races(0)
}

fn quiet(session: &str) -> Call {
    Call::new(session, "GET", "/orders/17", order("new"))
}

#[test]
fn what_only_races_show_is_kept_apart() {
    let mut calls = repeated(12, |_, session| vec![quiet(session)]);
    calls.push(raced("s-a", "new", "paid"));
    calls.push(raced("s-b", "paid", "new"));
    calls.push(raced("s-c", "paid", "paid"));
    let report = check(
        &calls,
        expect![[r#"
            apart race GET /orders/{id} body_changed /state x2
        "#]],
    );
    let unequal = &report.fidelity_detail.unequal;
    assert_eq!(unequal.get("race"), Some(&2), "{unequal:?}");
    let raced = &report.apart[0].evidence[0].races[0];
    assert_eq!(raced.resource, "order/*");
    assert_eq!(raced.exchange, "node-a/0000000000000007/0000000000000000/0");
}

#[test]
fn what_shows_without_a_race_is_a_finding_with_all_that_raced() {
    let mut calls = repeated(12, |_, session| vec![quiet(session)]);
    calls.push(raced("s-a", "new", "paid"));
    calls.push(quiet("s-b").candidate(order("paid")));
    let report = check(
        &calls,
        expect![[r#"
            GET /orders/{id} body_changed /state x2
        "#]],
    );
    assert_eq!(report.findings[0].racing, 1);
}

#[test]
fn what_races_show_far_more_often_than_noise_is_a_finding() {
    let calls = repeated(12, |_, session| vec![raced(session, "new", "paid")]);
    let report = check(
        &calls,
        expect![[r#"
            GET /orders/{id} body_changed /state x12
        "#]],
    );
    assert_eq!(report.findings[0].test.name, "permutation");
}

#[test]
fn races_are_no_noise_elsewhere() {
    // Baseline and production differ where they raced; one difference elsewhere is a finding.
    let mut calls = repeated(12, |_, session| vec![raced(session, "paid", "paid")]);
    calls.push(quiet("s-odd").candidate(order("lost")));
    check(
        &calls,
        expect![[r#"
            GET /orders/{id} body_changed /state x1
        "#]],
    );
}

#[test]
fn a_race_excuses_no_failure_and_no_other_form() {
    let mut calls = repeated(12, |_, session| vec![quiet(session)]);
    calls.push(
        quiet("s-a")
            .candidate(Reply::json(500, &json!({})))
            .races(0),
    );
    calls.push(quiet("s-b").candidate(Reply::error("reset")).races(0));
    calls.push(quiet("s-c").candidate(ok(json!({"state": 3}))).races(0));
    check(
        &calls,
        expect![[r#"
            GET /orders/{id} error answer x1
            GET /orders/{id} status status x1
            GET /orders/{id} body_type /state x1
        "#]],
    );
}

#[test]
fn what_follows_from_a_race_is_no_finding() {
    let mut calls = repeated(12, |_, session| {
        vec![
            Call::new(session, "POST", "/orders/17/pay", order("paid")),
            Call::new(session, "GET", "/receipt", ok(json!({"sum": 1}))),
        ]
    });
    calls.push(
        Call::new("s-a", "POST", "/orders/17/pay", order("paid"))
            .candidate(order("late"))
            .races(0),
    );
    calls.push(
        Call::new("s-a", "GET", "/receipt", ok(json!({"sum": 1}))).candidate(ok(json!({"sum": 2}))),
    );
    let report = check(
        &calls,
        expect![[r#"
            apart race POST /orders/{id}/pay body_changed /state x1
              then GET /receipt body_changed /sum x1
        "#]],
    );
    assert_eq!(report.consequences.get("race"), Some(&1));
}
