//! `twintap sessions`.

use std::io::{self, BufWriter};
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use twintap_archive::Reader;
use twintap_plan::Identity;

use super::audit::AuditArgs;
use super::output::{self, ListFormat, rfc3339};
use crate::audit::Data;
use crate::sessions::plan_of;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap sessions ./archive\n  \
    twintap sessions ./archive --format jsonl | jq 'select(.began_before_capture)'")]
pub struct Args {
    /// The archive's directory.
    archive: PathBuf,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    format: ListFormat,
    #[command(flatten)]
    audit: AuditArgs,
}

/// One line of `--format jsonl`; documented in docs/command-line.md.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    identity: Identity,
    exchanges: usize,
    first: String,
    last: String,
    client: String,
    began_before_capture: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let reader = Reader::open(&args.archive)?;
    let trail = args.audit.trail(&args.archive);
    trail.reveal(&args.archive, Data::Sessions)?;
    let plan = plan_of(&reader);
    let mut out = BufWriter::new(io::stdout().lock());
    if args.format == ListFormat::Table {
        let head = format!(
            "{:<16} {:<14} {:>9} {:<30} {:<30} {}",
            "session", "identity", "exchanges", "first", "last", "client"
        );
        if !output::line(&mut out, &head)? {
            return Ok(());
        }
    }
    for session in &plan.sessions {
        let at = |position: Option<&u32>| {
            let due = position.map_or(0, |&p| plan.requests[p as usize].due_ns);
            rfc3339(plan.capture_start.plus_ns(due))
        };
        let line = Line {
            id: &session.id,
            identity: session.identity,
            exchanges: session.requests.len(),
            first: at(session.requests.first()),
            last: at(session.requests.last()),
            client: session.client.to_string(),
            began_before_capture: session.began_before_capture,
        };
        let line = match args.format {
            ListFormat::Jsonl => serde_json::to_string(&line)?,
            ListFormat::Table => format!(
                "{:<16} {:<14} {:>9} {:<30} {:<30} {}{}",
                line.id,
                format!("{:?}", line.identity).to_lowercase(),
                line.exchanges,
                line.first,
                line.last,
                line.client,
                if line.began_before_capture {
                    " (began before the capture)"
                } else {
                    ""
                },
            ),
        };
        if !output::line(&mut out, &line)? {
            return Ok(());
        }
    }
    Ok(())
}
