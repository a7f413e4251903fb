//! What must have been compared, and how good a twin the baseline must be.

use super::hold::title;
use super::{EndpointCoverage, EndpointFloor, Gate, GateRule, RuleOutcome, Share};
use crate::reasons::percent;
use crate::report::{Coverage, Report};

/// What came of each of these rules.
pub(super) fn hold(gate: &Gate, report: &Report) -> Vec<GateRule> {
    let rules = &gate.coverage;
    let scope = &report.scope;
    let shares = [
        (
            "traffic covered",
            rules.traffic,
            &scope.traffic,
            "exchanges",
        ),
        (
            "sessions covered",
            rules.sessions,
            &scope.session_coverage,
            "sessions",
        ),
        (
            "error paths covered",
            rules.error_paths,
            &scope.error_paths,
            "exchanges that production answered with an error",
        ),
    ];
    let shares = shares
        .into_iter()
        .filter_map(|(name, least, coverage, of)| {
            let least = least?;
            Some(share(name, least, coverage, of))
        });
    let endpoints = rules.endpoints.iter().map(|rule| endpoint(rule, report));
    let floor = gate.fidelity.floor.map(|floor| whole(floor, report));
    let floors = gate.fidelity.endpoints.iter();
    let floors = floors.map(|rule| at_endpoint(rule, report));
    endpoints.chain(shares).chain(floor).chain(floors).collect()
}

fn ruled(name: String, holds: bool, statement: String) -> GateRule {
    let outcome = match holds {
        true => RuleOutcome::Held,
        false => RuleOutcome::Doubted,
    };
    GateRule {
        name,
        outcome,
        statement,
    }
}

fn endpoint(rule: &EndpointCoverage, report: &Report) -> GateRule {
    let name = title(rule.name.as_deref(), "coverage", Some(&rule.endpoint));
    let rows = report.scope.endpoints.iter();
    let rows: Vec<_> = rows
        .filter(|row| rule.endpoint.takes_endpoint(&row.endpoint))
        .collect();
    let short: Vec<String> = rows
        .iter()
        .filter(|row| row.compared < rule.compared)
        .map(|row| {
            format!(
                "{} was compared in {} of {} exchanges; {} are required.",
                row.endpoint, row.compared, row.seen, rule.compared
            )
        })
        .collect();
    match (rows.is_empty(), short.is_empty()) {
        (true, _) => ruled(
            name,
            false,
            format!("{} was not in the traffic.", rule.endpoint),
        ),
        (_, true) => {
            let held = format!("Compared {} times or more.", rule.compared);
            ruled(name, true, held)
        }
        _ => ruled(name, false, short.join(" ")),
    }
}

fn share(name: &str, least: Share, coverage: &Coverage, of: &str) -> GateRule {
    // Where there was nothing to cover, nothing is left uncovered.
    let holds = coverage.seen == 0 || coverage.share >= least.0;
    let statement = format!(
        "{} of {} {of} were compared ({}); {least} is required.",
        coverage.compared,
        coverage.seen,
        percent(coverage.share)
    );
    ruled(name.to_owned(), holds, statement)
}

fn whole(floor: Share, report: &Report) -> GateRule {
    let statement = format!(
        "The baseline answers as production did in {} of {} exchanges ({}); {floor} is required.",
        report.fidelity_detail.equal,
        report.fidelity_detail.exchanges,
        percent(report.fidelity)
    );
    ruled("fidelity".to_owned(), report.fidelity >= floor.0, statement)
}

fn at_endpoint(rule: &EndpointFloor, report: &Report) -> GateRule {
    let name = title(rule.name.as_deref(), "fidelity", Some(&rule.endpoint));
    let rows = report.fidelity_detail.endpoints.iter();
    let rows: Vec<_> = rows
        .filter(|row| rule.endpoint.takes_endpoint(&row.endpoint))
        .collect();
    let low: Vec<String> = rows
        .iter()
        .filter(|row| row.fidelity < rule.floor.0)
        .map(|row| {
            format!(
                "At {} the baseline answers as production did in {} of {} exchanges ({}); {} is \
                 required.",
                row.endpoint,
                row.equal,
                row.exchanges,
                percent(row.fidelity),
                rule.floor
            )
        })
        .collect();
    match (rows.is_empty(), low.is_empty()) {
        (true, _) => ruled(
            name,
            false,
            format!("{} was not in the traffic.", rule.endpoint),
        ),
        (_, true) => ruled(name, true, format!("{} or more.", rule.floor)),
        _ => ruled(name, false, low.join(" ")),
    }
}
