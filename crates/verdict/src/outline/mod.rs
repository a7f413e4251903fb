//! What reports of several forms say alike: gate, business figures and scope in rows of two columns.

mod measures;

pub(crate) use measures::fired_again;

use crate::business::{Figure, Measured, amount, number};
use crate::gate::{Level, Share};
use crate::reasons::percent;
use crate::report::{Coverage, Report};

/// Endpoints that were not compared, named in one row.
const MOST_NAMED: usize = 8;

/// Reasons beyond the findings, which come first and have places of their own.
pub(crate) fn further(report: &Report) -> impl Iterator<Item = &String> {
    report.reasons.iter().skip(report.findings.len())
}

/// What a row is about, and what there is to say.
pub(crate) type Row = (&'static str, String);

/// What each row is about, and what there is to say.
pub(crate) fn rows(report: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    for rule in &report.gate {
        let outcome = rule.outcome.name();
        rows.push((
            "gate",
            format!("{outcome}: {}. {}", rule.name, rule.statement),
        ));
    }
    for figure in &report.business {
        rows.push(("business", business(figure)));
    }
    rows.extend(measures::rows(report));
    rows.push(("covered", covered(report)));
    if let Some(second) = &report.second_baseline {
        rows.push((
            "noise",
            format!("the second baseline {}", second.statement()),
        ));
    }
    let uncovered = uncovered(report);
    if !uncovered.is_empty() {
        rows.push(("not compared", listed(&uncovered)));
    }
    for component in &report.scope.components {
        let reason = match &*component.reason {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let form = component.form.name();
        rows.push(("component", format!("{} is {form}{reason}", component.name)));
    }
    rows
}

/// What a level does, after the kind of a finding; nothing for those that fail.
pub(crate) fn level_note(level: Level) -> &'static str {
    match level {
        Level::Fail => "",
        Level::Warn => " (fails nothing)",
        Level::Pass => " (let pass)",
    }
}

fn business(figure: &Figure) -> String {
    let measured = |of: &Measured| {
        let value = of.value.map_or("none".to_owned(), number);
        format!("{value} in {} exchanges", of.exchanges)
    };
    let interval = figure.interval.map_or(String::new(), |[low, high]| {
        format!(", between {} and {}", number(low), number(high))
    });
    let difference = figure.difference.map_or("none".to_owned(), |difference| {
        amount(difference, &figure.unit)
    });
    let ratio = figure.difference_ratio.map_or(String::new(), |ratio| {
        format!(" ({})", Share(ratio).short())
    });
    format!(
        "{}: production {}, baseline {}, candidate {}; difference {difference}{ratio}{interval}",
        figure.name,
        measured(&figure.production),
        measured(&figure.baseline),
        measured(&figure.candidate),
    )
}

fn covered(report: &Report) -> String {
    let scope = &report.scope;
    let of = |coverage: &Coverage, what: &str| {
        format!(
            "{} of {what} ({} of {})",
            percent(coverage.share),
            coverage.compared,
            coverage.seen
        )
    };
    let mut parts = vec![
        of(&scope.traffic, "exchanges"),
        of(&scope.session_coverage, "sessions"),
    ];
    if scope.error_paths.seen > 0 {
        parts.push(of(&scope.error_paths, "error paths"));
    }
    parts.join(", ")
}

/// Endpoints that were seen and never compared.
pub(crate) fn uncovered(report: &Report) -> Vec<(&str, u64)> {
    let rows = report.scope.endpoints.iter();
    rows.filter(|row| row.compared == 0)
        .map(|row| (row.endpoint.as_str(), row.seen))
        .collect()
}

fn listed(endpoints: &[(&str, u64)]) -> String {
    let named = endpoints.iter().take(MOST_NAMED);
    let mut text = named
        .map(|(endpoint, seen)| format!("{endpoint} (seen {seen})"))
        .collect::<Vec<_>>()
        .join(", ");
    if endpoints.len() > MOST_NAMED {
        text.push_str(&format!(" and {} more", endpoints.len() - MOST_NAMED));
    }
    text
}
