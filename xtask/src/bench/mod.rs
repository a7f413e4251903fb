//! `cargo xtask bench NAME`: ratios against a peer, measured in one run.
//!
//! Each bench runs ours and the peer's turn by turn, takes medians, and names
//! the machine. No test asserts a time; this is where times are looked at.

mod detect;
mod ingest;
mod line;
mod replay;
mod scrub;
mod slow_burn;
mod stream;
mod traffic;
mod verdict;

use std::num::NonZeroUsize;

use anyhow::Result;
use clap::{Args, ValueEnum};
use xshell::Shell;

pub use line::Format;

/// What to measure, and how to print it.
#[derive(Args)]
pub struct Options {
    /// What to measure.
    #[arg(value_enum)]
    name: Name,
    /// How to print the figures.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// How often each side runs.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// MiB of generated traffic.
    #[arg(long, default_value_t = 512)]
    mib: u64,
    /// Seconds for which a replay holds each rate, over all rounds.
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Of `verdict`: minutes after which no case begins; the next call goes on (60 if not
    /// given). Of `slow-burn`: how long twins are looked at (10).
    #[arg(long)]
    minutes: Option<u32>,
    /// Of `verdict`: cases alone whose name contains this, such as `rounding` or `same`.
    #[arg(long)]
    only: Option<String>,
    /// Of `verdict`: try again what an earlier commit was tried with.
    #[arg(long)]
    again: bool,
    /// Of `detect`, `verdict` and `slow-burn`: the profile that the programs are built with.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Of `verdict`: how many cases are played at a time
    #[arg(long, default_value = "1")]
    jobs: NonZeroUsize,
    /// Of `verdict` and `slow-burn`: take the programs as they are built.
    #[arg(long)]
    as_built: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// What the detectors find in labelled sentences, and how fast, beside Presidio.
    Detect,
    /// A capture file to a stored archive, beside tshark reading the same file.
    Ingest,
    /// A capture file to exchanges, beside tshark and tcpflow reading the same file.
    Stream,
    /// All of a replay: cost and release error.
    Replay,
    /// Of a replay: processor time for a request on the wire, beside wrk and oha.
    ReplayCost,
    /// Of a replay: from ready to first byte written, beside a spinning thread.
    ReplayRelease,
    /// Of a replay: what planning costs from 1,000 sessions to 1,000,000.
    ReplayScale,
    /// Of a replay: when requests of a real capture arrive, beside when they were recorded.
    ReplayTiming,
    /// Scrubbing by the default policy, warm and cold, with and without the second look.
    Scrub,
    /// Which faults of the sample shop a run finds, beside what Diffy's rule finds in the same
    /// answers: 780 cases, as many at a time as fit into `--minutes`.
    Verdict,
    /// A leak of 1 KiB a request, beside what it truly leaks, and a cache that warms up.
    SlowBurn,
}

/// Measures and prints.
pub fn run(shell: &Shell, options: &Options) -> Result<()> {
    let effort = replay::Effort {
        rounds: options.rounds,
        seconds: options.seconds,
    };
    let lines = match options.name {
        Name::Detect => detect::run(shell, &options.profile)?,
        Name::Ingest => ingest::run(shell, options.rounds, options.mib)?,
        Name::Stream => stream::run(shell, options.rounds, options.mib)?,
        Name::Replay => {
            let mut lines = replay::cost(shell, effort)?;
            lines.extend(replay::release(shell, effort)?);
            lines
        }
        Name::ReplayCost => replay::cost(shell, effort)?,
        Name::ReplayRelease => replay::release(shell, effort)?,
        Name::ReplayScale => replay::scale(shell, effort)?,
        Name::ReplayTiming => replay::timing(shell, effort)?,
        Name::Scrub => scrub::run(shell, options.mib)?,
        Name::Verdict => verdict::run(
            shell,
            &verdict::Effort {
                minutes: options.minutes.unwrap_or(60),
                only: options.only.clone(),
                again: options.again,
                profile: options.profile.clone(),
                jobs: options.jobs,
                as_built: options.as_built,
                format: options.format,
            },
        )?,
        Name::SlowBurn => slow_burn::run(
            shell,
            &slow_burn::Effort {
                minutes: options.minutes.unwrap_or(10),
                profile: options.profile.clone(),
                as_built: options.as_built,
            },
        )?,
    };
    line::print(&lines, options.format)
}
