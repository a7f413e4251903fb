//! Bodies: passed on at once, held until they are whole and then scrubbed, or dropped.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use twintap_stream::Timestamp;
use twintap_stream::content::Codings;

use crate::command;
use crate::find::{
    self, Repeats, Search, Unparsable, events, grpc, head, html, json, multipart, xml,
};
use crate::key;
use crate::leaf::{Leaf, LinkTag, Part};
use crate::media::{CodingError, Kind, Media};
use crate::policy::{BodyAction, Limits, View};
use crate::pseudonym::Pseudonyms;
use crate::record::BodyFate;
use crate::rewrite::{self, Means, Rewriter};
use crate::second_look::Hit;
use crate::timeline::{Moved, Piece, Pieces, Places, Timeline};

/// One body on its way.
pub(crate) struct BodyScrubber {
    view: Arc<View>,
    media: Media,
    way: Way,
    /// Of a body whose chunks are not held: one that is held is hashed when it is whole.
    hasher: Option<Box<blake3::Hasher>>,
    seen_bytes: u64,
    pieces: Pieces,
}

enum Way {
    /// Passed on as it comes; what is held besides is for finding its values.
    Pass(Option<Held>),
    /// Passed on when it is whole, so that it can be looked at before.
    Wait(Held),
    Hold(Kind, Held),
    Drop(&'static str),
}

/// Chunks that are held until they are whole.
#[derive(Default)]
pub(crate) struct Held {
    chunks: Vec<Bytes>,
    bytes: usize,
}

/// What became of a body.
pub(crate) struct BodyOutcome {
    pub(crate) fate: BodyFate,
    /// What may be stored, of what was not passed on before.
    pub(crate) rest: Option<Bytes>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) tag: Option<LinkTag>,
    /// Of a scrubbed body, the content codings that were undone.
    pub(crate) undone: Option<Codings>,
    pub(crate) timeline: Timeline,
    /// What the second look found already.
    pub(crate) hits: Vec<Hit>,
}

impl BodyScrubber {
    pub(crate) fn new(view: Arc<View>, media: Media) -> BodyScrubber {
        let way = match (view.body(&media.media_type), media.kind()) {
            (Some(BodyAction::Drop), _) => Way::Drop("rule"),
            (Some(BodyAction::Allow), kind) => {
                let is_read = kind.is_some() && media.is_plain();
                Way::Pass(is_read.then(Held::default))
            }
            (_, None) => Way::Drop("unknown_type"),
            (_, Some(_)) if media.codings.is_none() => Way::Drop("content_coding"),
            (_, Some(kind)) => Way::Hold(kind, Held::default()),
        };
        BodyScrubber {
            view,
            media,
            way,
            hasher: None,
            seen_bytes: 0,
            pieces: Pieces::default(),
        }
    }

    /// An allowed body whose values can be found waits until it is whole.
    pub(crate) fn waiting(mut self) -> BodyScrubber {
        if let Way::Pass(Some(held)) = self.way {
            self.way = Way::Wait(held);
        }
        self
    }

    /// A body of which nothing is known, and that passes all the same.
    pub(crate) fn opaque(view: Arc<View>) -> BodyScrubber {
        BodyScrubber {
            view,
            media: Media::unknown(),
            way: Way::Pass(None),
            hasher: None,
            seen_bytes: 0,
            pieces: Pieces::default(),
        }
    }

    /// Takes a chunk; gives back what may be stored at once.
    pub(crate) fn chunk(
        &mut self,
        chunk: Bytes,
        limits: Limits,
        pseudonyms: &Pseudonyms,
    ) -> Option<Bytes> {
        self.seen_bytes += chunk.len() as u64;
        let (Way::Wait(held) | Way::Hold(_, held)) = &mut self.way else {
            self.hash(pseudonyms, [&chunk]);
            return self.pass(chunk, limits);
        };
        if held.take(chunk.clone(), limits) {
            return None;
        }
        // Too large to be held.
        let held = std::mem::take(held);
        self.hash(pseudonyms, held.chunks.iter().chain([&chunk]));
        match self.way {
            Way::Wait(_) => {
                let mut passed = BytesMut::from(held.joined());
                passed.extend_from_slice(&chunk);
                self.way = Way::Pass(None);
                Some(passed.freeze())
            }
            _ => {
                self.way = Way::Drop("too_large");
                None
            }
        }
    }

    fn pass(&mut self, chunk: Bytes, limits: Limits) -> Option<Bytes> {
        let Way::Pass(held) = &mut self.way else {
            return None;
        };
        if held
            .as_mut()
            .is_some_and(|held| !held.take(chunk.clone(), limits))
        {
            *held = None;
        }
        Some(chunk)
    }

    fn hash<'a>(&mut self, pseudonyms: &Pseudonyms, chunks: impl IntoIterator<Item = &'a Bytes>) {
        let hasher = || Box::new(pseudonyms.keys().body_hasher());
        let hasher = self.hasher.get_or_insert_with(hasher);
        for chunk in chunks {
            hasher.update(chunk);
        }
    }

    /// What was taken so far was sent at `time`; with it ends a piece.
    pub(crate) fn note_piece(&mut self, time: Timestamp, piece: Piece) {
        self.pieces.add(self.seen_bytes, time, piece);
    }

    /// A piece of the body ends after `end` bytes of it.
    pub(crate) fn note_part(&mut self, end: u64, time: Timestamp, piece: Piece) {
        self.pieces.add(end.min(self.seen_bytes), time, piece);
    }

    /// Ends the body, seen whole or not; `begin` is when its message's first byte came.
    pub(crate) fn finish(
        mut self,
        pseudonyms: &Pseudonyms,
        limits: Limits,
        is_whole: bool,
        begin: Timestamp,
    ) -> BodyOutcome {
        let whole = self.way.joined();
        let tag = match (&whole, &self.hasher) {
            _ if !is_whole || self.seen_bytes == 0 => None,
            (Some(whole), _) => Some(pseudonyms.keys().body_tag(whole)),
            (None, hasher) => hasher.as_deref().map(key::body_tag),
        };
        let mut outcome = BodyOutcome {
            fate: BodyFate::Empty,
            rest: None,
            leaves: Vec::new(),
            tag,
            undone: None,
            timeline: Timeline::default(),
            hits: Vec::new(),
        };
        if self.seen_bytes == 0 {
            return outcome;
        }
        let mut places = Places::Same;
        let whole = whole.unwrap_or_default();
        match self.way {
            Way::Drop(reason) => outcome.fate = BodyFate::Dropped(reason.to_owned()),
            Way::Pass(held) => {
                outcome.fate = BodyFate::Allowed;
                if let Some(held) = held {
                    outcome.leaves = allowed_leaves(pseudonyms, &self.media, &held.joined());
                }
            }
            Way::Wait(_) => {
                outcome.fate = BodyFate::Allowed;
                outcome.leaves = allowed_leaves(pseudonyms, &self.media, &whole);
                outcome.rest = Some(whole);
            }
            Way::Hold(_, _) if !is_whole => {
                outcome.fate = BodyFate::Dropped("incomplete".to_owned());
            }
            Way::Hold(kind, _) => {
                let means = Means {
                    pseudonyms,
                    view: Some(&self.view),
                };
                let limit = limits.decoded_body_bytes.get();
                let scrubbed = self
                    .media
                    .decoded(&whole, limit)
                    .map_err(|error| match error {
                        CodingError::TooLarge => "too_large",
                        CodingError::Unsound => "content_coding",
                    })
                    .and_then(|body| match kind {
                        Kind::Command => {
                            command::scrub(means, self.media.command.as_deref(), &body)
                        }
                        _ => scrub(means, kind, &body),
                    });
                match scrubbed {
                    Ok(scrubbed) => {
                        outcome.fate = BodyFate::Scrubbed;
                        places = match self.media.is_plain() {
                            true => Places::Moved(scrubbed.moved),
                            false => Places::Scaled {
                                sent: self.seen_bytes,
                                stored: scrubbed.body.len() as u64,
                            },
                        };
                        outcome.rest = Some(scrubbed.body);
                        outcome.leaves = scrubbed.leaves;
                        outcome.undone = self.media.codings;
                    }
                    Err(reason) => outcome.fate = BodyFate::Dropped(reason.to_owned()),
                }
            }
        }
        outcome.timeline = self.pieces.finish(begin, &places);
        outcome
    }
}

impl Way {
    /// What is held of a body that is stored only when it is whole, taken out.
    fn joined(&mut self) -> Option<Bytes> {
        match self {
            Way::Wait(held) | Way::Hold(_, held) => Some(std::mem::take(held).joined()),
            Way::Pass(_) | Way::Drop(_) => None,
        }
    }
}

impl Held {
    /// False when it would become more than the limit.
    pub(crate) fn take(&mut self, chunk: Bytes, limits: Limits) -> bool {
        self.bytes += chunk.len();
        if self.bytes > limits.body_bytes.get() {
            return false;
        }
        self.chunks.push(chunk);
        true
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn joined(mut self) -> Bytes {
        if self.chunks.len() == 1
            && let Some(chunk) = self.chunks.pop()
        {
            return chunk;
        }
        let mut joined = BytesMut::with_capacity(self.bytes);
        for chunk in &self.chunks {
            joined.extend_from_slice(chunk);
        }
        joined.freeze()
    }
}

/// The values of a body that is allowed; one that isn't what it says simply has none.
fn allowed_leaves(pseudonyms: &Pseudonyms, media: &Media, body: &Bytes) -> Vec<Leaf> {
    let means = Means {
        pseudonyms,
        view: None,
    };
    let found = media.kind().map(|kind| scrub(means, kind, body));
    found
        .and_then(Result::ok)
        .map_or(Vec::new(), |found| found.leaves)
}

/// A body that went through the policy.
pub(crate) struct ScrubbedBody {
    pub(crate) body: Bytes,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) moved: Vec<Moved>,
}

/// In JSON of services there is a value in about so many bytes.
const BYTES_A_LEAF: usize = 24;
/// Leaves for which room is made before there are any.
const MOST_FORESEEN: usize = 1 << 16;

/// Scrubs a whole body, or says in a word why it can't be.
pub(crate) fn scrub(
    means: Means<'_>,
    kind: Kind,
    body: &Bytes,
) -> Result<ScrubbedBody, &'static str> {
    // Growing would copy what is there over and over.
    let foreseen = match kind {
        Kind::Json | Kind::JsonLines => (body.len() / BYTES_A_LEAF).min(MOST_FORESEEN),
        _ => 0,
    };
    let mut leaves = Vec::with_capacity(foreseen);
    let mut repeats = Repeats::default();
    // Those of JSON see to it themselves.
    let may_be_bytes = matches!(
        kind,
        Kind::Text | Kind::Multipart | Kind::Grpc | Kind::Json | Kind::JsonLines
    );
    let is_text = may_be_bytes || std::str::from_utf8(body).is_ok();
    if !is_text {
        return Err("unparsable");
    }
    let mut recent = means.pseudonyms.recent();
    let mut rewriter = Rewriter::new(means, &mut recent, Part::Body, body, &mut leaves);
    let found = visit(kind, body, &mut repeats, &mut rewriter);
    let moved = rewriter.take_moved();
    let scrubbed = rewriter.finish(body);
    match (scrubbed, found) {
        (Err(rewrite::DroppedByRule), _) => Err("rule"),
        (_, Err(Unparsable)) => Err("unparsable"),
        (Ok(body), Ok(())) => Ok(ScrubbedBody {
            body,
            leaves,
            moved,
        }),
    }
}

/// Goes through the values of a body.
pub(crate) fn visit(
    kind: Kind,
    body: &[u8],
    repeats: &mut Repeats,
    visit: &mut impl find::Visit,
) -> Result<(), Unparsable> {
    let mut search = Search {
        src: body,
        visit,
        repeats,
    };
    match kind {
        Kind::Json => json::find(body, false, search.visit)?,
        Kind::Command => command::find(body, search.visit)?,
        Kind::JsonLines => json::find(body, true, search.visit)?,
        Kind::Form => head::find_form(&mut search),
        Kind::Html => html::find(&mut search),
        Kind::Xml => xml::find(&mut search)?,
        Kind::Multipart => multipart::find(&mut search)?,
        Kind::Grpc => grpc::find(&mut search)?,
        Kind::Events => events::find(&mut search)?,
        Kind::Text => find::text(&mut search),
    }
    Ok(())
}
