//! `cargo xtask demo`: the main job on real traffic.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;
use twintap_tests::{Binaries, Privileges, Scenario, shop};
use xshell::{Shell, cmd};

use crate::{ebpf, target_directory};

/// How to play the demo.
#[derive(Args)]
pub struct Options {
    /// Which build the candidate is.
    #[arg(long, value_enum, default_value_t = Candidate::Broken)]
    candidate: Candidate,
    /// Replay the bundled capture file, even where live capture is possible.
    #[arg(long)]
    pcap: bool,
    /// Seconds that the simulated users shop.
    #[arg(long, default_value_t = 25)]
    seconds: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Candidate {
    /// A build with seeded faults: the verdict is fail.
    Broken,
    /// The very build of the baseline: the verdict is pass.
    Same,
}

/// The bundled capture of the shop, for machines without root.
const BUNDLED: &str = "tests/pcaps/shop.pcap.gz";
/// The driver's longest run beyond the seconds it shops.
const DRIVER_GRACE: Duration = Duration::from_secs(90);

/// Builds, captures, replays, prints the verdict.
pub fn run(shell: &Shell, options: &Options) -> Result<()> {
    let missing = match Privileges::of_this_process().missing() {
        _ if options.pcap => Some("nothing, but --pcap was given"),
        missing => missing,
    };
    if missing.is_none() {
        ebpf::setup(shell)?;
        ebpf::build_ebpf(shell)?;
    }
    println!("building the programs");
    cmd!(
        shell,
        "cargo build --quiet --release --bins --package twintap-replayer --package twintap-agent --package twintap-shop"
    )
    .run()?;

    let start = Instant::now();
    let root = shell.current_dir();
    let directory = root.join("target/demo");
    let policy = root.join("deploy/policies/demo.yaml");
    let scenario = Scenario::new(
        Binaries::in_directory(target_directory().join("release")),
        &directory,
        &policy.display().to_string(),
    )?;
    match missing {
        None => {
            println!(
                "capturing the shop by eBPF while users shop for {} s",
                options.seconds
            );
            let seconds = options.seconds.to_string();
            scenario.capture_live(&[], |address| {
                shop::drive(
                    scenario.binaries(),
                    &scenario.logs(),
                    address,
                    &["--users", "200", "--duration", &seconds],
                    Duration::from_secs(u64::from(options.seconds)) + DRIVER_GRACE,
                )
            })?;
        }
        Some(what) => {
            println!("live capture needs {what}: importing the bundled {BUNDLED} instead");
            scenario.import(&root.join(BUNDLED))?;
        }
    }

    println!("replaying at baseline and candidate");
    let flags: &[&str] = match options.candidate {
        Candidate::Broken => &["--candidate"],
        Candidate::Same => &[],
    };
    let replayed = scenario.replay(flags)?;
    println!("{}", replayed.output.trim_end());
    println!(
        "\nreports: {} and {} (after {} s)",
        shown(&root, &directory.join("report.html")),
        shown(&root, &directory.join("report.json")),
        start.elapsed().as_secs()
    );

    let expected = match options.candidate {
        Candidate::Broken => "fail",
        Candidate::Same => "pass",
    };
    let verdict = replayed.report.get("verdict").and_then(Value::as_str);
    if verdict != Some(expected) {
        bail!(
            "this candidate deserves the verdict {expected} and got {}",
            verdict.unwrap_or("none")
        );
    }
    Ok(())
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}
