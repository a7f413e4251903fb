//! The statistics of the verdict on runs of which it is known what is true.

mod simulate;

use simulate::DESIGNS;
use twintap_verdict::Bet;
use twintap_verdict::stats::{
    Chance, PairedCounts, SessionPairs, benjamini_hochberg, permutation_test,
};

/// So many alarms may be when each has this chance: four deviations above what is expected.
fn most(runs: u64, level: f64) -> u64 {
    let expected = runs as f64 * level;
    (expected + 4.0 * (expected * (1.0 - level)).sqrt()).floor() as u64
}

#[test]
fn false_alarms_are_at_most_as_many_as_the_level_says() {
    for design in &DESIGNS {
        for (runs, sessions, level) in [(400, 12, 0.05), (300, 40, 0.05), (600, 25, 0.01)] {
            let alarms = design.alarms_in(runs, sessions, design.null, level);
            let most = most(runs, level);
            let name = design.name;
            assert!(
                alarms <= most,
                "{name}: {alarms} of {runs} at level {level} and {sessions} sessions"
            );
        }
    }
}

#[test]
fn large_effects_are_found() {
    for design in &DESIGNS {
        let found = design.alarms_in(30, 150, design.effects[3], 0.01);
        let (name, effect, size) = (design.name, design.effect, design.effects[3]);
        assert!(found >= 29, "{name}: {found} of 30 at {effect} {size}");
    }
}

#[test]
fn who_looks_after_every_toss_is_no_more_often_wrong() {
    let runs = 600;
    let mut alarms = [0; 3];
    let levels = [0.2, 0.05, 0.01];
    for run in 0..runs {
        let mut chance = Chance::new(run);
        let mut bet = Bet::default();
        (0..600).for_each(|_| bet.toss(chance.bits() & 1 == 0));
        for (alarms, level) in alarms.iter_mut().zip(levels) {
            *alarms += u64::from(bet.peak() >= 1.0 / level);
        }
    }
    for (alarms, level) in alarms.into_iter().zip(levels) {
        assert!(alarms <= most(runs, level), "{alarms} of {runs} at {level}");
    }
    // It is no use to be so careful that nothing is found.
    assert!(alarms[0] > 0);
}

#[test]
fn of_what_is_called_false_a_share_is() {
    let level = 0.05;
    let mut false_share = 0.0;
    let runs = 30;
    for run in 0..runs {
        let mut chance = Chance::new(run);
        // A hundred fields, ten of which differ in truth; they depend on each other as the
        // sessions that show them do.
        let sessions: Vec<f64> = (0..40).map(|_| chance.unit()).collect();
        let p_values: Vec<f64> = (0..100)
            .map(|field| {
                let differences: Vec<f64> = sessions
                    .iter()
                    .map(|session| {
                        let share = if field < 10 { 0.75 } else { 0.5 };
                        let sign = if chance.unit() < share { 1.0 } else { -1.0 };
                        sign * (0.1 + (session * 4.0).floor())
                    })
                    .collect();
                permutation_test(&differences, &mut chance).p_value
            })
            .collect();
        let called = benjamini_hochberg(&p_values, level);
        let of_all = called.iter().filter(|is| **is).count();
        let wrong = called[10..].iter().filter(|is| **is).count();
        false_share += wrong as f64 / of_all.max(1) as f64;
    }
    let mean = false_share / runs as f64;
    // Its deviation over the runs is about 0.02.
    assert!(mean < level + 0.06, "{mean}");
}

#[test]
fn intervals_of_rates_hold_the_truth() {
    let runs = 500;
    for (sessions, of_candidate, of_baseline, of_both) in [
        (60, 0.05, 0.02, 0.01),
        (200, 0.01, 0.01, 0.1),
        (30, 0.3, 0.1, 0.2),
    ] {
        let mut held = 0;
        for run in 0..runs {
            let mut chance = Chance::new(run);
            let mut counts = PairedCounts::default();
            for _ in 0..sessions {
                let place = chance.unit();
                if place < of_candidate {
                    counts.candidate += 1;
                } else if place < of_candidate + of_baseline {
                    counts.baseline += 1;
                } else if place < of_candidate + of_baseline + of_both {
                    counts.both += 1;
                } else {
                    counts.neither += 1;
                }
            }
            let (low, high) = counts.interval(0.95);
            let truth = of_candidate - of_baseline;
            held += u64::from(low <= truth && truth <= high);
        }
        let missed = runs - held;
        assert!(
            missed <= most(runs, 0.05),
            "{held} of {runs} hold it at {sessions} sessions"
        );
    }
}

#[test]
fn intervals_of_quantiles_hold_the_truth() {
    let runs = 80;
    let (mut missed_median, mut missed_p90) = (0, 0);
    for run in 0..runs {
        let mut chance = Chance::new(run);
        let sessions: Vec<Vec<(f64, f64)>> = (0..40)
            .map(|_| {
                let session = 10.0 * chance.unit();
                let mut pair = || {
                    let mut latency = || session + 5.0 * chance.unit();
                    // Two of the three milliseconds are the candidate's.
                    (latency() + 1.0, latency() + 3.0)
                };
                (0..4).map(|_| pair()).collect()
            })
            .collect();
        let pairs = SessionPairs::new(sessions.iter().map(Vec::as_slice));
        let found = pairs.quantile_differences(&[0.5, 0.9], &mut chance);
        let found = found.expect("there are values");
        let misses = |place: usize| !(found[place].low..=found[place].high).contains(&2.0);
        missed_median += u64::from(misses(0));
        missed_p90 += u64::from(misses(1));
    }
    // The percentile method is a little narrow with few sessions.
    assert!(
        missed_median <= most(runs, 0.07),
        "{missed_median} of {runs}"
    );
    assert!(missed_p90 <= most(runs, 0.1), "{missed_p90} of {runs}");
}
