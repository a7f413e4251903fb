//! Business figures: what a team counts by, for production, baseline and candidate alike.

mod extract;
mod figure;
mod filter;
mod inference;
mod parts;
mod tally;

use std::collections::BTreeSet;

use serde::Deserialize;

pub use extract::{Extractor, TakenFrom};
pub use figure::{Figure, Measured};
pub(crate) use figure::{amount, figures, findings, number};
pub use filter::{Filter, Statuses};
pub(crate) use tally::Business;

use crate::gate::Amount;

/// The most figures of a run.
pub const MOST_METRICS: usize = 64;

/// How a figure is made.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name: how gates and findings call it.
    pub name: String,
    /// What it is counted in, for people.
    #[serde(default)]
    pub unit: String,
    /// Which exchanges it is of; of all where nothing is said.
    #[serde(default)]
    pub of: Filter,
    /// What is taken from each; 1 where nothing is said.
    #[serde(default)]
    pub value: Option<Extractor>,
    /// For `rate`: which of them count as hits.
    #[serde(default, rename = "where")]
    pub hits: Option<Filter>,
    /// What should have been answered, where that is in the traffic.
    #[serde(default)]
    pub label: Option<Label>,
    /// What an exchange is called where its label comes with another one.
    #[serde(default)]
    pub key: Option<Extractor>,
    /// The label that counts as 1 for `brier` and `calibration_error`; where nothing is said, those
    /// that are true or above 0.
    #[serde(default)]
    pub positive: Option<String>,
    /// What is made of the values.
    pub aggregate: Aggregate,
    /// What a value is of.
    #[serde(default)]
    pub per: Per,
    /// Which change is harm.
    #[serde(default)]
    pub harmful: Harmful,
    /// A change of less is no finding.
    #[serde(default = "nothing")]
    pub min_difference: Amount,
}

/// What is made of values.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// How many there are.
    Count,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The share of exchanges, or of sessions, that are hits.
    Rate,
    /// The value that this share of them is not above, from 0 to 1.
    Quantile(f64),
    /// One other figure over another.
    Ratio(String, String),
    /// The share of values that are as their labels.
    Accuracy,
    /// The mean square of probability minus label (Brier, 1950).
    Brier,
    /// How far probabilities are from the shares of labels, in the mean over ten bins
    /// (expected calibration error; Naeini, Cooper and Hauskrecht, 2015).
    CalibrationError,
}

/// What a value is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// An exchange.
    #[default]
    Request,
    /// A session.
    Session,
}

/// Which change is harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Harmful {
    /// Any.
    #[default]
    Change,
    /// Less.
    Drop,
    /// More.
    Rise,
}

/// Where what should have been answered is found.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// In which other exchanges, as production saw them; in the very same where nothing is
    /// said.
    #[serde(default)]
    pub of: Option<Filter>,
    /// What there is the label.
    pub value: Extractor,
    /// What there says whose label it is: the same as the figure's `key`.
    #[serde(default)]
    pub key: Option<Extractor>,
}

impl Aggregate {
    /// The name used in output.
    pub fn name(&self) -> &'static str {
        match self {
            Aggregate::Count => "count",
            Aggregate::Sum => "sum",
            Aggregate::Mean => "mean",
            Aggregate::Rate => "rate",
            Aggregate::Quantile(_) => "quantile",
            Aggregate::Ratio(..) => "ratio",
            Aggregate::Accuracy => "accuracy",
            Aggregate::Brier => "brier",
            Aggregate::CalibrationError => "calibration_error",
        }
    }

    fn needs_label(&self) -> bool {
        matches!(
            self,
            Aggregate::Accuracy | Aggregate::Brier | Aggregate::CalibrationError
        )
    }
}

fn nothing() -> Amount {
    Amount::Units(0.0)
}

/// Looks for what figures can't be made of.
///
/// # Errors
/// Names the figure, the key, and what would be right.
pub fn check_metrics(metrics: &[Metric]) -> Result<(), String> {
    if metrics.len() > MOST_METRICS {
        let count = metrics.len();
        return Err(format!(
            "{count} metrics are more than the {MOST_METRICS} that a run may have"
        ));
    }
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for metric in metrics {
        metric
            .check()
            .map_err(|problem| format!("metric `{}`: {problem}", metric.name))?;
        // Ratios are of those above, so that none is of itself.
        if let Aggregate::Ratio(over, under) = &metric.aggregate
            && let Some(unknown) = [over, under]
                .into_iter()
                .find(|name| !names.contains(name.as_str()))
        {
            return Err(format!(
                "metric `{}`: `ratio` is of `{unknown}`, which is no metric above it",
                metric.name
            ));
        }
        if !names.insert(&metric.name) {
            return Err(format!("two metrics are named `{}`", metric.name));
        }
    }
    let of_quantile_or_ratio = |name: &String| {
        let named = metrics.iter().find(|metric| metric.name == *name);
        named.is_some_and(|metric| {
            matches!(
                metric.aggregate,
                Aggregate::Quantile(_) | Aggregate::Ratio(..)
            )
        })
    };
    for metric in metrics {
        if let Aggregate::Ratio(over, under) = &metric.aggregate
            && let Some(name) = [over, under]
                .into_iter()
                .find(|name| of_quantile_or_ratio(name))
        {
            return Err(format!(
                "metric `{}`: `ratio` is of `{name}`, which is itself a quantile or a ratio",
                metric.name
            ));
        }
    }
    Ok(())
}

impl Metric {
    fn check(&self) -> Result<(), String> {
        let is_of = |allowed: bool, key: &str, with: &str| match allowed {
            true => Ok(()),
            false => Err(format!("`{key}` goes with `aggregate: {with}` alone")),
        };
        if self.name.is_empty() {
            return Err("`name` is empty".to_owned());
        }
        let needs_label = self.aggregate.needs_label();
        let is_rate = self.aggregate == Aggregate::Rate;
        is_of(is_rate || self.hits.is_none(), "where", "rate")?;
        is_of(
            needs_label || self.label.is_none(),
            "label",
            "accuracy, brier or calibration_error",
        )?;
        if is_rate && self.hits.is_none() {
            return Err("`rate` needs `where`: which exchanges count as hits".to_owned());
        }
        if is_rate && self.value.is_some() {
            return Err("`rate` takes no `value`: it counts exchanges".to_owned());
        }
        if needs_label && (self.label.is_none() || self.value.is_none()) {
            let name = self.aggregate.name();
            return Err(format!(
                "`{name}` needs `value`, what was answered, and `label`, what is right"
            ));
        }
        if let Aggregate::Quantile(share) = self.aggregate
            && !(0.0..=1.0).contains(&share)
        {
            return Err(format!("`quantile` must be from 0 to 1, not {share}"));
        }
        let is_ratio = matches!(self.aggregate, Aggregate::Ratio(..));
        if is_ratio && (self.value.is_some() || self.of != Filter::default()) {
            return Err("`ratio` is of other metrics: it has no `of` and no `value`".to_owned());
        }
        if self.per == Per::Session && (needs_label || is_ratio) {
            let name = self.aggregate.name();
            return Err(format!("`{name}` has no `per: session`"));
        }
        self.check_keys()
    }

    fn check_keys(&self) -> Result<(), String> {
        let elsewhere = self.label.as_ref().filter(|label| label.of.is_some());
        let own = self.key.is_some();
        let others = self.label.as_ref().is_some_and(|label| label.key.is_some());
        match (elsewhere, own, others) {
            (Some(_), true, true) | (None, false, false) => Ok(()),
            (Some(_), ..) => Err(
                "a label of other exchanges needs `key` and `label.key`, which say whose it is"
                    .to_owned(),
            ),
            (None, ..) => Err("`key` goes with `label.of`: a label of other exchanges".to_owned()),
        }
    }
}
