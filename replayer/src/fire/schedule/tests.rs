use twintap_plan::model::{Wait, WaitReason};
use twintap_plan::{Plan, Think};

use super::super::testing::{binding, plan};
use super::*;

fn schedule(plan: &Plan) -> Schedule {
    let mut schedule = Schedule::new(1000);
    schedule.append(Arc::new(Timetable::new(0, &plan.requests)));
    schedule
}

fn ready(schedule: &mut Schedule) -> Vec<(u32, u64, bool)> {
    std::iter::from_fn(|| schedule.poll_ready())
        .map(|release| (release.position, release.ready_ns, release.wait_expired))
        .collect()
}

/// The recorded speed: run time is the plan's.
fn due(schedule: &mut Schedule, position: u32) {
    let (state, place) = schedule.batches.get(position).expect("a batch");
    let due_ns = state.table.due_ns(place);
    schedule.handle_due(position, due_ns);
}

fn wait(request: u32) -> Wait {
    Wait {
        request,
        reason: WaitReason::Connection,
    }
}

#[test]
fn what_waits_for_nothing_is_ready_when_due() {
    let mut schedule = schedule(&plan(&[10, 20]));
    due(&mut schedule, 0);
    due(&mut schedule, 1);
    assert_eq!(ready(&mut schedule), [(0, 10, false), (1, 20, false)]);
    assert_eq!(schedule.poll_timeout(), None);
}

#[test]
fn ready_is_the_later_of_due_and_met() {
    let mut plan = plan(&[10, 20, 30]);
    plan.requests[1].waits = vec![wait(0)];
    plan.requests[2].waits = vec![wait(0)];
    let mut schedule = schedule(&plan);
    due(&mut schedule, 0);
    due(&mut schedule, 1);
    assert_eq!(ready(&mut schedule), [(0, 10, false)]);
    schedule.handle_outcome(0, 25, false);
    assert_eq!(ready(&mut schedule), [(1, 25, false)]);
    due(&mut schedule, 2);
    assert_eq!(ready(&mut schedule), [(2, 30, false)]);
}

#[test]
fn a_user_of_values_waits_for_them_and_not_for_the_outcome() {
    let mut plan = plan(&[10, 20, 20]);
    plan.requests[1].bindings = vec![binding(0, "json./id")];
    plan.requests[1].waits = vec![wait(0)];
    plan.requests[2].waits = vec![wait(0)];
    let mut schedule = schedule(&plan);
    for position in 0..3 {
        due(&mut schedule, position);
    }
    ready(&mut schedule);
    schedule.handle_outcome(0, 30, true);
    assert_eq!(ready(&mut schedule), [(2, 30, false)]);
    schedule.handle_values(0, 40);
    assert_eq!(ready(&mut schedule), [(1, 40, false)]);
}

#[test]
fn who_has_its_values_early_goes_on_once() {
    let mut plan = plan(&[10, 20, 20, 20]);
    for (position, path) in [(1, "json./0"), (2, "json./1"), (3, "json./1")] {
        plan.requests[position].bindings = vec![binding(0, path)];
    }
    plan.requests[3].waits = vec![wait(2)];
    let mut schedule = schedule(&plan);
    for position in 0..4 {
        due(&mut schedule, position);
    }
    assert_eq!(ready(&mut schedule), [(0, 10, false)]);
    schedule.handle_early(0, 1, 25);
    schedule.handle_early(0, 1, 26);
    schedule.handle_early(0, 3, 27);
    assert_eq!(ready(&mut schedule), [(1, 25, false)]);
    schedule.handle_outcome(0, 30, true);
    assert_eq!(ready(&mut schedule), []);
    schedule.handle_values(0, 40);
    assert_eq!(ready(&mut schedule), [(2, 40, false)]);
    // It still waits for the outcome of another, and for nothing twice.
    schedule.handle_outcome(2, 50, false);
    assert_eq!(ready(&mut schedule), [(3, 50, false)]);
}

#[test]
fn without_values_their_users_go_on() {
    let mut plan = plan(&[10, 20]);
    plan.requests[1].bindings = vec![binding(0, "json./id")];
    let mut schedule = schedule(&plan);
    due(&mut schedule, 0);
    due(&mut schedule, 1);
    schedule.handle_outcome(0, 30, false);
    assert_eq!(ready(&mut schedule), [(0, 10, false), (1, 30, false)]);
}

#[test]
fn a_wait_ends_by_itself() {
    let mut plan = plan(&[10, 20, 30]);
    plan.requests[1].waits = vec![wait(0)];
    plan.requests[2].waits = vec![wait(1)];
    let mut schedule = schedule(&plan);
    for position in 0..3 {
        due(&mut schedule, position);
    }
    ready(&mut schedule);
    assert_eq!(schedule.poll_timeout(), Some(1020));
    schedule.handle_timeout(1019);
    assert_eq!(ready(&mut schedule), []);
    schedule.handle_timeout(1020);
    assert_eq!(ready(&mut schedule), [(1, 1020, true)]);
    // Its late outcome must not release anything twice.
    schedule.handle_outcome(0, 1025, false);
    assert_eq!(ready(&mut schedule), []);
    schedule.handle_outcome(1, 1026, false);
    assert_eq!(ready(&mut schedule), [(2, 1026, false)]);
    assert_eq!(schedule.poll_timeout(), None);
}

#[test]
fn a_user_goes_on_some_time_after_the_answer() {
    let mut plan = plan(&[10, 20, 30]);
    for position in [1, 2] {
        let before = position as u32 - 1;
        plan.requests[position].waits = vec![wait(before)];
        plan.requests[position].think = Some(Think {
            after: before,
            ns: 5,
        });
    }
    let mut schedule = Schedule::new(u64::MAX);
    schedule.append(Arc::new(Timetable::new(0, &plan.requests)));
    for position in 0..3 {
        due(&mut schedule, position);
    }
    assert_eq!(ready(&mut schedule), [(0, 10, false)]);
    schedule.handle_outcome(0, 40, false);
    assert_eq!(schedule.poll_timeout(), Some(45));
    schedule.handle_timeout(44);
    assert_eq!(ready(&mut schedule), []);
    schedule.handle_timeout(46);
    assert_eq!(ready(&mut schedule), [(1, 45, false)]);
    // Nobody goes on before the time that the plan has.
    schedule.handle_outcome(1, 46, false);
    assert_eq!(schedule.drain(), [2]);
    schedule.handle_timeout(100);
    assert_eq!(ready(&mut schedule), []);
}

#[test]
fn what_is_ready_goes_out_in_the_order_of_the_plan() {
    let mut plan = plan(&[0, 0, 0]);
    plan.requests[1].waits = vec![wait(0)];
    let mut schedule = schedule(&plan);
    due(&mut schedule, 0);
    assert_eq!(ready(&mut schedule), [(0, 0, false)]);
    due(&mut schedule, 1);
    due(&mut schedule, 2);
    schedule.handle_outcome(0, 7, false);
    assert_eq!(ready(&mut schedule), [(1, 7, false), (2, 0, false)]);
}

#[test]
fn draining_gives_each_request_once() {
    let mut plan = plan(&[10, 20, 30]);
    plan.requests[1].waits = vec![wait(0)];
    let mut schedule = schedule(&plan);
    due(&mut schedule, 0);
    due(&mut schedule, 1);
    assert_eq!(schedule.drain(), [0, 1]);
    schedule.handle_outcome(0, 50, false);
    assert!(schedule.drain().is_empty());
}

#[test]
fn a_later_batch_waits_for_an_earlier_one() {
    // Numbers begin again between the two.
    let first = u32::MAX - 1;
    let mut schedule = Schedule::new(1000);
    let earlier = plan(&[10, 20]);
    schedule.append(Arc::new(Timetable::new(first, &earlier.requests)));
    due(&mut schedule, first);
    due(&mut schedule, u32::MAX);
    ready(&mut schedule);
    schedule.handle_outcome(first, 25, false);
    assert!(schedule.is_settled(first) && !schedule.is_settled(u32::MAX));

    let mut later = plan(&[30, 40, 50]);
    later.requests[0].waits = vec![wait(first), wait(u32::MAX)];
    later.requests[1].bindings = vec![binding(first, "json./id")];
    later.requests[2].waits = vec![wait(0)];
    schedule.append(Arc::new(Timetable::new(0, &later.requests)));
    for position in 0..3 {
        due(&mut schedule, position);
    }
    assert_eq!(ready(&mut schedule), []);
    assert!(!schedule.pop_settled());
    schedule.handle_outcome(u32::MAX, 45, false);
    assert_eq!(ready(&mut schedule), [(0, 45, false)]);
    assert!(schedule.pop_settled() && !schedule.pop_settled());
    // Values of an answer of long ago.
    schedule.handle_carried(0, first, 60);
    assert_eq!(ready(&mut schedule), [(1, 60, false)]);
    schedule.handle_outcome(0, 70, false);
    assert_eq!(ready(&mut schedule), [(2, 70, false)]);
    schedule.handle_outcome(1, 80, false);
    schedule.handle_outcome(2, 80, false);
    assert!(schedule.pop_settled());
}
