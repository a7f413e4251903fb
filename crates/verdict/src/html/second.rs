//! What a second baseline shows to vary by itself.

use maud::{Markup, html as page};

use super::number::count;
use crate::report::Report;
use crate::second::SecondBaselineReport;

pub(super) fn section(report: &Report) -> Markup {
    let Some(second) = &report.second_baseline else {
        return page! {};
    };
    let mut endpoints = second.endpoints.iter();
    let varies = endpoints.any(|endpoint| !endpoint.differs_at.is_empty());
    page! {
        section id="second-baseline" {
            h2 { "Second baseline" }
            p {
                "The release of today once more, from the same state: it " (second.statement()) ". "
                @if varies {
                    "Where the two differ, the candidate may differ as well, unless a test tells its differences from theirs."
                }
            }
            @if varies { (places(second)) }
        }
    }
}

fn places(second: &SecondBaselineReport) -> Markup {
    page! {
        div.scroll tabindex="0" role="region" aria-label="Where both baselines differ" {
            table {
                caption.unseen { "Where both baselines differ" }
                thead {
                    tr {
                        th scope="col" { "Endpoint" }
                        th scope="col" { "Where" }
                        th.n scope="col" { "Exchanges" }
                        th.n scope="col" { "Of" }
                    }
                }
                tbody {
                    @for endpoint in &second.endpoints {
                        @for place in &endpoint.differs_at {
                            tr {
                                th scope="row" { code { (endpoint.endpoint) } }
                                td { code { (place.location) } }
                                td.n { (count(place.count)) }
                                td.n { (count(endpoint.compared)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
