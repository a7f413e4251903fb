//! Latency, fidelity, timing, scope, and what is masked.

use std::collections::BTreeMap;

use maud::{Markup, html as page};

use super::chart::{self, Scale};
use super::number::{chance, count, duration_us, ms};
use super::scope;
use crate::facts::Quantiles;
use crate::reasons::percent;
use crate::report::{EndpointFidelity, EndpointLatency, Lateness, Report};

/// Places named in one cell.
const MOST_PLACES: usize = 4;

pub(super) fn latency(report: &Report) -> Markup {
    let scale = Scale::over(report.latency.iter().flat_map(|row| {
        [&row.baseline_ms, &row.candidate_ms]
            .map(|of| [of.p50, of.p99])
            .into_iter()
            .flatten()
    }));
    let is_finding = |endpoint: &str| {
        report
            .findings
            .iter()
            .any(|finding| finding.latency.is_some() && finding.endpoint == endpoint)
    };
    page! {
        section id="latency" {
            h2 { "Latency" }
            p.small {
                "In milliseconds, from the moment a request is ready to the last byte of its answer. "
                span class="key b" {} "Above: baseline, "
                span class="key c" {} "below: candidate, each from p50 (bar) over p90 (dot) to p99, on a logarithmic axis. "
                "Effect is Cliff’s delta: 0 where neither is slower, 1 where the candidate always is. "
            }
            @if report.latency.is_empty() { p { "Nothing was compared." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Latency by endpoint" {
                    table {
                        caption.unseen { "Latency by endpoint" }
                        thead {
                            tr {
                                th scope="col" { "Endpoint" }
                                th.n scope="col" { "Requests" }
                                th.n scope="col" { "p50 base → cand" }
                                th.n scope="col" { "p90" }
                                th.n scope="col" { "p99" }
                                th.n scope="col" { "Shift" }
                                th.n scope="col" { "p99 shift (95 %)" }
                                th.n scope="col" { "Effect" }
                                th scope="col" { "Distribution" }
                            }
                        }
                        tbody {
                            @for row in &report.latency {
                                @let pair = |of: fn(&Quantiles) -> f64| format!("{} → {}", ms(of(&row.baseline_ms)), ms(of(&row.candidate_ms)));
                                tr {
                                    th scope="row" { code { (row.endpoint) } }
                                    td.n { (count(row.candidate_ms.count)) }
                                    td.n { (pair(|of| of.p50)) }
                                    td.n { (pair(|of| of.p90)) }
                                    td.n { (pair(|of| of.p99)) }
                                    td.n {
                                        @match row.median_shift_ms {
                                            Some(shift) => {
                                                @if is_finding(&row.endpoint) { strong.open { (signed(shift)) } }
                                                @else { (signed(shift)) }
                                            }
                                            None => { span.soft { "too few" } }
                                        }
                                    }
                                    td.n {
                                        @match row.quantile_shifts.and_then(|shifts| shifts.p99) {
                                            Some(p99) => {
                                                (signed(p99.shift_ms)) " "
                                                span.soft { "(" (signed(p99.low_ms)) " to " (signed(p99.high_ms)) ")" }
                                            }
                                            None => { span.soft { "too few" } }
                                        }
                                    }
                                    td.n {
                                        @if let Some(effect) = row.effect { (format!("{:+.2}", effect.cliffs_delta)) }
                                    }
                                    td { (chart::ranges(scale, &row.baseline_ms, &row.candidate_ms)) }
                                }
                            }
                        }
                    }
                }
            }
            (beyond_the_median(&report.latency))
        }
    }
}

/// What the median of the whole run may not show: slow answers, load, and time.
fn beyond_the_median(rows: &[EndpointLatency]) -> Markup {
    let tells = |row: &&EndpointLatency| {
        row.tail.is_some() || row.by_load.is_some() || row.drift_ms_per_hour.is_some()
    };
    let telling: Vec<&EndpointLatency> = rows.iter().filter(tells).collect();
    if telling.is_empty() {
        return page! {};
    }
    page! {
        h3 { "Rare, under load, and in time" }
        p.small {
            "Slow answers are those above a threshold of both twins’ together, and p the chance of as many more at the candidate. "
            "Busy is the shift in seconds with many requests of the endpoint, beside that in quiet ones. "
            "Drift is how candidate minus baseline changes in an hour."
        }
        div.scroll tabindex="0" role="region" aria-label="Slow answers, load and drift by endpoint" {
            table {
                caption.unseen { "Slow answers, load and drift by endpoint" }
                thead {
                    tr {
                        th scope="col" { "Endpoint" }
                        th.n scope="col" { "Slow base → cand" }
                        th.n scope="col" { "Busy (quiet)" }
                        th.n scope="col" { "Drift an hour" }
                    }
                }
                tbody { @for row in telling { (rare_busy_and_late(row)) } }
            }
        }
    }
}

fn rare_busy_and_late(row: &EndpointLatency) -> Markup {
    page! {
        tr {
            th scope="row" { code { (row.endpoint) } }
            td.n {
                @match row.tail {
                    Some(tail) => {
                        (count(tail.baseline)) " → " (count(tail.candidate)) " "
                        span.soft { "above " (ms(tail.above_ms)) ", p " (chance(tail.p_value)) }
                    }
                    None => { span.soft { "too few" } }
                }
            }
            td.n {
                @match row.by_load {
                    Some(load) => {
                        (signed(load.busy_shift_ms)) " "
                        span.soft { "(" (signed(load.quiet_shift_ms)) ")" }
                    }
                    None => { span.soft { "all alike" } }
                }
            }
            td.n {
                @match row.drift_ms_per_hour {
                    Some(drift) => {
                        (signed(drift.slope)) " "
                        span.soft { "(" (signed(drift.low)) " to " (signed(drift.high)) ")" }
                    }
                    None => { span.soft { "too short" } }
                }
            }
        }
    }
}

fn signed(shift_ms: f64) -> String {
    signed_by(shift_ms, ms)
}

/// With its sign, unless it is spelled as nothing.
pub(super) fn signed_by(number: f64, spelled: impl Fn(f64) -> String) -> String {
    let size = spelled(number.abs());
    let is_nothing = size.chars().all(|char| matches!(char, '0' | '.'));
    let sign = match number {
        _ if is_nothing => "",
        negative if negative < 0.0 => "−",
        _ => "+",
    };
    format!("{sign}{size}")
}

pub(super) fn fidelity(report: &Report) -> Markup {
    let detail = &report.fidelity_detail;
    page! {
        section id="fidelity" {
            h2 { "Fidelity" }
            p {
                "The baseline answers as production did in " (count(detail.equal)) " of "
                (count(detail.exchanges)) " captured exchanges: " strong { (percent(report.fidelity)) } ". "
                @if !detail.unequal.is_empty() { "The others: " (causes(&detail.unequal)) "." }
            }
            div.scroll tabindex="0" role="region" aria-label="Fidelity by endpoint" {
                table {
                    caption.unseen { "Fidelity by endpoint" }
                    thead {
                        tr {
                            th scope="col" { "Endpoint" }
                            th.n scope="col" { "Exchanges" }
                            th.n scope="col" { "Equal" }
                            th scope="col" { span.soft { "Share" } }
                            th scope="col" { "Not equal" }
                            th scope="col" { "Where" }
                        }
                    }
                    tbody {
                        @for row in &detail.endpoints {
                            tr {
                                th scope="row" { code { (row.endpoint) } }
                                td.n { (count(row.exchanges)) }
                                td.n { (percent(row.fidelity)) }
                                td { (chart::share(row.fidelity, report.options.fidelity_floor)) }
                                td { @if row.unequal.is_empty() { span.soft { "none" } } @else { (causes(&row.unequal)) } }
                                td { (places(row)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn places(row: &EndpointFidelity) -> Markup {
    page! {
        @for (index, place) in row.differs_at.iter().take(MOST_PLACES).enumerate() {
            @if index > 0 { ", " }
            code { (place.location) } " × " (count(place.count))
            @if place.constant { " (always the same)" }
        }
        @if row.differs_at.len() > MOST_PLACES { " and " (row.differs_at.len() - MOST_PLACES) " more" }
    }
}

pub(super) fn causes(counts: &BTreeMap<String, u64>) -> String {
    counts
        .iter()
        .map(|(cause, number)| format!("{} {cause}", count(*number)))
        .collect::<Vec<_>>()
        .join(", ")
}

pub(super) fn timing(report: &Report) -> Markup {
    page! {
        section id="timing" {
            h2 { "Timing" }
            p.small {
                "How late requests went out, apart from latency: waiting for what they depend on "
                "(due to ready), and the engine itself (ready to the first byte written)."
            }
            div.scroll tabindex="0" role="region" aria-label="Lateness" {
                table {
                    caption.unseen { "Lateness" }
                    thead {
                        tr {
                            th scope="col" { "Of" }
                            th.n scope="col" { "Requests" }
                            th.n scope="col" { "p50" }
                            th.n scope="col" { "p90" }
                            th.n scope="col" { "p99" }
                            th.n scope="col" { "Most" }
                        }
                    }
                    tbody {
                        (spread("Release error of the run", &report.release_error_us))
                        (lateness("candidate", &report.timing.candidate))
                        (lateness("baseline", &report.timing.baseline))
                    }
                }
            }
            p.small {
                "Waits that ran out: candidate " (count(report.timing.candidate.wait_expired))
                ", baseline " (count(report.timing.baseline.wait_expired)) "."
            }
        }
    }
}

fn lateness(twin: &str, of: &Lateness) -> Markup {
    page! {
        (spread(&format!("Due to ready, {twin}"), &of.ready_after_due_us))
        (spread(&format!("Ready to released, {twin}"), &of.release_after_ready_us))
    }
}

fn spread(name: &str, of: &Quantiles) -> Markup {
    page! {
        tr {
            th scope="row" { (name) }
            td.n { (count(of.count)) }
            td.n { (duration_us(of.p50)) }
            td.n { (duration_us(of.p90)) }
            td.n { (duration_us(of.p99)) }
            td.n { (duration_us(of.max)) }
        }
    }
}

pub(super) fn scope(report: &Report) -> Markup {
    page! {
        section id="scope" {
            h2 { "Scope" }
            p.small { "What was seen, what was compared, and what was not fired. An endpoint that nobody used in the capture says nothing." }
            (scope::coverage(report))
            div.scroll tabindex="0" role="region" aria-label="Endpoints seen and compared" {
                table {
                    caption.unseen { "Endpoints seen and compared" }
                    thead {
                        tr {
                            th scope="col" { "Endpoint" }
                            th.n scope="col" { "Planned" }
                            th.n scope="col" { "Compared" }
                            th.n scope="col" { "Late" }
                            th.n scope="col" { "Unbound" }
                            th scope="col" { "Not fired" }
                        }
                    }
                    tbody {
                        @for row in &report.scope.endpoints {
                            tr {
                                th scope="row" { code { (row.endpoint) } }
                                td.n { (count(row.seen)) }
                                td.n { (count(row.compared)) }
                                td.n { (count(row.late)) }
                                td.n { (count(row.unbound)) }
                                td { @if row.skipped.is_empty() { span.soft { "none" } } @else { (causes(&row.skipped)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn masked(report: &Report) -> Markup {
    page! {
        section id="masked" {
            h2 { "Masked" }
            p.small {
                "Places whose values differ by nature: made up anew each time, or never compared by value. "
                "Type, form and presence were still compared."
            }
            @if report.masked.is_empty() { p { "None." } } @else {
                details {
                    summary { (count(report.masked.len() as u64)) " places" }
                    div.scroll tabindex="0" role="region" aria-label="Masked places" {
                        table {
                            caption.unseen { "Masked places" }
                            thead {
                                tr {
                                    th scope="col" { "Endpoint" }
                                    th scope="col" { "Location" }
                                    th scope="col" { "Reason" }
                                    th.n scope="col" { "Baseline, production" }
                                    th.n scope="col" { "Candidate, baseline" }
                                }
                            }
                            tbody {
                                @for row in &report.masked {
                                    tr {
                                        th scope="row" { code { (row.endpoint) } }
                                        td { code { (row.location) } }
                                        td { (row.reason) }
                                        td.n { (count(row.baseline_vs_production)) }
                                        td.n { (count(row.candidate_vs_baseline)) }
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
