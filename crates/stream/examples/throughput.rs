//! How much traffic one core takes in, on traffic made in memory.
//!
//! `cargo run --release -p twintap-stream --example throughput [workload] [folder]`: CPU time of
//! each workload, from segments and from frames. With a folder the frames are written there
//! as pcap files, so that other tools can be given the same bytes.

use std::fs;
use std::hint::black_box;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use rustix::time::{ClockId, clock_gettime};
use twintap_stream::{
    CapturedPacket, Direction, Endpoints, Limits, LinkType, PacketDecoder, Segment, Source,
    Streams, TcpFlags, Timestamp,
};

const TOTAL_BYTES: usize = 256 << 20;
const LIVE_FLOWS: usize = 10_000;

type Workload = (&'static str, fn() -> Vec<Segment>);

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let folder = arguments.next().map(PathBuf::from);
    let workloads: [Workload; 6] = [
        ("large-1448", || large(1448)),
        ("large-64k", || large(65_000)),
        ("small", small),
        ("short", short),
        ("http2-large", || http2(1 << 20, 65_000)),
        ("http2-small", || http2(1 << 10, 65_000)),
    ];
    for (name, make) in workloads {
        if !name.contains(&wanted) {
            continue;
        }
        let segments = make();
        let payload: usize = segments.iter().map(|segment| segment.payload.len()).sum();
        let packets: Vec<CapturedPacket> = segments.iter().map(frame).collect();
        let on_wire: usize = packets.iter().map(|packet| packet.bytes.len()).sum();
        if let Some(folder) = &folder {
            fs::write(folder.join(format!("{name}.pcap")), pcap(&packets))?;
        }
        let count = segments.len() as f64;
        let (seconds, exchanges) = timed(|| from_segments(segments));
        println!(
            "{name}: segments {:.0} MiB/s of payload, {:.0} ns a segment, {exchanges} exchanges",
            mib(payload) / seconds,
            seconds * 1e9 / count
        );
        let (seconds, exchanges) = timed(|| from_packets(packets));
        println!(
            "{name}: frames   {:.0} MiB/s of frames, {:.0} ns a frame, {exchanges} exchanges",
            mib(on_wire) / seconds,
            seconds * 1e9 / count
        );
    }
    Ok(())
}

fn from_segments(segments: Vec<Segment>) -> u64 {
    let mut streams = Streams::new(Arc::from("node"), 1, Limits::default());
    let mut exchanges = 0;
    for segment in segments {
        let now = segment.time;
        streams.handle_segment(segment);
        exchanges += take(&mut streams, now);
    }
    exchanges
}

fn from_packets(packets: Vec<CapturedPacket>) -> u64 {
    let mut decoder = PacketDecoder::new();
    let mut streams = Streams::new(Arc::from("node"), 1, Limits::default());
    let mut exchanges = 0;
    for (number, packet) in packets.into_iter().enumerate() {
        if let Some(segment) = decoder.decode(&packet, number as u64) {
            drop(packet);
            let now = segment.time;
            streams.handle_segment(segment);
            exchanges += take(&mut streams, now);
        }
    }
    exchanges
}

fn take(streams: &mut Streams, now: Timestamp) -> u64 {
    let mut exchanges = 0;
    if streams.poll_timeout().is_some_and(|due| due <= now) {
        streams.handle_timeout(now);
    }
    while let Some(event) = streams.poll_event() {
        exchanges += u64::from(event.kind.is_exchange());
        black_box(event);
    }
    exchanges
}

/// CPU seconds of this thread, which a busy machine doesn't change.
fn timed<T>(f: impl FnOnce() -> T) -> (f64, T) {
    let before = cpu_seconds();
    let result = f();
    (cpu_seconds() - before, result)
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Keep-alive flows with bodies of 1 MiB, an acknowledgement for each eight segments.
fn large(segment_bytes: usize) -> Vec<Segment> {
    let request = Bytes::from_static(REQUEST);
    let response = response(1 << 20);
    let mut talk = Talk::new();
    let mut flow = Flow::new(1);
    talk.handshake(&mut flow);
    for _ in 0..TOTAL_BYTES >> 20 {
        talk.say(&mut flow, Direction::Client, 0, request.clone());
        let mut rest = response.clone();
        for number in 1.. {
            let part = rest.split_to(segment_bytes.min(rest.len()));
            if part.is_empty() {
                break;
            }
            talk.say(&mut flow, Direction::Server, 0, part);
            if number % 8 == 0 {
                talk.say(&mut flow, Direction::Client, 0, Bytes::new());
            }
        }
    }
    talk.segments
}

/// Keep-alive flows with small requests and answers of 1 KiB.
fn small() -> Vec<Segment> {
    let request = Bytes::from_static(REQUEST);
    let response = response(1 << 10);
    let mut talk = Talk::new();
    let mut flows: Vec<Flow> = (0..64).map(Flow::new).collect();
    for flow in &mut flows {
        talk.handshake(flow);
    }
    let exchanges = TOTAL_BYTES / 2 / (request.len() + response.len());
    for number in 0..exchanges {
        let count = flows.len();
        let flow = &mut flows[number % count];
        talk.say(flow, Direction::Client, 0, request.clone());
        talk.say(flow, Direction::Server, 0, response.clone());
        talk.say(flow, Direction::Client, 0, Bytes::new());
    }
    talk.segments
}

/// Flows with one exchange each, many at the same time.
fn short() -> Vec<Segment> {
    let request = Bytes::from_static(REQUEST);
    let response = response(1 << 10);
    let mut talk = Talk::new();
    for round in 0..10 {
        let first = round * LIVE_FLOWS;
        let mut flows: Vec<Flow> = (first..first + LIVE_FLOWS).map(Flow::new).collect();
        for flow in &mut flows {
            talk.handshake(flow);
        }
        for flow in &mut flows {
            talk.say(flow, Direction::Client, 0, request.clone());
        }
        for flow in &mut flows {
            talk.say(flow, Direction::Server, 0, response.clone());
        }
        for flow in &mut flows {
            talk.say(flow, Direction::Server, TcpFlags::FIN, Bytes::new());
            talk.say(flow, Direction::Client, TcpFlags::FIN, Bytes::new());
            talk.say(flow, Direction::Server, 0, Bytes::new());
        }
    }
    talk.segments
}

/// One connection of HTTP/2 with eight streams at a time and answers of `body_bytes`.
fn http2(body_bytes: usize, segment_bytes: usize) -> Vec<Segment> {
    const STREAMS: u32 = 8;
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
        let [s, t, u, v] = stream.to_be_bytes();
        [&[a, b, c, kind, flags, s, t, u, v], payload].concat()
    };
    let mut talk = Talk::new();
    let mut flow = Flow::new(1);
    talk.handshake(&mut flow);
    let settings = frame(4, 0, 0, &[]);
    let opening = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat();
    talk.say(&mut flow, Direction::Client, 0, opening.into());
    talk.say(&mut flow, Direction::Server, 0, settings.into());
    // Fields that the first request adds to the table, and the later ones refer to.
    let mut ask = vec![0x82, 0x86, 0x44, 14];
    ask.extend(
        b"/products/1042\x41\x0cshop.example\x60\x28session=1f2e3d4c5b6a79880716253443526170",
    );
    let again = [0x82, 0x86, 0xc0, 0xbf, 0xbe];
    let body = vec![b'x'; body_bytes];
    let rounds = (TOTAL_BYTES / 2 / body_bytes) as u32 / STREAMS;
    for round in 0..rounds {
        let mut asked = Vec::new();
        let mut answered = Vec::new();
        for place in 0..STREAMS {
            let stream = 1 + 2 * (round * STREAMS + place);
            let block = if stream == 1 { &ask[..] } else { &again };
            asked.extend(frame(1, 5, stream, block));
            answered.extend(frame(1, 4, stream, &[0x88]));
            for chunk in body.chunks(1 << 14) {
                answered.extend(frame(0, 0, stream, chunk));
            }
            answered.extend(frame(0, 1, stream, &[]));
        }
        talk.say(&mut flow, Direction::Client, 0, asked.into());
        let mut rest = Bytes::from(answered);
        while !rest.is_empty() {
            let part = rest.split_to(segment_bytes.min(rest.len()));
            talk.say(&mut flow, Direction::Server, 0, part);
        }
        talk.say(&mut flow, Direction::Client, 0, Bytes::new());
    }
    talk.segments
}

const REQUEST: &[u8] = b"GET /products/1042?expand=prices HTTP/1.1\r\n\
    Host: shop.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: application/json\r\n\
    Cookie: session=1f2e3d4c5b6a79880716253443526170\r\n\r\n";

fn response(body_bytes: usize) -> Bytes {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\n\
        Date: Mon, 06 Jul 2026 10:00:00 GMT\r\n\
        Content-Type: application/json\r\n\
        Cache-Control: no-store\r\n\
        Content-Length: {body_bytes}\r\n\r\n"
    )
    .into_bytes();
    response.resize(response.len() + body_bytes, b'x');
    Bytes::from(response)
}

struct Flow {
    ends: Endpoints,
    sent: [u32; 2],
}

impl Flow {
    fn new(number: usize) -> Flow {
        let [_, _, high, low] = (number as u32 / 50_000).to_be_bytes();
        let port = 10_000 + (number % 50_000) as u16;
        Flow {
            ends: Endpoints {
                client: ([10, 1, high, low], port).into(),
                server: ([10, 0, 0, 2], 8080).into(),
            },
            sent: [1000, 5000],
        }
    }
}

struct Talk {
    segments: Vec<Segment>,
}

impl Talk {
    fn new() -> Talk {
        Talk {
            segments: Vec::new(),
        }
    }

    fn handshake(&mut self, flow: &mut Flow) {
        self.say(flow, Direction::Client, TcpFlags::SYN, Bytes::new());
        self.say(flow, Direction::Server, TcpFlags::SYN, Bytes::new());
        self.say(flow, Direction::Client, 0, Bytes::new());
    }

    fn say(&mut self, flow: &mut Flow, direction: Direction, flags: u8, payload: Bytes) {
        let [own, other] = [direction as usize, direction.opposite() as usize];
        let is_first = flags & TcpFlags::SYN != 0 && direction == Direction::Client;
        let ack = if is_first { 0 } else { TcpFlags::ACK };
        let sequence_number = flow.sent[own];
        let counted = u32::from(flags & (TcpFlags::SYN | TcpFlags::FIN) != 0);
        flow.sent[own] = sequence_number.wrapping_add(counted + payload.len() as u32);
        let mark = self.segments.len() as u64;
        self.segments.push(Segment {
            time: Timestamp(1_000_000_000 + mark * 1_000),
            endpoints: match direction {
                Direction::Client => flow.ends,
                Direction::Server => flow.ends.swapped(),
            },
            source: Source::Packet,
            sequence_number,
            acknowledgement: if is_first { 0 } else { flow.sent[other] },
            flags: TcpFlags(flags | ack),
            wire_bytes: payload.len() as u32,
            payload,
            mark,
        });
    }
}

/// The segment as an Ethernet frame. Checksums are left to the network card.
fn frame(segment: &Segment) -> CapturedPacket {
    let mut frame = BytesMut::with_capacity(54 + segment.payload.len());
    frame.put_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    frame.put_slice(&[0x45, 0]);
    frame.put_u16((40 + segment.payload.len()) as u16);
    frame.put_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    for end in [segment.endpoints.client, segment.endpoints.server] {
        if let std::net::IpAddr::V4(address) = end.ip() {
            frame.put_slice(&address.octets());
        }
    }
    frame.put_u16(segment.endpoints.client.port());
    frame.put_u16(segment.endpoints.server.port());
    frame.put_u32(segment.sequence_number);
    frame.put_u32(segment.acknowledgement);
    frame.put_slice(&[0x50, segment.flags.0, 0xff, 0xff, 0, 0, 0, 0]);
    frame.put_slice(&segment.payload);
    CapturedPacket {
        time: segment.time,
        link_type: LinkType(1),
        original_bytes: frame.len() as u32,
        bytes: frame.freeze(),
    }
}

fn pcap(packets: &[CapturedPacket]) -> Vec<u8> {
    let mut file = Vec::new();
    let header: [u32; 6] = [0xa1b2_3c4d, 0x0004_0002, 0, 0, 1 << 18, 1];
    file.extend(header.iter().flat_map(|field| field.to_le_bytes()));
    for packet in packets {
        let length = packet.bytes.len() as u32;
        let (seconds, ns) = (packet.time.0 / 1_000_000_000, packet.time.0 % 1_000_000_000);
        let fields = [seconds as u32, ns as u32, length, length];
        file.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
        file.extend_from_slice(&packet.bytes);
    }
    file
}
