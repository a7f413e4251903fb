//! Hostile input, made from arbitrary bytes. The fuzz target `mysql` and a property test run it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use twintap_stream::{
    Direction, Endpoints, EventKind, FlowId, Limits, Segment, Source, Streams, TcpFlags, Timestamp,
};

/// Messages and parts of them, of either side.
const WORDS: &[&[u8]] = &[
    b"\x36\0\0\0\x0a8.0.36\0\x01\0\0\0saltsalt\0\xff\xff\xff\x02\0\xff\xff\x15\0\0\0\0\0\0\0\0\0\0saltsaltsalt\0",
    b"\x29\0\0\x01\x28\x82\0\0\0\0\0\x01\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0ann\0\x04hash",
    b"\x29\0\0\x01\x08\x82\0\x09\0\0\0\x01\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0ann\0\x04hash",
    b"\x20\0\0\x01\x08\x8a\0\0\0\0\0\x01\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x07\0\0\x02\0\0\0\x02\0\0\0",
    b"\x07\0\0\x01\0\0\0\x03\0\0\0",
    b"\x07\0\0\x01\0\0\0\x0a\0\0\0",
    b"\x09\0\0\0\x03SELECT 1",
    b"\x06\0\0\0\x03BEGIN",
    b"\x07\0\0\0\x03COMMIT",
    b"\x0b\0\0\0\x03\0\x01DO 1, 22",
    b"\x09\0\0\0\x16SELECT ?",
    b"\x0c\0\0\x01\0\x01\0\0\0\x01\0\x01\0\0\0\0",
    b"\x01\0\0\x01\x01",
    b"\x1b\0\0\x02\x03def\x01s\x01t\x01t\x01a\x01a\x0c\xff\0\x09\0\0\0\xfd\0\0\0\0\0",
    b"\x1b\0\0\x03\x03def\x01s\x01t\x01t\x01a\x01a\x0c\xff\0\x09\0\0\0\xfd\0\0\0\0\0",
    b"\x05\0\0\x03\xfe\0\0\x02\0",
    b"\x05\0\0\x04\xfe\0\0\x42\0",
    b"\x07\0\0\x04\xfe\0\0\x02\0\0\0",
    b"\x02\0\0\x04\x011",
    b"\x17\0\0\0\x17\x01\0\0\0\0\x01\0\0\0\0\x01\xfe\0\x07abcdefg",
    b"\x0f\0\0\0\x17\x01\0\0\0\0\x01\0\0\0\0\x00\x02ab",
    b"\x0a\0\0\0\x18\x01\0\0\0\0\0abc",
    b"\x05\0\0\0\x19\x01\0\0\0",
    b"\x05\0\0\0\x1a\x01\0\0\0",
    b"\x09\0\0\0\x1c\x01\0\0\0\x05\0\0\0",
    b"\x01\0\0\0\x0e",
    b"\x01\0\0\0\x09",
    b"\x01\0\0\0\x01",
    b"\x02\0\0\0\x04t",
    b"\x02\0\0\0\x12x",
    b"\x0c\0\0\0\x11bob\0\x01hdb\0\xff\0",
    b"\x02\0\0\x01\xfbf",
    b"\x02\0\0\x02ab",
    b"\0\0\0\x03",
    b"\xff\xff\xff\0\x03SELECT",
    b"\x1a\0\0\x01\xff\x28\x04#42000You have an error",
    b"\x0b\0\0\x02\xfeplugin\0sal",
    b"\x02\0\0\x02\x01\x04",
    b"\x0d\0\0\0\0\0\0\x09\0\0\0\x03SELECT 1",
    b"\x0b\0\0\x01\0\0\0\x07\0\0\x01\0\0\0\x02\0\0\0",
    b"\x18\0\0\0\x12\0\0\x78\x9c\xe3\x64\x60\x60\x60\x0e\x76\xf5\x71\x75\x0e\x51\x30\x64\x04\x72\xf8\x00\x15\x5b\x02\x2d",
    b"\x11\0\0\x01\x0b\0\0\x78\x9c\x63\x67\x60\x60\x64\x60\x60\x60\x02\x62\0\0\x68\0\x0b",
    b"\xff\0\0\0\xff\xff\xff\x78\x9c",
    b"\x10\0\0\0\x40\0\0\x28\xb5\x2f\xfd",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
];

/// Two directions of messages and noise, in segments of any size, with holes.
pub fn mysql(data: &[u8]) {
    let limits = Limits {
        flow_buffer_bytes: 4096,
        total_buffer_bytes: 8192,
        max_flows: 3,
        max_head_bytes: 600,
        emit_opaque: true,
        ..Limits::default()
    };
    let mut streams = Streams::new(Arc::from("n"), 7, limits);
    let mut emitted = Vec::new();
    let mut sent = [0u64, 0];
    let mut now = Timestamp(1);
    let mut input = data.iter().copied();
    // The greeting first, as a rule: nothing else is understood so well.
    let mut first = data.first().filter(|byte| **byte < 200).map(|_| 1);
    while let Some(head) = first.take().or_else(|| input.next()) {
        let side = usize::from(head & 1);
        let (direction, other) = match side {
            0 => (Direction::Client, 1),
            _ => (Direction::Server, 0),
        };
        let mut payload = Vec::new();
        for _ in 0..=(head >> 1) % 4 {
            match input.next() {
                Some(noise @ 0xf0..) => {
                    payload.extend(input.by_ref().take(usize::from(noise & 0xf)));
                }
                Some(word) => {
                    payload.extend_from_slice(WORDS[usize::from(word) % WORDS.len()]);
                }
                None if data.len() == 1 => payload.extend_from_slice(WORDS[0]),
                None => {}
            }
        }
        if payload.is_empty() {
            continue;
        }
        // Now and then bytes are missing, or some segments are cut in two.
        let hole = match head {
            0xe0..=0xef => u64::from(head & 7) + 1,
            0xff => 20_000_000,
            _ => 0,
        };
        sent[side] += hole;
        let half = match head & 0x20 {
            0 => payload.len(),
            _ => payload.len() / 2,
        };
        for part in [&payload[..half], &payload[half..]] {
            now = now.plus_ns(600_000_000);
            streams.handle_timeout(now);
            let ends = Endpoints {
                client: SocketAddr::from(([10, 0, 0, 1], 1000)),
                server: SocketAddr::from(([10, 0, 0, 2], 3306)),
            };
            streams.handle_segment(Segment {
                time: now,
                endpoints: if side == 0 { ends } else { ends.swapped() },
                source: Source::Kernel {
                    flow: FlowId(1),
                    direction,
                    offset: sent[side],
                },
                sequence_number: sent[side] as u32,
                acknowledgement: sent[other] as u32,
                flags: TcpFlags(if head & 0x40 == 0 { TcpFlags::ACK } else { 0 }),
                wire_bytes: part.len() as u32,
                payload: Bytes::copy_from_slice(part),
                mark: 0,
            });
            sent[side] += part.len() as u64;
            check(&mut streams, &mut emitted);
        }
    }
    streams.finish(now);
    check(&mut streams, &mut emitted);
    let ledger = streams.ledger();
    assert_eq!((ledger.pending, ledger.pending_bytes), (0, 0));
    assert_eq!(streams.held(), (0, 0));
    // No two exchanges have one identity.
    let count = emitted.len();
    emitted.sort();
    emitted.dedup();
    assert_eq!(emitted.len(), count);
}

/// Takes all events, and checks both ledgers.
fn check(streams: &mut Streams, emitted: &mut Vec<String>) {
    while let Some(event) = streams.poll_event() {
        if let EventKind::Command(exchange) = &event.kind {
            emitted.push(exchange.id.to_string());
        }
        if let EventKind::CommandData { exchange, .. } = &event.kind {
            // Its bytes come before it.
            assert!(!emitted.contains(&exchange.to_string()), "{exchange}");
        }
    }
    let mut ledger = streams.ledger();
    ledger.stored = ledger.rebuilt - ledger.pending;
    assert!(ledger.stored >= emitted.len() as u64, "{ledger:?}");
    assert!(ledger.closes(), "{ledger:?}");
    let mut marks = 0;
    streams.held_marks(&mut |_, _| marks += 1);
    assert!(marks > 0 || ledger.pending_bytes == 0, "{ledger:?}");
}

/// What once broke a rule above.
#[test]
fn found_by_fuzzing() {
    // The client holds the begin of a packet's header as the server begins to compress.
    mysql(b"\xf8\xf8\0\0\0\0\0\x31\x3e\x01\0\0\0\x01\x42\xbd\xe2\xbd\x21\xbd\x0d");
    // A command that one frame begins and the next one ends, with more commands after it.
    mysql(b"\xdc\xe4\0\x0a\0\x01\xdd\xc7\x10\x0c\x0a\x06\x01\0\0\0\0");
}
