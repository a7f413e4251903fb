//! `twintap`: the daemon and the command line.

use std::process::ExitCode;

use clap::Parser;
use twintap_replayer::cli::{self, Cli};

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
