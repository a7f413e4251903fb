//! An HTTP/2 client (RFC 9113) without I/O and without a clock.
//!
//! Streams are independent: a request's head goes out at once, whatever other
//! streams wait for, and bodies take turns, frame by frame, as far as both windows
//! let them. What the twin does is data: each request comes out as an [`Event`],
//! and what breaks the connection as a [`Violation`].
//!
//! Memory is bounded: one frame and one header block are held of what comes in,
//! answers' bodies go where [`Capture`] says, and of what goes out little more than
//! the heads and one frame in turn is made ahead of writing.

mod error;
mod frame;
mod receive;
mod send;
mod settings;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use twintap_stream::hpack::{Decoder, Encoder};

pub use error::{Malformed, Violation};

use super::capture::{Capture, CaptureLimits};
use super::ear::{Ear, EarlyValue};
use super::response::RawAnswer;
use super::wire::Sections;
use frame::{FrameReader, HEADER_BYTES};
use settings::Peer;
use stream::Stream;

/// What became of a request. Its tag is the one that [`Client::request`] had.
#[derive(Debug)]
pub enum Event {
    /// Its head stands at this place among all bytes that the client writes.
    Opened {
        /// The request.
        tag: u32,
        /// Bytes before its first.
        at: u64,
        /// True when it waited for the twin to take one more stream.
        has_waited: bool,
    },
    /// Its answer, which goes on, gave a value that was listened for.
    Heard {
        /// The request.
        tag: u32,
        /// The value.
        value: EarlyValue,
    },
    /// The first of its answer came.
    Begun {
        /// The request.
        tag: u32,
    },
    /// Its answer is whole.
    Answered {
        /// The request.
        tag: u32,
        /// The answer.
        answer: Box<RawAnswer>,
    },
    /// The twin reset its stream, with this error code (RFC 9113, section 7).
    Reset {
        /// The request.
        tag: u32,
        /// The code's name.
        code: &'static str,
    },
    /// What came is no answer.
    Garbled {
        /// The request.
        tag: u32,
        /// Why it is none.
        why: Malformed,
    },
    /// The twin says that it did not process it, since it goes away or refuses the
    /// stream: it may be sent again (RFC 9113, section 8.7).
    Unprocessed {
        /// The request.
        tag: u32,
        /// The request's content.
        sections: Arc<Sections>,
    },
}

/// The client's side of one connection.
///
/// Times are of whatever clock the caller has, and only passed in.
///
/// Line up requests with [`request`](Self::request), hand over what comes with
/// [`handle_input`](Self::handle_input), and after either take all of
/// [`poll_event`](Self::poll_event) and write [`slices`](Self::slices).
#[derive(Debug)]
pub struct Client {
    capture: Arc<CaptureLimits>,
    /// What is to be written next.
    out: VecDeque<Bytes>,
    /// Bytes lined up so far, and of them written.
    queued: u64,
    written: u64,
    encoder: Encoder,
    decoder: Decoder,
    reader: FrameReader,
    /// The header block whose end has not come.
    block: Option<OpenBlock>,
    has_settings: bool,
    peer: Peer,
    /// What the twin still takes on the connection, in bytes of DATA.
    window: i64,
    /// DATA that came since the connection's window was last opened again.
    taken: i64,
    streams: BTreeMap<u32, Stream>,
    /// What is listened for in answers, by the requests' tags.
    ears: HashMap<u32, Ear>,
    /// Streams that have more to send.
    sending: BTreeSet<u32>,
    /// The last stream that sent DATA: the next has its turn.
    turn: u32,
    /// Requests for which the twin takes no stream yet.
    waiting: VecDeque<(u32, Arc<Sections>)>,
    next_stream: u32,
    /// The last stream that the twin processes, and why it goes.
    going_away: Option<(u32, u32)>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
struct OpenBlock {
    stream: u32,
    ends_stream: bool,
    bytes: BytesMut,
    fragments: usize,
}

/// The last number that a stream can have (RFC 9113, section 5.1.1).
const LAST_STREAM: u32 = (1 << 31) - 1;

impl Client {
    /// A connection at its begin; the bodies of answers go where `capture` says.
    pub fn new(capture: Arc<CaptureLimits>) -> Client {
        let mut client = Client {
            capture,
            out: VecDeque::new(),
            queued: 0,
            written: 0,
            encoder: Encoder::new(),
            decoder: Decoder::new(),
            reader: FrameReader::default(),
            block: None,
            has_settings: false,
            peer: Peer::default(),
            window: frame::INITIAL_WINDOW,
            taken: 0,
            streams: BTreeMap::new(),
            ears: HashMap::new(),
            sending: BTreeSet::new(),
            turn: 0,
            waiting: VecDeque::new(),
            next_stream: 1,
            going_away: None,
            events: VecDeque::new(),
        };
        client.write(settings::opening());
        client
    }

    /// Sends a request, or lines it up until the twin takes one more stream.
    pub fn request(&mut self, tag: u32, sections: Arc<Sections>) {
        if self.has_room() && self.waiting.is_empty() {
            self.open(tag, sections, false);
        } else {
            self.waiting.push_back((tag, sections));
        }
    }

    /// Listens for values in the answer to a request that was sent.
    pub fn listen(&mut self, tag: u32, ear: Ear) {
        self.ears.insert(tag, ear);
    }

    /// What became of requests.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The request went out at `now_ns`: pieces of its body count from then.
    pub fn released(&mut self, tag: u32, now_ns: u64) {
        if let Some(stream) = self.streams.values_mut().find(|stream| stream.tag == tag) {
            stream.released_ns.get_or_insert(now_ns);
        }
    }

    /// Nobody waits for the request's answer any more.
    pub fn cancel(&mut self, tag: u32) {
        self.waiting.retain(|(waiting, _)| *waiting != tag);
        self.ears.remove(&tag);
        let found = self.streams.iter().find(|(_, stream)| stream.tag == tag);
        if let Some(id) = found.map(|(id, _)| *id) {
            self.reset(id, frame::CANCEL);
            self.open_waiting();
        }
    }

    /// Puts what is to be written at `now_ns` into `slices`, and says into how many.
    pub fn slices<'a>(&'a mut self, now_ns: u64, slices: &mut [IoSlice<'a>]) -> usize {
        self.fill(now_ns);
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.out) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    /// So many bytes of the slices were written.
    pub fn advance(&mut self, mut written: usize) {
        self.written += written as u64;
        while let Some(piece) = self.out.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.out.pop_front();
        }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// When after `now_ns` a piece of a body is due first.
    pub fn next_due_ns(&self, now_ns: u64) -> Option<u64> {
        let streams = self.sending.iter().filter_map(|id| self.streams.get(id));
        let due = streams.filter_map(Stream::next_due_ns);
        due.filter(|due_ns| *due_ns > now_ns).min()
    }

    /// True when the connection takes further requests.
    pub fn takes_more(&self) -> bool {
        self.going_away.is_none() && self.next_stream <= LAST_STREAM
    }

    /// True when something of the request's answer has come.
    pub fn has_begun(&self, tag: u32) -> bool {
        let mut streams = self.streams.values();
        streams.any(|stream| stream.tag == tag && stream.has_begun)
    }

    /// What the end of the connection means for requests without an answer, in words.
    pub fn end(&self) -> String {
        match self.going_away {
            Some((_, code)) if code != 0 => {
                format!("closed after GOAWAY with {}", frame::code_name(code))
            }
            _ if self.reader.is_within_frame() || self.block.is_some() => {
                "closed in a frame".to_owned()
            }
            _ => "closed before the end of the answer".to_owned(),
        }
    }

    fn has_room(&self) -> bool {
        (self.streams.len() as u64) < u64::from(self.peer.streams)
    }

    /// Begins streams for requests that wait.
    fn open_waiting(&mut self) {
        while self.has_room()
            && self.takes_more()
            && let Some((tag, sections)) = self.waiting.pop_front()
        {
            self.open(tag, sections, true);
        }
    }

    fn open(&mut self, tag: u32, sections: Arc<Sections>, has_waited: bool) {
        let id = self.next_stream;
        self.next_stream += 2;
        let at = self.queued;
        self.events.push_back(Event::Opened {
            tag,
            at,
            has_waited,
        });
        let ends_stream = sections.ends_with_head();
        let mut block = Vec::with_capacity(256);
        self.encoder.encode(&sections.fields, &mut block);
        let head = frame::header_block(id, &block, ends_stream, self.peer.frame_bytes);
        self.write(head);
        let capture = Capture::new(Arc::clone(&self.capture));
        let stream = Stream::new(tag, sections, self.peer.window, capture);
        if !ends_stream {
            self.sending.insert(id);
        }
        self.streams.insert(id, stream);
    }

    fn write(&mut self, bytes: Bytes) {
        self.queued += bytes.len() as u64;
        self.out.push_back(bytes);
    }

    /// Bytes lined up and not yet written.
    fn unwritten(&self) -> u64 {
        self.queued - self.written
    }

    /// Ends a stream from this side.
    fn reset(&mut self, id: u32, code: u32) {
        self.forget(id);
        self.write(frame::frame(frame::RST_STREAM, 0, id, &code.to_be_bytes()));
    }

    fn forget(&mut self, id: u32) -> Option<Stream> {
        self.sending.remove(&id);
        let stream = self.streams.remove(&id)?;
        self.ears.remove(&stream.tag);
        Some(stream)
    }

    fn window_update(&mut self, stream: u32, bytes: i64) {
        let mut out = BytesMut::with_capacity(HEADER_BYTES + 4);
        frame::write_header(&mut out, 4, frame::WINDOW_UPDATE, 0, stream);
        // Windows here are far below 2^31.
        out.put_u32(u32::try_from(bytes).unwrap_or(0));
        self.write(out.freeze());
    }
}
