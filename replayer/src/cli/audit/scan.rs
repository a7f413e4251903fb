//! `twintap audit scan`.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::Serialize;
use tracing::debug;
use twintap_archive::{Error, Reader, StoredBody, StoredExchange};
use twintap_scrub::{Hit, second_look};
use twintap_stream::ExchangeId;

use super::AuditArgs;
use crate::audit::{Event, path};
use crate::cli::{EXIT_FAIL, EXIT_PASS, output};

/// Larger bodies are not searched; they are told of.
const MOST_BYTES: u64 = 64 << 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap audit scan ./archive\n  \
    twintap audit scan ./archive --min-score 80 --format jsonl | jq -r .kind | sort | uniq -c\n\n\
    Exit codes: 0 nothing was found, 1 something was, 3 an error. What is searched, and what is\n\
    not, is in docs/audit.md. No value is shown.")]
pub struct Args {
    /// The archive's directory.
    archive: PathBuf,
    /// Tell what detectors give this score and more, 50 to 100.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u8).range(50..=100))]
    min_score: u8,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    audit: AuditArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One object.
    Json,
    /// One object for each thing found.
    Jsonl,
}

/// Something that was found; documented in docs/audit.md.
#[derive(Serialize)]
struct Line<'a> {
    exchange: &'a ExchangeId,
    #[serde(flatten)]
    hit: &'a Hit,
}

/// What was searched.
#[derive(Default, Serialize)]
struct Counts {
    /// Exchanges searched.
    exchanges: u64,
    /// What was found, by exchange, path and kind.
    found: u64,
    /// Exchanges that the second look had quarantined before they were stored.
    quarantined: u64,
    /// Bodies that were too large to be searched.
    passed_over_bodies: u64,
    /// Places of the archive that can't be read.
    damaged: u64,
}

pub fn run(args: &Args) -> Result<u8> {
    let reader = Reader::open(&args.archive)?;
    let trail = args.audit.trail(&args.archive);
    let archive = path(&args.archive);
    trail.tell(&[Event::ScanStarted {
        archive: archive.clone(),
    }])?;
    let mut printer = Printer::new(args.format);
    let scanned = scan(&reader, args.min_score, &mut printer);
    let counts = &printer.counts;
    trail.tell(&[Event::ScanEnded {
        archive,
        exchanges: counts.exchanges,
        found: counts.found,
    }])?;
    scanned?;
    let (damaged, found) = (counts.damaged, counts.found);
    printer.finish()?;
    if damaged > 0 {
        bail!(
            "{damaged} places of the archive {} are damaged; everything else was searched",
            args.archive.display()
        );
    }
    Ok(match found {
        0 => EXIT_PASS,
        _ => EXIT_FAIL,
    })
}

fn scan(reader: &Reader, min_score: u8, printer: &mut Printer) -> Result<()> {
    for stored in reader.exchanges() {
        let found = stored.and_then(|stored| {
            let request = body(reader, &stored.request_body, &mut printer.counts)?;
            let response = body(reader, &stored.response_body, &mut printer.counts)?;
            let hits = second_look(&stored.record, &request, &response, min_score);
            Ok((stored, hits))
        });
        match found {
            Ok((stored, hits)) => printer.exchange(&stored, &hits)?,
            Err(error) => {
                // What lies behind a damaged place can still be read.
                printer.counts.damaged += 1;
                debug!("passed over: {:#}", anyhow::Error::from(error));
            }
        }
        if printer.is_closed {
            break;
        }
    }
    Ok(())
}

fn body(reader: &Reader, body: &StoredBody, counts: &mut Counts) -> Result<bytes::Bytes, Error> {
    match reader.read_body(body, MOST_BYTES) {
        Err(Error::BodyTooLarge { .. }) => {
            counts.passed_over_bodies += 1;
            Ok(bytes::Bytes::new())
        }
        read => read,
    }
}

/// Prints what is found as it is found; one object has to wait for the end.
struct Printer {
    format: Format,
    out: BufWriter<io::Stdout>,
    counts: Counts,
    /// For one object.
    found: Vec<serde_json::Value>,
    /// Whoever reads has gone.
    is_closed: bool,
}

impl Printer {
    fn new(format: Format) -> Printer {
        Printer {
            format,
            out: BufWriter::new(io::stdout()),
            counts: Counts::default(),
            found: Vec::new(),
            is_closed: false,
        }
    }

    fn exchange(&mut self, stored: &StoredExchange, hits: &[Hit]) -> Result<()> {
        let record = &stored.record;
        self.counts.exchanges += 1;
        let is_quarantined = !(record.request.hits.is_empty() && record.response.hits.is_empty());
        self.counts.quarantined += u64::from(is_quarantined);
        let exchange = stored.id();
        for hit in hits {
            self.counts.found += 1;
            let line = Line { exchange, hit };
            let text = match self.format {
                Format::Json => {
                    self.found.push(serde_json::to_value(line)?);
                    continue;
                }
                Format::Jsonl => serde_json::to_string(&line)?,
                Format::Text => {
                    let path = output::cell(hit.path.as_bytes(), 60);
                    format!("{exchange} {path} {} {}", hit.kind, hit.score)
                }
            };
            self.is_closed |= !output::line(&mut self.out, &text)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let counts = &self.counts;
        if self.format == Format::Json {
            let mut object = serde_json::to_value(counts)?;
            object["findings"] = self.found.into();
            self.is_closed |= !output::line(&mut self.out, &object.to_string())?;
        } else {
            eprintln!(
                "{} exchanges searched, {} things found, {} exchanges quarantined before, {} bodies too large to be searched",
                counts.exchanges, counts.found, counts.quarantined, counts.passed_over_bodies
            );
        }
        match self.out.flush() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}
