//! WebSockets: what both sides said is stored with the exchange that opened them.

use std::sync::Arc;

use bytes::Bytes;
use twintap_archive::{Archive, Checkpoint, Options, StoredBody, StoredExchange};
use twintap_replayer::capture::{Capture, ledger_to_resume};
use twintap_scrub::{Key, Piece, Policy, Scrubber, render_messages, split_messages};
use twintap_stream::Direction::{self, Client, Server};
use twintap_stream::message::{Framing, MessageState};
use twintap_stream::{FlowId, Limits, StoreLedger, Timestamp};

use crate::{played, segment};

const DEFAULT: &str = "version: 1\nbase: default\n";

const OPENING: &[u8] = b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const OPENED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A talk in which both sides say something; masks are zero.
const TALK: &[(Direction, &[u8])] = &[
    (Client, OPENING),
    (Server, OPENED),
    (Client, b"\x81\x92\0\0\0\0{\"login\":\"zoe.x\"} "),
    (Server, b"\x81\x1e{\"token\":\"4bf92f3577b34da6a3\"}"),
    // In two fragments, with a ping between them.
    (Client, b"\x01\x8a\0\0\0\0{\"token\":\""),
    (Client, b"\x89\x80\0\0\0\0"),
    (Client, b"\x80\x94\0\0\0\x004bf92f3577b34da6a3\"}"),
    (Server, b"\x8a\0\x82\x03\x01\x02\x03"),
    (Client, b"\x88\x82\0\0\0\0\x03\xe8"),
    (Server, b"\x88\x02\x03\xe8"),
];

fn body(body: &StoredBody) -> Bytes {
    match body {
        StoredBody::Empty => Bytes::new(),
        StoredBody::Inline(bytes) => (**bytes).clone(),
        StoredBody::Blocks { .. } => panic!("a small body lies in its record"),
    }
}

fn pieces(exchange: &StoredExchange, direction: Direction) -> Vec<(Piece, u64)> {
    let note = match direction {
        Client => &exchange.record.request,
        Server => &exchange.record.response,
    };
    let marks = note.timeline.marks.iter();
    marks.map(|mark| (mark.piece, mark.after_ns)).collect()
}

#[test]
fn both_sides_are_stored_message_by_message() {
    let (ledger, stored) = played(DEFAULT, TALK);
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!((ledger.rebuilt, ledger.stored), (1, 1));
    let [exchange] = &stored[..] else {
        panic!("stored {} exchanges", stored.len());
    };
    let request = &exchange.exchange().request;
    assert_eq!(request.framing, Framing::Socket);
    assert_eq!(request.state, MessageState::Complete);
    let close = Piece::Close { code: Some(1000) };
    let said = [
        (Piece::Text, 2),
        (Piece::Ping, 5),
        (Piece::Fragment, 4),
        (Piece::Text, 6),
        (close, 8),
    ];
    assert_eq!(pieces(exchange, Client), said);
    let heard = [
        (Piece::Text, 2),
        (Piece::Pong, 6),
        (Piece::Binary, 6),
        (close, 8),
    ];
    assert_eq!(pieces(exchange, Server), heard);
}

#[test]
fn each_text_is_scrubbed_as_a_document_of_its_own() {
    let (_, stored) = played(DEFAULT, TALK);
    let record = &stored[0].record;
    let said = body(&stored[0].request_body);
    let text = String::from_utf8_lossy(&said);
    assert!(
        !text.contains("zoe.x") && !text.contains("4bf92f3577b34da6a3"),
        "{text}"
    );
    let messages = split_messages(&said, &record.request.timeline);
    let fragmented = &messages[2];
    let cut = fragmented.fragments[0];
    assert_eq!(&fragmented.payload[..cut], b"{\"token\":\"");
    let (rendered, leaves) = render_messages(&messages, &record.request.leaves);
    let rendered: serde_json::Value = serde_json::from_slice(&rendered).expect("JSON");
    assert_eq!(rendered.as_array().map(Vec::len), Some(3));
    assert_eq!(rendered[2]["close"], 1000);
    let used = leaves.iter().find(|leaf| leaf.path == "json./1/token");
    let used = used.expect("the token has a leaf");
    let given = record.response.leaves.iter();
    let given = given.filter(|leaf| leaf.path == "json./0/token");
    assert_eq!(given.map(|leaf| leaf.tag).collect::<Vec<_>>(), [used.tag]);
    // What is binary is not kept, but that it was there.
    let heard = split_messages(&body(&stored[0].response_body), &record.response.timeline);
    assert_eq!((heard[2].payload.len(), heard[2].dropped_bytes), (0, 3));
}

#[test]
fn one_that_misses_bytes_or_an_end_is_incomplete() {
    let (mut archive, mut capture, _directory) = begun(StoreLedger::default());
    for segment in segments(&TALK[..4]) {
        capture
            .handle_segment(segment, &mut archive)
            .expect("a segment is taken");
        assert!(capture.ledger().closes(), "{:?}", capture.ledger());
    }
    assert_eq!(capture.ledger().pending, 1);
    capture.finish(&mut archive).expect("the end");
    assert_eq!(capture.ledger().pending, 0);
    archive.commit(Checkpoint::default()).expect("the commit");
    let reader = archive.reader().expect("a reader");
    let stored = reader
        .exchanges()
        .next()
        .expect("one")
        .expect("an exchange");
    let request = &stored.exchange().request;
    assert_eq!(request.state, MessageState::Incomplete);
    assert_eq!(request.flags, ["websocket_open"]);
}

#[test]
fn one_that_a_restart_cuts_off_is_counted() {
    let segments = segments(TALK);
    let (mut archive, mut capture, _directory) = begun(StoreLedger::default());
    for segment in &segments[..4] {
        capture
            .handle_segment(segment.clone(), &mut archive)
            .expect("a segment is taken");
    }
    let marks: Vec<_> = capture.flow_marks().collect();
    assert!(marks[0].is_websocket);
    let ledger = ledger_to_resume(capture.ledger());
    let (mut archive, mut capture, _directory) = begun(ledger);
    capture.resume_flow(&marks[0]);
    for segment in &segments[4..] {
        capture
            .handle_segment(segment.clone(), &mut archive)
            .expect("a segment is taken");
        assert!(capture.ledger().closes(), "{:?}", capture.ledger());
    }
    let end = Timestamp(99);
    capture
        .handle_close(FlowId(9), end, None, &mut archive)
        .expect("a close is taken");
    capture.finish(&mut archive).expect("the end");
    let ledger = capture.ledger();
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!((ledger.rebuilt, ledger.stored, ledger.pending), (1, 0, 0));
    assert_eq!(ledger.discarded["websocket_cut_by_restart"], 1);
}

fn segments(talk: &[(Direction, &'static [u8])]) -> Vec<twintap_stream::Segment> {
    let mut sent = [0, 0];
    let numbered = talk.iter().zip(1..);
    let each = numbered.map(|(&(direction, payload), number)| {
        let offset = &mut sent[direction as usize];
        let made = segment(direction, *offset, payload, number);
        *offset += payload.len() as u64;
        made
    });
    each.collect()
}

fn begun(base: StoreLedger) -> (Archive, Capture, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let policy = Policy::from_yaml(DEFAULT, "test").expect("a policy");
    let scrubber = Scrubber::new(policy, &Key::from_bytes([7; 32]));
    let path = directory.path().join("archive");
    let (archive, _) = Archive::open(&path, Options::default()).expect("an archive");
    let node = Arc::from("node-1");
    let capture = Capture::new(node, 1, Limits::default(), scrubber, base);
    (archive, capture, directory)
}
