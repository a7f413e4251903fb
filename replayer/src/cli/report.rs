//! `twintap report`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use twintap_verdict::{Report, html, junit, markdown, text};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap report ./out\n  \
    twintap report ./out --format markdown > comment.md")]
pub struct Args {
    /// The output directory of a run, or its report.json.
    run: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Html,
    Markdown,
    Junit,
}

pub fn run(args: &Args) -> Result<()> {
    let report = read(&args.run)?;
    match args.format {
        Format::Text => print!("{}", text(&report)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Html => print!("{}", html(&report)),
        Format::Markdown => print!("{}", markdown(&report)),
        Format::Junit => print!("{}", junit(&report)),
    }
    Ok(())
}

/// The report in an output directory, or in a file.
///
/// # Errors
/// When there is none that can be read.
pub fn read(run: &Path) -> Result<Report> {
    let path = if run.is_dir() {
        run.join("report.json")
    } else {
        run.to_owned()
    };
    let bytes =
        std::fs::read(&path).with_context(|| format!("reading the report {}", path.display()))?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no report of this version", path.display()))
}
