//! Hostile input for each layer, made from arbitrary bytes. The fuzz targets under `tests/fuzz`
//! and the property tests run the same functions.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use twintap_stream::content::decode;
use twintap_stream::grpc::{Descriptors, Status, TreeLimits, messages, web_trailers};
use twintap_stream::{
    CaptureReader, CapturedPacket, Codings, DecodeLimits, Decoder, Direction, Endpoints, EventKind,
    Fault, Field, FlowId, Limits, LinkType, PacketDecoder, Segment, Source, Streams, TcpFlags,
    Timestamp,
};

/// Text that gets a parser further than noise does.
const WORDS: [&str; 27] = [
    "GET / HTTP/1.1\r\n",
    "POST /a HTTP/1.1\r\n",
    "HEAD / HTTP/1.0\r\n",
    "CONNECT h:1 HTTP/1.1\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 S\r\n\r\n",
    "HTTP/1.0 304 \r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Upgrade: x\r\n",
    "Expect: 100-continue\r\n",
    " fold\r\n",
    "\r\n",
    "\n",
    "\r",
    "5\r\nhello\r\n",
    "0\r\n",
    "ffffffffffffffff\r\n",
    "ffffffffffffffff0\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "hello",
    "Content-Type: text/event-stream\r\n",
    "Content-Type: application/grpc-web\r\n",
    "data: a\n\n",
    "\0\0\0\0\x05hello",
];

/// Commands and replies of Redis and parts of them.
const RESP: &[&[u8]] = &[
    b"*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n",
    b"*1\r\n$11\r\nUNSUBSCRIBE\r\n",
    b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$4\r\nSKIP\r\n",
    b"CLIENT REPLY OFF\r\n",
    b"CLIENT REPLY ON\r\n",
    b"MULTI\r\nGET a\r\nEXEC\r\n",
    b"HELLO 3\r\n",
    b"RESET\r\n",
    b"MONITOR\r\n",
    b"SET a \"b\r\n",
    b"*2\r\n$3\r\nGET\r\n$9999999\r\n",
    b"*99999999\r\n",
    b"$5\r\nhello\r\n",
    b"+OK\r\n",
    b"+QUEUED\r\n",
    b"+1.5 [0 a] \"GET\"\r\n",
    b"-ERR no\r\n",
    b":1\r\n",
    b"*-1\r\n",
    b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
    b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
    b">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n",
    b"|1\r\n+a\r\n:1\r\n",
    b"%1\r\n+a\r\n~?\r\n,1.5\r\n.\r\n",
    b"$?\r\n;3\r\nabc\r\n;0\r\n",
    b"*1\r\n*1\r\n*1\r\n*1\r\n",
    b"*2\r\n",
    b"PSYNC ? -1\r\n",
    b"+FULLRESYNC a 1\r\n",
    b"\n",
];

/// Frames of a WebSocket and parts of them, plain and deflated.
const FRAMES: &[&[u8]] = &[
    b"\x81\x02hi",
    b"\x01\x03\xe2\x82\xac",
    b"\x00\x02\xe2\x82",
    b"\x80\x01\xac",
    b"\x82\x00",
    b"\x89\x04ping",
    b"\x88\x05\x03\xe8bye",
    b"\x88\x01\x03",
    b"\x81\x82\x01\x02\x03\x04ij",
    b"\x01\x85\x01\x02\x03\x04",
    b"\x80\x80\x01\x02\x03\x04",
    b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\x41\x03\xf2\x48\xcd",
    b"\x80\x04\xc9\xc9\x07\x00",
    b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00",
    b"\xc2\x10\x03\x00\x03\x00\x03\x00\x03\x00\x03\x00\x03\x00\x03\x00\x03\x00",
    b"\x82\x7e\x00\x03abc",
    b"\x82\x7e\x01\x00",
    b"\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x00",
    b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xf3\x01a",
    b"\x0f\x01a",
];

/// Frames of HTTP/2, whole and in parts, and what their header blocks hold.
const HTTP2_FRAMES: &[&[u8]] = &[
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\0\0\0\x04\0\0\0\0\0",
    b"\0\0\0\x04\x01\0\0\0\0",
    b"\0\0\x0c\x04\0\0\0\0\0\0\x01\0\0\0\x20\0\x04\0\0\0\x05",
    b"\0\0\x06\x04\0\0\0\0\0\0\x01\0\x01\0\0",
    b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84",
    b"\0\0\x03\x01\x04\0\0\0\x03\x83\x86\x84",
    b"\0\0\x03\x01\x00\0\0\0\x05\x82\x86\x84",
    b"\0\0\x01\x01\x04\0\0\0\x01\x88",
    b"\0\0\x01\x01\x05\0\0\0\x03\x88",
    b"\0\0\x02\x01\x04\0\0\0\x07\xbe\xbf",
    b"\0\0\x08\x01\x05\0\0\0\x09\x82\x40\x01a\x02bc\xbe",
    b"\0\0\x05\x01\x04\0\0\0\x03\x08\x03100",
    b"\0\0\x04\x01\x2d\0\0\0\x0b\x02\x82\x86\x84",
    b"\0\0\x02\x09\x04\0\0\0\x05\x3f\x21",
    b"\0\0\x00\x09\x00\0\0\0\x05",
    b"\0\0\x07\x05\x04\0\0\0\x01\0\0\0\x02\x82\x86\x84",
    b"\0\0\x05\0\0\0\0\0\x03hello",
    b"\0\0\x05\0\x01\0\0\0\x01hello",
    b"\0\0\x05\0\x09\0\0\0\x03\x02he\0\0",
    b"\0\0\x01\0\x08\0\0\0\x03\x09",
    b"\0\x40\0\0\0\0\0\0\x03",
    b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08",
    b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0",
    b"\0\0\x04\x08\0\0\0\0\0\x7f\xff\xff\xff",
    b"\0\0\x08\x06\0\0\0\0\0pingpong",
    b"\0\0\x02\xbe\xff\0\0\0\x09hi",
    b"\xff\xff\xff\x01\0\0\0\0\x0d",
    b"\0\0\x05\0\0\0",
];

/// Packets of any link layer, and a capture file.
pub fn packet(data: &[u8]) {
    const LINKS: &[u32] = &[
        0, 1, 9, 12, 50, 51, 101, 104, 105, 108, 113, 119, 127, 163, 192, 204, 228, 239, 276, 999,
    ];
    let mut decoder = PacketDecoder::new();
    let mut streams = streams();
    for (mark, chunk) in data.chunks(97).enumerate() {
        let Some((link, bytes)) = chunk.split_first() else {
            continue;
        };
        let packet = CapturedPacket {
            time: Timestamp(mark as u64),
            link_type: LinkType(LINKS[usize::from(*link) % LINKS.len()]),
            bytes: Bytes::copy_from_slice(bytes),
            original_bytes: bytes.len() as u32 + u32::from(*link) / 16,
        };
        if let Some(segment) = decoder.decode(&packet, mark as u64) {
            assert!(segment.payload.len() <= bytes.len().max(1 << 16));
            streams.handle_segment(segment);
            check(&mut streams, &mut 0);
        }
    }
    assert!(decoder.counts().packets >= decoder.counts().segments);
    let data = data.to_vec();
    if let Ok(reader) = CaptureReader::new(std::io::Cursor::new(data)) {
        reader.take(10_000).for_each(drop);
    }
}

/// Segments of a few flows: any flags, offsets around each other, overlapping and contradictory.
pub fn tcp(data: &[u8]) {
    let mut streams = streams();
    let mut emitted = 0;
    let mut now = Timestamp(1);
    let mut input = Input(data);
    while let Some(kind) = input.byte() {
        let pick = input.byte().unwrap_or(0);
        let near = input.byte().unwrap_or(0);
        let size = input.byte().unwrap_or(0);
        now = now.plus_ns(1 << (kind % 41));
        let from_client = pick & 1 == 0;
        let address = |last: u8, port: u16| SocketAddr::from(([10, 0, 0, last], port));
        let ends = Endpoints {
            client: address(1, 1000 + u16::from(pick >> 6)),
            server: address(2, 80),
        };
        let flow = FlowId(u64::from(pick >> 6));
        let ends = if from_client { ends } else { ends.swapped() };
        let payload = input.payload(size, &WORDS.map(str::as_bytes));
        let offset = u64::from(near) * 7;
        let source = match kind & 0x80 {
            0 => Source::Packet,
            _ => Source::Kernel {
                flow,
                direction: if from_client {
                    Direction::Client
                } else {
                    Direction::Server
                },
                offset: if pick & 2 == 0 {
                    offset
                } else {
                    (1 << 40) + offset
                },
            },
        };
        match kind {
            0x70 => streams.handle_timeout(now),
            0x71 => streams.handle_close(flow, now, Some((offset, u64::from(size)))),
            0x72 => streams.handle_close(flow, now, None),
            0x73 => streams.resume_flow(flow, ends, Default::default(), 0),
            _ => streams.handle_segment(Segment {
                time: now,
                endpoints: ends,
                source,
                sequence_number: u32::from(near)
                    .wrapping_mul(7)
                    .wrapping_sub(u32::from(pick >> 4)),
                acknowledgement: u32::from(size).wrapping_mul(5),
                flags: TcpFlags(kind & 0x17),
                wire_bytes: payload.len() as u32 + u32::from(pick & 0x0c == 0x0c) * 9,
                payload,
                mark: u64::from(kind),
            }),
        }
        check(&mut streams, &mut emitted);
    }
    streams.finish(now);
    check(&mut streams, &mut emitted);
    let ledger = streams.ledger();
    assert_eq!((ledger.pending_bytes, ledger.pending), (0, 0));
    assert_eq!(streams.held(), (0, 0));
}

/// Two directions of anything, in order, in segments of any size.
pub fn http1(data: &[u8]) {
    talk(data, &[], &WORDS.map(str::as_bytes), limits());
}

/// Commands and replies of Redis, and noise, in any order.
pub fn redis(data: &[u8]) {
    let opening = [(Direction::Client, &b"*1\r\n$4\r\nPING\r\n"[..])];
    talk(data, &opening, RESP, limits());
}

/// Frames and noise after an exchange that opened a WebSocket.
pub fn websocket(data: &[u8]) {
    let compression = match data.first() {
        Some(byte) if byte & 1 == 0 => "",
        Some(byte) if byte & 2 == 0 => "; server_no_context_takeover",
        _ => "; client_no_context_takeover",
    };
    let ask = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n";
    let answer = format!(
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate{compression}\r\n\r\n"
    );
    let opening = [
        (Direction::Client, ask.as_bytes()),
        (Direction::Server, answer.as_bytes()),
    ];
    // Inflaters have windows that the small limits have no room for.
    let limits = Limits {
        total_buffer_bytes: 1 << 20,
        flow_buffer_bytes: 1 << 18,
        ..limits()
    };
    talk(data, &opening, FRAMES, limits);
}

/// Frames of HTTP/2 after the begin of a connection, or anywhere in one, or after an upgrade.
pub fn http2(data: &[u8]) {
    let begin: &[(Direction, &[u8])] = &[
        (
            Direction::Client,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        ),
        (Direction::Server, b"\0\0\0\x04\0\0\0\0\0"),
    ];
    let upgrade: &[(Direction, &[u8])] = &[
        (
            Direction::Client,
            b"POST / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAAAA\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            Direction::Server,
            b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\n\r\n",
        ),
    ];
    let opening = match data.first() {
        Some(byte) if byte & 3 == 0 => &[],
        Some(byte) if byte & 3 == 1 => upgrade,
        _ => begin,
    };
    talk(data, opening, HTTP2_FRAMES, http2_limits());
}

/// Header blocks of HTTP/2, one after the other.
pub fn hpack(data: &[u8]) {
    let mut says = vec![(
        Direction::Client,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
    )];
    for (number, block) in data.chunks(41).enumerate() {
        let mut frame = vec![0, 0, block.len() as u8, 1, 5];
        frame.extend((2 * number as u32 + 1).to_be_bytes());
        frame.extend(block);
        says.push((Direction::Client, frame));
    }
    let says: Vec<_> = says.iter().map(|(side, text)| (*side, &text[..])).collect();
    talk(&[], &says, HTTP2_FRAMES, http2_limits());
}

/// Header tables have room in them.
fn http2_limits() -> Limits {
    Limits {
        total_buffer_bytes: 1 << 17,
        flow_buffer_bytes: 1 << 14,
        ..limits()
    }
}

/// Says `opening`, then what `data` says, partly in words, in segments of any size.
fn talk(data: &[u8], opening: &[(Direction, &[u8])], words: &[&[u8]], limits: Limits) {
    let mut streams = Streams::new(Arc::from("n"), 7, limits);
    let mut emitted = 0;
    let mut offsets = [0, 0];
    let mut now = Timestamp(1);
    let mut say = |direction: Direction, payload: Bytes, lost: u64| {
        let ends = Endpoints {
            client: SocketAddr::from(([10, 0, 0, 1], 1000)),
            server: SocketAddr::from(([10, 0, 0, 2], 80)),
        };
        let other = offsets[direction.opposite() as usize];
        let offset = &mut offsets[direction as usize];
        *offset += lost;
        let length = payload.len() as u64;
        now = now.plus_ns(1);
        streams.handle_segment(Segment {
            time: now,
            endpoints: match direction {
                Direction::Client => ends,
                Direction::Server => ends.swapped(),
            },
            source: Source::Kernel {
                flow: FlowId(1),
                direction,
                offset: *offset,
            },
            sequence_number: *offset as u32,
            acknowledgement: other as u32,
            flags: TcpFlags(TcpFlags::ACK),
            wire_bytes: length as u32,
            payload,
            mark: 0,
        });
        *offset += length;
        check(&mut streams, &mut emitted);
    };
    for (direction, text) in opening {
        say(*direction, Bytes::copy_from_slice(text), 0);
    }
    let mut input = Input(data);
    while let Some(head) = input.byte() {
        let direction = match head & 1 {
            0 => Direction::Client,
            _ => Direction::Server,
        };
        let payload = input.payload(head, words);
        // Now and then bytes are missing.
        say(direction, payload, u64::from(head == 0xff) * 20_000_000);
    }
    streams.finish(now);
    check(&mut streams, &mut emitted);
    let ledger = streams.ledger();
    assert_eq!((ledger.pending_bytes, ledger.pending), (0, 0));
}

/// A body of any coding: decoded at once and in chunks it is the same, and within its limits.
pub fn content(data: &[u8]) {
    const NAMES: [&str; 6] = ["gzip", "deflate", "br", "zstd", "br, gzip", "deflate, zstd"];
    let Some((pick, body)) = data.split_first() else {
        return;
    };
    let names = NAMES[usize::from(pick & 0x0f) % NAMES.len()];
    let codings = Codings::named(names.as_bytes().split(|byte| *byte == b','));
    let codings = codings.expect("known codings");
    let limits = DecodeLimits {
        output_bytes: 2 << 20,
        ratio: 100,
    };
    let whole = decode(&Bytes::copy_from_slice(body), &codings, limits);
    assert!(whole.bytes.len() as u64 <= limits.output_bytes);
    let mut decoder = Decoder::new(&codings, limits);
    let mut bytes = Vec::new();
    let result = body
        .chunks(usize::from(pick >> 4) + 1)
        .try_for_each(|chunk| decoder.push(chunk, |out| bytes.extend_from_slice(out)))
        .and_then(|()| decoder.finish());
    let is_limit = |fault: &Option<Fault>| {
        matches!(fault, Some(Fault::TooLarge { .. } | Fault::TooDense { .. }))
    };
    let fault = result.err();
    if is_limit(&whole.fault) || is_limit(&fault) {
        return;
    }
    assert_eq!(fault, whole.fault);
    // How much of what is not sound is decoded before that is noticed depends on how it comes in.
    if matches!(fault, Some(Fault::Corrupt { .. })) {
        let (short, long) = match bytes.len() < whole.bytes.len() {
            true => (&bytes[..], &whole.bytes[..]),
            false => (&whole.bytes[..], &bytes[..]),
        };
        assert!(long.starts_with(short));
    } else {
        assert_eq!(bytes, whole.bytes);
    }
}

/// One response with a streamed body of anything, cut by holes: its parts lie within what was seen
/// of it, one after another.
pub fn parts(data: &[u8]) {
    const TYPES: [&str; 4] = [
        "text/event-stream",
        "application/grpc",
        "application/grpc-web+proto",
        "application/grpc-web-text",
    ];
    let mut streams = streams();
    let mut input = Input(data);
    let pick = usize::from(input.byte().unwrap_or(0)) % TYPES.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {}\r\n\r\n", TYPES[pick]);
    let (mut offset, mut body, mut now) = (0, 0, Timestamp(1));
    let mut payload = Bytes::from(head);
    loop {
        now = now.plus_ns(1);
        streams.handle_segment(Segment {
            time: now,
            endpoints: Endpoints {
                client: SocketAddr::from(([10, 0, 0, 2], 80)),
                server: SocketAddr::from(([10, 0, 0, 1], 1000)),
            },
            source: Source::Kernel {
                flow: FlowId(1),
                direction: Direction::Server,
                offset,
            },
            sequence_number: offset as u32,
            acknowledgement: 0,
            flags: TcpFlags(0),
            wire_bytes: payload.len() as u32,
            payload: payload.clone(),
            mark: 0,
        });
        offset += payload.len() as u64;
        let Some(size) = input.byte() else { break };
        // Now and then bytes are missing.
        offset += u64::from(size == 0x1f) * 20_000_000;
        payload = input.payload(size, &WORDS.map(str::as_bytes));
    }
    streams.finish(now);
    let (mut end, mut next) = (0, 0);
    while let Some(event) = streams.poll_event() {
        match event.kind {
            EventKind::Body { chunk, .. } => body += chunk.len() as u64,
            EventKind::Part(part) => {
                assert_eq!(part.index, next);
                assert!(part.offset >= end && part.offset + part.bytes <= body);
                assert!(part.first_byte <= part.last_byte);
                end = part.offset + part.bytes;
                next += 1;
            }
            _ => {}
        }
    }
    assert!(streams.ledger().bytes_unexplained() == 0);
}

/// A body of gRPC, a message, a set of descriptors, an answer of reflection: whatever comes, trees
/// lie within their messages.
pub fn grpc(data: &[u8]) {
    const TYPES: [&str; 3] = [
        "application/grpc",
        "application/grpc-web",
        "application/grpc-web-text",
    ];
    const ENCODINGS: [&str; 4] = ["gzip", "deflate", "zstd", "snappy"];
    let Some((pick, rest)) = data.split_first() else {
        return;
    };
    let body = Bytes::copy_from_slice(rest);
    let (low, high) = (usize::from(pick & 0x0f), usize::from(pick >> 4));
    let fields = [
        Field::new("content-type", TYPES[low % TYPES.len()]),
        Field::new("grpc-encoding", ENCODINGS[high % ENCODINGS.len()]),
    ];
    let mut descriptors = Descriptors::new();
    let path = b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    descriptors.learn(path, &body);
    let _ = descriptors.add_set(&body);
    let _ = descriptors.add_file(&body);
    let limits = TreeLimits {
        depth: 10,
        nodes: 500,
    };
    let decode = DecodeLimits {
        output_bytes: 1 << 20,
        ratio: 100,
    };
    let found = messages(&fields, &body, decode).expect("gRPC");
    for message in found.map(|message| message.decoded.bytes).chain([body]) {
        let _ = web_trailers(&message);
        let tree = descriptors.read_as(None, &message, limits);
        for leaf in tree.leaves() {
            assert!(message.get(leaf.span).is_some());
            assert!(message.get(leaf.node.record.clone()).is_some());
        }
    }
    let _ = Status::of(&[Field::new("grpc-status-details-bin", rest.to_vec())], &[]);
}

fn streams() -> Streams {
    Streams::new(Arc::from("n"), 7, limits())
}

fn limits() -> Limits {
    Limits {
        flow_buffer_bytes: 4096,
        total_buffer_bytes: 8192,
        max_flows: 3,
        max_head_bytes: 600,
        emit_opaque: true,
        ..Limits::default()
    }
}

/// Takes all events and checks both ledgers.
fn check(streams: &mut Streams, emitted: &mut u64) {
    while let Some(event) = streams.poll_event() {
        *emitted += u64::from(event.kind.is_exchange());
        if let EventKind::Exchange(exchange) = &event.kind {
            let id = exchange.id.to_string();
            assert_eq!(id.parse().as_ref(), Ok(&exchange.id));
        }
    }
    let mut ledger = streams.ledger();
    ledger.stored = ledger.rebuilt - ledger.pending;
    assert!(ledger.stored >= *emitted, "{ledger:?}");
    assert!(ledger.closes(), "{ledger:?}");
    for (_, _, watermark, _) in streams.watermarks() {
        assert!(watermark.client < 1 << 62 && watermark.server < 1 << 62);
    }
    let mut marks = 0;
    streams.held_marks(&mut |_, _| marks += 1);
    assert!(
        marks > 0 || ledger.pending_bytes == 0,
        "held bytes without a mark: {ledger:?}"
    );
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Noise or words, as `size` says.
    fn payload(&mut self, size: u8, words: &[&[u8]]) -> Bytes {
        if size & 0x60 == 0 {
            let length = usize::from(size & 0x1f).min(self.0.len());
            let (noise, rest) = self.0.split_at(length);
            self.0 = rest;
            return Bytes::copy_from_slice(noise);
        }
        let mut text = Vec::new();
        for _ in 0..size % 5 {
            let word = usize::from(self.byte().unwrap_or(14));
            text.extend_from_slice(words[word % words.len()]);
        }
        Bytes::from(text)
    }
}
