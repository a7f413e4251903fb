//! What the twins' processes use.

use std::collections::BTreeMap;

use twintap_verdict::report::Report;
use twintap_verdict::resource::Course;
use twintap_verdict::{Judge, Kind, Options, Resource, ResourceSample, RunFacts, Verdict, html};

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
    });
    let facts = RunFacts {
        resources: samples.collect(),
        resource_limits: [of(600.0 * MIB), of(600.0 * MIB)],
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
    let report = Judge::new(Options::default()).conclude(RunFacts {
        resources: vec![ResourceSample::default(); 5],
        ..RunFacts::default()
    });
    assert!(report.resources.is_empty());
}
