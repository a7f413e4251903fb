//! `twintap audit`, and the flags of the commands that the log tells of.

mod scan;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use blake3::Hash;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;

use super::output::{self, cell};
use super::{EXIT_FAIL, EXIT_PASS};
use crate::audit::{ACTIONS, Entry, Expected, Place, PublicKey, Trail, Verified, verify};
use crate::run::values::Instant;

/// Where a command tells what it does.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Audit")]
pub struct AuditArgs {
    /// The audit log, made when absent [default: beside the archive, NAME.audit.jsonl].
    #[arg(long, value_name = "FILE", env = "TWINTAP_AUDIT_LOG")]
    audit_log: Option<PathBuf>,
    /// The log's signing key: a file of 64 hex digits, made when absent
    /// [default: beside the log, LOG.key].
    #[arg(long, value_name = "FILE", env = "TWINTAP_AUDIT_KEY")]
    audit_key: Option<PathBuf>,
}

impl AuditArgs {
    /// Where the user's doings with an archive are told.
    pub fn trail(&self, archive: &Path) -> Trail {
        let mut place = match &self.audit_log {
            Some(log) => Place::new(log.clone()),
            None => Place::of_archive(archive),
        };
        if let Some(key) = &self.audit_key {
            place.key.clone_from(key);
        }
        Trail::own(place)
    }
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check that an audit log is whole: its chain, numbers, signatures and end.
    Verify(VerifyArgs),
    /// Show the entries of an audit log.
    Show(ShowArgs),
    /// Search an archive for personal values that scrubbing let through.
    Scan(scan::Args),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap audit verify ./archive\n  \
    twintap audit verify ./archive --format json | jq -r .head\n  \
    twintap audit verify /var/log/twintap.audit.jsonl --expect HASH --public-key KEY\n\n\
    Exit codes: 0 nothing is wrong, 1 something is, 3 the log can't be read. What can be found\n\
    and what can't is in docs/audit.md.")]
pub struct VerifyArgs {
    #[command(flatten)]
    log: LogArg,
    /// An entry with this hash has to be there, such as the head that an earlier check named.
    #[arg(long, value_name = "HASH", value_parser = hash)]
    expect: Option<Hash>,
    /// The log has to be signed by this key, as an earlier check named it.
    #[arg(long, value_name = "KEY")]
    public_key: Option<PublicKey>,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = VerifyFormat::Text)]
    format: VerifyFormat,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap audit show ./archive\n  \
    twintap audit show ./archive --action run_started --action run_ended --since 2026-01-31T00:00:00Z\n  \
    twintap audit show ./archive --format jsonl | jq 'select(.actor.kind == \"certificate\")'\n\n\
    Nothing is checked: that is `twintap audit verify`.")]
pub struct ShowArgs {
    #[command(flatten)]
    log: LogArg,
    /// Show what was done at this instant (RFC 3339) and later.
    #[arg(long, value_name = "INSTANT")]
    since: Option<Instant>,
    /// Show this action alone; may be given several times.
    #[arg(long, value_name = "ACTION", value_parser = PossibleValuesParser::new(ACTIONS))]
    action: Vec<String>,
    /// How to print them.
    #[arg(long, value_enum, default_value_t = ShowFormat::Text)]
    format: ShowFormat,
}

#[derive(Debug, clap::Args)]
struct LogArg {
    /// The log, or the archive that it lies beside.
    #[arg(value_name = "LOG", env = "TWINTAP_AUDIT_LOG")]
    path: PathBuf,
}

impl LogArg {
    fn place(&self) -> Place {
        match self.path.is_dir() {
            true => Place::of_archive(&self.path),
            false => Place::new(self.path.clone()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum VerifyFormat {
    /// For people.
    Text,
    /// One object.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    /// For people.
    Text,
    /// The lines as they are.
    Jsonl,
}

pub fn run(command: &Command) -> Result<u8> {
    match command {
        Command::Verify(args) => run_verify(args),
        Command::Show(args) => show(args).map(|()| EXIT_PASS),
        Command::Scan(args) => scan::run(args),
    }
}

fn run_verify(args: &VerifyArgs) -> Result<u8> {
    let place = args.log.place();
    let expected = Expected {
        public_key: args.public_key,
        hash: args.expect,
    };
    let verified = verify(&place, expected)?;
    match args.format {
        VerifyFormat::Json => println!("{}", serde_json::to_string(&verified)?),
        VerifyFormat::Text => print_verified(&place, &verified),
    }
    Ok(match verified.is_sound {
        true => EXIT_PASS,
        false => EXIT_FAIL,
    })
}

fn print_verified(place: &Place, verified: &Verified) {
    let log = place.log.display();
    match &verified.fault {
        Some(fault) => println!("{log}: line {} is wrong: {}", fault.line, fault.cause),
        None => println!("{log}: nothing is wrong"),
    }
    println!("{} entries are sound", verified.entries);
    let facts = [
        ("first", &verified.first),
        ("last", &verified.last),
        ("head", &verified.head),
        ("public key", &verified.public_key),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            println!("{name:<11}{fact}");
        }
    }
    for note in &verified.notes {
        println!("note: line {}: {}", note.line, note.text);
    }
}

fn show(args: &ShowArgs) -> Result<()> {
    let path = args.log.place().log;
    let context = || format!("reading the audit log {}", path.display());
    let file = File::open(&path).with_context(context)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut unreadable = 0u64;
    for line in BufReader::new(file).split(b'\n') {
        let line = line.with_context(context)?;
        let Ok(entry) = Entry::read(&line) else {
            unreadable += 1;
            continue;
        };
        if !args.asks_for(&entry) {
            continue;
        }
        let text = match args.format {
            ShowFormat::Text => text(&entry),
            ShowFormat::Jsonl => output::text(&line),
        };
        if !output::line(&mut out, &text)? {
            return Ok(());
        }
    }
    if unreadable > 0 {
        eprintln!("warning: {unreadable} lines are no entries; `twintap audit verify` says more");
    }
    Ok(())
}

impl ShowArgs {
    fn asks_for(&self, entry: &Entry) -> bool {
        let is_late = self.since.is_none_or(|since| {
            let time: Result<Instant, _> = entry.time.parse();
            time.is_ok_and(|time| time >= since)
        });
        is_late && (self.action.is_empty() || self.action.contains(&entry.action))
    }
}

/// One line: number, time, who, what.
fn text(entry: &Entry) -> String {
    let mut line = format!(
        "{:>6} {} {:<20} {:<15}",
        entry.seq,
        entry.time,
        cell(entry.actor.text().as_bytes(), 60),
        entry.action
    );
    for (name, value) in entry.subject.as_object().into_iter().flatten() {
        let value = match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.to_string(),
        };
        line += &format!(" {name}={}", cell(value.as_bytes(), 120));
    }
    line
}

fn hash(text: &str) -> Result<Hash, String> {
    Hash::from_hex(text).map_err(|_| format!("{text:?} is no hash: 64 hexadecimal digits"))
}
