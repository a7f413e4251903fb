//! `twintap import`.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use twintap_archive::Options;
use twintap_scrub::Scrubber;

use super::audit::AuditArgs;
use crate::audit::{Event, path};
use crate::privacy::{QuarantineWatch, try_canaries};
use crate::{import, keys};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap import shop.pcap --archive ./archive\n  \
    twintap import shop.pcapng.gz --archive ./archive --policy ./policy.yaml\n\n\
    Link layers: Ethernet, VLAN, PPPoE, Linux cooked 1 and 2, raw IP, loopback.")]
pub struct Args {
    /// A pcap or pcapng file; gzip is undone.
    file: PathBuf,
    /// The archive's directory; made when absent.
    #[arg(long)]
    archive: PathBuf,
    /// The scrubbing rules: `default`, `allow-all`, or a policy file.
    #[arg(long, default_value = "default")]
    policy: String,
    /// The pseudonym key: a file of 64 hex digits, made when absent
    /// [default: beside the archive, NAME.key].
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    audit: AuditArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(args: &Args) -> Result<()> {
    let policy = keys::load_policy(&args.policy)?;
    let key_file = args
        .key_file
        .clone()
        .unwrap_or_else(|| keys::default_key_file(&args.archive));
    let key = keys::load_or_create_key(&key_file)?;
    try_canaries(&policy, &key)?;
    let trail = args.audit.trail(&args.archive);
    let [loaded, used] = trail.scrubbing(&args.archive, &policy.hash(), &key)?;
    let (archive, file) = (path(&args.archive), path(&args.file));
    let started = Event::ImportStarted {
        archive: archive.clone(),
        file: file.clone(),
    };
    trail.tell(&[loaded, used, started])?;
    let scrubber = Scrubber::new(policy, &key);
    let mut watch = QuarantineWatch::new(scrubber.clone(), trail.clone(), &args.archive);

    // Hidden where standard error is no terminal.
    let length = std::fs::metadata(&args.file).map(|m| m.len()).unwrap_or(0);
    let bar = ProgressBar::new(length).with_style(
        ProgressStyle::with_template("{bytes}/{total_bytes} {wide_bar} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let outcome = import::import(
        &args.file,
        &args.archive,
        scrubber,
        Options::default(),
        |bytes| bar.set_position(bytes),
    );
    bar.finish_and_clear();
    let quarantined = watch.tell();
    let ended = trail.tell(&[Event::ImportEnded {
        archive,
        file,
        stored: outcome.as_ref().map_or(0, |summary| summary.ledger.stored),
        error: outcome.as_ref().err().map(|error| format!("{error:#}")),
    }]);
    let summary = outcome?;
    quarantined.and(ended)?;

    match args.format {
        Format::Json => println!("{}", serde_json::to_string(&summary)?),
        Format::Text => {
            let ledger = &summary.ledger;
            println!(
                "{} packets with {} TCP segments, {} exchanges stored in {}",
                summary.packets,
                summary.segments,
                ledger.stored,
                args.archive.display()
            );
            println!(
                "bytes: {} delivered = {} message + {} framing + {} duplicate + {} opaque + {} discarded + {} pending",
                ledger.delivered_bytes,
                ledger.message_bytes,
                ledger.framing_bytes,
                ledger.duplicate_bytes,
                ledger.opaque_bytes,
                ledger.discarded_bytes.values().sum::<u64>(),
                ledger.pending_bytes
            );
            for (cause, bytes) in &ledger.discarded_bytes {
                println!("  discarded for {cause}: {bytes} bytes");
            }
            for (cause, count) in &ledger.discarded {
                println!("  discarded for {cause}: {count} exchanges");
            }
            for (kind, count) in &summary.second_look.by_kind {
                println!("  quarantined by the second look for {kind}: {count}");
            }
        }
    }
    if let Some(torn) = &summary.torn {
        eprintln!(
            "warning: {} is torn: {torn}; everything before it was imported",
            args.file.display()
        );
    }
    Ok(())
}
