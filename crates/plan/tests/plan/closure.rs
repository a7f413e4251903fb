//! What a request depends on, and plans of that alone.

use expect_test::{Expect, expect};
use twintap_plan::{Load, Pace, Plan, PlanOptions};

use crate::dsl::{capture, plan_of, render, render_sessions};

/// Checks what the requests at these positions depend on, and the plan of that.
#[track_caller]
fn check(text: &str, positions: &[u32], closure: &[u32], expected: Expect) {
    let plan = plan(text);
    assert_eq!(plan.closure_of(positions), closure);
    let only = plan.only(closure);
    expected.assert_eq(&(render(&only) + &render_sessions(&only)));
}

fn plan(text: &str) -> Plan {
    let text = text
        .replace("$A", "a1b2c3d4e5f60718293a4b5c6d7e8f90")
        .replace("$B", "0f9e8d7c6b5a49382716f5e4d3c2b1a0")
        .replace("$ID", "ord_5d41402abc4b2a76");
    plan_of(&capture(&text), &PlanOptions::default())
}

#[test]
fn a_session_is_needed_up_to_the_request_and_no_further() {
    check(
        "0 f1 POST /login -> 2 set-cookie.sid=$A
         5 f2 POST /login -> 7 set-cookie.sid=$B
         10 f1 GET /a cookie.sid=$A -> 12
         15 f2 GET /a cookie.sid=$B -> 17
         20 f1 GET /b cookie.sid=$A -> 22",
        &[2],
        &[0, 2],
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(binding) cookie.sid<-0:set-cookie.sid
            A cookie: f1.0 f1.1
        "#]],
    );
}

#[test]
fn a_value_of_another_session_needs_what_came_before_it_there() {
    check(
        "0 f1 POST /login -> 2 set-cookie.sid=$A
         5 f1 POST /orders cookie.sid=$A -> 7 201 json./id=$ID
         8 f3 GET /elsewhere -> 9
         10 f2 GET /orders/$ID -> 12",
        &[3],
        &[0, 1, 3],
        expect![[r#"
            0 0ms f1.0 A
            1 5ms f1.1 A after 0(binding) cookie.sid<-0:set-cookie.sid
            2 10ms f2.0 B after 1(binding) path.1<-1:json./id
            A cookie: f1.0 f1.1
            B flow: f2.0
        "#]],
    );
}

#[test]
fn writes_of_what_is_touched_are_needed_and_the_connection_is_not() {
    check(
        "0 f1 PUT /orders/17 -> 2
         5 f2 PUT /orders/18 -> 7
         10 f1 GET /health -> 12
         20 f3 GET /orders/17 -> 22",
        &[3],
        &[0, 3],
        expect![[r#"
            0 0ms f1.0 A
            1 20ms f3.0 B after 0(resource)
            A flow: f1.0
            B flow: f3.0
        "#]],
    );
}

#[test]
fn what_is_not_fired_is_not_needed_but_may_be_asked_for() {
    let text = "0 f1 !part GET /a -> 2
         10 f1 GET /b -> 12";
    check(
        text,
        &[1],
        &[1],
        expect![[r#"
        0 0ms f1.1 A
        A flow: f1.1
    "#]],
    );
    check(
        text,
        &[0, 1],
        &[0, 1],
        expect![[r#"
        0 0ms f1.0 A incomplete
        1 0ms f1.1 A
        A flow: f1.0 f1.1
    "#]],
    );
}

#[test]
fn a_copy_needs_its_own_copies() {
    let load = Load {
        copies: 2,
        pace: Pace::Asap,
        ..Load::default()
    };
    let plan = plan(
        "0 f1 POST /login -> 2 set-cookie.sid=$A
         10 f1 GET /a cookie.sid=$A -> 12",
    );
    let plan = plan.with_load(&load).expect("few requests");
    let last = plan.requests.iter().rposition(|request| request.copy == 1);
    let last = last.expect("a second copy") as u32;
    let closure = plan.closure_of(&[last]);
    let copies: Vec<u32> = closure
        .iter()
        .map(|position| plan.requests[*position as usize].copy)
        .collect();
    assert_eq!(copies, [1, 1]);
    assert_eq!(plan.only(&closure).sessions.len(), 1);
}

#[test]
fn nothing_else_is_there_at_all() {
    let plan = plan("0 f1 GET /a -> 2");
    assert_eq!(plan.closure_of(&[7]), [0; 0]);
    assert!(plan.only(&[]).requests.is_empty());
    assert_eq!(plan.only(&[0]), plan);
}
