//! A finding with its evidence.

use std::collections::BTreeSet;

use maud::{Markup, html as page};

use super::number::{count, ms, plural};
use super::{again, chart};
use crate::evidence::{Evidence, Excerpt};
use crate::kind::Kind;
use crate::reasons::percent;
use crate::report::{Consequence, Finding, Report};

/// Consequences shown.
const MOST_CONSEQUENCES: usize = 8;

pub(super) fn article(finding: &Finding, report: &Report) -> Markup {
    page! {
        article id=(finding.id) {
            div.top {
                span.id { (finding.id) }
                span.chip { (label(finding.kind)) }
                span.where.small {
                    @if matches!(finding.kind, Kind::Growth | Kind::Cost) { (plural(finding.count, "look")) } @else {
                    (plural(finding.count, "exchange")) " of " (count(finding.compared))
                    " (" (percent(finding.rate)) "), " (plural(finding.sessions, "session"))
                    @if finding.racing > 0 { ", " (count(finding.racing)) " of them in races" }
                    }
                }
            }
            h3 { code { (finding.endpoint) } " " (finding.claim) }
            @if !finding.also.is_empty() {
                p.small {
                    "In the very same exchanges: "
                    @for (index, also) in finding.also.iter().enumerate() {
                        @if index > 0 { ", " }
                        code { (also.location) } " (" (label(also.kind)) ")"
                    }
                }
            }
            @if finding.kind == Kind::Latency {
                @if let Some(row) = report.latency.iter().find(|row| row.endpoint == finding.endpoint) {
                    (chart::curves(&row.baseline_curve_ms, &row.candidate_curve_ms))
                }
            }
            @if matches!(finding.kind, Kind::Growth | Kind::Cost) {
                @if let Some(row) = report.resources.iter().find(|row| row.resource.name() == finding.location) {
                    (chart::over_time(row))
                }
            }
            @for (index, example) in finding.evidence.iter().enumerate() {
                // Slow requests look all alike: their times are in the summary.
                details open[index == 0 && finding.kind != Kind::Latency] {
                    summary { (caption(index, example)) }
                    (evidence(example))
                    (again::session(example))
                    @if let Some(commands) = &example.reproduce { (again::commands(commands)) }
                }
            }
            @if let Some(confirmation) = &finding.confirmation {
                p.small { (confirmation.statement) }
            }
            (consequences(&finding.consequences))
            @if !finding.related.is_empty() {
                p.small {
                    "Looks like the same fault elsewhere: "
                    @for id in &finding.related { a href={ "#" (id) } { (id) } " " }
                }
            }
            p.small.soft { (finding.test.statement) }
        }
    }
}

pub(super) fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::Error => "no answer",
        Kind::Status => "status",
        Kind::BodyMissing => "body: missing",
        Kind::BodyType => "body: type",
        Kind::BodyChanged => "body: value",
        Kind::BodyOrder => "body: order",
        Kind::BodyAdded => "body: added",
        Kind::HeaderMissing => "header: missing",
        Kind::HeaderChanged => "header: value",
        Kind::HeaderAdded => "header: added",
        Kind::TrailerMoved => "trailer: moved",
        Kind::Latency => "latency",
        Kind::ErrorRate => "error rate",
        Kind::Growth => "growth",
        Kind::Business => "business figure",
        Kind::Cost => "processor time",
    }
}

fn caption(index: usize, example: &Evidence) -> Markup {
    page! {
        "Example " (index + 1) ": " code { (example.request) }
    }
}

pub(super) fn evidence(example: &Evidence) -> Markup {
    let (baseline, candidate) = changed(example);
    page! {
        div.sides {
            (side("production", &example.production, &BTreeSet::new(), ""))
            (side("baseline", &example.baseline, &baseline, "− "))
            (side("candidate", &example.candidate, &candidate, "+ "))
        }
        p.small.soft {
            "Place " code { (example.at) } ", session " code { (example.session) }
            ", exchange " code { (example.exchange) } ", recorded " (example.recorded)
        }
        @for raced in &example.races {
            p.small.soft { "Raced with exchange " code { (raced.exchange) } " for " code { (raced.resource) } }
        }
        details {
            summary.small { "The request" }
            pre tabindex="0" {
                (example.request) "\n" (example.request_head)
                @if !example.request_body.is_empty() { "\n\n" (example.request_body) }
            }
        }
    }
}

/// The lines to mark in baseline and candidate: those that the other has not,
/// but for what already differs between production and baseline.
fn changed(example: &Evidence) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let production = content(&example.production);
    let baseline = content(&example.baseline);
    let candidate = content(&example.candidate);
    let varies: BTreeSet<&str> = baseline
        .iter()
        .filter(|line| !production.is_empty() && !production.contains(*line))
        .map(|line| name_of(line))
        .collect();
    if example.candidate.status.is_none() {
        // All of the baseline's answer is what there is not.
        return (BTreeSet::new(), candidate);
    }
    (
        marked(&baseline, &candidate, &varies),
        marked(&candidate, &baseline, &varies),
    )
}

fn marked<'a>(
    of: &BTreeSet<&'a str>,
    other: &BTreeSet<&str>,
    varies: &BTreeSet<&str>,
) -> BTreeSet<&'a str> {
    of.iter()
        .filter(|line| !other.contains(*line) && !varies.contains(name_of(line)))
        .copied()
        .collect()
}

fn content(excerpt: &Excerpt) -> BTreeSet<&str> {
    excerpt.text.lines().map(comparable).collect()
}

/// A comma at the end says only that another line follows.
fn comparable(line: &str) -> &str {
    line.trim_end_matches(',')
}

/// What stands before the first colon: a header field or a member.
fn name_of(line: &str) -> &str {
    line.split_once(':').map_or(line, |(name, _)| name)
}

/// One of the three, with lines marked, by a sign too: colours alone say nothing.
fn side(name: &str, excerpt: &Excerpt, marked: &BTreeSet<&str>, sign: &str) -> Markup {
    let status = excerpt.status.map(|status| status.to_string());
    let latency = excerpt
        .latency_ms
        .map(|latency| format!("{} ms", ms(latency)));
    let facts: Vec<String> = status.into_iter().chain(latency).collect();
    page! {
        div class={ "side " (name) } {
            p.name { strong { (name) } span.soft { (facts.join(" · ")) } }
            pre tabindex="0" {
                @if excerpt.text.is_empty() { "(not seen)" }
                @for line in excerpt.text.lines() {
                    @if marked.contains(comparable(line)) && !line.trim().is_empty() {
                        mark { (sign) (line) } "\n"
                    } @else {
                        (line) "\n"
                    }
                }
            }
        }
    }
}

pub(super) fn consequences(consequences: &[Consequence]) -> Markup {
    page! {
        @if !consequences.is_empty() {
            h4 { "What follows" }
            ul.small {
                @for consequence in consequences.iter().take(MOST_CONSEQUENCES) {
                    li {
                        code { (consequence.endpoint) } " " (label(consequence.kind))
                        " at " code { (consequence.location) } ", "
                        (plural(consequence.count, "exchange")) ", "
                        (plural(consequence.sessions, "session"))
                        @if let Some(cause) = &consequence.cause { ", after exchange " code { (cause) } }
                    }
                }
                @if consequences.len() > MOST_CONSEQUENCES {
                    li { "and " (consequences.len() - MOST_CONSEQUENCES) " more places" }
                }
            }
        }
    }
}
