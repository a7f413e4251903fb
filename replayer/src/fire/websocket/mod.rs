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
use twintap_stream::websocket::{Inflater, deflate};
use twintap_stream::{Field, ResponseHead};

use super::capture::{Capture, CaptureLimits, Held, RawBody};
use super::ear::{EarlyValue, values_of_head};
use super::tempo::{Dues, Moment};

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
    /// How far the plan was when the request's first byte went out.
    sent_plan_ns: u64,
    /// When the answer's came, by the clock.
    answered_ns: u64,
    next: usize,
    /// When lines from `next` on became due, in run time.
    reached_ns: VecDeque<u64>,
    /// When the last line went out, and when the recorded end of it all came, in run time.
    spoke_ns: Option<u64>,
    ended_ns: Option<u64>,
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
    /// Values that other requests use, likewise, and those that came since they were taken.
    wanted_outside: Vec<(usize, Arc<str>)>,
    given: Vec<EarlyValue>,
    has_sent_close: bool,
    has_heard_close: bool,
    unbound: usize,
    wait_expired: bool,
}

impl Conversation {
    /// One that the twin's head with these fields opened: the request went out when the plan
    /// was at `sent_plan_ns`, and the answer came at clock time `answered_ns`.
    pub(crate) fn new(
        setting: Setting,
        script: Arc<Script>,
        answer: &[Field],
        sent_plan_ns: u64,
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
            sent_plan_ns,
            answered_ns,
            next: 0,
            reached_ns: VecDeque::new(),
            spoke_ns: None,
            ended_ns: None,
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
            wanted_outside: Vec::new(),
            given: Vec::new(),
            has_sent_close: false,
            has_heard_close: false,
            unbound: 0,
            wait_expired: false,
            setting,
        }
    }

    /// The same, which gives the values at these leaves' paths as they come; those of the head
    /// that opened it at once.
    pub(crate) fn listening(mut self, head: &ResponseHead, paths: &[Arc<str>]) -> Conversation {
        self.given.extend(values_of_head(head, paths));
        let numbered = paths
            .iter()
            .filter_map(|path| Some((number(path)?, Arc::clone(path))));
        self.wanted_outside = numbered.collect();
        self.wanted_outside.sort();
        self
    }

    /// The values that came and were not taken yet.
    pub(crate) fn take_heard(&mut self) -> impl Iterator<Item = EarlyValue> {
        self.given.drain(..)
    }

    /// Takes bytes of the twin at this clock time.
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
                self.fall_silent();
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
        let due = self
            .wanted_outside
            .partition_point(|(number, _)| *number <= self.heard);
        let given = &mut self.given;
        let heard = self.wanted_outside.extract_if(..due, |(_, path)| {
            let value = extract(&message, path);
            given.extend(value.clone().map(|value| EarlyValue {
                path: Arc::clone(path),
                value: Bytes::from(value),
            }));
            value.is_some()
        });
        heard.for_each(drop);
    }

    /// Notes when lines, and the recorded end, have become due.
    fn reach(&mut self, now: Moment) {
        while let Some(line) = self.script.lines.get(self.next + self.reached_ns.len())
            && self.due_ns(line) <= now.plan_ns
        {
            self.reached_ns.push_back(now.run_ns);
        }
        if self.recorded_end_ns() <= now.plan_ns {
            self.ended_ns.get_or_insert(now.run_ns);
        }
    }

    /// Says what is due by now.
    fn speak(&mut self, now: Moment) {
        self.reach(now);
        let script = Arc::clone(&self.script);
        while let Some(line) = script.lines.get(self.next)
            && let Some(&reached_ns) = self.reached_ns.front()
        {
            let has_expired = self.heard < line.had;
            let is_patient = reached_ns.saturating_add(self.setting.wait_ns) > now.run_ns;
            if self.has_sent_close || has_expired && is_patient {
                return;
            }
            self.next += 1;
            self.reached_ns.pop_front();
            self.spoke_ns = Some(now.run_ns);
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
            self.fall_silent();
        }
        let frames = self.writer.write(piece, payload, fragments);
        self.out.push_back(frames);
    }

    fn fall_silent(&mut self) {
        self.next = self.script.lines.len();
        self.reached_ns.clear();
    }

    /// When a line is due, in the plan's time.
    fn due_ns(&self, line: &Line) -> u64 {
        self.sent_plan_ns.saturating_add(line.after_ns)
    }

    /// When it was over in the recording, in the plan's time.
    fn recorded_end_ns(&self) -> u64 {
        self.sent_plan_ns.saturating_add(self.script.lasts_ns)
    }

    /// Puts what is to be written by this moment into `slices`, and says into how many of
    /// them.
    pub(crate) fn slices<'a>(&'a mut self, now: Moment, slices: &mut [IoSlice<'a>]) -> usize {
        self.speak(now);
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

    /// When after this moment there is something to say, or nothing more to wait for.
    pub(crate) fn dues(&self, now: Moment) -> Dues {
        let lines = &self.script.lines;
        let run_ns = match self.reached_ns.front() {
            Some(reached_ns) => Some(reached_ns.saturating_add(self.setting.wait_ns)),
            None if self.next >= lines.len() => self.end_ns(),
            None => None,
        };
        let to_come = lines.get(self.next + self.reached_ns.len());
        let plan_ns = match to_come {
            Some(line) => self.due_ns(line),
            None => self.recorded_end_ns(),
        };
        Dues {
            plan_ns: (plan_ns > now.plan_ns).then_some(plan_ns),
            run_ns: run_ns.filter(|run_ns| *run_ns > now.run_ns),
        }
    }

    /// When it is over at the latest, once everything is said, in run time; not known before
    /// the recorded end has come.
    fn end_ns(&self) -> Option<u64> {
        let wait_ns = self.setting.wait_ns;
        if self.has_sent_close {
            let from_ns = self.spoke_ns.or(self.ended_ns);
            return from_ns.map(|from_ns| from_ns.saturating_add(wait_ns));
        }
        let ended_ns = self.ended_ns?;
        if self.heard >= self.script.answers {
            return Some(ended_ns);
        }
        let from_ns = self.spoke_ns.map_or(ended_ns, |spoke| spoke.max(ended_ns));
        Some(from_ns.saturating_add(wait_ns))
    }

    /// True when nothing more is waited for.
    pub(crate) fn is_over(&self, now: Moment) -> bool {
        let is_silent = self.out.is_empty() && self.next >= self.script.lines.len();
        let is_closed = self.has_sent_close && self.has_heard_close;
        let has_ended = || self.end_ns().is_some_and(|end_ns| end_ns <= now.run_ns);
        is_silent && (is_closed || has_ended())
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
