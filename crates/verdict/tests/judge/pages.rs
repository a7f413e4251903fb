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
