//! `twintap-agent`: see [`twintap_agent`].

use std::{env, io, io::IsTerminal as _, process::ExitCode};

use clap::Parser as _;
use tracing_subscriber::EnvFilter;
use twintap_agent::{
    config::{Command, CommandLine, LogFormat},
    preflight,
    run::{self, Source},
    top,
};

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    match command_line.command {
        Some(Command::Check) => check(),
        Some(Command::Top(options)) => ended(top::run(&options)),
        None => capture(Source {
            flags: command_line.options,
            file: command_line.config,
        }),
    }
}

fn check() -> ExitCode {
    let findings = preflight::check();
    for finding in &findings {
        println!("{finding}");
    }
    if findings.iter().all(|finding| finding.missing.is_none()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn capture(source: Source) -> ExitCode {
    let result = source.load().and_then(|config| {
        start_logs(config.log_format);
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
            .block_on(run::run(config, source))
    });
    ended(result)
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twintap-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().init(),
    }
}
