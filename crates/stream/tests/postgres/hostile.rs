//! Hostile input, made from arbitrary bytes. The fuzz target `postgres` and a property test run it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use twintap_stream::{
    Direction, Endpoints, EventKind, ExchangeId, FlowId, Limits, Segment, Source, Streams,
    TcpFlags, Timestamp,
};

/// Messages of PostgreSQL with any types and lengths, in segments of any size, with holes and
/// with acknowledgements that need not be true: what is said of an exchange is what was shown.
pub fn postgres(data: &[u8]) {
    const TAGS: &[u8] = b"QPBDECSHXdcfpFZTDC123ntsIEANRGHWVKvSz";
    const CONTENTS: &[&[u8]] = &[
        b"",
        b"I",
        b"T",
        b"select 1\0",
        b"s\0select $1\0\0\x01\0\0\0\x17",
        b"p\0s\0\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x07\0\0",
        b"\0\0\0\0\0\0\0\0",
        b"Ss\0",
        b"p\0\0\0\0\x01",
        b"SERROR\0C22012\0Mno\0\0",
        b"SFATAL\0C57P01\0Mno\0\0",
        b"SELECT 3\0",
        b"BEGIN\0",
        b"ROLLBACK\0",
        b"\0\x01a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\0\x01\0\0\0\x01x",
        b"\0\0\0",
    ];
    const PACKETS: &[&[u8]] = &[
        b"\0\0\0\x10\0\x03\0\0user\0a\0\0",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02",
        b"N",
        b"S",
        b"\x16\x03\x01",
    ];
    let limits = Limits {
        flow_buffer_bytes: 4096,
        total_buffer_bytes: 8192,
        max_head_bytes: 600,
        emit_opaque: true,
        ..Limits::default()
    };
    let mut streams = Streams::new(Arc::from("n"), 7, limits);
    let mut input = data.iter().copied();
    let mut offsets = [0_u64, 0];
    let mut rest: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
    let mut shown: BTreeMap<ExchangeId, [u64; 2]> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut now = Timestamp(1);
    while let Some(pick) = input.next() {
        let side = usize::from(pick & 1);
        let bytes = &mut rest[side];
        match pick & 0x0e {
            0 => bytes.extend_from_slice(PACKETS[usize::from(pick >> 4) % PACKETS.len()]),
            2 => bytes.extend(input.by_ref().take(usize::from(pick >> 3))),
            _ => {
                let tag = TAGS[usize::from(input.next().unwrap_or(0)) % TAGS.len()];
                let content = input.next().unwrap_or(0);
                let wrong = u32::from(content >> 6 == 3) * u32::from(content);
                let content = CONTENTS[usize::from(content & 0x3f) % CONTENTS.len()];
                bytes.push(tag);
                bytes.extend((content.len() as u32 + 4 + wrong).to_be_bytes());
                bytes.extend_from_slice(content);
            }
        }
        let size = match pick >> 5 {
            0 => 1,
            1 => continue,
            2 => 7,
            _ => usize::MAX,
        };
        let payload = Bytes::from(bytes.drain(..size.min(bytes.len())).collect::<Vec<u8>>());
        // Now and then bytes are missing.
        offsets[side] += u64::from(pick == 0xff) * 30;
        let direction = match side {
            0 => Direction::Client,
            _ => Direction::Server,
        };
        let ends = Endpoints {
            client: SocketAddr::from(([10, 0, 0, 1], 1000)),
            server: SocketAddr::from(([10, 0, 0, 2], 5432)),
        };
        now = now.plus_ns(1 << (pick >> 3));
        streams.handle_segment(Segment {
            time: now,
            endpoints: if side == 0 { ends } else { ends.swapped() },
            source: Source::Kernel {
                flow: FlowId(1),
                direction,
                offset: offsets[side],
            },
            sequence_number: offsets[side] as u32,
            acknowledgement: offsets[1 - side] as u32
                - u32::from(pick == 0x7e).min(offsets[1 - side] as u32),
            flags: TcpFlags(TcpFlags::ACK),
            wire_bytes: payload.len() as u32,
            payload: payload.clone(),
            mark: 0,
        });
        offsets[side] += payload.len() as u64;
        if pick == 0x7f {
            streams.handle_timeout(now);
        }
        settle(&mut streams, &mut shown, &mut ids);
    }
    streams.finish(now);
    settle(&mut streams, &mut shown, &mut ids);
    assert!(shown.is_empty(), "data without an exchange: {shown:?}");
    let ledger = streams.ledger();
    assert_eq!((ledger.pending_bytes, ledger.pending), (0, 0));
    assert_eq!(streams.held(), (0, 0));
}

/// Takes all events: each exchange comes once, and says how many bytes of it were shown before.
fn settle(
    streams: &mut Streams,
    shown: &mut BTreeMap<ExchangeId, [u64; 2]>,
    ids: &mut BTreeSet<ExchangeId>,
) {
    while let Some(event) = streams.poll_event() {
        match event.kind {
            EventKind::CommandData {
                exchange,
                direction,
                chunk,
                ..
            } => {
                assert!(!ids.contains(&exchange), "data after {exchange}");
                shown.entry(exchange).or_default()[direction as usize] += chunk.len() as u64;
            }
            EventKind::Command(exchange) => {
                let bytes = [exchange.request.body_bytes, exchange.response.body_bytes];
                assert_eq!(shown.remove(&exchange.id).unwrap_or_default(), bytes);
                assert!(ids.insert(exchange.id.clone()), "{} again", exchange.id);
            }
            _ => {}
        }
    }
    let mut ledger = streams.ledger();
    ledger.stored = ledger.rebuilt - ledger.pending;
    assert!(ledger.closes(), "{ledger:?}");
    for (_, _, watermark, _) in streams.watermarks() {
        assert!(watermark.client < 1 << 62 && watermark.server < 1 << 62);
    }
}

/// What once broke a rule above.
#[test]
fn found_by_fuzzing() {
    // A server of MySQL greets twice, and its client says nothing in between.
    postgres(
        b"\x93x\0\0\0\x0a1\0\0\x01\0\0\0\0\0\xe3\0\xe3\0\xe3\xe3\0\x81'\x1c\x1c\x1cheaders_unk\
          nown\xe3\xe3\xe3\xe3\xe3\xe3\xe3\xe3\xe3\x80\xe3\xe3\xe3\xe3\xe3\xe3\xef\xe3\xe3\xe3\
          \xe3\xef\xe3\xe3\xe3\xe3\x85\x85\x85\x85\x85\x85\x85\x85\x85\x85\x85\x85\x85\x85\x85\
          \x8d\x85\xe3\xe3\xe3\xe3\xe3\xe3\xe3\x92\xe3\xcd\xcd\xcd\xcd\xcd\xcd\xcd\xe3\xe3\xe3\
          \xe3\xe3\xe3\xe3tttttttttvtttV\x01\x05\x0a\0\0\0\x0d\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\
          \0\0\0\0\0\xab\0\0\0\0\0\0\0\0\0\0\0\0\0PR* HTTP/2.0\x0d\x0a\0\0\0\0\0\0\x85\x85\x85\
          \x85\x85\x85\x85\x85\x84\x85\x85\x85\x85\x85\x85;&el",
    );
}
