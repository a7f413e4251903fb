//! What the detectors find in values on standard input: `detect < values.jsonl`.
//!
//! A line in is `{"name": field, "text": value}`, a line out the list of what is in it. The last
//! line is the seconds that detection took by itself, on one thread.

use std::error::Error;
use std::io::{self, BufRead, BufWriter, Write};
use std::time::Instant;

use serde::Deserialize;
use serde_json::json;
use twintap_scrub::detect::{Context, Detectors};

#[derive(Deserialize)]
struct Value {
    name: String,
    text: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut values: Vec<Value> = Vec::new();
    for line in io::stdin().lock().lines() {
        values.push(serde_json::from_str(&line?)?);
    }
    let detectors = Detectors::new();
    let search = |value: &Value| {
        let context = Context {
            path: "",
            name: &value.name,
        };
        detectors.detect(&context, &value.text)
    };
    let start = Instant::now();
    let found: Vec<_> = values.iter().map(search).collect();
    let seconds = start.elapsed().as_secs_f64();
    let mut output = BufWriter::new(io::stdout().lock());
    for found in &found {
        let spans = found.iter().map(|found| {
            json!({
                "start": found.span.start,
                "end": found.span.end,
                "kind": found.kind.name(),
                "score": found.score,
                "pattern": found.reason.pattern,
                "context": found.reason.context,
            })
        });
        writeln!(output, "{}", spans.collect::<serde_json::Value>())?;
    }
    writeln!(output, "{seconds}")?;
    Ok(())
}
