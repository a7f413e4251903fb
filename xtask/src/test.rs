//! `cargo xtask test`: all tests, and a word on what was skipped.

use std::fs;

use anyhow::{Result, bail};
use clap::Args;
use twintap_tests::Privileges;
use xshell::{Shell, cmd};

use crate::ebpf;

/// Where property tests begin, and how proptest is told.
const SEED: &str = "1";
const SEED_VARIABLE: &str = "PROPTEST_RNG_SEED";

/// How to run the tests.
#[derive(Args)]
pub struct Options {
    /// Run only tests whose name contains this.
    filter: Option<String>,
}

/// Prepares, builds and runs all tests; lists what was skipped and why.
pub fn run(shell: &Shell, options: &Options) -> Result<()> {
    let missing = Privileges::of_this_process().missing();
    match missing {
        None => {
            ebpf::setup(shell)?;
            ebpf::build_ebpf(shell)?;
        }
        Some(what) => {
            println!("live capture needs {what}: those tests will say that they are skipped")
        }
    }
    // End-to-end tests run the programs as users do.
    cmd!(
        shell,
        "cargo build --workspace --exclude twintap-agent-ebpf --bins"
    )
    .run()?;

    let skipped = shell.current_dir().join("target/skipped-tests.txt");
    if skipped.exists() {
        fs::remove_file(&skipped)?;
    }
    // A run judges the tree, not the dice; `cargo test` and `cargo xtask fuzz` look further.
    let seed = std::env::var(SEED_VARIABLE).unwrap_or_else(|_| SEED.to_owned());
    println!("property tests start from seed {seed}; {SEED_VARIABLE} names another");
    let filter = options.filter.iter();
    let outcome = cmd!(
        shell,
        "cargo test --workspace --exclude twintap-agent-ebpf --no-fail-fast {filter...}"
    )
    .env("TWINTAP_SKIPPED", &skipped)
    .env(SEED_VARIABLE, &seed)
    .run();
    let lines = fs::read_to_string(&skipped).unwrap_or_default();
    if lines.is_empty() {
        println!("no test was skipped");
    } else {
        println!("skipped, and why:");
        for line in lines.lines() {
            println!("  {line}");
        }
    }
    if outcome.is_err() {
        bail!("some tests failed; see above");
    }
    Ok(())
}
