//! Findings of latency: one for each endpoint, of what explains most.

use crate::blame::Blame;
use crate::conclude::in_ms;
use crate::findings::summary;
use crate::kind::Kind;
use crate::latency::{Compared, Shift, ShiftInterval, TailTest};
use crate::options::Options;
use crate::reasons::percent;
use crate::report::{Finding, LatencyShift, Test};
use crate::stats::benjamini_hochberg;

/// In which way an endpoint is slower, the plainest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// At the median.
    Median,
    /// At the median of busy seconds.
    Busy,
    /// Of its slowest answers.
    Tail,
    /// More and more while the run goes on.
    Drift,
}

/// The findings of all endpoints' comparisons, by index.
pub(crate) fn of_latency(input: &Blame<'_>, all: &[Compared]) -> Vec<Finding> {
    let tests: Vec<(usize, Way, f64, bool)> = all
        .iter()
        .enumerate()
        .flat_map(|(index, compared)| {
            let shift = compared.shift.as_ref();
            let busy = compared.busy.as_ref().map(|busy| &busy.shift);
            let tail = compared.tail;
            [
                shift.map(|shift| {
                    let counts = shift.is_large && shift.is_steady(input.options);
                    (index, Way::Median, shift.p_value, counts)
                }),
                busy.map(|shift| (index, Way::Busy, shift.p_value, shift.is_large)),
                tail.map(|tail| (index, Way::Tail, tail.p_value, tail.is_large)),
            ]
        })
        .flatten()
        .collect();
    let p_values: Vec<f64> = tests.iter().map(|(_, _, p_value, _)| *p_value).collect();
    let significant = benjamini_hochberg(&p_values, input.options.level);
    let mut found: Vec<(usize, Way)> = tests
        .iter()
        .zip(significant)
        .filter(|((_, _, _, counts), is_significant)| *counts && *is_significant)
        .map(|((index, way, ..), _)| (*index, *way))
        .collect();
    let drifts = all.iter().enumerate();
    let drifts = drifts.filter(|(_, of)| of.drift.is_some_and(|drift| drift.is_large));
    found.extend(drifts.map(|(index, _)| (index, Way::Drift)));
    found.sort_unstable();
    found.dedup_by_key(|(index, _)| *index);
    let finding = |(index, way)| finding(input, index, way, &all[index], tests.len());
    found.into_iter().filter_map(finding).collect()
}

fn finding(
    input: &Blame<'_>,
    index: usize,
    way: Way,
    compared: &Compared,
    tests: usize,
) -> Option<Finding> {
    let options = input.options;
    let latency = &input.endpoints[index].latency;
    let shift = compared.shift.as_ref()?;
    let (baseline_ms, candidate_ms) = (
        in_ms(latency.baseline_us.quantiles()),
        in_ms(latency.candidate_us.quantiles()),
    );
    let (location, claim, mut test) = match way {
        Way::Median => (
            "latency",
            format!(
                "is slower by {:.1} ms at the median ({:.1} → {:.1} ms)",
                shift.median_ms, baseline_ms.p50, candidate_ms.p50
            ),
            shift_test(shift, "", tests, options),
        ),
        Way::Busy => {
            let busy = compared.busy.as_ref()?;
            let by_load = busy.by_load;
            (
                "latency.busy",
                format!(
                    "is slower by {:.1} ms at the median in seconds with {} requests and more, \
                     by {:.1} ms in others",
                    by_load.busy_shift_ms, by_load.busy_from, by_load.quiet_shift_ms
                ),
                shift_test(&busy.shift, "In busy seconds alone. ", tests, options),
            )
        }
        Way::Tail => {
            let tail = compared.tail?;
            let p99 = compared.quantiles.and_then(|quantiles| quantiles.p99)?;
            (
                "latency.p99",
                format!(
                    "has slow answers: by {:.1} ms slower at p99 ({:.1} → {:.1} ms)",
                    p99.shift_ms, baseline_ms.p99, candidate_ms.p99
                ),
                tail_test(tail, latency.sessions(), tests, options),
            )
        }
        Way::Drift => {
            let drift = compared.drift?;
            let slope = drift.trend.slope * 3600.0;
            (
                "latency.drift",
                format!("becomes slower by {slope:.1} ms an hour against the baseline"),
                drift_test(shift, drift, options),
            )
        }
    };
    test.statement.push_str(&effect_size(compared));
    let pairs = shift.pairs as u64;
    let mut finding = Finding {
        count: pairs,
        sessions: latency.sessions() as u64,
        compared: pairs,
        latency: Some(LatencyShift {
            median_shift_ms: shift.median_ms,
            median_shift_ratio: shift.ratio,
            baseline_p50_ms: baseline_ms.p50,
            candidate_p50_ms: candidate_ms.p50,
        }),
        evidence: latency.examples(options.examples),
        ..Finding::bare(&input.names[index], Kind::Latency, location, claim, test)
    };
    finding.summary = summary(&finding);
    Some(finding)
}

fn shift_test(shift: &Shift, where_: &str, tests: usize, options: &Options) -> Test {
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
            "{where_}From ready to the last byte, the same request at both twins at the same time, \
             so under the same load; the sample is {} ({of_what}). One-sided Wilcoxon signed-rank \
             test that the shift is above {:.1} ms: p = {:.2e}; on medians of {} seconds of the run: p \
             = {:.2e}. Level {} after correction for \
             {tests} tests (Benjamini–Hochberg); a shift counts from {} ms and {} on.",
            shift.sample,
            shift.null_ms,
            shift.p_value,
            shift.seconds,
            shift.p_by_second,
            options.level,
            options.latency.min_shift_ms,
            percent(options.latency.min_shift_ratio),
        ),
    }
}

fn tail_test(tail: TailTest, sessions: usize, tests: usize, options: &Options) -> Test {
    let TailTest {
        above_ms,
        candidate,
        baseline,
        p_value,
        ..
    } = tail;
    Test {
        name: "tail_permutation".to_owned(),
        level: Some(options.level),
        p_value: Some(p_value),
        unit: "session".to_owned(),
        sample: sessions as u64,
        statement: format!(
            "Above {above_ms:.1} ms are {candidate} answers of the candidate and {baseline} of the \
             baseline: one-sided permutation test by session and by half second, the larger chance \
             counts, p = {p_value:.2e}. Level {} after correction for {tests} tests \
             (Benjamini–Hochberg); a shift of p99 counts from {} ms and {} on.",
            options.level,
            options.latency.min_tail_shift_ms,
            percent(options.latency.min_tail_shift_ratio),
        ),
    }
}

fn drift_test(shift: &Shift, drift: crate::latency::Drifting, options: &Options) -> Test {
    let hour = |slope: f64| slope * 3600.0;
    Test {
        name: "theil_sen".to_owned(),
        level: Some(options.level),
        p_value: None,
        unit: "request".to_owned(),
        sample: shift.pairs as u64,
        statement: format!(
            "Candidate minus baseline, medians of stretches of a run of {:.0} s. Slope of the last \
             half by Theil and Sen, from {:.1} to {:.1} ms an hour by a block bootstrap; level {} \
             for all endpoints together. It grows over the whole run and over the last half.",
            drift.seconds,
            hour(drift.trend.low),
            hour(drift.trend.high),
            options.level,
        ),
    }
}

/// How large the difference is, whatever its test says.
fn effect_size(compared: &Compared) -> String {
    let mut text = String::new();
    if let Some(quantiles) = compared.quantiles {
        let of = |name: &str, of: ShiftInterval| {
            format!(
                "{name} {:+.1} ms ({:+.1} to {:+.1})",
                of.shift_ms, of.low_ms, of.high_ms
            )
        };
        let shifts = [
            ("p50", Some(quantiles.p50)),
            ("p90", Some(quantiles.p90)),
            ("p99", quantiles.p99),
        ];
        let shifts: Vec<String> = shifts
            .into_iter()
            .filter_map(|(name, shift)| Some(of(name, shift?)))
            .collect();
        text.push_str(&format!(
            " Candidate minus baseline, with intervals of 95 % by a bootstrap of sessions: {}.",
            shifts.join(", ")
        ));
    }
    if let Some(effect) = compared.effect {
        text.push_str(&format!(
            " One of the candidate's is above one of the baseline's with a chance of {} (Cliff's \
             delta {:+.2}; Mann–Whitney p = {:.2e}).",
            percent(effect.common_language),
            effect.cliffs_delta,
            effect.p_value
        ));
    }
    text
}
