//! Business figures in the report, and those that are findings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inference::{Values, above_quantile, interval, p_value, quantile, quantile_interval};
use super::parts::Shape;
use super::tally::{Business, MetricTally, Three, pairs};
use super::{Aggregate, Harmful, Metric, Per};
use crate::evidence::Evidence;
use crate::gate::Share;
use crate::kind::Kind;
use crate::options::Options;
use crate::report::{Finding, Test};
use crate::stats::benjamini_hochberg;

/// One business figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// What it is counted in.
    pub unit: String,
    /// What is made of the values: `sum`, `rate` and so on.
    pub aggregate: String,
    /// True where values are of sessions, not of exchanges.
    pub is_per_session: bool,
    /// What production had, over all exchanges of it that were seen whole and fired.
    pub production: Measured,
    /// What the baseline had, over the exchanges that both twins were asked.
    pub baseline: Measured,
    /// What the candidate had, over the same.
    pub candidate: Measured,
    /// Candidate minus baseline.
    pub difference: Option<f64>,
    /// The same as a share of the baseline's.
    pub difference_ratio: Option<f64>,
    /// Where the difference lies but for a chance of [`Options::level`]; absent with fewer
    /// than eight sessions.
    pub interval: Option<[f64; 2]>,
    /// The chance of such a difference were the twins alike, before correction for the number
    /// of figures.
    pub p_value: Option<f64>,
    /// Sessions, or groups of sessions where there are many, that the difference was tested by.
    pub groups: u64,
    /// True where it is a finding.
    pub is_finding: bool,
}

/// A business figure of one witness.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// The figure; none where there was nothing to make it of.
    pub value: Option<f64>,
    /// Exchanges that it is of.
    pub exchanges: u64,
    /// Those without a value that counts.
    pub valueless: u64,
    /// Those whose label never came.
    pub unlabelled: u64,
}

/// A figure with what it is made of.
pub(crate) struct Made {
    pub(crate) figure: Figure,
    examples: Vec<Evidence>,
}

/// All figures, in the order of the file.
pub(crate) fn figures(metrics: &[Metric], business: Business, options: &Options) -> Vec<Made> {
    let mut tallies = business.into_tallies(metrics);
    for (metric, tally) in metrics.iter().zip(&mut tallies) {
        tally.end(metric);
    }
    let mut made: Vec<Made> = metrics
        .iter()
        .zip(&tallies)
        .map(|(metric, tally)| Made {
            figure: figure(metric, tally, metrics, &tallies, options),
            examples: tally.examples.clone(),
        })
        .collect();
    let p_values: Vec<f64> = made.iter().filter_map(|made| made.figure.p_value).collect();
    let significant = benjamini_hochberg(&p_values, options.level);
    let tested = made.iter_mut().filter(|made| made.figure.p_value.is_some());
    let metric_of = |name: &str| metrics.iter().find(|metric| metric.name == name);
    for (made, is_significant) in tested.zip(significant) {
        let figure = &mut made.figure;
        let matters = metric_of(&figure.name).is_some_and(|metric| is_harm(metric, figure));
        figure.is_finding = is_significant && matters;
    }
    made
}

/// Whether a difference is one that is minded.
fn is_harm(metric: &Metric, figure: &Figure) -> bool {
    let Some(difference) = figure.difference else {
        return false;
    };
    let is_bad = match metric.harmful {
        Harmful::Change => difference != 0.0,
        Harmful::Drop => difference < 0.0,
        Harmful::Rise => difference > 0.0,
    };
    let baseline = figure.baseline.value.unwrap_or(0.0);
    is_bad && difference.abs() >= metric.min_difference.in_units(baseline)
}

fn figure(
    metric: &Metric,
    tally: &MetricTally,
    metrics: &[Metric],
    tallies: &[MetricTally],
    options: &Options,
) -> Figure {
    let numbers = match &metric.aggregate {
        Aggregate::Quantile(share) => of_quantile(tally, *share, options.level),
        Aggregate::Ratio(over, under) => {
            let named = |name: &str| {
                let both = metrics.iter().zip(tallies);
                let mut both = both.filter(|(metric, _)| metric.name == name);
                both.next()
            };
            match (named(over), named(under)) {
                (Some(over), Some(under)) => of_ratio(over, under, options.level),
                // Files that name others were refused.
                _ => Numbers::default(),
            }
        }
        _ => of_sums(&Shape::of(metric), &tally.sums(metric), options.level),
    };
    let [production, baseline, candidate] = [0, 1, 2].map(|witness| {
        let of = &tally.witnesses[witness];
        Measured {
            value: numbers.values[witness],
            exchanges: of.exchanges,
            valueless: of.valueless,
            unlabelled: of.unlabelled,
        }
    });
    let difference = match (candidate.value, baseline.value) {
        (None, None) => None,
        (candidate, baseline) => Some(candidate.unwrap_or(0.0) - baseline.unwrap_or(0.0)),
    };
    Figure {
        name: metric.name.clone(),
        unit: metric.unit.clone(),
        aggregate: metric.aggregate.name().to_owned(),
        is_per_session: metric.per == Per::Session,
        difference,
        difference_ratio: difference.and_then(|difference| {
            let baseline = baseline.value.filter(|baseline| *baseline != 0.0)?;
            Some(difference / baseline.abs())
        }),
        production,
        baseline,
        candidate,
        interval: numbers.interval,
        p_value: numbers.p_value,
        groups: numbers.groups as u64,
        is_finding: false,
    }
}

/// What was computed of a figure.
#[derive(Default)]
struct Numbers {
    values: Three<Option<f64>>,
    interval: Option<[f64; 2]>,
    p_value: Option<f64>,
    groups: usize,
}

type Groups = std::collections::BTreeMap<usize, Three<Vec<f64>>>;

fn of_sums(shape: &Shape, groups: &Groups, level: f64) -> Numbers {
    let values = [0, 1, 2].map(|witness| {
        let mut sums = vec![0.0; shape.width()];
        for three in groups.values() {
            for (sum, part) in sums.iter_mut().zip(&three[witness]) {
                *sum += part;
            }
        }
        shape.value(&sums)
    });
    let pairs = pairs(groups);
    Numbers {
        values,
        interval: interval(shape, &pairs, level),
        p_value: (!pairs.is_empty()).then(|| p_value(shape, &pairs)),
        groups: pairs.len(),
    }
}

fn of_ratio(
    (over, of_over): (&Metric, &MetricTally),
    (under, of_under): (&Metric, &MetricTally),
    level: f64,
) -> Numbers {
    let (over_shape, under_shape) = (Shape::of(over), Shape::of(under));
    let empty = |shape: &Shape| [0; 3].map(|_| vec![0.0; shape.width()]);
    let (mut over, mut under) = (of_over.sums(over), of_under.sums(under));
    let mut groups = Groups::new();
    let all: Vec<usize> = over.keys().chain(under.keys()).copied().collect();
    for group in all {
        let over = over.remove(&group);
        let under = under.remove(&group);
        if over.is_none() && under.is_none() {
            continue;
        }
        let over = over.unwrap_or_else(|| empty(&over_shape));
        let mut under = under.unwrap_or_else(|| empty(&under_shape)).into_iter();
        let joined = over.map(|mut sums| {
            sums.extend(under.next().unwrap_or_default());
            sums
        });
        groups.insert(group, joined);
    }
    let shape = Shape::Over(Box::new(over_shape), Box::new(under_shape));
    of_sums(&shape, &groups, level)
}

fn of_quantile(tally: &MetricTally, share: f64, level: f64) -> Numbers {
    let ([production, baseline, candidate], groups) = tally.values();
    let of = |values: &Values| quantile(values, share);
    let values = [of(&production), of(&baseline), of(&candidate)];
    let twins = [baseline, candidate];
    let pairs = above_quantile(&twins, share, groups);
    Numbers {
        values,
        interval: quantile_interval(&twins, share, groups, level),
        p_value: (!pairs.is_empty()).then(|| p_value(&Shape::Share, &pairs)),
        groups,
    }
}

/// Those figures that changed to somebody's harm.
pub(crate) fn findings(metrics: &[Metric], made: &[Made], options: &Options) -> Vec<Finding> {
    let tests = made.iter().filter(|made| made.figure.p_value.is_some());
    let tests = tests.count();
    metrics
        .iter()
        .zip(made)
        .filter(|(_, made)| made.figure.is_finding)
        .map(|(metric, made)| {
            let figure = &made.figure;
            let claim = claim(metric, figure);
            let test = test(metric, figure, tests, options);
            let location = figure.name.as_str();
            Finding {
                summary: format!(
                    "the business: {claim}, over {} exchanges",
                    figure.candidate.exchanges
                ),
                count: figure.candidate.exchanges,
                sessions: figure.groups,
                compared: figure.candidate.exchanges,
                evidence: made.examples.clone(),
                ..Finding::bare("the business", Kind::Business, location, claim, test)
            }
        })
        .collect()
}

fn claim(metric: &Metric, figure: &Figure) -> String {
    let difference = figure.difference.unwrap_or(0.0);
    let moves = if difference < 0.0 { "falls" } else { "rises" };
    let by = match figure.difference_ratio {
        Some(ratio) => Share(ratio.abs()).short(),
        None => amount(difference.abs(), &figure.unit),
    };
    let value = |of: &Measured| of.value.map_or("nothing".to_owned(), number);
    let harm = match metric.harmful {
        Harmful::Change => "any change is harm",
        Harmful::Drop => "less is harm",
        Harmful::Rise => "more is harm",
    };
    let per = if figure.is_per_session {
        " a session"
    } else {
        ""
    };
    format!(
        "{}{per} {moves} by {by} ({} → {}{}; {harm})",
        figure.name,
        value(&figure.baseline),
        value(&figure.candidate),
        match &*figure.unit {
            "" => String::new(),
            unit => format!(" {unit}"),
        },
    )
}

fn test(metric: &Metric, figure: &Figure, tests: usize, options: &Options) -> Test {
    let interval = figure.interval.map_or(
        "too few sessions for an interval".to_owned(),
        |[low, high]| format!("between {} and {}", number(low), number(high)),
    );
    let allowed = match metric.min_difference {
        crate::gate::Amount::Units(0.0) => String::new(),
        amount => format!("; less than {amount} is no finding"),
    };
    Test {
        name: "permutation".to_owned(),
        level: Some(options.level),
        p_value: figure.p_value,
        unit: "session".to_owned(),
        sample: figure.groups,
        statement: format!(
            "Candidate minus baseline is {}, {interval}. Permutation test over {} sessions or \
             groups of them, p = {:.4}; level {} for {tests} figures together (Benjamini and \
             Hochberg){allowed}.",
            figure.difference.map_or("nothing".to_owned(), number),
            figure.groups,
            figure.p_value.unwrap_or(1.0),
            options.level,
        ),
    }
}

/// With its unit.
pub(crate) fn amount(value: f64, unit: &str) -> String {
    match unit {
        "" => number(value),
        unit => format!("{} {unit}", number(value)),
    }
}

/// With as many digits as matter.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    match text {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        let texts = [123_456.7, 123.45, 12.0, 0.5, -0.000_01, 0.0].map(number);
        assert_eq!(texts, ["123457", "123.5", "12", "0.5", "0", "0"]);
    }
}
