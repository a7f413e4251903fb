//! Latencies that the median does not show.

use serde_json::json;
use twintap_verdict::{Observation, Options, Report, RunFacts};

use crate::support::shop::Chance;
use crate::support::{Call, Reply, judge_with, ready_at};

/// So many requests a second, by the second, each session with two of them; what the twins
/// take besides what both take.
fn run(seed: u64, rates: &[u32], more: impl Fn(u32, u32, &mut Chance) -> [f64; 2]) -> Report {
    let mut chance = Chance::new(seed);
    let mut observations: Vec<Observation> = Vec::new();
    for (second, rate) in (0..).zip(rates) {
        for request in 0..*rate {
            let position = observations.len() as u32;
            let [baseline, candidate] = more(second, *rate, &mut chance);
            let mut reply = |more: f64| {
                let took = 6.0 + 4.0 * chance.unit() + more;
                Reply::json(200, &json!({})).after_ms(took)
            };
            let call = Call::new(&format!("s-{}", position / 2), "GET", "/search", reply(0.0))
                .baseline(reply(baseline))
                .candidate(reply(candidate));
            let at_ns = u64::from(second) * 1_000_000_000 + u64::from(request) * 1_000_000;
            observations.push(ready_at(call.observation(position), at_ns));
        }
    }
    judge_with(Options::default(), RunFacts::default(), observations)
}

#[track_caller]
fn check(report: &Report, expected: &[&str]) {
    let found = report.findings.iter();
    let found: Vec<&str> = found.map(|finding| finding.location.as_str()).collect();
    assert_eq!(found, expected, "{:?}", report.latency);
}

#[test]
fn rare_slow_answers_are_found_though_the_median_is_the_same() {
    let stalls = |chance: &mut Chance, percent: u64| match chance.below(100) < percent {
        true => 150.0,
        false => 0.0,
    };
    for seed in 0..3 {
        let report = run(seed, &[40; 20], |_, _, chance| [0.0, stalls(chance, 4)]);
        check(&report, &["latency.p99"]);
        let finding = &report.findings[0];
        assert_eq!(finding.test.name, "tail_permutation");
        assert!(finding.claim.contains("at p99"), "{}", finding.claim);
        // Both twins have them, or all at once: a moment in which one was held up.
        let both = run(seed, &[40; 20], |_, _, chance| {
            [stalls(chance, 4), stalls(chance, 4)]
        });
        check(&both, &[]);
        let once = run(seed, &[40; 20], |second, _, _| {
            [0.0, if second == 7 { 150.0 } else { 0.0 }]
        });
        check(&once, &[]);
    }
}

#[test]
fn what_is_slow_under_load_alone_is_found() {
    // Of 1,320 requests 600 are in seconds with 50.
    let rates: Vec<u32> = [10, 50, 10, 40].repeat(12);
    let report = run(1, &rates, |_, rate, _| {
        [0.0, if rate == 50 { 40.0 } else { 0.0 }]
    });
    check(&report, &["latency.busy"]);
    let by_load = report.latency[0].by_load.expect("seconds differ");
    assert!(
        by_load.busy_shift_ms > 30.0 && by_load.quiet_shift_ms < 3.0,
        "{by_load:?}"
    );
    check(&run(1, &rates, |_, _, _| [0.0, 0.0]), &[]);
}

#[test]
fn what_holds_up_one_twin_for_half_of_a_run_is_no_finding() {
    // The first seconds have most of the sessions, and there all answers wait.
    let rates: Vec<u32> = [vec![60; 6], vec![20; 10]].concat();
    let held = |second| if second < 6 { 80.0 } else { 0.0 };
    check(&run(1, &rates, |second, _, _| [0.0, held(second)]), &[]);
    check(&run(1, &rates, |_, _, _| [0.0, 80.0]), &["latency"]);
}

#[test]
fn a_candidate_that_becomes_slower_is_found() {
    let report = run(1, &[5; 240], |second, _, _| [0.0, f64::from(second) / 30.0]);
    check(&report, &["latency.drift"]);
    let drift = report.latency[0].drift_ms_per_hour.expect("long enough");
    assert!((drift.slope / 120.0 - 1.0).abs() < 0.2, "{drift:?}");
    check(&run(1, &[5; 240], |_, _, _| [0.0, 1.0]), &[]);
}

#[test]
fn figures_have_their_intervals() {
    let report = run(1, &[20; 20], |_, _, _| [0.0, 3.0]);
    check(&report, &[]);
    let row = &report.latency[0];
    let shifts = row.quantile_shifts.expect("enough requests");
    for shift in [Some(shifts.p50), Some(shifts.p90), shifts.p99] {
        let shift = shift.expect("enough requests");
        assert!(shift.low_ms <= shift.shift_ms && shift.shift_ms <= shift.high_ms);
        assert!((2.0..4.0).contains(&shift.shift_ms), "{shift:?}");
    }
    let effect = row.effect.expect("enough requests");
    assert!(
        effect.cliffs_delta > 0.8 && effect.common_language > 0.9,
        "{effect:?}"
    );
    assert!(effect.p_value < 1e-6);
    let few = run(1, &[15], |_, _, _| [0.0, 3.0]);
    assert_eq!(
        (few.latency[0].quantile_shifts, few.latency[0].effect),
        (None, None)
    );
}
