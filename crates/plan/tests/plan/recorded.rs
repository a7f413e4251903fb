//! All of the recorded order.
//!
//! Each flow here is a session of its own.

use expect_test::expect;
use twintap_plan::{Load, OrderRule, Pace, PlanOptions};

use crate::dsl::{capture, plan_of, render};
use crate::resources::check_with;

#[test]
fn all_of_the_recorded_order_can_be_kept() {
    let options = PlanOptions {
        order: OrderRule::Recorded,
        max_recorded: 2,
        ..PlanOptions::default()
    };
    check_with(
        &options,
        "0 f1 POST /pages -> 2
         5 f2 GET /news -> 9
         6 f3 GET /news -> 7
         8 f4 POST /issues -> 12
         15 f1 GET /pages -> 16
         20 f5 GET /news -> 30
         21 f6 GET /news -> 31
         22 f7 GET /news -> 32
         40 f8 GET /news -> 41",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(recorded)
            2 f3.0 after 0(recorded)
            3 f4.0 after 2(recorded)
            4 f1.1 after 0(connection) after 1(recorded) after 3(recorded)
            5 f5.0 after 4(recorded)
            6 f6.0 after 4(recorded)
            7 f7.0 after 4(recorded)
            8 f8.0 after 6(recorded) after 7(recorded)
        "#]],
    );
}

#[test]
fn clocks_that_may_be_apart_order_less() {
    let options = PlanOptions {
        order: OrderRule::Recorded,
        clock_uncertainty_ns: 3_000_000,
        ..PlanOptions::default()
    };
    let mut records = capture(
        "0 f1 GET /news -> 2
         4 f2 GET /news -> 5
         10 f3 GET /news -> 11",
    );
    records[1].0.exchange.id.boot += 1;
    let plan = plan_of(&records, &options);
    let waits: Vec<Vec<u32>> = plan
        .requests
        .iter()
        .map(|request| request.waits.iter().map(|wait| wait.request).collect())
        .collect();
    assert_eq!(waits, [vec![], vec![], vec![0, 1]]);
}

#[test]
fn where_all_order_matters_changes_at_the_same_time_race() {
    let options = PlanOptions {
        order: OrderRule::Recorded,
        ..PlanOptions::default()
    };
    check_with(
        &options,
        "0 f1 POST /pages -> 5
         4 f2 GET /news -> 9
         4 f3 POST /issues -> 6
         7 f4 POST /issues -> 8",
        expect![[r#"
            0 f1.0 races 2(*)
            1 f2.0
            2 f3.0 races 0(*)
            3 f4.0 after 0(recorded) after 2(recorded)
        "#]],
    );
}

#[test]
fn in_a_closed_loop_users_wait_for_each_other_and_keep_their_distance() {
    let options = PlanOptions {
        order: OrderRule::Recorded,
        ..PlanOptions::default()
    };
    let plan = plan_of(
        &capture(
            "0 f1 POST /pages -> 30
             10 f2 GET /news -> 12
             50 f1 GET /news -> 60
             55 f2 GET /news -> 70
             80 f1 GET /news -> 81",
        ),
        &options,
    );
    let load = Load {
        pace: Pace::Closed,
        ..Load::default()
    };
    let plan = plan.with_load(&load).expect("a small plan");
    expect![[r#"
        0 0ms f1.0 A
        1 10ms f2.0 B
        2 20ms f1.1 A 20ms from 0 after 0(connection) after 1(recorded)
        3 25ms f2.1 B 25ms from 0 after 0(recorded) after 1(connection)
        4 35ms f1.2 A 10ms from 3 after 2(connection) after 3(recorded)
    "#]]
    .assert_eq(&render(&plan));
}
