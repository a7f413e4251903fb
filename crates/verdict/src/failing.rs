//! Findings of error rates, where no single failure is a finding.

use std::collections::BTreeSet;

use crate::blame::Blame;
use crate::errors::EndpointErrors;
use crate::evidence::Evidence;
use crate::findings::summary;
use crate::kind::Kind;
use crate::options::Options;
use crate::reasons::percent;
use crate::report::{Finding, Test};

/// Endpoints whose requests fail more often at the candidate; which of them say no more than
/// another finding does is known when all are confirmed ([`drop_said`]).
pub(crate) fn of_errors(input: &Blame<'_>, errors: &[Option<EndpointErrors>]) -> Vec<Finding> {
    let tests = errors.iter().flatten().count();
    let rows = errors.iter().enumerate();
    rows.filter_map(|(index, row)| Some((index, row.as_ref()?)))
        .filter(|(index, row)| row.is_more && !input.follow_failures(*index))
        .map(|(index, row)| finding(input, index, row, tests))
        .collect()
}

/// Drops what is said of an endpoint's error rate where another finding at it is a failure by
/// itself. Only findings that stay say anything: what did not show again must not hide that
/// requests fail.
pub(crate) fn drop_said(findings: &mut Vec<Finding>) {
    let failing = findings.iter();
    let failing = failing.filter(|finding| is_failure(finding.kind, &finding.evidence));
    let failing: BTreeSet<String> = failing.map(|finding| finding.endpoint.clone()).collect();
    findings
        .retain(|finding| finding.kind != Kind::ErrorRate || !failing.contains(&finding.endpoint));
}

/// Whether a difference is that the candidate fails: another status may be as good as the
/// expected one.
pub(crate) fn is_failure(kind: Kind, examples: &[Evidence]) -> bool {
    let fails = |example: &Evidence| example.candidate.status.is_some_and(|status| status >= 500);
    match kind {
        Kind::Error => true,
        Kind::Status => examples.iter().any(fails),
        _ => false,
    }
}

fn finding(input: &Blame<'_>, index: usize, row: &EndpointErrors, tests: usize) -> Finding {
    let rate = |count: u64| percent(count as f64 / row.requests.max(1) as f64);
    let claim = format!(
        "fails more often: {} of requests, {} at the baseline",
        rate(row.candidate),
        rate(row.baseline)
    );
    let test = test(row, tests, input.options);
    let mut finding = Finding {
        count: row.candidate,
        sessions: row.candidate_sessions,
        rate: row.candidate as f64 / row.requests.max(1) as f64,
        compared: row.requests,
        evidence: input.endpoints[index]
            .errors
            .examples(input.options.examples),
        ..Finding::bare(&row.endpoint, Kind::ErrorRate, "errors", claim, test)
    };
    finding.summary = summary(&finding);
    finding
}

fn test(row: &EndpointErrors, tests: usize, options: &Options) -> Test {
    Test {
        name: "mcnemar".to_owned(),
        level: Some(options.level),
        p_value: Some(row.p_value),
        unit: "session".to_owned(),
        sample: row.candidate_sessions + row.baseline_sessions,
        statement: format!(
            "Requests without an answer, or with a status of 500 and above. Of {} sessions {} have \
             more of them at the candidate, {} at the baseline: exact one-sided test (McNemar), p = \
             {:.2e}; the shares of sessions differ by {:.3} ({:.3} to {:.3}, Newcombe, 95 %). Level \
             {} after correction for {tests} endpoints (Benjamini–Hochberg).",
            row.sessions,
            row.candidate_sessions,
            row.baseline_sessions,
            row.p_value,
            row.difference,
            row.low,
            row.high,
            options.level,
        ),
    }
}
