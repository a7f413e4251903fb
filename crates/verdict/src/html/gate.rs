//! What came of the rules of the gate.

use maud::{Markup, html as page};

use crate::gate::RuleOutcome;
use crate::report::Report;

/// Whether there is anything to show.
pub(super) fn is_shown(report: &Report) -> bool {
    !report.gate.is_empty()
}

pub(super) fn section(report: &Report) -> Markup {
    if !is_shown(report) {
        return page! {};
    }
    page! {
        section id="gate" {
            h2 { "Gate" }
            p.small {
                "What this team lets through. A rule that failed fails the run; one that is doubted leaves it inconclusive."
            }
            div.scroll tabindex="0" role="region" aria-label="Rules of the gate" {
                table {
                    caption.unseen { "Rules of the gate" }
                    thead {
                        tr {
                            th scope="col" { "Rule" }
                            th scope="col" { "Outcome" }
                            th scope="col" { "Why" }
                        }
                    }
                    tbody {
                        @for rule in &report.gate {
                            tr {
                                th scope="row" { (rule.name) }
                                td {
                                    @match rule.outcome {
                                        RuleOutcome::Failed | RuleOutcome::Doubted => {
                                            strong.open { (rule.outcome.name()) }
                                        }
                                        RuleOutcome::Held | RuleOutcome::Applied => {
                                            (rule.outcome.name())
                                        }
                                    }
                                }
                                td { (rule.statement) }
                            }
                        }
                    }
                }
            }
        }
    }
}
