//! What the page and the text show apart from findings.

use serde_json::json;
use twintap_verdict::{Outcome, Report, html, markdown, text};

use crate::support::{Call, Reply, judge, repeated};

fn order(state: &str) -> Reply {
    Reply::json(200, &json!({"state": state}))
}

/// A run with a finding, a race from which something follows, and a request that was
/// not bound.
fn mixed() -> Report {
    let mut calls = repeated(12, |_, session| {
        vec![
            Call::new(session, "POST", "/orders/17/pay", order("paid")),
            Call::new(session, "GET", "/receipt", order("printed")),
            Call::new(session, "GET", "/me", order("here")),
        ]
    });
    calls.push(
        Call::new("s-a", "POST", "/orders/17/pay", order("paid"))
            .candidate(order("late"))
            .races(0),
    );
    calls.push(Call::new("s-a", "GET", "/receipt", order("printed")).candidate(order("lost")));
    calls.push(Call::new("s-b", "GET", "/me", order("here")).candidate(order("gone")));
    let mut unbound = Call::new("s-c", "DELETE", "/session", order("bye"));
    unbound.baseline_outcome = Some(Outcome::Skipped("unbound".to_owned()));
    unbound.candidate_outcome = Some(Outcome::Skipped("unbound".to_owned()));
    calls.push(unbound);
    judge(&calls)
}

/// The sections of a page by their id.
fn section<'a>(page: &'a str, id: &str) -> Option<&'a str> {
    let start = page.find(&format!("<section id=\"{id}\""))?;
    let end = page[start..].find("</section>")?;
    Some(&page[start..start + end])
}

#[test]
fn the_page_keeps_races_and_what_is_unbound_apart() {
    let page = html(&mixed());
    let findings = section(&page, "findings").expect("there is a finding");
    assert!(findings.contains("/me") && !findings.contains("/receipt"));
    let apart = section(&page, "apart").expect("there is a race");
    assert!(!apart.contains("<code>GET /me</code>"), "{apart}");
    for part in [
        "A1",
        "POST /orders/{id}/pay",
        "Raced with exchange",
        "order/*",
        "What follows",
        "GET /receipt",
        "Not bound",
        "DELETE /session",
    ] {
        assert!(apart.contains(part), "no {part} in {apart}");
    }
    assert!(page.contains("href=\"#apart\""));
}

#[test]
fn a_page_without_such_has_no_such_section() {
    let calls = repeated(12, |_, session| {
        vec![Call::new(session, "GET", "/me", order("here"))]
    });
    let page = html(&judge(&calls));
    assert_eq!(section(&page, "apart"), None);
    assert!(!page.contains("href=\"#apart\""));
}

#[test]
fn the_text_says_what_is_no_finding() {
    let text = text(&mixed());
    let line = text.lines().find(|line| line.starts_with("A1"));
    assert_eq!(
        line,
        Some("A1   race           POST /orders/{id}/pay body_changed at /state, once: no finding")
    );
    assert!(text.contains("both of order/*"), "{text}");
}

#[test]
fn what_a_second_baseline_shows_is_on_the_page_and_in_the_text() {
    let calls = repeated(12, |index, session| {
        let state = if index < 3 { "there" } else { "here" };
        vec![Call::new(session, "GET", "/me", order("here")).second(order(state))]
    });
    let report = judge(&calls);
    let page = html(&report);
    let second = section(&page, "second-baseline").expect("there is one");
    for part in ["in 9 of 12 exchanges", "1 place,", "GET /me", "/state"] {
        assert!(second.contains(part), "no {part} in {second}");
    }
    assert!(page.contains("href=\"#second-baseline\""));
    let text = text(&report);
    let says =
        "agrees with the baseline in 9 of 12 exchanges, and differs at 1 place, which is noise";
    assert!(text.contains(says), "{text}");
    let ledger = "12 planned = 12 answered + 0 errored + 0 refused + 0 skipped";
    assert!(text.contains(&format!("second       {ledger}")), "{text}");
    let markdown = markdown(&report);
    assert!(
        markdown.contains(&format!("| second baseline | {ledger} |")),
        "{markdown}"
    );

    let calls = repeated(12, |_, session| {
        vec![Call::new(session, "GET", "/me", order("here"))]
    });
    assert_eq!(section(&html(&judge(&calls)), "second-baseline"), None);
}

/// A report of a run in which requests fail, with what only long runs have.
fn failing() -> Report {
    let reply = |fails: bool| match fails {
        true => Reply::json(503, &json!({"error": "busy"})),
        false => order("here"),
    };
    let calls = repeated(100, |index, session| {
        let fails = |count: usize, shift: usize| (index * 7 + shift) % 100 < count;
        let failing = Call::new(session, "GET", "/a", reply(fails(12, 0)));
        vec![
            failing
                .baseline(reply(fails(12, 31)))
                .candidate(reply(fails(45, 67))),
            Call::new(session, "GET", "/b", order("here")),
        ]
    });
    let mut report = serde_json::to_value(judge(&calls)).expect("a report is plain data");
    report["error_drift"] = json!({"slope": 0.25, "low": -0.5, "high": 1.0});
    let row = &mut report["latency"][0];
    row["by_load"] = json!({"busy_from": 9, "quiet_shift_ms": 1.0, "busy_shift_ms": 33.0});
    row["drift_ms_per_hour"] = json!({"slope": 77.0, "low": 55.0, "high": 99.0});
    row["tail"] = json!({
        "above_ms": 12.0, "candidate": 41, "baseline": 3, "p_value": 0.02, "is_large": true
    });
    let none = json!({
        "planned": 0, "answered": 0, "errored": 0, "errored_by_cause": {}, "refused": 0,
        "refused_by_cause": {}, "skipped": 0, "skipped_by_cause": {}, "unexplained": 0
    });
    report["confirmation"] = json!({
        "rounds": 2, "exchanges": 5, "ended_early": "the time was over",
        "ledgers": {"candidate": none, "baseline": none}
    });
    report["resources_unseen"] = json!(["the candidate is on another machine"]);
    serde_json::from_value(report).expect("it is a report still")
}

#[test]
fn what_failed_and_what_was_watched_is_on_the_page() {
    let page = html(&failing());
    let errors = section(&page, "errors").expect("a section on errors");
    for part in [
        "<code>GET /a</code>",
        "12 % → 45 %",
        "At 1 further endpoint none failed",
        "+25.0 pp an hour",
        "−50.0 pp to +100.0 pp",
        "Watched from the start",
        "An alarm.",
    ] {
        assert!(errors.contains(part), "no {part} in {errors}");
    }
    let latency = section(&page, "latency").expect("a section on latency");
    for part in [
        "3 → 41",
        "above 12.0, p 0.020",
        "+33.0 ",
        "(+1.00)",
        "+77.0 ",
        "+55.0 to +99.0",
    ] {
        assert!(latency.contains(part), "no {part} in {latency}");
    }
    let ledgers = section(&page, "ledgers").expect("a section on ledgers");
    assert!(
        ledgers.contains("Fired again at the candidate"),
        "{ledgers}"
    );
    assert!(
        page.contains("Exchanges that show findings: 5; rounds at freshly reset twins: 2"),
        "{page}"
    );
    assert!(
        page.contains("Not all that was wanted: the time was over."),
        "{page}"
    );

    let sound = html(&judge(&repeated(12, |_, session| {
        vec![Call::new(session, "GET", "/me", order("here"))]
    })));
    let errors = section(&sound, "errors").expect("a section on errors");
    assert!(
        errors.contains("At no endpoint of 1 did one fail"),
        "{errors}"
    );
    assert!(!errors.contains("<table"), "{errors}");
}

#[test]
fn what_was_measured_is_in_the_text() {
    let report = failing();
    for (said, form) in [text(&report), markdown(&report).replace('\\', "")]
        .into_iter()
        .zip(["text", "Markdown"])
    {
        for part in [
            "of 200 requests 12 (6 %) failed at the baseline, 45 (22.5 %) at the candidate",
            "GET /a: of 100 requests 12 (12 %) failed at the baseline",
            "GET /b: p50 5.0 to 5.0 ms",
            "not seen: the candidate is on another machine",
            "Exchanges that show findings: 5; rounds at freshly reset twins: 2",
        ] {
            assert!(said.contains(part), "no {part} in the {form}: {said}");
        }
    }
}

#[test]
fn markdown_lists_what_is_no_finding() {
    let markdown = markdown(&mixed());
    assert!(markdown.contains("### No findings"), "{markdown}");
    let races = markdown
        .lines()
        .filter(|line| line.starts_with("- A") && line.contains("race: "));
    assert!(races.count() > 0, "{markdown}");
}
