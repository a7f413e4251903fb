//! What a load makes of a plan.

use expect_test::{Expect, expect};
use twintap_plan::{Load, Pace, Plan, PlanOptions};

use crate::dsl::{capture, plan_of, render};

#[track_caller]
fn loaded(text: &str, load: &Load) -> Plan {
    let plan = plan_of(&capture(text), &PlanOptions::default());
    let plan = plan.with_load(load).expect("few requests");
    for (position, request) in (0u32..).zip(&plan.requests) {
        assert!(request.waits.iter().all(|wait| wait.request < position));
        assert!(
            request
                .bindings
                .iter()
                .all(|binding| binding.producer < position)
        );
        let session = &plan.sessions[request.session as usize];
        assert!(session.requests.contains(&position));
    }
    assert!(plan.requests.is_sorted_by_key(|request| request.due_ns));
    plan
}

#[track_caller]
fn check(text: &str, load: &Load, expected: Expect) {
    expected.assert_eq(&render(&loaded(text, load)));
}

/// Two users; the second asks for two things at once.
const TWO: &str = "0 f1 GET /a -> 10
    5 f2 GET /b -> 25
    40 f1 GET /c -> 50
    45 f2 GET /d -> 65
    46 f3 @10.1.0.2 GET /e -> 60";

#[test]
fn without_a_load_nothing_changes() {
    let recorded = plan_of(&capture(TWO), &PlanOptions::default());
    assert_eq!(loaded(TWO, &Load::default()), recorded);
}

#[test]
fn a_speed_divides_due_times() {
    let load = Load {
        speed: 4.0,
        ..Load::default()
    };
    check(
        "0 f1 GET / -> 2\n10 f2 GET / -> 12\n20 f3 GET / -> 22",
        &load,
        expect![[r#"
            0 0ms f1.0 A
            1 2.5ms f2.0 B
            2 5ms f3.0 C
        "#]],
    );
    assert_eq!(loaded(TWO, &load).speed, 4.0);
}

#[test]
fn a_speed_of_nothing_is_as_recorded() {
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let load = Load {
            speed,
            ..Load::default()
        };
        assert_eq!(loaded(TWO, &load), loaded(TWO, &Load::default()));
    }
}

#[test]
fn a_rate_is_the_mean_over_what_is_fired() {
    let load = Load {
        rate: Some(100.0),
        ..Load::default()
    };
    check(
        "0 f1 GET / -> 2\n5 f4 !part GET / -> 6\n10 f2 GET / -> 12\n100 f3 GET / -> 102",
        &load,
        expect![[r#"
            0 0ms f1.0 A
            1 1ms f4.0 B incomplete
            2 2ms f2.0 C
            3 20ms f3.0 D
        "#]],
    );
}

#[test]
fn a_rate_spreads_what_has_no_spaces_evenly() {
    let load = Load {
        rate: Some(100.0),
        ..Load::default()
    };
    check(
        "0 f1 GET / -> 2\n0 f2 GET / -> 2\n0 f3 GET / -> 2",
        &load,
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 B
            2 20ms f3.0 C
        "#]],
    );
}

#[test]
fn a_ramp_begins_at_nothing_and_loses_half_its_span() {
    let load = Load {
        ramp_ns: 80_000_000,
        ..Load::default()
    };
    check(
        "0 f1 GET / -> 2\n10 f2 GET / -> 12\n40 f3 GET / -> 42\n50 f4 GET / -> 52",
        &load,
        expect![[r#"
            0 0ms f1.0 A
            1 40ms f2.0 B
            2 80ms f3.0 C
            3 90ms f4.0 D
        "#]],
    );
}

#[test]
fn at_once_only_waits_are_left() {
    let load = Load {
        pace: Pace::Asap,
        ..Load::default()
    };
    check(
        "0 f1 GET / -> 2\n10 f2 GET / -> 12\n20 f1 GET / -> 22",
        &load,
        expect![[r#"
            0 0ms f1.0 A
            1 0ms f2.0 B
            2 0ms f1.1 A after 0(connection)
        "#]],
    );
}

#[test]
fn in_a_closed_loop_users_think_after_answers() {
    let load = Load {
        pace: Pace::Closed,
        ..Load::default()
    };
    check(
        "0 f1 GET / -> 30
         10 f2 GET / -> 12
         50 f1 GET / -> 60
         55 f2 GET / -> 56",
        &load,
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 B
            2 20ms f1.1 A 20ms from 0 after 0(connection)
            3 53ms f2.1 B 43ms from 1 after 1(connection)
        "#]],
    );
    let faster = Load { speed: 2.0, ..load };
    check(
        "0 f1 GET / -> 30\n50 f1 GET / -> 60",
        &faster,
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A 10ms from 0 after 0(connection)
        "#]],
    );
}

#[test]
fn a_user_who_asks_for_several_things_at_once_thinks_after_what_came_before() {
    let load = Load {
        pace: Pace::Closed,
        ..Load::default()
    };
    check(
        "0 f1 POST /login -> 10 set-cookie.sid=$A
         20 f1 GET /x cookie.sid=$A -> 40
         25 f2 GET /y cookie.sid=$A -> 90
         50 f1 GET /z cookie.sid=$A -> 60"
            .replace("$A", "a1b2c3d4e5f60718293a4b5c6d7e8f90")
            .as_str(),
        &load,
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A 10ms from 0 after 0(binding) cookie.sid<-0:set-cookie.sid
            2 15ms f2.0 A 15ms from 0 after 0(binding) cookie.sid<-0:set-cookie.sid
            3 20ms f1.2 A 10ms from 1 after 0(binding) after 1(connection) cookie.sid<-0:set-cookie.sid
        "#]],
    );
}

#[test]
fn copies_are_moved_whole() {
    let load = Load {
        copies: 3,
        key: [7; 32],
        ..Load::default()
    };
    let plan = loaded(TWO, &load);
    assert_eq!((plan.requests.len(), plan.sessions.len()), (15, 9));
    let summary = plan.summary();
    assert_eq!((summary.copies, summary.fired), (3, 15));
    for session in 0..3usize {
        let dues = |copy: usize| -> Vec<u64> {
            let requests = &plan.sessions[copy * 3 + session].requests;
            let due = |position: &u32| plan.requests[*position as usize].due_ns;
            requests.iter().map(due).collect()
        };
        let first = dues(0);
        for copy in 1..3 {
            let moved = dues(copy);
            let by_ns = moved[0] - first[0];
            // The whole recording takes 65 ms.
            assert!(by_ns < 65_000_000, "{by_ns}");
            let back: Vec<u64> = moved.iter().map(|due| due - by_ns).collect();
            assert_eq!(back, first);
        }
    }
    let mut names: Vec<&str> = plan.sessions.iter().map(|session| &*session.id).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 9);
    assert_eq!(loaded(TWO, &load), plan);
    let other = Load {
        key: [8; 32],
        ..load
    };
    assert_ne!(loaded(TWO, &other), plan);
}

#[test]
fn copies_of_tied_sessions_stay_together() {
    let tied = "0 f1 POST /invites -> 10 json./code=abcdef1234567890
        20 f2 @10.1.0.2 GET /join/abcdef1234567890 -> 30";
    let load = Load {
        copies: 4,
        ..Load::default()
    };
    let plan = loaded(tied, &load);
    for request in plan.requests.iter().filter(|r| !r.bindings.is_empty()) {
        let producer = &plan.requests[request.bindings[0].producer as usize];
        assert_eq!(producer.copy, request.copy);
        assert_eq!(request.due_ns - producer.due_ns, 20_000_000);
    }
    assert_eq!(plan.summary().cross_session_bindings, 4);
}

#[test]
fn rounds_follow_each_other() {
    let load = Load {
        rounds: 2,
        ..Load::default()
    };
    check(
        "0 f1 GET / -> 2\n10 f2 GET / -> 12\n20 f1 GET / -> 30",
        &load,
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 B
            2 20ms f1.1 A after 0(connection)
            3 30ms f1.0 C copy 1
            4 40ms f2.0 D copy 1
            5 50ms f1.1 C copy 1 after 3(connection)
        "#]],
    );
    let closed = Load {
        pace: Pace::Closed,
        ..load
    };
    check(
        "0 f1 GET / -> 2\n20 f1 GET / -> 30",
        &closed,
        expect![[r#"
            0 0ms f1.0 A
            1 18ms f1.1 A 18ms from 0 after 0(connection)
            2 18ms f1.0 B copy 1 0ms from 1 after 1(think)
            3 36ms f1.1 B copy 1 18ms from 2 after 2(connection)
        "#]],
    );
}

#[test]
fn a_plan_that_is_too_large_is_no_plan() {
    let load = Load {
        copies: 1 << 20,
        rounds: 1 << 20,
        ..Load::default()
    };
    let plan = plan_of(&capture(TWO), &PlanOptions::default());
    let refused = plan.with_load(&load).expect_err("far too many");
    assert_eq!(refused.requests, 5 << 40);
}
