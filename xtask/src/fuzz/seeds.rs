//! First inputs out of real captures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use twintap_stream::{CapturedPacket, Endpoints, PacketDecoder};
use twintap_tests::corpus::{Corpus, replay};

/// The project's own captures.
const OWN: &str = "tests/pcaps/shop.pcap.gz";
/// Of one capture no more than so many packets and flows become inputs.
const PACKETS: usize = 20;
const FLOWS: usize = 20;
/// As many bytes as a target reads.
const INPUT_BYTES: usize = 512;

/// Writes inputs for a target into its empty corpus.
pub fn plant(target: &str, corpus: &Path) -> Result<()> {
    let context = || corpus.display().to_string();
    fs::create_dir_all(corpus).with_context(context)?;
    if fs::read_dir(corpus).with_context(context)?.next().is_some() {
        return Ok(());
    }
    let mut planted = 0;
    for path in captures()? {
        let Ok((packets, _)) = replay::packets(&path) else {
            continue;
        };
        let inputs = match target {
            "packet" => frames(&packets),
            _ => conversations(&packets),
        };
        for input in inputs {
            fs::write(corpus.join(format!("seed-{planted:05}")), input).with_context(context)?;
            planted += 1;
        }
    }
    println!("{target}: {planted} inputs out of captures");
    Ok(())
}

fn captures() -> Result<Vec<PathBuf>> {
    let mut captures = vec![PathBuf::from(OWN)];
    match Corpus::find(None) {
        Ok(corpus) => captures.extend(corpus.files()?),
        Err(error) => println!("only the project's own captures: {error}"),
    }
    Ok(captures)
}

/// Frames of one capture as the target `packet` reads them: a byte for the link layer first.
fn frames(packets: &[CapturedPacket]) -> Vec<Vec<u8>> {
    let step = (packets.len() / PACKETS).max(1);
    let frames = packets.iter().step_by(step).take(PACKETS);
    let inputs = frames.map(|packet| {
        let mut input = vec![packet.link_type.0 as u8];
        input.extend_from_slice(&packet.bytes[..packet.bytes.len().min(96)]);
        input
    });
    inputs.collect()
}

/// The begin of each flow as the targets for protocols read it: pieces, each after a byte that
/// says who speaks (its lowest bit) and how much (its lowest five).
fn conversations(packets: &[CapturedPacket]) -> Vec<Vec<u8>> {
    let mut decoder = PacketDecoder::new();
    let mut flows: BTreeMap<Endpoints, Vec<u8>> = BTreeMap::new();
    for packet in packets {
        let Some(segment) = decoder.decode(packet, 0) else {
            continue;
        };
        if segment.payload.is_empty() {
            continue;
        }
        let ends = segment.endpoints;
        let is_answer = flows.contains_key(&ends.swapped());
        let client = if is_answer { ends.swapped() } else { ends };
        let input = flows.entry(client).or_default();
        for piece in segment.payload.chunks(30 + usize::from(is_answer)) {
            if input.len() + 32 > INPUT_BYTES {
                break;
            }
            // The length's lowest bit is the direction: a byte of the last piece may go.
            let length = piece.len() - (piece.len() + usize::from(is_answer)) % 2;
            input.push(length as u8);
            input.extend_from_slice(&piece[..length]);
        }
    }
    flows.into_values().take(FLOWS).collect()
}
