//! Business figures of production, baseline and candidate.

use maud::{Markup, html as page};

use super::number::count;
use crate::business::{Figure, Measured, amount, number};
use crate::gate::Share;
use crate::report::Report;

/// Whether there is anything to show.
pub(super) fn is_shown(report: &Report) -> bool {
    !report.business.is_empty()
}

pub(super) fn section(report: &Report) -> Markup {
    if !is_shown(report) {
        return page! {};
    }
    page! {
        section id="business" {
            h2 { "Business figures" }
            p.small {
                "Computed alike from what each of the three answered, with the number of exchanges that a figure is of. "
                "Production counts all that was seen whole and fired; the twins count what both were asked. "
                "The interval holds the difference but for a chance of " (report.options.level) "."
            }
            div.scroll tabindex="0" role="region" aria-label="Business figures" {
                table {
                    caption.unseen { "Business figures" }
                    thead {
                        tr {
                            th scope="col" { "Figure" }
                            th.n scope="col" { "Production" }
                            th.n scope="col" { "Baseline" }
                            th.n scope="col" { "Candidate" }
                            th.n scope="col" { "Candidate − baseline" }
                            th.n scope="col" { "Interval" }
                        }
                    }
                    tbody { @for figure in &report.business { (row(figure)) } }
                }
            }
        }
    }
}

fn row(figure: &Figure) -> Markup {
    page! {
        tr {
            th scope="row" {
                (figure.name)
                span.soft {
                    " " (figure.aggregate)
                    @if figure.is_per_session { " a session" }
                    @if !figure.unit.is_empty() { ", " (figure.unit) }
                }
            }
            (measured(&figure.production))
            (measured(&figure.baseline))
            (measured(&figure.candidate))
            td.n {
                @match figure.difference {
                    Some(difference) if figure.is_finding => {
                        strong.open { (amount(difference, &figure.unit)) (ratio(figure)) }
                    }
                    Some(difference) => { (amount(difference, &figure.unit)) (ratio(figure)) }
                    None => { span.soft { "none" } }
                }
            }
            td.n {
                @match figure.interval {
                    Some([low, high]) => { (number(low)) " to " (number(high)) }
                    None => { span.soft { "too few sessions" } }
                }
            }
        }
    }
}

fn ratio(figure: &Figure) -> String {
    figure.difference_ratio.map_or(String::new(), |ratio| {
        format!(" ({})", Share(ratio).short())
    })
}

fn measured(of: &Measured) -> Markup {
    page! {
        td.n {
            @match of.value {
                Some(value) => { (number(value)) }
                None => { span.soft { "none" } }
            }
            br;
            span.soft {
                (count(of.exchanges)) " exchanges"
                @if of.valueless > 0 { ", " (count(of.valueless)) " without a value" }
                @if of.unlabelled > 0 { ", " (count(of.unlabelled)) " without a label" }
            }
        }
    }
}
