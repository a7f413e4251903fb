//! Precision, recall and speed of the detectors, beside Presidio on the same values.

mod cases;
mod draw;
mod generate;
mod peer;
mod tally;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use twintap_tests::corpus::Corpus;
use xshell::{Shell, cmd};

use super::line::Line;
use crate::target_directory;
use tally::{Tally, f2};

/// Detectors alone, by kind and overall; then values a second.
///
/// `profile` is cargo's, that the detectors are built with.
pub fn run(shell: &Shell, profile: &str) -> Result<Vec<Line>> {
    let peer = peer::find(shell)?;
    let sentences = Corpus::find(None)?.path("pii/sentences.json");
    let cases = cases::all(&sentences)?;
    cmd!(
        shell,
        "cargo build --profile {profile} --package twintap-scrub --example detect"
    )
    .run()?;
    let built = target_directory().join(match profile {
        "dev" => "debug",
        profile => profile,
    });
    let program = built.join("examples/detect");
    let ours = answers(Command::new(program), &cases)?;
    let theirs = answers(peer.command(), &cases)?;
    Ok(lines(&cases, &ours, &theirs, &peer.name()))
}

/// A value to search, and what is in it.
#[derive(Clone, Debug, Serialize)]
struct Case {
    /// The name of its field.
    name: String,
    text: String,
    #[serde(skip)]
    truth: Vec<Span>,
}

/// Bytes of a text, and the word of their kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Span {
    start: usize,
    end: usize,
    kind: String,
}

/// What a tool found, case by case, and the seconds that it searched.
struct Answers {
    found: Vec<Vec<Span>>,
    seconds: f64,
}

/// Gives all cases to a tool, a JSON object a line. It answers each with a line of its spans, and
/// in the end with a number of seconds.
fn answers(mut tool: Command, cases: &[Case]) -> Result<Answers> {
    let mut child = tool
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {tool:?}"))?;
    let mut input = child.stdin.take().context("a tool without input")?;
    // Tools read everything before they answer.
    for case in cases {
        writeln!(input, "{}", serde_json::to_string(case)?)?;
    }
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{tool:?} failed: {}", output.status);
    }
    let answer = String::from_utf8(output.stdout)?;
    let mut lines = answer.lines();
    let seconds = lines
        .next_back()
        .context("a tool that says nothing")?
        .parse()?;
    let found = lines
        .map(serde_json::from_str)
        .collect::<Result<Vec<_>, _>>()?;
    if found.len() != cases.len() {
        bail!(
            "{tool:?} answered {} of {} values",
            found.len(),
            cases.len()
        );
    }
    Ok(Answers { found, seconds })
}

/// The peer has no bar in these: it has no such kind, or its kind is a wider one, or no pattern
/// and no checksum tells.
const WITHOUT_BAR: &[&str] = &["person-name", "street-address", "birth-date"];

fn lines(cases: &[Case], ours: &Answers, theirs: &Answers, peer: &str) -> Vec<Line> {
    let (ours_by, theirs_by) = (
        tally::by_kind(cases, &ours.found),
        tally::by_kind(cases, &theirs.found),
    );
    let mut lines = Vec::new();
    let (mut ours_all, mut theirs_all) = (Tally::default(), Tally::default());
    for (kind, one) in &ours_by {
        let other = theirs_by.get(kind).copied().unwrap_or_default();
        let has_bar = peer::has(kind) && !WITHOUT_BAR.contains(&kind.as_str());
        if has_bar {
            ours_all.add(one);
            theirs_all.add(&other);
        }
        let peer = if peer::has(kind) { peer } else { "no peer" };
        let metric = |what: &str| {
            format!(
                "{what} of {kind}, {} in {} values",
                one.truth(),
                cases.len()
            )
        };
        lines.push(line(
            metric("precision"),
            (one.precision(), other.precision()),
            peer,
            has_bar,
        ));
        lines.push(line(
            metric("recall"),
            (one.recall(), other.recall()),
            peer,
            has_bar,
        ));
    }
    let both = (f2(&ours_all), f2(&theirs_all));
    lines.push(line(
        "F2 over all kinds with a bar".to_owned(),
        both,
        peer,
        true,
    ));
    let bytes: usize = cases.iter().map(|case| case.text.len()).sum();
    let speed = |answers: &Answers| bytes as f64 / f64::from(1 << 20) / answers.seconds;
    let ratio = speed(ours) / speed(theirs);
    lines.push(Line {
        metric: format!("search of {} values", cases.len()),
        unit: "MiB/s",
        ours: speed(ours),
        peer: peer.to_owned(),
        theirs: speed(theirs),
        ratio,
        bar: ">= 100",
        meets: ratio >= 100.0,
    });
    lines
}

/// A share beside the peer's: higher, or both at what can't be bettered.
fn line(metric: String, (ours, theirs): (f64, f64), peer: &str, has_bar: bool) -> Line {
    let (ours, theirs) = (ours * 100.0, theirs * 100.0);
    let ratio = if theirs > 0.0 { ours / theirs } else { 0.0 };
    Line {
        metric,
        unit: "%",
        ours,
        peer: peer.to_owned(),
        theirs,
        ratio,
        bar: if has_bar {
            "> 1, or both 100 %"
        } else {
            "none"
        },
        meets: !has_bar || ours > theirs || (ours >= 100.0 && theirs >= 100.0),
    }
}

/// Tallies by kind.
type ByKind = BTreeMap<String, Tally>;

/// A path as UTF-8.
fn utf8(path: &Path) -> Result<&str> {
    super::ingest::utf8(path)
}
