//! A WebSocket with a twin (RFC 6455): what the recorded client said, when it said it, and
//! what the twin says.
//!
//! The twin is heard and its pings are answered at any time. The next line of the script goes
//! out when it is due and the twin has said as much as the recorded client provably had
//! before it; that wait is bounded, as every other.

mod handshake;
mod reader;
mod script;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use twintap_scrub::{Mark, Piece, SocketMessage, Timeline};
use twintap_stream::Field;
use twintap_stream::websocket::{Inflater, deflate};

use super::capture::{Capture, CaptureLimits, Held, RawBody};

pub use handshake::fresh_key;
pub(crate) use handshake::{client_deflate, is_opened};
pub use reader::{BadFrame, FrameReader, Heard};
pub use script::{Line, Script, Use};
pub use writer::FrameWriter;

/// Finds the value at a leaf's path in a message of a twin, whichever its number is.
pub type Extract = Arc<dyn Fn(&SocketMessage, &str) -> Option<Vec<u8>> + Send + Sync>;

/// Messages of one twin that are told one by one. One more stands for all others, by their
/// bytes.
const MOST_MESSAGES: usize = 65_535;

/// What all WebSockets of a run share.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) limits: Arc<CaptureLimits>,
    /// How long a line waits for the twin, and the end for its close.
    pub(crate) wait_ns: u64,
    pub(crate) extract: Option<Extract>,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("wait_ns", &self.wait_ns)
            .finish_non_exhaustive()
    }
}

/// What a WebSocket came to.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What the twin said, one message after the other.
    pub(crate) body: RawBody,
    pub(crate) held: Held,
    pub(crate) timeline: Timeline,
    /// Values that the twin did not give.
    pub(crate) unbound: usize,
    /// A line went out without what it waited for.
    pub(crate) wait_expired: bool,
    /// Messages of the twin that are told of by their bytes alone.
    pub(crate) not_kept: u64,
}

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct Conversation {
    setting: Setting,
    script: Arc<Script>,
    /// When the request's first byte went out, and when the answer's came.
    sent_ns: u64,
    answered_ns: u64,
    next: usize,
    /// When the last line went out.
    spoke_ns: u64,
    out: VecDeque<Bytes>,
    reader: FrameReader,
    writer: FrameWriter,
    capture: Capture,
    marks: Vec<Mark>,
    bytes: u64,
    /// Messages beyond those that are told one by one, and their bytes.
    not_kept: u64,
    not_kept_bytes: u64,
    /// Messages that the twin sent, pings and pongs left out.
    heard: usize,
    /// Values that lines use, by the number of the message that is to give each first.
    wanted: Vec<(usize, Arc<str>)>,
    values: HashMap<Arc<str>, Bytes>,
    has_sent_close: bool,
    has_heard_close: bool,
    unbound: usize,
    wait_expired: bool,
}

impl Conversation {
    /// One that the twin's head with these fields opened; all times are the clock's.
    pub(crate) fn new(
        setting: Setting,
        script: Arc<Script>,
        answer: &[Field],
        sent_ns: u64,
        answered_ns: u64,
    ) -> Conversation {
        let agreed = deflate(answer);
        let inflater = agreed.map(|agreed| Inflater::new(agreed.server_keeps_context));
        let uses = script.lines.iter().flat_map(|line| &line.uses);
        let mut wanted: Vec<(usize, Arc<str>)> = uses
            .filter_map(|used| Some((number(&used.path)?, Arc::clone(&used.path))))
            .collect();
        wanted.sort();
        wanted.dedup();
        Conversation {
            script,
            sent_ns,
            answered_ns,
            next: 0,
            spoke_ns: answered_ns,
            out: VecDeque::new(),
            reader: FrameReader::new(inflater, setting.limits.max_body_bytes()),
            writer: FrameWriter::new(client_deflate(answer, agreed)),
            capture: Capture::new(Arc::clone(&setting.limits)),
            marks: Vec::new(),
            bytes: 0,
            not_kept: 0,
            not_kept_bytes: 0,
            heard: 0,
            wanted,
            values: HashMap::new(),
            has_sent_close: false,
            has_heard_close: false,
            unbound: 0,
            wait_expired: false,
            setting,
        }
    }

    /// Takes bytes of the twin.
    ///
    /// # Errors
    /// [`BadFrame`]: no server may send that.
    pub(crate) fn receive(&mut self, mut input: &[u8], now_ns: u64) -> Result<(), BadFrame> {
        // What follows a close frame is nobody's (section 5.5.1).
        while !self.has_heard_close
            && let Some(heard) = self.reader.feed(&mut input)?
        {
            self.hear(heard, now_ns);
        }
        Ok(())
    }

    fn hear(&mut self, heard: Heard, now_ns: u64) {
        match heard.piece {
            Piece::Ping => {
                let pong = self.writer.write(Piece::Pong, &heard.payload, &[]);
                self.out.push_back(pong);
            }
            Piece::Close { .. } => {
                self.has_heard_close = true;
                // What is not said by now has nobody to hear it.
                self.next = self.script.lines.len();
                if !self.has_sent_close {
                    self.say(heard.piece, heard.payload.get(..2).unwrap_or_default(), &[]);
                }
            }
            _ => {}
        }
        // Pings and pongs come as time goes: nobody compares them.
        if heard.piece.is_element() {
            self.find_values(&heard);
            self.keep(&heard, now_ns);
            self.heard += 1;
        }
    }

    fn keep(&mut self, heard: &Heard, now_ns: u64) {
        if self.marks.len() >= MOST_MESSAGES {
            self.not_kept += 1;
            self.not_kept_bytes += heard.bytes;
            return;
        }
        self.capture.push(&heard.payload);
        self.bytes += heard.payload.len() as u64;
        let mark = Mark {
            end: self.bytes,
            after_ns: now_ns.saturating_sub(self.answered_ns),
            piece: heard.piece,
            dropped_bytes: heard.bytes - heard.payload.len() as u64,
        };
        self.marks.push(mark);
    }

    /// Takes the values that lines use. Where the twin says something else first, what
    /// comes after it is looked at.
    fn find_values(&mut self, heard: &Heard) {
        let Some(extract) = &self.setting.extract else {
            return;
        };
        let message = SocketMessage {
            piece: heard.piece,
            payload: heard.payload.clone(),
            start: 0,
            fragments: Vec::new(),
            after_ns: 0,
            dropped_bytes: 0,
        };
        let due = self
            .wanted
            .partition_point(|(number, _)| *number <= self.heard);
        for (_, path) in &self.wanted[..due] {
            if !self.values.contains_key(path)
                && let Some(value) = extract(&message, path)
            {
                self.values.insert(Arc::clone(path), Bytes::from(value));
            }
        }
    }

    /// Says what is due by now.
    fn speak(&mut self, now_ns: u64) {
        let script = Arc::clone(&self.script);
        while let Some(line) = script.lines.get(self.next) {
            let due_ns = self.due_ns(line);
            let has_expired = self.heard < line.had;
            let from_ns = match has_expired {
                true => due_ns.saturating_add(self.setting.wait_ns),
                false => due_ns,
            };
            if self.has_sent_close || from_ns > now_ns {
                return;
            }
            self.next += 1;
            self.spoke_ns = now_ns;
            self.wait_expired |= has_expired;
            let values = &self.values;
            let (payload, fragments, missing) = line.spoken(|path| values.get(path).cloned());
            self.unbound += missing;
            self.say(line.piece, &payload, &fragments);
        }
    }

    fn say(&mut self, piece: Piece, payload: &[u8], fragments: &[usize]) {
        if matches!(piece, Piece::Close { .. }) {
            self.has_sent_close = true;
            self.next = self.script.lines.len();
        }
        let frames = self.writer.write(piece, payload, fragments);
        self.out.push_back(frames);
    }

    fn due_ns(&self, line: &Line) -> u64 {
        // Nothing can be said before the twin agreed.
        let due_ns = self.sent_ns.saturating_add(line.after_ns);
        due_ns.max(self.answered_ns)
    }

    /// Puts what is to be written at clock time `now_ns` into `slices`, and says into how
    /// many of them.
    pub(crate) fn slices<'a>(&'a mut self, now_ns: u64, slices: &mut [IoSlice<'a>]) -> usize {
        self.speak(now_ns);
        let mut count = 0;
        for (slice, frames) in slices.iter_mut().zip(&self.out) {
            *slice = IoSlice::new(frames);
            count += 1;
        }
        count
    }

    /// So many bytes of the slices were written.
    pub(crate) fn advance(&mut self, mut written: usize) {
        while let Some(frames) = self.out.front_mut() {
            if written < frames.len() {
                return frames.advance(written);
            }
            written -= frames.len();
            self.out.pop_front();
        }
    }

    /// The first clock time after `now_ns` at which there is something to say, or nothing
    /// more to wait for.
    pub(crate) fn next_due_ns(&self, now_ns: u64) -> Option<u64> {
        let due_ns = match self.script.lines.get(self.next) {
            Some(line) => {
                let due_ns = self.due_ns(line);
                match self.heard < line.had {
                    true => due_ns.saturating_add(self.setting.wait_ns),
                    false => due_ns,
                }
            }
            None => self.end_ns(),
        };
        (due_ns > now_ns).then_some(due_ns)
    }

    /// When it is over at the latest, once everything is said.
    fn end_ns(&self) -> u64 {
        let recorded_ns = self.sent_ns.saturating_add(self.script.lasts_ns);
        if !self.has_sent_close && self.heard >= self.script.answers {
            return recorded_ns;
        }
        let from_ns = match self.has_sent_close {
            true => self.spoke_ns,
            false => recorded_ns.max(self.spoke_ns),
        };
        from_ns.saturating_add(self.setting.wait_ns)
    }

    /// True when nothing more is waited for.
    pub(crate) fn is_over(&self, now_ns: u64) -> bool {
        let is_silent = self.out.is_empty() && self.next >= self.script.lines.len();
        let is_closed = self.has_sent_close && self.has_heard_close;
        is_silent && (is_closed || self.end_ns() <= now_ns)
    }

    /// True when the twin may not stop here: a message has begun.
    pub(crate) fn is_cut(&self) -> bool {
        self.reader.is_within()
    }

    /// What it came to.
    pub(crate) fn finish(mut self) -> Ended {
        let (body, held) = self.capture.finish();
        if let Some(last) = self.marks.last()
            && self.not_kept > 0
        {
            self.marks.push(Mark {
                piece: Piece::Binary,
                dropped_bytes: self.not_kept_bytes,
                ..*last
            });
        }
        let unsaid = self.script.lines[self.next.min(self.script.lines.len())..].iter();
        let unsaid: usize = unsaid.map(|line| line.uses.len()).sum();
        Ended {
            body,
            held,
            timeline: Timeline {
                marks: self.marks,
                ..Timeline::default()
            },
            unbound: self.unbound + unsaid,
            wait_expired: self.wait_expired,
            not_kept: self.not_kept,
        }
    }
}

/// The number of the message that a leaf's path names.
fn number(path: &str) -> Option<usize> {
    let place = path.strip_prefix("json./")?;
    place.split('/').next()?.parse().ok()
}
