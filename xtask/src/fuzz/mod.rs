//! `cargo xtask fuzz`: hostile input, much of it, and the count of how much there was.

mod runs;
mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use xshell::{Shell, cmd};

use crate::target_directory;

const FOLDER: &str = "tests/fuzz";
const CARGO_FUZZ_VERSION: &str = "0.13.2";
/// Executions of each process where neither their number nor their time is given.
const DEFAULT_RUNS: u64 = 1_000_000;
/// Long enough for a few messages, short enough for many thousand executions a second.
const MAX_INPUT_BYTES: u32 = 512;

/// What to fuzz, and how long.
#[derive(Args)]
pub struct Options {
    /// A target in tests/fuzz/fuzz_targets; all of them, one after the other, when absent.
    target: Option<String>,
    /// Executions of each target in each process.
    #[arg(long, conflicts_with = "time")]
    runs: Option<u64>,
    /// Seconds for each target.
    #[arg(long, value_name = "S")]
    time: Option<u64>,
    /// Processes at a time, which share one corpus.
    #[arg(long, default_value_t = 1)]
    jobs: u32,
    /// What watches over memory. The crates under test forbid unsafe code, so that none is
    /// needed and the executions a second are several times as many; debug assertions and
    /// checks for overflow are on either way.
    #[arg(long, value_enum, default_value_t = Sanitizer::None)]
    sanitizer: Sanitizer,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sanitizer {
    None,
    Address,
}

/// Builds, seeds, runs, and adds what was run to the ledger of runs.
pub fn run(shell: &Shell, options: &Options) -> Result<()> {
    let all = targets(shell)?;
    let chosen: Vec<&String> = match &options.target {
        None => all.iter().collect(),
        Some(target) => {
            let chosen: Vec<_> = all.iter().filter(|name| *name == target).collect();
            if chosen.is_empty() {
                bail!("no target {target}; there are: {}", all.join(", "));
            }
            chosen
        }
    };
    setup(shell)?;
    let mut broken = Vec::new();
    for target in chosen {
        let binary = build(shell, target, options.sanitizer)?;
        let corpus = corpus_folder(shell).join(target);
        seeds::plant(target, &corpus)?;
        let (executions, findings) = fuzz(shell, target, &binary, &corpus, options)?;
        runs::add(&shell.current_dir().join(FOLDER), target, executions)?;
        println!(
            "{target}: {executions} executions, {} findings",
            findings.len()
        );
        broken.extend(findings);
    }
    if !broken.is_empty() {
        bail!(
            "inputs that break a target (mend it, keep the input as a test):\n  {}",
            broken
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
                .join("\n  ")
        );
    }
    Ok(())
}

fn targets(shell: &Shell) -> Result<Vec<String>> {
    let folder = shell.current_dir().join(FOLDER).join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The toolchain and cargo-fuzz, which it installs when cargo can.
fn setup(shell: &Shell) -> Result<()> {
    let has = |command: xshell::Cmd<'_>| {
        let quiet = command.quiet().ignore_stdout().ignore_stderr();
        quiet.run().is_ok()
    };
    if !has(cmd!(shell, "rustup run nightly rustc --version")) {
        bail!("fuzzing needs a nightly compiler; type: rustup toolchain install nightly");
    }
    if !has(cmd!(shell, "cargo fuzz --version")) {
        cmd!(
            shell,
            "cargo install cargo-fuzz --locked --version {CARGO_FUZZ_VERSION}"
        )
        .run()
        .context("installing cargo-fuzz")?;
    }
    Ok(())
}

/// Comparisons are not traced: the words that each target knows take their place.
fn build(shell: &Shell, target: &str, sanitizer: Sanitizer) -> Result<PathBuf> {
    let (name, folder) = match sanitizer {
        Sanitizer::None => ("none", "fuzz"),
        Sanitizer::Address => ("address", "fuzz-address"),
    };
    let folder = target_directory().join(folder);
    cmd!(
        shell,
        "cargo +nightly fuzz build --fuzz-dir {FOLDER} --target-dir {folder} --sanitizer {name} --no-trace-compares {target}"
    )
    .run()
    .with_context(|| format!("building the target {target}"))?;
    let triple = host(shell)?;
    Ok(folder.join(triple).join("release").join(target))
}

fn host(shell: &Shell) -> Result<String> {
    let version = cmd!(shell, "rustup run nightly rustc -vV").quiet().read()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// Inputs that reach new code, kept from run to run. Not part of the repository.
fn corpus_folder(shell: &Shell) -> PathBuf {
    match std::env::var_os("TWINTAP_FUZZ_CORPUS") {
        Some(folder) => shell.current_dir().join(folder),
        None => shell.current_dir().join("target/fuzz-corpus"),
    }
}

/// Runs the processes to their end; executions of all, and the inputs that broke one.
fn fuzz(
    shell: &Shell,
    target: &str,
    binary: &Path,
    corpus: &Path,
    options: &Options,
) -> Result<(u64, Vec<PathBuf>)> {
    let artifacts = shell
        .current_dir()
        .join(FOLDER)
        .join("artifacts")
        .join(target);
    fs::create_dir_all(&artifacts).with_context(|| artifacts.display().to_string())?;
    let before = listed(&artifacts)?;
    let mut processes = Vec::new();
    for job in 0..options.jobs.max(1) {
        let log = corpus.with_extension(format!("{job}.log"));
        processes.push((start(binary, corpus, &artifacts, &log, options)?, log));
    }
    let mut executions = 0;
    let mut has_failed = None;
    for (mut process, log) in processes {
        let status = process.wait().context("waiting for a target")?;
        let text = fs::read(&log).with_context(|| log.display().to_string())?;
        executions += counted(&String::from_utf8_lossy(&text));
        if !status.success() {
            has_failed = Some((status, log));
        }
    }
    let mut findings = listed(&artifacts)?;
    findings.retain(|path| !before.contains(path));
    if let (Some((status, log)), true) = (has_failed, findings.is_empty()) {
        bail!("{target} ended with {status}; see {}", log.display());
    }
    Ok((executions, findings))
}

fn start(
    binary: &Path,
    corpus: &Path,
    artifacts: &Path,
    log: &Path,
    options: &Options,
) -> Result<Child> {
    let limit = match (options.time, options.runs) {
        (Some(seconds), _) => format!("-max_total_time={seconds}"),
        (None, runs) => format!("-runs={}", runs.unwrap_or(DEFAULT_RUNS)),
    };
    let log = fs::File::create(log).with_context(|| log.display().to_string())?;
    Command::new(binary)
        .arg(corpus)
        .arg(limit)
        .arg(format!("-max_len={MAX_INPUT_BYTES}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        // How often an edge was taken costs more than it finds here.
        .args(["-use_counters=0", "-print_final_stats=1", "-verbosity=0"])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {}", binary.display()))
}

/// The executions that a log ends with.
fn counted(log: &str) -> u64 {
    let line = log
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        paths.push(entry?.path());
    }
    Ok(paths)
}
