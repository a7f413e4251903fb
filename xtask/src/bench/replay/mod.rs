//! What a replay costs, and how punctual it is.
//!
//! Captures are generated, imported and replayed by the programs as users run them, at a web
//! server on the same machine. Peers and ours take turns; medians count.

mod cost;
mod idle;
mod process;
mod release;
mod scale;
mod server;
mod spinner;
mod timing;
mod twintap;

use anyhow::Result;
use xshell::Shell;

use super::line::Line;
use twintap::Twintap;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often each side runs.
    pub rounds: usize,
    /// How long each rate is held, over all rounds.
    pub seconds: u32,
}

/// Processor time for a request on the wire, beside wrk and oha.
pub fn cost(shell: &Shell, effort: Effort) -> Result<Vec<Line>> {
    cost::run(&Twintap::build(shell)?, effort)
}

/// From ready to first byte written, beside a thread that only spins.
pub fn release(shell: &Shell, effort: Effort) -> Result<Vec<Line>> {
    release::run(&Twintap::build(shell)?, effort)
}

/// What a plan costs as sessions grow, and what an idle session holds.
pub fn scale(shell: &Shell, effort: Effort) -> Result<Vec<Line>> {
    let twintap = Twintap::build(shell)?;
    let mut lines = idle::run(&twintap, effort)?;
    lines.extend(scale::run(shell, &twintap, effort)?);
    Ok(lines)
}

/// When requests of a real capture arrive, beside when they were recorded.
pub fn timing(shell: &Shell, effort: Effort) -> Result<Vec<Line>> {
    timing::run(&Twintap::build(shell)?, effort)
}
