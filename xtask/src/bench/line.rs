//! One figure of a bench, and the machine it was measured on.

use std::fs;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;

/// How figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Jsonl,
}

/// One figure beside a peer's.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was measured.
    pub metric: String,
    /// The unit of `ours` and `theirs`.
    pub unit: &'static str,
    /// Our median.
    pub ours: f64,
    /// The peer's name and version.
    pub peer: String,
    /// The peer's median.
    pub theirs: f64,
    /// ours / theirs or theirs / ours, so that the bar reads naturally.
    pub ratio: f64,
    /// The bar that the ratio has to meet.
    pub bar: &'static str,
    /// Whether it does.
    pub meets: bool,
}

/// Prints the figures, the machine first.
pub fn print(lines: &[Line], format: Format) -> Result<()> {
    let machine = machine();
    for line in lines {
        match format {
            Format::Jsonl => println!(
                "{}",
                json!({
                    "metric": line.metric, "unit": line.unit, "ours": line.ours,
                    "peer": line.peer, "theirs": line.theirs, "ratio": line.ratio,
                    "bar": line.bar, "meets": line.meets, "machine": machine,
                })
            ),
            Format::Text => println!(
                "{}: {:.2} {unit}, {}: {:.2} {unit}, ratio {:.2} (bar {}): {}\n  on {machine}",
                line.metric,
                line.ours,
                line.peer,
                line.theirs,
                line.ratio,
                line.bar,
                if line.meets { "met" } else { "NOT met" },
                unit = line.unit,
            ),
        }
    }
    Ok(())
}

/// The median of `values`, which must not be empty.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor, cores and kernel.
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name").map(str::to_owned))
        .and_then(|line| line.split_once(':').map(|(_, name)| name.trim().to_owned()))
        .unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cpu}, {cores} cores, Linux {}", kernel.trim())
}
