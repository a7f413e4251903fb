//! What a team lets through.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use twintap_verdict::gate::{Budgets, CoverageRules, FidelityRules, LevelRule, RuleOutcome};
use twintap_verdict::{
    Gate, Level, Options, Outcome, Report, Resource, ResourceFacts, ResourceSample, Rules,
    RunFacts, Verdict, html, markdown, text,
};

use crate::support::{Call, Reply, judge_with, observations, repeated};

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a part of a gate")
}

fn levels(rules: Value) -> Gate {
    Gate {
        levels: read::<Vec<LevelRule>>(rules),
        ..Gate::default()
    }
}

fn budgets(budgets: Value) -> Gate {
    Gate {
        budgets: read::<Budgets>(budgets),
        ..Gate::default()
    }
}

fn coverage(rules: Value) -> Gate {
    Gate {
        coverage: read::<CoverageRules>(rules),
        ..Gate::default()
    }
}

fn page(value: &str) -> Reply {
    Reply::json(200, &json!({"v": value}))
}

fn judged(gate: Gate, calls: &[Call]) -> Report {
    let rules = Rules {
        gate,
        ..Rules::default()
    };
    judge_with(rules, RunFacts::default(), observations(calls))
}

/// Twenty sessions; the candidate is wrong at `/ads`, and fails at `/checkout` where asked to.
fn calls(is_broken: bool) -> Vec<Call> {
    repeated(20, |_, session| {
        let checkout = Call::new(session, "POST", "/checkout", page("paid"));
        vec![
            Call::new(session, "GET", "/ads", page("one")).candidate(page("another")),
            match is_broken {
                true => checkout.candidate(Reply::json(500, &json!({}))),
                false => checkout,
            },
        ]
    })
}

#[test]
fn the_first_level_that_takes_a_finding_decides() {
    let gate = levels(json!([
        {"name": "ads may change", "endpoint": "/ads", "kinds": ["body_changed"], "level": "pass"},
        {"endpoint": "**", "level": "warn"}
    ]));
    let report = judged(gate.clone(), &calls(false));
    assert_eq!(report.verdict, Verdict::Pass);
    let [ads] = &report.findings[..] else {
        panic!("one finding is expected: {:?}", report.findings);
    };
    assert_eq!(
        (ads.level, ads.rule.as_deref()),
        (Level::Pass, Some("ads may change"))
    );
    assert!(report.reasons[0].contains("let pass, by the gate's rule “ads may change”"));
    assert!(report.reasons[1].contains("the gate fails nothing of what differs"));
    let outcomes: Vec<(&str, RuleOutcome)> = report
        .gate
        .iter()
        .map(|rule| (rule.name.as_str(), rule.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("ads may change", RuleOutcome::Applied),
            ("warn **", RuleOutcome::Held)
        ]
    );

    let report = judged(gate, &calls(true));
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(report.findings[0].level, Level::Warn);
}

#[test]
fn what_fails_comes_before_what_is_let_pass() {
    // Another status is more harmful than another value, and may be here.
    let calls = repeated(20, |_, session| {
        let made = Reply::json(201, &json!({"v": "one"}));
        vec![
            Call::new(session, "GET", "/may", page("one")).candidate(made),
            Call::new(session, "GET", "/must", page("one")).candidate(page("another")),
        ]
    });
    let rules = json!([
        {"name": "statuses", "kinds": ["status"], "level": "warn"},
        {"name": "the rest", "level": "fail"}
    ]);
    let found = |report: &Report| {
        let findings = report.findings.iter();
        findings
            .map(|finding| format!("{} {}", finding.id, finding.endpoint))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found(&judged(Gate::default(), &calls)),
        ["F1 GET /may", "F2 GET /must"]
    );
    let report = judged(levels(rules), &calls);
    assert_eq!(found(&report), ["F1 GET /must", "F2 GET /may"]);
    assert!(report.reasons[0].starts_with("F1: GET /must"));
    let statements: Vec<&str> = report
        .gate
        .iter()
        .map(|rule| rule.statement.as_str())
        .collect();
    assert_eq!(
        statements,
        ["F2 is told, and fails nothing.", "F1 fails the run."]
    );
}

#[test]
fn what_no_level_takes_fails() {
    let gate = levels(json!([
        {"endpoint": "GET /ads", "level": "warn"},
        {"endpoint": "POST /checkout", "kinds": ["latency"], "level": "pass"}
    ]));
    let report = judged(gate, &calls(true));
    assert_eq!(report.verdict, Verdict::Fail);
    assert!(report.reasons[0].starts_with("F1: POST /checkout"));
    assert!(report.reasons[1].contains("fails nothing, by the gate's rule “warn GET /ads”"));
}

#[test]
fn locations_narrow_a_level() {
    let of = |location: &str| {
        let rule = json!([{"locations": [location], "level": "pass"}]);
        judged(levels(rule), &calls(false)).verdict
    };
    assert_eq!(of("/v"), Verdict::Pass);
    assert_eq!(of("/w"), Verdict::Fail);
}

#[test]
fn a_finding_has_the_worst_level_of_its_places() {
    let body = |ads: &str, total: u32| Reply::json(200, &json!({"ads": ads, "total": total}));
    let calls = repeated(20, |_, session| {
        vec![Call::new(session, "GET", "/cart", body("one", 10)).candidate(body("another", 9))]
    });
    let of = |rules: Value| {
        let report = judged(levels(rules), &calls);
        let [finding] = &report.findings[..] else {
            panic!("one finding is expected: {:?}", report.findings);
        };
        assert_eq!((&*finding.location, finding.also.len()), ("/ads", 1));
        (finding.level, finding.rule.clone())
    };
    let ads = json!({"name": "ads", "locations": ["/ads"], "level": "pass"});
    let total = json!({"name": "total", "locations": ["/total"], "level": "warn"});
    assert_eq!(of(json!([ads])), (Level::Fail, None));
    assert_eq!(of(json!([total])), (Level::Fail, None));
    let both = json!([ads, total]);
    assert_eq!(of(both), (Level::Warn, Some("total".to_owned())));
    let all = json!([{"name": "all", "level": "pass"}, total]);
    assert_eq!(of(all), (Level::Pass, Some("all".to_owned())));
}

#[test]
fn every_output_shows_what_was_let_pass() {
    let gate = levels(json!([{"name": "ads may change", "level": "warn"}]));
    let report = judged(gate, &calls(false));
    let page = html(&report);
    assert!(page.contains("id=\"gate\"") && page.contains("fails nothing"));
    assert!(page.contains("the gate fails none of it"));
    assert!(text(&report).contains("level          warn"));
    assert!(text(&report).contains("gate         applied: ads may change."));
    assert!(markdown(&report).contains("body_changed (fails nothing)"));
}

fn slowed(by_ms: f64) -> Vec<Call> {
    repeated(120, |index, session| {
        let jitter = (index % 7) as f64 / 10.0;
        let baseline = page("x").after_ms(10.0 + jitter);
        let candidate = page("x").after_ms(10.0 + jitter + by_ms);
        vec![
            Call::new(session, "GET", "/search", baseline.clone())
                .baseline(baseline)
                .candidate(candidate),
        ]
    })
}

#[test]
fn latency_has_a_budget() {
    let gate = || {
        budgets(json!({"latency": [
            {"name": "search stays quick", "endpoint": "GET /search", "p50": "10%", "p90": "5ms"}
        ]}))
    };
    // Less than what is a finding by itself.
    let report = judged(gate(), &slowed(3.0));
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Fail, 0));
    let reason = &report.reasons[0];
    assert!(reason.contains("“search stays quick”"), "{reason}");
    assert!(
        reason.contains("GET /search takes longer at its p50"),
        "{reason}"
    );
    assert!(!reason.contains("its p90"), "{reason}");
    assert_eq!(judged(gate(), &slowed(0.0)).verdict, Verdict::Pass);
}

#[test]
fn a_budget_that_cannot_be_told_leaves_a_run_inconclusive() {
    let gate = || budgets(json!({"latency": [{"endpoint": "GET /search", "p99": "50%"}]}));
    let report = judged(gate(), &slowed(0.0)[..90]);
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(
        report.reasons[0].contains("an interval of its p99"),
        "{:?}",
        report.reasons
    );
}

#[test]
fn errors_have_a_budget() {
    let calls = |failing: usize| {
        repeated(50, move |index, session| {
            let call = Call::new(session, "GET", "/a", page("x"));
            vec![match index < failing {
                true => call.candidate(Reply::error("reset")),
                false => call,
            }]
        })
    };
    let gate = || Gate {
        // The findings themselves shall not fail the run here.
        levels: read(json!([{"level": "warn"}])),
        ..budgets(json!({"error_rate": [{"max_rise": "5%"}, {"endpoint": "/a", "max": "9%"}]}))
    };
    let outcomes = |failing| {
        let report = judged(gate(), &calls(failing));
        let rules = report.gate[1..].iter().map(|rule| rule.outcome);
        (report.verdict, rules.collect::<Vec<_>>())
    };
    let (held, failed) = (RuleOutcome::Held, RuleOutcome::Failed);
    assert_eq!(outcomes(2), (Verdict::Pass, vec![held, held]));
    assert_eq!(outcomes(4), (Verdict::Fail, vec![failed, held]));
    assert_eq!(outcomes(8), (Verdict::Fail, vec![failed, failed]));
}

#[test]
fn growth_has_a_budget() {
    const MIB: f64 = 1024.0 * 1024.0;
    let run = |leak_per_hour: f64, most_per_hour: f64| {
        let samples = (0..600).map(|second| {
            let at = second as f64;
            let of = |leak: f64| {
                let noise = (second % 17) as f64 * MIB / 16.0;
                [(Resource::Memory, 80.0 * MIB + noise + leak * at / 3600.0)].into()
            };
            ResourceSample {
                at_ns: second * 1_000_000_000,
                candidate: of(leak_per_hour),
                baseline: of(0.0),
                ..ResourceSample::default()
            }
        });
        let facts = RunFacts {
            resources: ResourceFacts {
                samples: samples.collect(),
                ..ResourceFacts::default()
            },
            ..RunFacts::default()
        };
        let rules = Rules {
            gate: Gate {
                levels: read(json!([{"level": "warn"}])),
                ..budgets(json!({"growth": {"memory": {"max_per_hour": most_per_hour}}}))
            },
            ..Rules::default()
        };
        judge_with(rules, facts, observations(&slowed(0.0))).verdict
    };
    assert_eq!(run(600.0 * MIB, 100.0 * MIB), Verdict::Fail);
    assert_eq!(run(600.0 * MIB, 700.0 * MIB), Verdict::Pass);
}

#[test]
fn coverage_is_required() {
    let skipped = || Outcome::Skipped("unbound".to_owned());
    let calls = repeated(20, |index, session| {
        let seen = Call::new(session, "GET", "/a", page("x"));
        let failing = Call::new(session, "GET", "/b", Reply::json(404, &json!({})));
        match index < 15 {
            true => vec![seen],
            false => vec![failing.outcomes(skipped(), skipped())],
        }
    });
    let options = Options {
        fidelity_floor: 0.0,
        ..Options::default()
    };
    let of = |rules: Value| {
        let rules = Rules {
            options: options.clone(),
            gate: coverage(rules),
            ..Rules::default()
        };
        let report = judge_with(rules, RunFacts::default(), observations(&calls));
        (report.verdict, report.reasons.join(" "))
    };
    let held = json!({"endpoints": [{"endpoint": "GET /a", "compared": 15}], "traffic": "75%",
        "sessions": 0.75});
    assert_eq!(of(held).0, Verdict::Pass);
    for (rules, reason) in [
        (
            json!({"endpoints": [{"endpoint": "/b", "compared": 1}]}),
            "GET /b was compared in 0 of 5",
        ),
        (
            json!({"endpoints": [{"endpoint": "/c", "compared": 1}]}),
            "/c was not in the traffic",
        ),
        (json!({"traffic": "76%"}), "15 of 20 exchanges"),
        (json!({"sessions": "80%"}), "15 of 20 sessions"),
        (
            json!({"error_paths": "1%"}),
            "0 of 5 exchanges that production answered with an error",
        ),
    ] {
        let (verdict, reasons) = of(rules);
        assert_eq!(verdict, Verdict::Inconclusive, "{reason}");
        assert!(reasons.contains(reason), "{reason} is not in {reasons}");
    }
}

#[test]
fn fidelity_has_floors() {
    let calls = repeated(20, |index, session| {
        let call = Call::new(session, "GET", "/a", page("x"));
        let odd = Call::new(session, "GET", "/b", page("x"));
        vec![
            call,
            match index < 8 {
                true => odd.production(page("y")),
                false => odd,
            },
        ]
    });
    let of = |rules: Value| {
        let gate = Gate {
            fidelity: read::<FidelityRules>(rules),
            ..Gate::default()
        };
        let report = judged(gate, &calls);
        (report.verdict, report.reasons)
    };
    // 32 of 40: below the floor that comes with the crate.
    assert_eq!(of(json!({})).0, Verdict::Inconclusive);
    assert_eq!(of(json!({"floor": "80%"})).0, Verdict::Pass);
    let (verdict, reasons) = of(json!({"floor": "81%"}));
    assert_eq!((verdict, reasons.len()), (Verdict::Inconclusive, 1));
    assert!(reasons[0].contains("“fidelity”"), "{reasons:?}");
    let endpoints = json!({"floor": "80%", "endpoints": [{"endpoint": "/b", "floor": "70%"}]});
    let (verdict, reasons) = of(endpoints);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(reasons[0].contains("12 of 20 exchanges"), "{reasons:?}");
}

#[test]
fn twins_that_agree_on_an_error_that_production_has_not_say_nothing() {
    let calls = |missing: usize| {
        repeated(20, |index, session| {
            let paid = Reply::json(201, &json!({"v": "x"}));
            let unknown = Reply::json(404, &json!({"error": "no such cart"}));
            let twins = if index < missing { &unknown } else { &paid };
            let found = Reply::json(200, &json!({"v": "x"}));
            let mut calls = vec![
                Call::new(session, "POST", "/checkout", paid.clone())
                    .baseline(twins.clone())
                    .candidate(twins.clone()),
            ];
            calls.extend((0..20).map(|_| Call::new(session, "GET", "/a", found.clone())));
            calls
        })
    };
    let report = judged(Gate::default(), &calls(11));
    assert_eq!(
        report.verdict,
        Verdict::Inconclusive,
        "{:?}",
        report.reasons
    );
    let reason = &report.reasons[0];
    assert!(
        reason.starts_with("At POST /checkout the baseline has production's status in 9 of 20"),
        "{reason}"
    );
    assert_eq!(judged(Gate::default(), &calls(10)).verdict, Verdict::Pass);
    // Who knows of it says so in the gate.
    let gate = Gate {
        fidelity: read::<FidelityRules>(json!({
            "endpoints": [{"endpoint": "POST /checkout", "floor": 0.1}]
        })),
        ..Gate::default()
    };
    let report = judged(gate, &calls(11));
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
}
