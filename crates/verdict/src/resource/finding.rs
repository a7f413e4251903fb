//! Findings of what the twins' processes use.

use super::{Course, ResourceReport};
use crate::kind::Kind;
use crate::options::Options;
use crate::reasons::percent;
use crate::report::{Finding, Test};

/// What grows, and what takes more processor time.
pub(crate) fn findings(resources: &[ResourceReport], options: &Options) -> Vec<Finding> {
    let tests = resources.len();
    let grows = |report: &&ResourceReport| report.course == Course::Grows;
    let growing = resources.iter().filter(grows).map(|report| {
        let test = growth_test(report, tests, options);
        finding(report, Kind::Growth, growth_claim(report), test)
    });
    let costing = resources.iter().filter_map(|report| {
        let shift = report.shift.filter(|shift| shift.is_higher)?;
        let amount = |value: f64| report.resource.amount(value);
        let claim = format!(
            "takes {} more {} than the baseline's ({} → {})",
            amount(shift.median),
            report.resource.words(),
            amount(report.baseline.median),
            amount(report.candidate.median),
        );
        let test = cost_test(report, shift.p_value, tests, options);
        Some(finding(report, Kind::Cost, claim, test))
    });
    growing.chain(costing).collect()
}

fn finding(report: &ResourceReport, kind: Kind, claim: String, test: Test) -> Finding {
    Finding {
        summary: format!(
            "the process {claim}, over {} {}",
            report.samples,
            plural_of(&test.unit)
        ),
        count: report.samples,
        compared: report.samples,
        ..Finding::bare("the process", kind, report.resource.name(), claim, test)
    }
}

fn plural_of(unit: &str) -> &'static str {
    match unit {
        "stretch" => "stretches",
        _ => "looks",
    }
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
             together. It rises from each eleventh of the run to the next, in the last half at least \
             half as fast as before, and by {} of what the baseline uses in an hour.",
            report.samples,
            report.seconds,
            amount(low),
            amount(high),
            options.level,
            percent(options.resources.min_growth),
        ),
    }
}

fn cost_test(report: &ResourceReport, p_value: f64, tests: usize, options: &Options) -> Test {
    Test {
        name: "signed_rank".to_owned(),
        level: Some(options.level),
        p_value: Some(p_value),
        unit: "stretch".to_owned(),
        sample: report.samples,
        statement: format!(
            "Candidate minus baseline in {} stretches of the run under the same load, {:.0} s in \
             all (Wilcoxon signed-rank, p = {p_value:.2e}; level {} for {tests} resources \
             together). It lies above the baseline's by {} of that, and in every third of the run.",
            report.samples,
            report.seconds,
            options.level,
            percent(options.resources.min_cpu_shift),
        ),
    }
}
