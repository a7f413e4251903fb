//! Scopes, and incidents held against them.

use serde_json::{Value, json};
use twintap_verdict::scope::{Check, check_components, check_incidents};
use twintap_verdict::{Component, Outcome, Report, Rules, RunFacts, html, markdown, text};

use crate::support::{Call, Reply, judge_with, observations, repeated};

fn components() -> Vec<Component> {
    serde_json::from_value(json!([
        {"name": "orders", "as": "full", "endpoints": ["/orders/**"]},
        {"name": "payments", "as": "mocked", "reason": "the provider has no sandbox",
         "endpoints": ["POST /checkout"]},
        {"name": "search", "as": "simplified", "reason": "a tenth of the index"}
    ]))
    .expect("components")
}

fn report() -> Report {
    let calls = repeated(20, |_, session| {
        let page = || Reply::json(200, &json!({"v": "x"}));
        let skipped = || Outcome::Skipped("unbound".to_owned());
        vec![
            Call::new(session, "GET", "/orders/17", page()),
            Call::new(session, "GET", "/invoices", page()).outcomes(skipped(), skipped()),
            Call::new(session, "GET", "/gone", Reply::json(404, &json!({}))),
        ]
    });
    let rules = Rules {
        components: components(),
        ..Rules::default()
    };
    judge_with(rules, RunFacts::default(), observations(&calls))
}

fn checked(incident: Value, report: Option<&Report>) -> Check {
    let incident = serde_json::from_value(incident).expect("an incident");
    let mut checks = check_incidents(&[incident], &components(), report);
    checks.remove(0)
}

fn said(check: &Check) -> String {
    let explanations = check.explanations.iter();
    let explanations = explanations.map(|explanation| explanation.statement());
    explanations.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_mocked_component_explains_what_it_broke() {
    let check = checked(
        json!({"name": "double charge", "component": "payments"}),
        None,
    );
    assert!(check.is_explained);
    assert!(said(&check).contains("payments is mocked at the twins: the provider has no sandbox"));
    // The endpoint says which component it is.
    let check = checked(
        json!({"name": "double charge", "endpoint": "POST /checkout"}),
        None,
    );
    assert!(check.is_explained && said(&check).contains("payments"));
    assert!(check.advice[0].contains("`payments`"), "{:?}", check.advice);
}

#[test]
fn an_endpoint_that_was_not_replayed_explains_it() {
    let report = report();
    for name in ["GET /invoices", "/invoices", "GET /invoices?year=2026"] {
        let incident = json!({"name": "b", "endpoint": name});
        let check = checked(incident, Some(&report));
        let said = said(&check);
        assert!(check.is_explained, "{said}");
        assert!(
            said.contains("captured 20 times, and never compared"),
            "{said}"
        );
    }
}

#[test]
fn an_endpoint_that_nobody_knows_explains_nothing() {
    let report = report();
    for (name, nearest) in [
        ("GET /invocies", "GET /invoices"),
        ("/order/{id}", "GET /orders/{id}"),
        ("DELETE /orders/{id}", "GET /orders/{id}"),
    ] {
        let check = checked(json!({"name": "a", "endpoint": name}), Some(&report));
        let said = said(&check);
        assert!(!check.is_explained, "{said}");
        let expected = format!("is {name}; the nearest to it is {nearest}.");
        assert!(said.contains(&expected), "{said}");
        let advice = check.advice.join(" ");
        assert!(
            advice.contains(&format!("Where `{nearest}` is meant")),
            "{advice}"
        );
        assert!(!advice.contains("--report"), "{advice}");
    }
}

#[test]
fn an_incident_may_name_a_request_or_a_pattern() {
    let report = report();
    for name in ["GET /orders/99", "/orders/**", "GET /orders/*"] {
        let check = checked(json!({"name": "c", "endpoint": name}), Some(&report));
        assert!(!check.is_explained, "{name}: {}", said(&check));
        let advice = check.advice.join(" ");
        assert!(advice.contains("compared in 20 of 20"), "{name}: {advice}");
        // The component that the endpoint uses is known by any of its names.
        assert!(advice.contains("calls what broke full"), "{name}: {advice}");
    }
}

#[test]
fn nothing_explains_what_was_full_and_compared() {
    let report = report();
    let incident = json!({"name": "c", "endpoint": "GET /orders/{id}", "component": "orders"});
    let check = checked(incident.clone(), Some(&report));
    assert!(!check.is_explained);
    let advice = check.advice.join(" ");
    assert!(advice.contains("calls what broke full"), "{advice}");
    assert!(advice.contains("compared in 20 of 20"), "{advice}");
    let check = checked(incident, None);
    assert!(check.advice.join(" ").contains("`--report`"));
    let check = checked(json!({"name": "d", "component": "mail"}), Some(&report));
    assert!(!check.is_explained && check.advice[0].contains("Name `mail` in the scope"));
    let check = checked(json!({"name": "e"}), None);
    assert!(!check.is_explained && check.advice[0].contains("which endpoint or component"));
}

#[test]
fn reports_say_what_was_covered() {
    let report = report();
    let scope = &report.scope;
    assert_eq!((scope.traffic.seen, scope.traffic.compared), (60, 40));
    assert_eq!(
        (scope.error_paths.seen, scope.error_paths.compared),
        (20, 20)
    );
    assert_eq!(
        (scope.session_coverage.seen, scope.session_coverage.share),
        (20, 1.0)
    );
    let json = serde_json::to_value(&report).expect("a report is plain data");
    assert_eq!(json["scope"]["components"][1]["as"], "mocked");
    let lines = text(&report);
    assert!(
        lines.contains("covered      66.66 % of exchanges (40 of 60)"),
        "{lines}"
    );
    assert!(
        lines.contains("not compared GET /invoices (seen 20)"),
        "{lines}"
    );
    assert!(lines.contains("component    payments is mocked: the provider has no sandbox"));
    assert!(markdown(&report).contains("| component | payments is mocked"));
    let page = html(&report);
    assert!(page.contains("a tenth of the index") && page.contains("never compared"));
}

#[test]
fn a_component_that_is_not_full_says_why() {
    let of = |list: Value| {
        let components: Vec<Component> = serde_json::from_value(list).expect("components");
        check_components(&components)
    };
    let error = of(json!([{"name": "a", "as": "mocked"}])).expect_err("no reason");
    assert!(error.contains("`reason`"), "{error}");
    let twice = json!([{"name": "a", "as": "full"}, {"name": "a", "as": "full"}]);
    assert!(of(twice).is_err());
    assert_eq!(of(json!([{"name": "a", "as": "full"}])), Ok(()));
}
