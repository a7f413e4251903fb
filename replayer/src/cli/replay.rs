//! `twintap replay`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use twintap_verdict::{Verdict, junit, markdown, text};

use super::audit::AuditArgs;
use super::foreground::{ControlArgs, Foreground};
use super::only::{OnlyArgs, text as only_text};
use super::overrides::Overrides;
use super::progress::{Event, Place, View, print_event};
use super::{EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS};
use crate::audit::{Data, Trail};
use crate::fire::RunControl;
use crate::run::shell::quoted;
use crate::run::{RunFile, dry_run, execute, only, only_dry_run, write};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap replay run.yaml --dry-run\n  \
    twintap replay run.yaml --format json | jq .verdict\n  \
    twintap replay run.yaml --speed 2 --filter method=GET --filter path=/api\n  \
    twintap replay run.yaml --from 2026-01-31T12:00:00Z --to 2026-01-31T12:05:00Z\n  \
    twintap replay run.yaml --rate 500 --scale 3 --ramp 60s --warm-up 30s\n  \
    twintap replay run.yaml --pace asap --in-flight 32 --loop 10\n  \
    twintap replay run.yaml --pace closed --filter session=s-0123456789ab\n  \
    twintap replay run.yaml --only F3\n  \
    twintap replay run.yaml --only node-1/000000000000002a/0000000000000007/512\n  \
    twintap replay run.yaml --control 127.0.0.1:7311\n  \
    twintap replay run.yaml --gate gate.yaml --metrics metrics.yaml --junit junit.xml\n\n\
    SIGINT and SIGTERM stop the run, which then reports what it saw; a second one ends it at once.\n\
    Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 error. The run file is described in docs/run-file.md.")]
pub struct Args {
    /// The run file.
    run_file: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    only: OnlyArgs,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    rules: RuleFiles,
    #[command(flatten)]
    audit: AuditArgs,
    /// Print the plan and fire nothing.
    #[arg(long, conflicts_with_all = ["junit", "markdown"])]
    dry_run: bool,
    /// How to print the plan or the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write the report as JUnit XML, too: a test for each endpoint.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the report as Markdown, too, for a pull request.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl Args {
    /// The run file as the flags change it.
    fn file(&self) -> Result<RunFile> {
        let mut file = RunFile::read(&self.run_file)?;
        self.overrides.apply(&mut file)?;
        self.rules.apply(&mut file);
        // Flags of load may go with the file's load, and not with that of one look.
        if self.only.is_given() {
            file.load_once();
        }
        Ok(file)
    }
}

/// Files of rules, in place of those of the run file.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What it is judged by")]
struct RuleFiles {
    /// What is let through: docs/gate.md.
    #[arg(long, value_name = "FILE")]
    gate: Option<PathBuf>,
    /// Business figures: docs/metrics.md.
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// What the twins are made of: docs/scope.md.
    #[arg(long, value_name = "FILE")]
    scope: Option<PathBuf>,
}

impl RuleFiles {
    fn apply(&self, file: &mut RunFile) {
        let given = [
            ("gate", &self.gate, &mut file.gate),
            ("metrics", &self.metrics, &mut file.metrics),
            ("scope", &self.scope, &mut file.scope),
        ];
        for (flag, given, place) in given {
            if let Some(path) = given {
                *place = Some(path.clone());
                let word = quoted(&path.to_string_lossy());
                file.reproduce += &format!(" --{flag} {word}");
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people; how far the run is goes to standard error.
    Text,
    /// One object at the end.
    Json,
    /// One object a line: how far the run is each second, then its verdict.
    Jsonl,
}

pub fn run(args: &Args) -> Result<u8> {
    let file = args.file()?;
    let only = args.only.names(&file)?;
    let trail = args.audit.trail(&file.archive);
    if args.dry_run {
        let plan = match args.only.is_given() {
            true => only_dry_run(&file, &only)?,
            false => dry_run(&file)?,
        };
        trail.reveal(&file.archive, Data::Plan)?;
        match args.format {
            Format::Text => print!("{}", plan.text()),
            Format::Json => println!("{}", serde_json::to_string_pretty(&plan)?),
            Format::Jsonl => println!("{}", serde_json::to_string(&plan)?),
        }
        return Ok(EXIT_PASS);
    }
    let control = RunControl::new().context("making the run")?;
    if args.only.is_given() {
        return run_only(args, &file, &only, &control, &trail);
    }
    let foreground = Foreground::start(&file, &control, &args.control, &trail)?;
    let mut view = View::new(args.format.place());
    let report = trail.run(
        &file,
        &[],
        || execute(&file, &control, &mut |progress| view.show(&progress)),
        |report| report.verdict,
    );
    view.finish();
    foreground.end(&report);
    let report = report?;
    if let Some(path) = &args.junit {
        write(path, &junit(&report))?;
    }
    if let Some(path) = &args.markdown {
        write(path, &markdown(&report))?;
    }
    match args.format {
        Format::Text => print!("{}", text(&report)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Jsonl => print_event(&Event::Done {
            verdict: report.verdict.name(),
            report: file.report_path().display().to_string(),
        }),
    }
    Ok(exit_code(report.verdict))
}

/// Fires some exchanges alone; a signal ends it at once.
fn run_only(
    args: &Args,
    file: &RunFile,
    names: &[String],
    control: &RunControl,
    trail: &Trail,
) -> Result<u8> {
    let mut view = View::new(args.format.place());
    let report = trail.run(
        file,
        names,
        || only(file, names, control, &mut |progress| view.show(&progress)),
        |report| report.verdict,
    );
    view.finish();
    let report = report?;
    match args.format {
        Format::Text => print!("{}", only_text(&report)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Jsonl => println!("{}", serde_json::to_string(&report)?),
    }
    Ok(exit_code(report.verdict))
}

fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => EXIT_PASS,
        Verdict::Fail => EXIT_FAIL,
        Verdict::Inconclusive => EXIT_INCONCLUSIVE,
    }
}

impl Format {
    /// Where it leaves progress to go.
    fn place(self) -> Place {
        match self {
            Format::Text | Format::Json => Place::People,
            Format::Jsonl => Place::Programs,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use twintap_plan::Pace;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(run_file: &Path, flags: &str) -> Result<Args, clap::Error> {
        let run_file = run_file.to_string_lossy();
        let words = ["replay", &run_file].into_iter();
        Line::try_parse_from(words.chain(flags.split_whitespace())).map(|line| line.args)
    }

    #[track_caller]
    fn check_fired_alone(load: &str) {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let path = directory.path().join("run.yaml");
        let text = "version: 1\narchive: a\nallow: []\ntargets:\n  \
            candidate: {address: 'a:1'}\n  baseline: {address: 'b:1'}\n";
        std::fs::write(&path, text).expect("a file");
        let file = |flags: &str| parse(&path, flags).expect("sound flags").file();
        let run = file(load).expect("no contradiction");
        assert!(run.reproduce.ends_with(load), "{}", run.reproduce);
        assert!(!run.replay.contains("--"), "{}", run.replay);
        let alone = file(&format!("{load} --only s-1")).expect("no contradiction");
        assert_eq!(alone.settings.pace, Pace::Asap);
        assert_eq!((alone.settings.speed, alone.settings.rate), (None, None));
        assert!(alone.settings.ramp.0.is_zero());
    }

    #[test]
    fn what_a_run_under_load_showed_is_fired_alone() {
        check_fired_alone("--speed 2");
        check_fired_alone("--rate 5 --ramp 10s");
        check_fired_alone("--scale 3 --loop 2 --warm-up 1s");
    }

    #[test]
    fn flags_without_effect_are_refused() {
        let refused = |flags: &str| {
            let error = parse(Path::new("run.yaml"), flags).expect_err(flags);
            assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict);
        };
        for file in ["junit", "markdown", "gate", "metrics", "scope"] {
            refused(&format!("--only s-1 --{file} a.file"));
        }
        refused("--only s-1 --pace recorded");
        refused("--dry-run --junit a.xml");
        refused("--dry-run --markdown a.md");
        parse(Path::new("run.yaml"), "--only s-1 --dry-run").expect("the plan of one");
    }
}
