//! Prints how often the tests of the verdict find what is there, and how often what is not:
//! `cargo run --release -p twintap-verdict --example power [-- --format jsonl --runs 1000]`.

#[path = "../tests/statistics/simulate.rs"]
mod simulate;

use std::process::ExitCode;

use serde_json::json;
use simulate::{DESIGNS, Design};

const LEVEL: f64 = 0.01;
const SESSIONS: [usize; 5] = [10, 25, 50, 100, 400];

/// What the command line says.
struct Arguments {
    is_jsonl: bool,
    /// Runs for each figure.
    runs: u64,
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read(std::env::args().skip(1)) else {
        eprintln!("usage: power [--format table|jsonl] [--runs N]");
        return ExitCode::from(2);
    };
    let Arguments { is_jsonl, runs } = arguments;
    if !is_jsonl {
        println!(
            "Alarms in a hundred of {runs} runs each, at level {LEVEL}. The first row of a test"
        );
        println!("is the null hypothesis: there all alarms are false.");
    }
    for design in &DESIGNS {
        if !is_jsonl {
            println!("\n{}: {}", design.name, design.effect);
            let heads = SESSIONS.map(|sessions| format!("{sessions:>8}"));
            println!("{:>14}  {}", "sessions", heads.concat());
        }
        for effect in std::iter::once(design.null).chain(design.effects) {
            row(design, effect, &arguments);
        }
    }
    ExitCode::SUCCESS
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
        let mut arguments = Arguments {
            is_jsonl: false,
            runs: 1000,
        };
        while let Some(word) = words.next() {
            let value = words.next()?;
            match (word.as_str(), value.as_str()) {
                ("--format", "table") => arguments.is_jsonl = false,
                ("--format", "jsonl") => arguments.is_jsonl = true,
                ("--runs", runs) => arguments.runs = runs.parse().ok().filter(|runs| *runs > 0)?,
                _ => return None,
            }
        }
        Some(arguments)
    }
}

fn row(design: &Design, effect: f64, arguments: &Arguments) {
    let Arguments { is_jsonl, runs } = *arguments;
    let alarms = SESSIONS.map(|sessions| design.alarms_in(runs, sessions, effect, LEVEL));
    if !is_jsonl {
        let shares = alarms.map(|alarms| format!("{:>8.1}", 100.0 * alarms as f64 / runs as f64));
        let mark = if effect == design.null { "null" } else { "" };
        println!("{effect:>9} {mark:>4}  {}", shares.concat());
        return;
    }
    for (sessions, alarms) in SESSIONS.into_iter().zip(alarms) {
        let line = json!({
            "test": design.name,
            "effect": design.effect,
            "size": effect,
            "is_null": effect == design.null,
            "sessions": sessions,
            "level": LEVEL,
            "runs": runs,
            "alarms": alarms,
        });
        println!("{line}");
    }
}
