//! WebSockets with compressed messages (RFC 7692), at twins that compress and inflate by zlib
//! itself.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::{Value, json};
use tempfile::TempDir;
use twintap_replayer::fire::websocket::{FrameReader, FrameWriter, Heard};
use twintap_scrub::{Piece, Policy};
use twintap_stream::Segment;
use twintap_stream::websocket::{Deflate, Head, Inflater, accept, unmask};
use twintap_verdict::{Report, Verdict};

use crate::chat::{Room, Tap, token};
use crate::recording::store;
use crate::run::run;
use crate::websocket::run_file;

const CLIENTS: u64 = 6;

/// A service like that of `chat`, which compresses.
struct Squeezer {
    address: SocketAddr,
    /// Compressed messages that came, and others.
    compressed: Arc<AtomicU64>,
    plain: Arc<AtomicU64>,
}

impl Squeezer {
    fn start(name: &'static str, fault: u64, agreed: Deflate) -> Squeezer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let squeezer = Squeezer {
            address,
            compressed: Arc::default(),
            plain: Arc::default(),
        };
        let counts = [&squeezer.compressed, &squeezer.plain].map(Arc::clone);
        thread::spawn(move || {
            for (number, stream) in (1..).zip(listener.incoming().flatten()) {
                let room = Room::new(token(name, number), fault);
                let counts = counts.clone();
                thread::spawn(move || serve(stream, room, agreed, &counts));
            }
        });
        squeezer
    }
}

/// The extension as a server agrees to it.
fn extension(agreed: Deflate) -> String {
    let mut text = "permessage-deflate".to_owned();
    if !agreed.server_keeps_context {
        text.push_str("; server_no_context_takeover");
    }
    if !agreed.client_keeps_context {
        text.push_str("; client_no_context_takeover");
    }
    text
}

/// Reads through the empty line after a head; None where there is none.
fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn serve(mut stream: TcpStream, mut room: Room, agreed: Deflate, counts: &[Arc<AtomicU64>; 2]) {
    let Some(head) = head(&mut stream) else {
        return;
    };
    let Some(key) = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
    else {
        return;
    };
    let opening = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Extensions: {}\r\n\r\n",
        String::from_utf8_lossy(&accept(key.as_bytes())),
        extension(agreed)
    );
    if stream.write_all(opening.as_bytes()).is_err() {
        return;
    }
    let mut zip = Compress::new(Compression::default(), false);
    let mut unzip = Decompress::new(false);
    while let Some((first, payload)) = frame(&mut stream) {
        let answers = match first & 0xf {
            8 => {
                let _ = stream.write_all(&[&[0x88, payload.len() as u8], &payload[..]].concat());
                return;
            }
            1 if first & 0x40 != 0 => {
                counts[0].fetch_add(1, Ordering::SeqCst);
                if !agreed.client_keeps_context {
                    unzip.reset(false);
                }
                room.answers(&inflated(&mut unzip, payload))
            }
            1 => {
                counts[1].fetch_add(1, Ordering::SeqCst);
                room.answers(&payload)
            }
            _ => continue,
        };
        for answer in answers {
            if !agreed.server_keeps_context {
                zip.reset();
            }
            let payload = deflated(&mut zip, answer.to_string().as_bytes());
            let length = u8::try_from(payload.len()).expect("short answers");
            assert!(length < 126);
            if stream
                .write_all(&[&[0xc1, length], &payload[..]].concat())
                .is_err()
            {
                return;
            }
        }
    }
}

/// A client's frame without its mask; all that come here are whole messages.
fn frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(head) = Head::read(&bytes) {
            break head;
        }
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    };
    let mut payload = vec![0; head.length as usize];
    stream.read_exact(&mut payload).ok()?;
    unmask(&mut payload, head.mask?, 0);
    Some((bytes[0], payload))
}

fn inflated(unzip: &mut Decompress, mut payload: Vec<u8>) -> Vec<u8> {
    payload.extend([0, 0, 0xff, 0xff]);
    let mut out = Vec::with_capacity(4096);
    unzip
        .decompress_vec(&payload, &mut out, FlushDecompress::Sync)
        .expect("what a client compressed");
    out
}

fn deflated(zip: &mut Compress, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    zip.compress_vec(text, &mut out, FlushCompress::Sync)
        .expect("room enough");
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

/// What clients say to a service that compresses as was agreed on.
fn recorded(agreed: Deflate) -> Vec<Segment> {
    let service = Squeezer::start("prod", 0, agreed);
    let begin = Instant::now();
    let mut segments = Vec::new();
    for flow in 0..CLIENTS {
        let tap = Tap::start(service.address, flow, begin);
        talk(tap.address, flow, agreed);
        segments.extend(tap.end());
    }
    segments.sort_by_key(|segment| segment.time);
    segments
}

fn talk(address: SocketAddr, number: u64, agreed: Deflate) {
    let mut stream = TcpStream::connect(address).expect("the tap");
    let offer = extension(agreed);
    let request = format!(
        "GET /chat HTTP/1.1\r\nHost: chat\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: {offer}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("a service");
    head(&mut stream).expect("an answer");
    let inflater = Inflater::new(agreed.server_keeps_context);
    let mut client = Client {
        stream,
        writer: FrameWriter::new(Some(agreed)),
        reader: FrameReader::new(Some(inflater), 4096),
        held: Vec::new(),
    };
    client.say(&json!({"do": "login", "name": format!("user{number}")}));
    let token = client.hear()["token"].clone();
    for add in 1..=3 {
        client.say(&json!({"do": "add", "number": add * 10, "token": token}));
        client.hear();
    }
    client.say(&json!({"do": "news", "token": token}));
    for _ in 0..3 {
        client.hear();
    }
    let close = Piece::Close { code: Some(1000) };
    let close = client.writer.write(close, &1000_u16.to_be_bytes(), &[]);
    client.stream.write_all(&close).expect("a service");
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).expect("its close");
    let _ = client.stream.shutdown(Shutdown::Both);
}

struct Client {
    stream: TcpStream,
    writer: FrameWriter,
    reader: FrameReader,
    held: Vec<Heard>,
}

impl Client {
    fn say(&mut self, what: &Value) {
        let text = what.to_string();
        let frames = self.writer.write(Piece::Text, text.as_bytes(), &[]);
        self.stream.write_all(&frames).expect("a service");
    }

    fn hear(&mut self) -> Value {
        while self.held.is_empty() {
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).expect("a service");
            let mut input = &buffer[..count];
            assert!(count > 0);
            while let Some(heard) = self.reader.feed(&mut input).expect("sound frames") {
                self.held.push(heard);
            }
        }
        serde_json::from_slice(&self.held.remove(0).payload).expect("JSON")
    }
}

fn replayed(agreed: Deflate, fault: u64) -> (Report, [Squeezer; 2]) {
    let directory = TempDir::new().expect("a temporary directory");
    store(directory.path(), Policy::allow_all(), recorded(agreed));
    let twins = [("cand", fault), ("base", 0)];
    let twins = twins.map(|(name, fault)| Squeezer::start(name, fault, agreed));
    let addresses = twins.each_ref().map(|twin| twin.address);
    let report = run(&run_file(directory.path(), addresses)).expect("a run");
    (report, twins)
}

#[test]
fn compressed_messages_replay_however_contexts_are_kept() {
    for (client_keeps_context, server_keeps_context) in
        [(true, true), (false, true), (true, false), (false, false)]
    {
        let agreed = Deflate {
            client_keeps_context,
            server_keeps_context,
        };
        let (report, twins) = replayed(agreed, 0);
        assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
        for (twin, ledger) in twins.iter().zip([
            &report.ledgers.runs.candidate,
            &report.ledgers.runs.baseline,
        ]) {
            assert_eq!(ledger.answered, CLIENTS, "{ledger:?}");
            // A login, three sums and the news of each, all of them compressed.
            let compressed = twin.compressed.load(Ordering::SeqCst);
            let plain = twin.plain.load(Ordering::SeqCst);
            assert_eq!((compressed, plain), (5 * CLIENTS, 0), "{agreed:?}");
        }
    }
}

#[test]
fn what_changed_in_a_compressed_message_is_found() {
    let agreed = Deflate {
        client_keeps_context: true,
        server_keeps_context: true,
    };
    let (report, _) = replayed(agreed, 1);
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    let location = &report.findings[0].location;
    assert!(location.ends_with("/sum"), "{location}");
}
