//! One direction of a flow: where in a message it stands.

use bytes::Bytes;

use super::Place;
use crate::tcp::Piece;
use crate::time::Timestamp;

/// Which exchange a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// That at this position among all of the flow.
    Queued(u64),
    /// Replies of which the request is unknown.
    Orphan,
    /// What the server says without being asked.
    Push,
}

/// What is kept of a message to read it.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing: it is not read, too long, or a part is missing.
    Skipped,
    Kept(Vec<u8>),
}

/// A message whose head was seen.
#[derive(Debug)]
pub(super) struct Inside {
    pub tag: u8,
    /// The code of a packet without type.
    pub code: u32,
    pub target: Target,
    /// Bytes to come.
    pub left: u64,
    pub content: Content,
}

/// What the next byte is part of.
#[derive(Debug)]
pub(super) enum State {
    /// The head of a message.
    Between,
    Inside(Inside),
    /// Unknown.
    Lost,
    /// Nothing of this protocol's any more.
    Opaque,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Side {
    pub state: State,
    /// The head of a message as far as it was seen; at most seven bytes.
    pub partial: Vec<u8>,
    /// Where that head began.
    pub partial_place: Place,
    /// Everything below is accounted for.
    pub consumed: u64,
    /// Since which offset it is unknown where messages start.
    pub lost_from: Option<u64>,
    pub ended: bool,
}

impl Side {
    /// Bytes that are kept of a message to read it, and handed on already.
    pub fn kept_bytes(&self) -> u64 {
        match &self.state {
            State::Inside(Inside {
                content: Content::Kept(kept),
                ..
            }) => kept.len() as u64,
            _ => 0,
        }
    }

    pub fn new(consumed: u64, is_lost: bool) -> Side {
        Side {
            state: match is_lost {
                true => State::Lost,
                false => State::Between,
            },
            partial: Vec::new(),
            partial_place: Place::default(),
            consumed,
            lost_from: is_lost.then_some(consumed),
            ended: false,
        }
    }

    pub fn is_opaque(&self) -> bool {
        matches!(self.state, State::Opaque)
    }

    /// Forgets the part of a head that was seen; counts its bytes.
    pub fn drop_partial(&mut self) -> usize {
        let bytes = self.partial.len();
        self.consumed += bytes as u64;
        self.partial.clear();
        bytes
    }

    pub fn lose(&mut self, offset: u64) {
        self.state = State::Lost;
        self.lost_from.get_or_insert(offset);
    }
}

/// A piece while it is being parsed.
pub(super) struct Input {
    offset: u64,
    bytes: Bytes,
    pub time: Timestamp,
    after: Option<u64>,
    /// The next byte.
    pub at: usize,
    /// From here up to the next byte belongs to `target` and was not handed on yet: messages of
    /// one exchange that lie together leave as one chunk.
    pub from: usize,
    pub target: Option<Target>,
}

impl Input {
    pub fn new(piece: Piece) -> Input {
        Input {
            offset: piece.offset,
            bytes: piece.bytes,
            time: piece.time,
            after: piece.after,
            at: 0,
            from: 0,
            target: None,
        }
    }

    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub fn is_over(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset + self.at as u64
    }

    pub fn place(&self) -> Place {
        Place {
            offset: self.offset(),
            time: self.time,
            after: self.after,
        }
    }

    /// The next bytes; `count` of them are there.
    pub fn slice(&self, count: usize) -> Bytes {
        self.bytes.slice(self.at..self.at + count)
    }

    /// The bytes that were not handed on; they are then.
    pub fn take_chunk(&mut self) -> Bytes {
        let chunk = self.bytes.slice(self.from..self.at);
        self.from = self.at;
        chunk
    }

    /// The bytes from the next one on.
    pub fn take_rest(&mut self) -> Piece {
        let piece = Piece {
            offset: self.offset(),
            bytes: self.bytes.slice(self.at..),
            time: self.time,
            after: self.after,
        };
        self.at = self.bytes.len();
        self.from = self.at;
        piece
    }

    /// Passes over bytes that belong to nothing.
    pub fn pass(&mut self, count: usize) {
        self.at = (self.at + count).min(self.bytes.len());
        self.from = self.at;
    }
}
