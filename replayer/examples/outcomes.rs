//! Carries out a run file as `twintap replay` does, and prints what both twins answered, scrubbed:
//! one JSON object a line for each request that both did answer. For benchmarks that hold our
//! verdict against another's.
//!
//! ```sh
//! cargo run --release --package twintap-replayer --example outcomes -- run.yaml
//! ```

use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use mimalloc::MiMalloc;
use serde_json::{Value, json};
use twintap_replayer::fire::RunControl;
use twintap_replayer::run::{RunFile, execute_watched};
use twintap_verdict::{Answer, Body, Observation, Outcome};

/// As `twintap` has it, so that a run is like one of its.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).context("a run file")?;
    let file = RunFile::read(Path::new(&path))?;
    let control = RunControl::new().context("making the run")?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut failed = None;
    let mut watch = |observation: &Observation| {
        if let Some(line) = line(observation)
            && let Err(error) = writeln!(out, "{line}")
        {
            failed = Some(error);
        }
    };
    execute_watched(&file, &control, &mut |_| {}, &mut watch)?;
    if let Some(error) = failed {
        return Err(error).context("printing outcomes");
    }
    out.flush().context("printing outcomes")
}

fn line(observation: &Observation) -> Option<Value> {
    let Outcome::Answered { answer: one, .. } = &observation.candidate else {
        return None;
    };
    let Outcome::Answered { answer: other, .. } = &observation.baseline else {
        return None;
    };
    Some(json!({
        "method": text(&observation.request.method),
        "target": text(&observation.request.target),
        "candidate": shown(one),
        "baseline": shown(other),
    }))
}

fn shown(answer: &Answer) -> Value {
    let fields = answer.head.fields.iter();
    let fields: Vec<[String; 2]> = fields
        .map(|field| [text(&field.name), text(&field.value)])
        .collect();
    let body = match &answer.body {
        Body::Whole(body) => match std::str::from_utf8(body) {
            Ok(body) => json!(body),
            Err(_) => json!(format!("{} bytes, {}", body.len(), blake3::hash(body))),
        },
        Body::Digest { bytes, tag } => json!(format!("{bytes} bytes, {tag:?}")),
    };
    json!({ "status": answer.head.status, "headers": fields, "body": body })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
