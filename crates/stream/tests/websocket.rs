//! What follows an HTTP/1 exchange that opened a WebSocket.

use std::io::Write as _;

use crate::common::{Talk, run};
use expect_test::{Expect, expect};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use twintap_stream::{Direction, Limits};

const CLIENT: Direction = Direction::Client;
const SERVER: Direction = Direction::Server;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const AGREE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

/// A frame with the shortest length, masked when the client sends it.
fn frame(direction: Direction, first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let masked = match direction {
        Direction::Client => 0x80,
        Direction::Server => 0,
    };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(masked | length as u8),
        length @ 126..=0xffff => {
            bytes.push(masked | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(masked | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    if direction == Direction::Client {
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// Opens a WebSocket with these more fields in the answer.
fn open(fields: &str) -> Talk {
    let answer = format!("{AGREE}{fields}\r\n");
    Talk::new().handshake().ask(ASK).answer(answer)
}

fn say(talk: Talk, direction: Direction, bytes: impl AsRef<[u8]>) -> Talk {
    match direction {
        Direction::Client => talk.ask(bytes),
        Direction::Server => talk.answer(bytes),
    }
}

#[track_caller]
fn check(talk: Talk, expect: Expect) {
    let text = run(talk.close().segments(), Limits::default());
    // The exchange that opened it is the same each time.
    let text = text.replace("GET /chat complete -> 101 complete\n", "");
    expect.assert_eq(&text);
}

/// Each of these frames in a segment of its own.
#[track_caller]
fn check_frames(frames: &[(Direction, Vec<u8>)], expect: Expect) {
    let talk = frames.iter().fold(open(""), |talk, (direction, bytes)| {
        say(talk, *direction, bytes)
    });
    check(talk, expect);
}

#[test]
fn messages_both_ways() {
    check_frames(
        &[
            (CLIENT, frame(CLIENT, FIN | 1, "Hello")),
            (SERVER, frame(SERVER, FIN | 1, "Hällo")),
            (SERVER, frame(SERVER, FIN | 2, "")),
            (SERVER, frame(SERVER, FIN | 9, "are you there")),
            (CLIENT, frame(CLIENT, FIN | 10, "are you there")),
            (CLIENT, frame(CLIENT, FIN | 8, b"\x03\xe8bye")),
            (SERVER, frame(SERVER, FIN | 8, b"")),
        ],
        expect![[r#"
            part Client 0 SocketText "Hello" complete
            part Server 0 SocketText "Hällo" complete
            part Server 1 SocketBinary "" complete
            part Server 2 SocketPing "are you there" complete
            part Client 1 SocketPong "are you there" complete
            part Client 2 SocketClose { code: Some(1000) } "\u{3}�bye" complete
            part Server 3 SocketClose { code: None } "" complete
            closed Finished
            314 bytes: message 288 framing 26
        "#]],
    );
}

#[test]
fn control_frames_between_fragments() {
    check_frames(
        &[
            (CLIENT, frame(CLIENT, 1, "one ")),
            (CLIENT, frame(CLIENT, FIN | 9, "ping")),
            (CLIENT, frame(CLIENT, 0, "two ")),
            (CLIENT, frame(CLIENT, FIN | 10, "")),
            (CLIENT, frame(CLIENT, FIN, "three")),
            (CLIENT, frame(CLIENT, FIN | 2, "next")),
        ],
        expect![[r#"
            part Client 1 SocketPing "ping" complete
            part Client 2 SocketPong "" complete
            part Client 0 SocketText "one two three" complete
            part Client 3 SocketBinary "next" complete
            closed Finished
            303 bytes: message 267 framing 36
        "#]],
    );
}

#[test]
fn what_is_wrong_is_named() {
    check_frames(
        &[
            (CLIENT, frame(SERVER, FIN | 1, "no mask")),
            (SERVER, frame(CLIENT, FIN | 1, "mask")),
            (SERVER, frame(SERVER, FIN | RSV1 | 1, "reserved")),
            (SERVER, frame(SERVER, FIN | 3, "opcode 3")),
            (SERVER, frame(SERVER, FIN | 11, "opcode 11")),
            (SERVER, frame(SERVER, 9, "in fragments")),
            (SERVER, frame(SERVER, FIN, "goes on with nothing")),
            (SERVER, frame(SERVER, 1, "begun, ")),
            (SERVER, frame(SERVER, FIN | 1, "begun anew")),
            (SERVER, b"\x81\x7e\x00\x03pad".to_vec()),
            (SERVER, frame(SERVER, FIN | 9, "x".repeat(126))),
            (SERVER, frame(SERVER, FIN | 1, b"\xc3\x28")),
            (SERVER, frame(SERVER, 1, b"cut \xe2\x82")),
            (SERVER, frame(SERVER, FIN, b"\xac fine")),
            (SERVER, frame(SERVER, FIN | 1, b"cut \xe2\x82")),
            (SERVER, frame(SERVER, FIN | 8, b"\x03")),
            (SERVER, frame(SERVER, FIN | 8, b"\x03\xed")),
            (SERVER, frame(SERVER, FIN | 8, b"\x03\xe8\xff")),
            (SERVER, frame(SERVER, FIN | 1, b"more")),
        ],
        expect![[r#"
            part Client 0 SocketText "no mask" complete [unmasked_frame]
            part Server 0 SocketText "mask" complete [masked_frame]
            part Server 1 SocketText "reserved" complete [reserved_bits]
            part Server 2 SocketOther { opcode: 3 } "opcode 3" complete [unknown_opcode]
            part Server 3 SocketOther { opcode: 11 } "opcode 11" complete [unknown_opcode]
            part Server 4 SocketPing "in fragments" complete [fragmented_control]
            part Server 5 SocketBinary "goes on with nothing" complete [unexpected_continuation]
            part Server 6 SocketText "begun, " incomplete [interrupted]
            part Server 7 SocketText "begun anew" complete
            part Server 8 SocketText "pad" complete [nonminimal_length]
            part Server 9 SocketPing "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" complete [oversized_control]
            part Server 10 SocketText "�(" complete [invalid_utf8]
            part Server 11 SocketText "cut € fine" complete
            part Server 12 SocketText "cut �" complete [invalid_utf8]
            part Server 13 SocketClose { code: None } "\u{3}" complete [bad_close]
            part Server 14 SocketClose { code: Some(1005) } "\u{3}�" complete [after_close bad_close]
            part Server 15 SocketClose { code: Some(1000) } "\u{3}��" complete [after_close invalid_utf8]
            part Server 16 SocketText "more" complete [after_close]
            closed Finished
            536 bytes: message 490 framing 46
        "#]],
    );
}

#[test]
fn a_length_beyond_all_reason_is_the_end() {
    check_frames(
        &[
            (
                SERVER,
                b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xffabc".to_vec(),
            ),
            (SERVER, frame(SERVER, FIN | 1, "found again")),
        ],
        expect![[r#"
            part Server 0 SocketBinary "" incomplete [bad_length]
            part Server 1 SocketText "found again" complete
            closed Finished
            272 bytes: message 257 framing 12 resync 3
        "#]],
    );
}

#[test]
fn the_wrong_accept_is_told_by_the_first_part_of_the_server() {
    let answer = "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let talk = Talk::new().handshake().ask(ASK).answer(answer);
    let talk = talk.answer(frame(SERVER, FIN | 1, "hi"));
    check(
        talk.answer(frame(SERVER, FIN | 1, "ho")),
        expect![[r#"
        part Server 0 SocketText "hi" complete [wrong_accept]
        part Server 1 SocketText "ho" complete
        closed Finished
        188 bytes: message 184 framing 4
    "#]],
    );
}

#[test]
fn another_upgrade_is_none_of_it() {
    let answer = "HTTP/1.1 101 S\r\nUpgrade: other\r\n\r\n";
    let talk = Talk::new().handshake().ask(ASK).answer(answer);
    check(
        talk.answer(frame(SERVER, FIN | 1, "hi")),
        expect![[r#"
        closed Finished
        155 bytes: message 151 framing 0 opaque 4
    "#]],
    );
}

#[test]
fn frames_with_the_answer_and_before_it() {
    let answer = [
        format!("{AGREE}\r\n").as_bytes(),
        &frame(SERVER, FIN | 1, "at once"),
    ]
    .concat();
    let early = [ASK.as_bytes(), &frame(CLIENT, FIN | 1, "early")].concat();
    check(
        Talk::new().handshake().ask(early).answer(answer),
        expect![[r#"
            part Server 0 SocketText "at once" complete
            part Client 0 SocketText "early" complete
            closed Finished
            266 bytes: message 258 framing 8
        "#]],
    );
}

#[test]
fn a_frame_in_single_bytes() {
    let bytes = frame(CLIENT, FIN | 1, "a".repeat(130));
    let talk = bytes.chunks(1).fold(open(""), |talk, byte| talk.ask(byte));
    check(
        talk,
        expect![[r#"
        part Client 0 SocketText "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" complete
        closed Finished
        384 bytes: message 376 framing 8
    "#]],
    );
}

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15; client_no_context_takeover\r\n";

/// Messages deflated one after the other, each to go on from those before.
fn deflate(messages: &[&str]) -> Vec<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let mut all = Vec::new();
    for message in messages {
        encoder
            .write_all(message.as_bytes())
            .expect("a vector takes all");
        encoder.flush().expect("a vector takes all");
        let mut bytes = std::mem::take(encoder.get_mut());
        assert_eq!(bytes.split_off(bytes.len() - 4), [0, 0, 0xff, 0xff]);
        all.push(bytes);
    }
    all
}

#[test]
fn compressed_messages() {
    let [one, two] = &deflate(&["to be or not to be, to be", "not to be or to be"])[..] else {
        panic!("two messages");
    };
    let (begin, rest) = two.split_at(3);
    let talk = open(DEFLATE)
        .answer(frame(SERVER, FIN | RSV1 | 1, one))
        .answer(frame(SERVER, RSV1 | 1, begin))
        .answer(frame(SERVER, FIN | 9, "plain"))
        .answer(frame(SERVER, FIN, rest))
        .answer(frame(SERVER, FIN | 1, "plain"))
        .ask(frame(CLIENT, FIN | RSV1 | 1, one))
        .ask(frame(CLIENT, FIN | RSV1 | 1, one))
        // The examples of RFC 7692, sections 7.2.3.2 and following.
        .ask(frame(
            CLIENT,
            FIN | RSV1 | 1,
            b"\xf2\x48\xcd\xc9\xc9\x07\x00",
        ))
        .ask(frame(
            CLIENT,
            FIN | RSV1 | 1,
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        ))
        .ask(frame(
            CLIENT,
            FIN | RSV1 | 1,
            b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        ))
        .ask(frame(
            CLIENT,
            FIN | RSV1 | 1,
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ));
    check(
        talk,
        expect![[r#"
        part Server 0 SocketText "to be or not to be, to be" complete
        part Server 2 SocketPing "plain" complete
        part Server 1 SocketText "not to be or to be" complete
        part Server 3 SocketText "plain" complete
        part Client 0 SocketText "to be or not to be, to be" complete
        part Client 1 SocketText "to be or not to be, to be" complete
        part Client 2 SocketText "Hello" complete
        part Client 3 SocketText "Hello" complete
        part Client 4 SocketText "Hello" complete
        part Client 5 SocketText "Hello" complete
        closed Finished
        509 bytes: message 463 framing 46
    "#]],
    );
}

#[test]
fn what_cannot_be_inflated() {
    let [one, two] = &deflate(&["to be or not to be, to be", "not to be or to be"])[..] else {
        panic!("two messages");
    };
    let talk = open(DEFLATE)
        .answer(frame(SERVER, FIN | RSV1 | 1, b"\xff\xff\xff\xff"))
        .answer(frame(SERVER, FIN | RSV1 | 1, one))
        .answer(frame(SERVER, FIN | 1, "plain"))
        .ask(frame(CLIENT, FIN | RSV1 | 1, b"\xff\xff\xff\xff"))
        .ask(frame(CLIENT, FIN | RSV1 | 1, two))
        .ask(frame(CLIENT, FIN | RSV1 | 1, one));
    check(
        talk,
        expect![[r#"
            part Server 0 SocketText "" incomplete [bad_deflate]
            part Server 1 SocketText "" incomplete [inflate_context_lost]
            part Server 2 SocketText "plain" complete
            part Client 0 SocketText "" incomplete [bad_deflate]
            part Client 1 SocketText "" incomplete [bad_deflate]
            part Client 2 SocketText "to be or not to be, to be" complete
            closed Finished
            431 bytes: message 377 framing 24 bad_deflate 10 inflate_context_lost 20
        "#]],
    );
}

#[test]
fn a_message_that_inflates_without_end() {
    let zeros = "0".repeat(3_000_000);
    let [bomb, after] = &deflate(&[&zeros, "after"])[..] else {
        panic!("two messages");
    };
    let talk = open(DEFLATE)
        .answer(frame(SERVER, FIN | RSV1 | 2, bomb))
        .answer(frame(SERVER, FIN | RSV1 | 2, after));
    let limits = Limits {
        flow_buffer_bytes: 200_000,
        ..Limits::default()
    };
    let text = run(talk.close().segments(), limits);
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.replace(&"0".repeat(1000), ""))
        .collect();
    expect![[r#"
        GET /chat complete -> 101 complete
        part Server 0 SocketBinary "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" incomplete [inflation_limit]
        part Server 1 SocketBinary "" incomplete [inflate_context_lost]
        closed Finished
        3284 bytes: message 848 framing 6 inflate_context_lost 7 inflation_limit 2423"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn a_gap_within_a_payload_costs_that_message() {
    let whole = frame(CLIENT, FIN | 1, "0123456789abcdef");
    let talk = open("")
        .ask(&whole[..9])
        .unseen(CLIENT, &whole[9..12])
        .ask(&whole[12..])
        .ask(frame(CLIENT, FIN | 1, "whole"));
    check(
        talk,
        expect![[r#"
        gap Client 126+3
        part Client 0 SocketText "0126789abcdef" incomplete
        part Client 1 SocketText "whole" complete
        closed Finished
        276 bytes: message 264 framing 12
    "#]],
    );
}

#[test]
fn after_a_gap_frames_are_found_where_a_segment_starts() {
    let [one, two] = &deflate(&["to be or not to be, to be", "not to be or to be"])[..] else {
        panic!("two messages");
    };
    let talk = open(DEFLATE)
        .answer(frame(SERVER, FIN | RSV1 | 1, one))
        .answer(frame(SERVER, 1, "begun "))
        .unseen(SERVER, frame(SERVER, 0, "lost"))
        .answer("no frame")
        .answer(frame(SERVER, FIN | 9, "ping"))
        .answer(frame(SERVER, FIN, "its end"))
        .answer(frame(SERVER, FIN | RSV1 | 1, two))
        .answer(frame(SERVER, FIN | 1, "plain"));
    check(
        talk,
        expect![[r#"
            part Server 0 SocketText "to be or not to be, to be" complete
            gap Server 260+6
            part Server 1 SocketText "begun " incomplete
            part Server 2 SocketPing "ping" complete
            part Server 3 SocketBinary "its end" incomplete [begin_lost]
            part Server 4 SocketText "" incomplete [inflate_context_lost]
            part Server 5 SocketText "plain" complete
            closed Finished
            416 bytes: message 389 framing 12 inflate_context_lost 7 resync 8
        "#]],
    );
}

#[test]
fn what_ends_within_a_frame() {
    let whole = frame(CLIENT, FIN | 1, "0123456789");
    let talk = open("").ask(&whole[..9]).answer(b"\x81");
    check(
        talk,
        expect![[r#"
        part Client 0 SocketText "012" incomplete
        closed Finished
        256 bytes: message 249 framing 6 unfinished_frame 1
    "#]],
    );
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        words in vec((any::<bool>(), 0..6_u8, vec(any::<u8>(), 0..200)), 0..12),
        sizes in vec(1_usize..60, 1..8),
    ) {
        let (mut client, mut server) = (Vec::new(), Vec::new());
        for (from_client, kind, payload) in &words {
            let direction = if *from_client { CLIENT } else { SERVER };
            let bytes = match kind {
                0 => frame(direction, 1, payload),
                1 => frame(direction, FIN, payload),
                2 => frame(direction, FIN | 9, payload),
                3 => frame(direction, FIN | 8, payload),
                // What no deflating made, as a rule.
                4 => frame(direction, FIN | RSV1 | 1, payload),
                _ => frame(direction, FIN | 2, payload),
            };
            let out = if *from_client { &mut client } else { &mut server };
            out.extend(bytes);
        }
        let whole = open(DEFLATE).ask(&client).answer(&server).close();
        let mut split = open(DEFLATE);
        let mut sizes = sizes.iter().copied().cycle();
        for (direction, bytes) in [(CLIENT, &client), (SERVER, &server)] {
            let mut rest = &bytes[..];
            while let Some(size) = sizes.next()
                && !rest.is_empty()
            {
                let (part, after) = rest.split_at(size.min(rest.len()));
                split = say(split, direction, part);
                rest = after;
            }
        }
        let limits = Limits::default();
        prop_assert_eq!(
            run(split.close().segments(), limits.clone()),
            run(whole.segments(), limits)
        );
    }
}
