//! Flows that go on after the daemon died: nothing is lost, and nothing is stored twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use twintap_archive::{
    Archive, Capture as CaptureState, CaptureSource, Checkpoint, Options, Reader,
};
use twintap_replayer::capture::{Capture, ledger_to_resume};
use twintap_replayer::checkpoint::{FlowMarks, totals};
use twintap_scrub::{Key, Policy, Scrubber};
use twintap_stream::Direction::{self, Client, Server};
use twintap_stream::{FlowId, Limits, Segment, Timestamp};

use crate::segment;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

/// Two streams of which the later one is over first: POST / on stream 1, GET / on stream 3.
fn two_streams() -> Vec<(Direction, Vec<u8>)> {
    let ask = frame(HEADERS, END_HEADERS, 1, &[0x83, 0x84, 0x86]);
    let ask_later = frame(HEADERS, END_HEADERS | END_STREAM, 3, &[0x82, 0x84, 0x86]);
    vec![
        (Client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        (Client, frame(SETTINGS, 0, 0, b"")),
        (Server, frame(SETTINGS, 0, 0, b"")),
        (Client, ask),
        (Client, frame(DATA, 0, 1, b"first half, ")),
        (Client, ask_later),
        (Server, frame(HEADERS, END_HEADERS, 3, &[0x88])),
        (Server, frame(DATA, END_STREAM, 3, b"of the later one")),
        (Client, frame(DATA, END_STREAM, 1, b"second half")),
        (Server, frame(HEADERS, END_HEADERS, 1, &[0x88])),
        (Server, frame(DATA, END_STREAM, 1, b"of the first one")),
    ]
}

/// Two streams of which the earlier one is over first, while the response to the later one, which
/// began before, is being sent.
fn crossed_streams() -> Vec<(Direction, Vec<u8>)> {
    let ask = |stream| {
        frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &[0x82, 0x84, 0x86],
        )
    };
    let answer = |stream| frame(HEADERS, END_HEADERS, stream, &[0x88]);
    vec![
        (Client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        (Client, frame(SETTINGS, 0, 0, b"")),
        (Server, frame(SETTINGS, 0, 0, b"")),
        (Client, ask(1)),
        (Client, ask(3)),
        (Server, answer(3)),
        (Server, answer(1)),
        (Server, frame(DATA, END_STREAM, 1, b"of the first one")),
        (Server, frame(DATA, 0, 3, b"of the later one, ")),
        (Server, frame(DATA, END_STREAM, 3, b"its rest")),
    ]
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short payload");
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

fn segments(talk: Vec<(Direction, Vec<u8>)>) -> Vec<Segment> {
    let mut sent = [0, 0];
    let mut segments = Vec::new();
    for (number, (direction, payload)) in talk.into_iter().enumerate() {
        let offset = &mut sent[direction as usize];
        let bytes = payload.len() as u64;
        segments.push(segment(direction, *offset, payload, number as u64 + 1));
        *offset += bytes;
    }
    segments
}

/// The daemon from one start to the next.
struct Life {
    archive: Archive,
    capture: Capture,
    flow_marks: FlowMarks,
    before: CaptureState,
}

impl Life {
    fn begin(path: &Path) -> Life {
        let policy = Policy::from_yaml("version: 1\nbase: default\n", "test").expect("a policy");
        let scrubber = Scrubber::new(policy, &Key::from_bytes([7; 32]));
        let (archive, recovery) = Archive::open(path, Options::default()).expect("an archive");
        let checkpoint = recovery.checkpoint.unwrap_or_default();
        let before = checkpoint.captures.into_iter().next().unwrap_or_default();
        let base = ledger_to_resume(before.store.clone());
        let mut capture = Capture::new(Arc::from("node-1"), 1, Limits::default(), scrubber, base);
        for mark in &before.flows {
            capture.resume_flow(mark);
        }
        Life {
            archive,
            capture,
            flow_marks: FlowMarks::resumed(&before.flows),
            before,
        }
    }

    fn take(&mut self, segment: Segment) {
        self.capture
            .handle_segment(segment, &mut self.archive)
            .expect("a segment is taken");
        let ledger = self.capture.ledger();
        assert!(ledger.closes(), "{ledger:?}");
    }

    fn commit(&mut self) {
        let held = self.capture.held_marks();
        let first_held = held.first().map(|(first, _)| *first);
        let (flows, closed_flows) = self.flow_marks.changes(&mut self.capture, 99, first_held);
        let totals = totals(
            "node-1",
            1,
            CaptureSource::Ebpf,
            &self.capture,
            &self.before,
        );
        let checkpoint = Checkpoint {
            at: Timestamp(1),
            captures: vec![CaptureState {
                flows,
                closed_flows,
                ..totals
            }],
        };
        self.archive.commit(checkpoint).expect("the commit");
        self.capture.rest();
    }
}

/// The whole of it in one life, and with a death after each number of segments: the same
/// exchanges are stored. Gives how many came again at most.
fn check(talk: Vec<(Direction, Vec<u8>)>) -> u64 {
    let segments = segments(talk);
    let whole = stored(&segments, &[]).0;
    let mut repeated = 0;
    for at in 0..segments.len() {
        for later in at..segments.len() {
            let (ids, repeats) = stored(&segments, &[at, later]);
            assert_eq!(ids, whole, "dying after {at} and {later}");
            repeated = repeats.max(repeated);
        }
    }
    repeated
}

/// The ids of what is stored, sorted, and how many exchanges came again.
fn stored(segments: &[Segment], deaths: &[usize]) -> (Vec<String>, u64) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("archive");
    let mut life = Life::begin(&path);
    for (number, segment) in segments.iter().enumerate() {
        for _ in deaths.iter().filter(|at| **at == number) {
            life.commit();
            let held = life.capture.held_marks();
            drop(life);
            life = Life::begin(&path);
            for sent in &segments[..number] {
                if held
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&sent.mark))
                {
                    life.take(sent.clone());
                }
            }
        }
        life.take(segment.clone());
    }
    let Life {
        archive, capture, ..
    } = &mut life;
    let end = Timestamp(segments.len() as u64 + 1);
    capture
        .handle_close(FlowId(9), end, None, archive)
        .expect("a close is taken");
    capture.finish(archive).expect("the end");
    life.commit();
    let ledger = life.capture.ledger();
    assert!(ledger.closes(), "{ledger:?}");
    drop(life);
    let reader = Reader::open(&path).expect("a reader");
    let mut ids: Vec<String> = reader
        .exchanges()
        .map(|stored| stored.expect("an exchange").id().to_string())
        .collect();
    ids.sort();
    assert_eq!(ids.len() as u64, ledger.stored);
    let causes: BTreeMap<_, _> = ledger.discarded;
    assert!(
        causes.keys().all(|cause| cause == "stored_before"),
        "{causes:?}"
    );
    (ids, causes.values().sum())
}

#[test]
fn the_later_stream_is_over_first() {
    assert!(
        check(two_streams()) > 0,
        "no death makes a stream come again"
    );
}

#[test]
fn the_first_response_is_over_last() {
    assert!(
        check(crossed_streams()) > 0,
        "no death makes a stream come again"
    );
}
