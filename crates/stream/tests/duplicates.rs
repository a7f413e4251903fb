//! Packets that the capture saw more than once: at two interfaces, or in and out of a tunnel.

use bytes::Bytes;
use etherparse::PacketBuilder;
use twintap_stream::{
    CapturedPacket, EventKind, Limits, LinkType, PacketDecoder, Segment, TcpFlags, Timestamp,
};

use crate::common::{MS, Talk, Tap, render, run};

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn talk() -> Vec<Segment> {
    let talk = Talk::new().handshake().ask(GET).answer(OK);
    talk.ask(GET).answer(OK).close().segments()
}

fn ethernet(segment: &Segment) -> Vec<u8> {
    let (client, server) = (segment.endpoints.client, segment.endpoints.server);
    let (std::net::IpAddr::V4(from), std::net::IpAddr::V4(to)) = (client.ip(), server.ip()) else {
        panic!("a conversation over IPv4");
    };
    let mut builder = PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4(from.octets(), to.octets(), 64)
        .tcp(client.port(), server.port(), segment.sequence_number, 1024);
    if segment.flags.has(TcpFlags::ACK) {
        builder = builder.ack(segment.acknowledgement);
    }
    if segment.flags.has(TcpFlags::SYN) {
        builder = builder.syn();
    }
    if segment.flags.has(TcpFlags::FIN) {
        builder = builder.fin();
    }
    let mut frame = Vec::new();
    let written = builder.write(&mut frame, &segment.payload);
    written.expect("a buffer takes all");
    frame
}

fn in_vlan(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat()
}

fn in_vxlan(frame: &[u8]) -> Vec<u8> {
    let payload = [&[8, 0, 0, 0, 0, 0, 9, 0], frame].concat();
    let builder = PacketBuilder::ethernet2([3; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .udp(50_000, 4789);
    let mut outer = Vec::new();
    let written = builder.write(&mut outer, &payload);
    written.expect("a buffer takes all");
    outer
}

/// The same conversation, each packet seen once more by `again`, 20 us later.
#[track_caller]
fn check(again: fn(&[u8]) -> Vec<u8>) {
    let mut decoder = PacketDecoder::new();
    let mut tap = Tap::new(Limits::default());
    for segment in talk() {
        let frame = ethernet(&segment);
        let second = again(&frame);
        for (time, bytes) in [
            (segment.time, frame),
            (segment.time.plus_ns(20_000), second),
        ] {
            let packet = CapturedPacket {
                time,
                link_type: LinkType(1),
                original_bytes: bytes.len() as u32,
                bytes: Bytes::from(bytes),
            };
            tap.segment(decoder.decode(&packet, 0).expect("a segment"));
        }
    }
    tap.finish(Timestamp(1 << 50));
    let once = run(talk(), Limits::default());
    assert!(
        once.starts_with(&render(&tap.events)),
        "{}",
        render(&tap.events)
    );
    let ledger = tap.streams.ledger();
    assert_eq!(ledger.duplicate_bytes * 2, ledger.delivered_bytes);
    for event in &tap.events {
        if let EventKind::Exchange(exchange) = &event.kind {
            assert_eq!(exchange.round_trip_ns, Some(2 * MS));
        }
    }
}

#[test]
fn seen_at_two_interfaces() {
    check(<[u8]>::to_vec);
}

#[test]
fn seen_in_two_vlans() {
    check(in_vlan);
}

#[test]
fn seen_plain_and_in_a_tunnel() {
    check(in_vxlan);
}
