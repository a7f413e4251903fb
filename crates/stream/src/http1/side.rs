//! One direction of an HTTP/1 flow: what is held, and where in a message it stands.

use std::borrow::Cow;
use std::collections::VecDeque;

use bytes::Bytes;

use super::HeadPlace;
use super::head::find_end;
use super::probe::version_of;
use crate::maybe::Maybe;
use crate::protocol::Claim;
use crate::tcp::Piece;
use crate::time::Timestamp;

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Between messages.
    Between,
    /// A head; `checked` once its first line is known to be one.
    Head { checked: bool, scanned: usize },
    /// A body with so many bytes to come.
    Length(u64),
    /// A chunk-size line.
    ChunkSize,
    /// A chunk with so many bytes to come.
    ChunkData(u64),
    /// The line end after a chunk.
    ChunkEnd,
    /// The trailer section; its last line starts at `line_start` of what is held.
    Trailers { line_start: usize },
    /// A body that the end of the connection ends.
    UntilClose,
    /// Nothing of this protocol's any more.
    Tunnel,
}

/// What [`Side::take_head`] found.
pub(super) enum Head {
    Partial,
    /// So many bytes that are no start of a message were passed over.
    NotMine(usize),
    TooLong,
    Whole(Bytes, HeadPlace),
}

/// What [`Side::take_line`] found.
pub(super) enum Line {
    Partial,
    /// The line with its line end, and when its last byte was seen.
    Whole(Bytes, Timestamp),
    TooLong,
}

/// What [`Side::take_trailers`] found.
pub(super) enum Trailers {
    Partial,
    /// The fields, the bytes of the line end after them, and when the last byte was seen.
    Whole {
        section: Bytes,
        end: usize,
        time: Timestamp,
    },
    TooLong,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Side {
    input: VecDeque<Piece>,
    input_bytes: u64,
    /// The first piece in `input` is whole.
    at_piece_start: bool,
    /// The part of a head or line that was seen; its bytes lie before `input`.
    partial: Vec<u8>,
    partial_time: Timestamp,
    partial_after: Maybe,
    partial_before: Maybe,
    last_time: Timestamp,
    /// What [`Piece::after`] said of the byte before `input`.
    last_after: Maybe,
    pub state: State,
    /// Everything below is accounted for; `partial` starts here.
    pub consumed: u64,
    /// Since which offset it is unknown where messages start.
    lost_from: Maybe,
    pub ended: bool,
    /// A head was seen in this direction.
    pub has_had_head: bool,
    /// Which message comes next is known, not only that one starts here: nothing was lost, or
    /// what came since tells.
    pub is_sure: bool,
    /// How often it was lost where messages start, to tell whether it was between two times.
    pub losses: u16,
    /// The last message said that none follows it.
    pub is_closing: bool,
}

impl Side {
    pub fn new(consumed: u64, lost: bool) -> Side {
        Side {
            input: VecDeque::new(),
            input_bytes: 0,
            at_piece_start: true,
            partial: Vec::new(),
            partial_time: Timestamp::default(),
            partial_after: Maybe::NONE,
            partial_before: Maybe::NONE,
            last_after: Maybe::NONE,
            last_time: Timestamp::default(),
            state: State::Between,
            consumed,
            lost_from: lost.then_some(consumed).into(),
            ended: false,
            has_had_head: false,
            is_sure: !lost,
            losses: 0,
            is_closing: false,
        }
    }

    pub fn push(&mut self, piece: Piece) {
        if self.input.is_empty() {
            self.at_piece_start = true;
            // What lies between was passed over before this parser began.
            if self.partial.is_empty() {
                self.consumed = self.consumed.max(piece.offset);
            }
        }
        self.last_time = piece.time;
        self.input_bytes += piece.bytes.len() as u64;
        if self.input.capacity() == 0 {
            // More than one piece is held for few flows.
            self.input.reserve_exact(1);
        }
        self.input.push_back(piece);
    }

    /// Between exchanges, which may be long: what is empty takes no memory.
    pub fn rest(&mut self) {
        if self.input.is_empty() {
            self.input = VecDeque::new();
        }
    }

    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    pub fn held_bytes(&self) -> u64 {
        self.input_bytes + self.partial.len() as u64
    }

    pub fn last_time(&self) -> Timestamp {
        self.last_time
    }

    pub fn is_lost(&self) -> bool {
        self.lost_from != Maybe::NONE
    }

    pub fn lost_from(&self) -> Option<u64> {
        self.lost_from.get()
    }

    pub fn lose(&mut self, offset: u64) {
        self.state = State::Between;
        self.is_sure = false;
        self.is_closing = false;
        self.losses = self.losses.wrapping_add(1);
        if !self.is_lost() {
            self.lost_from = offset.into();
        }
    }

    /// A message starts for certain.
    pub fn regain(&mut self) {
        self.lost_from = Maybe::NONE;
    }

    /// The next bytes are missing.
    pub fn skip_gap(&mut self, end: u64) {
        self.consumed = self.consumed.max(end);
        self.last_after = Maybe::NONE;
    }

    /// The bytes that come next.
    pub fn front(&self) -> &[u8] {
        self.input.front().map_or(&[], |piece| &piece.bytes)
    }

    /// True when the byte at `offset` comes next, and nothing is known of it.
    pub fn is_at(&self, offset: u64) -> bool {
        self.consumed == offset && self.partial.is_empty()
    }

    /// What [`Piece::after`] says of the next byte.
    pub fn front_after(&self) -> Option<u64> {
        self.input.front()?.after
    }

    /// Up to `limit` of the bytes that come next; none are taken.
    pub fn peek(&self, limit: usize) -> Cow<'_, [u8]> {
        let first = self.front();
        if self.input.len() <= 1 || first.len() >= limit {
            return Cow::Borrowed(&first[..first.len().min(limit)]);
        }
        let bytes = self.input.iter().flat_map(|piece| &piece.bytes[..]);
        bytes.take(limit).copied().collect()
    }

    pub fn take_all(&mut self) -> VecDeque<Piece> {
        self.consumed += self.input_bytes;
        self.input_bytes = 0;
        std::mem::take(&mut self.input)
    }

    /// Up to `limit` of the bytes that come next, out of one piece.
    pub fn take_bytes(&mut self, limit: u64) -> Option<Piece> {
        let piece = self.take_uncounted(limit)?;
        self.consumed += piece.bytes.len() as u64;
        Some(piece)
    }

    fn take_uncounted(&mut self, limit: u64) -> Option<Piece> {
        let front = self.input.front_mut()?;
        let piece = if front.bytes.len() as u64 <= limit {
            self.at_piece_start = true;
            self.input.pop_front()?
        } else {
            self.at_piece_start = false;
            let bytes = front.bytes.split_to(limit as usize);
            let piece = Piece {
                bytes,
                offset: front.offset,
                time: front.time,
                after: front.after,
            };
            front.offset += limit;
            piece
        };
        self.input_bytes -= piece.bytes.len() as u64;
        self.last_after = piece.after.into();
        Some(piece)
    }

    /// Passes over empty lines before a message (RFC 9112, section 2.2); counts their bytes.
    pub fn skip_line_ends(&mut self) -> usize {
        let mut skipped = 0;
        while !self.is_lost()
            && let [b'\r' | b'\n', ..] = self.front()
        {
            skipped += self.take_bytes(1).map_or(0, |piece| piece.bytes.len());
        }
        skipped
    }

    pub fn start_head(&mut self) {
        self.state = State::Head {
            checked: false,
            scanned: 0,
        };
    }

    /// Where the head that is being received began, when it is one.
    pub fn partial_head(&self) -> Option<(u64, Timestamp)> {
        let checked = matches!(self.state, State::Head { checked: true, .. });
        let plausible = checked || !self.is_lost();
        let is_head = matches!(self.state, State::Head { .. });
        (is_head && plausible && !self.partial.is_empty())
            .then_some((self.consumed, self.partial_time))
    }

    /// Forgets the partial head or line; counts its bytes.
    pub fn drop_partial(&mut self) -> usize {
        let bytes = std::mem::take(&mut self.partial).len();
        self.consumed += bytes as u64;
        bytes
    }

    /// The partial head or line, in no more memory than it needs. None of it stays behind.
    fn unload(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.partial).into_boxed_slice())
    }

    /// Forgets everything held; counts its bytes.
    pub fn drop_held(&mut self) -> usize {
        let input: usize = self.take_all().iter().map(|piece| piece.bytes.len()).sum();
        self.drop_partial() + input
    }

    /// Moves up to `limit` of the bytes that come next into the partial; counts them.
    fn hold(&mut self, limit: usize) -> usize {
        let before = self.last_after;
        let Some(piece) = self.take_uncounted(limit as u64) else {
            return 0;
        };
        if self.partial.is_empty() {
            self.partial_time = piece.time;
            self.partial_after = piece.after.into();
            self.partial_before = before;
        }
        self.last_time = piece.time;
        self.partial.extend_from_slice(&piece.bytes);
        piece.bytes.len()
    }

    /// Takes a head, whose first line `probe` has to claim.
    pub fn take_head(&mut self, limit: usize, probe: impl Fn(&[u8]) -> Claim) -> Head {
        let State::Head {
            mut checked,
            scanned,
        } = self.state
        else {
            return Head::Partial;
        };
        let before = self.partial.len();
        let starts_piece = self.at_piece_start;
        if self.is_lost() && before == 0 && !starts_piece {
            // Messages are looked for where segments start, nowhere else.
            let passed = self.take_bytes(u64::MAX);
            return Head::NotMine(passed.map_or(0, |piece| piece.bytes.len()));
        }
        if !checked
            && self.is_lost()
            && before > 0
            && starts_piece
            && probe(self.front()) == Claim::Certain
            && probe(&self.partial_with_line()) == Claim::NotMine
        {
            return Head::NotMine(self.drop_partial());
        }
        // Hold no more than the head, lest a large piece is copied for a small one.
        let front = self.front();
        let length = match before {
            0 => find_end(front, 0),
            _ => memchr::memchr(b'\n', front).map(|newline| newline + 1),
        };
        self.hold(length.unwrap_or(front.len()));
        if !checked {
            match probe(&self.partial) {
                Claim::Certain => checked = true,
                Claim::Unsure => {}
                Claim::NotMine => return Head::NotMine(self.drop_partial()),
            }
        }
        let end = match checked {
            true => find_end(&self.partial, scanned),
            false => None,
        };
        if self.partial.len() > limit {
            return Head::TooLong;
        }
        let Some(end) = end else {
            let scanned = if checked { self.partial.len() } else { 0 };
            self.state = State::Head { checked, scanned };
            return Head::Partial;
        };
        let (bytes, place) = self.take_partial(end);
        Head::Whole(bytes, place)
    }

    /// Takes a request line without a version and with nothing after it: the whole head of a
    /// request of HTTP/0.9, unless more comes.
    pub fn take_simple_head(&mut self) -> Option<(Bytes, HeadPlace)> {
        let is_line =
            memchr::memchr(b'\n', &self.partial).map(|at| at + 1) == Some(self.partial.len());
        let checked = matches!(self.state, State::Head { checked: true, .. });
        let has_version = memchr::memmem::find(&self.partial, b"HTTP/").is_some()
            || version_of(&self.partial).is_some();
        let is_simple = checked && is_line && !has_version && !self.has_input();
        is_simple.then(|| self.take_partial(self.partial.len()))
    }

    fn take_partial(&mut self, end: usize) -> (Bytes, HeadPlace) {
        let place = HeadPlace {
            offset: self.consumed,
            end: self.consumed + end as u64,
            first_byte: self.partial_time,
            last_byte: self.last_time,
            after: self.partial_after.get(),
            before: self.partial_before.get(),
        };
        self.consumed = place.end;
        (self.unload(), place)
    }

    /// The partial and the rest of its line.
    fn partial_with_line(&self) -> Vec<u8> {
        let front = self.front();
        let line = memchr::memchr(b'\n', front).map_or(front.len(), |newline| newline + 1);
        [&self.partial[..], &front[..line]].concat()
    }

    /// Takes a line with its line end.
    pub fn take_line(&mut self, limit: usize) -> Line {
        let Some(newline) = memchr::memchr(b'\n', self.front()) else {
            self.hold(limit.saturating_add(1));
            return match self.partial.len() > limit {
                true => Line::TooLong,
                false => Line::Partial,
            };
        };
        self.hold(newline + 1);
        if self.partial.len() > limit {
            return Line::TooLong;
        }
        self.consumed += self.partial.len() as u64;
        Line::Whole(self.unload(), self.last_time)
    }

    /// Takes the trailer section and the empty line after it.
    pub fn take_trailers(&mut self, limit: usize) -> Trailers {
        let State::Trailers { line_start } = self.state else {
            return Trailers::Partial;
        };
        let newline = memchr::memchr(b'\n', self.front());
        self.hold(newline.map_or(usize::MAX, |newline| newline + 1));
        if self.partial.len() > limit {
            return Trailers::TooLong;
        }
        if newline.is_none() {
            return Trailers::Partial;
        }
        if !matches!(&self.partial[line_start..], b"\n" | b"\r\n") {
            self.state = State::Trailers {
                line_start: self.partial.len(),
            };
            return Trailers::Partial;
        }
        self.consumed += self.partial.len() as u64;
        let mut section = self.unload();
        let end = section.split_off(line_start).len();
        Trailers::Whole {
            section,
            end,
            time: self.last_time,
        }
    }
}
