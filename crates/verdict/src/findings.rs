//! Leads to findings, the most harmful first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::attribute::Source;
use crate::blame::Blame;
use crate::conclude::in_ms;
use crate::kind::Kind;
use crate::latency::Shift;
use crate::lead::Lead;
use crate::options::Options;
use crate::report::{Also, Finding, LatencyShift, Test};
use crate::resource::{Course, ResourceReport};
use crate::stats::benjamini_hochberg;

/// The latency tests by endpoint, and all findings.
pub(crate) fn findings(
    input: &Blame<'_>,
    resources: &[ResourceReport],
) -> (Vec<Option<Shift>>, Vec<Finding>) {
    let mut findings = of_leads(input);
    let shifts: Vec<Option<Shift>> = input
        .endpoints
        .iter()
        .map(|endpoint| endpoint.latency.shift(input.options))
        .collect();
    findings.extend(of_latency(input, &shifts));
    findings.extend(of_resources(resources, input.options));
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
        Kind::Growth => 6,
        Kind::Latency => 7,
        Kind::HeaderMissing => 8,
        Kind::HeaderChanged => 9,
        Kind::BodyAdded => 10,
        Kind::HeaderAdded => 11,
        Kind::TrailerMoved => 12,
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

fn of_latency(input: &Blame<'_>, shifts: &[Option<Shift>]) -> Vec<Finding> {
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
                racing: 0,
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
        Kind::TrailerMoved => format!(
            "sends {} with the head, not after the body",
            field(location)
        ),
        // Said by what was measured.
        Kind::Growth => String::new(),
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
