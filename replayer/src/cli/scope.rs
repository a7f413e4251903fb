//! `twintap scope`.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use twintap_verdict::scope::{Check, check_incidents};

use super::output::cell;
use super::report::read;
use super::{EXIT_FAIL, EXIT_PASS};
use crate::run::{incidents, scope};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Hold incidents that a run did not foresee against what its scope says.
    Check(Args),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap scope check --scope scope.yaml --incidents incidents.yaml\n  \
    twintap scope check --scope scope.yaml --incidents incidents.yaml --report ./out --format json\n\n\
    Exit codes: 0 the scope explains every incident, 1 it does not, 3 error. Both files are\n\
    described in docs/scope.md.")]
pub struct Args {
    /// The scope file.
    #[arg(long, value_name = "FILE")]
    scope: PathBuf,
    /// The incidents: what broke in production though the twin passed.
    #[arg(long, value_name = "FILE")]
    incidents: PathBuf,
    /// The report of the run that passed, or the run's output directory.
    #[arg(long, value_name = "RUN")]
    report: Option<PathBuf>,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// A list of objects.
    Json,
}

pub fn run(command: &Command) -> Result<u8> {
    let Command::Check(args) = command;
    let components = scope(&args.scope)?;
    let incidents = incidents(&args.incidents)?;
    let report = args.report.as_deref().map(read).transpose()?;
    let checks = check_incidents(&incidents, &components, report.as_ref());
    match args.format {
        Format::Text => print!("{}", text(&checks)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&checks)?),
    }
    Ok(match checks.iter().all(|check| check.is_explained) {
        true => EXIT_PASS,
        false => EXIT_FAIL,
    })
}

fn text(checks: &[Check]) -> String {
    let mut lines = Vec::new();
    let line = |text: &str| cell(text.as_bytes(), usize::MAX - 1);
    for check in checks {
        let word = match check.is_explained {
            true => "explained",
            false => "NOT EXPLAINED",
        };
        lines.push(format!("{}: {word}", line(&check.incident.name)));
        for explanation in &check.explanations {
            lines.push(format!("  why     {}", line(&explanation.statement())));
        }
        for advice in &check.advice {
            lines.push(format!("  change  {}", line(advice)));
        }
    }
    let explained = checks.iter().filter(|check| check.is_explained).count();
    let all = checks.len();
    lines.push(format!(
        "{explained} of {all} incidents are explained by the scope"
    ));
    lines.join("\n") + "\n"
}
