//! `cargo xtask corpus`: what is found in real captures, beside other tools.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use twintap_tests::corpus::{self, Comparison, Corpus, Row, Tally};
use xshell::{Shell, cmd};

/// Which captures, and how to print what was found.
#[derive(Args)]
pub struct Options {
    /// How to print the comparison.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The folder with INDEX.tsv, captures/ and truth/; else TWINTAP_CORPUS names it.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// Instead of comparing: break each capture in so many ways, and look for a panic, a ledger
    /// that doesn't close, a limit that doesn't hold, or endless work.
    #[arg(long, value_name = "N")]
    mutations: Option<u32>,
    /// Where the mutations begin: a failure names the seed that shows it again.
    #[arg(long, requires = "mutations", default_value_t = 0)]
    seed: u64,
    /// Mutate this capture alone, by its path below captures/.
    #[arg(long, requires = "mutations")]
    capture: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people.
    Text,
    /// One JSON object.
    Json,
    /// One JSON object a row.
    Jsonl,
}

/// Compares and prints; fails when a difference has no explanation.
pub fn run(shell: &Shell, options: &Options) -> Result<()> {
    let corpus = Corpus::find(options.corpus.as_deref())?;
    if let Some(mutations) = options.mutations {
        return mutate(shell, &corpus, mutations, options);
    }
    let comparison = corpus::compare(&corpus)?;
    match options.format {
        Format::Text => text(&comparison),
        Format::Json => println!("{}", serde_json::to_string_pretty(&comparison)?),
        Format::Jsonl => lines(&comparison)?,
    }
    if !comparison.is_sound() {
        let unexplained = comparison.differences.iter().filter(|d| d.why.is_none());
        bail!(
            "{} differences without an explanation, {} explanations without a difference, \
             {} captures whose ledger does not close; explain a difference by a row in \
             crates/stream/tests/corpus_differences.md",
            unexplained.count(),
            comparison.stale.len(),
            comparison.unclosed.len()
        );
    }
    Ok(())
}

fn mutate(shell: &Shell, corpus: &Corpus, mutations: u32, options: &Options) -> Result<()> {
    let corpus = std::path::absolute(corpus.path("")).context("the corpus' path")?;
    let _corpus = shell.push_env("TWINTAP_CORPUS", corpus);
    let _mutations = shell.push_env("TWINTAP_MUTATIONS", mutations.to_string());
    let _seed = shell.push_env("TWINTAP_MUTATION_SEED", options.seed.to_string());
    let _capture = options
        .capture
        .as_ref()
        .map(|capture| shell.push_env("TWINTAP_MUTATION_CAPTURE", capture));
    cmd!(
        shell,
        "cargo test --release --package twintap-stream --test stream -- --nocapture mutations::"
    )
    .run()
    .context("a mutated capture broke the stream; the line above that begins with again: shows it")
}

fn lines(comparison: &Comparison) -> Result<()> {
    for row in &comparison.rows {
        println!("{}", json!({ "row": row }));
    }
    for difference in &comparison.differences {
        println!("{}", json!({ "difference": difference }));
    }
    for difference in &comparison.stale {
        println!("{}", json!({ "stale": difference }));
    }
    for capture in &comparison.unclosed {
        println!("{}", json!({ "unclosed": capture }));
    }
    Ok(())
}

fn text(comparison: &Comparison) {
    println!(
        "Messages of the ground truth (tshark), and exchanges found. Wrong, missing and extra \
         ones are explained below.\n"
    );
    println!(
        "{:<16} {:<9} {:<9} {:>6} {:>6} {:>6} {:>7} {:>6} {:>11}   {:>9} {:>9}",
        "source",
        "protocol",
        "messages",
        "truth",
        "equal",
        "wrong",
        "missing",
        "extra",
        "unexplained",
        "exchanges",
        "complete"
    );
    let mut totals = [Tally::default(); 3];
    for row in &comparison.rows {
        let tallies = [
            ("requests", &row.requests),
            ("responses", &row.responses),
            ("frames", &row.parts),
        ];
        let exchanges = format!("{:>9} {:>9}", row.exchanges, row.complete);
        let mut beside = Some(exchanges.as_str());
        for ((name, tally), total) in tallies.into_iter().zip(&mut totals) {
            total.add(tally);
            if *tally != Tally::default() {
                let beside = beside.take().unwrap_or("");
                line(&row.source, &row.protocol, name, tally, beside);
            }
        }
        if let Some(beside) = beside {
            println!(
                "{:<16} {:<9} {:<9} {:>56}   {beside}",
                row.source, row.protocol, "-", "no ground truth",
            );
        }
    }
    for (name, tally) in ["requests", "responses", "frames"].iter().zip(&totals) {
        line("all", "", name, tally, "");
    }
    beside_the_peer(&comparison.rows);
    notes(comparison);
}

fn line(source: &str, protocol: &str, name: &str, tally: &Tally, beside: &str) {
    println!(
        "{source:<16} {protocol:<9} {name:<9} {:>6} {:>6} {:>6} {:>7} {:>6} {:>11}   {beside}",
        tally.truth, tally.equal, tally.wrong, tally.missing, tally.extra, tally.unexplained,
    );
}

fn beside_the_peer(rows: &[Row]) {
    println!(
        "\nHTTP/1 messages counted in the captures that {} has read:\n",
        corpus::PEER
    );
    println!(
        "{:<16} {:<9} {:>6} {:>8} {:>15}",
        "source",
        "messages",
        "truth",
        "twintap",
        corpus::PEER
    );
    for row in rows {
        let Some(beside) = row.peer else { continue };
        for (name, truth, ours, theirs) in [
            (
                "requests",
                beside.truth.requests,
                beside.ours.requests,
                beside.theirs.requests,
            ),
            (
                "responses",
                beside.truth.responses,
                beside.ours.responses,
                beside.theirs.responses,
            ),
        ] {
            println!(
                "{:<16} {name:<9} {truth:>6} {ours:>8} {theirs:>15}",
                row.source
            );
        }
    }
}

fn notes(comparison: &Comparison) {
    println!("\nDifferences:");
    let mut capture = Path::new("");
    for difference in &comparison.differences {
        if capture != Path::new(&difference.capture) {
            capture = Path::new(&difference.capture);
            println!("\n{}", capture.display());
        }
        println!(
            "  {} {}: {}\n    {}",
            difference.what,
            difference.count,
            difference.item,
            difference.why.as_deref().unwrap_or("NOT EXPLAINED")
        );
    }
    for difference in &comparison.stale {
        println!(
            "\nexplained, but not found: {} {} {}: {}",
            difference.capture, difference.what, difference.count, difference.item
        );
    }
    for capture in &comparison.unclosed {
        println!("\na ledger that does not close: {capture}");
    }
}
