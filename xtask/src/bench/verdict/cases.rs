//! The cases of the matrix, in the order in which they are played.

use std::hash::{DefaultHasher, Hash, Hasher};

use twintap_tests::matrix::{Fault, HARDER, SEEDED};

/// Seeds of the driver, from 1 on.
const SEEDS: u64 = 10;
/// Runs with the same build at both twins, for each seed.
const SAME_RUNS: u32 = 10;
/// Those of them that come first: the other rule needs two to be judged by.
const SAME_FIRST: u32 = 2;

/// What the candidate is.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its faults; none where it is the baseline's build.
    pub faults: Vec<&'static Fault>,
    /// The driver's seed.
    pub seed: u64,
    /// Which of several equal cases it is.
    pub repeat: u32,
}

impl Case {
    /// The faults, or `same`.
    pub fn name(&self) -> String {
        let names: Vec<&str> = self.faults.iter().map(|fault| fault.name).collect();
        match names.is_empty() {
            true => "same".to_owned(),
            false => names.join("+"),
        }
    }

    /// Whether the candidate is started first, and whether it has the lower port.
    pub fn draw(&self) -> (bool, bool) {
        // Without keys of its own this hasher gives the same each time.
        let mut hasher = DefaultHasher::new();
        (self.name(), self.seed, self.repeat).hash(&mut hasher);
        let drawn = hasher.finish();
        (drawn & 1 == 1, drawn & 2 == 2)
    }
}

/// All cases: seed by seed, so that a part of the matrix says something of all faults.
pub fn all() -> Vec<Case> {
    (1..=SEEDS).flat_map(of_seed).collect()
}

fn of_seed(seed: u64) -> Vec<Case> {
    let same = |repeat| (Vec::new(), repeat);
    let alone = |fault| (vec![fault], 0);
    let pairs = SEEDED.iter().enumerate().flat_map(|(place, first)| {
        let others = SEEDED[place + 1..].iter();
        others.map(move |second| (vec![first, second], 0))
    });
    let all = (0..SAME_FIRST).map(same);
    let all = all.chain(SEEDED.iter().chain(HARDER.iter()).map(alone));
    let all = all.chain(pairs).chain((SAME_FIRST..SAME_RUNS).map(same));
    all.map(|(faults, repeat)| Case {
        faults,
        seed,
        repeat,
    })
    .collect()
}
