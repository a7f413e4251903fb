//! Values that each service makes up.

use super::*;

const ONE: &str = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
const TWO: &str = "6fa459ea-ee8a-4ca4-894e-db77e160355e";
const THREE: &str = "16fd2706-8baf-433b-82eb-8c7fada847da";

fn id(text: &str) -> Reply {
    ok(json!({ "id": text }))
}

fn ids(production: &str, baseline: &str, candidate: Reply) -> Vec<Call> {
    repeated(12, |_, session| {
        vec![
            Call::new(session, "POST", "/a", id(production))
                .baseline(id(baseline))
                .candidate(candidate.clone()),
        ]
    })
}

#[test]
fn ids_of_three_services_differ() {
    let report = check(&ids(ONE, TWO, id(THREE)), expect![""]);
    assert_eq!(report.fidelity, 1.0);
    let masked = &report.masked[0];
    assert_eq!(
        (
            masked.location.as_str(),
            masked.reason.as_str(),
            masked.baseline_vs_production
        ),
        ("/id", "generated", 12)
    );
}

#[test]
fn an_id_that_production_and_baseline_share_is_none_of_theirs_to_differ() {
    check(
        &ids(ONE, ONE, id(THREE)),
        expect!["POST /a body_changed /id x12\n"],
    );
}

#[test]
fn an_id_keeps_its_form_and_type() {
    check(
        &ids(ONE, TWO, id("17")),
        expect!["POST /a body_type /id x12\n"],
    );
    check(
        &ids(ONE, TWO, ok(json!({"id": 17}))),
        expect!["POST /a body_type /id x12\n"],
    );
}

#[test]
fn instants_and_counters_of_time_pass() {
    let at = |text: &str, epoch: u64| ok(json!({"at": text, "epoch": epoch}));
    let calls = repeated(12, |_, session| {
        vec![
            Call::new(
                session,
                "GET",
                "/a",
                at("2026-11-19T10:00:00Z", 1_763_000_000),
            )
            .baseline(at("2026-11-22T10:00:00.125Z", 1_763_200_000))
            .candidate(at("2026-11-22T10:00:01Z", 1_763_200_001)),
        ]
    });
    check(&calls, expect![""]);
}

#[test]
fn without_production_a_generated_value_counts_only_where_nothing_varies() {
    let unseen = |session: &str| {
        Call::new(session, "POST", "/a", id(ONE))
            .unseen()
            .baseline(id(TWO))
            .candidate(id(THREE))
    };
    let mut calls = ids(ONE, TWO, id(THREE));
    calls.push(unseen("s-x"));
    check(&calls, expect![""]);
    let mut calls = repeated(12, |_, session| {
        vec![Call::new(session, "POST", "/a", id(ONE))]
    });
    calls.push(unseen("s-x"));
    check(&calls, expect!["POST /a body_changed /id x1\n"]);
}
