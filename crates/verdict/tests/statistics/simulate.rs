//! Runs made up by chance, of which it is known what is true: for the tests of the
//! statistics, and for the example that prints their power.

use twintap_verdict::Bet;
use twintap_verdict::stats::{
    Chance, PairedCounts, mann_whitney, permutation_test, range_exceedance, signed_rank_test,
};

/// A test and the runs that it is tried on.
pub struct Design {
    pub name: &'static str,
    /// What is measured, and of what size it is.
    pub effect: &'static str,
    /// The effect at which the null hypothesis holds, and only just.
    pub null: f64,
    /// Effects that should be found.
    pub effects: [f64; 4],
    /// Whether a run of so many sessions with such an effect gives an alarm at a level.
    pub alarms: fn(&mut Chance, usize, f64, f64) -> bool,
}

/// All tests that decide.
pub const DESIGNS: [Design; 8] = [
    Design {
        name: "permutation",
        effect: "share of sessions that differ beyond noise",
        null: 0.0,
        effects: [0.05, 0.1, 0.2, 0.4],
        alarms: |chance, sessions, effect, level| noisy_place(chance, sessions, effect) <= level,
    },
    Design {
        name: "exceedance",
        effect: "share of sessions with values out of range",
        null: 0.0,
        effects: [0.05, 0.1, 0.2, 0.4],
        alarms: |chance, sessions, effect, level| values(chance, sessions, effect) <= level,
    },
    Design {
        name: "mcnemar",
        effect: "share of sessions that fail besides",
        null: 0.0,
        effects: [0.02, 0.05, 0.1, 0.2],
        alarms: |chance, sessions, effect, level| failures(chance, sessions, effect) <= level,
    },
    Design {
        name: "errors, sequential",
        effect: "share of sessions that fail besides",
        null: 0.0,
        effects: [0.02, 0.05, 0.1, 0.2],
        alarms: |chance, sessions, effect, level| {
            let mut bet = Bet::default();
            (0..sessions).any(|_| {
                if let Some(is_plus) = failing_session(chance, effect) {
                    bet.toss(is_plus);
                }
                bet.e_value() >= 1.0 / level
            })
        },
    },
    Design {
        name: "signed rank",
        effect: "shift, in shifts that matter",
        null: 0.5,
        effects: [0.75, 1.0, 1.5, 3.0],
        alarms: |chance, sessions, effect, level| {
            let shifts: Vec<f64> = (0..sessions)
                .map(|_| median_shift(chance, effect) - NEEDED_MS / 2.0)
                .collect();
            signed_rank_test(&shifts) <= level
        },
    },
    Design {
        name: "mann-whitney",
        effect: "shift, in shifts that matter",
        null: 0.0,
        effects: [0.75, 1.0, 1.5, 3.0],
        alarms: |chance, sessions, effect, level| {
            let (baseline, candidate): (Vec<f64>, Vec<f64>) =
                (0..sessions).map(|_| medians(chance, effect)).unzip();
            mann_whitney(&baseline, &candidate).is_some_and(|found| found.p_value <= level)
        },
    },
    Design {
        name: "tail permutation",
        effect: "share of answers that are slow besides",
        null: 0.0,
        effects: [0.01, 0.02, 0.05, 0.1],
        alarms: |chance, sessions, effect, level| slow_answers(chance, sessions, effect) <= level,
    },
    Design {
        name: "latency, sequential",
        effect: "shift, in shifts that matter",
        null: 0.5,
        effects: [0.75, 1.0, 1.5, 3.0],
        alarms: |chance, sessions, effect, level| {
            let mut bet = Bet::default();
            (0..sessions).any(|_| {
                bet.toss(median_shift(chance, effect) > NEEDED_MS / 2.0);
                bet.e_value() >= 1.0 / level
            })
        },
    },
];

/// The shift of a latency that matters.
const NEEDED_MS: f64 = 5.0;

impl Design {
    /// Alarms in so many runs, each of its own seed.
    pub fn alarms_in(&self, runs: u64, sessions: usize, effect: f64, level: f64) -> u64 {
        let alarms = (0..runs).filter(|run| {
            let mut chance = Chance::new(run.wrapping_mul(0x9e37_79b9) ^ sessions as u64);
            (self.alarms)(&mut chance, sessions, effect, level)
        });
        alarms.count() as u64
    }
}

fn happens(chance: &mut Chance, share: f64) -> bool {
    chance.unit() < share
}

/// How many requests a session has.
fn requests(chance: &mut Chance) -> usize {
    1 + chance.below(6)
}

/// A place that is noisy in some sessions and then in most of their requests.
fn noisy_place(chance: &mut Chance, sessions: usize, effect: f64) -> f64 {
    let differences: Vec<f64> = (0..sessions)
        .map(|_| {
            let count = requests(chance);
            let noise = if happens(chance, 0.3) { 0.8 } else { 0.02 };
            let is_other = happens(chance, effect);
            let mut rate = |share: f64| {
                let those = (0..count).filter(|_| happens(chance, share)).count();
                those as f64 / count as f64
            };
            let of_noise = rate(noise);
            let of_signal = if is_other { 1.0 } else { rate(noise) };
            of_signal - of_noise
        })
        .collect();
    permutation_test(&differences, chance).p_value
}

/// Values with a heavy tail, alike within a session.
fn values(chance: &mut Chance, sessions: usize, effect: f64) -> f64 {
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    let shown: Vec<f64> = (0..sessions)
        .map(|_| {
            let session = 20.0 * chance.unit();
            let mut value = || session + heavy(chance);
            for known in [value(), value()] {
                low = known.min(low);
                high = known.max(high);
            }
            let own = value();
            if happens(chance, effect) {
                own - 1e6
            } else {
                own
            }
        })
        .collect();
    let outside = shown.iter().filter(|value| **value < low || **value > high);
    range_exceedance(outside.count())
}

/// Whose a session is whose requests fail at one twin more than at the other.
fn failing_session(chance: &mut Chance, effect: f64) -> Option<bool> {
    // Sessions that fail do so often, at either twin.
    let share = if happens(chance, 0.1) { 0.5 } else { 0.0 };
    let count = requests(chance);
    let mut fail = || (0..count).filter(|_| happens(chance, share)).count();
    let (baseline, mut candidate) = (fail(), fail());
    if happens(chance, effect) {
        candidate = count;
    }
    (candidate != baseline).then_some(candidate > baseline)
}

fn failures(chance: &mut Chance, sessions: usize, effect: f64) -> f64 {
    let mut counts = PairedCounts::default();
    for _ in 0..sessions {
        match failing_session(chance, effect) {
            Some(true) => counts.candidate += 1,
            Some(false) => counts.baseline += 1,
            None => counts.neither += 1,
        }
    }
    counts.p_value()
}

/// A share of a millisecond mostly, and now and then seconds (Pareto, 1.1).
fn heavy(chance: &mut Chance) -> f64 {
    (1.0 - chance.unit()).powf(-1.0 / 1.1)
}

/// One request at both twins, in whole tenths of a millisecond, so that many are alike.
fn latencies(chance: &mut Chance, session_ms: f64, effect: f64) -> (f64, f64) {
    let mut latency = |more: f64| ((session_ms + heavy(chance) + more) * 10.0).round() / 10.0;
    (latency(0.0), latency(effect * NEEDED_MS))
}

fn session(chance: &mut Chance, effect: f64) -> Vec<(f64, f64)> {
    let session_ms = 8.0 * chance.unit();
    let count = requests(chance);
    (0..count)
        .map(|_| latencies(chance, session_ms, effect))
        .collect()
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn median_shift(chance: &mut Chance, effect: f64) -> f64 {
    let pairs = session(chance, effect);
    let mut shifts: Vec<f64> = pairs.iter().map(|(one, other)| other - one).collect();
    shifts.sort_by(f64::total_cmp);
    f64::midpoint(shifts[(shifts.len() - 1) / 2], shifts[shifts.len() / 2])
}

fn medians(chance: &mut Chance, effect: f64) -> (f64, f64) {
    let (baseline, candidate): (Vec<f64>, Vec<f64>) = session(chance, effect).into_iter().unzip();
    (middle(baseline), middle(candidate))
}

/// Slow answers of both, in some sessions more, and those of the candidate besides.
fn slow_answers(chance: &mut Chance, sessions: usize, effect: f64) -> f64 {
    let differences: Vec<f64> = (0..sessions)
        .map(|_| {
            let count = requests(chance);
            let share = if happens(chance, 0.1) { 0.2 } else { 0.01 };
            let mut slow = |share: f64| (0..count).filter(|_| happens(chance, share)).count();
            slow(share + effect) as f64 - slow(share) as f64
        })
        .collect();
    permutation_test(&differences, chance).p_value
}
