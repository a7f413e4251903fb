//! What cases came to: one JSON object a line, in a file that only grows.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use twintap_tests::matrix::Held;

use super::cases::Case;
use super::diffy::Counts;

/// What one case came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaseResult {
    /// The faults, or `same`.
    pub case: String,
    /// The faults.
    pub faults: Vec<String>,
    /// The driver's seed.
    pub seed: u64,
    /// Which of several equal cases.
    pub repeat: u32,
    /// Whether the candidate was started first.
    pub is_candidate_first: bool,
    /// Whether the candidate had the lower port.
    pub is_candidate_lower: bool,
    /// Where the traffic came from: `ebpf` or `pcap`.
    pub source: String,
    /// The tree's commit; a `+` marks one with changes.
    pub commit: String,
    /// What it ran on.
    pub machine: String,
    /// When, in seconds since 1970.
    pub unix_s: u64,
    /// The report's verdict.
    pub verdict: String,
    /// Exchanges that were compared.
    pub compared: u64,
    /// The report's fidelity.
    pub fidelity: f64,
    /// From the run's start until its report is there, in seconds.
    pub seconds: f64,
    /// The report's findings, held against the faults.
    pub held: Held,
    /// Where the twins' answers differ, field by field.
    pub counts: Counts,
}

impl CaseResult {
    /// In a line, for people.
    pub fn summary(&self) -> String {
        let Held {
            found,
            misattributed,
            unexpected,
            ..
        } = &self.held;
        let name = |fault: &String| match found.contains(fault) {
            true => format!("{fault} found"),
            false => format!("{fault} MISSED"),
        };
        let faults: Vec<String> = self.faults.iter().map(name).collect();
        let mut text = format!(
            "{}, seed {}, {:.1} s: {} {}",
            self.case,
            self.seed,
            self.seconds,
            self.verdict,
            faults.join(", ")
        );
        for (what, findings) in [("misattributed", misattributed), ("unexpected", unexpected)] {
            if !findings.is_empty() {
                text.push_str(&format!("; {what}: {}", findings.join(", ")));
            }
        }
        text
    }
}

/// By case, seed and repeat.
type Key = (String, u64, u32);

/// The newest result of each case.
pub struct Results {
    file: File,
    newest: BTreeMap<Key, CaseResult>,
}

impl Results {
    /// Reads what earlier calls did. A line that was cut off is none.
    pub fn open(folder: &Path) -> Result<Results> {
        let path = folder.join("results.jsonl");
        let text = match path.exists() {
            true => fs::read_to_string(&path).with_context(|| path.display().to_string())?,
            false => String::new(),
        };
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        let results = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        Ok(Results {
            file,
            newest: results.map(|result| (key(&result), result)).collect(),
        })
    }

    /// Keeps a result, on the disk first.
    pub fn append(&mut self, result: CaseResult) -> Result<()> {
        let mut line = serde_json::to_string(&result)?;
        line.push('\n');
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.newest.insert(key(&result), result);
        Ok(())
    }

    /// The newest result of a case.
    pub fn of(&self, case: &Case) -> Option<&CaseResult> {
        self.newest.get(&(case.name(), case.seed, case.repeat))
    }

    /// The newest results of all cases.
    pub fn all(&self) -> impl Iterator<Item = &CaseResult> {
        self.newest.values()
    }

    /// Where two equal builds differ with the traffic of a seed, in another run than this.
    pub fn noise(&self, result: &CaseResult) -> Option<&Counts> {
        let mut same = self.all().filter(|other| {
            let is_itself = key(other) == key(result);
            other.faults.is_empty() && other.seed == result.seed && !is_itself
        });
        same.next().map(|other| &other.counts)
    }
}

fn key(result: &CaseResult) -> Key {
    (result.case.clone(), result.seed, result.repeat)
}
