//! `twintap exchanges`.

use std::collections::HashMap;
use std::io::{self, BufWriter};
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;
use tracing::debug;
use twintap_archive::{Reader, StoredBody, StoredExchange};
use twintap_stream::message::{Field, MessageState, Protocol};
use twintap_stream::{Exchange, ExchangeId};

use super::audit::AuditArgs;
use super::output::{self, ListFormat, cell, rfc3339, text};
use crate::audit::Data;
use crate::sessions::session_names;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap exchanges ./archive\n  \
    twintap exchanges ./archive --format jsonl | jq 'select(.response.status >= 500)'")]
pub struct Args {
    /// The archive's directory.
    archive: PathBuf,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    format: ListFormat,
    /// List the flows that no parser claimed, too, where the policy kept them.
    #[arg(long)]
    opaque: bool,
    #[command(flatten)]
    audit: AuditArgs,
}

/// One line of `--format jsonl`; documented in docs/command-line.md.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a ExchangeId,
    flow: String,
    protocol: Protocol,
    time: String,
    session: Option<&'a str>,
    latency_us: Option<f64>,
    request: RequestLine,
    response: ResponseLine,
}

#[derive(Serialize)]
struct RequestLine {
    method: Option<String>,
    target: Option<String>,
    authority: Option<String>,
    headers: Vec<(String, String)>,
    body_bytes: u64,
    state: MessageState,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
}

#[derive(Serialize)]
struct ResponseLine {
    status: Option<u16>,
    headers: Vec<(String, String)>,
    body_bytes: u64,
    state: MessageState,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flags: Vec<String>,
    interim: Vec<u16>,
}

pub fn run(args: &Args) -> Result<()> {
    let reader = Reader::open(&args.archive)?;
    let trail = args.audit.trail(&args.archive);
    trail.reveal(&args.archive, Data::Exchanges)?;
    let sessions = session_names(&reader);
    let mut out = BufWriter::new(io::stdout().lock());
    if args.format == ListFormat::Table {
        let head = format!(
            "{:<30} {:<15} {:<8} {:<40} {:>6} {:>10} {:>10}",
            "time", "session", "method", "target", "status", "bytes", "latency"
        );
        if !output::line(&mut out, &head)? {
            return Ok(());
        }
    }
    let mut damaged = 0;
    for stored in reader.exchanges() {
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => {
                // What lies behind a damaged place can still be read.
                damaged += 1;
                debug!("passed over: {:#}", anyhow::Error::from(error));
                continue;
            }
        };
        if stored.exchange().protocol == Protocol::Opaque && !args.opaque {
            continue;
        }
        let line = match args.format {
            ListFormat::Jsonl => serde_json::to_string(&line(&stored, &sessions))?,
            ListFormat::Table => row(&stored, &sessions),
        };
        if !output::line(&mut out, &line)? {
            return Ok(());
        }
    }
    if damaged > 0 {
        bail!(
            "{damaged} places of the archive {} are damaged; everything else is listed",
            args.archive.display()
        );
    }
    Ok(())
}

/// Microseconds from the request's last byte to the response's first.
fn latency_us(exchange: &Exchange) -> Option<f64> {
    let both = exchange.request.state != MessageState::Absent
        && exchange.response.state != MessageState::Absent;
    both.then(|| {
        let ns = exchange
            .response
            .first_byte
            .since_ns(exchange.request.last_byte);
        ns as f64 / 1_000.0
    })
}

fn line<'a>(stored: &'a StoredExchange, sessions: &'a HashMap<ExchangeId, String>) -> Line<'a> {
    let exchange = &stored.record.exchange;
    let request = &exchange.request;
    let response = &exchange.response;
    Line {
        id: &exchange.id,
        flow: exchange.id.flow.to_string(),
        protocol: exchange.protocol,
        time: rfc3339(start(exchange)),
        session: sessions.get(&exchange.id).map(String::as_str),
        latency_us: latency_us(exchange),
        request: RequestLine {
            method: request.head.as_ref().map(|head| text(&head.method)),
            target: request.head.as_ref().map(|head| text(&head.target)),
            authority: request
                .head
                .as_ref()
                .and_then(|head| head.authority())
                .map(|authority| text(&authority)),
            headers: request
                .head
                .as_ref()
                .map_or(Vec::new(), |h| headers(&h.fields)),
            body_bytes: request.body_bytes,
            state: request.state,
            flags: request.flags.clone(),
        },
        response: ResponseLine {
            status: response.head.as_ref().map(|head| head.status),
            headers: response
                .head
                .as_ref()
                .map_or(Vec::new(), |h| headers(&h.fields)),
            body_bytes: response.body_bytes,
            state: response.state,
            flags: response.flags.clone(),
            interim: exchange.interim.iter().map(|head| head.status).collect(),
        },
    }
}

fn start(exchange: &Exchange) -> twintap_stream::Timestamp {
    match exchange.request.state {
        MessageState::Absent => exchange.response.first_byte,
        MessageState::Complete | MessageState::Incomplete => exchange.request.first_byte,
    }
}

fn headers(fields: &[Field]) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|field| (text(&field.name), text(&field.value)))
        .collect()
}

/// What a command of a database says: its statement, else its arguments.
fn said(stored: &StoredExchange) -> Option<Vec<u8>> {
    let protocol = stored.exchange().protocol;
    if !matches!(
        protocol,
        Protocol::Redis | Protocol::Postgres | Protocol::Mysql
    ) {
        return None;
    }
    let StoredBody::Inline(body) = &stored.request_body else {
        return None;
    };
    let document: serde_json::Value = serde_json::from_slice(body).ok()?;
    if let Some(statement) = document["statement"].as_str() {
        return Some(statement.into());
    }
    let words = document["arguments"].as_array()?.iter();
    let words = words.map(|word| {
        word.as_str()
            .map_or_else(|| word.to_string(), str::to_owned)
    });
    Some(words.collect::<Vec<_>>().join(" ").into_bytes())
}

fn row(stored: &StoredExchange, sessions: &HashMap<ExchangeId, String>) -> String {
    let exchange = &stored.record.exchange;
    let (method, target) = match &exchange.request.head {
        Some(head) => {
            let said = said(stored).unwrap_or_else(|| head.target.to_vec());
            (cell(&head.method, 8), cell(&said, 40))
        }
        None => ("-".to_owned(), "-".to_owned()),
    };
    let status = match &exchange.response.head {
        Some(head) => head.status.to_string(),
        None => "-".to_owned(),
    };
    let latency = match latency_us(exchange) {
        Some(us) => format!("{:.2} ms", us / 1_000.0),
        None => "-".to_owned(),
    };
    format!(
        "{:<30} {:<15} {method:<8} {target:<40} {status:>6} {:>10} {latency:>10}",
        rfc3339(start(exchange)),
        sessions.get(&exchange.id).map_or("-", String::as_str),
        exchange.response.body_bytes,
    )
}
