//! The three ledgers, and loss.

use std::collections::BTreeMap;

use maud::{Markup, html as page};

use super::number::count;
use crate::report::{Report, RunLedger};

/// One line of a ledger: what it is, how much, and the same by cause.
type Line<'a> = (&'a str, u64, Option<&'a BTreeMap<String, u64>>);

pub(super) fn section(report: &Report) -> Markup {
    let kernel = &report.ledgers.kernel;
    let store = &report.ledgers.store;
    let runs = &report.ledgers.runs;
    page! {
        section id="ledgers" {
            h2 { "Ledgers" }
            p.small { "Where everything went. A ledger that does not close means that something is lost and nobody knows what." }
            div.cards {
                (ledger("Kernel, bytes", ("seen", kernel.seen_bytes), kernel.unexplained_bytes, &[
                    ("delivered", kernel.delivered_bytes, None),
                    ("dropped", kernel.dropped_bytes, Some(&kernel.dropped_by_cause)),
                    ("pending", kernel.pending_bytes, None),
                ]))
                (ledger("Store, bytes", ("delivered", store.delivered_bytes), store.unexplained_bytes, &[
                    ("message", store.message_bytes, None),
                    ("framing", store.framing_bytes, None),
                    ("duplicate", store.duplicate_bytes, None),
                    ("opaque", store.opaque_bytes, None),
                    ("discarded", store.discarded_bytes, Some(&store.discarded_bytes_by_cause)),
                    ("pending", store.pending_bytes, None),
                ]))
                (ledger("Store, exchanges", ("rebuilt", store.rebuilt), store.unexplained_exchanges, &[
                    ("stored", store.stored, None),
                    ("discarded", store.discarded, Some(&store.discarded_by_cause)),
                    ("pending", store.pending, None),
                ]))
                (run("Candidate, requests", &runs.candidate))
                (run("Baseline, requests", &runs.baseline))
                @if let Some(second) = &runs.second_baseline {
                    (run("Second baseline, requests", second))
                }
                @if let Some(confirmation) = &report.confirmation {
                    (run("Fired again at the candidate", &confirmation.ledgers.candidate))
                    (run("Fired again at the baseline", &confirmation.ledgers.baseline))
                }
                @if !report.loss.is_empty() {
                    article {
                        h3 { "Known loss" }
                        table {
                            caption.unseen { "Known loss" }
                            tbody {
                                @for (name, number) in &report.loss {
                                    tr { th scope="row" { (name) } td.n { (count(*number)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn run(title: &str, run: &RunLedger) -> Markup {
    ledger(
        title,
        ("planned", run.planned),
        run.unexplained,
        &[
            ("answered", run.answered, None),
            ("errored", run.errored, Some(&run.errored_by_cause)),
            ("refused", run.refused, Some(&run.refused_by_cause)),
            ("skipped", run.skipped, Some(&run.skipped_by_cause)),
        ],
    )
}

fn ledger(title: &str, total: (&str, u64), unexplained: i64, lines: &[Line<'_>]) -> Markup {
    page! {
        article {
            h3 { (title) }
            table {
                caption.unseen { (title) }
                tbody {
                    tr { th scope="row" { strong { (total.0) } } td.n { strong { (count(total.1)) } } }
                    @for (name, number, causes) in lines {
                        tr {
                            th scope="row" {
                                (name)
                                @if let Some(causes) = causes {
                                    @if !causes.is_empty() {
                                        br;
                                        span.soft.small { (super::tables::causes(causes)) }
                                    }
                                }
                            }
                            td.n { (count(*number)) }
                        }
                    }
                }
            }
            @if unexplained == 0 {
                p.small.soft { "It closes." }
            } @else {
                p.small.open { "It does not close: " (unexplained) " unexplained." }
            }
        }
    }
}
