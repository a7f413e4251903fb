mod tunnels;

use bytes::Bytes;
use etherparse::PacketBuilder;
use expect_test::{Expect, expect};

use super::*;

fn ethernet(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(1000, 80, 7, 1024)
        .ack(9);
    let mut bytes = Vec::new();
    builder
        .write(&mut bytes, payload)
        .expect("a buffer takes all");
    bytes
}

fn ip(payload: &[u8]) -> Vec<u8> {
    ethernet(payload).split_off(14)
}

fn ipv6(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv6([1; 16], [2; 16], 64).tcp(1000, 80, 7, 1024);
    let mut bytes = Vec::new();
    builder
        .write(&mut bytes, payload)
        .expect("a buffer takes all");
    bytes
}

fn decode(decoder: &mut PacketDecoder, link: u32, frame: Vec<u8>) -> Option<Segment> {
    let packet = CapturedPacket {
        time: Timestamp(5),
        link_type: LinkType(link),
        original_bytes: frame.len() as u32,
        bytes: Bytes::from(frame),
    };
    decoder.decode(&packet, 3)
}

#[track_caller]
fn check(link: u32, frame: Vec<u8>, expect: Expect) {
    expect.assert_eq(&text(link, frame));
}

/// The segment in the frame, or why there is none.
fn text(link: u32, frame: Vec<u8>) -> String {
    let mut decoder = PacketDecoder::new();
    match decode(&mut decoder, link, frame) {
        Some(segment) => format!(
            "{} > {} {} {:02x} {:?} of {}",
            segment.endpoints.client,
            segment.endpoints.server,
            segment.sequence_number,
            segment.flags.0,
            String::from_utf8_lossy(&segment.payload),
            segment.wire_bytes
        ),
        None => skipped(&decoder.counts()),
    }
}

/// What the counts say of the only packet.
fn skipped(counts: &PacketCounts) -> String {
    let text = format!("{counts:?}");
    let fields = text.trim_start_matches("PacketCounts { packets: 1, ");
    let fields = fields.trim_end_matches(" }").split(", ");
    let counted: Vec<_> = fields.filter(|field| !field.ends_with(": 0")).collect();
    counted.join(", ")
}

fn joined(head: &[u8], rest: Vec<u8>) -> Vec<u8> {
    [head, &rest].concat()
}

#[test]
fn ethernet_with_padding() {
    let mut frame = ethernet(b"hi");
    frame.resize(60, 0xee);
    check(
        1,
        frame,
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
}

#[test]
fn tags_and_labels() {
    let addresses = [0; 12];
    let tagged = |tags: &[u8]| joined(&[&addresses[..], tags].concat(), ip(b"hi"));
    check(
        1,
        tagged(&[0x81, 0, 0, 1, 8, 0]),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    check(
        1,
        tagged(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0]),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    check(
        1,
        tagged(&[0x88, 0x47, 0, 1, 0, 9, 0, 1, 1, 9]),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    check(
        1,
        tagged(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 44, 0, 0x21]),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    check(
        1,
        tagged(&[0, 50, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
}

#[test]
fn other_link_layers() {
    check(
        101,
        ip(b"hi"),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    check(
        101,
        ipv6(b"hi"),
        expect![[
            r#"[101:101:101:101:101:101:101:101]:1000 > [202:202:202:202:202:202:202:202]:80 7 00 "hi" of 2"#
        ]],
    );
    check(
        0,
        joined(&[2, 0, 0, 0], ip(b"hi")),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    check(
        108,
        joined(&[0, 0, 0, 30], ipv6(b"hi")),
        expect![[
            r#"[101:101:101:101:101:101:101:101]:1000 > [202:202:202:202:202:202:202:202]:80 7 00 "hi" of 2"#
        ]],
    );
    let cooked = [0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0];
    check(
        113,
        joined(&cooked, ip(b"hi")),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    let cooked = [8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0];
    check(
        276,
        joined(&cooked, ip(b"hi")),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    let attributes = [2, 0, 0, 0, 8, 0, 1, 0, 0, 8, 3, 0, 46, 0, 9, 0];
    check(
        239,
        joined(&attributes, ip(b"hi")),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    let radiotap = [0, 0, 8, 0, 0, 0, 0, 0];
    let mut frame = [
        &radiotap[..],
        &[0x88, 0x01],
        &[0; 24],
        &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0],
    ]
    .concat();
    check(
        127,
        joined(&frame, ip(b"hi")),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    frame[9] |= 0x40;
    check(127, joined(&frame, ip(b"hi")), expect!["encrypted: 1"]);
    check(
        9,
        joined(&[0xff, 3, 0, 0x21], ip(b"hi")),
        expect![[r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#]],
    );
    check(147, ip(b"hi"), expect!["unknown_link: 1"]);
}

#[test]
fn length_left_to_the_network_card() {
    let mut frame = ethernet(&[b'x'; 3000]);
    frame[16..18].copy_from_slice(&[0, 0]);
    let mut decoder = PacketDecoder::new();
    let segment = decode(&mut decoder, 1, frame).expect("a segment");
    assert_eq!((segment.payload.len(), segment.wire_bytes), (3000, 3000));
}

#[test]
fn cut_by_the_capture() {
    let frame = ethernet(b"0123456789");
    let packet = |length: usize| CapturedPacket {
        time: Timestamp(5),
        link_type: LinkType(1),
        bytes: Bytes::copy_from_slice(&frame[..length]),
        original_bytes: frame.len() as u32,
    };
    let mut decoder = PacketDecoder::new();
    let segment = decoder.decode(&packet(58), 0).expect("a segment");
    assert_eq!(
        (&segment.payload[..], segment.wire_bytes),
        (&b"0123"[..], 10)
    );
    for length in 0..54 {
        assert!(decoder.decode(&packet(length), 0).is_none());
    }
    let counts = decoder.counts();
    assert_eq!(counts.cut_headers + counts.malformed, 54, "{counts:?}");
}

fn fragments(of: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (header, payload) = of.split_at(20);
    let last = payload.len().div_ceil(size) - 1;
    let parts = payload.chunks(size).enumerate().map(|(index, part)| {
        let mut header = header.to_vec();
        header[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
        let more = if index < last { 0x2000 } else { 0 };
        let place = more | (index * size / 8) as u16;
        header[6..8].copy_from_slice(&place.to_be_bytes());
        joined(&header, part.to_vec())
    });
    parts.collect()
}

#[test]
fn fragments_in_any_order() {
    let whole = ip(b"a request in fragments");
    let mut parts = fragments(&whole, 8);
    parts.reverse();
    let mut decoder = PacketDecoder::new();
    let last = parts.pop().expect("several parts");
    for part in parts {
        assert!(decode(&mut decoder, 101, part).is_none());
    }
    let segment = decode(&mut decoder, 101, last).expect("a whole segment");
    assert_eq!(&segment.payload[..], b"a request in fragments");
    assert_eq!(decoder.counts().lost_fragments, 0);
}

#[test]
fn fragments_are_bounded() {
    let mut decoder = PacketDecoder::new();
    for number in 0..5000_u16 {
        let mut part = fragments(&ip(b"a request in fragments"), 8).remove(0);
        part[4..6].copy_from_slice(&number.to_be_bytes());
        assert!(decode(&mut decoder, 101, part).is_none());
    }
    let counts = decoder.counts();
    assert_eq!(counts.fragments, 5000);
    assert!(counts.lost_fragments >= 5000 - 256, "{counts:?}");
}
