//! Bytes that come in other order, twice, or where nobody expects them.

use super::*;
use bytes::Bytes;
use twintap_stream::{Direction, EventKind};

#[test]
fn any_distance_of_reordering() {
    let body: String = (0..50_000)
        .map(|number| char::from(b'a' + (number % 26) as u8))
        .collect();
    let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n{body}");
    let mut talk = Talk::new().handshake().ask(GET);
    let starts: Vec<usize> = (0..response.len()).step_by(100).collect();
    for start in starts.into_iter().rev() {
        let end = response.len().min(start + 100);
        talk = talk.raw(
            Server,
            start as i64,
            TcpFlags::ACK,
            &response[start..end],
            Some(28),
        );
    }
    let text = run(talk.close().segments(), Limits::default());
    assert!(text.contains(&format!("GET /a complete -> 200 {body:?} complete")));
    assert!(!text.contains("gap"));
}

#[test]
fn conflict_with_bytes_handed_on() {
    let forged = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno";
    let count = |talk: Talk| {
        let mut tap = Tap::new(Limits::default());
        talk.segments()
            .into_iter()
            .for_each(|segment| tap.segment(segment));
        tap.streams.counts().conflicting_overlaps
    };
    let talk = || Talk::new().handshake().ask(GET).answer(forged);
    assert_eq!(count(talk().server(0, OK)), 1);
    // As much of it as lies within the bytes that are remembered, a part of it, none of it.
    assert_eq!(count(talk().server(0, format!("{OK}{OK}"))), 1);
    assert_eq!(count(talk().server(38, "ok")), 1);
    assert_eq!(count(talk().server(0, &OK[..30])), 0);
    assert_eq!(count(talk().server(0, forged)), 0);
    let long = "x".repeat(1000);
    let talk = || Talk::new().handshake().ask(&long);
    assert_eq!(count(talk().client(0, "y".repeat(900))), 0);
    assert_eq!(count(talk().client(0, "y".repeat(990))), 1);
    // A probe's byte says nothing.
    assert_eq!(count(talk().client(999, "\0")), 0);
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .answer(forged)
            .server(0, OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "no" complete
            closed Finished
            108 bytes: message 68 framing 0 duplicate 40
        "#]],
    );
}

#[test]
fn overlap_behind_and_over_what_was_handed_on() {
    check(
        Talk::new()
            .handshake()
            .client(0, &GET[..10])
            .client(20, &GET[20..])
            .client(5, &GET[5..25])
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            78 bytes: message 68 framing 0 duplicate 10
        "#]],
    );
}

#[test]
fn zero_window_probes() {
    // A probe has the next byte, which is not taken; later it comes with what follows it.
    let end = GET.len() as i64;
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .client(end, "G")
            .client(end, "G")
            .raw(Server, 0, TcpFlags::ACK, "", Some(end as u64))
            .client(end, "G")
            .client(end, GET)
            .answer(OK)
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            GET /a complete -> 200 "ok" complete
            closed Finished
            139 bytes: message 136 framing 0 duplicate 3
        "#]],
    );
}

#[test]
fn urgent_bytes_are_in_the_stream() {
    const URGENT: u8 = 0x20;
    check(
        Talk::new()
            .handshake()
            .ask(&GET[..10])
            .raw(Client, 10, TcpFlags::ACK | URGENT, &GET[10..], None)
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            68 bytes: message 68 framing 0
        "#]],
    );
}

#[test]
fn stream_of_more_than_four_gibibytes() {
    const PIECE: u64 = 64 << 20;
    const PIECES: u64 = 81;
    let length = PIECE * PIECES;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let start = Talk::at(7, u32::MAX - 5)
        .handshake()
        .ask(GET)
        .answer(&head)
        .segments();
    let mut next = start[4].clone();
    next.sequence_number = next.sequence_number.wrapping_add(head.len() as u32);
    next.payload = Bytes::from(vec![b'x'; PIECE as usize]);
    next.wire_bytes = PIECE as u32;
    let mut tap = Tap::new(Limits::default());
    start.into_iter().for_each(|segment| tap.segment(segment));
    for _ in 0..PIECES {
        tap.segment(next.clone());
        next.sequence_number = next.sequence_number.wrapping_add(PIECE as u32);
    }
    next.payload = Bytes::from_static(OK.as_bytes());
    next.wire_bytes = OK.len() as u32;
    let mut request = Talk::at(7, 0)
        .unseen(Client, GET)
        .ask(GET)
        .segments()
        .remove(0);
    request.acknowledgement = next.sequence_number;
    request.time = next.time;
    tap.segment(request);
    next.acknowledgement = 7 + 2 * GET.len() as u32;
    tap.segment(next);
    let found: Vec<_> = tap
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Exchange(exchange) => Some((
                exchange.response.body_bytes,
                exchange.response.state,
                exchange.response.offset,
            )),
            _ => None,
        })
        .collect();
    let complete = twintap_stream::message::MessageState::Complete;
    let second = head.len() as u64 + length;
    assert_eq!(found, [(length, complete, 0), (2, complete, second)]);
}

#[test]
fn segments_larger_than_an_ip_packet() {
    let ends = Endpoints {
        client: "10.0.0.1:40000".parse().expect("an address"),
        server: "10.0.0.2:8080".parse().expect("an address"),
    };
    let segment = |direction, offset: u64, payload: Bytes| Segment {
        time: Timestamp(offset),
        endpoints: match direction {
            Client => ends,
            Server => ends.swapped(),
        },
        source: Source::Kernel {
            flow: FlowId(3),
            direction,
            offset,
        },
        sequence_number: offset as u32,
        acknowledgement: 0,
        flags: TcpFlags(TcpFlags::ACK),
        wire_bytes: payload.len() as u32,
        payload,
        mark: 0,
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n";
    let first = [head.as_bytes(), &[b'x'; 130_000]].concat();
    let second = vec![b'x'; 70_000];
    let at = first.len() as u64;
    let mut tap = Tap::new(Limits::default());
    tap.segment(segment(Client, 0, Bytes::from_static(GET.as_bytes())));
    tap.segment(segment(Server, at, Bytes::from(second)));
    tap.segment(segment(Server, 0, Bytes::from(first)));
    let bytes = |direction: Direction| -> usize {
        let bodies = tap.events.iter().filter_map(|event| match &event.kind {
            EventKind::Body {
                direction: of,
                chunk,
                ..
            } if *of == direction => Some(chunk.len()),
            _ => None,
        });
        bodies.sum()
    };
    assert_eq!(bytes(Server), 200_000);
    assert_eq!(tap.streams.held(), (0, 0));
}
