//! `twintap replay --only`: some exchanges, with everything that they depend on.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use twintap_verdict::{Closeup, Evidence, Excerpt};

use super::output::cell;
use super::report::read;
use crate::run::{OnlyReport, RunFile};

/// The widest line that is shown.
const MOST_COLUMNS: usize = 4096;

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Exchanges alone")]
pub struct OnlyArgs {
    /// Fire this exchange alone (its id), each of a session's (its name), or the example of a
    /// finding (`F3`), with everything that it depends on, at freshly reset twins; print the
    /// answers and where they differ. May be given several times. No report is written.
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["control", "pace", "gate", "metrics", "scope", "junit", "markdown"]
    )]
    only: Vec<String>,
    /// Where findings are named: a run's output directory or its report.json; by default
    /// that of the run file.
    #[arg(long, value_name = "PATH", requires = "only")]
    report: Option<PathBuf>,
}

impl OnlyArgs {
    /// Whether anything is to be fired alone.
    pub fn is_given(&self) -> bool {
        !self.only.is_empty()
    }

    /// The ids and names of sessions, those of findings among them.
    ///
    /// # Errors
    /// When a finding is named and there is no such.
    pub fn names(&self, file: &RunFile) -> Result<Vec<String>> {
        let names = self.only.iter();
        names
            .map(|name| match is_finding(name) {
                true => self.example_of(name, file),
                false => Ok(name.clone()),
            })
            .collect()
    }

    fn example_of(&self, name: &str, file: &RunFile) -> Result<String> {
        let path = self.report.clone().unwrap_or_else(|| file.report_path());
        let report = read(&path).with_context(|| format!("looking for {name}"))?;
        let findings = report.findings.iter().chain(&report.not_reproduced);
        let of_findings = findings.map(|finding| (&finding.id, &finding.evidence));
        let of_others = report
            .apart
            .iter()
            .map(|apart| (&apart.id, &apart.evidence));
        let Some((_, evidence)) = of_findings.chain(of_others).find(|(id, _)| *id == name) else {
            bail!("there is no {name} in {}", path.display());
        };
        let first = evidence.first().with_context(|| {
            format!(
                "{name} in {} is of no exchange that could be fired",
                path.display()
            )
        })?;
        Ok(first.exchange.clone())
    }
}

/// `F3`, `N1`, `A2`.
fn is_finding(name: &str) -> bool {
    let number = name.strip_prefix(['F', 'N', 'A']).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// For people.
pub fn text(report: &OnlyReport) -> String {
    let mut lines = Vec::new();
    for closeup in &report.exchanges {
        lines.extend(of_exchange(closeup));
        lines.push(String::new());
    }
    let differing = report.exchanges.iter();
    let differing = differing.filter(|closeup| !closeup.differences.is_empty());
    let reset = match report.reset {
        true => "both twins were reset first",
        false => "the twins were taken as they are: not both have a `reset` hook",
    };
    lines.push(format!(
        "{}: {} of {} exchanges differ; {} requests in all, {reset}",
        report.verdict.name().to_uppercase(),
        differing.count(),
        report.exchanges.len(),
        report.requests,
    ));
    lines.join("\n") + "\n"
}

fn of_exchange(closeup: &Closeup) -> Vec<String> {
    let Evidence {
        exchange,
        session,
        request,
        request_head,
        request_body,
        ..
    } = &closeup.exchange;
    let mut lines = vec![format!("exchange {exchange}, session {}", shown(session))];
    lines.push(format!("  {}", shown(request)));
    lines.extend(indented(request_head));
    if !request_body.is_empty() {
        lines.push(String::new());
        lines.extend(indented(request_body));
    }
    for (name, excerpt) in [
        ("production", &closeup.exchange.production),
        ("baseline", &closeup.exchange.baseline),
        ("candidate", &closeup.exchange.candidate),
    ] {
        lines.extend(of_answer(name, excerpt));
    }
    lines.push("differs".to_owned());
    for difference in &closeup.differences {
        let noise = match difference.is_noisy {
            true => " (the baseline differs from production there, too)",
            false => "",
        };
        lines.push(format!(
            "  {:<14} at {}: {}{noise}",
            difference.kind.name(),
            shown(&difference.at),
            shown(&difference.change)
        ));
    }
    if closeup.differences.is_empty() {
        lines.push(match closeup.is_compared {
            true => "  nowhere".to_owned(),
            false => "  there is nothing to compare".to_owned(),
        });
    }
    lines
}

fn of_answer(name: &str, excerpt: &Excerpt) -> Vec<String> {
    let latency = excerpt.latency_ms;
    let latency = latency.map_or_else(String::new, |ms| format!(" after {ms:.1} ms"));
    let mut lines = vec![format!("{name}{latency}")];
    match excerpt.text.as_str() {
        "" => lines.push("  (not seen)".to_owned()),
        text => lines.extend(indented(text)),
    }
    lines
}

fn indented(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| format!("  {}", shown(line)))
}

fn shown(text: &str) -> String {
    cell(text.as_bytes(), MOST_COLUMNS)
}
