//! Leads to findings, the most harmful first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::attribute::Attribution;
use crate::conclude::in_ms;
use crate::evidence::Evidence;
use crate::kind::Kind;
use crate::latency::Shift;
use crate::lead::Lead;
use crate::options::Options;
use crate::report::{Also, Consequence, Finding, LatencyShift, Test};
use crate::stats::benjamini_hochberg;
use crate::tally::EndpointTally;

pub(crate) struct FindingsInput<'a> {
    pub(crate) names: &'a [String],
    pub(crate) endpoints: &'a [EndpointTally],
    pub(crate) leads: Vec<Lead>,
    pub(crate) attribution: Attribution,
    pub(crate) options: &'a Options,
}

/// The latency tests by endpoint, and all findings.
pub(crate) fn findings(input: FindingsInput<'_>) -> (Vec<Option<Shift>>, Vec<Finding>) {
    let mut findings = of_leads(&input);
    let shifts: Vec<Option<Shift>> = input
        .endpoints
        .iter()
        .map(|endpoint| endpoint.latency.shift(input.options))
        .collect();
    findings.extend(of_latency(&input, &shifts));
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
    (shifts, findings)
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
        Kind::Status => 2,
        Kind::BodyMissing => 3,
        Kind::BodyType => 4,
        Kind::BodyChanged => 5,
        Kind::Latency => 6,
        Kind::HeaderMissing => 7,
        Kind::HeaderChanged => 8,
        Kind::BodyAdded => 9,
        Kind::HeaderAdded => 10,
    }
}

fn of_leads(input: &FindingsInput<'_>) -> Vec<Finding> {
    let leads = input.leads.iter().enumerate();
    leads
        .filter(|(index, _)| input.attribution.is_finding[*index])
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
                count: lead.exchanges(),
                sessions: lead.hits.len() as u64,
                rate: lead.exchanges() as f64 / compared.max(1) as f64,
                compared,
                test: lead.test.clone(),
                latency: None,
                evidence: examples(input, index, lead),
                consequences: consequences(input, index),
                related: Vec::new(),
            };
            finding.claim = claim(&finding);
            finding.summary = summary(&finding);
            finding
        })
        .collect()
}

/// Exchanges that could have shown the lead: those without an answer are among
/// them, though there was nothing to compare.
fn compared(input: &FindingsInput<'_>, lead: &Lead) -> u64 {
    let compared = input.endpoints[lead.endpoint].compared_exchanges();
    if lead.kind == Kind::Error {
        compared + lead.exchanges()
    } else {
        compared
    }
}

/// Examples from sessions in which nothing went before come first.
fn examples(input: &FindingsInput<'_>, index: usize, lead: &Lead) -> Vec<Evidence> {
    let explained: BTreeSet<u32> = input.attribution.explained_by[index]
        .keys()
        .filter_map(|session| lead.hits.get(session).map(|hit| hit.first))
        .collect();
    let mut examples = lead.examples.clone();
    examples.sort_by_key(|example| (explained.contains(&example.position), example.position));
    examples.truncate(input.options.examples);
    examples
}

/// What came after a lead and is never first: by place.
fn consequences(input: &FindingsInput<'_>, of: usize) -> Vec<Consequence> {
    let mut found = Vec::new();
    for (index, lead) in input.leads.iter().enumerate() {
        if input.attribution.is_finding[index] {
            continue;
        }
        let sessions: BTreeSet<u32> = input.attribution.explained_by[index]
            .iter()
            .filter(|(_, cause)| **cause == of)
            .map(|(session, _)| *session)
            .collect();
        if sessions.is_empty() {
            continue;
        }
        let hits = sessions.iter().filter_map(|session| lead.hits.get(session));
        let positions: BTreeSet<u32> = hits.clone().map(|hit| hit.first).collect();
        let example = lead
            .examples
            .iter()
            .find(|example| positions.contains(&example.position));
        found.push(Consequence {
            endpoint: input.names[lead.endpoint].clone(),
            kind: lead.kind,
            location: lead.place.clone(),
            count: hits.map(|hit| u64::from(hit.exchanges)).sum(),
            sessions: sessions.len() as u64,
            example: example.map(|example| example.exchange.clone()),
        });
    }
    found.sort_by_key(|consequence| Reverse(consequence.count));
    found
}

fn of_latency(input: &FindingsInput<'_>, shifts: &[Option<Shift>]) -> Vec<Finding> {
    let options = input.options;
    let tested: Vec<(usize, &Shift)> = shifts
        .iter()
        .enumerate()
        .filter_map(|(index, shift)| Some((index, shift.as_ref()?)))
        .collect();
    let p_values: Vec<f64> = tested.iter().map(|(_, shift)| shift.p_value).collect();
    let significant = benjamini_hochberg(&p_values, options.level);
    let tests = tested.len();
    tested
        .into_iter()
        .zip(significant)
        .filter(|((_, shift), is_significant)| *is_significant && shift.is_large)
        .map(|((index, shift), _)| {
            let latency = &input.endpoints[index].latency;
            let pairs = shift.pairs as u64;
            let mut finding = Finding {
                id: String::new(),
                endpoint: input.names[index].clone(),
                kind: Kind::Latency,
                location: "latency".to_owned(),
                also: Vec::new(),
                claim: String::new(),
                summary: String::new(),
                count: pairs,
                sessions: latency.sessions() as u64,
                rate: 1.0,
                compared: pairs,
                test: latency_test(shift, tests, options),
                latency: Some(LatencyShift {
                    median_shift_ms: shift.median_ms,
                    median_shift_ratio: shift.ratio,
                    baseline_p50_ms: in_ms(latency.baseline_us.quantiles()).p50,
                    candidate_p50_ms: in_ms(latency.candidate_us.quantiles()).p50,
                }),
                evidence: latency.examples(options.examples),
                consequences: Vec::new(),
                related: Vec::new(),
            };
            finding.claim = claim(&finding);
            finding.summary = summary(&finding);
            finding
        })
        .collect()
}

fn latency_test(shift: &Shift, tests: usize, options: &Options) -> Test {
    let of_what = match shift.unit {
        "session" => "one median of paired differences for each session",
        _ => "the paired differences of requests, as there are few sessions",
    };
    Test {
        name: "signed_rank".to_owned(),
        level: Some(options.level),
        p_value: Some(shift.p_value),
        unit: shift.unit.to_owned(),
        sample: shift.sample as u64,
        statement: format!(
            "From ready to the last byte, the same request at both twins; the sample is {} ({of_what}). \
             One-sided Wilcoxon signed-rank test that the shift is above {:.1} ms: p = {:.2e}. Level {} \
             after correction for {tests} endpoints (Benjamini–Hochberg); a shift counts from {} ms \
             and {} on.",
            shift.sample,
            shift.null_ms,
            shift.p_value,
            options.level,
            options.latency.min_shift_ms,
            crate::reasons::percent(options.latency.min_shift_ratio),
        ),
    }
}

fn summary(finding: &Finding) -> String {
    let Finding {
        endpoint,
        claim,
        count,
        compared,
        ..
    } = finding;
    match finding.kind {
        Kind::Latency => format!("{endpoint} {claim}, over {count} requests"),
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
        Kind::BodyAdded => format!("has {location} more in its body ({change})"),
        Kind::HeaderMissing => format!("lacks {} ({change})", field(location)),
        Kind::HeaderChanged => format!("has another value in {} ({change})", field(location)),
        Kind::HeaderAdded => format!("has {} more ({change})", field(location)),
        Kind::Latency => finding.latency.map_or_else(String::new, |shift| {
            format!(
                "is slower by {:.1} ms at the median ({:.1} → {:.1} ms)",
                shift.median_shift_ms, shift.baseline_p50_ms, shift.candidate_p50_ms
            )
        }),
    }
}

fn field(location: &str) -> String {
    match location.split_once('.') {
        Some(("header", name)) => format!("the header field {name}"),
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
