//! What varies by itself.

use super::*;

fn value(text: &str) -> Reply {
    ok(json!({"v": text, "w": 1}))
}

/// `noisy` of 20 sessions in which the baseline differs from production, and
/// `odd` in which the candidate differs from the baseline.
fn sessions(noisy: usize, odd: usize) -> Vec<Call> {
    repeated(20, |index, session| {
        let baseline = if index < noisy { "blue" } else { "red" };
        let candidate = if index >= 20 - odd { "green" } else { baseline };
        vec![
            Call::new(session, "GET", "/a", value("red"))
                .baseline(value(baseline))
                .candidate(value(candidate)),
        ]
    })
}

#[test]
fn one_difference_counts_where_there_is_no_noise() {
    let report = check(&sessions(0, 1), expect!["GET /a body_changed /v x1\n"]);
    assert_eq!(report.findings[0].test.name, "exact");
}

#[test]
fn where_there_is_noise_a_test_decides() {
    check(&sessions(1, 1), expect![""]);
    check(&sessions(3, 4), expect![""]);
    let report = check(&sessions(2, 16), expect!["GET /a body_changed /v x16\n"]);
    let test = &report.findings[0].test;
    assert_eq!(
        (test.name.as_str(), test.unit.as_str(), test.sample),
        ("permutation", "session", 18)
    );
    assert_eq!(test.level, Some(0.01));
}

#[test]
fn noise_does_not_hide_another_type() {
    let mut calls = sessions(5, 0);
    calls[19].candidate = ok(json!({"v": 17, "w": 1}));
    check(&calls, expect!["GET /a body_type /v x1\n"]);
    calls[19].candidate = ok(json!({"w": 1}));
    check(&calls, expect!["GET /a body_missing /v x1\n"]);
}

#[test]
fn noise_at_one_endpoint_says_nothing_of_another() {
    let mut calls = sessions(5, 0);
    calls.push(Call::new("s-x", "GET", "/b", value("red")).candidate(value("green")));
    check(&calls, expect!["GET /b body_changed /v x1\n"]);
}

#[test]
fn an_array_that_varies_covers_what_is_in_it() {
    let list = |values: &[u32]| {
        ok(json!({"items": values.iter().map(|value| json!({"n": value})).collect::<Vec<_>>()}))
    };
    let mut calls = repeated(12, |index, session| {
        let baseline = if index % 2 == 0 {
            list(&[1, 2])
        } else {
            list(&[1, 2, 3])
        };
        vec![
            Call::new(session, "GET", "/a", list(&[1, 2]))
                .baseline(baseline.clone())
                .candidate(baseline),
        ]
    });
    calls[3].candidate = list(&[1, 2, 4]);
    check(&calls, expect![""]);
}

#[test]
fn a_constant_difference_is_no_noise() {
    let calls = repeated(12, |index, session| {
        let candidate = if index == 7 { "shop/3" } else { "shop/2" };
        vec![
            Call::new(session, "GET", "/a", ok(json!({})).with("Server", "nginx"))
                .baseline(ok(json!({})).with("Server", "shop/2"))
                .candidate(ok(json!({})).with("Server", candidate)),
        ]
    });
    let report = check(&calls, expect!["GET /a header_changed header.server x1\n"]);
    assert_eq!(report.fidelity, 0.0);
    assert!(report.fidelity_detail.endpoints[0].differs_at[0].constant);
}

#[test]
fn a_status_never_seen_is_found_in_noise() {
    let mut calls = repeated(20, |index, session| {
        let baseline = if index < 4 { 404 } else { 200 };
        let reply = Reply::json(baseline, &json!({}));
        vec![
            Call::new(session, "GET", "/a", ok(json!({})))
                .baseline(reply.clone())
                .candidate(reply),
        ]
    });
    calls[10].candidate = Reply::json(404, &json!({}));
    check(&calls, expect![""]);
    calls[10].candidate = Reply::json(500, &json!({}));
    let report = check(&calls, expect!["GET /a status status x1\n"]);
    assert_eq!(report.findings[0].test.name, "novel_status");
}
