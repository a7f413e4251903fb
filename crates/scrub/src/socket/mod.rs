//! Messages of a WebSocket (RFC 6455): each is scrubbed as a document of its own.
//!
//! A message that is a JSON object or array has its leaves; other text is one value;
//! what is binary is kept where the policy allows bodies of `application/octet-stream`.
//! A direction is called as one document, an array of its messages, pings and pongs
//! left out: the leaf `json./3/id` is the member `id` of the fourth.

mod render;

use bytes::{BufMut as _, Bytes, BytesMut};
use twintap_stream::{PartKind, Timestamp};

use crate::body::{self, BodyOutcome, Held};
use crate::encoding::is_document;
use crate::leaf::{Encoding, Leaf, Part};
use crate::media::Kind;
use crate::policy::{BodyAction, Limits, View};
use crate::pseudonym::Pseudonyms;
use crate::record::BodyFate;
use crate::rewrite::Means;
use crate::second_look::{Hit, QUARANTINED, SecondLook};
use crate::timeline::{Mark, Moved, Piece, Places, Timeline};

pub use render::{SocketMessage, render_messages, split_messages};
pub(crate) use render::{extract, extract_one};

/// Messages of one direction that are kept.
const MOST_MESSAGES: usize = 65_536;
/// Leaves of one direction that are kept.
const MOST_LEAVES: usize = 131_072;
/// Hits of the second look of one direction that are kept; messages are dropped all the same.
const MOST_HITS: usize = 64;

/// One direction of a WebSocket on its way.
#[derive(Default)]
pub(crate) struct SocketSide {
    /// A message, and a control frame between its fragments.
    open: Vec<Open>,
    marks: Vec<(Mark, Timestamp)>,
    leaves: Vec<Leaf>,
    /// Bytes that may be stored, so far.
    bytes: u64,
    /// Messages that have a place in the array.
    elements: usize,
    dropped: Option<&'static str>,
    is_cut: bool,
    /// What the second look found.
    hits: Vec<Hit>,
}

/// A message that is not over.
struct Open {
    index: u32,
    held: Held,
    is_too_large: bool,
    /// Where its fragments end.
    fragments: Vec<(u64, Timestamp)>,
}

/// How a message ended.
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) index: u32,
    pub(crate) kind: PartKind,
    pub(crate) bytes: u64,
    pub(crate) last_byte: Timestamp,
}

/// A message that went through the policy.
#[derive(Default)]
struct Cleaned {
    bytes: Bytes,
    leaves: Vec<Leaf>,
    moved: Vec<Moved>,
}

impl SocketSide {
    /// Takes payload of a message; a fragment ends with it where `fragment_end` says when.
    pub(crate) fn data(
        &mut self,
        index: u32,
        chunk: Bytes,
        fragment_end: Option<Timestamp>,
        limits: Limits,
    ) {
        let at = match self.open.iter().position(|open| open.index == index) {
            Some(at) => at,
            None => {
                self.open.push(Open::new(index));
                self.open.len() - 1
            }
        };
        let open = &mut self.open[at];
        if !open.is_too_large && !open.held.take(chunk, limits) {
            open.is_too_large = true;
            open.held = Held::default();
        }
        if let Some(time) = fragment_end
            && open.fragments.len() < MOST_MESSAGES
        {
            open.fragments.push((open.held.bytes() as u64, time));
        }
    }

    /// A message is over: gives what may be stored of it.
    pub(crate) fn end(
        &mut self,
        message: Ended,
        pseudonyms: &Pseudonyms,
        view: &View,
        look: Option<&SecondLook>,
    ) -> Option<Bytes> {
        let piece = piece_of(message.kind)?;
        let open = match self
            .open
            .iter()
            .position(|open| open.index == message.index)
        {
            Some(at) => self.open.swap_remove(at),
            None => Open::new(message.index),
        };
        self.is_cut |= self.marks.len() + open.fragments.len() >= MOST_MESSAGES
            || self.leaves.len() >= MOST_LEAVES;
        if self.is_cut {
            return None;
        }
        let cleaned = match open.is_too_large {
            true => Err("too_large"),
            false => clean(message.kind, open.held.joined(), pseudonyms, view),
        };
        let cleaned = cleaned.and_then(|cleaned| match look {
            Some(look) => self.looked(cleaned, message.last_byte, pseudonyms, look),
            None => Ok(cleaned),
        });
        let element = piece.is_element().then_some(self.elements);
        self.elements += usize::from(piece.is_element());
        let (cleaned, dropped_bytes) = match cleaned {
            Ok(cleaned) => (cleaned, 0),
            Err(reason) => {
                if piece.is_element() {
                    self.dropped.get_or_insert(reason);
                }
                (Cleaned::default(), message.bytes)
            }
        };
        if dropped_bytes == 0 {
            self.mark_fragments(&open.fragments, Places::Moved(cleaned.moved));
        }
        let start = self.bytes;
        if let Some(element) = element {
            let leaves = cleaned.leaves.into_iter();
            self.leaves
                .extend(leaves.filter_map(|leaf| placed(leaf, element, start)));
        }
        self.bytes += cleaned.bytes.len() as u64;
        self.mark(piece, message.last_byte, self.bytes, dropped_bytes);
        (!cleaned.bytes.is_empty()).then_some(cleaned.bytes)
    }

    /// The message, unless the second look finds something in it.
    fn looked(
        &mut self,
        cleaned: Cleaned,
        time: Timestamp,
        pseudonyms: &Pseudonyms,
        look: &SecondLook,
    ) -> Result<Cleaned, &'static str> {
        if cleaned.bytes.is_empty() || !look.takes(cleaned.bytes.len() as u64, time) {
            return Ok(cleaned);
        }
        let hits = look.body(pseudonyms.keys(), &cleaned.bytes, &cleaned.leaves);
        if hits.is_empty() {
            return Ok(cleaned);
        }
        look.quarantine(&hits);
        let free = MOST_HITS.saturating_sub(self.hits.len());
        self.hits.extend(hits.into_iter().take(free));
        Err(QUARANTINED)
    }

    /// True when messages were left out because there were too many.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What became of the direction, whose opening message began at `begin`.
    pub(crate) fn finish(self, begin: Timestamp) -> BodyOutcome {
        let marks = self.marks.into_iter().map(|(mark, time)| Mark {
            after_ns: time.since_ns(begin),
            ..mark
        });
        BodyOutcome {
            fate: match self.dropped {
                Some(reason) => BodyFate::Dropped(reason.to_owned()),
                None if self.bytes == 0 => BodyFate::Empty,
                None => BodyFate::Scrubbed,
            },
            leaves: self.leaves,
            hits: self.hits,
            timeline: Timeline {
                marks: marks.collect(),
                ..Timeline::default()
            },
            ..BodyOutcome::empty()
        }
    }

    fn mark_fragments(&mut self, fragments: &[(u64, Timestamp)], places: Places) {
        let start = self.bytes;
        for &(end, time) in fragments {
            self.mark(Piece::Fragment, time, start + places.stored(end), 0);
        }
    }

    fn mark(&mut self, piece: Piece, time: Timestamp, end: u64, dropped_bytes: u64) {
        let mark = Mark {
            end,
            after_ns: 0,
            piece,
            dropped_bytes,
        };
        self.marks.push((mark, time));
    }
}

impl Open {
    fn new(index: u32) -> Open {
        Open {
            index,
            held: Held::default(),
            is_too_large: false,
            fragments: Vec::new(),
        }
    }
}

/// Scrubs all that a side said: what may be stored, and its leaves. What is beyond the
/// bounds of a direction is told of together, by its bytes.
pub(crate) fn scrub_all(
    messages: &[SocketMessage],
    pseudonyms: &Pseudonyms,
    view: &View,
    limits: Limits,
) -> (Bytes, Timeline, Vec<Leaf>) {
    let mut side = SocketSide::default();
    let mut body = BytesMut::new();
    let mut rest_bytes = 0;
    for (index, message) in (0..).zip(messages) {
        let Some(kind) = kind_of(message.piece) else {
            continue;
        };
        let last_byte = Timestamp(message.after_ns);
        let bytes = message.payload.len() as u64;
        if message.dropped_bytes > 0 && !side.is_cut() {
            side.elements += usize::from(message.piece.is_element());
            side.mark(message.piece, last_byte, side.bytes, message.dropped_bytes);
            continue;
        }
        side.data(index, message.payload.clone(), None, limits);
        let ended = Ended {
            index,
            kind,
            bytes,
            last_byte,
        };
        body.extend(side.end(ended, pseudonyms, view, None));
        if side.is_cut() {
            rest_bytes += bytes + message.dropped_bytes;
        }
    }
    if side.is_cut() {
        side.mark(Piece::Binary, Timestamp::default(), side.bytes, rest_bytes);
    }
    let outcome = side.finish(Timestamp::default());
    (body.freeze(), outcome.timeline, outcome.leaves)
}

fn kind_of(piece: Piece) -> Option<PartKind> {
    match piece {
        Piece::Text => Some(PartKind::SocketText),
        Piece::Binary => Some(PartKind::SocketBinary),
        Piece::Close { code } => Some(PartKind::SocketClose { code }),
        Piece::Ping => Some(PartKind::SocketPing),
        Piece::Pong => Some(PartKind::SocketPong),
        Piece::Bytes | Piece::Chunk | Piece::Message | Piece::Event | Piece::Fragment => None,
    }
}

fn piece_of(kind: PartKind) -> Option<Piece> {
    match kind {
        PartKind::SocketText => Some(Piece::Text),
        // A frame whose opcode has no meaning is binary at best.
        PartKind::SocketBinary | PartKind::SocketOther { .. } => Some(Piece::Binary),
        PartKind::SocketClose { code } => Some(Piece::Close { code }),
        PartKind::SocketPing => Some(Piece::Ping),
        PartKind::SocketPong => Some(Piece::Pong),
        _ => None,
    }
}

/// Scrubs one message, or says in a word why it can't be kept.
fn clean(
    kind: PartKind,
    raw: Bytes,
    pseudonyms: &Pseudonyms,
    view: &View,
) -> Result<Cleaned, &'static str> {
    match kind {
        _ if raw.is_empty() => Ok(Cleaned::default()),
        PartKind::SocketText => clean_text(&raw, pseudonyms, view),
        PartKind::SocketClose { code: Some(_) } if raw.len() >= 2 => {
            let cleaned = clean_text(&raw.slice(2..), pseudonyms, view)?;
            let mut bytes = BytesMut::with_capacity(cleaned.bytes.len() + 2);
            bytes.put_slice(&raw[..2]);
            bytes.put_slice(&cleaned.bytes);
            Ok(Cleaned {
                bytes: bytes.freeze(),
                leaves: cleaned.leaves.into_iter().filter_map(of_reason).collect(),
                ..Cleaned::default()
            })
        }
        PartKind::SocketPing | PartKind::SocketPong if std::str::from_utf8(&raw).is_ok() => {
            clean_text(&raw, pseudonyms, view)
        }
        _ if view.body("application/octet-stream") == Some(BodyAction::Allow) => Ok(Cleaned {
            bytes: raw,
            ..Cleaned::default()
        }),
        _ => Err("unknown_type"),
    }
}

fn clean_text(raw: &Bytes, pseudonyms: &Pseudonyms, view: &View) -> Result<Cleaned, &'static str> {
    if raw.is_empty() {
        return Ok(Cleaned::default());
    }
    let (kind, media_type) = match is_document(raw) {
        true => (Kind::Json, "application/json"),
        false => (Kind::Text, "text/plain"),
    };
    let view = match view.body(media_type) {
        Some(BodyAction::Drop) => return Err("rule"),
        Some(BodyAction::Allow) => None,
        Some(BodyAction::Scrub) | None => Some(view),
    };
    let scrubbed = body::scrub(Means { pseudonyms, view }, kind, raw)?;
    Ok(Cleaned {
        bytes: scrubbed.body,
        leaves: scrubbed.leaves,
        moved: scrubbed.moved,
    })
}

/// The leaf of a close frame's reason, behind the code; None for what is inside of it.
fn of_reason(leaf: Leaf) -> Option<Leaf> {
    (leaf.path == "text").then(|| Leaf {
        path: "json./reason".to_owned(),
        start: leaf.start + 2,
        ..leaf
    })
}

/// A message's leaf as one of its direction; None beyond 4 GiB.
fn placed(leaf: Leaf, element: usize, start: u64) -> Option<Leaf> {
    let start = u32::try_from(start).ok()?.checked_add(leaf.start)?;
    let path = match leaf.path.strip_prefix("json.") {
        Some(pointer) => format!("json./{element}{pointer}"),
        None => format!("json./{element}"),
    };
    Some(Leaf {
        part: Part::Body,
        path,
        start,
        ..leaf
    })
}

/// The leaf of a text that becomes a JSON string, at `start` of the whole.
fn quoted(leaf: Leaf, start: usize, len: usize) -> Leaf {
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Leaf {
        start: narrow(start),
        len: narrow(len),
        encoding: Encoding::JsonString,
        ..leaf
    }
}
