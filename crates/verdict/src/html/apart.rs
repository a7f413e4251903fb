//! What differs and is no finding: races, what the run did, what could not be bound.

use maud::{Markup, html as page};

use super::finding::{consequences, evidence, label};
use super::number::{count, plural};
use crate::report::{Apart, ApartCause, EndpointScope, Report};

/// Entries shown in full.
const MOST_SHOWN: usize = 20;

/// Empty where everything that differs is a finding or follows from one, and every
/// value was bound.
pub(super) fn section(report: &Report) -> Markup {
    let unbound = unbound(report);
    page! {
        @if is_shown(report) {
            section id="apart" {
                h2 { "Apart from findings" }
                p.small {
                    "None of this is held against the candidate: the twins may differ here without its doing."
                    @if !report.consequences.is_empty() {
                        " Differences that follow from others, by what these are: "
                        (super::tables::causes(&report.consequences)) "."
                    }
                }
                @for apart in report.apart.iter().take(MOST_SHOWN) { (article(apart)) }
                @if report.apart.len() > MOST_SHOWN {
                    p { "And " (report.apart.len() - MOST_SHOWN) " more in report.json." }
                }
                @if !unbound.is_empty() {
                    h3 { "Not bound" }
                    p.small { "Requests that use a value which no answer of the run gave: they were not fired, or with the recorded one, and not compared." }
                    div.scroll tabindex="0" role="region" aria-label="Requests not bound, by endpoint" {
                        table {
                            caption.unseen { "Requests not bound, by endpoint" }
                            thead { tr { th scope="col" { "Endpoint" } th.n scope="col" { "Requests" } th.n scope="col" { "of" } } }
                            tbody {
                                @for (endpoint, requests) in unbound {
                                    tr {
                                        th scope="row" { code { (endpoint.endpoint) } }
                                        td.n { (count(requests)) }
                                        td.n { (count(endpoint.seen)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whether there is such a section.
pub(super) fn is_shown(report: &Report) -> bool {
    !report.apart.is_empty() || !unbound(report).is_empty()
}

fn unbound(report: &Report) -> Vec<(&EndpointScope, u64)> {
    let endpoints = report.scope.endpoints.iter();
    endpoints
        .map(|endpoint| {
            let skipped = endpoint.skipped.get("unbound").copied().unwrap_or(0);
            (endpoint, endpoint.unbound + skipped)
        })
        .filter(|(_, requests)| *requests > 0)
        .collect()
}

fn article(apart: &Apart) -> Markup {
    page! {
        article id=(apart.id) {
            div.top {
                span.id { (apart.id) }
                span.chip { (apart.cause.name()) }
                span.where.small {
                    (plural(apart.count, "exchange")) ", " (plural(apart.sessions, "session"))
                }
            }
            h3 {
                code { (apart.endpoint) } " "
                @match apart.kind {
                    Some(kind) => { (label(kind)) " at " code { (apart.location) } }
                    None => { (apart.evidence.first().map_or("", |example| example.change.as_str())) }
                }
            }
            p.small { (why(apart.cause)) }
            @for example in &apart.evidence {
                details {
                    summary { "Example: " code { (example.request) } }
                    (evidence(example))
                }
            }
            (consequences(&apart.consequences))
        }
    }
}

fn why(cause: ApartCause) -> &'static str {
    match cause {
        ApartCause::Race => {
            "The request and a write of what it touches were under way at the same time, or two \
             writes before it were: which came first is for neither twin to know."
        }
        ApartCause::Baseline => {
            "The baseline did not do what the candidate was asked to do, so that what follows \
             differs for its sake."
        }
        ApartCause::Limit => {
            "A limit of the run kept it from one twin, so that what follows differs for the run’s sake."
        }
        ApartCause::Late => {
            "It changes state and went out before what it waits for was there, so that what \
             follows may differ for the order’s sake."
        }
        ApartCause::Unbound => {
            "A twin had not given a value that the request uses, so that it went out with the \
             recorded one, and what follows may differ for that."
        }
    }
}
