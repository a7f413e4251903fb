//! What is due when, and after what.

use expect_test::{Expect, expect};
use twintap_plan::{Filter, PlanOptions, Spoken};
use twintap_stream::Timestamp;

use crate::dsl::{BASE_NS, capture, plan_of, render};

#[track_caller]
fn check(text: &str, expected: Expect) {
    check_with(&PlanOptions::default(), text, expected);
}

#[track_caller]
fn check_with(options: &PlanOptions, text: &str, expected: Expect) {
    let text = text.replace("$A", "a1b2c3d4e5f60718293a4b5c6d7e8f90");
    let plan = plan_of(&capture(&text), options);
    expected.assert_eq(&render(&plan));
}

#[test]
fn due_times_count_from_the_first_request_that_is_fired() {
    check(
        "5 f1 !part GET / -> 6
         10 f2 GET / -> 12
         20 f3 GET / -> 22",
        expect![[r#"
            0 0ms f1.0 A incomplete
            1 0ms f2.0 B
            2 10ms f3.0 C
        "#]],
    );
}

#[test]
fn a_connection_keeps_its_order() {
    check(
        "0 f1 GET /a -> 5
         6 f1 GET /b -> 9
         7 f1 GET /pipelined -> 11
         8 f1 GET /pipelined -> 12
         20 f1 GET /c -> 22",
        expect![[r#"
            0 0ms f1.0 A
            1 6ms f1.1 A after 0(connection)
            2 7ms f1.2 A after 0(connection)
            3 8ms f1.3 A after 0(connection)
            4 20ms f1.4 A after 3(connection)
        "#]],
    );
}

#[test]
fn nothing_waits_for_what_is_not_fired() {
    check(
        "0 f1 GET /a -> 2
         10 f1 !part GET /b -> 12
         20 f1 GET /c -> 22",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A incomplete
            2 20ms f1.2 A after 0(connection)
        "#]],
    );
}

#[test]
fn the_order_of_the_stream_goes_before_the_stamps() {
    check(
        "10 f1 index=0 GET /a -> 12
         9 f1 index=1 GET /b -> 13",
        expect![[r#"
            0 0ms f1.0 A
            1 0ms f1.1 A
        "#]],
    );
}

#[test]
fn a_client_had_what_ended_a_round_trip_before() {
    check(
        "0 f1 rtt=3 POST /login -> 2 set-cookie.sid=$A
         10 f1 GET /a cookie.sid=$A -> 12
         10 f2 rtt=3 GET /b cookie.sid=$A -> 20
         15 f3 rtt=3 GET /c cookie.sid=$A -> 30
         17 f4 rtt=3 GET /d cookie.sid=$A -> 30",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(binding) cookie.sid<-0:set-cookie.sid
            2 10ms f2.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
            3 15ms f3.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
            4 17ms f4.0 A after 0(binding) after 1(had) cookie.sid<-0:set-cookie.sid
        "#]],
    );
}

#[test]
fn an_unknown_round_trip_is_assumed_to_be_long() {
    check(
        "0 f1 GET /a cookie.sid=q -> 2
         0 f2 GET /login -> 2 set-cookie.sid=$A
         100 f3 GET /b cookie.sid=$A -> 102
         400 f4 GET /c cookie.sid=$A -> 402",
        expect![[r#"
            0 0ms f1.0 A
            1 0ms f2.0 B
            2 100ms f3.0 B after 1(binding) cookie.sid<-1:set-cookie.sid
            3 400ms f4.0 B after 1(binding) after 2(had) cookie.sid<-1:set-cookie.sid
        "#]],
    );
}

#[test]
fn waits_are_transitively_reduced() {
    check(
        "0 f1 rtt=1 POST /login -> 2 set-cookie.sid=$A
         10 f2 rtt=1 GET /a cookie.sid=$A -> 12
         20 f3 rtt=1 GET /b cookie.sid=$A -> 25
         21 f4 rtt=1 GET /c cookie.sid=$A -> 26
         40 f5 rtt=1 GET /d cookie.sid=$A -> 42
         50 f2 GET /e cookie.sid=$A -> 52",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
            2 20ms f3.0 A after 0(binding) after 1(had) cookie.sid<-0:set-cookie.sid
            3 21ms f4.0 A after 0(binding) after 1(had) cookie.sid<-0:set-cookie.sid
            4 40ms f5.0 A after 0(binding) after 2(had) after 3(had) cookie.sid<-0:set-cookie.sid
            5 50ms f2.1 A after 0(binding) after 1(connection) after 4(had) cookie.sid<-0:set-cookie.sid
        "#]],
    );
}

#[test]
fn a_wait_on_the_connection_covers_what_that_one_waited_for() {
    check(
        "0 f1 rtt=1 POST /login -> 2 set-cookie.sid=$A
         10 f2 rtt=1 GET /a cookie.sid=$A -> 12
         20 f1 GET /b cookie.sid=$A -> 22
         23 f1 GET /c cookie.sid=$A -> 25",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
            2 20ms f1.1 A after 0(binding) after 1(had) cookie.sid<-0:set-cookie.sid
            3 23ms f1.2 A after 0(binding) after 2(connection) cookie.sid<-0:set-cookie.sid
        "#]],
    );
}

#[test]
fn requests_side_by_side_stay_so() {
    check(
        "0 f1 rtt=1 POST /login -> 2 set-cookie.sid=$A
         10 f2 rtt=1 GET /a cookie.sid=$A -> 30
         11 f3 rtt=1 GET /b cookie.sid=$A -> 31
         12 f4 rtt=1 GET /c cookie.sid=$A -> 32",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
            2 11ms f3.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
            3 12ms f4.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
        "#]],
    );
}

#[test]
fn waits_for_what_the_client_had_are_limited() {
    let options = PlanOptions {
        max_client_had: 2,
        ..PlanOptions::default()
    };
    check_with(
        &options,
        "0 f1 rtt=1 POST /login -> 2 set-cookie.sid=$A
         10 f2 rtt=1 GET /a cookie.sid=$A -> 30
         11 f3 rtt=1 GET /b cookie.sid=$A -> 31
         12 f4 rtt=1 GET /c cookie.sid=$A -> 32
         40 f5 rtt=1 GET /d cookie.sid=$A -> 42",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
            2 11ms f3.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
            3 12ms f4.0 A after 0(binding) cookie.sid<-0:set-cookie.sid
            4 40ms f5.0 A after 0(binding) after 2(had) after 3(had) cookie.sid<-0:set-cookie.sid
        "#]],
    );
}

#[test]
fn what_cannot_be_sent_again_is_incomplete() {
    check(
        "0 f1 !part GET / -> 1
         1 f2 !unseen GET / -> 2
         2 f3 !dropped POST / -> 3
         3 f4 CONNECT db:5432 -> 4
         4 f5 GET /ws header.upgrade=websocket -> 5 101
         5 f6 GET /h2 header.upgrade=h2c -> 6
         6 f7 GET /lost-answer
         7 f8 GET /cut-answer -> 9?",
        expect![[r#"
            0 0ms f1.0 A incomplete
            1 0ms f2.0 B incomplete
            2 0ms f3.0 C incomplete
            3 0ms f4.0 D incomplete
            4 0ms f5.0 E incomplete
            5 0ms f6.0 F
            6 1ms f7.0 G
            7 2ms f8.0 H
        "#]],
    );
}

#[test]
fn what_no_target_speaks_is_not_fired() {
    check(
        "0 f1 !redis GET / -> 1
         1 f2 GET / -> 2",
        expect![[r#"
            0 0ms f1.0 A protocol
            1 0ms f2.0 B
        "#]],
    );
}

#[test]
fn commands_of_a_database_follow_each_other_and_go_out_behind_open_ones() {
    let capture = "0 f1 !redis AUTH / -> 1
         1 f1 !redis GET / -> 2
         2.5 f1 !redis GET / -> 9
         3 f1 !redis SET / -> 10
         4 f1 !redis DEL / -> 11
         12 f1 !redis SUBSCRIBE / -> 13
         14 f1 !redis !unseen GET / -> 15
         16 f1 !redis REPLICAOF / -> 17
         18 f2 GET / -> 19";
    let options = PlanOptions {
        spoken: vec![Spoken::Redis],
        ..PlanOptions::default()
    };
    check_with(
        &options,
        capture,
        expect![[r#"
            0 0ms f1.0 A login
            1 0ms f1.1 A
            2 1.5ms f1.2 A after 1(connection)
            3 2ms f1.3 A after 1(connection)
            4 3ms f1.4 A after 1(connection)
            5 11ms f1.5 A stream
            6 13.999ms f1.6 A stream
            7 15ms f1.7 A administration
            8 17ms f2.0 B protocol
        "#]],
    );
}

#[test]
fn streams_wait_for_what_the_client_had_and_not_for_their_connection() {
    check(
        "0 f1 rtt=2 !http2 GET / -> 20
         1 f1 rtt=2 !http2 GET / -> 5
         6 f1 rtt=2 !http2 GET / -> 9
         30 f1 rtt=2 !http2 GET / -> 31",
        expect![[r#"
            0 0ms f1.0 A
            1 1ms f1.1 A
            2 6ms f1.2 A
            3 30ms f1.3 A after 0(had) after 1(had) after 2(had)
        "#]],
    );
}

#[test]
fn the_filter_takes_methods_paths_and_times() {
    let options = PlanOptions {
        filter: Filter {
            methods: vec!["GET".to_owned()],
            path_prefixes: vec!["/api/".to_owned()],
            from: Some(Timestamp(BASE_NS + 10_000_000)),
            to: Some(Timestamp(BASE_NS + 40_000_000)),
            ..Filter::default()
        },
        ..PlanOptions::default()
    };
    check_with(
        &options,
        "0 f1 GET /api/a -> 2
         10 f2 GET /api/a -> 12
         20 f3 POST /api/a -> 22
         30 f4 GET /web/a -> 32
         35 f5 GET http://shop.test/api/a -> 36
         40 f6 GET /api/a -> 42",
        expect![[r#"
            0 0ms f1.0 A filtered
            1 0ms f2.0 B
            2 10ms f3.0 C filtered
            3 20ms f4.0 D filtered
            4 25ms f5.0 E
            5 30ms f6.0 F filtered
        "#]],
    );
}

#[test]
fn the_filter_takes_sessions() {
    let text = "0 f1 GET / -> 2\n10 f2 GET / -> 12";
    let all = plan_of(&capture(text), &PlanOptions::default());
    let options = PlanOptions {
        filter: Filter {
            sessions: vec![all.sessions[1].id.clone()],
            ..Filter::default()
        },
        ..PlanOptions::default()
    };
    check_with(
        &options,
        text,
        expect![[r#"
        0 0ms f1.0 A filtered
        1 0ms f2.0 B
    "#]],
    );
}

#[test]
fn a_summary_adds_up() {
    let text = "0 f1 POST /login -> 2 set-cookie.sid=$A
        10 f1 GET /me cookie.sid=$A -> 12
        20 f2 !part GET / -> 22
        30 f3 GET / cookie.sid=0f9e8d7c6b5a49382716f5e4d3c2b1a0 -> 32"
        .replace("$A", "a1b2c3d4e5f60718293a4b5c6d7e8f90");
    let plan = plan_of(&capture(&text), &PlanOptions::default());
    expect![[r#"
        PlanSummary {
            planned: 4,
            fired: 2,
            skipped: {
                Unbound: 1,
                Incomplete: 1,
            },
            missing: {
                "cookie.sid": 1,
            },
            entry: 4,
            internal: 0,
            routes: {},
            sessions: {
                Cookie: 2,
                Flow: 1,
            },
            began_before_capture: 1,
            bindings: 1,
            cross_session_bindings: 0,
            racing: 0,
            waits: {
                Binding: 1,
            },
            duration_ns: 10000000,
            speed: 1.0,
            copies: 1,
        }
    "#]]
    .assert_debug_eq(&plan.summary());
}
