//! Packets in packets.

use super::*;

const FOUND: &str = r#"10.0.0.1:1000 > 10.0.0.2:80 7 10 "hi" of 2"#;

/// An IPv4 header from 192.0.2.1 to 192.0.2.2, with its payload.
fn ip_with(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + payload.len() as u16).to_be_bytes();
    let header = [
        0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
    ];
    joined(&header, payload.to_vec())
}

fn ipv6_with(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let header = [
        &[0x60, 0, 0, 0, high, low, protocol, 64][..],
        &[1; 16],
        &[2; 16],
    ]
    .concat();
    joined(&header, payload.to_vec())
}

fn udp(port: u16, head: &[u8], inner: Vec<u8>) -> Vec<u8> {
    let payload = joined(head, inner);
    let length = 8 + payload.len() as u16;
    let mut header = Vec::new();
    for number in [40_000, port, length, 0] {
        header.extend_from_slice(&number.to_be_bytes());
    }
    ip_with(17, &joined(&header, payload))
}

/// The packet is found in a tunnel.
#[track_caller]
fn check_found(packet: Vec<u8>) {
    let mut decoder = PacketDecoder::new();
    assert!(
        decode(&mut decoder, 101, packet.clone()).is_some(),
        "{:?}",
        decoder.counts()
    );
    assert_eq!(decoder.counts().tunnelled, 1);
    check_text(101, packet, FOUND);
}

#[track_caller]
fn check_text(link: u32, frame: Vec<u8>, expected: &str) {
    assert_eq!(text(link, frame), expected);
}

#[test]
fn ip_in_ip() {
    check_found(ip_with(4, &ip(b"hi")));
    check_found(ipv6_with(4, &ip(b"hi")));
    let six = r#"[101:101:101:101:101:101:101:101]:1000 > [202:202:202:202:202:202:202:202]:80 7 00 "hi" of 2"#;
    check_text(101, ip_with(41, &ipv6(b"hi")), six);
    check_text(101, ipv6_with(41, &ipv6(b"hi")), six);
}

#[test]
fn generic_routing_encapsulation() {
    check_found(ip_with(47, &joined(&[0, 0, 8, 0], ip(b"hi"))));
    // Checksum, key and sequence number.
    let head = [0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1];
    check_found(ip_with(47, &joined(&head, ip(b"hi"))));
    // A bridged frame, with the network's number as the key.
    let head = [0x20, 0, 0x65, 0x58, 0, 1, 2, 0];
    check_found(ip_with(47, &joined(&head, ethernet(b"hi"))));
    check_found(ip_with(
        47,
        &joined(&[0, 0, 0x88, 0x47, 0, 1, 1, 9], ip(b"hi")),
    ));
    // PPTP with a sequence number and an acknowledgement.
    let head = [
        0x30, 0x81, 0x88, 0x0b, 0, 50, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21,
    ];
    check_found(ip_with(47, &joined(&head, ip(b"hi"))));
    check_text(
        101,
        ip_with(47, &joined(&[0x40, 0, 8, 0, 0, 0, 0, 0], ip(b"hi"))),
        "not_tcp: 1",
    );
    check_text(101, ip_with(47, &[0x20, 0, 8, 0, 1]), "cut_headers: 1");
}

#[test]
fn mirrored_by_a_switch() {
    check_found(ip_with(47, &joined(&[0, 0, 0x88, 0xbe], ethernet(b"hi"))));
    let head = [
        &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1][..],
        &[0x10, 1, 0, 1, 0, 0, 0, 0],
    ]
    .concat();
    check_found(ip_with(47, &joined(&head, ethernet(b"hi"))));
    let mut head = [
        &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..],
        &[0x20, 1, 0, 1],
        &[0; 8],
    ]
    .concat();
    check_found(ip_with(47, &joined(&head, ethernet(b"hi"))));
    head[19] |= 1;
    head.extend_from_slice(&[0; 8]);
    check_found(ip_with(47, &joined(&head, ethernet(b"hi"))));
}

#[test]
fn virtual_networks() {
    let head = [8, 0, 0, 0, 0, 0, 9, 0];
    check_found(udp(4789, &head, ethernet(b"hi")));
    // On another port, and with a tagged frame inside.
    let mut tagged = ethernet(b"hi");
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    check_found(udp(12_345, &head, tagged));
    // A frame that was padded.
    let mut padded = ethernet(b"hi");
    padded.resize(60, 0);
    check_found(udp(4789, &head, padded));
    check_found(udp(4789, &[0x88, 0, 0, 3, 0, 0, 9, 0], ethernet(b"hi")));
    check_found(udp(4790, &[0x0c, 0, 0, 1, 0, 0, 9, 0], ip(b"hi")));
    check_found(udp(4790, &[0x0c, 0, 0, 3, 0, 0, 9, 0], ethernet(b"hi")));
    // GENEVE with an option of 8 bytes.
    let head = [2, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 2, 3, 1, 0, 0, 0, 0];
    check_found(udp(6081, &head, ethernet(b"hi")));
    check_found(udp(6081, &[0, 0, 8, 0, 0, 0, 9, 0], ip(b"hi")));
    check_found(udp(6635, &[0, 1, 1, 9], ip(b"hi")));
}

#[test]
fn user_data_of_a_mobile_network() {
    check_found(udp(2152, &[0x30, 255, 0, 42, 0, 0, 0, 1], ip(b"hi")));
    // A sequence number, then an extension header of 4 bytes and one of 8.
    let head = [
        0x36, 255, 0, 58, 0, 0, 0, 1, 0, 7, 0, 0x85, 1, 0, 0, 0x85, 2, 0, 0, 0, 0, 0, 0, 0,
    ];
    check_found(udp(2152, &head, ip(b"hi")));
    // An extension header without a length; an echo request.
    let head = [0x34, 255, 0, 42, 0, 0, 0, 1, 0, 0, 0, 0x85, 0, 0, 0, 0];
    check_text(101, udp(2152, &head, ip(b"hi")), "not_tcp: 1");
    check_text(
        101,
        udp(2152, &[0x32, 1, 0, 4, 0, 0, 0, 0], Vec::new()),
        "not_tcp: 1",
    );
}

#[test]
fn behind_address_translation_and_dialled_in() {
    let head = [
        0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6,
    ];
    let six = r#"[101:101:101:101:101:101:101:101]:1000 > [202:202:202:202:202:202:202:202]:80 7 00 "hi" of 2"#;
    check_text(101, udp(3544, &[], ipv6(b"hi")), six);
    check_text(101, udp(3544, &head, ipv6(b"hi")), six);
    check_found(udp(1701, &[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], ip(b"hi")));
    let head = [0x4a, 2, 0, 0, 0, 1, 0, 1, 0, 3, 0, 4, 0, 2, 9, 9, 0x21];
    check_found(udp(1701, &head, ip(b"hi")));
}

#[test]
fn no_sound_packet_inside() {
    let head = [8, 0, 0, 0, 0, 0, 9, 0];
    let text = |port, head: &[u8], inner: Vec<u8>| text(101, udp(port, head, inner));
    let mut longer = ethernet(b"hi");
    longer[17] = 200;
    assert_eq!(text(4789, &head, longer), "not_tcp: 1");
    assert_eq!(
        text(4789, &head, b"ordinary bytes of something else".to_vec()),
        "not_tcp: 1"
    );
    assert_eq!(
        text(4789, &[9, 0, 0, 0, 0, 0, 9, 0], ethernet(b"hi")),
        "not_tcp: 1"
    );
    assert_eq!(text(53, &[], ip(b"hi")), "not_tcp: 1");
    assert_eq!(text(2152, &[0x30], Vec::new()), "not_tcp: 1");
}

#[test]
fn fragments_of_the_outer_packet_and_of_the_inner_one() {
    let outer = udp(4789, &[8, 0, 0, 0, 0, 0, 9, 0], ethernet(b"hi"));
    let inner = fragments(&ip(b"a request in fragments"), 24);
    let inner = inner.into_iter().map(|part| ip_with(4, &part));
    let mut decoder = PacketDecoder::new();
    let found: Vec<_> = fragments(&outer, 32)
        .into_iter()
        .chain(inner)
        .filter_map(|part| decode(&mut decoder, 101, part))
        .map(|segment| segment.payload)
        .collect();
    assert_eq!(found, [&b"hi"[..], b"a request in fragments"]);
    assert_eq!(decoder.counts().tunnelled, 2);
}

#[test]
fn nested_too_deep() {
    let nested = |times: usize| (0..times).fold(ip(b"hi"), |inner, _| ip_with(4, &inner));
    check_text(101, nested(7), FOUND);
    check_text(101, nested(8), "too_deep: 1");
    let tags = |count: usize| {
        let mut frame = ethernet(b"hi");
        frame.splice(12..12, [0x81, 0, 0, 5].repeat(count));
        frame
    };
    check_text(1, tags(16), FOUND);
    check_text(1, tags(17), "too_deep: 1");
    let labels = |count: usize| {
        let head = [
            &[0; 12][..],
            &[0x88, 0x47],
            &[0, 1, 0, 9].repeat(count),
            &[0, 1, 1, 9],
        ];
        joined(&head.concat(), ip(b"hi"))
    };
    check_text(1, labels(16), FOUND);
    check_text(1, labels(17), "too_deep: 1");
}

#[test]
fn a_pseudowire() {
    let head = [&[0; 12][..], &[0x88, 0x47], &[0, 1, 1, 9], &[0, 0, 0, 0]].concat();
    check_text(1, joined(&head, ethernet(b"hi")), FOUND);
}

#[test]
fn what_is_no_tcp() {
    check_text(101, ip_with(132, &[0; 12]), "sctp: 1");
    check_text(101, ip_with(50, &[0; 12]), "encrypted: 1");
    check_text(101, ip_with(1, &[0; 12]), "not_tcp: 1");
    check_text(101, udp(53, &[0; 12], Vec::new()), "not_tcp: 1");
    check_text(101, ip_with(6, &[0; 12]), "malformed: 1");
}

#[test]
fn options_and_extension_headers() {
    let mut with_options = ip(b"hi");
    with_options[0] = 0x46;
    with_options[3] += 4;
    with_options.splice(20..20, [1, 1, 1, 0]);
    check_text(101, with_options, FOUND);
    let tcp = ipv6(b"hi").split_off(40);
    let options = [60, 0, 1, 4, 0, 0, 0, 0];
    let more = [6, 0, 1, 4, 0, 0, 0, 0];
    let packet = ipv6_with(0, &[&options[..], &more, &tcp].concat());
    check_text(
        101,
        packet,
        r#"[101:101:101:101:101:101:101:101]:1000 > [202:202:202:202:202:202:202:202]:80 7 00 "hi" of 2"#,
    );
    // An authentication header leaves the payload in the clear.
    let authentication = [
        6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let tcp = ip(b"hi").split_off(20);
    check_text(
        101,
        ip_with(51, &joined(&authentication, tcp)),
        r#"192.0.2.1:1000 > 192.0.2.2:80 7 10 "hi" of 2"#,
    );
}

#[test]
fn longer_than_sixteen_bits_can_say() {
    let mut frame = ethernet(b"");
    frame.resize(54 + 130_000, b'x');
    // 130,040 modulo 65,536, as a card's driver may leave it.
    frame[16..18].copy_from_slice(&64_504_u16.to_be_bytes());
    let mut decoder = PacketDecoder::new();
    let segment = decode(&mut decoder, 1, frame).expect("a segment");
    assert_eq!(
        (segment.payload.len(), segment.wire_bytes),
        (130_000, 130_000)
    );
}

#[test]
fn radios() {
    let data = [&[0x08, 0x01][..], &[0; 22], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
    let frame = joined(&data, ip(b"hi"));
    check_text(105, frame.clone(), FOUND);
    check_text(
        192,
        joined(&[0, 0, 8, 0, 105, 0, 0, 0], frame.clone()),
        FOUND,
    );
    let prism = [&[0, 0, 0, 0x44, 0, 0, 0, 144][..], &[0; 136]].concat();
    check_text(119, joined(&prism, frame.clone()), FOUND);
    let avs = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56]].concat();
    check_text(163, joined(&avs, frame), FOUND);
    // Radiotap that says by its flags, behind a time, that the header of 26 bytes is padded.
    let radiotap = [&[0, 0, 17, 0, 3, 0, 0, 0][..], &[0; 8], &[0x20]].concat();
    let data = [&[0x88, 0x01][..], &[0; 26], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
    check_text(127, joined(&radiotap, joined(&data, ip(b"hi"))), FOUND);
    // A beacon, and a data frame without data.
    check_text(105, joined(&[0x80, 0], vec![0; 40]), "not_ip: 1");
    check_text(105, joined(&[0x48, 0], vec![0; 40]), "not_ip: 1");
}

#[test]
fn serial_lines() {
    check_text(104, joined(&[0x0f, 0, 8, 0], ip(b"hi")), FOUND);
    check_text(104, joined(&[0xff, 3, 0, 0x21], ip(b"hi")), FOUND);
    check_text(204, joined(&[1, 0xff, 3, 0, 0x21], ip(b"hi")), FOUND);
}
