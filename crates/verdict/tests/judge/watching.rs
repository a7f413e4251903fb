//! What is watched from the start of a run, whenever one looks.

use serde_json::json;
use twintap_verdict::{Observation, Options, Outcome, SequentialReport, Watch};

use crate::support::shop::Chance;
use crate::support::{Call, Reply, ready_at};

/// One request of a session of its own, so long after the start, with what the twins take.
fn request(number: u32, at_ms: u64, took_ms: [f64; 2], fails: [bool; 2]) -> Observation {
    let reply = |twin: usize| {
        let status = if fails[twin] { 500 } else { 200 };
        Reply::json(status, &json!({})).after_ms(took_ms[twin])
    };
    let call = Call::new(&format!("s-{number}"), "GET", "/search", reply(0));
    let call = call.baseline(reply(0)).candidate(reply(1));
    ready_at(call.observation(number), at_ms * 1_000_000)
}

/// Ten sessions a second for so long.
fn watched(
    seed: u64,
    seconds: u32,
    twins: impl Fn(u32, &mut Chance) -> ([f64; 2], [bool; 2]),
) -> SequentialReport {
    let mut chance = Chance::new(seed);
    let mut watch = Watch::new(&Options::default());
    for number in 0..seconds * 10 {
        let (took_ms, fails) = twins(number, &mut chance);
        watch.observe(&request(number, u64::from(number) * 100, took_ms, fails));
    }
    watch.report()
}

/// Mostly quick, sometimes a second.
fn latency(chance: &mut Chance) -> f64 {
    5.0 + (1.0 - chance.unit()).powf(-0.9).min(1000.0)
}

#[test]
fn equal_twins_raise_no_alarm_however_long_one_looks() {
    for seed in 0..6 {
        let report = watched(seed, 300, |_, chance| {
            let fails = [chance.below(10) == 0, chance.below(10) == 0];
            ([latency(chance), latency(chance)], fails)
        });
        assert!(!report.is_alarm, "{report:?}");
        assert_eq!(report.sessions, 3000);
    }
}

#[test]
fn a_slower_candidate_raises_one() {
    let report = watched(1, 60, |_, chance| {
        ([latency(chance), latency(chance) + 12.0], [false; 2])
    });
    assert!(report.is_alarm, "{report:?}");
    let stream = &report.streams[0];
    assert_eq!(
        (
            stream.what.as_str(),
            stream.endpoint.as_deref(),
            stream.unit.as_str()
        ),
        ("latency", Some("GET /search"), "second")
    );
    assert!(
        report
            .statement()
            .is_some_and(|text| text.contains("GET /search is slower"))
    );
}

#[test]
fn less_than_half_of_what_matters_raises_none() {
    let report = watched(1, 300, |_, chance| {
        ([latency(chance), latency(chance) + 2.0], [false; 2])
    });
    assert!(!report.is_alarm, "{report:?}");
}

#[test]
fn what_holds_up_one_twin_for_a_moment_raises_none() {
    // For three seconds in five minutes all of the candidate's answers wait.
    let report = watched(1, 300, |number, chance| {
        let stalls = (1000..1030).contains(&number);
        let wait = if stalls { 2000.0 } else { 0.0 };
        ([latency(chance), latency(chance) + wait], [false; 2])
    });
    assert!(!report.is_alarm, "{report:?}");
}

#[test]
fn a_candidate_that_fails_raises_one_once() {
    let report = watched(1, 30, |number, chance| {
        (
            [latency(chance), latency(chance)],
            [false, number % 20 == 0],
        )
    });
    assert!(report.is_alarm, "{report:?}");
    let stream = &report.streams[0];
    assert_eq!(
        (stream.what.as_str(), stream.pluses, stream.minuses),
        ("errors", 15, 0)
    );
    // A session tosses once, however often it fails.
    let mut watch = Watch::new(&Options::default());
    for number in 0..100 {
        let mut observation = request(number, 0, [1.0; 2], [false, true]);
        observation.session = "one".to_owned();
        watch.observe(&observation);
    }
    assert!(!watch.is_alarm());
}

#[test]
fn what_was_not_fired_alike_says_nothing() {
    let mut watch = Watch::new(&Options::default());
    for number in 0..100 {
        let mut observation = request(number, 0, [1.0; 2], [false, true]);
        if let Outcome::Answered { timing, .. } = &mut observation.candidate {
            timing.unbound = true;
        }
        watch.observe(&observation);
        let mut observation = request(number, 0, [1.0; 2], [false, true]);
        observation.is_warm_up = true;
        watch.observe(&observation);
        let mut observation = request(number, 0, [1.0; 2], [false, true]);
        observation.baseline = Outcome::Skipped("filtered".to_owned());
        watch.observe(&observation);
    }
    assert_eq!((watch.report().sessions, watch.is_alarm()), (0, false));
}
