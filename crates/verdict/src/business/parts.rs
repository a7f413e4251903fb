//! Figures as sums: what of an exchange adds up, and what is made of the sums.

use super::extract::Seen;
use super::{Aggregate, Metric, Per};

/// Bins of probabilities, for the calibration error.
const BINS: usize = 10;

/// How a figure is made of sums over exchanges or sessions.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// The sum itself.
    Total,
    /// The first over the second.
    Share,
    /// For each bin of probabilities how many there are, their sum, and that of the labels.
    Bins,
    /// The first parts' figure over the others'.
    Over(Box<Shape>, Box<Shape>),
}

impl Shape {
    /// That of a metric which is neither a quantile nor a ratio.
    pub(super) fn of(metric: &Metric) -> Shape {
        let is_total = matches!(metric.aggregate, Aggregate::Count | Aggregate::Sum);
        match (&metric.aggregate, metric.per) {
            (Aggregate::CalibrationError, _) => Shape::Bins,
            (_, Per::Request) if is_total => Shape::Total,
            _ => Shape::Share,
        }
    }

    /// How many sums it takes.
    pub(super) fn width(&self) -> usize {
        match self {
            Shape::Total => 1,
            Shape::Share => 2,
            Shape::Bins => 3 * BINS,
            Shape::Over(over, under) => over.width() + under.width(),
        }
    }

    /// The figure, where there is anything to make it of.
    pub(super) fn value(&self, sums: &[f64]) -> Option<f64> {
        match self {
            Shape::Total => sums.first().copied(),
            Shape::Share => quotient(sums[0], sums[1]),
            Shape::Bins => {
                let bins = sums.chunks_exact(3);
                let all: f64 = bins.clone().map(|bin| bin[0]).sum();
                quotient(bins.map(|bin| (bin[1] - bin[2]).abs()).sum(), all)
            }
            Shape::Over(over, under) => {
                let (of_over, of_under) = sums.split_at(over.width());
                quotient(over.value(of_over)?, under.value(of_under)?)
            }
        }
    }
}

fn quotient(over: f64, under: f64) -> Option<f64> {
    (under != 0.0).then(|| over / under)
}

/// What an exchange adds to a figure of requests without labels.
pub(super) fn of_values(aggregate: &Aggregate, values: &[Seen]) -> Vec<f64> {
    let numbers = || values.iter().filter_map(|value| value.number);
    match aggregate {
        Aggregate::Count => vec![values.len() as f64],
        Aggregate::Sum => vec![numbers().sum()],
        _ => vec![numbers().sum(), numbers().count() as f64],
    }
}

/// What an answer adds that has a label; none where the two can't be held together.
pub(super) fn of_labelled(metric: &Metric, answered: Seen, label: Seen) -> Option<Vec<f64>> {
    if metric.aggregate == Aggregate::Accuracy {
        let is_right = f64::from(u8::from(answered.is_same(label)));
        return Some(vec![is_right, 1.0]);
    }
    let probability = answered.number.filter(|p| (0.0..=1.0).contains(p))?;
    let is_positive = match &metric.positive {
        Some(positive) => super::extract::digest(positive) == label.text,
        None => label.number? > 0.0,
    };
    let truth = f64::from(u8::from(is_positive));
    if metric.aggregate == Aggregate::Brier {
        return Some(vec![(probability - truth).powi(2), 1.0]);
    }
    let bin = ((probability * BINS as f64) as usize).min(BINS - 1);
    let mut parts = vec![0.0; 3 * BINS];
    parts[3 * bin..3 * bin + 3].copy_from_slice(&[1.0, probability, truth]);
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(text: &str) -> Metric {
        serde_json::from_str(text).expect("a metric")
    }

    fn seen(number: f64) -> Seen {
        Seen {
            number: Some(number),
            text: super::super::extract::digest(&number.to_string()),
        }
    }

    fn sum(metric: &Metric, pairs: &[(f64, f64)]) -> Option<f64> {
        let shape = Shape::of(metric);
        let mut sums = vec![0.0; shape.width()];
        for (answered, label) in pairs {
            let parts = of_labelled(metric, seen(*answered), seen(*label))?;
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum += part;
            }
        }
        shape.value(&sums)
    }

    #[test]
    fn labels_give_accuracy_and_calibration() {
        let of = |aggregate: &str| {
            let text = format!(r#"{{"name": "m", "aggregate": "{aggregate}"}}"#);
            metric(&text)
        };
        assert_eq!(sum(&of("accuracy"), &[(1.0, 1.0), (0.0, 1.0)]), Some(0.5));
        assert_eq!(sum(&of("brier"), &[(0.5, 1.0), (1.0, 1.0)]), Some(0.125));
        // Two in one bin: 0.95 in the mean, and one of two right.
        let error = sum(&of("calibration_error"), &[(0.9, 1.0), (1.0, 0.0)]);
        assert!(
            error.is_some_and(|error| (error - 0.45).abs() < 1e-12),
            "{error:?}"
        );
        // Two bins whose errors do not make up for each other.
        let error = sum(&of("calibration_error"), &[(0.1, 1.0), (0.9, 0.0)]);
        assert!(
            error.is_some_and(|error| (error - 0.9).abs() < 1e-12),
            "{error:?}"
        );
        assert_eq!(sum(&of("brier"), &[(1.5, 1.0)]), None);
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(Shape::Share.value(&[0.0, 0.0]), None);
        assert_eq!(Shape::Total.value(&[0.0]), Some(0.0));
        let over = Shape::Over(Box::new(Shape::Total), Box::new(Shape::Share));
        assert_eq!(over.value(&[6.0, 4.0, 2.0]), Some(3.0));
    }
}
