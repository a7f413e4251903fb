//! What a recorded client said over a WebSocket, and when.

use std::sync::Arc;

use bytes::Bytes;
use twintap_scrub::{Encoding, Piece, SocketMessage};

use super::super::wire::Edit;

/// One client's side of a recorded WebSocket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The key of the handshake.
    pub key: Bytes,
    /// What it said, in order.
    pub lines: Vec<Line>,
    /// How many messages the recorded server sent, pings and pongs left out.
    pub answers: usize,
    /// Nanoseconds from the request's first byte to the end of it all.
    pub lasts_ns: u64,
}

/// One message of the client, or a control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub piece: Piece,
    /// Its payload as recorded.
    pub payload: Bytes,
    /// Where it begins in the recorded body.
    pub start: u64,
    /// Where its fragments end in its payload, the last one left out.
    pub fragments: Vec<usize>,
    /// Nanoseconds after the request's first byte at which it is due.
    pub after_ns: u64,
    /// Messages of the server that the client provably had.
    pub had: usize,
    /// Values that are known before it begins.
    pub edits: Vec<(usize, usize, Bytes)>,
    /// Values that messages of the twin give.
    pub uses: Vec<Use>,
}

/// A value of a line that a message of the server gave in the same conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// First byte of its span in the payload.
    pub start: usize,
    /// Bytes of its span.
    pub len: usize,
    /// How it is written there.
    pub encoding: Encoding,
    /// Where the server's side has it, as leaves are called.
    pub path: Arc<str>,
}

impl Script {
    /// What `said` says, where the recorded server's messages are `heard`, both with times
    /// from the request's first byte on, and a client had a message `round_trip_ns`
    /// after it was sent. Times go by `speed`.
    pub fn new(
        said: Vec<SocketMessage>,
        heard: &[SocketMessage],
        round_trip_ns: u64,
        speed: f64,
    ) -> Script {
        let at_speed = |ns: u64| match speed {
            1.0 => ns,
            speed => (ns as f64 / speed) as u64,
        };
        let elements: Vec<u64> = heard
            .iter()
            .filter(|message| message.piece.is_element())
            .map(|message| message.after_ns)
            .collect();
        let ends = said.iter().chain(heard).map(|message| message.after_ns);
        let lasts_ns = at_speed(ends.max().unwrap_or(0));
        let lines = said
            .into_iter()
            // A pong answers a ping, and is sent when the twin asks for it.
            .filter(|message| message.piece != Piece::Pong)
            .map(|message| Line {
                had: elements
                    .iter()
                    .take_while(|ns| ns.saturating_add(round_trip_ns) <= message.after_ns)
                    .count(),
                piece: message.piece,
                payload: message.payload,
                start: message.start,
                fragments: message.fragments,
                after_ns: at_speed(message.after_ns),
                edits: Vec::new(),
                uses: Vec::new(),
            })
            .collect();
        Script {
            key: Bytes::new(),
            lines,
            answers: elements.len(),
            lasts_ns,
        }
    }

    /// Notes that the span at `start` of the recorded body is a value that the twin's own
    /// messages have at `path`; it lies in a line after them. Whoever says a value had the
    /// message that gave it, however soon that was.
    pub fn add_use(&mut self, start: u64, len: usize, encoding: Encoding, path: &str) {
        let answers = self.answers;
        if let Some((line, start)) = self.line_at(start, len) {
            let given = super::number(path).map_or(0, |number| number + 1);
            line.had = line.had.max(given.min(answers));
            line.uses.push(Use {
                start,
                len,
                encoding,
                path: Arc::from(path),
            });
        }
    }

    /// The script with these edits of the body; None where one lies in no line.
    pub fn edited<'a>(&self, edits: impl Iterator<Item = &'a Edit>) -> Option<Script> {
        let mut script = self.clone();
        for edit in edits {
            let len = edit.len as usize;
            let (line, start) = script.line_at(u64::from(edit.start), len)?;
            line.edits.push((start, len, edit.value.clone()));
        }
        Some(script)
    }

    /// Bytes that it takes in memory, about.
    pub fn held_bytes(&self) -> usize {
        let line = |line: &Line| size_of::<Line>() + line.payload.len() + line.uses.len() * 64;
        self.lines.iter().map(line).sum()
    }

    fn line_at(&mut self, start: u64, len: usize) -> Option<(&mut Line, usize)> {
        let after = self.lines.partition_point(|line| line.start <= start);
        // Empty lines begin where the next one does.
        let line = self.lines[..after].last_mut()?;
        let start = usize::try_from(start - line.start).ok()?;
        (start.checked_add(len)? <= line.payload.len()).then_some((line, start))
    }
}

impl Line {
    /// The payload with its values, and where its fragments end in that. `value` gives those
    /// of the twin. Says how many it does not have.
    pub fn spoken(
        &self,
        mut value: impl FnMut(&str) -> Option<Bytes>,
    ) -> (Bytes, Vec<usize>, usize) {
        if self.edits.is_empty() && self.uses.is_empty() {
            return (self.payload.clone(), self.fragments.clone(), 0);
        }
        let mut edits = self.edits.clone();
        let mut missing = 0;
        for wanted in &self.uses {
            match value(&wanted.path) {
                Some(raw) => {
                    let written = twintap_scrub::encode(&raw, wanted.encoding);
                    edits.push((wanted.start, wanted.len, Bytes::from(written)));
                }
                None => missing += 1,
            }
        }
        let payload = twintap_scrub::splice(&self.payload, &edits);
        // Fragments are cut where they were, in proportion.
        let scaled = |end: &usize| match self.payload.len() {
            0 => 0,
            length => (*end as u128 * payload.len() as u128 / length as u128) as usize,
        };
        let fragments = self.fragments.iter().map(scaled).collect();
        (payload, fragments, missing)
    }
}
