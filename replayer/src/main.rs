//! `twintap`: the daemon and the command line.

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use twintap_replayer::cli::{self, Cli};

/// Answers are allocated by the thread that fires and freed by the one that compares,
/// which the usual allocators make each other wait for.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors and go to standard output.
            let code = if error.use_stderr() {
                cli::EXIT_ERROR
            } else {
                0
            };
            // Nothing can be done when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match cli::run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(cli::EXIT_ERROR)
        }
    }
}
