//! The verdict and its reasons.

use crate::compare::STATUS;
use crate::gate::{FidelityRules, GateRule, Level, RuleOutcome};
use crate::report::{ApartCause, Finding, Report, RunLedger, Verdict};

/// What the run says, and why, each finding before all else; `further` are reasons of the run itself for
/// saying nothing, `repeated` counts observations that came twice; `floors` are among the
/// gate's own rules.
pub(crate) fn weigh(
    report: &Report,
    further: Vec<String>,
    repeated: u64,
    floors: &FidelityRules,
) -> (Verdict, Vec<String>) {
    let mut doubts = further;
    let options = &report.options;
    let compared = report.scope.compared;
    if compared == 0 {
        doubts.push("No exchange was answered by both twins, so nothing was compared.".to_owned());
    } else if compared < options.min_exchanges {
        doubts.push(format!(
            "Only {} answered by both twins; {} are needed.",
            were(compared, "exchange"),
            options.min_exchanges
        ));
    }
    if report.fidelity < options.fidelity_floor && floors.floor.is_none() {
        let detail = &report.fidelity_detail;
        doubts.push(format!(
            "The baseline answers as production did in {} of {} exchanges ({}), below the floor \
             of {}: what it says of the candidate says little of production.",
            detail.equal,
            detail.exchanges,
            percent(report.fidelity),
            percent(options.fidelity_floor)
        ));
    }
    doubts.extend(unlike_production(report, floors));
    doubts.extend(open_ledgers(report));
    if repeated > 0 {
        doubts.push(format!(
            "{} observed a second time, which no run does.",
            were(repeated, "planned request")
        ));
    }
    let of_gate = |outcome: RuleOutcome| {
        let rules = report.gate.iter();
        rules
            .filter(move |rule| rule.outcome == outcome)
            .map(broken)
    };
    doubts.extend(of_gate(RuleOutcome::Doubted));
    let mut reasons: Vec<String> = report.findings.iter().map(found).collect();
    let mut failed: Vec<String> = of_gate(RuleOutcome::Failed).collect();
    failed.extend(alarm(report));
    let mut findings = report.findings.iter();
    if findings.any(|finding| finding.level == Level::Fail) || !failed.is_empty() {
        reasons.extend(failed);
        reasons.extend(doubts.into_iter().map(|doubt| format!("Besides: {doubt}")));
        return (Verdict::Fail, reasons);
    }
    if !doubts.is_empty() {
        reasons.extend(doubts);
        return (Verdict::Inconclusive, reasons);
    }
    let differs = match report.findings.len() {
        0 => "the candidate differs from the baseline nowhere beyond noise",
        _ => "the gate fails nothing of what differs",
    };
    reasons.push(format!(
        "{compared} exchanges of {} sessions were compared, and {differs}; the baseline answers \
         as production did in {} of what was captured.",
        report.scope.sessions,
        percent(report.fidelity)
    ));
    reasons.extend(apart(report));
    (Verdict::Pass, reasons)
}

/// Endpoints at which the baseline has another status than production: that both twins answer
/// alike there, with an error for example since their state lacks something, says nothing.
fn unlike_production(report: &Report, floors: &FidelityRules) -> Vec<String> {
    let options = &report.options;
    let is_ruled = |endpoint: &str| {
        let mut rules = floors.endpoints.iter();
        rules.any(|rule| rule.endpoint.takes_endpoint(endpoint))
    };
    let rows = report.fidelity_detail.endpoints.iter();
    rows.filter(|row| row.exchanges >= options.min_exchanges && !is_ruled(&row.endpoint))
        .filter_map(|row| {
            let mut places = row.differs_at.iter();
            let other = places.find(|place| place.location == STATUS)?.count;
            let same = row.exchanges.saturating_sub(other);
            let share = same as f64 / row.exchanges as f64;
            (share < options.same_status_floor).then(|| {
                format!(
                    "At {} the baseline has production's status in {same} of {} exchanges, below \
                     the floor of {}: what it says of the candidate there says nothing of \
                     production.",
                    row.endpoint,
                    row.exchanges,
                    percent(options.same_status_floor)
                )
            })
        })
        .collect()
}

/// What was watched over the whole of a run that may end any time.
fn alarm(report: &Report) -> Option<String> {
    let sequential = &report.sequential;
    let decides = sequential.over_all_periods || report.options.stop_early;
    let statement = sequential.statement().filter(|_| decides)?;
    Some(format!("Watched from the start of the run: {statement}"))
}

fn found(finding: &Finding) -> String {
    let told = match (finding.level, &finding.rule) {
        (Level::Fail, _) | (_, None) => String::new(),
        (Level::Warn, Some(rule)) => format!(" (fails nothing, by the gate's rule “{rule}”)"),
        (Level::Pass, Some(rule)) => format!(" (let pass, by the gate's rule “{rule}”)"),
    };
    format!("{}: {}{told}", finding.id, finding.summary)
}

fn broken(rule: &GateRule) -> String {
    format!(
        "The gate's rule “{}” does not hold: {}",
        rule.name, rule.statement
    )
}

/// What differs and is not held against the candidate, in a sentence.
fn apart(report: &Report) -> Option<String> {
    let races: u64 = report
        .apart
        .iter()
        .filter(|apart| apart.cause == ApartCause::Race)
        .map(|apart| apart.count)
        .sum();
    let others = report
        .apart
        .iter()
        .filter(|apart| apart.cause != ApartCause::Race);
    let others = others.count();
    match (races, others) {
        (0, 0) => None,
        (races, 0) => Some(format!(
            "Apart from that, {races} differences are no more than races make differ."
        )),
        (races, others) => Some(format!(
            "Apart from that, {races} differences are no more than races make differ, and \
             differences follow from {others} things that the run did to one twin alone."
        )),
    }
}

fn open_ledgers(report: &Report) -> Vec<String> {
    let mut open = Vec::new();
    let ledgers = &report.ledgers;
    if ledgers.kernel.unexplained_bytes != 0 {
        open.push(format!(
            "The kernel ledger does not close: {} bytes are unexplained.",
            ledgers.kernel.unexplained_bytes
        ));
    }
    if ledgers.store.unexplained_bytes != 0 {
        open.push(format!(
            "The store ledger does not close: {} bytes are unexplained.",
            ledgers.store.unexplained_bytes
        ));
    }
    if ledgers.store.unexplained_exchanges != 0 {
        open.push(format!(
            "The store ledger does not close: {} exchanges are unexplained.",
            ledgers.store.unexplained_exchanges
        ));
    }
    let mut of_run = |name: &str, ledger: &RunLedger| {
        if ledger.unexplained != 0 {
            open.push(format!(
                "The {name}'s run ledger does not close: of {} planned requests {} are unexplained.",
                ledger.planned, ledger.unexplained
            ));
        }
    };
    of_run("candidate", &ledgers.runs.candidate);
    of_run("baseline", &ledgers.runs.baseline);
    if let Some(ledger) = &ledgers.runs.second_baseline {
        of_run("second baseline", ledger);
    }
    if let Some(confirmation) = &report.confirmation {
        of_run(
            "confirmation at the candidate",
            &confirmation.ledgers.candidate,
        );
        of_run(
            "confirmation at the baseline",
            &confirmation.ledgers.baseline,
        );
    }
    open
}

fn were(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun} was"),
        _ => format!("{count} {noun}s were"),
    }
}

/// A share with at most two digits after the point, never rounded up to all.
pub(crate) fn percent(share: f64) -> String {
    let hundredths = (share * 10_000.0).floor() / 100.0;
    format!("{hundredths} %")
}
