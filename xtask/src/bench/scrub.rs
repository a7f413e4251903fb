//! Scrubbing by the default policy, one core, beside its bars.

use anyhow::{Context, Result};
use serde::Deserialize;
use xshell::{Shell, cmd};

use super::line::Line;
use crate::target_directory;

/// A line of the example `scrub` of twintap-scrub.
#[derive(Deserialize)]
struct Figure {
    metric: String,
    /// Of each body; 0 where the figure is of no body.
    bytes: u64,
    value: f64,
}

/// Measures MiB/s by size of body, and what pseudonyms cost.
pub fn run(shell: &Shell, mib: u64) -> Result<Vec<Line>> {
    cmd!(
        shell,
        "cargo build --release --package twintap-scrub --example scrub"
    )
    .run()?;
    let program = target_directory().join("release/examples/scrub");
    let mib = mib.to_string();
    let printed = cmd!(shell, "{program} {mib}").read()?;
    let lines = printed.lines().map(|line| {
        let figure: Figure = serde_json::from_str(line).with_context(|| line.to_owned())?;
        Ok(figure.line())
    });
    lines.collect()
}

impl Figure {
    fn line(self) -> Line {
        if self.bytes == 0 {
            return self.reported("ns");
        }
        let least = match (&*self.metric, self.bytes) {
            ("warm", 512) => 100.0,
            ("warm", _) => 200.0,
            _ => return self.reported("MiB/s"),
        };
        let ratio = self.value / least;
        Line {
            metric: self.name(),
            unit: "MiB/s",
            ours: self.value,
            peer: "bar".to_owned(),
            theirs: least,
            ratio,
            bar: ">= 1",
            meets: ratio >= 1.0,
        }
    }

    fn reported(self, unit: &'static str) -> Line {
        Line {
            metric: self.name(),
            unit,
            ours: self.value,
            peer: "itself".to_owned(),
            theirs: self.value,
            ratio: 1.0,
            bar: "reported",
            meets: true,
        }
    }

    fn name(&self) -> String {
        match self.bytes {
            0 => self.metric.clone(),
            bytes => format!("JSON of {} KiB, {}", bytes as f64 / 1024.0, self.metric),
        }
    }
}
