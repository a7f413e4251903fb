//! Small drawings.

use maud::{Markup, html as page};

use super::number::ms;
use crate::facts::Quantiles;
use crate::resource::ResourceReport;

/// The width of drawings in a table, in pixels.
const WIDTH: f64 = 200.0;
/// The size of a drawing of its own, which a phone shows as it is and a desk larger: what is
/// written in it stays readable.
const WIDE: f64 = 340.0;
const HIGH: f64 = 170.0;
/// What is left for the axis below.
const BOTTOM: f64 = 26.0;

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
    const LEFT: f64 = 44.0;
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
        svg.chart width=(WIDE) viewBox={ "0 0 " (WIDE) " " (HIGH) } role="img"
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
            "Share of requests answered within a time. "
            span class="key b" {} "Broken line: baseline. "
            span class="key c" {} "Whole line: candidate."
        }
    }
}

/// What both twins used, from the first look to the last. Each line bears its name at its
/// end, the baseline's is broken, so that no colour is needed to tell them apart.
pub(super) fn over_time(row: &ResourceReport) -> Markup {
    const LEFT: f64 = 70.0;
    const RIGHT: f64 = 68.0;
    let amount = |value: f64| row.resource.amount(value);
    let curves = [&row.baseline.curve, &row.candidate.curve];
    let values = || curves.iter().flat_map(|curve| curve.iter().copied());
    let most = values().fold(0.0, f64::max);
    let least = values().fold(most, f64::min);
    // What hardly moves is a level line, not a mountain range.
    let room = ((most - least) * 0.1)
        .max(most * 0.05)
        .max(f64::MIN_POSITIVE);
    let (bottom, top) = ((least - room).max(0.0), most + room);
    let y = |value: f64| 8.0 + (top - value) / (top - bottom) * (HIGH - BOTTOM - 8.0);
    let x = |share: f64| LEFT + share * (WIDE - LEFT - RIGHT);
    let path = |curve: &[f64]| {
        let last = curve.len().saturating_sub(1).max(1) as f64;
        let points = curve.iter().enumerate().map(|(index, value)| {
            format!("{} {}", fixed(x(index as f64 / last)), fixed(y(*value)))
        });
        format!("M{}", points.collect::<Vec<_>>().join("L"))
    };
    let ends = |curve: &[f64]| {
        let end = |value: Option<&f64>| amount(value.copied().unwrap_or(0.0));
        format!("from {} to {}", end(curve.first()), end(curve.last()))
    };
    let label = format!(
        "{} over {}: baseline {}, candidate {}",
        row.resource.words(),
        span(row.seconds),
        ends(curves[0]),
        ends(curves[1])
    );
    let [baseline_end, candidate_end] = apart(curves.map(|curve| {
        let last = curve.last().copied().unwrap_or(0.0);
        y(last) + 4.0
    }));
    page! {
        svg.chart width=(WIDE) viewBox={ "0 0 " (WIDE) " " (HIGH) } role="img" aria-label=(label) {
            @for share in [0.0, 0.5, 1.0] {
                @let value = bottom + (top - bottom) * share;
                line class="axis" x1=(LEFT) x2=(WIDE - RIGHT) y1=(fixed(y(value))) y2=(fixed(y(value))) {}
                text x=(LEFT - 6.0) y=(fixed(y(value) + 4.0)) text-anchor="end" { (amount(value)) }
            }
            @for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
                text x=(fixed(x(share))) y=(HIGH - 8.0) text-anchor=(anchor) { (span(row.seconds * share)) }
            }
            path class="b-line" d=(path(curves[0])) {}
            path class="c-line" d=(path(curves[1])) {}
            text.b-name x=(fixed(x(1.0) + 6.0)) y=(fixed(baseline_end)) { "baseline" }
            text.c-name x=(fixed(x(1.0) + 6.0)) y=(fixed(candidate_end)) { "candidate" }
        }
    }
}

/// Two heights of a name, moved so that neither covers the other.
fn apart([one, other]: [f64; 2]) -> [f64; 2] {
    const LINE: f64 = 13.0;
    let gap = (one - other).abs();
    let shift = ((LINE - gap) / 2.0).max(0.0);
    if one < other {
        [one - shift, other + shift]
    } else {
        [one + shift, other - shift]
    }
}

/// A time of a run in words.
fn span(seconds: f64) -> String {
    if seconds >= 2.0 * 86_400.0 {
        format!("{:.1} days", seconds / 86_400.0)
    } else if seconds >= 7200.0 {
        format!("{:.1} h", seconds / 3600.0)
    } else if seconds >= 120.0 {
        format!("{:.1} min", seconds / 60.0)
    } else {
        format!("{seconds:.0} s")
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
