//! Real captures.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::common::{Tap, render};
use twintap_stream::message::MessageState;
use twintap_stream::{CaptureReader, EventKind, Limits, PacketDecoder, Timestamp};

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let root = std::env::var_os("TWINTAP_CORPUS").map_or(beside, PathBuf::from);
    if !root.is_dir() {
        eprintln!("no corpus at {}: skipped", root.display());
        return None;
    }
    Some(root.join("captures"))
}

fn replay(path: &Path) -> Tap {
    let file = File::open(path).expect("a capture");
    let mut reader = CaptureReader::new(BufReader::new(file)).expect("a capture");
    let mut decoder = PacketDecoder::new();
    let mut tap = Tap::new(Limits::default());
    let mut last = Timestamp::default();
    for (mark, packet) in reader.by_ref().map_while(Result::ok).enumerate() {
        last = last.max(packet.time);
        if let Some(segment) = decoder.decode(&packet, mark as u64) {
            tap.segment(segment);
        }
    }
    tap.finish(last);
    tap
}

/// Commands and replies in each capture, as its bytes were read with tshark's dissection: the
/// login is one, and a command without a reply has a complete one.
const COUNTS: &[(&str, usize, usize)] = &[("zeek/mysql/mysql.pcap", 18, 18)];

#[test]
fn captures() {
    let Some(corpus) = corpus() else { return };
    for (name, commands, replies) in COUNTS {
        let tap = replay(&corpus.join(name));
        println!(
            "=== {name}\n{}{:?}",
            render(&tap.events),
            tap.streams.ledger()
        );
        let exchanges = tap.events.iter().filter_map(|event| match &event.kind {
            EventKind::Command(exchange) => Some(exchange),
            _ => None,
        });
        let found = exchanges.fold((0, 0), |(commands, replies), exchange| {
            (
                commands + usize::from(exchange.request.state == MessageState::Complete),
                replies + usize::from(exchange.response.state == MessageState::Complete),
            )
        });
        assert_eq!(found, (*commands, *replies), "{name}");
    }
}
