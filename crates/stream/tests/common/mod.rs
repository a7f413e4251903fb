//! Conversations made of segments.

mod documents;
mod render;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use twintap_stream::{
    Direction, Endpoints, Event, FlowId, Limits, Segment, Source, Streams, TcpFlags, Timestamp,
};

pub use self::documents::{made, render_documents};
pub use self::render::render;

pub const MS: u64 = 1_000_000;

/// Feeds segments, takes all events after each, and checks both ledgers each time.
pub struct Tap {
    pub streams: Streams,
    pub events: Vec<Event>,
    emitted: u64,
}

impl Tap {
    pub fn new(limits: Limits) -> Tap {
        Tap {
            streams: Streams::new(Arc::from("node"), 1, limits),
            events: Vec::new(),
            emitted: 0,
        }
    }

    #[track_caller]
    pub fn segment(&mut self, segment: Segment) {
        self.streams.handle_segment(segment);
        self.settle();
    }

    #[track_caller]
    pub fn timeout(&mut self, now: Timestamp) {
        self.streams.handle_timeout(now);
        self.settle();
    }

    #[track_caller]
    pub fn finish(&mut self, now: Timestamp) {
        self.streams.finish(now);
        self.settle();
        let ledger = self.streams.ledger();
        assert_eq!((ledger.pending_bytes, ledger.pending), (0, 0), "{ledger:?}");
    }

    #[track_caller]
    pub fn settle(&mut self) {
        while let Some(event) = self.streams.poll_event() {
            self.emitted += u64::from(event.kind.is_exchange());
            self.events.push(event);
        }
        let mut ledger = self.streams.ledger();
        ledger.stored = self.emitted;
        assert_eq!(ledger.bytes_unexplained(), 0, "{ledger:?}");
        assert_eq!(ledger.exchanges_unexplained(), 0, "{ledger:?}");
    }
}

/// One conversation over one flow, a millisecond between segments.
pub struct Talk {
    segments: Vec<Segment>,
    now: u64,
    client_base: u32,
    server_base: u32,
    /// What each side acknowledges: up to where it got the other's bytes so far.
    client_sent: u64,
    server_sent: u64,
    ends: Endpoints,
}

impl Talk {
    pub fn new() -> Talk {
        Talk::at(1000, 5000)
    }

    /// With these sequence numbers of the first bytes.
    pub fn at(client_base: u32, server_base: u32) -> Talk {
        Talk {
            segments: Vec::new(),
            now: 1000 * MS,
            client_base,
            server_base,
            client_sent: 0,
            server_sent: 0,
            ends: Endpoints {
                client: "10.0.0.1:40000".parse().expect("an address"),
                server: "10.0.0.2:8080".parse().expect("an address"),
            },
        }
    }

    pub fn wait(mut self, ms: u64) -> Talk {
        self.now += ms * MS;
        self
    }

    pub fn handshake(self) -> Talk {
        self.raw(Direction::Client, -1, TcpFlags::SYN, "", None)
            .raw(
                Direction::Server,
                -1,
                TcpFlags::SYN | TcpFlags::ACK,
                "",
                None,
            )
            .raw(Direction::Client, 0, TcpFlags::ACK, "", None)
    }

    pub fn client(self, offset: i64, text: impl AsRef<[u8]>) -> Talk {
        self.raw(Direction::Client, offset, TcpFlags::ACK, text, None)
    }

    pub fn server(self, offset: i64, text: impl AsRef<[u8]>) -> Talk {
        self.raw(Direction::Server, offset, TcpFlags::ACK, text, None)
    }

    /// Says the whole next message of the client.
    pub fn ask(self, text: impl AsRef<[u8]>) -> Talk {
        let offset = self.client_sent as i64;
        self.client(offset, text)
    }

    /// Says the whole next message of the server.
    pub fn answer(self, text: impl AsRef<[u8]>) -> Talk {
        let offset = self.server_sent as i64;
        self.server(offset, text)
    }

    /// Says something that the capture doesn't see.
    pub fn unseen(mut self, direction: Direction, text: impl AsRef<[u8]>) -> Talk {
        let bytes = text.as_ref().len() as u64;
        match direction {
            Direction::Client => self.client_sent += bytes,
            Direction::Server => self.server_sent += bytes,
        }
        self
    }

    pub fn fin(self, direction: Direction) -> Talk {
        let offset = match direction {
            Direction::Client => self.client_sent,
            Direction::Server => self.server_sent,
        };
        self.raw(
            direction,
            offset as i64,
            TcpFlags::FIN | TcpFlags::ACK,
            "",
            None,
        )
    }

    pub fn close(self) -> Talk {
        self.fin(Direction::Client).fin(Direction::Server)
    }

    pub fn rst(self, direction: Direction, offset: i64) -> Talk {
        self.raw(direction, offset, TcpFlags::RST, "", None)
    }

    /// A segment at `offset`, -1 being the SYN's; `ack` is what the other side is told to have
    /// sent, everything by default.
    pub fn raw(
        mut self,
        direction: Direction,
        offset: i64,
        flags: u8,
        text: impl AsRef<[u8]>,
        ack: Option<u64>,
    ) -> Talk {
        let text = text.as_ref();
        let (ends, base, sent, other_base, other_sent) = match direction {
            Direction::Client => (
                self.ends,
                self.client_base,
                &mut self.client_sent,
                self.server_base,
                self.server_sent,
            ),
            Direction::Server => (
                self.ends.swapped(),
                self.server_base,
                &mut self.server_sent,
                self.client_base,
                self.client_sent,
            ),
        };
        if !text.is_empty() {
            let syn = i64::from(flags & TcpFlags::SYN);
            let end = offset + i64::from(syn > 0) + text.len() as i64;
            *sent = (*sent).max(end.max(0) as u64);
        }
        let ack = ack.unwrap_or(other_sent);
        self.segments.push(Segment {
            time: Timestamp(self.now),
            endpoints: ends,
            source: Source::Packet,
            sequence_number: base.wrapping_add(offset as u32),
            acknowledgement: other_base.wrapping_add(ack as u32),
            flags: TcpFlags(flags),
            payload: Bytes::copy_from_slice(text),
            wire_bytes: text.len() as u32,
            mark: self.segments.len() as u64,
        });
        self.now += MS;
        self
    }

    /// The last segment is cut by the capture to `bytes`.
    pub fn cut(mut self, bytes: usize) -> Talk {
        let last = self.segments.last_mut().expect("a segment");
        last.payload.truncate(bytes);
        self
    }

    /// Exchanges the order of the segments at these places.
    pub fn swap(mut self, one: usize, other: usize) -> Talk {
        self.segments.swap(one, other);
        self
    }

    pub fn segments(&self) -> Vec<Segment> {
        self.segments.clone()
    }
}

/// Runs the segments and renders events and ledger.
#[track_caller]
pub fn run(segments: Vec<Segment>, limits: Limits) -> String {
    let mut tap = Tap::new(limits);
    let mut last = Timestamp::default();
    for segment in segments {
        last = last.max(segment.time);
        tap.segment(segment);
    }
    tap.finish(last);
    summary(&tap)
}

/// Like [`run`], with all that is due done before each segment.
#[track_caller]
pub fn run_in_time(segments: Vec<Segment>, limits: Limits) -> String {
    let mut tap = Tap::new(limits);
    let mut last = Timestamp::default();
    for segment in segments {
        last = last.max(segment.time);
        while tap.streams.poll_timeout().is_some_and(|due| due <= last) {
            let due = tap.streams.poll_timeout().unwrap_or(last);
            tap.timeout(due);
        }
        tap.segment(segment);
    }
    tap.finish(last);
    summary(&tap)
}

fn summary(tap: &Tap) -> String {
    let mut text = render(&tap.events);
    let ledger = tap.streams.ledger();
    let _ = write!(
        text,
        "{} bytes: message {} framing {}",
        ledger.delivered_bytes, ledger.message_bytes, ledger.framing_bytes
    );
    for (name, bytes) in [
        ("duplicate", ledger.duplicate_bytes),
        ("opaque", ledger.opaque_bytes),
    ] {
        if bytes > 0 {
            let _ = write!(text, " {name} {bytes}");
        }
    }
    for (cause, bytes) in &ledger.discarded_bytes {
        let _ = write!(text, " {cause} {bytes}");
    }
    text.push('\n');
    text
}

/// The same segments as a kernel hook gives them.
pub fn from_kernel(segments: Vec<Segment>) -> Vec<Segment> {
    let client = segments[0].endpoints.client;
    let mut bases = BTreeMap::new();
    let mut given = Vec::new();
    for mut segment in segments {
        let direction = match segment.endpoints.client == client {
            true => Direction::Client,
            false => Direction::Server,
        };
        let is_syn = segment.flags.has(TcpFlags::SYN);
        let first = segment.sequence_number.wrapping_add(u32::from(is_syn));
        let base = *bases.entry(direction).or_insert(first);
        segment.source = Source::Kernel {
            flow: FlowId(1),
            direction,
            offset: u64::from(first.wrapping_sub(base)),
        };
        given.push(segment);
    }
    given
}

/// Two lives of a capture: the first ends before the segment at `at`. The second goes on from its
/// watermarks, with the segments that it still held and those that follow.
pub fn restart(segments: &[Segment], at: usize) -> [Tap; 2] {
    let mut first = Tap::new(Limits::default());
    for segment in &segments[..at] {
        first.segment(segment.clone());
    }
    let mut second = Tap::new(Limits::default());
    for (flow, endpoints, watermark, index) in first.streams.watermarks() {
        second
            .streams
            .resume_flow(flow, endpoints, watermark, index);
    }
    let mut marks = Vec::new();
    first
        .streams
        .held_marks(&mut |first, last| marks.extend(first..=last));
    for (number, segment) in segments.iter().enumerate() {
        if number >= at || marks.contains(&(number as u64)) {
            second.segment(segment.clone());
        }
    }
    second.finish(Timestamp(1 << 50));
    [first, second]
}
