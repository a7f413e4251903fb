//! Requests that fail, and what was watched from the start of the run.

use maud::{Markup, html as page};

use super::number::{chance, count, plural};
use super::tables::signed_by;
use crate::errors::EndpointErrors;
use crate::reasons::percent;
use crate::report::Report;
use crate::sequential::{SequentialReport, StreamReport};

pub(super) fn section(report: &Report) -> Markup {
    let (failing, sound): (Vec<&EndpointErrors>, Vec<&EndpointErrors>) = report
        .errors
        .iter()
        .partition(|row| row.candidate + row.baseline > 0);
    page! {
        section id="errors" {
            h2 { "Errors" }
            p.small {
                "Requests without an answer, or with a status of 500 and above, of those that both twins had. "
                "The interval of 95 % is of the share of sessions with more of them at the candidate, less that of the baseline."
            }
            @if !failing.is_empty() { (table(&failing)) }
            @if !sound.is_empty() {
                p {
                    @if failing.is_empty() { "At no endpoint of " (count(sound.len() as u64)) " did one fail." }
                    @else { "At " (plural(sound.len() as u64, "further endpoint")) " none failed." }
                }
            }
            @if report.errors.is_empty() { p { "Nothing was compared." } }
            @if let Some(drift) = report.error_drift {
                p {
                    "Over the run the candidate’s rate, less the baseline’s, changes by "
                    (points(drift.slope)) " an hour "
                    span.soft { "(" (points(drift.low)) " to " (points(drift.high)) ")" } "."
                }
            }
            (watched(&report.sequential))
        }
    }
}

fn table(rows: &[&EndpointErrors]) -> Markup {
    page! {
        div.scroll tabindex="0" role="region" aria-label="Failed requests by endpoint" {
            table {
                caption.unseen { "Failed requests by endpoint" }
                thead {
                    tr {
                        th scope="col" { "Endpoint" }
                        th.n scope="col" { "Requests" }
                        th.n scope="col" { "Failed base → cand" }
                        th.n scope="col" { "Sessions with more" }
                        th.n scope="col" { "Difference (95 %)" }
                        th.n scope="col" { "p" }
                    }
                }
                tbody { @for row in rows { (endpoint(row)) } }
            }
        }
    }
}

fn endpoint(row: &EndpointErrors) -> Markup {
    let share = |failed: u64| percent(failed as f64 / row.requests.max(1) as f64);
    let failed = format!("{} → {}", share(row.baseline), share(row.candidate));
    page! {
        tr {
            th scope="row" { code { (row.endpoint) } }
            td.n { (count(row.requests)) }
            td.n { @if row.is_more { strong.open { (failed) } } @else { (failed) } }
            td.n {
                (count(row.baseline_sessions)) " → " (count(row.candidate_sessions))
                " " span.soft { "of " (count(row.sessions)) }
            }
            td.n {
                (points(row.difference)) " "
                span.soft { "(" (points(row.low)) " to " (points(row.high)) ")" }
            }
            td.n { (chance(row.p_value)) }
        }
    }
}

/// A difference of shares, in percentage points.
fn points(share: f64) -> String {
    format!(
        "{} pp",
        signed_by(share * 100.0, |size| format!("{size:.1}"))
    )
}

/// The tests that may be looked at any time.
fn watched(sequential: &SequentialReport) -> Markup {
    let Some(strongest) = sequential.streams.first() else {
        return page! {};
    };
    page! {
        h3 { "Watched from the start" }
        p {
            @match sequential.statement() {
                Some(alarm) => { strong.open { "An alarm. " } (alarm) }
                None => {
                    "No alarm over " (plural(sequential.sessions, "session")) ": the strongest evidence was an e-value of "
                    (format!("{:.1}", sequential.peak)) ", of " (stream(strongest)) "; one of "
                    (format!("{:.0}", 1.0 / sequential.level)) " is an alarm."
                }
            }
        }
    }
}

fn stream(stream: &StreamReport) -> Markup {
    page! {
        @match &stream.endpoint {
            Some(endpoint) => { "the latency of " code { (endpoint) } }
            None => { "errors" }
        }
        " (" (plural(stream.pluses, &stream.unit)) " against the candidate, " (count(stream.minuses)) " for it)"
    }
}
