//! `cargo xtask ci`: what every change must pass.

use std::fs;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::{ebpf, edges};

/// The tests as the README tells a newcomer to run them.
const TEST_COMMAND: &str = "cargo xtask test";

/// Runs all checks, in the order of their cost.
pub fn run(shell: &Shell) -> Result<()> {
    ebpf::setup(shell)?;
    cmd!(shell, "cargo fmt --all --check").run()?;
    edges::check()?;
    ebpf::build_ebpf(shell)?;
    cmd!(
        shell,
        "cargo clippy --workspace --exclude twintap-agent-ebpf --all-targets -- --deny warnings"
    )
    .run()?;
    let readme = fs::read_to_string("README.md").context("reading README.md")?;
    anyhow::ensure!(
        readme.lines().any(|line| line.trim() == TEST_COMMAND),
        "README.md no longer names `{TEST_COMMAND}` on a line of its own"
    );
    let words: Vec<&str> = TEST_COMMAND.split(' ').collect();
    let (program, args) = (words[0], &words[1..]);
    cmd!(shell, "{program} {args...}").run()?;
    Ok(())
}
