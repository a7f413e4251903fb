//! Latency: what is found, and what is not.

use twintap_verdict::Report;

use crate::support::shop::Chance;
use crate::support::{Call, Reply, judge, lines};

/// `samples` requests over `sessions` sessions, the candidate `slower_ms` slower
/// than a baseline of `usual_ms`, both with jitter of `jitter_ms` and, one time
/// in ten, a stall of up to ten times that.
fn run(
    seed: u64,
    samples: u32,
    sessions: u32,
    usual_ms: f64,
    jitter_ms: f64,
    slower_ms: f64,
) -> Report {
    let mut chance = Chance::new(seed);
    let mut latency = move |extra: f64| {
        let stall = if chance.below(10) == 0 { 10.0 } else { 1.0 };
        usual_ms + jitter_ms * stall * chance.unit() + extra
    };
    let calls: Vec<Call> = (0..samples)
        .map(|index| {
            let reply = Reply::json(200, &serde_json::json!({}));
            Call::new(
                &format!("s-{}", index % sessions),
                "GET",
                "/search",
                reply.clone(),
            )
            .baseline(reply.clone().after_ms(latency(0.0)))
            .candidate(reply.after_ms(latency(slower_ms)))
        })
        .collect();
    judge(&calls)
}

const FOUND: &[&str] = &["GET /search latency latency"];

#[track_caller]
fn check(report: &Report, expected: &[&str]) {
    let found: Vec<String> = lines(report)
        .iter()
        .map(|line| {
            line.rsplit_once(' ')
                .map_or("", |(head, _)| head)
                .to_owned()
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn forty_milliseconds_are_found_from_twenty_samples_on() {
    for seed in 0..20 {
        check(&run(seed, 20, 20, 5.0, 8.0, 40.0), FOUND);
        check(&run(seed, 20, 5, 5.0, 8.0, 40.0), FOUND);
        check(&run(seed, 20, 1, 5.0, 8.0, 40.0), FOUND);
        check(&run(seed, 300, 60, 5.0, 30.0, 40.0), FOUND);
        check(&run(seed, 19, 19, 5.0, 8.0, 40.0), &[]);
    }
}

#[test]
fn what_is_found_says_how_it_was() {
    let report = run(1, 60, 30, 5.0, 4.0, 40.0);
    let finding = &report.findings[0];
    assert_eq!(
        (finding.test.unit.as_str(), finding.test.sample),
        ("session", 30)
    );
    let shift = finding.latency.expect("a latency finding has its shift");
    assert!((30.0..50.0).contains(&shift.median_shift_ms), "{shift:?}");
    assert!(shift.baseline_p50_ms < shift.candidate_p50_ms);
    assert!(!finding.evidence.is_empty());
    let few = run(1, 60, 5, 5.0, 4.0, 40.0);
    assert_eq!(few.findings[0].test.unit, "request");
}

#[test]
fn equal_twins_are_never_slower() {
    for seed in 0..60 {
        check(&run(seed, 20, 4, 3.0, 30.0, 0.0), &[]);
        check(&run(seed, 100, 40, 60.0, 200.0, 0.0), &[]);
    }
}

#[test]
fn a_shift_too_small_to_matter_is_none() {
    for seed in 0..20 {
        // Below 5 ms, though it is all there is.
        check(&run(seed, 200, 50, 2.0, 0.5, 3.0), &[]);
        // Below a fifth of what it takes.
        check(&run(seed, 200, 50, 300.0, 20.0, 40.0), &[]);
    }
}

#[test]
fn a_twin_always_fired_second_is_not_blamed_for_it() {
    for seed in 0..20 {
        check(&run(seed, 200, 50, 10.0, 20.0, 2.0), &[]);
    }
}

#[test]
fn lateness_is_no_latency() {
    let reply = Reply::json(200, &serde_json::json!({}));
    let mut judge = twintap_verdict::Judge::new(twintap_verdict::Options::default());
    for position in 0..40 {
        let call = Call::new(&format!("s-{position}"), "GET", "/a", reply.clone());
        let mut observation = call.observation(position);
        if let twintap_verdict::Outcome::Answered { timing, .. } = &mut observation.candidate {
            timing.ready_ns += 500_000_000;
            timing.released_ns = timing.ready_ns + 3_000_000;
            timing.last_byte_ns += 500_000_000;
        }
        judge.observe(observation);
    }
    let report = judge.conclude(twintap_verdict::RunFacts::default());
    check(&report, &[]);
    let candidate = &report.timing.candidate;
    assert!((495_000.0..505_000.0).contains(&candidate.ready_after_due_us.p50));
    assert!((2_950.0..3_050.0).contains(&candidate.release_after_ready_us.p50));
    assert!(report.release_error_us.max >= 2_950.0);
}
