//! Why the baseline does not answer as production did.

use serde_json::{Value, json};

use crate::support::{Call, Reply, judge, repeated};

#[track_caller]
fn check(production: &Reply, baseline: &Reply, cause: &str) {
    let calls = repeated(20, |_, session| {
        let call = Call::new(session, "GET", "/a", baseline.clone());
        vec![call.production(production.clone())]
    });
    let report = judge(&calls);
    let unequal = &report.fidelity_detail.unequal;
    let causes: Vec<(&str, u64)> = unequal
        .iter()
        .map(|(cause, count)| (cause.as_str(), *count))
        .collect();
    assert_eq!(causes, [(cause, 20)]);
    assert_eq!(report.fidelity_detail.endpoints[0].unequal, *unequal);
}

fn ok(body: Value) -> Reply {
    Reply::json(200, &body)
}

#[test]
fn state_that_is_missing_is_told_apart() {
    let order = || ok(json!({"items": ["a", "b"], "total": 3}));
    let not_found = Reply::json(404, &json!({"error": "no such order"}));
    check(&order(), &not_found, "missing_state");
    check(
        &order(),
        &ok(json!({"items": [], "total": 3})),
        "missing_state",
    );
    check(
        &order(),
        &ok(json!({"items": ["a"], "total": 3})),
        "missing_state",
    );
    check(
        &order(),
        &ok(json!({"items": ["a", "b"], "total": null})),
        "missing_state",
    );
    check(
        &order(),
        &Reply::text(200, "application/json", ""),
        "missing_state",
    );
    // A baseline that has more, or another value, lacks nothing.
    check(
        &order(),
        &ok(json!({"items": ["a", "b"], "total": 4})),
        "difference",
    );
    check(&not_found, &order(), "difference");
    check(&not_found, &Reply::json(410, &json!({})), "difference");
}

#[test]
fn time_is_told_apart() {
    let page = || ok(json!({"v": "x"}));
    let expired = Reply::json(401, &json!({"error": "Token Expired"}));
    check(&page(), &expired, "time");
    let named = Reply::text(403, "text/plain", "no").with("WWW-Authenticate", "Bearer expired");
    check(&page(), &named, "time");
    check(
        &page(),
        &Reply::json(401, &json!({"error": "no token"})),
        "difference",
    );
    // In another form, or it would say nothing.
    let at = |at: &str| ok(json!({"at": at}));
    check(&at("2026-01-31T12:00:00Z"), &at("2026-03-01"), "time");
    check(&at("2026-01-31T12:00:00Z"), &at("yesterday"), "difference");
}
