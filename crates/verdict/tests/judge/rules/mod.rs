//! Each rule of judgement by a run that shows it.

mod answers;
mod blame;
mod bodies;
mod consequences;
mod documents;
mod endpoints;
mod generated;
mod heads;
mod moulds;
mod noise;
mod races;
mod roles;
mod second;

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use twintap_verdict::{Body, Options, Outcome, Report, RunFacts};

use crate::support::{Call, Reply, judge, judge_with, lines, observations, repeated};

#[track_caller]
fn check(calls: &[Call], expected: Expect) -> Report {
    let report = judge(calls);
    let mut text = String::new();
    for (line, finding) in lines(&report).iter().zip(&report.findings) {
        text.push_str(line);
        text.push('\n');
        for also in &finding.also {
            text.push_str(&format!("  also {} {}\n", also.kind, also.location));
        }
        for then in &finding.consequences {
            text.push_str(&format!(
                "  then {} {} {} x{}\n",
                then.endpoint, then.kind, then.location, then.count
            ));
        }
        if !finding.related.is_empty() {
            text.push_str(&format!("  related {}\n", finding.related.join(" ")));
        }
    }
    for apart in &report.apart {
        let kind = apart.kind.map_or("-", twintap_verdict::Kind::name);
        text.push_str(&format!(
            "apart {} {} {kind} {} x{}\n",
            apart.cause.name(),
            apart.endpoint,
            apart.location,
            apart.count
        ));
        for then in &apart.consequences {
            text.push_str(&format!(
                "  then {} {} {} x{}\n",
                then.endpoint, then.kind, then.location, then.count
            ));
        }
    }
    expected.assert_eq(&text);
    report
}

/// Twelve sessions that agree, and one in which the candidate answers `candidate`.
fn one_in_many(agreed: &Reply, candidate: Reply) -> Vec<Call> {
    let mut calls = repeated(12, |_, session| {
        vec![Call::new(session, "GET", "/a", agreed.clone())]
    });
    calls.push(Call::new("s-odd", "GET", "/a", agreed.clone()).candidate(candidate));
    calls
}

fn ok(body: Value) -> Reply {
    Reply::json(200, &body)
}
