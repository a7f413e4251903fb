//! Values that play the same part at each twin.

use super::*;

/// Login, then a page that shows what login produced.
fn session(index: usize, session: &str, shown_by_candidate: &str) -> Vec<Call> {
    let code = |who: &str| ok(json!({"code": format!("{who}-{index:04}")}));
    let page = |who: &str| Reply::text(200, "text/html", &format!("<b>{who}-{index:04}</b>"));
    vec![
        Call::new(session, "POST", "/login", code("prod"))
            .baseline(code("base"))
            .candidate(code("cand"))
            .produces("json./code"),
        Call::new(session, "GET", "/me", code("prod"))
            .baseline(code("base"))
            .candidate(ok(json!({"code": shown_by_candidate}))),
        Call::new(session, "GET", "/page", page("prod"))
            .baseline(page("base"))
            .candidate(page("cand")),
    ]
}

#[test]
fn values_of_one_role_are_equal() {
    let calls = repeated(12, |index, name| {
        session(index, name, &format!("cand-{index:04}"))
    });
    let report = check(&calls, expect![""]);
    assert_eq!(report.fidelity, 1.0);
}

#[test]
fn the_value_of_another_role_is_wrong() {
    let calls = repeated(12, |index, name| {
        let shown = if index == 9 { 3 } else { index };
        session(index, name, &format!("cand-{shown:04}"))
    });
    check(&calls, expect!["GET /me body_changed /code x1\n"]);
}

#[test]
fn one_value_for_all_is_wrong() {
    let calls = repeated(12, |index, name| {
        let mut calls = session(index, name, "same");
        calls[0].candidate = ok(json!({"code": "same"}));
        calls.truncate(2);
        calls
    });
    // The first session's is its own; in the others it is another's.
    check(
        &calls,
        expect![[r#"
            POST /login body_changed /code x11
              then GET /me body_changed /code x11
        "#]],
    );
}

#[test]
fn what_was_sent_as_a_pseudonym_comes_back_in_the_recorded_values_role() {
    let calls = repeated(12, |index, name| {
        let echo = |who: &str| ok(json!({"name": format!("{who}-{index:04}")}));
        let wrong = if index == 9 { "other" } else { "sent" };
        vec![
            Call::new(name, "POST", "/greet", echo("recorded"))
                .baseline(echo("sent"))
                .candidate(echo(wrong))
                .sends(&format!("sent-{index:04}"), &format!("recorded-{index:04}")),
        ]
    });
    let report = check(&calls, expect!["POST /greet body_changed /name x1\n"]);
    assert_eq!(report.fidelity, 1.0);
}

#[test]
fn times_play_no_role() {
    // What production saved in two seconds the baseline saved in one, and the candidate in two.
    let calls = repeated(12, |_, session| {
        let saved = |second: u32| ok(json!({"saved": format!("2026-11-23 07:59:{second:02}")}));
        let shows = |second: u32| {
            Call::new(session, "GET", "/page", saved(10 + second))
                .baseline(saved(20))
                .candidate(saved(30 + second))
                .produces("json./saved")
        };
        vec![shows(0), shows(1)]
    });
    let report = check(&calls, expect![""]);
    assert_eq!(report.fidelity, 1.0);
    assert_eq!(report.masked[0].baseline_vs_production, 24);
}

#[test]
fn a_value_that_no_twin_makes_up_plays_no_other_part() {
    let calls = repeated(12, |index, session| {
        let list = |id: &str| ok(json!({"first": {"id": id}}));
        let lamp = ok(json!({"id": "lamp"}));
        let shown = if index == 4 { "lamp" } else { "bowl" };
        vec![
            Call::new(session, "GET", "/list", list("bowl"))
                .candidate(list(shown))
                .produces("json./first/id"),
            Call::new(session, "GET", "/lamp", lamp),
        ]
    });
    check(
        &calls,
        expect![[r#"
            GET /list body_changed /first/id x1
        "#]],
    );
}
