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
fn instants_pass_as_people_write_them() {
    for [production, baseline, candidate] in [
        [
            "Nov. 23, 2026, 5:45 a.m.",
            "Nov. 24, 2026, 6:01 p.m.",
            "Nov. 24, 2026, noon",
        ],
        [
            "by ann on 2026-11-23.05:41:58",
            "by ann on 2026-11-24.06:00:00",
            "by ann on 2026-11-24.06:00:01",
        ],
        [
            "2026-11-23\u{a0}05:41",
            "2026-11-24\u{a0}06:00",
            "2026-11-24\u{a0}06:01",
        ],
    ] {
        check(&instants(production, baseline, candidate), expect![""]);
    }
    // What stands in a date's place and is none still counts.
    check(
        &instants("Nov. 23, 2026", "Nov. 24, 2026", "soon"),
        expect!["GET /a body_type /at x12\n"],
    );
}

fn instants(production: &str, baseline: &str, candidate: &str) -> Vec<Call> {
    let at = |text: &str| ok(json!({ "at": text }));
    repeated(12, |_, session| {
        vec![
            Call::new(session, "GET", "/a", at(production))
                .baseline(at(baseline))
                .candidate(at(candidate)),
        ]
    })
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

#[test]
fn what_production_has_no_place_for_may_be_made_up() {
    // In production the list was shorter.
    let page = |items: &[&str]| {
        let items: Vec<String> = items.iter().map(|at| format!("<li>{at}</li>")).collect();
        Reply::text(200, "text/html", &items.concat())
    };
    let calls = repeated(12, |_, session| {
        vec![
            Call::new(session, "GET", "/log", page(&["2026-11-22 10:00:00"]))
                .baseline(page(&["2026-11-23 11:00:00", "2026-11-23 11:00:01"]))
                .candidate(page(&["2026-11-23 11:00:00", "2026-11-23 11:00:02"])),
        ]
    });
    check(&calls, expect![""]);
}

#[test]
fn another_status_of_production_shows_nothing_of_what_is_made_up() {
    let page = |status: u16, nonce: &str| Reply::json(status, &json!({"nonce": nonce}));
    let calls = repeated(12, |_, session| {
        vec![
            Call::new(session, "POST", "/login", page(302, ONE))
                .baseline(page(200, TWO))
                .candidate(page(200, THREE)),
        ]
    });
    check(&calls, expect![""]);
}

#[test]
fn the_candidate_knows_what_time_it_is() {
    let calls = |hour: u32| {
        repeated(20, |number, session| {
            let at = |day: u32, hour: u32| {
                let text = format!("2026-03-{day:02}T{hour:02}:00:{number:02}.250Z");
                ok(json!({ "created_at": text }))
            };
            let call = Call::new(session, "POST", "/orders", at(1, 8));
            vec![call.baseline(at(2, 12)).candidate(at(2, hour))]
        })
    };
    check(&calls(12), expect![""]);
    check(
        &calls(14),
        expect![[r#"
        POST /orders body_changed /created_at x20
    "#]],
    );
}

#[test]
fn so_do_the_fields_that_are_never_compared_by_value() {
    let calls = |hour: u32| {
        repeated(20, |number, session| {
            let at = |day: u32, hour: u32| {
                let date = format!("Mon, {day:02} Mar 2026 {hour:02}:00:{number:02} GMT");
                ok(json!({})).with("Date", &date)
            };
            let call = Call::new(session, "GET", "/a", at(2, 8));
            vec![call.baseline(at(9, 12)).candidate(at(9, hour))]
        })
    };
    check(&calls(12), expect![""]);
    check(
        &calls(13),
        expect![[r#"
        GET /a header_changed header.date x20
    "#]],
    );
}
