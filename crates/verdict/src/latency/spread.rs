//! Distributions of times.

use hdrhistogram::Histogram;

use crate::facts::Quantiles;

/// A distribution of times in microseconds, to two significant digits or better.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    /// Tenths of a microsecond; made with the first value.
    histogram: Option<Histogram<u64>>,
}

impl Spread {
    pub(crate) fn add(&mut self, us: f64) {
        if self.histogram.is_none() {
            // 2 is a number of digits that it takes.
            self.histogram = Histogram::new(2).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            // It grows by itself; a count that can't be kept is one too many for memory.
            let _ = histogram.record((us.max(0.0) * 10.0) as u64);
        }
    }

    pub(crate) fn merge(&mut self, other: &Spread) {
        match (&mut self.histogram, &other.histogram) {
            (Some(own), Some(others)) => {
                // Fails only for a histogram that can't grow.
                let _ = own.add(others);
            }
            (None, Some(others)) => self.histogram = Some(others.clone()),
            (_, None) => {}
        }
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let Some(histogram) = &self.histogram else {
            return Quantiles::default();
        };
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 10.0;
        Quantiles {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: histogram.max() as f64 / 10.0,
        }
    }

    /// Values at evenly spaced quantiles, for a curve.
    pub(crate) fn curve(&self, steps: u32) -> Vec<f64> {
        let Some(histogram) = &self.histogram else {
            return Vec::new();
        };
        (0..=steps)
            .map(|step| {
                histogram.value_at_quantile(f64::from(step) / f64::from(steps)) as f64 / 10.0
            })
            .collect()
    }
}
