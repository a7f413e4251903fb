//! A capture file through the stream, the ledgers checked at every step.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use twintap_stream::{
    CaptureFileError, CaptureReader, CapturedPacket, Event, Limits, PacketDecoder, Segment,
    StoreLedger, Streams, Timestamp,
};

/// What became of a capture file.
#[derive(Debug)]
pub struct Replayed {
    /// All events, in order.
    pub events: Vec<Event>,
    /// The ledger at the end.
    pub ledger: StoreLedger,
    /// Why the file could not be read to its end.
    pub damage: Option<CaptureFileError>,
    /// The first step after which a ledger did not close, if any.
    pub unclosed: Option<String>,
}

/// Runs a capture file, compressed by gzip or not, through a [`Streams`] that emits opaque bytes.
///
/// # Errors
/// When it is no capture file, or can't be opened.
pub fn replay(path: &Path) -> Result<Replayed, CaptureFileError> {
    let (packets, damage) = packets(path)?;
    let mut replay = Replay::new(Limits {
        emit_opaque: true,
        ..Limits::default()
    });
    let mut decoder = PacketDecoder::new();
    for (number, packet) in packets.iter().enumerate() {
        replay.timeout(packet.time);
        if let Some(segment) = decoder.decode(packet, number as u64) {
            replay.segment(segment);
        }
    }
    replay.finish();
    let counts = decoder.counts();
    let elsewhere = counts.unknown_link
        + counts.not_ip
        + counts.not_tcp
        + counts.sctp
        + counts.encrypted
        + counts.too_deep
        + counts.malformed
        + counts.cut_headers
        + counts.fragments;
    if counts.packets > counts.segments + elsewhere {
        let unclosed = format!("packets that nothing explains: {counts:?}");
        replay.unclosed.get_or_insert(unclosed);
    }
    Ok(Replayed {
        ledger: replay.streams.ledger(),
        events: replay.events,
        damage,
        unclosed: replay.unclosed,
    })
}

/// All packets of a capture file, and why there are no more of them when it is damaged.
///
/// # Errors
/// When it is no capture file, or can't be opened.
pub fn packets(
    path: &Path,
) -> Result<(Vec<CapturedPacket>, Option<CaptureFileError>), CaptureFileError> {
    let file = File::open(path).map_err(|source| CaptureFileError::Read { offset: 0, source })?;
    let file = BufReader::new(file);
    let source: Box<dyn Read + Send> = match path.extension().is_some_and(|name| name == "gz") {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut packets = Vec::new();
    let mut damage = None;
    for packet in CaptureReader::new(source)? {
        match packet {
            Ok(packet) => packets.push(packet),
            Err(error) => damage = Some(error),
        }
    }
    Ok((packets, damage))
}

/// Feeds segments, takes all events after each, and checks both ledgers each time.
#[derive(Debug)]
pub struct Replay {
    /// The stream under test.
    pub streams: Streams,
    /// The events so far.
    pub events: Vec<Event>,
    /// The first step after which a ledger did not close, if any.
    pub unclosed: Option<String>,
    emitted: u64,
    now: Timestamp,
}

impl Replay {
    /// One without flows.
    pub fn new(limits: Limits) -> Replay {
        Replay {
            streams: Streams::new(Arc::from("node"), 1, limits),
            events: Vec::new(),
            unclosed: None,
            emitted: 0,
            now: Timestamp::default(),
        }
    }

    /// Takes a segment in.
    pub fn segment(&mut self, segment: Segment) {
        self.streams.handle_segment(segment);
        self.settle();
    }

    /// Time passes.
    pub fn timeout(&mut self, time: Timestamp) {
        self.now = self.now.max(time);
        self.streams.handle_timeout(self.now);
        self.settle();
    }

    /// The capture ends: nothing may be pending after it.
    pub fn finish(&mut self) {
        self.streams.finish(self.now);
        self.settle();
        let ledger = self.streams.ledger();
        if (ledger.pending_bytes, ledger.pending) != (0, 0) {
            let unclosed = format!("pending at the end: {ledger:?}");
            self.unclosed.get_or_insert(unclosed);
        }
    }

    fn settle(&mut self) {
        while let Some(event) = self.streams.poll_event() {
            self.emitted += u64::from(event.kind.is_exchange());
            self.events.push(event);
        }
        let mut ledger = self.streams.ledger();
        ledger.stored = self.emitted;
        if !ledger.closes() {
            let unclosed = format!("after {} events: {ledger:?}", self.events.len());
            self.unclosed.get_or_insert(unclosed);
        }
    }
}
