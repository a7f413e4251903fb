//! What the twins' processes use.

use std::collections::BTreeMap;

use twintap_verdict::report::Report;
use twintap_verdict::resource::{Course, Work};
use twintap_verdict::{
    Judge, Kind, Options, Resource, ResourceFacts, ResourceSample, RunFacts, Verdict, html,
};

use crate::support::{Call, Reply, observations, repeated};

const MIB: f64 = 1024.0 * 1024.0;
const MINUTES: u64 = 10;

/// A run in which everything is answered alike, and the twins use so much memory after so
/// many seconds.
fn run(candidate: impl Fn(f64) -> f64, baseline: impl Fn(f64) -> f64) -> Report {
    let of = |value: f64| BTreeMap::from([(Resource::Memory, value)]);
    let samples = (0..MINUTES * 60).map(|second| ResourceSample {
        at_ns: second * 1_000_000_000,
        candidate: of(candidate(second as f64)),
        baseline: of(baseline(second as f64)),
        ..ResourceSample::default()
    });
    judged(ResourceFacts {
        samples: samples.collect(),
        limits: [of(600.0 * MIB), of(600.0 * MIB)],
        ..ResourceFacts::default()
    })
}

/// A run in which everything is answered alike, with these resources.
fn judged(resources: ResourceFacts) -> Report {
    let facts = RunFacts {
        resources,
        ..RunFacts::default()
    };
    let calls = repeated(20, |_, session| {
        let reply = Reply::json(200, &serde_json::json!({"v": "x"}));
        vec![Call::new(session, "GET", "/a", reply)]
    });
    let mut judge = Judge::new(Options::default());
    for observation in observations(&calls) {
        judge.observe(observation);
    }
    judge.conclude(facts)
}

/// Up and down as memory goes that is collected now and then.
fn saw(second: f64) -> f64 {
    80.0 * MIB + (second % 17.0) * MIB
}

#[test]
fn a_leak_is_a_finding_with_its_slope() {
    let leak = 200.0 * 1024.0;
    let report = run(|second| saw(second + 5.0) + leak * second, saw);
    assert_eq!(report.verdict, Verdict::Fail);
    let [finding] = &report.findings[..] else {
        panic!("one finding is expected: {:?}", report.findings);
    };
    assert_eq!((finding.kind, &*finding.location), (Kind::Growth, "memory"));
    let memory = &report.resources[0];
    let per_hour = memory.per_hour.expect("the run is long enough");
    let truth = leak * 3600.0;
    assert!((per_hour.slope / truth - 1.0).abs() < 0.1, "{per_hour:?}");
    assert!(
        per_hour.low <= truth && truth <= per_hour.high,
        "{per_hour:?}"
    );
    let hours = memory.hours_to_limit.expect("the limit is known");
    let left = (600.0 * MIB - memory.candidate.last) / truth;
    assert!((hours / left - 1.0).abs() < 0.15, "{hours} and {left}");
    let page = html(&report);
    assert!(page.contains("id=\"resources\""), "{page}");
    assert!(page.contains("more memory each hour"), "{page}");
}

#[test]
fn a_leak_of_requests_grows_as_they_come() {
    // Sessions end one by one, and at last nobody asks any more.
    let answered = |at: f64| {
        let share = (at / 11.0).min(1.0);
        2600.0 * (2.0 - share) * share
    };
    let samples = (0..65).map(|number| {
        let at = f64::from(number) / 5.0;
        let work = Some(Work {
            cpu_seconds: at,
            answered: answered(at),
        });
        let heap = |bytes: f64| BTreeMap::from([(Resource::Heap, bytes)]);
        // Hashing a password takes 2 MiB for a moment, at one twin or the other.
        let hashing = |every: u32| f64::from(u32::from(number % every > 1)) * 2.0 * MIB;
        ResourceSample {
            at_ns: u64::from(number) * 200_000_000,
            candidate: heap(4.0 * MIB + hashing(4) + 1024.0 * answered(at)),
            baseline: heap(4.0 * MIB + hashing(3)),
            candidate_work: work,
            baseline_work: work,
        }
    });
    let report = judged(ResourceFacts {
        samples: samples.collect(),
        ..ResourceFacts::default()
    });
    let [finding] = &report.findings[..] else {
        panic!("one finding is expected: {:?}", report.findings);
    };
    assert_eq!((finding.kind, &*finding.location), (Kind::Growth, "heap"));
    assert!(finding.summary.contains("memory in use"), "{finding:?}");
}

#[test]
fn what_both_do_is_no_finding() {
    let grown = |second: f64| saw(second) + 100_000.0 * second;
    for report in [run(saw, saw), run(grown, grown)] {
        assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.findings);
        assert_eq!(report.resources[0].course, Course::Level);
    }
}

#[test]
fn a_cache_that_fills_is_no_finding() {
    let cache = |second: f64| 150.0 * MIB * (1.0 - (-second / 120.0).exp());
    let report = run(|second| saw(second + 3.0) + cache(second), saw);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.findings);
    assert_eq!(report.resources[0].course, Course::LevelsOff);
}

#[test]
fn little_growth_and_short_runs_are_no_finding() {
    let report = run(|second| 2000.0 * MIB + second * 300.0, |_| 2000.0 * MIB);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.findings);
    assert_eq!(report.resources[0].course, Course::Level);
    let report = judged(ResourceFacts {
        samples: vec![ResourceSample::default(); 5],
        ..ResourceFacts::default()
    });
    assert!(report.resources.is_empty());
}

#[test]
fn what_could_not_be_looked_at_is_said() {
    let report = judged(ResourceFacts {
        unseen: vec!["the candidate: nobody listens at 10.0.0.7:80 here".to_owned()],
        ..ResourceFacts::default()
    });
    assert_eq!(report.verdict, Verdict::Pass);
    let page = html(&report);
    assert!(page.contains("nobody listens at 10.0.0.7:80"), "{page}");
}

/// Ten minutes of 100 requests a second, of which one takes the twins so many milliseconds.
fn cost(candidate_ms: f64, baseline_ms: f64) -> Report {
    let samples = (0..MINUTES * 60).map(|second| {
        let answered = second as f64 * 100.0;
        let work = |ms: f64| Work {
            cpu_seconds: (answered * ms / 1000.0 * 100.0).floor() / 100.0,
            answered,
        };
        ResourceSample {
            at_ns: second * 1_000_000_000,
            candidate_work: Some(work(candidate_ms)),
            baseline_work: Some(work(baseline_ms)),
            ..ResourceSample::default()
        }
    });
    judged(ResourceFacts {
        samples: samples.collect(),
        ..ResourceFacts::default()
    })
}

#[test]
fn more_processor_time_a_request_is_a_finding() {
    let report = cost(3.0, 2.0);
    assert_eq!(report.verdict, Verdict::Fail);
    let [finding] = &report.findings[..] else {
        panic!("one finding is expected: {:?}", report.findings);
    };
    assert_eq!(finding.kind, Kind::Cost);
    assert!(
        finding
            .summary
            .contains("1.00 ms more processor time a request"),
        "{}",
        finding.summary
    );
    assert_eq!(cost(2.1, 2.0).verdict, Verdict::Pass);
    assert_eq!(cost(2.0, 3.0).verdict, Verdict::Pass);
}

#[test]
fn what_is_judged_again_and_again_has_a_level_for_all_together() {
    let leak = 200.0 * 1024.0;
    let of = |value: f64| BTreeMap::from([(Resource::Memory, value)]);
    let width = |period: u64| {
        let samples = (0..MINUTES * 60).map(|second| ResourceSample {
            at_ns: second * 1_000_000_000,
            candidate: of(leak * second as f64 + (second * 7919 % 1013) as f64 * 4096.0),
            baseline: of(saw(second as f64)),
            ..ResourceSample::default()
        });
        let report = judged(ResourceFacts {
            samples: samples.collect(),
            period,
            ..ResourceFacts::default()
        });
        let per_hour = report.resources[0].per_hour.expect("it is long enough");
        per_hour.high - per_hour.low
    };
    let widths = [0, 1, 2, 100].map(width);
    assert!(widths.is_sorted_by(|one, other| one < other), "{widths:?}");
}
