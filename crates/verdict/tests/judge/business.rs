//! Business figures.

use serde_json::{Value, json};
use twintap_verdict::business::{Figure, check_metrics};
use twintap_verdict::{Kind, Metric, Report, Rules, RunFacts, Verdict, html, markdown, text};

use crate::support::{Call, Reply, judge_with, observations, repeated};

fn metrics(list: Value) -> Vec<Metric> {
    let metrics: Vec<Metric> = serde_json::from_value(list).expect("metrics");
    check_metrics(&metrics).expect("metrics that can be made");
    metrics
}

fn judged(list: Value, calls: &[Call]) -> Report {
    let rules = Rules {
        metrics: metrics(list),
        ..Rules::default()
    };
    judge_with(rules, RunFacts::default(), observations(calls))
}

#[track_caller]
fn figure<'a>(report: &'a Report, name: &str) -> &'a Figure {
    let named = report.business.iter().find(|figure| figure.name == name);
    named.unwrap_or_else(|| panic!("there is a figure {name}"))
}

fn values(figure: &Figure) -> [Option<f64>; 3] {
    [&figure.production, &figure.baseline, &figure.candidate].map(|of| of.value)
}

/// Forty sessions look around; every second one buys for 10 and its number, at the candidate
/// for a share of it.
fn shopping(share: f64) -> Vec<Call> {
    repeated(40, |index, session| {
        let total = 10.0 + index as f64;
        let bought = |total: f64| Reply::json(200, &json!({"order": {"total": total}}));
        let mut calls = vec![Call::new(
            session,
            "GET",
            "/products/17",
            Reply::json(200, &json!({})),
        )];
        if index % 2 == 0 {
            let call = Call::new(session, "POST", "/orders", bought(total));
            calls.push(call.candidate(bought(total * share)));
        }
        calls
    })
}

#[test]
fn a_figure_may_be_of_an_operation_of_graphql() {
    let calls = repeated(20, |index, session| {
        let ask = |query: &str| json!({"query": query});
        let data = |total: u32| Reply::json(200, &json!({"data": {"total": total}}));
        let checkout = Call::new(session, "POST", "/graphql", data(10 + index as u32));
        vec![
            Call::new(session, "POST", "/graphql", data(1)).asking(&ask("query Cart { total }")),
            checkout.asking(&ask("mutation Checkout { total }")),
        ]
    });
    let count = |endpoint: &str| {
        let metric = json!([{"name": "a", "of": {"endpoint": endpoint}, "aggregate": "count"}]);
        values(figure(&judged(metric, &calls), "a"))[0]
    };
    assert_eq!(count("POST /graphql mutation Checkout"), Some(20.0));
    assert_eq!(count("/graphql query *"), Some(20.0));
    assert_eq!(count("POST /graphql"), Some(40.0));
    assert_eq!(count("POST /graphql mutation Refund"), Some(0.0));
}

fn shop_metrics() -> Value {
    json!([
        {"name": "orders", "of": {"endpoint": "POST /orders", "status": "2xx"}, "aggregate": "count"},
        {"name": "views", "of": {"endpoint": "GET /products/{id}"}, "aggregate": "count"},
        {"name": "revenue", "unit": "EUR", "of": {"endpoint": "POST /orders"},
         "value": {"json": "$.order.total"}, "aggregate": "sum", "harmful": "drop"},
        {"name": "basket", "of": {"endpoint": "POST /orders"}, "value": {"json": "$.order.total"},
         "aggregate": "mean", "min_difference": "50%"},
        {"name": "revenue of a session", "of": {"endpoint": "POST /orders"},
         "value": {"json": "$.order.total"}, "aggregate": "sum", "per": "session"},
        {"name": "conversion", "aggregate": "rate", "per": "session",
         "where": {"endpoint": "POST /orders", "status": [200, 201]}},
        {"name": "large", "of": {"endpoint": "POST /orders"}, "value": {"json": "$.order.total"},
         "aggregate": {"quantile": 0.9}},
        {"name": "orders a view", "aggregate": {"ratio": ["orders", "views"]}}
    ])
}

#[test]
fn figures_are_those_of_all_three() {
    let report = judged(shop_metrics(), &shopping(1.0));
    assert_eq!(report.verdict, Verdict::Pass);
    let of = |name: &str| {
        let figure = figure(&report, name);
        let [production, baseline, candidate] = values(figure);
        assert_eq!((production, production), (baseline, candidate), "{name}");
        assert!(!figure.is_finding, "{name}");
        production
    };
    assert_eq!(of("orders"), Some(20.0));
    // 20 orders of 10 and an even number below 40.
    assert_eq!(of("revenue"), Some(20.0 * 10.0 + 380.0));
    assert_eq!(of("basket"), Some(29.0));
    assert_eq!(of("revenue of a session"), Some(580.0 / 40.0));
    assert_eq!(of("conversion"), Some(0.5));
    assert_eq!(of("large"), Some(44.0));
    assert_eq!(of("orders a view"), Some(0.5));
    let revenue = figure(&report, "revenue");
    assert_eq!(revenue.production.exchanges, 20);
    assert_eq!(
        (revenue.p_value, revenue.interval),
        (Some(1.0), Some([0.0, 0.0]))
    );
}

#[test]
fn a_drop_is_a_finding_with_its_interval() {
    let report = judged(shop_metrics(), &shopping(0.8));
    let revenue = figure(&report, "revenue");
    assert_eq!(values(revenue), [Some(580.0), Some(580.0), Some(464.0)]);
    assert!(revenue.is_finding);
    let [low, high] = revenue.interval.expect("forty sessions are enough");
    assert!(
        low < -116.0 && -116.0 < high && high < 0.0,
        "{low} to {high}"
    );
    assert!(
        revenue
            .difference_ratio
            .is_some_and(|ratio| (ratio + 0.2).abs() < 1e-9)
    );
    // What costs a fifth less is no matter below a half, and orders are as many.
    assert!(!figure(&report, "basket").is_finding);
    assert!(!figure(&report, "orders").is_finding);
    let found = report.findings.iter();
    let found: Vec<_> = found
        .filter(|finding| finding.kind == Kind::Business)
        .collect();
    assert_eq!(found[0].endpoint, "the business");
    let summary = &found.iter().find(|finding| finding.location == "revenue");
    let finding = summary.expect("revenue is a finding");
    assert!(
        finding
            .summary
            .contains("revenue falls by 20 % (580 → 464 EUR; less is harm)")
    );
    assert_eq!(finding.test.name, "permutation");
    assert_eq!(finding.evidence[0].change, "10 → 8");
}

#[test]
fn a_rise_that_is_no_harm_is_no_finding() {
    let report = judged(shop_metrics(), &shopping(1.5));
    assert!(!figure(&report, "revenue").is_finding);
    assert!(figure(&report, "revenue of a session").is_finding);
}

#[test]
fn one_session_proves_nothing() {
    let calls = repeated(40, |index, session| {
        let of = |total: u32| Reply::json(200, &json!({"total": total}));
        let call = Call::new(session, "POST", "/orders", of(10));
        vec![if index == 3 {
            call.candidate(of(0))
        } else {
            call
        }]
    });
    let list = json!([{"name": "revenue", "value": {"json": "$.total"}, "aggregate": "sum"}]);
    let report = judged(list, &calls);
    let revenue = figure(&report, "revenue");
    assert_eq!(revenue.difference, Some(-10.0));
    assert_eq!((revenue.p_value, revenue.is_finding), (Some(1.0), false));
}

#[test]
fn orders_that_fail_are_missing_revenue() {
    let calls = repeated(30, |index, session| {
        let call = Call::new(
            session,
            "POST",
            "/orders",
            Reply::json(200, &json!({"total": 5})),
        );
        vec![match index % 3 {
            0 => call.candidate(Reply::error("reset")),
            1 => call.candidate(Reply::json(500, &json!({"error": "full"}))),
            _ => call,
        }]
    });
    let list = json!([{"name": "revenue", "of": {"status": "2xx"}, "value": {"json": "$.total"},
        "aggregate": "sum"}]);
    let report = judged(list, &calls);
    assert_eq!(
        values(figure(&report, "revenue")),
        [Some(150.0), Some(150.0), Some(50.0)]
    );
    assert!(figure(&report, "revenue").is_finding);
}

#[test]
fn headers_requests_and_status_are_values_too() {
    let calls = repeated(10, |_, session| {
        let reply = Reply::json(201, &json!({})).with("X-Tokens", "1500");
        vec![Call::new(session, "POST", "/ask", reply).asking(&json!({"words": 12}))]
    });
    let report = judged(
        json!([
            {"name": "cost", "unit": "USD", "value": {"header": "x-tokens", "factor": 0.002},
             "aggregate": "sum", "harmful": "rise"},
            {"name": "words", "value": {"json": "$.words", "from": "request"}, "aggregate": "mean"},
            {"name": "created", "value": {"status": true}, "aggregate": "mean"}
        ]),
        &calls,
    );
    assert_eq!(figure(&report, "cost").candidate.value, Some(30.0));
    assert_eq!(figure(&report, "words").baseline.value, Some(12.0));
    assert_eq!(figure(&report, "created").production.value, Some(201.0));
}

/// A model is asked about pictures; labels come with the requests, and again later by id. The
/// candidate is wrong about every `wrong`th.
fn guessing(wrong: usize) -> Vec<Call> {
    repeated(40, |index, session| {
        let truth = ["cat", "dog"][index % 2];
        let said = if index % wrong == 0 { "bird" } else { truth };
        let of = |said: &str| {
            let sure = if said == truth { 0.9 } else { 0.1 };
            Reply::json(
                200,
                &json!({"id": format!("g{index}"), "said": said, "sure": sure}),
            )
        };
        let asked = json!({"picture": index, "truth": truth});
        let feedback = json!({"id": format!("g{index}"), "label": truth, "right": true});
        vec![
            Call::new(session, "POST", "/guess", of(truth))
                .candidate(of(said))
                .asking(&asked),
            Call::new(session, "POST", "/feedback", Reply::json(204, &json!({}))).asking(&feedback),
        ]
    })
}

#[test]
fn answers_are_held_against_labels() {
    let elsewhere = |value: &str| {
        json!({"of": {"endpoint": "POST /feedback"}, "key": {"json": "$.id", "from": "request"},
            "value": {"json": value, "from": "request"}})
    };
    let report = judged(
        json!([
            {"name": "accuracy", "of": {"endpoint": "POST /guess"}, "value": {"json": "$.said"},
             "label": {"value": {"json": "$.truth", "from": "request"}}, "aggregate": "accuracy"},
            {"name": "accuracy later", "of": {"endpoint": "POST /guess"},
             "value": {"json": "$.said"}, "key": {"json": "$.id"}, "label": elsewhere("$.label"),
             "aggregate": "accuracy"},
            {"name": "brier", "of": {"endpoint": "POST /guess"}, "value": {"json": "$.sure"},
             "key": {"json": "$.id"}, "label": elsewhere("$.right"), "aggregate": "brier"},
            {"name": "calibration", "of": {"endpoint": "POST /guess"}, "value": {"json": "$.sure"},
             "key": {"json": "$.id"}, "label": elsewhere("$.right"),
             "aggregate": "calibration_error"}
        ]),
        &guessing(4),
    );
    for name in ["accuracy", "accuracy later"] {
        let accuracy = figure(&report, name);
        assert_eq!(
            values(accuracy),
            [Some(1.0), Some(1.0), Some(0.75)],
            "{name}"
        );
        assert_eq!(accuracy.candidate.unlabelled, 0);
        assert!(accuracy.is_finding, "{name}");
    }
    let near =
        |value: Option<f64>, truth: f64| value.is_some_and(|value| (value - truth).abs() < 1e-9);
    let brier = figure(&report, "brier");
    assert!(near(brier.baseline.value, 0.01), "{brier:?}");
    assert!(
        near(brier.candidate.value, 0.75 * 0.01 + 0.25 * 0.81),
        "{brier:?}"
    );
    let calibration = figure(&report, "calibration");
    assert!(near(calibration.baseline.value, 0.1), "{calibration:?}");
    assert!(
        near(calibration.candidate.value, 0.75 * 0.1 + 0.25 * 0.9),
        "{calibration:?}"
    );
}

#[test]
fn labels_that_never_come_are_counted() {
    let mut calls = guessing(4);
    calls.retain(|call| call.target != "/feedback");
    let report = judged(
        json!([{"name": "accuracy", "of": {"endpoint": "POST /guess"}, "value": {"json": "$.said"},
            "key": {"json": "$.id"}, "aggregate": "accuracy",
            "label": {"of": {"endpoint": "POST /feedback"}, "value": {"json": "$.label", "from": "request"},
                "key": {"json": "$.id", "from": "request"}}}]),
        &calls,
    );
    let accuracy = figure(&report, "accuracy");
    assert_eq!(
        (accuracy.candidate.value, accuracy.candidate.unlabelled),
        (None, 40)
    );
}

#[test]
fn a_figure_has_a_budget_in_the_gate() {
    let rules = |budget: Value| Rules {
        gate: twintap_verdict::Gate {
            levels: serde_json::from_value(json!([{"level": "pass"}])).expect("levels"),
            budgets: serde_json::from_value(json!({"metrics": {"revenue": budget}}))
                .expect("budgets"),
            ..Default::default()
        },
        metrics: metrics(shop_metrics()),
        ..Rules::default()
    };
    let verdict = |budget: Value| {
        let report = judge_with(
            rules(budget),
            RunFacts::default(),
            observations(&shopping(0.8)),
        );
        (report.verdict, report.reasons.join(" "))
    };
    let (failed, reasons) = verdict(json!({"max_drop": "1%"}));
    assert_eq!(failed, Verdict::Fail);
    assert!(reasons.contains("“metric revenue”"), "{reasons}");
    assert_eq!(verdict(json!({"max_drop": "30%"})).0, Verdict::Pass);
    assert_eq!(verdict(json!({"max_rise": 0})).0, Verdict::Pass);
}

#[test]
fn reports_show_figures_with_their_exchanges() {
    let report = judged(shop_metrics(), &shopping(0.8));
    let page = html(&report);
    assert!(page.contains("id=\"business\"") && page.contains("revenue of a session"));
    let lines = text(&report);
    let wanted = "revenue: production 580 in 20 exchanges, baseline 580 in 20 exchanges, candidate \
        464 in 20 exchanges; difference -116 EUR (-20 %)";
    assert!(lines.contains(wanted), "{lines}");
    assert!(markdown(&report).contains("| business |"));
}

#[track_caller]
fn check_error(metric: Value, expected: &str) {
    let error = match serde_json::from_value::<Vec<Metric>>(metric) {
        Ok(metrics) => check_metrics(&metrics).expect_err("metrics that can't be made"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(expected), "{expected:?} is not in {error}");
}

#[test]
fn what_cannot_be_made_is_refused() {
    check_error(json!([{"name": "a", "aggregate": "median"}]), "median");
    check_error(json!([{"name": "a", "aggregate": "rate"}]), "needs `where`");
    check_error(
        json!([{"name": "a", "aggregate": "accuracy", "value": {"status": true}}]),
        "`label`",
    );
    check_error(
        json!([{"name": "a", "aggregate": {"quantile": 1.5}}]),
        "from 0 to 1",
    );
    check_error(
        json!([{"name": "a", "aggregate": {"ratio": ["b", "c"]}}]),
        "no metric above it",
    );
    let count = json!({"name": "a", "aggregate": "count"});
    check_error(json!([count, count]), "two metrics");
    check_error(
        json!([{"name": "a", "aggregate": "count", "where": {}}]),
        "`where` goes with",
    );
    let label = json!({"value": {"status": true}});
    check_error(
        json!([{"name": "a", "aggregate": "brier", "value": {"status": true}, "label": label,
            "per": "session"}]),
        "no `per: session`",
    );
    check_error(
        json!([{"name": "a", "aggregate": "brier", "value": {"status": true}, "label": label,
            "key": {"status": true}}]),
        "`label.of`",
    );
}
