//! What becomes of a flow on its way into the archive, by protocol.

mod commands;
mod databases;
mod opaque;
mod resumed;
mod timeline;
mod websocket;

use std::sync::Arc;

use bytes::Bytes;
use twintap_archive::{Archive, Checkpoint, Options, Reader, StoredExchange};
use twintap_replayer::capture::Capture;
use twintap_scrub::{Key, Policy, Scrubber};
use twintap_stream::{
    Direction, Endpoints, FlowId, Limits, Segment, Source, StoreLedger, TcpFlags, Timestamp,
};

/// One flow of these segments under a policy: its ledger, and what the archive has of it.
fn played(policy: &str, talk: &[(Direction, &'static [u8])]) -> (StoreLedger, Vec<StoredExchange>) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("archive");
    let policy = Policy::from_yaml(policy, "test").expect("a policy");
    let scrubber = Scrubber::new(policy, &Key::from_bytes([7; 32]));
    let (mut archive, _) = Archive::open(&path, Options::default()).expect("an archive");
    let mut capture = Capture::new(
        Arc::from("node-1"),
        1,
        Limits::default(),
        scrubber,
        StoreLedger::default(),
    );
    let mut sent = (0, 0);
    for (number, (direction, payload)) in talk.iter().enumerate() {
        let offset = match direction {
            Direction::Client => &mut sent.0,
            Direction::Server => &mut sent.1,
        };
        let segment = segment(*direction, *offset, *payload, number as u64 + 1);
        *offset += payload.len() as u64;
        capture
            .handle_segment(segment, &mut archive)
            .expect("a segment is taken");
        assert!(capture.ledger().closes(), "{:?}", capture.ledger());
    }
    let end = Timestamp(talk.len() as u64 + 1);
    capture
        .handle_close(FlowId(9), end, Some(sent), &mut archive)
        .expect("a close is taken");
    capture.finish(&mut archive).expect("the end");
    let ledger = capture.ledger();
    archive.commit(Checkpoint::default()).expect("the commit");
    archive.close().expect("the archive closes");
    let reader = Reader::open(&path).expect("a reader");
    let stored = reader
        .exchanges()
        .map(|stored| stored.expect("an exchange"))
        .collect();
    (ledger, stored)
}

fn segment(direction: Direction, offset: u64, payload: impl Into<Bytes>, time: u64) -> Segment {
    let payload = payload.into();
    let client = "10.0.0.1:4000".parse().expect("an address");
    let server = "10.0.0.2:22".parse().expect("an address");
    let endpoints = Endpoints::normalised(client, server);
    Segment {
        time: Timestamp(time),
        endpoints: match direction {
            Direction::Client => endpoints,
            Direction::Server => endpoints.swapped(),
        },
        source: Source::Kernel {
            flow: FlowId(9),
            direction,
            offset,
        },
        sequence_number: 1 + offset as u32,
        acknowledgement: 1,
        flags: TcpFlags(TcpFlags::ACK),
        wire_bytes: payload.len() as u32,
        payload,
        mark: time,
    }
}
