//! Leads to findings, the most harmful first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::attribute::Source;
use crate::blame::Blame;
use crate::errors::EndpointErrors;
use crate::failing::of_errors;
use crate::gate::Level;
use crate::kind::Kind;
use crate::latency::Compared;
use crate::lead::Lead;
use crate::options::Options;
use crate::report::{Also, Finding, Test};
use crate::resource::{Course, ResourceReport};
use crate::slower::of_latency;

/// All findings.
pub(crate) fn findings(
    input: &Blame<'_>,
    latency: &[Compared],
    errors: &[Option<EndpointErrors>],
    resources: &[ResourceReport],
    business: Vec<Finding>,
) -> Vec<Finding> {
    let mut findings = of_leads(input);
    findings.extend(of_errors(input, errors));
    findings.extend(of_latency(input, latency));
    findings.extend(of_resources(resources, input.options));
    findings.extend(business);
    findings.sort_by_key(|finding| {
        (
            harm(finding),
            Reverse(finding.sessions),
            Reverse(finding.count),
            finding.endpoint.clone(),
            finding.location.clone(),
        )
    });
    for (index, finding) in findings.iter_mut().enumerate() {
        finding.id = format!("F{}", index + 1);
    }
    relate(&mut findings);
    findings
}

/// The lower, the more harmful: what fails, then what is gone, what is wrong, what is more.
fn harm(finding: &Finding) -> u8 {
    let is_failure = finding
        .evidence
        .iter()
        .any(|example| example.candidate.status.is_some_and(|status| status >= 500));
    match finding.kind {
        Kind::Error => 0,
        Kind::Status if is_failure => 1,
        Kind::ErrorRate | Kind::Business => 2,
        Kind::Status => 3,
        Kind::BodyMissing => 4,
        Kind::BodyType => 5,
        Kind::BodyChanged => 6,
        Kind::BodyOrder => 7,
        Kind::Growth => 8,
        Kind::Latency => 9,
        Kind::HeaderMissing => 10,
        Kind::HeaderChanged => 11,
        Kind::BodyAdded => 12,
        Kind::HeaderAdded => 13,
        Kind::TrailerMoved => 14,
    }
}

fn of_leads(input: &Blame<'_>) -> Vec<Finding> {
    input
        .findings()
        .map(|(index, lead)| {
            let compared = compared(input, lead);
            let mut finding = Finding {
                id: String::new(),
                endpoint: input.names[lead.endpoint].clone(),
                kind: lead.kind,
                location: lead.place.clone(),
                also: lead
                    .also
                    .iter()
                    .map(|(kind, location)| Also {
                        kind: *kind,
                        location: location.clone(),
                    })
                    .collect(),
                claim: String::new(),
                summary: String::new(),
                count: lead.exchanges() + input.racing(index),
                sessions: lead.signal.hits.len() as u64,
                rate: (lead.exchanges() + input.racing(index)) as f64 / compared.max(1) as f64,
                compared,
                test: lead.test.clone(),
                latency: None,
                evidence: input.examples(index),
                racing: input.racing(index),
                consequences: input.consequences(Source::Lead(index)),
                related: Vec::new(),
                level: Level::Fail,
                rule: None,
            };
            finding.claim = claim(&finding);
            finding.summary = summary(&finding);
            finding
        })
        .collect()
}

/// Exchanges that could have shown the lead: those without an answer are among
/// them, though there was nothing to compare.
fn compared(input: &Blame<'_>, lead: &Lead) -> u64 {
    let compared = input.endpoints[lead.endpoint].compared_exchanges();
    if lead.kind == Kind::Error {
        compared + lead.exchanges()
    } else {
        compared
    }
}

fn of_resources(resources: &[ResourceReport], options: &Options) -> Vec<Finding> {
    let grows = |report: &&ResourceReport| report.course == Course::Grows;
    resources
        .iter()
        .filter(grows)
        .map(|report| {
            let claim = growth_claim(report);
            Finding {
                id: String::new(),
                endpoint: "the process".to_owned(),
                kind: Kind::Growth,
                location: report.resource.name().to_owned(),
                also: Vec::new(),
                summary: format!("the process {claim}, over {} looks", report.samples),
                claim,
                count: report.samples,
                sessions: 0,
                rate: 1.0,
                compared: report.samples,
                test: growth_test(report, resources.len(), options),
                latency: None,
                evidence: Vec::new(),
                racing: 0,
                consequences: Vec::new(),
                related: Vec::new(),
                level: Level::Fail,
                rule: None,
            }
        })
        .collect()
}

fn growth_claim(report: &ResourceReport) -> String {
    let amount = |value: f64| report.resource.amount(value);
    let slope = report.per_hour.map_or(0.0, |per_hour| per_hour.slope);
    let limit = report.hours_to_limit.map_or_else(String::new, |hours| {
        format!(", which meets its limit in {hours:.1} hours")
    });
    format!(
        "uses {} more {} each hour than the baseline's{limit}",
        amount(slope),
        report.resource.words(),
    )
}

fn growth_test(report: &ResourceReport, tests: usize, options: &Options) -> Test {
    let per_hour = report.per_hour;
    let amount = |value: f64| report.resource.amount(value);
    let [low, high] = per_hour.map_or([0.0; 2], |per_hour| [per_hour.low, per_hour.high]);
    Test {
        name: "theil_sen".to_owned(),
        level: Some(options.level),
        p_value: None,
        unit: "look".to_owned(),
        sample: report.samples,
        statement: format!(
            "Candidate minus baseline, {} looks over {:.0} s. Slope of the last half by Theil and \
             Sen, from {} to {} an hour by a block bootstrap; level {} for {tests} resources \
             together. It grows over the whole run and over the last half, there at least half as \
             fast as before, and by {} of what the baseline uses in an hour.",
            report.samples,
            report.seconds,
            amount(low),
            amount(high),
            options.level,
            crate::reasons::percent(options.resources.min_growth),
        ),
    }
}

/// What the endpoint does, with its name and how often.
pub(crate) fn summary(finding: &Finding) -> String {
    let Finding {
        endpoint,
        claim,
        count,
        compared,
        ..
    } = finding;
    match finding.kind {
        Kind::Latency => format!("{endpoint} {claim}, over {count} requests"),
        Kind::ErrorRate => format!("{endpoint} {claim}, over {compared} requests"),
        _ => format!("{endpoint} {claim}, in {count} of {compared} exchanges"),
    }
}

/// What the endpoint does, after its name.
fn claim(finding: &Finding) -> String {
    let location = &finding.location;
    let change = finding
        .evidence
        .first()
        .map_or("", |example| example.change.as_str());
    match finding.kind {
        Kind::Error => format!("gets {change}"),
        Kind::Status => format!("answers another status ({change})"),
        Kind::BodyMissing => format!("lacks {location} in its body ({change})"),
        Kind::BodyType => format!("has another type at {location} ({change})"),
        Kind::BodyChanged => format!("has another value at {location} ({change})"),
        Kind::BodyOrder => format!(
            "has {} in another order ({change})",
            location.trim_end_matches(" (order)")
        ),
        Kind::BodyAdded => format!("has {location} more in its body ({change})"),
        Kind::HeaderMissing => format!("lacks {} ({change})", field(location)),
        Kind::HeaderChanged => format!("has another value in {} ({change})", field(location)),
        Kind::HeaderAdded => format!("has {} more ({change})", field(location)),
        Kind::TrailerMoved => format!(
            "sends {} with the head, not after the body",
            field(location)
        ),
        // Said by what was measured.
        Kind::ErrorRate | Kind::Growth | Kind::Latency | Kind::Business => String::new(),
    }
}

fn field(location: &str) -> String {
    match location.split_once('.') {
        Some(("header", name)) => format!("the header field {name}"),
        Some(("trailer", name)) => format!("the trailer {name}"),
        Some(("set-cookie", name)) => format!("the cookie {name}"),
        _ => location.to_owned(),
    }
}

/// Points out findings of one kind at the same place of several endpoints, or
/// at the same member of several documents.
fn relate(findings: &mut [Finding]) {
    let mut groups: BTreeMap<(Kind, String), Vec<String>> = BTreeMap::new();
    let key = |finding: &Finding| {
        let last = finding.location.rsplit('/').next().unwrap_or_default();
        (finding.kind, last.to_owned())
    };
    for finding in findings
        .iter()
        .filter(|finding| finding.kind != Kind::Latency)
    {
        groups
            .entry(key(finding))
            .or_default()
            .push(finding.id.clone());
    }
    for finding in findings {
        if let Some(ids) = groups.get(&key(finding)) {
            finding.related = ids
                .iter()
                .filter(|id| **id != finding.id)
                .cloned()
                .collect();
        }
    }
}
