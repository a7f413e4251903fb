//! Plans that are gone through without end.

use twintap_plan::{Load, Pace, Plan, PlanOptions, RoundPlace, RoundPlaces, Rounds};

use crate::dsl::{capture, plan_of};

/// A user who makes an order, changes it and looks at it; the round lasts 100 ms.
const ORDER: &str = "0 f1 POST /orders -> 10 201 json./order_id=a1b2c3d4e5f6
    20 f1 PUT /orders/a1b2c3d4e5f6 -> 30
    90 f2 GET /orders/a1b2c3d4e5f6 -> 100";

fn plan(load: &Load) -> Plan {
    let plan = plan_of(&capture(ORDER), &PlanOptions::default());
    plan.with_load(load).expect("few requests")
}

#[test]
fn windows_go_on_where_the_last_ended() {
    let plan = plan(&Load::default());
    let mut rounds = Rounds::new(&plan, Pace::Recorded, 0);
    assert_eq!(rounds.length_ns(), 100_000_000);
    let mut position = 0u32;
    let mut places = RoundPlaces::of(&plan);
    for number in 0..3u64 {
        let turn = rounds.next_window(0);
        let window = turn.window;
        // A hundred rounds are ten seconds.
        assert_eq!((window.first, window.requests.len()), (position, 300));
        assert_eq!(turn.starts_ns, number * 10_000_000_000);
        assert_eq!(turn.horizon_ns, (number + 1) * 10_000_000_000);
        assert!(window.requests.is_sorted_by_key(|request| request.due_ns));
        assert!(window.carried.is_empty());
        for request in &window.requests {
            let RoundPlace {
                round,
                position: of_plan,
            } = places.place(position);
            let recorded = &plan.requests[of_plan as usize];
            assert_eq!(request.exchange, recorded.exchange);
            assert_eq!(request.due_ns, round * 100_000_000 + recorded.due_ns);
            assert_eq!(u64::from(request.copy), round);
            let name = &window.sessions[request.session as usize];
            assert_eq!(**name, *rounds.session_name(round, recorded.session));
            // Everything that it refers to is of its own round.
            let base = position - of_plan;
            let own =
                |recorded: &[u32]| -> Vec<u32> { recorded.iter().map(|p| p + base).collect() };
            assert_eq!(waits(request), own(&waits(recorded)));
            assert_eq!(request.follows, own(&recorded.follows));
            let producers = |of: &twintap_plan::PlannedRequest| -> Vec<u32> {
                of.bindings.iter().map(|binding| binding.producer).collect()
            };
            assert_eq!(producers(request), own(&producers(recorded)));
            position += 1;
        }
    }
    assert!(
        plan.requests
            .iter()
            .any(|request| !request.follows.is_empty())
    );
    assert_eq!(rounds.session_name(0, 0), plan.sessions[0].id);
    assert_eq!(
        rounds.session_name(2, 0),
        format!("{}~3", plan.sessions[0].id)
    );
}

fn waits(request: &twintap_plan::PlannedRequest) -> Vec<u32> {
    request.waits.iter().map(|wait| wait.request).collect()
}

#[test]
fn copies_are_counted_over_all_rounds() {
    let plan = plan(&Load {
        copies: 2,
        ..Load::default()
    });
    let rounds = Rounds::new(&plan, Pace::Recorded, 0);
    let first = &plan.sessions[0].id;
    let copy = plan.sessions.len() as u32 / 2;
    let names = [(0, 0), (0, copy), (1, 0), (1, copy)];
    let names = names.map(|(round, session)| rounds.session_name(round, session));
    let expected = ["", "~2", "~3", "~4"].map(|suffix| format!("{first}{suffix}"));
    assert_eq!(names, expected);
}

#[test]
fn at_once_a_round_is_due_when_it_is_made() {
    let plan = plan(&Load {
        pace: Pace::Asap,
        ..Load::default()
    });
    let mut rounds = Rounds::new(&plan, Pace::Asap, 0);
    for now_ns in [0, 7, 1_000_000] {
        let turn = rounds.next_window(now_ns);
        assert_eq!((turn.starts_ns, turn.horizon_ns), (now_ns, u64::MAX));
        let mut requests = turn.window.requests.iter();
        assert!(requests.all(|request| request.due_ns == now_ns));
        assert!(turn.window.requests.len() > 5_000);
    }
}

#[test]
fn a_ramp_stretches_the_beginning_alone() {
    let plan = plan(&Load::default());
    let mut rounds = Rounds::new(&plan, Pace::Recorded, 4_000_000_000);
    let turn = rounds.next_window(0);
    let due_ns = |round: usize| turn.window.requests[round * 3].due_ns;
    // Half of the ramp's span is lost to it.
    assert_eq!(due_ns(20), 4_000_000_000);
    assert_eq!(due_ns(21), 4_100_000_000);
    assert_eq!(due_ns(5), 2_000_000_000);
    assert_eq!(turn.horizon_ns, 12_000_000_000);
}

#[test]
fn places_are_found_where_positions_begin_again() {
    let plan = plan(&Load::default());
    let mut places = RoundPlaces::of(&plan);
    // 2^32 is 1 more than a multiple of 3.
    let steps = [1 << 30, 1 << 31, 3 << 30, u32::MAX];
    let last = steps.map(|position| places.place(position))[3];
    let round = (1u64 << 32) / 3;
    assert_eq!(last, RoundPlace { round, position: 0 });
    for (position, expected) in [
        (0, (round, 1)),
        (1, (round, 2)),
        (2, (round + 1, 0)),
        (u32::MAX, (round, 0)),
    ] {
        let RoundPlace {
            round,
            position: found,
        } = places.place(position);
        assert_eq!((round, found), expected, "{position}");
    }
}

#[test]
fn references_of_copies_stay_within_them() {
    let plan = plan(&Load {
        copies: 3,
        rounds: 2,
        ..Load::default()
    });
    for request in &plan.requests {
        for &before in &request.follows {
            assert_eq!(plan.requests[before as usize].copy, request.copy);
        }
    }
    let follows = plan.requests.iter().map(|request| request.follows.len());
    assert!(follows.sum::<usize>() >= 6);
}

#[test]
fn in_a_closed_loop_users_go_on_after_the_round_before() {
    let plan = plan(&Load {
        pace: Pace::Closed,
        ..Load::default()
    });
    let mut rounds = Rounds::new(&plan, Pace::Closed, 0);
    let window = rounds.next_window(0).window;
    let thinks = |window: &twintap_plan::Window| -> Vec<Option<(u32, u64)>> {
        let thinks = window.requests.iter().map(|request| request.think);
        thinks
            .map(|think| think.map(|think| (think.after, think.ns / 1_000_000)))
            .collect()
    };
    // Where twins take no time, the first user has its last answer at 20 ms, and the other
    // at 100.
    let expected = [
        None,
        Some((0, 10)),
        None,
        Some((1, 80)),
        Some((3, 10)),
        Some((2, 90)),
    ];
    assert_eq!(thinks(&window)[..6], expected);
    for request in &window.requests[3..] {
        let after = request.think.expect("they think").after;
        assert!(request.waits.iter().any(|wait| wait.request == after));
    }
    // Over the border of windows, too.
    let next = rounds.next_window(0).window;
    assert_eq!(thinks(&next)[0], Some((next.first - 2, 80)));
}
