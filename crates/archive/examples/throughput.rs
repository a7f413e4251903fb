//! How fast exchanges are stored and read: `cargo run --release -p twintap-archive
//! --example throughput -- DIRECTORY [MIB]`.
//!
//! Prints MiB of head and body bytes by second of CPU, and by second on the clock in
//! brackets, for storing with commits and for reading everything back, for several
//! sizes of body. DIRECTORY must not exist.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use twintap_archive::{Archive, Capture, Checkpoint, Options, Reader};
use twintap_scrub::{
    Action, BodyFate, ExchangeRecord, Leaf, LinkTag, MessageNote, Part, PolicyHash, Scrubbed,
};
use twintap_stream::message::Protocol;
use twintap_stream::{
    Endpoints, Exchange, ExchangeId, Field, FlowId, Message, RequestHead, ResponseHead, Timestamp,
};

/// Exchanges between two commits.
const BATCH: u64 = 500;
/// Bodies that differ; more than one block of exchanges holds.
const BODIES: u64 = 256;
/// Bytes of a body that are handed over at a time.
const CHUNK: usize = 64 << 10;

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("name a directory to write to")?;
    let mib: u64 = arguments.next().map_or(Ok(512), |text| text.parse())?;
    for body_bytes in [0, 1 << 10, 16 << 10, 1 << 20] {
        let path = Path::new(&directory).join(body_bytes.to_string());
        measure(&path, body_bytes, mib << 20)?;
        std::fs::remove_dir_all(&path)?;
    }
    Ok(())
}

fn measure(path: &Path, body_bytes: usize, total: u64) -> Result<(), AnyError> {
    let (mut archive, _) = Archive::open(path, Options::default())?;
    let bodies: Vec<Vec<u8>> = (0..BODIES.min((64 << 20) / (body_bytes as u64 + 1)))
        .map(|seed| body(seed, body_bytes))
        .collect();
    let exchange_bytes = wire_bytes(&record(0)) + body_bytes as u64;
    let count = (total / exchange_bytes).max(1);
    let batch = BATCH.min((64 << 20) / exchange_bytes).max(1);
    let mut writing = Cost::default();
    let mut number = 0;
    while number < count {
        // Made beforehand, so that the archive alone is measured.
        let made: Vec<Scrubbed<ExchangeRecord>> = (number..number + batch)
            .map(|number| scrubbed(&record(number)))
            .collect::<Result<_, _>>()?;
        let chunks: Vec<Vec<Scrubbed<Bytes>>> = bodies
            .iter()
            .map(|body| {
                body.chunks(CHUNK)
                    .map(|chunk| scrubbed(&Bytes::copy_from_slice(chunk)))
                    .collect()
            })
            .collect::<Result<_, _>>()?;
        let start = Start::now()?;
        for (record, chunks) in made.into_iter().zip(chunks.iter().cycle()) {
            let request = archive.begin_body();
            let mut response = archive.begin_body();
            for chunk in chunks {
                archive.write_body(&mut response, chunk.clone())?;
            }
            archive.store(record, request, response)?;
        }
        number += batch;
        archive.commit(checkpoint(number))?;
        writing.add(start)?;
    }
    let start = Start::now()?;
    archive.close()?;
    writing.add(start)?;

    let start = Start::now()?;
    let reader = Reader::open(path)?;
    let mut read = 0;
    for stored in reader.exchanges() {
        let stored = stored?;
        read += wire_bytes(&stored.record);
        for chunk in reader.body(&stored.response_body) {
            read += chunk?.len() as u64;
        }
    }
    let mut reading = Cost::default();
    reading.add(start)?;
    let mib = read as f64 / f64::from(1 << 20);
    println!(
        "body {body_bytes:>7} B: {number} exchanges, {mib:.0} MiB in {:.0} MiB on disk\n\
         \tstore+commit {:.0} MiB/s ({:.0}), {:.0} exchanges/s ({:.0})\n\
         \tread         {:.0} MiB/s ({:.0}), {:.0} exchanges/s ({:.0})",
        reader.bytes() as f64 / f64::from(1 << 20),
        mib / writing.cpu,
        mib / writing.clock,
        number as f64 / writing.cpu,
        number as f64 / writing.clock,
        mib / reading.cpu,
        mib / reading.clock,
        number as f64 / reading.cpu,
        number as f64 / reading.clock,
    );
    Ok(())
}

/// Seconds that something took.
#[derive(Default)]
struct Cost {
    cpu: f64,
    clock: f64,
}

impl Cost {
    fn add(&mut self, start: Start) -> Result<(), AnyError> {
        self.cpu += (cpu_ns()? - start.cpu_ns) as f64 / 1e9;
        self.clock += start.clock.elapsed().as_secs_f64();
        Ok(())
    }
}

struct Start {
    cpu_ns: u64,
    clock: Instant,
}

impl Start {
    fn now() -> Result<Start, AnyError> {
        Ok(Start {
            cpu_ns: cpu_ns()?,
            clock: Instant::now(),
        })
    }
}

/// Nanoseconds that this thread has had a CPU.
fn cpu_ns() -> Result<u64, AnyError> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split(' ').next().ok_or("schedstat is empty")?;
    Ok(first.parse()?)
}

/// A scrubbed value, read back as if it had been stored.
fn scrubbed<T: Serialize + DeserializeOwned>(value: &T) -> Result<Scrubbed<T>, AnyError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)?;
    Ok(ciborium::from_reader(&bytes[..])?)
}

fn wire_bytes(record: &ExchangeRecord) -> u64 {
    let request = record.exchange.request.head.as_ref();
    let response = record.exchange.response.head.as_ref();
    (request.map_or(0, |head| head.to_wire().len())
        + response.map_or(0, |head| head.to_wire().len())) as u64
}

/// JSON-like text with values that do not repeat.
fn body(seed: u64, length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 128);
    let mut state = seed;
    while out.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let line = format!(
            "{{\"id\":\"{:016x}\",\"name\":\"article {}\",\"price\":{},\"tags\":[\"new\",\"shop\"]}},",
            state,
            state >> 48,
            (state >> 32) % 10_000
        );
        out.extend_from_slice(line.as_bytes());
    }
    out.truncate(length);
    out
}

fn record(number: u64) -> ExchangeRecord {
    let time = Timestamp(1_700_000_000_000_000_000 + number * 1_000_000);
    let end = |last, port| ([10, 0, 0, last], port).into();
    let token = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let leaf = |part, path: &str, value: u64| Leaf {
        part,
        path: path.to_owned(),
        start: 7,
        len: 16,
        tag: LinkTag(value.wrapping_mul(0xff51_afd7_ed55_8ccd)),
        encoding: twintap_scrub::Encoding::Plain,
        action: Action::Pseudonym,
        raw_chars: 16,
    };
    ExchangeRecord {
        exchange: Exchange {
            id: ExchangeId {
                node: Arc::from("node-1"),
                boot: 0x0123_4567_89ab_cdef,
                flow: FlowId(number % 1_000),
                offset: number * 400,
                from_response: false,
            },
            protocol: Protocol::Http1,
            endpoints: Endpoints {
                client: end(1, 10_000 + (number % 1_000) as u16),
                server: end(2, 8080),
            },
            round_trip_ns: Some(120_000),
            flow_began_before_capture: false,
            index_in_flow: (number / 1_000) as u32,
            request: Message {
                head: Some(RequestHead {
                    method: Bytes::from_static(b"GET"),
                    target: Bytes::from(format!("/articles/{number}?page={}", number % 9)),
                    version: Bytes::from_static(b"HTTP/1.1"),
                    fields: vec![
                        Field::new("Host", "shop.example"),
                        Field::new(
                            "User-Agent",
                            "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
                        ),
                        Field::new("Accept", "application/json"),
                        Field::new("Accept-Encoding", "gzip, deflate, br"),
                        Field::new("Cookie", format!("sid={token:016x}")),
                    ],
                    line_spelling: None,
                    end: Bytes::from_static(b"\r\n"),
                }),
                first_byte: time,
                last_byte: time,
                ..Message::default()
            },
            response: Message {
                head: Some(ResponseHead {
                    version: Bytes::from_static(b"HTTP/1.1"),
                    status: 200,
                    reason: Bytes::from_static(b"OK"),
                    fields: vec![
                        Field::new("Content-Type", "application/json"),
                        Field::new("Date", "Tue, 14 Nov 2023 22:13:20 GMT"),
                        Field::new("Server", "shop"),
                        Field::new("X-Request-Id", format!("{:016x}", token.rotate_left(17))),
                    ],
                    line_spelling: None,
                    end: Bytes::from_static(b"\r\n"),
                }),
                first_byte: time.plus_ns(1_000_000),
                last_byte: time.plus_ns(2_000_000),
                ..Message::default()
            },
            interim: Vec::new(),
        },
        policy: PolicyHash("00112233445566778899aabbccddeeff".to_owned()),
        request: MessageNote {
            leaves: vec![
                leaf(Part::Target, "path.1", number),
                leaf(Part::Target, "query.page", number % 9),
                leaf(Part::Field(4), "cookie.sid", token),
            ],
            ..MessageNote::default()
        },
        response: MessageNote {
            leaves: vec![leaf(Part::Field(3), "header.x-request-id", token)],
            body: BodyFate::Scrubbed,
            body_tag: Some(LinkTag(token)),
            ..MessageNote::default()
        },
    }
}

fn checkpoint(received: u64) -> Checkpoint {
    Checkpoint {
        at: Timestamp(received),
        captures: vec![Capture {
            node: Arc::from("node-1"),
            received_frames: received,
            ..Capture::default()
        }],
    }
}
