//! `twintap replay`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use twintap_verdict::{Verdict, text};

use super::{EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS};
use crate::fire::RunControl;
use crate::run::{Progress, RunFile, dry_run, execute};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap replay run.yaml --dry-run\n  \
    twintap replay run.yaml --format json | jq .verdict\n\n\
    Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 error. The run file is described in docs/run-file.md.")]
pub struct Args {
    /// The run file.
    run_file: PathBuf,
    /// Print the plan and fire nothing.
    #[arg(long)]
    dry_run: bool,
    /// How to print the plan or the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(args: &Args) -> Result<u8> {
    let file = RunFile::read(&args.run_file)?;
    if args.dry_run {
        let plan = dry_run(&file)?;
        match args.format {
            Format::Text => print!("{}", plan.text()),
            Format::Json => println!("{}", serde_json::to_string_pretty(&plan)?),
        }
        return Ok(EXIT_PASS);
    }
    let control = RunControl::new().context("making the run")?;
    let bar = ProgressBar::no_length().with_style(
        ProgressStyle::with_template("{msg} {pos}/{len} {wide_bar} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let report = execute(&file, &control, &mut |progress| show(&bar, &progress));
    bar.finish_and_clear();
    let report = report?;
    match args.format {
        Format::Text => print!("{}", text(&report)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(match report.verdict {
        Verdict::Pass => EXIT_PASS,
        Verdict::Fail => EXIT_FAIL,
        Verdict::Inconclusive => EXIT_INCONCLUSIVE,
    })
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_message(progress.phase.word());
    // Both twins go through the plan; the slower one says how far the run is.
    let done = [progress.candidate, progress.baseline]
        .map(|twin| twin.answered + twin.errored + twin.refused + twin.skipped);
    bar.set_length(progress.planned);
    bar.set_position(done[0].min(done[1]));
}
