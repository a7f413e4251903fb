//! Leads to findings, the most harmful first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::attribute::Source;
use crate::blame::Blame;
use crate::errors::EndpointErrors;
use crate::failing::{is_failure, of_errors};
use crate::kind::Kind;
use crate::latency::Compared;
use crate::lead::Lead;
use crate::report::{Also, Finding};
use crate::resource::{self, ResourceReport};
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
    findings.extend(resource::findings(resources, input.options));
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
    number(&mut findings);
    findings
}

/// Names findings in their order, and points out those that look alike.
pub(crate) fn number(findings: &mut [Finding]) {
    for (index, finding) in findings.iter_mut().enumerate() {
        finding.id = format!("F{}", index + 1);
    }
    relate(findings);
}

/// The lower, the more harmful: what fails, then what is gone, what is wrong, what is more.
fn harm(finding: &Finding) -> u8 {
    match finding.kind {
        Kind::Error => 0,
        Kind::Status if is_failure(finding.kind, &finding.evidence) => 1,
        Kind::ErrorRate | Kind::Business => 2,
        Kind::Status => 3,
        Kind::BodyMissing => 4,
        Kind::BodyType => 5,
        Kind::BodyChanged => 6,
        Kind::BodyOrder => 7,
        Kind::Growth => 8,
        Kind::Latency | Kind::Cost => 9,
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
            let endpoint = &input.names[lead.endpoint];
            let test = lead.test.clone();
            let also = lead.also.iter().map(|(kind, location)| Also {
                kind: *kind,
                location: location.clone(),
            });
            let mut finding = Finding {
                also: also.collect(),
                count: lead.exchanges() + input.racing(index),
                sessions: lead.signal.hits.len() as u64,
                rate: (lead.exchanges() + input.racing(index)) as f64 / compared.max(1) as f64,
                compared,
                evidence: input.examples(index),
                racing: input.racing(index),
                consequences: input.consequences(Source::Lead(index)),
                ..Finding::bare(endpoint, lead.kind, &lead.place, String::new(), test)
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
        Kind::ErrorRate | Kind::Growth | Kind::Cost | Kind::Latency | Kind::Business => {
            String::new()
        }
    }
}

fn field(location: &str) -> String {
    match location.split_once('.') {
        Some(("header", name)) => format!("the header field {name}"),
        Some(("trailer", name)) => format!("the trailer {name}"),
        Some(("set-cookie", name)) => match name.strip_suffix('=') {
            Some(name) => format!("the value of the cookie {name}"),
            None => format!("the cookie {name}"),
        },
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
