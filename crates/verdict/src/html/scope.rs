//! How much of production was covered, and what the twins are made of.

use maud::{Markup, html as page};

use super::number::count;
use crate::outline::uncovered;
use crate::reasons::percent;
use crate::report::{Coverage, Report};
use crate::scope::Form;

/// What stands before the endpoints.
pub(super) fn coverage(report: &Report) -> Markup {
    let scope = &report.scope;
    let uncovered = uncovered(report);
    page! {
        dl.cover {
            (share("Exchanges compared", &scope.traffic))
            (share("Sessions with a compared exchange", &scope.session_coverage))
            @if scope.error_paths.seen > 0 {
                (share("Error paths compared", &scope.error_paths))
            }
        }
        @if !uncovered.is_empty() {
            p {
                "Seen in production and never compared: "
                @for (place, (endpoint, seen)) in uncovered.iter().enumerate() {
                    @if place > 0 { ", " }
                    code { (endpoint) } " × " (count(*seen))
                }
                "."
            }
        }
        @if !scope.components.is_empty() {
            h3 { "What stands at the twins" }
            div.scroll tabindex="0" role="region" aria-label="Components of the twins" {
                table {
                    caption.unseen { "Components of the twins" }
                    thead {
                        tr {
                            th scope="col" { "Component" }
                            th scope="col" { "Is" }
                            th scope="col" { "Why" }
                            th scope="col" { "Endpoints" }
                        }
                    }
                    tbody {
                        @for component in &scope.components {
                            tr {
                                th scope="row" { (component.name) }
                                td {
                                    @match component.form {
                                        Form::Full => { (component.form.name()) }
                                        Form::Simplified | Form::Mocked => {
                                            strong { (component.form.name()) }
                                        }
                                    }
                                }
                                td { (component.reason) }
                                td {
                                    @for (place, endpoint) in component.endpoints.iter().enumerate() {
                                        @if place > 0 { ", " }
                                        code { (endpoint) }
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

fn share(name: &str, of: &Coverage) -> Markup {
    page! {
        div {
            dt { (name) }
            dd { (percent(of.share)) " " span.soft { "(" (count(of.compared)) " of " (count(of.seen)) ")" } }
        }
    }
}
