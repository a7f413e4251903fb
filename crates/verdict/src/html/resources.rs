//! What the twins' processes used.

use maud::{Markup, html as page};

use super::chart;
use super::number::count;
use crate::report::Report;
use crate::resource::{Course, ResourceReport};

/// Whether there is anything to show, or to say why there is not.
pub(super) fn is_shown(report: &Report) -> bool {
    !report.resources.is_empty() || !report.resources_unseen.is_empty()
}

pub(super) fn section(report: &Report) -> Markup {
    if !is_shown(report) {
        return page! {};
    }
    page! {
        section id="resources" {
            h2 { "Resources" }
            p.small { "What the twins’ processes used, looked at side by side under the same load after the warm-up." }
            @for reason in &report.resources_unseen { p.small { strong { "Not seen. " } (reason) } }
            @if !report.resources.is_empty() {
                div.cards {
                    @for row in &report.resources {
                        article {
                            h3 { (row.resource.words()) ": " (course(row)) }
                            (chart::over_time(row))
                        }
                    }
                }
                (table(&report.resources))
            }
        }
    }
}

fn table(rows: &[ResourceReport]) -> Markup {
    page! {
        div.scroll tabindex="0" role="region" aria-label="Resources of the twins" {
            table {
                caption { "Baseline → candidate, and by how much the difference grows" }
                thead {
                    tr {
                        th scope="col" { "Resource" }
                        th.n scope="col" { "Looks" }
                        th.n scope="col" { "Median" }
                        th.n scope="col" { "Largest" }
                        th.n scope="col" { "Growth an hour" }
                        th scope="col" { "Course" }
                    }
                }
                tbody { @for row in rows { (resource(row)) } }
            }
        }
    }
}

fn resource(row: &ResourceReport) -> Markup {
    let amount = |value: f64| row.resource.amount(value);
    let pair =
        |baseline: f64, candidate: f64| format!("{} → {}", amount(baseline), amount(candidate));
    page! {
        tr {
            th scope="row" { (row.resource.words()) }
            td.n { (count(row.samples)) }
            td.n { (pair(row.baseline.median, row.candidate.median)) }
            td.n { (pair(row.baseline.max, row.candidate.max)) }
            td.n {
                @match row.per_hour {
                    Some(slope) => {
                        (amount(slope.slope)) " "
                        span.soft { "(" (amount(slope.low)) " to " (amount(slope.high)) ")" }
                    }
                    None => { span.soft { "too short" } }
                }
            }
            td { (course(row)) }
        }
    }
}

fn course(row: &ResourceReport) -> Markup {
    page! {
        @if row.shift.is_some_and(|shift| shift.is_higher) { strong.open { "higher" } ", " }
        @let words = row.course.words();
        @match row.course {
            Course::Grows => {
                strong.open { (words) }
                @if let Some(hours) = row.hours_to_limit {
                    ", limit in " (format!("{hours:.1}")) " h"
                }
            }
            Course::LevelsOff | Course::Level => { (words) }
            Course::TooShort => { span.soft { (words) } }
        }
    }
}
