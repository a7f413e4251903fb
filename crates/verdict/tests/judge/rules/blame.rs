//! What follows from what, across sessions, and from what the run did.

use super::*;

fn order(total: u32) -> Reply {
    Reply::json(200, &json!({"total": total}))
}

/// Twelve sessions that buy, and one that looks at all orders, after `then`.
fn shop() -> Vec<Call> {
    repeated(12, |_, session| {
        vec![
            Call::new(session, "POST", "/checkout", order(10)),
            Call::new(session, "GET", "/orders/17", order(10)),
            Call::new(session, "POST", "/orders/17/pay", order(10)),
            Call::new(session, "GET", "/stock", ok(json!({"left": 3}))),
        ]
    })
}

#[test]
fn a_consequence_in_another_session_names_its_cause() {
    let mut calls = shop();
    let at = calls.len() as u32;
    calls.push(Call::new("s-a", "POST", "/checkout", order(10)).candidate(order(9)));
    calls.push(
        Call::new("s-b", "GET", "/orders/17", order(10))
            .candidate(order(9))
            .after(at),
    );
    let report = check(
        &calls,
        expect![[r#"
            POST /checkout body_changed /total x1
              then GET /orders/{id} body_changed /total x1
        "#]],
    );
    let then = &report.findings[0].consequences[0];
    assert_eq!(then.cause_position, Some(at));
    assert_eq!(
        then.cause,
        Some(report.findings[0].evidence[0].exchange.clone())
    );
    assert_eq!(report.consequences.get("finding"), Some(&1));
}

#[test]
fn a_chain_leads_back_to_where_it_began() {
    let mut calls = shop();
    let at = calls.len() as u32;
    calls.push(Call::new("s-a", "POST", "/checkout", order(10)).candidate(order(9)));
    calls.push(
        Call::new("s-b", "POST", "/orders/17/pay", order(10))
            .candidate(order(9))
            .after(at),
    );
    calls.push(
        Call::new("s-c", "GET", "/stock", ok(json!({"left": 3})))
            .candidate(ok(json!({"left": 4})))
            .after(at + 1),
    );
    let report = check(
        &calls,
        expect![[r#"
            POST /checkout body_changed /total x1
              then GET /stock body_changed /left x1
              then POST /orders/{id}/pay body_changed /total x1
        "#]],
    );
    let stock = &report.findings[0].consequences[0];
    assert_eq!(
        stock.cause_position,
        Some(at + 1),
        "what it follows from directly"
    );
}

#[test]
fn what_is_handed_on_need_not_show() {
    let mut calls = shop();
    let at = calls.len() as u32;
    calls.push(Call::new("s-a", "POST", "/checkout", order(10)).candidate(order(9)));
    calls.push(Call::new("s-b", "POST", "/orders/17/pay", order(10)).after(at));
    calls.push(
        Call::new("s-c", "GET", "/orders/17", order(10))
            .candidate(order(9))
            .after(at + 1),
    );
    check(
        &calls,
        expect![[r#"
            POST /checkout body_changed /total x1
              then GET /orders/{id} body_changed /total x1
        "#]],
    );
}

#[test]
fn what_depends_on_something_sound_is_a_finding() {
    let mut calls = shop();
    let at = calls.len() as u32;
    calls.push(Call::new("s-a", "POST", "/checkout", order(10)));
    calls.push(
        Call::new("s-b", "GET", "/orders/17", order(10))
            .candidate(order(9))
            .after(at),
    );
    check(
        &calls,
        expect![[r#"
            GET /orders/{id} body_changed /total x1
        "#]],
    );
}

#[test]
fn what_another_session_shows_first_stays_a_finding() {
    let mut calls = shop();
    let at = calls.len() as u32;
    calls.push(Call::new("s-a", "POST", "/checkout", order(10)).candidate(order(9)));
    calls.push(
        Call::new("s-b", "GET", "/orders/17", order(10))
            .candidate(order(9))
            .after(at),
    );
    calls.push(Call::new("s-c", "GET", "/orders/17", order(10)).candidate(order(9)));
    check(
        &calls,
        expect![[r#"
            GET /orders/{id} body_changed /total x2
              related F2
            POST /checkout body_changed /total x1
              related F1
        "#]],
    );
}

#[test]
fn two_faults_in_one_session_are_told_apart_by_another() {
    let mut calls = shop();
    calls.push(Call::new("s-a", "POST", "/checkout", order(10)).candidate(order(9)));
    calls.push(
        Call::new("s-a", "GET", "/stock", ok(json!({"left": 3}))).candidate(ok(json!({"left": 4}))),
    );
    calls.push(
        Call::new("s-b", "GET", "/stock", ok(json!({"left": 3}))).candidate(ok(json!({"left": 4}))),
    );
    check(
        &calls,
        expect![[r#"
            GET /stock body_changed /left x2
            POST /checkout body_changed /total x1
        "#]],
    );
}

#[test]
fn what_follows_a_failure_of_the_baseline_is_not_the_candidates() {
    let mut calls = shop();
    calls.push(Call::new("s-a", "POST", "/checkout", order(10)).baseline(Reply::error("timeout")));
    calls.push(
        Call::new("s-a", "GET", "/orders/17", order(10))
            .baseline(order(0))
            .unseen(),
    );
    let report = check(
        &calls,
        expect![[r#"
            apart baseline POST /checkout - answer x1
              then GET /orders/{id} body_changed /total x1
        "#]],
    );
    assert_eq!(report.consequences.get("baseline"), Some(&1));
}

#[test]
fn a_failure_of_both_is_no_ground_for_a_finding_either() {
    let mut calls = shop();
    calls.push(
        Call::new("s-a", "POST", "/checkout", order(10))
            .baseline(Reply::error("timeout"))
            .candidate(Reply::error("timeout")),
    );
    calls.push(Call::new("s-a", "GET", "/orders/17", order(10)).candidate(order(9)));
    check(
        &calls,
        expect![[r#"
            apart baseline POST /checkout - answer x1
              then GET /orders/{id} body_changed /total x1
        "#]],
    );
}

#[test]
fn what_a_limit_kept_from_one_twin_is_the_runs() {
    let stopped = Outcome::Errored {
        kind: "stopped".to_owned(),
        detail: "the run was stopped before the answer".to_owned(),
        timing: None,
    };
    for outcome in [
        Outcome::Refused("in_flight".to_owned()),
        Outcome::Skipped("seeked".to_owned()),
        Outcome::Skipped("twin_down".to_owned()),
        stopped,
    ] {
        let mut calls = shop();
        let mut kept_back = Call::new("s-a", "POST", "/checkout", order(10));
        kept_back.candidate_outcome = Some(outcome);
        calls.push(kept_back);
        calls.push(Call::new("s-a", "GET", "/orders/17", order(10)).candidate(order(9)));
        check(
            &calls,
            expect![[r#"
                apart limit POST /checkout - answer x1
                  then GET /orders/{id} body_changed /total x1
            "#]],
        );
    }
}

#[test]
fn what_went_out_late_and_changes_state_explains_what_follows() {
    let mut calls = shop();
    calls.push(Call::new("s-a", "POST", "/checkout", order(10)).candidate(order(9).late()));
    calls.push(Call::new("s-a", "GET", "/orders/17", order(10)).candidate(order(9)));
    check(
        &calls,
        expect![[r#"
            apart late POST /checkout - answer x1
              then GET /orders/{id} body_changed /total x1
        "#]],
    );
}

#[test]
fn a_failure_from_which_nothing_follows_is_in_the_ledger_alone() {
    let mut calls = shop();
    calls.push(Call::new("s-a", "POST", "/checkout", order(10)).baseline(Reply::error("timeout")));
    let report = check(&calls, expect![[""]]);
    assert_eq!(report.ledgers.runs.baseline.errored, 1);
}
