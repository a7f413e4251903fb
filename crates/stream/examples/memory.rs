//! What flows and exchanges cost in memory.
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

fn main() {
    idle_flows("from packets", true, |_| Source::Packet);
    idle_flows("from a hook", false, kernel);
    exchanges();
}

fn kernel(sent: &Sent) -> Source {
    Source::Kernel {
        flow: FlowId(u64::from(sent.flow)),
        direction: sent.direction,
        offset: u64::from(sent.offset),
    }
}

/// Keep-alive flows with one exchange each that is over.
fn idle_flows(name: &str, with_handshake: bool, source: fn(&Sent) -> Source) {
    let region = Region::new(ALLOCATOR);
    let mut streams = streams();
    for flow in 0..FLOWS {
        if with_handshake {
            for (direction, flags) in [(Direction::Client, 0), (Direction::Server, TcpFlags::ACK)] {
                let sent = Sent {
                    flow,
                    direction,
                    offset: u32::MAX,
                };
                take(
                    &mut streams,
                    segment(&sent, Source::Packet, TcpFlags::SYN | flags, &[]),
                );
            }
        }
        exchange(&mut streams, flow, 0, source);
    }
    let change = region.change();
    assert_eq!(streams.flow_count(), FLOWS as usize);
    println!(
        "{name}: {:.0} bytes an idle flow",
        live(&change) / f64::from(FLOWS)
    );
}

/// Exchanges after each other in one flow.
fn exchanges() {
    let mut streams = streams();
    exchange(&mut streams, 0, 0, kernel);
    let region = Region::new(ALLOCATOR);
    for number in 1..=EXCHANGES {
        exchange(&mut streams, 0, number, kernel);
    }
    let change = region.change();
    println!(
        "{:.2} allocations and {:.0} bytes an exchange",
        (change.allocations + change.reallocations) as f64 / f64::from(EXCHANGES),
        change.bytes_allocated as f64 / f64::from(EXCHANGES),
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
}

fn exchange(streams: &mut Streams, flow: u32, number: u32, source: fn(&Sent) -> Source) {
    for (direction, message) in [(Direction::Client, GET), (Direction::Server, OK)] {
        let offset = number * message.len() as u32;
        let sent = Sent {
            flow,
            direction,
            offset,
        };
        take(
            streams,
            segment(&sent, source(&sent), TcpFlags::ACK, message),
        );
    }
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
        acknowledgement: match sent.direction {
            Direction::Client => 0,
            Direction::Server => GET.len() as u32,
        },
        flags: TcpFlags(flags),
        payload: Bytes::from_static(payload),
        wire_bytes: payload.len() as u32,
        mark: 0,
    }
}

fn take(streams: &mut Streams, segment: Segment) {
    streams.handle_segment(segment);
    while streams.poll_event().is_some() {}
}
