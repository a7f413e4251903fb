//! What the twins' processes used.

use maud::{Markup, html as page};

use super::chart;
use super::number::count;
use crate::report::Report;
use crate::resource::{Course, ResourceReport};

/// Whether there is anything to show.
pub(super) fn is_shown(report: &Report) -> bool {
    !report.resources.is_empty()
}

pub(super) fn section(report: &Report) -> Markup {
    if !is_shown(report) {
        return page! {};
    }
    page! {
        section id="resources" {
            h2 { "Resources" }
            p.small {
                "What the twins’ processes used, looked at side by side after the warm-up. "
                span class="key b" {} "baseline, " span class="key c" {} "candidate."
            }
            div.scroll tabindex="0" role="region" aria-label="Resources of the twins" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Resource" }
                            th.n scope="col" { "Looks" }
                            th.n scope="col" { "Median base → cand" }
                            th.n scope="col" { "Largest" }
                            th.n scope="col" { "Difference grows, an hour" }
                            th scope="col" { "Course" }
                            th scope="col" { "Over the run" }
                        }
                    }
                    tbody { @for row in &report.resources { (resource(row)) } }
                }
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
            td {
                @match row.course {
                    Course::Grows => {
                        strong.open { "grows" }
                        @if let Some(hours) = row.hours_to_limit {
                            ", limit in " (format!("{hours:.1}")) " h"
                        }
                    }
                    Course::LevelsOff => { "levels off" }
                    Course::Level => { "level" }
                    Course::TooShort => { span.soft { "too short to tell" } }
                }
            }
            td { (chart::over_time(row, &amount)) }
        }
    }
}
