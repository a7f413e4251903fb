//! Errors, latency, resources, and what was fired again, in rows of two columns.

use super::Row;
use crate::confirm::ConfirmationReport;
use crate::errors::EndpointErrors;
use crate::reasons::percent;
use crate::report::{EndpointLatency, Report};
use crate::resource::ResourceReport;

/// Endpoints that have a row each.
const MOST_ROWS: usize = 3;

/// What was measured, shortly; all of it is on the page.
pub(super) fn rows(report: &Report) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    if !report.errors.is_empty() {
        rows.push(("errors", errors(&report.errors)));
    }
    let more = report.errors.iter().filter(|row| row.is_more);
    rows.extend(more.take(MOST_ROWS).map(|row| {
        let of_it = std::slice::from_ref(row);
        ("errors", format!("{}: {}", row.endpoint, errors(of_it)))
    }));
    let mut shifted: Vec<(&EndpointLatency, f64)> = report
        .latency
        .iter()
        .filter_map(|row| Some((row, row.median_shift_ms?)))
        .collect();
    shifted.sort_by(|one, other| other.1.abs().total_cmp(&one.1.abs()));
    let shifted = shifted.into_iter().take(MOST_ROWS);
    rows.extend(shifted.map(|(row, shift_ms)| ("latency", latency(row, shift_ms))));
    rows.extend(report.resources.iter().map(|row| ("resources", used(row))));
    let unseen = report.resources_unseen.iter();
    rows.extend(unseen.map(|why| ("resources", format!("not seen: {why}"))));
    let confirmation = report.confirmation.iter();
    rows.extend(confirmation.map(|one| ("fired again", fired_again(one))));
    rows
}

fn errors(rows: &[EndpointErrors]) -> String {
    let sum = |of: fn(&EndpointErrors) -> u64| rows.iter().map(of).sum::<u64>();
    let requests = sum(|row| row.requests);
    let failed = |count: u64| {
        let share = percent(count as f64 / requests.max(1) as f64);
        format!("{count} ({share})")
    };
    format!(
        "of {requests} requests {} failed at the baseline, {} at the candidate",
        failed(sum(|row| row.baseline)),
        failed(sum(|row| row.candidate))
    )
}

fn latency(row: &EndpointLatency, shift_ms: f64) -> String {
    let (baseline, candidate) = (&row.baseline_ms, &row.candidate_ms);
    format!(
        "{}: p50 {:.1} to {:.1} ms, p99 {:.1} to {:.1} ms, baseline to candidate; median \
         difference {shift_ms:.1} ms",
        row.endpoint, baseline.p50, candidate.p50, baseline.p99, candidate.p99
    )
}

fn used(row: &ResourceReport) -> String {
    let amount = |value: f64| row.resource.amount(value);
    format!(
        "{}: {} at the baseline, {} at the candidate (medians); candidate less baseline: {}",
        row.resource.words(),
        amount(row.baseline.median),
        amount(row.candidate.median),
        row.course.words()
    )
}

/// How sessions with findings were fired again, in sentences.
pub(crate) fn fired_again(confirmation: &ConfirmationReport) -> String {
    let ledgers = &confirmation.ledgers;
    let why = confirmation.ended_early.as_ref();
    let why = why.map_or_else(String::new, |why| {
        format!(" Not all that was wanted: {why}.")
    });
    format!(
        "Exchanges that show findings: {}; rounds at freshly reset twins: {}; answers of the \
         candidate: {}, of the baseline: {}, none of them in the run's own figures.{why}",
        confirmation.exchanges,
        confirmation.rounds,
        ledgers.candidate.answered,
        ledgers.baseline.answered
    )
}
