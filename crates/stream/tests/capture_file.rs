//! Capture files, whole and damaged.

use std::io::Cursor;

use expect_test::{Expect, expect};
use twintap_stream::CaptureReader;

#[track_caller]
fn check(file: Vec<u8>, expect: Expect) {
    let mut lines: Vec<String> = Vec::new();
    match CaptureReader::new(Cursor::new(file)) {
        Ok(reader) => lines.extend(reader.map(|packet| match packet {
            Ok(packet) => format!(
                "{} link {} {:?} of {}",
                packet.time.0,
                packet.link_type.0,
                String::from_utf8_lossy(&packet.bytes),
                packet.original_bytes
            ),
            Err(error) => error.to_string(),
        })),
        Err(error) => lines.push(error.to_string()),
    }
    expect.assert_eq(&lines.join("\n"));
}

fn little(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn big(numbers: &[u32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

fn pcap(magic: u32, order: fn(&[u32]) -> Vec<u8>) -> Vec<u8> {
    let version = match order(&[1])[0] {
        1 => 0x0004_0002,
        _ => 0x0002_0004,
    };
    let mut file = order(&[magic, version, 0, 0, 65_535, 101]);
    for (number, text) in ["one", "second"].into_iter().enumerate() {
        file.extend(order(&[10 + number as u32, 7, text.len() as u32, 9]));
        file.extend(text.as_bytes());
    }
    file
}

#[test]
fn pcap_of_every_kind() {
    check(
        pcap(0xa1b2_c3d4, little),
        expect![[r#"
        10000007000 link 101 "one" of 9
        11000007000 link 101 "second" of 9"#]],
    );
    check(
        pcap(0xa1b2_c3d4, big),
        expect![[r#"
        10000007000 link 101 "one" of 9
        11000007000 link 101 "second" of 9"#]],
    );
    check(
        pcap(0xa1b2_3c4d, little),
        expect![[r#"
        10000000007 link 101 "one" of 9
        11000000007 link 101 "second" of 9"#]],
    );
    check(
        pcap(0xa1b2_3c4d, big),
        expect![[r#"
        10000000007 link 101 "one" of 9
        11000000007 link 101 "second" of 9"#]],
    );
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let length = body.len() as u32 + 12;
    [little(&[kind, length]), body, little(&[length])].concat()
}

fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, &little(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]))
}

/// An interface with a time stamp resolution.
fn interface(link: u32, resolution: u8) -> Vec<u8> {
    let options = little(&[0x0001_0009, u32::from(resolution), 0]);
    block(1, &[little(&[link, 0]), options].concat())
}

fn packet(interface: u32, ticks: u64, text: &str) -> Vec<u8> {
    let length = text.len() as u32;
    let head = little(&[
        interface,
        (ticks >> 32) as u32,
        ticks as u32,
        length,
        length,
    ]);
    block(6, &[head, text.as_bytes().to_vec()].concat())
}

#[test]
fn pcapng_with_several_interfaces_and_sections() {
    let file = [
        section(),
        interface(1, 6),
        interface(101, 9),
        interface(113, 0x80 | 10),
        packet(0, 3_000_001, "micro"),
        packet(1, 3_000_000_001, "nano"),
        packet(2, 3 << 10, "binary"),
        block(3, &[little(&[6]), b"simple".to_vec()].concat()),
        block(0xbad, b"what nobody knows"),
        section(),
        interface(228, 6),
        packet(0, 4_000_000, "again"),
        packet(1, 4_000_000, "nowhere"),
    ];
    check(
        file.concat(),
        expect![[r#"
            3000001000 link 1 "micro" of 5
            3000000001 link 101 "nano" of 4
            3000000000 link 113 "binary" of 6
            3000000000 link 1 "simple" of 6
            4000000000 link 228 "again" of 5
            malformed block at byte 396: no interface 1"#]],
    );
}

#[test]
fn truncated_files() {
    let mut file = pcap(0xa1b2_c3d4, little);
    file.pop();
    check(
        file.clone(),
        expect![[r#"
        10000007000 link 101 "one" of 9
        the file ends within the block that starts at byte 43"#]],
    );
    file.truncate(43 + 3);
    check(
        file.clone(),
        expect![[r#"
        10000007000 link 101 "one" of 9
        the file ends within the block that starts at byte 43"#]],
    );
    file.truncate(24);
    check(file.clone(), expect![[""]]);
    file.truncate(20);
    check(file, expect!["neither a pcap nor a pcapng file"]);
    let mut file = [
        section(),
        interface(1, 6),
        packet(0, 1, "one"),
        packet(0, 2, "two"),
    ]
    .concat();
    file.truncate(file.len() - 5);
    check(
        file,
        expect![[r#"
        1000 link 1 "one" of 3
        the file ends within the block that starts at byte 96"#]],
    );
}

#[test]
fn no_capture_at_all() {
    check(Vec::new(), expect!["neither a pcap nor a pcapng file"]);
    check(
        b"GET / HTTP/1.1\r\n\r\n and more of this".to_vec(),
        expect!["neither a pcap nor a pcapng file"],
    );
}

#[test]
fn a_packet_larger_than_the_buffer() {
    let large = "x".repeat(3 << 20);
    let mut file = pcap(0xa1b2_c3d4, little);
    file.extend(little(&[20, 0, large.len() as u32, large.len() as u32]));
    file.extend(large.as_bytes());
    file.extend(little(&[21, 0, 1, 1]));
    file.extend(b"y");
    let packets: Result<Vec<_>, _> = CaptureReader::new(Cursor::new(file))
        .expect("a capture")
        .collect();
    let lengths: Vec<_> = packets
        .expect("whole packets")
        .iter()
        .map(|packet| packet.bytes.len())
        .collect();
    assert_eq!(lengths, [3, 6, 3 << 20, 1]);
}
