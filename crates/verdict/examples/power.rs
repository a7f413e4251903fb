//! Prints how often the tests of the verdict find what is there, and how often what is not:
//! `cargo run --release -p twintap-verdict --example power [-- --format jsonl]`.

#[path = "../tests/statistics/simulate.rs"]
mod simulate;

use std::process::ExitCode;

use serde_json::json;
use simulate::{DESIGNS, Design};

/// Runs for each figure.
const RUNS: u64 = 1000;
const LEVEL: f64 = 0.01;
const SESSIONS: [usize; 5] = [10, 25, 50, 100, 400];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_jsonl = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] | ["--format", "table"] => false,
        ["--format", "jsonl"] => true,
        _ => {
            eprintln!("usage: power [--format table|jsonl]");
            return ExitCode::from(2);
        }
    };
    if !is_jsonl {
        println!(
            "Alarms in a hundred of {RUNS} runs each, at level {LEVEL}; the first row of a test is"
        );
        println!("the null hypothesis: there all alarms are false.");
    }
    for design in &DESIGNS {
        if !is_jsonl {
            println!("\n{}: {}", design.name, design.effect);
            let heads = SESSIONS.map(|sessions| format!("{sessions:>8}"));
            println!("{:>14}  {}", "sessions", heads.concat());
        }
        for effect in std::iter::once(design.null).chain(design.effects) {
            row(design, effect, is_jsonl);
        }
    }
    ExitCode::SUCCESS
}

fn row(design: &Design, effect: f64, is_jsonl: bool) {
    let alarms = SESSIONS.map(|sessions| design.alarms_in(RUNS, sessions, effect, LEVEL));
    if !is_jsonl {
        let shares = alarms.map(|alarms| format!("{:>8.1}", 100.0 * alarms as f64 / RUNS as f64));
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
            "runs": RUNS,
            "alarms": alarms,
        });
        println!("{line}");
    }
}
