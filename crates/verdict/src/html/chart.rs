//! Small drawings.

use maud::{Markup, html as page};

use super::number::ms;
use crate::facts::Quantiles;
use crate::resource::ResourceReport;

/// The width of drawings in a table, in pixels.
const WIDTH: f64 = 200.0;

/// Places times on a logarithmic axis that all rows of a table share.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// From the least to the most of these, 0 and less left out.
    pub(super) fn over(values: impl IntoIterator<Item = f64>) -> Self {
        let mut scale = Self {
            least: f64::INFINITY,
            most: 0.0,
        };
        for value in values.into_iter().filter(|value| *value > 0.0) {
            scale.least = scale.least.min(value);
            scale.most = scale.most.max(value);
        }
        if scale.most <= scale.least {
            scale.least = scale.most.max(0.1) / 2.0;
            scale.most = scale.least * 4.0;
        }
        scale
    }

    fn x(self, value: f64) -> f64 {
        let share = (value.max(self.least) / self.least).ln() / (self.most / self.least).ln();
        4.0 + share.clamp(0.0, 1.0) * (WIDTH - 8.0)
    }
}

/// Two bars from p50 to p99 with a dot at p90.
pub(super) fn ranges(scale: Scale, baseline: &Quantiles, candidate: &Quantiles) -> Markup {
    let label = format!(
        "baseline p50 {} to p99 {} ms, candidate p50 {} to p99 {} ms",
        ms(baseline.p50),
        ms(baseline.p99),
        ms(candidate.p50),
        ms(candidate.p99)
    );
    let bar = |of: &Quantiles, y: f64, class: &str| {
        let (from, to) = (scale.x(of.p50), scale.x(of.p99));
        page! {
            rect class=(class) x=(fixed(from)) y=(fixed(y)) rx="2" height="6" width=(fixed((to - from).max(2.0))) opacity="0.55" {}
            rect class=(class) x=(fixed(from - 1.5)) y=(fixed(y - 2.0)) width="3" height="10" {}
            circle class=(class) cx=(fixed(scale.x(of.p90))) cy=(fixed(y + 3.0)) r="3" {}
        }
    };
    page! {
        svg width=(WIDTH) height="34" viewBox={ "0 0 " (WIDTH) " 34" } role="img" aria-label=(label) {
            (bar(baseline, 5.0, "b-fill"))
            (bar(candidate, 22.0, "c-fill"))
        }
    }
}

/// How many of the requests are answered within a time, for both twins.
pub(super) fn curves(baseline: &[f64], candidate: &[f64]) -> Markup {
    const WIDE: f64 = 560.0;
    const HIGH: f64 = 190.0;
    const LEFT: f64 = 44.0;
    const BOTTOM: f64 = 26.0;
    // The slowest few would flatten all the rest.
    let most = [baseline, candidate]
        .iter()
        .filter_map(|curve| curve.get(curve.len().saturating_sub(2)))
        .fold(0.1_f64, |most, value| most.max(*value))
        * 1.05;
    let x = |value: f64| LEFT + (value / most).clamp(0.0, 1.0) * (WIDE - LEFT - 8.0);
    let y = |share: f64| 8.0 + (1.0 - share) * (HIGH - BOTTOM - 8.0);
    let path = |curve: &[f64]| {
        let last = curve.len().saturating_sub(1).max(1) as f64;
        let points = curve.iter().enumerate().map(|(index, value)| {
            format!("{} {}", fixed(x(*value)), fixed(y(index as f64 / last)))
        });
        format!("M{}", points.collect::<Vec<_>>().join("L"))
    };
    page! {
        svg width=(WIDE) viewBox={ "0 0 " (WIDE) " " (HIGH) } role="img"
            aria-label="Share of requests answered within a time, baseline and candidate" {
            @for share in [0.0, 0.5, 0.9] {
                line class="axis" x1=(LEFT) x2=(WIDE - 8.0) y1=(fixed(y(share))) y2=(fixed(y(share))) {}
                text x=(LEFT - 6.0) y=(fixed(y(share) + 4.0)) text-anchor="end" { (share * 100.0) " %" }
            }
            @for part in 0..=4_u8 {
                text x=(fixed(x(most * f64::from(part) / 4.0))) y=(HIGH - 8.0) text-anchor=(if part == 4 { "end" } else { "middle" }) {
                    (ms(most * f64::from(part) / 4.0)) @if part == 4 { " ms" }
                }
            }
            path class="b-line" d=(path(baseline)) {}
            path class="c-line" d=(path(candidate)) {}
        }
        p.small {
            span class="key b" {} "baseline  "
            span class="key c" {} "candidate"
        }
    }
}

/// What both twins used, from the first look to the last, on an axis from 0.
pub(super) fn over_time(row: &ResourceReport, amount: &dyn Fn(f64) -> String) -> Markup {
    const HIGH: f64 = 40.0;
    let curves = [&row.baseline.curve, &row.candidate.curve];
    let most = curves
        .iter()
        .flat_map(|curve| curve.iter())
        .fold(f64::MIN_POSITIVE, |most, value| most.max(*value));
    let path = |curve: &[f64]| {
        let last = curve.len().saturating_sub(1).max(1) as f64;
        let points = curve.iter().enumerate().map(|(index, value)| {
            let x = 2.0 + index as f64 / last * (WIDTH - 4.0);
            let y = 2.0 + (1.0 - value / most) * (HIGH - 4.0);
            format!("{} {}", fixed(x), fixed(y))
        });
        format!("M{}", points.collect::<Vec<_>>().join("L"))
    };
    let ends = |curve: &[f64]| {
        let end = |value: Option<&f64>| amount(value.copied().unwrap_or(0.0));
        format!("from {} to {}", end(curve.first()), end(curve.last()))
    };
    let label = format!(
        "baseline {}, candidate {}",
        ends(&row.baseline.curve),
        ends(&row.candidate.curve)
    );
    page! {
        svg width=(WIDTH) height=(HIGH) viewBox={ "0 0 " (WIDTH) " " (HIGH) } role="img" aria-label=(label) {
            line class="axis" x1="2" x2=(WIDTH - 2.0) y1=(HIGH - 2.0) y2=(HIGH - 2.0) {}
            path class="b-line" d=(path(&row.baseline.curve)) {}
            path class="c-line" d=(path(&row.candidate.curve)) {}
        }
    }
}

/// A bar that is full where the share is 1.
pub(super) fn share(share: f64, floor: f64) -> Markup {
    let width = 90.0;
    let class = if share >= floor {
        "bar-full"
    } else {
        "bar-low"
    };
    page! {
        svg width=(width) height="10" viewBox={ "0 0 " (width) " 10" } aria-hidden="true" {
            rect class="bar" width=(width) height="10" rx="3" {}
            rect class=(class) width=(fixed(width * share.clamp(0.0, 1.0))) height="10" rx="3" {}
        }
    }
}

fn fixed(value: f64) -> String {
    format!("{value:.1}")
}
