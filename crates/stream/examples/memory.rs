//! What flows and exchanges cost in memory: a JSON line for each figure.
//!
//! `cargo run --release -p twintap-stream --example memory`

use std::alloc::System;
use std::sync::Arc;

use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use twintap_stream::{
    Direction, Endpoints, FlowId, Limits, Segment, Source, Streams, TcpFlags, Timestamp,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FLOWS: u32 = 100_000;
const EXCHANGES: u32 = 10_000;

const GET: &[u8] = b"GET /products/1042?expand=prices HTTP/1.1\r\nHost: shop.example\r\n\
    User-Agent: Mozilla/5.0\r\nAccept: application/json\r\nCookie: session=1f2e3d4c\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Content-Length: 16\r\n\r\n{\"price\": 12.99}";

/// The client's preface and SETTINGS, and a request that adds nothing to the header tables.
const GET_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
    \0\0\x03\x01\x05\0\0\0\x01\x82\x84\x86";
const OK_2: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\x88\
    \0\0\x02\0\x01\0\0\0\x01ok";

fn main() {
    idle_flows("http1_idle_flow_from_packets", &HTTP1, true, |_| {
        Source::Packet
    });
    idle_flows("http1_idle_flow_from_a_hook", &HTTP1, false, kernel);
    idle_flows("http2_idle_flow_from_a_hook", &HTTP2, false, kernel);
    exchanges();
}

/// A request and its response.
type Exchange = [(Direction, &'static [u8]); 2];
const HTTP1: Exchange = [(Direction::Client, GET), (Direction::Server, OK)];
const HTTP2: Exchange = [(Direction::Client, GET_2), (Direction::Server, OK_2)];

fn print(metric: &str, unit: &str, value: f64) {
    println!("{{\"metric\":\"{metric}\",\"unit\":\"{unit}\",\"value\":{value:.2}}}");
}

fn kernel(sent: &Sent) -> Source {
    Source::Kernel {
        flow: FlowId(u64::from(sent.flow)),
        direction: sent.direction,
        offset: u64::from(sent.offset),
    }
}

/// Keep-alive flows with one exchange each that is over.
fn idle_flows(
    metric: &str,
    messages: &Exchange,
    with_handshake: bool,
    source: fn(&Sent) -> Source,
) {
    let region = Region::new(ALLOCATOR);
    let mut streams = streams();
    let mut finished = 0;
    for flow in 0..FLOWS {
        if with_handshake {
            for (direction, flags) in [(Direction::Client, 0), (Direction::Server, TcpFlags::ACK)] {
                let sent = Sent {
                    flow,
                    direction,
                    offset: u32::MAX,
                    acknowledgement: 0,
                };
                take(
                    &mut streams,
                    segment(&sent, Source::Packet, TcpFlags::SYN | flags, &[]),
                );
            }
        }
        finished += exchange(&mut streams, messages, flow, 0, source);
    }
    let change = region.change();
    assert_eq!(streams.flow_count(), FLOWS as usize);
    assert_eq!(finished, FLOWS);
    print(metric, "bytes", live(&change) / f64::from(FLOWS));
}

/// Exchanges after each other in one flow.
fn exchanges() {
    let mut streams = streams();
    exchange(&mut streams, &HTTP1, 0, 0, kernel);
    let region = Region::new(ALLOCATOR);
    for number in 1..=EXCHANGES {
        exchange(&mut streams, &HTTP1, 0, number, kernel);
    }
    let change = region.change();
    let each = |count: usize| count as f64 / f64::from(EXCHANGES);
    let allocations = each(change.allocations + change.reallocations);
    print("allocations_an_exchange", "allocations", allocations);
    print(
        "allocated_an_exchange",
        "bytes",
        each(change.bytes_allocated),
    );
}

fn live(change: &Stats) -> f64 {
    change.bytes_allocated as f64 - change.bytes_deallocated as f64
}

fn streams() -> Streams {
    let limits = Limits {
        max_flows: 2 * FLOWS as usize,
        ..Limits::default()
    };
    Streams::new(Arc::from("node"), 1, limits)
}

/// Where a segment comes from.
struct Sent {
    flow: u32,
    direction: Direction,
    offset: u32,
    /// Up to where its sender has the other direction.
    acknowledgement: u32,
}

/// Counts the exchanges that are over with it.
fn exchange(
    streams: &mut Streams,
    messages: &Exchange,
    flow: u32,
    number: u32,
    source: fn(&Sent) -> Source,
) -> u32 {
    let mut finished = 0;
    for (direction, message) in *messages {
        let offset = number * message.len() as u32;
        let sent = Sent {
            flow,
            direction,
            offset,
            acknowledgement: match direction {
                Direction::Client => number * messages[1].1.len() as u32,
                Direction::Server => offset_after(messages[0].1, number),
            },
        };
        finished += take(
            streams,
            segment(&sent, source(&sent), TcpFlags::ACK, message),
        );
    }
    finished
}

fn offset_after(message: &[u8], number: u32) -> u32 {
    (number + 1) * message.len() as u32
}

fn segment(sent: &Sent, source: Source, flags: u8, payload: &'static [u8]) -> Segment {
    let [_, high, middle, low] = (sent.flow / 50_000).to_be_bytes();
    let ends = Endpoints {
        client: (
            [10, high, middle, low],
            10_000 + (sent.flow % 50_000) as u16,
        )
            .into(),
        server: ([192, 0, 2, 1], 8080).into(),
    };
    Segment {
        time: Timestamp(1_000_000_000 + u64::from(sent.flow) * 1000),
        endpoints: match sent.direction {
            Direction::Client => ends,
            Direction::Server => ends.swapped(),
        },
        source,
        sequence_number: sent.offset,
        acknowledgement: sent.acknowledgement,
        flags: TcpFlags(flags),
        payload: Bytes::from_static(payload),
        wire_bytes: payload.len() as u32,
        mark: 0,
    }
}

/// Counts the exchanges that are over with it.
fn take(streams: &mut Streams, segment: Segment) -> u32 {
    streams.handle_segment(segment);
    let events = std::iter::from_fn(|| streams.poll_event());
    events.filter(|event| event.kind.is_exchange()).count() as u32
}
