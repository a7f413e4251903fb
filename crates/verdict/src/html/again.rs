//! How an exchange came about, and how to do it again.

use maud::{Markup, html as page};

use crate::evidence::{Evidence, Reproduce};

/// What the example's session did before it, where that is known.
pub(super) fn session(example: &Evidence) -> Markup {
    if example.before.is_empty() {
        return page! {};
    }
    page! {
        details {
            summary.small { "What its session did before" }
            div.scroll tabindex="0" role="region" aria-label={ "Session " (example.session) " before the exchange" } {
                table {
                    caption { "The last steps of session " code { (example.session) } }
                    thead {
                        tr {
                            th.n scope="col" { "Place" }
                            th scope="col" { "Request" }
                            th scope="col" { "Baseline" }
                            th scope="col" { "Candidate" }
                        }
                    }
                    tbody {
                        @for step in &example.before {
                            tr {
                                td.n { (step.position) }
                                th scope="row" { code { (step.request) } }
                                td { (step.baseline) }
                                td {
                                    @if step.candidate == step.baseline { (step.candidate) }
                                    @else { strong.open { (step.candidate) " (differs)" } }
                                }
                            }
                        }
                        tr {
                            td.n { (example.position) }
                            th scope="row" { strong { "this exchange" } }
                            td { (status(example.baseline.status)) }
                            td { (status(example.candidate.status)) }
                        }
                    }
                }
            }
        }
    }
}

fn status(status: Option<u16>) -> String {
    status.map_or_else(|| "no answer".to_owned(), |status| status.to_string())
}

/// Commands by which it can be seen again.
pub(super) fn commands(commands: &Reproduce) -> Markup {
    page! {
        details {
            summary.small { "See it again" }
            p.small { "With everything that it depends on, at freshly reset twins:" }
            pre tabindex="0" { (commands.replay) }
            @if let Some(curl) = &commands.curl {
                p.small {
                    "The request alone, as recorded, to the candidate"
                    @if let Some(left_out) = &commands.left_out { ", without " (left_out) }
                    ":"
                }
                pre tabindex="0" { (curl) }
            }
            @if !commands.bound.is_empty() {
                p.small { "A run puts the twin’s own values in the place of:" }
                ul.small { @for bound in &commands.bound { li { code { (bound) } } } }
            }
        }
    }
}
