//! Reports as their published schema says.

use expect_test::expect_file;
use serde_json::{Value, json};
use twintap_verdict::{Report, Rules, RunFacts, report_schema};

use crate::support::{Call, Reply, judge_with, observations, repeated};

fn report() -> Report {
    let calls = repeated(20, |_, session| {
        let order = |total: u32| Reply::json(200, &json!({"total": total}));
        vec![
            Call::new(session, "POST", "/orders", order(10)).candidate(order(9)),
            Call::new(session, "GET", "/gone", Reply::json(404, &json!({}))),
        ]
    });
    let read = "a part of the rules";
    let rules = Rules {
        metrics: serde_json::from_value(json!([
            {"name": "revenue", "value": {"json": "$.total"}, "aggregate": "sum"}
        ]))
        .expect(read),
        components: serde_json::from_value(json!([
            {"name": "payments", "as": "mocked", "reason": "no sandbox"}
        ]))
        .expect(read),
        gate: twintap_verdict::Gate {
            levels: serde_json::from_value(json!([{"level": "warn"}])).expect(read),
            ..Default::default()
        },
        ..Rules::default()
    };
    judge_with(rules, RunFacts::default(), observations(&calls))
}

#[test]
fn the_published_schema_is_that_of_reports() {
    let schema = serde_json::to_string_pretty(&report_schema()).expect("a schema is plain data");
    expect_file!["../../../../docs/report.schema.json"].assert_eq(&(schema + "\n"));
}

#[test]
fn reports_are_as_the_schema_says() {
    let schema = jsonschema::validator_for(&report_schema()).expect("a schema");
    let check = |report: &Value| {
        let errors: Vec<String> = schema
            .iter_errors(report)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        errors
    };
    let mut report = serde_json::to_value(report()).expect("a report is plain data");
    assert_eq!(check(&report), Vec::<String>::new());
    report["verdict"] = json!("maybe");
    report["findings"][0]["count"] = json!(-1);
    assert_eq!(check(&report).len(), 2, "{:?}", check(&report));
}
