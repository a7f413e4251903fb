//! A capture file replayed at two recorders.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Recorder;

/// How long the next arrival is waited for once the run is over.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was due, and what came.
#[derive(Debug)]
pub struct Arrived {
    /// When requests were due, in microseconds from T0, in order.
    pub due_us: Vec<f64>,
    /// When they arrived at the candidate and at the baseline.
    pub arrivals: [Vec<Instant>; 2],
    /// How firing went, as `run.json` says.
    pub fired: Value,
}

/// Imports `capture` and replays it with the program `twintap`, with further `lines` in the run
/// file. What is written goes to `folder`.
///
/// # Errors
/// When the program fails.
pub fn replay(twintap: &Path, capture: &Path, folder: &Path, lines: &str) -> Result<Arrived> {
    let archive = folder.join("recorded");
    if !archive.exists() {
        let import = run(Command::new(twintap)
            .arg("import")
            .arg(capture)
            .arg("--archive")
            .arg(&archive)
            .args(["--policy", "allow-all"]))?;
        ensure!(import.1 == 0, "twintap import failed");
    }
    let twins = [Recorder::start()?, Recorder::start()?];
    let [candidate, baseline] = [twins[0].address(), twins[1].address()];
    let run_file = folder.join("timing.yaml");
    let text = format!(
        "version: 1\narchive: {archive}\npolicy: allow-all\noutput: timed\n\
         targets:\n  candidate: {{address: \"{candidate}\"}}\n  baseline: {{address: \"{baseline}\"}}\n\
         allow: [\"{candidate}\", \"{baseline}\"]\n{lines}\n",
        archive = archive.display()
    );
    std::fs::write(&run_file, text).with_context(|| run_file.display().to_string())?;
    let replay = || {
        let mut command = Command::new(twintap);
        command.arg("replay").arg(&run_file);
        command
    };
    let (planned, status) = run(replay().args(["--dry-run", "--format", "json"]))?;
    ensure!(status == 0, "twintap replay --dry-run failed");
    let due_us = due(&serde_json::from_slice(&planned)?)?;
    let (_, status) = run(&mut replay())?;
    // Three are verdicts: nothing was recorded that answers could be held against.
    ensure!((0..=2).contains(&status), "twintap replay failed");
    let record = std::fs::read_to_string(folder.join("timed/run.json"))?;
    let mut record: Value = serde_json::from_str(&record)?;
    Ok(Arrived {
        arrivals: twins.map(|twin| twin.wait_for(due_us.len(), PATIENCE)),
        fired: record["fired"].take(),
        due_us,
    })
}

/// When each request that is fired is due, in microseconds.
fn due(dry_run: &Value) -> Result<Vec<f64>> {
    let requests = dry_run["plan"]["requests"]
        .as_array()
        .context("the plan has requests")?;
    let fired = requests.iter().filter(|request| request["skip"].is_null());
    let mut due: Vec<f64> = fired
        .filter_map(|request| request["due_ns"].as_f64())
        .map(|ns| ns / 1000.0)
        .collect();
    due.sort_by(f64::total_cmp);
    Ok(due)
}

/// What a program prints, and how it ends.
fn run(command: &mut Command) -> Result<(Vec<u8>, i32)> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?}"))?;
    let Some(status) = output.status.code() else {
        bail!("{command:?}: {}", output.status);
    };
    if !output.stderr.is_empty() && status > 2 {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok((output.stdout, status))
}
