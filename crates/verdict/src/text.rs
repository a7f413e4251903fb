//! The report for a terminal, and as Markdown.

use std::fmt::Write as _;

use crate::gate::Level;
use crate::kind::Kind;
use crate::outline::{further, level_note, rows};
use crate::reasons::percent;
use crate::report::{Finding, Report, RunLedger, Verdict};

/// Findings shown in full.
const MOST_FINDINGS: usize = 20;

/// A short report in plain text.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = write_text(report, &mut out);
    out
}

/// The report as Markdown, for a comment or a build's summary.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = write_markdown(report, &mut out);
    out
}

fn write_text(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(out, "{}", report.verdict.name().to_uppercase())?;
    if report.verdict != Verdict::Fail {
        for reason in further(report) {
            writeln!(out, "  {}", plain(reason))?;
        }
    }
    for finding in report.findings.iter().take(MOST_FINDINGS) {
        writeln!(out)?;
        writeln!(
            out,
            "{:<4} {:<14} {}",
            finding.id,
            finding.kind.name(),
            plain(&finding.summary)
        )?;
        if finding.level != Level::Fail {
            writeln!(out, "     level          {}", finding.level.name())?;
        }
        for also in &finding.also {
            writeln!(
                out,
                "     also           {} at {}",
                also.kind,
                plain(&also.location)
            )?;
        }
        if let Some(example) = finding.evidence.first() {
            writeln!(
                out,
                "     for example    {} at {}",
                plain(&example.request),
                plain(&example.at)
            )?;
            writeln!(
                out,
                "                    exchange {}, session {}",
                example.exchange,
                plain(&example.session)
            )?;
        }
        write_confirmation(finding, out)?;
        for consequence in finding.consequences.iter().take(3) {
            writeln!(
                out,
                "     then           {} {} at {}, {}",
                plain(&consequence.endpoint),
                consequence.kind,
                plain(&consequence.location),
                times(consequence.count)
            )?;
        }
        if finding.consequences.len() > 3 {
            writeln!(
                out,
                "     then           {} more",
                finding.consequences.len() - 3
            )?;
        }
        if !finding.related.is_empty() {
            writeln!(out, "     related        {}", finding.related.join(", "))?;
        }
    }
    if report.findings.len() > MOST_FINDINGS {
        writeln!(
            out,
            "\n... and {} more findings",
            report.findings.len() - MOST_FINDINGS
        )?;
    }
    if report.verdict == Verdict::Fail {
        for reason in further(report) {
            writeln!(out, "\n{}", plain(reason))?;
        }
    }
    write_not_reproduced(report, out)?;
    write_apart(report, out)?;
    let detail = &report.fidelity_detail;
    writeln!(out)?;
    writeln!(
        out,
        "fidelity     {} ({} of {} exchanges{})",
        percent(report.fidelity),
        detail.equal,
        detail.exchanges,
        causes(&detail.unequal)
    )?;
    writeln!(
        out,
        "compared     {} exchanges; sessions: {}; endpoints: {}",
        report.scope.compared,
        report.scope.sessions,
        report.scope.endpoints.len()
    )?;
    if report.scope.warm_up > 0 {
        writeln!(
            out,
            "warm-up      {} requests, not judged",
            report.scope.warm_up
        )?;
    }
    for (about, statement) in rows(report) {
        writeln!(out, "{about:<12} {}", plain(&statement))?;
    }
    let runs = &report.ledgers.runs;
    writeln!(out, "candidate    {}", run(&runs.candidate))?;
    writeln!(out, "baseline     {}", run(&runs.baseline))?;
    if let Some(second) = &runs.second_baseline {
        writeln!(out, "second       {}", run(second))?;
    }
    let kernel = &report.ledgers.kernel;
    let store = &report.ledgers.store;
    writeln!(
        out,
        "capture      {}: {} bytes seen, {} dropped; {} exchanges stored, {} discarded",
        report.capture_source.name(),
        kernel.seen_bytes,
        kernel.dropped_bytes,
        store.stored,
        store.discarded
    )?;
    let release = &report.release_error_us;
    writeln!(
        out,
        "release      p50 {:.0} us, p99 {:.0} us, max {:.0} us after ready",
        release.p50, release.p99, release.max
    )
}

/// Whether it showed again, and the command by which it can be seen again.
fn write_confirmation(finding: &Finding, out: &mut String) -> std::fmt::Result {
    if let Some(confirmation) = &finding.confirmation {
        writeln!(
            out,
            "     fired again    {}",
            plain(&confirmation.statement)
        )?;
    }
    let example = finding.evidence.first();
    if let Some(commands) = example.and_then(|example| example.reproduce.as_ref()) {
        writeln!(out, "     see it again   {}", plain(&commands.replay))?;
    }
    Ok(())
}

/// What was no finding since it did not show again.
fn write_not_reproduced(report: &Report, out: &mut String) -> std::fmt::Result {
    if !report.not_reproduced.is_empty() {
        writeln!(out)?;
    }
    for finding in report.not_reproduced.iter().take(MOST_FINDINGS) {
        writeln!(
            out,
            "{:<4} {:<14} {}: no finding",
            finding.id,
            finding.kind.name(),
            plain(&finding.summary)
        )?;
        write_confirmation(finding, out)?;
    }
    if report.not_reproduced.len() > MOST_FINDINGS {
        let more = report.not_reproduced.len() - MOST_FINDINGS;
        writeln!(out, "... and {more} more not reproduced")?;
    }
    Ok(())
}

/// What differs and is not held against the candidate.
fn write_apart(report: &Report, out: &mut String) -> std::fmt::Result {
    if !report.apart.is_empty() {
        writeln!(out)?;
    }
    for apart in report.apart.iter().take(MOST_FINDINGS) {
        let kind = apart.kind.map_or("", Kind::name);
        writeln!(
            out,
            "{:<4} {:<14} {} {kind} at {}, {}: no finding",
            apart.id,
            apart.cause.name(),
            plain(&apart.endpoint),
            plain(&apart.location),
            times(apart.count)
        )?;
        let example = apart.evidence.first();
        if let Some((example, raced)) =
            example.and_then(|example| Some((example, example.races.first()?)))
        {
            writeln!(
                out,
                "     for example    exchange {} and exchange {}, both of {}",
                example.exchange,
                raced.exchange,
                plain(&raced.resource)
            )?;
        }
        if !apart.consequences.is_empty() {
            let follow: u64 = apart.consequences.iter().map(|then| then.count).sum();
            writeln!(out, "     then           {}", times(follow))?;
        }
    }
    if report.apart.len() > MOST_FINDINGS {
        let more = report.apart.len() - MOST_FINDINGS;
        writeln!(out, "... and {more} more apart")?;
    }
    Ok(())
}

fn write_markdown(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(out, "## Twintap: {}\n", report.verdict.name())?;
    if report.findings.is_empty() {
        for reason in further(report) {
            writeln!(out, "- {}", escaped(reason))?;
        }
    } else {
        writeln!(out, "| | kind | finding | exchanges | sessions |")?;
        writeln!(out, "|---|---|---|---:|---:|")?;
        for finding in report.findings.iter().take(MOST_FINDINGS) {
            writeln!(
                out,
                "| {} | {}{} | {} | {} of {} | {} |",
                finding.id,
                finding.kind,
                level_note(finding.level),
                escaped(&finding.summary),
                finding.count,
                finding.compared,
                finding.sessions
            )?;
        }
        if report.findings.len() > MOST_FINDINGS {
            writeln!(
                out,
                "\n... and {} more.",
                report.findings.len() - MOST_FINDINGS
            )?;
        }
        for finding in report.findings.iter().take(MOST_FINDINGS) {
            write_markdown_finding(finding, out)?;
        }
        for reason in further(report) {
            writeln!(out, "\n{}", escaped(reason))?;
        }
    }
    write_markdown_apart(report, out)?;
    let detail = &report.fidelity_detail;
    let runs = &report.ledgers.runs;
    writeln!(out, "\n| | |\n|---|---|")?;
    writeln!(
        out,
        "| fidelity | {} ({} of {} exchanges{}) |",
        percent(report.fidelity),
        detail.equal,
        detail.exchanges,
        causes(&detail.unequal)
    )?;
    writeln!(
        out,
        "| compared | {} exchanges of {} sessions |",
        report.scope.compared, report.scope.sessions
    )?;
    if report.scope.warm_up > 0 {
        writeln!(
            out,
            "| warm-up | {} requests, not judged |",
            report.scope.warm_up
        )?;
    }
    for (about, statement) in rows(report) {
        writeln!(out, "| {about} | {} |", escaped(&statement))?;
    }
    writeln!(out, "| candidate | {} |", run(&runs.candidate))?;
    writeln!(out, "| baseline | {} |", run(&runs.baseline))?;
    match &runs.second_baseline {
        Some(second) => writeln!(out, "| second baseline | {} |", run(second)),
        None => Ok(()),
    }
}

/// What differs and is no finding: since it did not show again, or was kept apart.
fn write_markdown_apart(report: &Report, out: &mut String) -> std::fmt::Result {
    if !report.not_reproduced.is_empty() || !report.apart.is_empty() {
        writeln!(out, "\n### No findings\n")?;
    }
    for finding in report.not_reproduced.iter().take(MOST_FINDINGS) {
        let (id, kind, summary) = (&finding.id, finding.kind, escaped(&finding.summary));
        writeln!(out, "- {id} {kind}: {summary}, and did not show again")?;
    }
    for apart in report.apart.iter().take(MOST_FINDINGS) {
        let (endpoint, location) = (escaped(&apart.endpoint), escaped(&apart.location));
        let (id, cause, count) = (&apart.id, apart.cause.name(), times(apart.count));
        writeln!(out, "- {id} {cause}: {endpoint} at {location}, {count}")?;
    }
    let more = |count: usize| count.saturating_sub(MOST_FINDINGS);
    match more(report.not_reproduced.len()) + more(report.apart.len()) {
        0 => Ok(()),
        more => writeln!(out, "- and {more} more"),
    }
}

fn write_markdown_finding(finding: &Finding, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n### {} {}\n", finding.id, escaped(&finding.endpoint))?;
    writeln!(
        out,
        "{} at {}. {}",
        finding.kind,
        escaped(&finding.location),
        escaped(&finding.test.statement)
    )?;
    if let Some(confirmation) = &finding.confirmation {
        writeln!(out, "\n{}", escaped(&confirmation.statement))?;
    }
    if let Some(example) = finding.evidence.first() {
        writeln!(
            out,
            "\nExample: {} ({})\n",
            escaped(&example.request),
            escaped(&example.exchange)
        )?;
        let sides = [
            ("production", &example.production),
            ("baseline", &example.baseline),
            ("candidate", &example.candidate),
        ];
        for (name, excerpt) in sides {
            writeln!(out, "{name}:\n")?;
            // An indented block can't be ended from within, whatever is in it.
            for line in excerpt.text.lines().take(12) {
                writeln!(out, "    {}", plain(line).trim_end())?;
            }
            writeln!(out)?;
        }
        if let Some(commands) = &example.reproduce {
            writeln!(out, "See it again:\n\n    {}\n", plain(&commands.replay))?;
        }
    }
    for consequence in &finding.consequences {
        writeln!(
            out,
            "- then: {} {} at {}, {}",
            escaped(&consequence.endpoint),
            consequence.kind,
            escaped(&consequence.location),
            times(consequence.count)
        )?;
    }
    Ok(())
}

fn run(ledger: &RunLedger) -> String {
    format!(
        "{} planned = {} answered + {} errored + {} refused + {} skipped{}",
        ledger.planned,
        ledger.answered,
        ledger.errored,
        ledger.refused,
        ledger.skipped,
        if ledger.unexplained == 0 {
            String::new()
        } else {
            format!(" (does not close: {})", ledger.unexplained)
        }
    )
}

fn causes(counts: &std::collections::BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    for (cause, count) in counts {
        let _ = write!(text, ", {count} {cause}");
    }
    text
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

/// Without control characters, which a terminal would obey.
fn plain(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

/// Without what Markdown or its HTML would obey.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in plain(text).chars() {
        if "\\`*_{}[]<>()#+!|~&".contains(char) {
            out.push('\\');
        }
        out.push(char);
    }
    out
}
