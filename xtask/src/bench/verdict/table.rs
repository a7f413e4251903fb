//! The matrix as a table.

use std::collections::BTreeMap;

use twintap_tests::matrix::{Fault, HARDER, Held, SEEDED};

use super::super::line::median;
use super::results::{CaseResult, Results};

/// What was found of one fault, or of one family.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Faults that the candidates of these runs had.
    pub faults: u64,
    /// Those that were found.
    pub found: u64,
    /// Findings that say what a fault does.
    pub matched: u64,
    /// Findings where a fault reaches to.
    pub misattributed: u64,
    /// Findings that nothing explains.
    pub unexpected: u64,
    /// Seconds from a run's start to its report, of runs that found all their faults.
    seconds: Vec<f64>,
}

impl Tally {
    /// Counts a run, as somebody judged it.
    pub fn add(&mut self, result: &CaseResult, held: &Held) {
        self.runs += 1;
        self.faults += result.faults.len() as u64;
        self.found += held.found.len() as u64;
        self.matched += held.matched.len() as u64;
        self.misattributed += held.misattributed.len() as u64;
        self.unexpected += held.unexpected.len() as u64;
        if held.found.len() == result.faults.len() {
            self.seconds.push(result.seconds);
        }
    }

    fn seconds(&self) -> String {
        match self.seconds.is_empty() {
            true => "-".to_owned(),
            false => format!("{:.1}", median(&mut self.seconds.clone())),
        }
    }
}

/// Ours, and what the other rule makes of the runs that it can be asked about.
#[derive(Clone, Debug, Default)]
pub struct Both {
    /// Ours, of all runs.
    pub ours: Tally,
    /// Ours, of the runs that the other rule judged too.
    pub ours_beside: Tally,
    /// The other's.
    pub theirs: Tally,
}

impl Both {
    /// Of the results that are meant.
    pub fn of(results: &Results, is_meant: impl Fn(&CaseResult) -> bool) -> Both {
        let mut both = Both::default();
        for result in results.all().filter(|result| is_meant(result)) {
            both.ours.add(result, &result.held);
            if let Some(noise) = results.noise(result) {
                let faults: Vec<&Fault> = faults(result);
                both.theirs
                    .add(result, &result.counts.judge(noise, &faults));
                both.ours_beside.add(result, &result.held);
            }
        }
        both
    }

    fn row(&self, name: &str) -> String {
        let Both { ours, theirs, .. } = self;
        let share = |tally: &Tally| match tally.faults {
            0 => "-".to_owned(),
            faults => format!("{}/{faults}", tally.found),
        };
        format!(
            "{name:20} {:>8} {:>8} {:>14} {:>6} | {:>8} {:>14} {:>6}\n",
            share(ours),
            ours.seconds(),
            ours.misattributed,
            ours.unexpected,
            share(theirs),
            theirs.misattributed,
            theirs.unexpected,
        )
    }
}

fn faults(result: &CaseResult) -> Vec<&'static Fault> {
    let all = result.faults.iter();
    all.filter_map(|name| twintap_tests::matrix::fault(name))
        .collect()
}

/// Whether it is a run of one fault of this family.
pub fn is_alone_of(family: &[Fault], result: &CaseResult) -> bool {
    let [name] = &result.faults[..] else {
        return false;
    };
    family.iter().any(|fault| fault.name == name)
}

/// The table.
pub fn text(results: &Results) -> String {
    let mut text = format!(
        "{:20} {:>8} {:>8} {:>14} {:>6} | {:>8} {:>14} {:>6}\n",
        "candidate", "found", "s", "misattributed", "false", "Diffy", "misattributed", "false"
    );
    let mut row = |name: &str, is_meant: &dyn Fn(&CaseResult) -> bool| {
        let both = Both::of(results, is_meant);
        if both.ours.runs > 0 {
            text.push_str(&both.row(name));
        }
    };
    for fault in SEEDED.iter().chain(HARDER.iter()) {
        row(fault.name, &|result| result.case == fault.name);
    }
    row("pairs", &|result| result.faults.len() == 2);
    row("the same build", &|result| result.faults.is_empty());
    for (finding, cases) in unexpected(results) {
        let count = cases.len();
        text.push_str(&format!(
            "false: {finding}, {count} runs, of {}\n",
            cases[0]
        ));
    }
    text
}

/// Findings that nothing explains, with the cases that have them.
fn unexpected(results: &Results) -> BTreeMap<&str, Vec<String>> {
    let mut unexpected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for result in results.all() {
        for finding in &result.held.unexpected {
            let case = format!("{} with seed {}", result.case, result.seed);
            unexpected.entry(finding).or_default().push(case);
        }
    }
    unexpected
}
