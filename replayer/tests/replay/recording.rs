//! Archives made from text, through the same way as live traffic.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use twintap_archive::{Archive, Capture as CaptureState, Checkpoint, Options};
use twintap_replayer::capture::Capture;
use twintap_scrub::{Key, Policy, Scrubber};
use twintap_stream::{
    Direction, Endpoints, FlowId, Limits, Segment, Source, StoreLedger, TcpFlags, Timestamp,
};

/// The key of all recordings here, as its file has it.
pub const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Where production listened.
pub fn production() -> SocketAddr {
    ([127, 0, 0, 1], 9).into()
}

/// An exchange of a recording.
pub struct Recorded<'a> {
    /// Its flow.
    pub flow: u64,
    /// When its request was sent, in milliseconds.
    pub at_ms: u64,
    /// The request's bytes.
    pub request: &'a str,
    /// The response's bytes.
    pub response: &'a str,
}

/// Stores the exchanges, scrubbed by the default policy, in `directory/archive`,
/// with the key beside it.
pub fn record(directory: &Path, exchanges: &[Recorded<'_>]) {
    let archive_directory = directory.join("archive");
    std::fs::write(directory.join("archive.key"), KEY).expect("a directory to write to");
    let key = Key::from_hex(KEY).expect("64 hex digits");
    let scrubber = Scrubber::new(Policy::default_policy(), &key);
    let (mut archive, _) =
        Archive::open(&archive_directory, Options::default()).expect("an archive");
    let node: Arc<str> = Arc::from("node");
    let ledger = StoreLedger::default();
    let mut capture = Capture::new(node.clone(), 1, Limits::default(), scrubber, ledger);
    let mut flows: Vec<(u64, [u64; 2])> = Vec::new();
    for exchange in exchanges {
        let known = flows.iter().position(|(flow, _)| *flow == exchange.flow);
        let place = known.unwrap_or_else(|| {
            flows.push((exchange.flow, [0; 2]));
            flows.len() - 1
        });
        let offsets = &mut flows[place].1;
        let sides = [
            (Direction::Client, exchange.request, 0),
            (Direction::Server, exchange.response, 500_000),
        ];
        for (side, (direction, text, later_ns)) in sides.into_iter().enumerate() {
            let time = Timestamp(1_700_000_000_000_000_000 + exchange.at_ms * 1_000_000 + later_ns);
            let segment = segment(exchange.flow, direction, offsets[side], text, time);
            offsets[side] += text.len() as u64;
            capture
                .handle_segment(segment, &mut archive)
                .expect("an archive that takes it");
        }
    }
    capture
        .finish(&mut archive)
        .expect("an archive that takes it");
    let state = CaptureState {
        node,
        boot: 1,
        captured_endpoints: vec![production().to_string()],
        store: capture.ledger(),
        finished: true,
        ..CaptureState::default()
    };
    let checkpoint = Checkpoint {
        captures: vec![state],
        ..Checkpoint::default()
    };
    archive.commit(checkpoint).expect("a disk");
    archive.close().expect("a disk");
}

fn segment(flow: u64, direction: Direction, offset: u64, text: &str, time: Timestamp) -> Segment {
    let client = SocketAddr::from(([10, 0, 0, 1], 1000 + flow as u16));
    let endpoints = Endpoints::normalised(client, production());
    Segment {
        time,
        endpoints: match direction {
            Direction::Client => endpoints,
            Direction::Server => endpoints.swapped(),
        },
        source: Source::Kernel {
            flow: FlowId(flow),
            direction,
            offset,
        },
        sequence_number: offset as u32,
        acknowledgement: 0,
        flags: TcpFlags(TcpFlags::ACK),
        payload: Bytes::copy_from_slice(text.as_bytes()),
        wire_bytes: text.len() as u32,
        mark: 0,
    }
}
