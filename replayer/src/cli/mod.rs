//! The command line. One module a command; what they do lives elsewhere.

mod agents;
mod audit;
mod certs;
mod ctl;
mod exchanges;
mod foreground;
mod import;
mod logging;
mod only;
mod output;
mod overrides;
mod plan;
mod policy;
mod progress;
mod replay;
mod report;
mod scope;
mod scrub;
mod serve;
mod sessions;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

pub use logging::LogFormat;

/// Exit code of a run whose verdict is pass, and of every other success.
pub const EXIT_PASS: u8 = 0;
/// Exit code of a run whose verdict is fail.
pub const EXIT_FAIL: u8 = 1;
/// Exit code of a run whose verdict is inconclusive.
pub const EXIT_INCONCLUSIVE: u8 = 2;
/// Exit code when something could not be done, wrong flags included.
pub const EXIT_ERROR: u8 = 3;

/// Know what production will do to your code before you release it.
#[derive(Debug, Parser)]
#[command(
    name = "twintap",
    version,
    propagate_version = true,
    after_help = "Examples:\n  \
        twintap import capture.pcap --archive ./archive\n  \
        twintap exchanges ./archive --format jsonl | head\n  \
        twintap plan run.yaml\n  \
        twintap replay run.yaml --dry-run\n  \
        twintap replay run.yaml\n  \
        twintap serve --archive /var/lib/twintap/archive\n\n\
        Exit codes: 0 done or verdict pass, 1 verdict fail, 2 verdict inconclusive, 3 error."
)]
pub struct Cli {
    /// How much to log: a level, or a filter such as `twintap_replayer=debug`.
    #[arg(long, global = true, env = "TWINTAP_LOG", default_value = "info")]
    log: String,
    /// How to write the log.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take frames from agents, keep the archive, run what `ctl` asks for.
    Serve(serve::Args),
    /// Bring a capture file into an archive.
    Import(import::Args),
    /// Scrub a snapshot of a database, with the pseudonyms of an archive's traffic.
    Scrub(scrub::Args),
    /// List the exchanges of an archive.
    Exchanges(exchanges::Args),
    /// List the sessions of an archive.
    Sessions(sessions::Args),
    /// Show what a run would fire: sessions, waits, bindings with their reasons.
    Plan(plan::Args),
    /// Replay an archive at candidate and baseline, as a run file says.
    Replay(replay::Args),
    /// Show the report of a run.
    Report(report::Args),
    /// Say what a run could not have seen.
    #[command(subcommand)]
    Scope(scope::Command),
    /// Check or show the log of who did what; search an archive for personal values.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check the rules of scrubbing.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Steer a daemon.
    Ctl(ctl::Args),
    /// Make a set of certificates to start with.
    Certs(certs::Args),
    /// Print shell completions.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Carries out the command and returns the exit code.
pub fn run(cli: Cli) -> Result<u8> {
    logging::start(&cli.log, cli.log_format)?;
    match cli.command {
        Command::Serve(args) => serve::run(args).map(|()| EXIT_PASS),
        Command::Import(args) => import::run(&args).map(|()| EXIT_PASS),
        Command::Scrub(args) => scrub::run(&args).map(|()| EXIT_PASS),
        Command::Exchanges(args) => exchanges::run(&args).map(|()| EXIT_PASS),
        Command::Sessions(args) => sessions::run(&args).map(|()| EXIT_PASS),
        Command::Plan(args) => plan::run(&args).map(|()| EXIT_PASS),
        Command::Replay(args) => replay::run(&args),
        Command::Report(args) => report::run(&args).map(|()| EXIT_PASS),
        Command::Scope(command) => scope::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Policy(command) => policy::run(&command),
        Command::Ctl(args) => ctl::run(args),
        Command::Certs(args) => certs::run(&args).map(|()| EXIT_PASS),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "twintap",
                &mut std::io::stdout(),
            );
            Ok(EXIT_PASS)
        }
    }
}
