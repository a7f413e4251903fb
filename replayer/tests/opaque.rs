//! Flows that no parser claims: counted always, stored only where the policy says so.

use std::sync::Arc;

use bytes::Bytes;
use twintap_archive::{Archive, Checkpoint, Options, Reader, StoredExchange};
use twintap_replayer::capture::Capture;
use twintap_scrub::{Key, Policy, Scrubber};
use twintap_stream::message::Protocol;
use twintap_stream::{
    Direction, Endpoints, FlowId, Limits, Segment, Source, StoreLedger, TcpFlags, Timestamp,
};

const HELLO: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
const ANSWER: &[u8] = b"SSH-2.0-server\r\n\x00\x00\x01\x02\x03binary follows";

/// One flow of no known protocol, under a policy.
fn played(policy: &str) -> (StoreLedger, Vec<StoredExchange>) {
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
    for (direction, payload, time) in [
        (Direction::Client, HELLO, 1),
        (Direction::Server, ANSWER, 2),
    ] {
        let segment = segment(direction, payload, time);
        capture
            .handle_segment(segment, &mut archive)
            .expect("a segment is taken");
        assert!(capture.ledger().closes(), "{:?}", capture.ledger());
    }
    let finals = Some((HELLO.len() as u64, ANSWER.len() as u64));
    capture
        .handle_close(FlowId(9), Timestamp(3), finals, &mut archive)
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

fn segment(direction: Direction, payload: &'static [u8], time: u64) -> Segment {
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
            offset: 0,
        },
        sequence_number: 1,
        acknowledgement: 1,
        flags: TcpFlags(TcpFlags::ACK),
        payload: Bytes::from_static(payload),
        wire_bytes: payload.len() as u32,
        mark: time,
    }
}

#[test]
fn kept_where_the_policy_says_so() {
    let (ledger, stored) = played("version: 1\nbase: default\nkeep_opaque: true\n");
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!(ledger.opaque_bytes, (HELLO.len() + ANSWER.len()) as u64);
    assert_eq!((ledger.rebuilt, ledger.stored), (1, 1));
    let [flow] = &stored[..] else {
        panic!("stored {} exchanges", stored.len());
    };
    assert_eq!(flow.exchange().protocol, Protocol::Opaque);
    for (body, expected) in [(&flow.request_body, HELLO), (&flow.response_body, ANSWER)] {
        let twintap_archive::StoredBody::Inline(bytes) = body else {
            panic!("a small body lies in its record, not {body:?}");
        };
        assert_eq!(&bytes[..], expected);
    }
}

#[test]
fn only_counted_elsewhere() {
    let (ledger, stored) = played("version: 1\nbase: default\n");
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!(ledger.opaque_bytes, (HELLO.len() + ANSWER.len()) as u64);
    assert_eq!((ledger.rebuilt, ledger.stored), (0, 0));
    assert!(stored.is_empty());
}
