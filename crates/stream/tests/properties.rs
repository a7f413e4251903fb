//! Laws that hold for all inputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::{MS, Tap, from_kernel, restart};
use crate::hostile;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use twintap_stream::{
    Direction, Endpoints, Event, EventKind, Limits, Segment, Source, Streams, TcpFlags, Timestamp,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_order_gives_the_same_exchanges(talk in talk(), cuts in cuts(), shuffle in shuffle()) {
        let expected = outcome(talk.packets(&Cuts::default()), Limits::default());
        prop_assert_eq!(expected.len(), talk.0.len());
        let segments = shuffle.apply(talk.packets(&cuts));
        prop_assert_eq!(outcome(segments, Limits::default()), expected);
    }

    #[test]
    fn kernel_offsets_give_the_same_exchanges(talk in talk(), cuts in cuts()) {
        let expected = outcome(talk.packets(&Cuts::default()), Limits::default());
        let segments = talk.packets(&cuts);
        prop_assert_eq!(outcome(from_kernel(segments), Limits::default()), expected);
    }

    #[test]
    fn a_restart_loses_and_repeats_nothing(talk in talk(), cuts in cuts(), at in any::<Index>()) {
        let segments = from_kernel(talk.packets(&cuts));
        let whole = events(segments.clone());
        let at = at.index(segments.len());
        let [first, second] = restart(&segments, at);
        let both: Vec<_> = exchanges(&first.events).into_iter().chain(exchanges(&second.events)).collect();
        prop_assert_eq!(both, exchanges(&whole));
    }

    #[test]
    fn any_packet(data in vec(any::<u8>(), 0..2000)) {
        hostile::packet(&data);
    }

    #[test]
    fn any_segments(data in vec(any::<u8>(), 0..2000)) {
        hostile::tcp(&data);
    }

    #[test]
    fn any_stream(data in vec(any::<u8>(), 0..2000)) {
        hostile::http1(&data);
    }

    #[test]
    fn any_commands(data in vec(any::<u8>(), 0..2000)) {
        hostile::redis(&data);
    }

    #[test]
    fn any_frames(data in vec(any::<u8>(), 0..2000)) {
        hostile::websocket(&data);
    }

    #[test]
    fn any_loss_is_named(talk in talk(), cuts in cuts(), lost in vec(any::<Index>(), 1..4)) {
        let mut segments = talk.packets(&cuts);
        let all: u64 = segments.iter().map(|segment| segment.payload.len() as u64).sum();
        let mut missing = 0;
        for index in lost {
            // The handshake stays: without it nobody knows what came first.
            let index = 3 + index.index(segments.len() - 3);
            if segments.len() > 4 && index < segments.len() {
                missing += segments.remove(index).payload.len() as u64;
            }
        }
        let mut tap = Tap::new(Limits::default());
        for segment in segments {
            tap.segment(segment);
        }
        tap.finish(Timestamp(1 << 50));
        let gaps = tap.streams.counts().gap_bytes;
        let ledger = tap.streams.ledger();
        prop_assert_eq!(ledger.delivered_bytes, all - missing);
        // What is lost at a tail that nobody acknowledged leaves no trace.
        prop_assert!(gaps <= missing, "{} > {}", gaps, missing);
        for event in &tap.events {
            if let EventKind::Exchange(exchange) = &event.kind
                && let Some(head) = &exchange.request.head
            {
                // Whatever was lost, no request is made up of two.
                prop_assert!(talk.0.iter().any(|turn| turn.request.starts_with(&head.to_wire()[..])));
            }
        }
    }
}

/// A request and what answers it.
#[derive(Clone, Debug)]
struct Turn {
    request: Bytes,
    response: Bytes,
}

#[derive(Clone, Debug)]
struct Talk(Vec<Turn>);

fn talk() -> impl Strategy<Value = Talk> {
    vec(turn(), 1..6).prop_map(Talk)
}

fn turn() -> impl Strategy<Value = Turn> {
    let body = || vec(any::<u8>(), 0..300);
    let method = prop_oneof![Just("GET"), Just("POST"), Just("HEAD"), Just("PUT")];
    let status = prop_oneof![Just(200), Just(204), Just(304), Just(404)];
    let interim = prop_oneof![3 => Just(""), 1 => Just("HTTP/1.1 100 Continue\r\n\r\n")];
    (
        method,
        "[a-z]{0,20}",
        body(),
        any::<u8>(),
        interim,
        status,
        body(),
        any::<u8>(),
    )
        .prop_map(
            |(method, path, request, request_shape, interim, status, response, response_shape)| {
                let mut wire = format!("{method} /{path} HTTP/1.1\r\nHost: h\r\n").into_bytes();
                if method == "POST" || method == "PUT" {
                    write_body(&mut wire, &request, request_shape);
                } else {
                    wire.extend_from_slice(b"\r\n");
                }
                let mut answer = format!("{interim}HTTP/1.1 {status} Why\r\n").into_bytes();
                if method == "HEAD" || status == 204 || status == 304 {
                    answer.extend_from_slice(b"Content-Length: 77\r\n\r\n");
                } else {
                    write_body(&mut answer, &response, response_shape);
                }
                Turn {
                    request: Bytes::from(wire),
                    response: Bytes::from(answer),
                }
            },
        )
}

fn write_body(wire: &mut Vec<u8>, body: &[u8], shape: u8) {
    if shape & 1 == 0 {
        wire.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        wire.extend_from_slice(body);
        return;
    }
    wire.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(1 + usize::from(shape)) {
        let extension = if shape & 2 == 0 { "" } else { ";a=b" };
        wire.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    let trailer = if shape & 4 == 0 { "" } else { "Sum: 1\r\n" };
    wire.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
}

/// Where messages are cut into segments.
#[derive(Clone, Debug, Default)]
struct Cuts {
    sizes: Vec<usize>,
    client_base: u32,
    server_base: u32,
}

fn cuts() -> impl Strategy<Value = Cuts> {
    let base = || prop_oneof![any::<u32>(), (u32::MAX - 500)..u32::MAX];
    (vec(1_usize..200, 1..10), base(), base()).prop_map(|(sizes, client_base, server_base)| Cuts {
        sizes,
        client_base,
        server_base,
    })
}

impl Talk {
    /// Packets of the whole connection, each a millisecond after the one before.
    fn packets(&self, cuts: &Cuts) -> Vec<Segment> {
        let mut wire = Wire {
            segments: Vec::new(),
            bases: [cuts.client_base, cuts.server_base],
            sent: [0, 0],
        };
        wire.send(Direction::Client, -1, TcpFlags::SYN, Bytes::new());
        wire.send(
            Direction::Server,
            -1,
            TcpFlags::SYN | TcpFlags::ACK,
            Bytes::new(),
        );
        wire.send(Direction::Client, 0, TcpFlags::ACK, Bytes::new());
        let mut sizes = cuts.sizes.iter().copied().cycle();
        for turn in &self.0 {
            for (direction, message) in [
                (Direction::Client, &turn.request),
                (Direction::Server, &turn.response),
            ] {
                let mut rest = message.clone();
                while !rest.is_empty() {
                    let size = sizes.next().unwrap_or(usize::MAX).min(rest.len());
                    let part = rest.split_to(size);
                    let offset = wire.sent[direction as usize] as i64;
                    wire.send(direction, offset, TcpFlags::ACK, part);
                }
            }
        }
        for direction in [Direction::Client, Direction::Server] {
            let offset = wire.sent[direction as usize] as i64;
            wire.send(
                direction,
                offset,
                TcpFlags::FIN | TcpFlags::ACK,
                Bytes::new(),
            );
        }
        wire.segments
    }
}

struct Wire {
    segments: Vec<Segment>,
    bases: [u32; 2],
    sent: [u64; 2],
}

impl Wire {
    fn send(&mut self, direction: Direction, offset: i64, flags: u8, payload: Bytes) {
        let ends = Endpoints {
            client: "10.0.0.1:40000".parse().expect("an address"),
            server: "10.0.0.2:8080".parse().expect("an address"),
        };
        let own = direction as usize;
        let other = direction.opposite() as usize;
        let mark = self.segments.len() as u64;
        self.sent[own] = (offset + payload.len() as i64).max(0) as u64;
        self.segments.push(Segment {
            time: Timestamp(mark * MS),
            endpoints: match direction {
                Direction::Client => ends,
                Direction::Server => ends.swapped(),
            },
            source: Source::Packet,
            sequence_number: self.bases[own].wrapping_add(offset as u32),
            acknowledgement: self.bases[other].wrapping_add(self.sent[other] as u32),
            flags: TcpFlags(flags),
            wire_bytes: payload.len() as u32,
            payload,
            mark,
        });
    }
}

/// Swaps of near segments, and repetitions.
#[derive(Clone, Debug)]
pub struct Shuffle {
    swaps: Vec<(Index, usize)>,
    repeats: Vec<(Index, usize)>,
}

pub fn shuffle() -> impl Strategy<Value = Shuffle> {
    let steps = || vec((any::<Index>(), 1_usize..6), 0..8);
    (steps(), steps()).prop_map(|(swaps, repeats)| Shuffle { swaps, repeats })
}

impl Shuffle {
    pub fn apply(&self, mut segments: Vec<Segment>) -> Vec<Segment> {
        // The handshake stays in front: without it nobody knows what came first.
        let mut rest = segments.split_off(3);
        for (index, distance) in &self.swaps {
            let at = index.index(rest.len());
            let with = (at + distance).min(rest.len() - 1);
            rest.swap(at, with);
        }
        for (index, distance) in &self.repeats {
            let at = index.index(rest.len());
            let again = rest[at].clone();
            rest.insert((at + distance).min(rest.len()), again);
        }
        segments.append(&mut rest);
        segments
    }
}

#[track_caller]
fn events(segments: Vec<Segment>) -> Vec<Event> {
    let mut tap = Tap::new(Limits::default());
    for segment in segments {
        tap.segment(segment);
    }
    tap.finish(Timestamp(1 << 50));
    tap.events
}

#[track_caller]
pub fn outcome(segments: Vec<Segment>, limits: Limits) -> Vec<String> {
    let mut tap = Tap::new(limits);
    for segment in segments {
        tap.segment(segment);
    }
    tap.finish(Timestamp(1 << 50));
    exchanges(&tap.events)
}

/// Everything of each exchange but times and chunk boundaries.
fn exchanges(events: &[Event]) -> Vec<String> {
    let mut bodies: BTreeMap<_, Vec<u8>> = BTreeMap::new();
    let mut found = Vec::new();
    for event in events {
        match &event.kind {
            EventKind::Body {
                exchange,
                direction,
                chunk,
                ..
            } => bodies
                .entry((exchange.clone(), *direction))
                .or_default()
                .extend_from_slice(chunk),
            EventKind::Exchange(exchange) => {
                let mut body = |direction| bodies.remove(&(exchange.id.clone(), direction));
                let (request, response) = (body(Direction::Client), body(Direction::Server));
                let mut exchange = exchange.clone();
                exchange.round_trip_ns = None;
                for time in [
                    &mut exchange.request.first_byte,
                    &mut exchange.request.last_byte,
                    &mut exchange.response.first_byte,
                    &mut exchange.response.last_byte,
                ] {
                    *time = Timestamp::default();
                }
                found.push(format!("{exchange:?} {request:?} {response:?}"));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn ids_name_node_boot_flow_and_offset() {
    let mut streams = Streams::new(Arc::from("edge-7"), 0xfeed, Limits::default());
    let talk = Talk(vec![Turn {
        request: Bytes::from_static(b"GET / HTTP/1.1\r\n\r\n"),
        response: Bytes::from_static(b"HTTP/1.1 204 No\r\n\r\n"),
    }]);
    for segment in talk.packets(&Cuts::default()) {
        streams.handle_segment(segment);
    }
    let id = std::iter::from_fn(|| streams.poll_event()).find_map(|event| match event.kind {
        EventKind::Exchange(exchange) => Some(exchange.id.to_string()),
        _ => None,
    });
    assert_eq!(
        id.as_deref(),
        Some("edge-7/000000000000feed/0000000000000001/0")
    );
}
