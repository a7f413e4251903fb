//! Capture files into an archive, through the same stream and scrub as live traffic.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use serde::Serialize;
use twintap_archive::{Archive, Capture as CaptureState, CaptureSource, Checkpoint, Options};
use twintap_scrub::{Scrubber, SecondLookCounts};
use twintap_stream::capture_file::CaptureReader;
use twintap_stream::packet::PacketDecoder;
use twintap_stream::{Limits, StoreLedger};

use crate::capture::Capture;
use crate::checkpoint::totals;

/// What an import did.
#[derive(Clone, Debug, Serialize)]
pub struct ImportSummary {
    /// Packets in the file.
    pub packets: u64,
    /// TCP segments in them.
    pub segments: u64,
    /// Set when the file ends within a packet, or is damaged: what and where.
    pub torn: Option<String>,
    /// The store ledger of this file.
    pub ledger: StoreLedger,
    /// What the second look did.
    pub second_look: SecondLookCounts,
}

/// Imports `file` into the archive in `directory`; `progress` gets the bytes read so far.
///
/// A file that is torn is imported up to the tear, and the summary says so.
pub fn import(
    file: &Path,
    directory: &Path,
    scrubber: Scrubber,
    options: Options,
    mut progress: impl FnMut(u64),
) -> Result<ImportSummary> {
    let boot = file_identity(file)?;
    let (mut archive, recovery) = Archive::open(directory, options)?;
    let node: Arc<str> = Arc::from("pcap");
    let known = recovery.checkpoint.iter().flat_map(|c| &c.captures);
    for capture in known {
        if *capture.node == *node && capture.boot == boot {
            bail!(
                "{} is in the archive {} already; import it into another one",
                file.display(),
                directory.display()
            );
        }
    }

    let reader = open(file)?;
    let packets = CaptureReader::new(reader)
        .with_context(|| format!("{} is no capture file that can be read", file.display()))?;
    let mut decoder = PacketDecoder::new();
    let second_look = scrubber.clone();
    let mut capture = Capture::new(
        node,
        boot,
        Limits::default(),
        scrubber,
        StoreLedger::default(),
    );
    let mut summary = ImportSummary {
        packets: 0,
        segments: 0,
        torn: None,
        ledger: StoreLedger::default(),
        second_look: SecondLookCounts::default(),
    };
    let mut bytes = 0;
    for (number, packet) in packets.enumerate() {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => {
                summary.torn = Some(error.to_string());
                break;
            }
        };
        bytes += packet.bytes.len() as u64;
        if number.is_multiple_of(1024) {
            progress(bytes);
        }
        if let Some(segment) = decoder.decode(&packet, 0) {
            capture.handle_segment(segment, &mut archive)?;
        }
    }
    let counts = decoder.counts();
    summary.packets = counts.packets;
    summary.segments = counts.segments;
    capture.finish(&mut archive)?;
    summary.ledger = capture.ledger();
    summary.second_look = second_look.second_look();
    let none = CaptureState::default();
    let mut state = totals("pcap", boot, CaptureSource::Pcap, &capture, &none);
    state.finished = true;
    archive.commit(Checkpoint {
        at: state.last,
        captures: vec![state],
    })?;
    archive.close()?;
    Ok(summary)
}

/// The file's bytes, unpacked where they are gzip.
fn open(file: &Path) -> Result<Box<dyn Read + Send>> {
    unpacked(open_file(file)?).with_context(|| format!("reading {}", file.display()))
}

/// The bytes of `input`, unpacked where they are gzip.
///
/// # Errors
/// When nothing can be read of it.
pub(crate) fn unpacked(input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = BufReader::with_capacity(1 << 16, input);
    let is_gzip = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(match is_gzip {
        true => Box::new(MultiGzDecoder::new(reader)),
        false => Box::new(reader),
    })
}

fn open_file(file: &Path) -> Result<File> {
    File::open(file).with_context(|| format!("opening {}", file.display()))
}

/// What tells one file from another: a digest of its length and its first MiB.
fn file_identity(file: &Path) -> Result<u64> {
    let handle = open_file(file)?;
    let length = handle
        .metadata()
        .with_context(|| format!("looking at {}", file.display()))?
        .len();
    let mut head = Vec::new();
    handle
        .take(1 << 20)
        .read_to_end(&mut head)
        .with_context(|| format!("reading {}", file.display()))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length.to_le_bytes()).update(&head);
    let digest = hasher.finalize();
    let mut boot = [0; 8];
    boot.copy_from_slice(&digest.as_bytes()[..8]);
    Ok(u64::from_le_bytes(boot))
}
