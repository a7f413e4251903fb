//! Captures that something broke: whatever it was, nothing panics, nothing runs for ever, memory
//! stays under its limit, and every ledger closes after every step.
//!
//! `cargo xtask corpus --mutations N` runs many; here a few of each capture run.

use std::io::{Cursor, Read as _};
use std::path::Path;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use twintap_stream::{CaptureReader, CapturedPacket, Limits, PacketDecoder, Streams, Timestamp};
use twintap_tests::corpus::Corpus;

/// More packets than these are cut to a window of so many.
const WINDOW_PACKETS: usize = 3000;
/// Mutations of each capture where nobody says how many, fewer of the large ones.
const SAMPLE: u64 = 6;
/// What a capture may have for all of them.
const SAMPLE_BYTES: u64 = 32 << 10;
/// The project's own capture, where there is no corpus.
const OWN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/pcaps/shop.pcap.gz"
);

#[test]
fn broken_captures_break_nothing() {
    let only = std::env::var("TWINTAP_MUTATION_CAPTURE").ok();
    let seed = number("TWINTAP_MUTATION_SEED").unwrap_or(0);
    let mut files = vec![("shop.pcap.gz".to_owned(), Path::new(OWN).to_owned())];
    match Corpus::find(None) {
        Ok(corpus) => {
            for path in corpus.files().expect("the corpus was found") {
                files.push((corpus.relative(&path), path));
            }
        }
        Err(error) => twintap_tests::skip("broken_captures_break_nothing", &error.to_string()),
    }
    let mut captures = 0;
    let mut mutations = 0;
    for (name, path) in files {
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let Some(capture) = Capture::read(&path) else {
            continue;
        };
        captures += 1;
        let count = number("TWINTAP_MUTATIONS").unwrap_or_else(|| capture.sample());
        for seed in seed..seed + count {
            let _trace = Trace { name: &name, seed };
            capture.mutate(seed);
            mutations += 1;
        }
    }
    println!("{mutations} mutations of {captures} captures");
    assert!(mutations > 0, "no capture named {only:?}");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
    )
}

/// Says how to see a failure again.
struct Trace<'a> {
    name: &'a str,
    seed: u64,
}

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "again: cargo xtask corpus --mutations 1 --seed {} --capture {}",
                self.seed, self.name
            );
        }
    }
}

/// A capture file, uncompressed.
struct Capture {
    file: Vec<u8>,
    packets: Vec<CapturedPacket>,
}

impl Capture {
    /// Absent when it is no capture.
    fn read(path: &Path) -> Option<Capture> {
        let mut file = std::fs::read(path).expect("the file was listed");
        if file.starts_with(&[0x1f, 0x8b]) {
            let mut inflated = Vec::new();
            let _ = MultiGzDecoder::new(&file[..]).read_to_end(&mut inflated);
            file = inflated;
        }
        let packets = packets(file.clone())?;
        (!packets.is_empty()).then_some(Capture { file, packets })
    }

    /// How many mutations run when nobody says.
    fn sample(&self) -> u64 {
        (SAMPLE * SAMPLE_BYTES / (self.file.len() as u64).max(1)).clamp(1, SAMPLE)
    }

    /// Breaks a copy in a way that the seed decides, and runs it.
    fn mutate(&self, seed: u64) {
        let mut random = Random(seed);
        let limits = limits(&mut random);
        let count = 1 + random.below(3);
        if self.file.len() < 1 << 20 && random.below(8) == 0 {
            let mut file = self.file.clone();
            let at = random.below(file.len());
            match random.below(4) {
                0 => file.truncate(at),
                _ => file[at] = random.next() as u8,
            }
            return run(&packets(file).unwrap_or_default(), limits);
        }
        let start = random.below(self.packets.len().saturating_sub(WINDOW_PACKETS) + 1);
        let end = self.packets.len().min(start + WINDOW_PACKETS);
        let mut packets = self.packets[start..end].to_vec();
        for _ in 0..count {
            mutate(&mut packets, &mut random);
        }
        run(&packets, limits);
    }
}

/// All packets of a file up to where it is damaged; none when it is no capture.
fn packets(file: Vec<u8>) -> Option<Vec<CapturedPacket>> {
    let reader = CaptureReader::new(Cursor::new(file)).ok()?;
    Some(reader.map_while(Result::ok).collect())
}

/// Breaks one packet, or the order of some.
fn mutate(packets: &mut Vec<CapturedPacket>, random: &mut Random) {
    if packets.is_empty() {
        return;
    }
    let at = random.below(packets.len());
    match random.below(8) {
        0 => {
            packets.remove(at);
        }
        1 => {
            let with = random.below(packets.len());
            packets.swap(at, with);
        }
        2 => {
            let again = packets[at].clone();
            let later = (at + random.below(20)).min(packets.len());
            packets.insert(later, again);
        }
        3 => {
            // As a short snapshot length cuts it.
            let bytes = &mut packets[at].bytes;
            let length = random.below(bytes.len() + 1);
            bytes.truncate(length);
        }
        4 => {
            // As if it had been as short on the wire.
            let packet = &mut packets[at];
            packet.bytes.truncate(random.below(packet.bytes.len() + 1));
            packet.original_bytes = packet.bytes.len() as u32;
        }
        5 => packets[at].time = Timestamp(random.next() >> random.below(64)),
        _ => {
            let mut bytes = packets[at].bytes.to_vec();
            if !bytes.is_empty() {
                let place = random.below(bytes.len());
                bytes[place] = random.next() as u8;
            }
            packets[at].bytes = Bytes::from(bytes);
        }
    }
}

/// Small ones, smaller ones, or the usual ones.
fn limits(random: &mut Random) -> Limits {
    let (flow, total, flows, head) = match random.below(3) {
        0 => (4 << 10, 8 << 10, 3, 600),
        1 => (64 << 10, 128 << 10, 16, 8 << 10),
        _ => return Limits::default(),
    };
    Limits {
        flow_buffer_bytes: flow,
        total_buffer_bytes: total,
        max_flows: flows,
        max_head_bytes: head,
        emit_opaque: true,
        ..Limits::default()
    }
}

/// Feeds the packets with their times, and holds the laws after each.
fn run(packets: &[CapturedPacket], limits: Limits) {
    let mut watch = Watch {
        streams: Streams::new("node".into(), 1, limits.clone()),
        limits,
        emitted: 0,
        steps: 0,
        allowed: 1000,
    };
    let mut decoder = PacketDecoder::new();
    let mut now = Timestamp::default();
    for (number, packet) in packets.iter().enumerate() {
        now = now.max(packet.time);
        while watch.streams.poll_timeout().is_some_and(|due| due <= now) {
            watch.streams.handle_timeout(now);
            watch.settle();
        }
        // A tunnel's or a fragment's segment may be larger than its packet.
        watch.allowed += 100;
        if let Some(segment) = decoder.decode(packet, number as u64) {
            watch.allowed += 4 * segment.payload.len() as u64;
            watch.streams.handle_segment(segment);
        }
        watch.settle();
    }
    watch.streams.finish(now);
    watch.settle();
    let ledger = watch.streams.ledger();
    assert_eq!((ledger.pending_bytes, ledger.pending), (0, 0), "{ledger:?}");
    assert_eq!(watch.streams.held(), (0, 0));
}

/// A stream with the laws that it must keep.
struct Watch {
    streams: Streams,
    limits: Limits,
    emitted: u64,
    /// Events and timeouts so far, and how many the input allows: what does more, hangs.
    steps: u64,
    allowed: u64,
}

impl Watch {
    fn settle(&mut self) {
        self.steps += 1;
        while let Some(event) = self.streams.poll_event() {
            self.emitted += u64::from(event.kind.is_exchange());
            self.steps += 1;
            assert!(self.steps <= self.allowed, "{} steps", self.steps);
        }
        assert!(self.steps <= self.allowed, "{} steps", self.steps);
        let mut ledger = self.streams.ledger();
        ledger.stored = self.emitted;
        assert!(ledger.closes(), "{ledger:?}");
        let (held, cost) = self.streams.held();
        assert!(held <= cost, "{held} bytes cost {cost}");
        assert!(cost <= self.limits.total_buffer_bytes, "{cost} bytes held");
        assert!(self.streams.flow_count() <= self.limits.max_flows);
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): a seed is all it needs.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which must not be 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
