//! What hostile peers can make the parser hold, and what a body costs.

use super::build::{Say::*, *};
use crate::common::{Talk, Tap};
use twintap_stream::{Event, EventKind, Limits, Segment, Timestamp};

/// Runs a connection with small limits; the most that was held, with its cost, and the events.
fn run(says: Vec<Say>) -> ((u64, u64), Vec<Event>) {
    let limits = Limits {
        flow_buffer_bytes: 64 << 10,
        max_head_bytes: 4 << 10,
        ..Limits::default()
    };
    let talk = opening()
        .into_iter()
        .chain(says)
        .fold(Talk::new().handshake(), say);
    let mut tap = Tap::new(limits);
    let mut most = (0, 0);
    for segment in talk.close().segments() {
        tap.segment(segment);
        let (bytes, cost) = tap.streams.held();
        most = (bytes.max(most.0), cost.max(most.1));
    }
    tap.finish(Timestamp(1 << 50));
    (most, tap.events)
}

/// How many exchanges have each flag.
fn flagged(events: &[Event], flag: &str) -> usize {
    let has = |event: &&Event| match &event.kind {
        EventKind::Exchange(exchange) => {
            let flags = [&exchange.request.flags, &exchange.response.flags];
            flags.into_iter().flatten().any(|name| name == flag)
        }
        _ => false,
    };
    events.iter().filter(has).count()
}

fn exchanges(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|event| event.kind.is_exchange())
        .count()
}

#[test]
fn streams_that_nobody_answers() {
    let says = (0..3000).map(|number| Client(ask(2 * number + 1, "/a")));
    let ((held, cost), events) = run(says.collect());
    assert_eq!(held, 0);
    assert!(cost < 80 << 10, "{cost} bytes");
    assert_eq!(exchanges(&events), 3000);
    let evicted = flagged(&events, "stream_evicted");
    assert!((2800..3000).contains(&evicted), "{evicted} evicted");
}

#[test]
fn a_header_block_without_end() {
    let begin = Client(frame(1, END_STREAM, 1, &get("/a")));
    let more = (0..3000).map(|number| Client(frame(9, 0, 1, &[0; 100][..number % 100])));
    let end = Client(frame(9, END_HEADERS, 1, &[]));
    let next = [
        Client(ask(3, "/b")),
        Server([answer(1, "a"), answer(3, "b")].concat()),
    ];
    let says = [begin].into_iter().chain(more).chain([end]).chain(next);
    let ((held, _), events) = run(says.collect());
    assert!(held <= 4 << 10, "{held} bytes");
    assert_eq!(exchanges(&events), 2);
    assert_eq!(flagged(&events, "head_too_large"), 1);
}

#[test]
fn a_small_block_that_grows() {
    let value = "x".repeat(120);
    let bomb = [added(&[("a", &value)]), vec![0xbe; 3900]].concat();
    let says = (0..200).flat_map(|number| {
        let block = [get("/a"), bomb.clone()].concat();
        [Client(headers(2 * number + 1, END_STREAM, &block))]
    });
    let ((held, cost), events) = run(says.collect());
    assert_eq!(held, 0);
    assert!(cost < 80 << 10, "{cost} bytes");
    assert_eq!(exchanges(&events), 200);
    assert_eq!(flagged(&events, "head_too_large"), 200);
}

#[test]
fn bodies_are_not_copied() {
    let body = "x".repeat(16_000);
    let says = vec![
        Client(ask(1, "/a")),
        Server(headers(1, 0, &[0x88])),
        Server(data(1, 0, &body)),
        Server(data(1, END_STREAM, &body)),
    ];
    let talk = opening()
        .into_iter()
        .chain(says)
        .fold(Talk::new().handshake(), say);
    let segments = talk.close().segments();
    let mut tap = Tap::new(Limits::default());
    segments
        .iter()
        .cloned()
        .for_each(|segment| tap.segment(segment));
    let is_within =
        |chunk: &[u8], segment: &Segment| segment.payload.as_ptr_range().contains(&chunk.as_ptr());
    let mut chunks = 0;
    for event in &tap.events {
        if let EventKind::Body { chunk, .. } = &event.kind {
            assert!(segments.iter().any(|segment| is_within(chunk, segment)));
            chunks += 1;
        }
    }
    assert_eq!(chunks, 2);
}
