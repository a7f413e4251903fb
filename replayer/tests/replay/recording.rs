//! Archives made from text, through the same way as live traffic.

use std::collections::HashMap;
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
    let mut recorder = Recorder::new(directory);
    for exchange in exchanges {
        let time = Timestamp(1_700_000_000_000_000_000 + exchange.at_ms * 1_000_000);
        recorder.exchange(exchange.flow, time, exchange.request, exchange.response);
    }
    recorder.finish();
}

/// Stores what these segments carry, scrubbed by this policy.
pub fn store(directory: &Path, policy: Policy, segments: impl IntoIterator<Item = Segment>) {
    let mut recorder = Recorder::with_policy(directory, policy);
    for segment in segments {
        recorder.segment(segment);
    }
    recorder.finish();
}

/// Stores exchanges, scrubbed by the default policy, as they come.
pub struct Recorder {
    archive: Archive,
    capture: Capture,
    /// Each flow with the bytes that were sent both ways.
    flows: HashMap<u64, [u64; 2]>,
    server: SocketAddr,
}

impl Recorder {
    /// Makes `directory/archive`, with the key beside it.
    pub fn new(directory: &Path) -> Recorder {
        Recorder::with_policy(directory, Policy::default_policy())
    }

    /// As [`new`](Self::new), scrubbed by another policy.
    pub fn with_policy(directory: &Path, policy: Policy) -> Recorder {
        std::fs::write(directory.join("archive.key"), KEY).expect("a directory to write to");
        let key = Key::from_hex(KEY).expect("64 hex digits");
        let scrubber = Scrubber::new(policy, &key);
        let (archive, _) =
            Archive::open(directory.join("archive"), Options::default()).expect("an archive");
        let ledger = StoreLedger::default();
        let node = Arc::from("node");
        Recorder {
            archive,
            capture: Capture::new(node, 1, Limits::default(), scrubber, ledger),
            flows: HashMap::new(),
            server: production(),
        }
    }

    /// From now on another server answers.
    pub fn serve_from(&mut self, server: SocketAddr) {
        self.server = server;
    }

    /// An exchange whose request was sent at `time`, and answered half a millisecond
    /// later.
    pub fn exchange(&mut self, flow: u64, time: Timestamp, request: &str, response: &str) {
        let offsets = self.flows.entry(flow).or_default();
        let sides = [
            (Direction::Client, request, 0),
            (Direction::Server, response, 500_000),
        ];
        for (side, (direction, text, later_ns)) in sides.into_iter().enumerate() {
            let time = time.plus_ns(later_ns);
            let bytes = text.as_bytes();
            let segment = segment(self.server, (flow, direction), offsets[side], bytes, time);
            offsets[side] += text.len() as u64;
            self.capture
                .handle_segment(segment, &mut self.archive)
                .expect("an archive that takes it");
        }
    }

    /// Stores what the segment carries.
    pub fn segment(&mut self, segment: Segment) {
        self.capture
            .handle_segment(segment, &mut self.archive)
            .expect("an archive that takes it");
    }

    /// Commits what was stored so far.
    pub fn commit(&mut self) {
        self.commit_as(false);
    }

    fn commit_as(&mut self, finished: bool) {
        let state = CaptureState {
            node: Arc::from("node"),
            boot: 1,
            captured_endpoints: vec![production().to_string()],
            store: self.capture.ledger(),
            finished,
            ..CaptureState::default()
        };
        let checkpoint = Checkpoint {
            captures: vec![state],
            ..Checkpoint::default()
        };
        self.archive.commit(checkpoint).expect("a disk");
    }

    /// Commits everything and closes the archive.
    pub fn finish(mut self) {
        self.capture
            .finish(&mut self.archive)
            .expect("an archive that takes it");
        self.commit_as(true);
        self.archive.close().expect("a disk");
    }
}

/// Bytes of a flow.
pub fn segment(
    server: SocketAddr,
    (flow, direction): (u64, Direction),
    offset: u64,
    bytes: &[u8],
    time: Timestamp,
) -> Segment {
    let client = SocketAddr::from(([10, 0, 0, 1], 1000 + flow as u16));
    let endpoints = Endpoints::normalised(client, server);
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
        payload: Bytes::copy_from_slice(bytes),
        wire_bytes: bytes.len() as u32,
        mark: 0,
    }
}
