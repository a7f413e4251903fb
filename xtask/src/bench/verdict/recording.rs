//! The traffic of a seed, captured once.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context, Result};
use twintap_tests::{Privileges, Scenario, shop};
use xshell::{Shell, cmd};

use super::Bench;
use crate::ebpf;

/// How the users of a recording are: some 200 requests a second, and several visits of each.
const USERS: &[&str] = &[
    "--users",
    "60",
    "--duration",
    "13",
    "--think-ms",
    "100..500",
];
/// The driver's longest run.
const DRIVER_LIMIT: Duration = Duration::from_secs(120);

/// An archive, and what made it.
pub struct Recording {
    /// The archive's folder.
    pub archive: PathBuf,
    /// `ebpf`, or `pcap` where nothing could be captured.
    pub source: &'static str,
}

/// Builds what a capture needs, where one is possible.
pub fn prepare(shell: &Shell, profile: &str) -> Result<()> {
    if let Some(missing) = Privileges::of_this_process().missing() {
        eprintln!(
            "live capture needs {missing}: every seed replays the capture that is part of this repository"
        );
        return Ok(());
    }
    ebpf::setup(shell)?;
    ebpf::build_ebpf(shell)?;
    cmd!(
        shell,
        "cargo build --quiet --profile {profile} --package twintap-agent --bin twintap-agent"
    )
    .run()?;
    Ok(())
}

/// The recording of a seed; made if it isn't there.
pub fn of_seed(bench: &Bench, seed: u64) -> Result<Recording> {
    let source = match Privileges::of_this_process().missing() {
        None => "ebpf",
        Some(_) => "pcap",
    };
    let directory = bench.folder.join(format!("seed-{seed}.{source}"));
    let recording = Recording {
        archive: directory.join("archive"),
        source,
    };
    // Whoever had it before has told what went wrong.
    let _alone = bench
        .capturing
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if directory.exists() {
        return Ok(recording);
    }
    eprintln!("capturing the traffic of seed {seed}");
    let unfinished = directory.with_extension("unfinished");
    make(bench, &unfinished, seed, source)?;
    fs::rename(&unfinished, &directory)
        .with_context(|| format!("naming {}", directory.display()))?;
    Ok(recording)
}

fn make(bench: &Bench, directory: &Path, seed: u64, source: &str) -> Result<()> {
    let policy = bench.policy.display().to_string();
    let scenario = Scenario::new(bench.binaries.clone(), directory, &policy)?;
    if source == "pcap" {
        return scenario.import(&bench.bundled);
    }
    let seed = seed.to_string();
    let mut flags = vec!["--seed", &seed];
    flags.extend_from_slice(USERS);
    scenario.capture_live(&[], |address| {
        let (binaries, logs) = (scenario.binaries(), scenario.logs());
        shop::drive(binaries, &logs, address, &flags, DRIVER_LIMIT)
    })?;
    Ok(())
}
