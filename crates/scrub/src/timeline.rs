//! When the pieces of a body were sent.

use serde::{Deserialize, Serialize};
use twintap_stream::Timestamp;

/// When the pieces of a body were sent, and where each ends in the body as it is stored.
///
/// One piece alone says nothing that its message doesn't, and has no timeline.
/// Of a body that was dropped, ends count bytes as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The pieces in order. The last one need not end where the body does.
    pub marks: Vec<Mark>,
    /// There were more pieces than are kept: each mark stands for several in a row.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_coarse: bool,
    /// The body was stored without its content coding, so that ends are in proportion alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_scaled: bool,
}

/// One piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Mark {
    /// Bytes of the body through the end of the piece.
    pub end: u64,
    /// Nanoseconds from the message's first byte to the piece's last.
    pub after_ns: u64,
    /// What it is.
    pub piece: Piece,
    /// Bytes that a message of a WebSocket had, where it was dropped.
    pub dropped_bytes: u64,
}

/// A mark as it is written.
type Written = (u64, u64, Piece, u64);

/// What a piece of a body is. The timeline of an HTTP body has pieces of the last of these that
/// it has; that of a WebSocket's side has all that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// What came within about a millisecond, however it was framed.
    Bytes,
    /// A chunk of chunked transfer coding (RFC 9112, section 7.1).
    Chunk,
    /// A message of gRPC, or the trailers of gRPC-Web.
    Message,
    /// A server-sent event, through the empty line that ends it.
    Event,
    /// A fragment of a WebSocket's message that another follows (RFC 6455, section 5.4).
    Fragment,
    /// A text message of a WebSocket, or the last fragment of it.
    Text,
    /// A binary message of a WebSocket, or the last fragment of it.
    Binary,
    /// A close frame of a WebSocket: the payload begins with the code, where there is one.
    Close {
        /// The status code (RFC 6455, section 7.4).
        code: Option<u16>,
    },
    /// A ping of a WebSocket.
    Ping,
    /// A pong of a WebSocket.
    Pong,
}

impl Piece {
    /// True for what counts as a message of a WebSocket where its messages are told by number.
    #[must_use]
    pub fn is_element(self) -> bool {
        matches!(self, Piece::Text | Piece::Binary | Piece::Close { .. })
    }
}

impl Timeline {
    /// True when nothing is known but what the message says.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The sizes of the chunks that a body of `bytes` was sent in; empty where they
    /// are not known one by one.
    #[must_use]
    pub fn chunk_sizes(&self, bytes: u64) -> Vec<u32> {
        let is_each = !self.is_coarse && self.marks.iter().all(|mark| mark.piece == Piece::Chunk);
        if !is_each || self.marks.last().is_none_or(|last| last.end != bytes) {
            return Vec::new();
        }
        let mut start = 0;
        let sizes = self.marks.iter().map(|mark| {
            let size = mark.end.saturating_sub(start);
            start = mark.end;
            u32::try_from(size)
        });
        // A chunk of size 0 would end the body.
        let sizes: Result<Vec<u32>, _> = sizes.filter(|size| *size != Ok(0)).collect();
        sizes.unwrap_or_default()
    }
}

impl From<Written> for Mark {
    fn from((end, after_ns, piece, dropped_bytes): Written) -> Mark {
        Mark {
            end,
            after_ns,
            piece,
            dropped_bytes,
        }
    }
}

impl From<Mark> for Written {
    fn from(mark: Mark) -> Written {
        (mark.end, mark.after_ns, mark.piece, mark.dropped_bytes)
    }
}

/// Pieces of a network's making that are kept of one body.
const MOST_BYTES: usize = 256;
/// Pieces of a sender's making that are kept of one body.
const MOST_FRAMED: usize = 4096;
/// Bytes that come within this time of each other are one piece.
const LEAST_GAP_NS: u64 = 1_000_000;

/// The pieces of one body while it comes, with ends as they were sent.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// Those before `last`, so that a body of one piece takes no memory.
    done: Vec<Seen>,
    last: Option<Seen>,
    /// When the first of the bytes that `last` is about came.
    last_began: Timestamp,
    gap_ns: u64,
    is_coarse: bool,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    end: u64,
    time: Timestamp,
    piece: Piece,
}

impl Default for Pieces {
    fn default() -> Pieces {
        Pieces {
            done: Vec::new(),
            last: None,
            last_began: Timestamp::default(),
            gap_ns: LEAST_GAP_NS,
            is_coarse: false,
        }
    }
}

impl Pieces {
    /// A piece ends after `end` bytes of the body.
    pub(crate) fn add(&mut self, end: u64, time: Timestamp, piece: Piece) {
        match self.last.map(|last| last.piece) {
            // What is known of how the sender framed it counts for more.
            Some(known) if known > piece => return,
            Some(known) if known < piece => *self = Pieces::default(),
            _ => {}
        }
        let seen = Seen { end, time, piece };
        if let Some(last) = &mut self.last
            && piece == Piece::Bytes
            && time.since_ns(self.last_began) <= self.gap_ns
        {
            *last = seen;
            return;
        }
        self.done.extend(self.last.replace(seen));
        self.last_began = time;
        let most = match piece {
            Piece::Bytes => MOST_BYTES,
            _ => MOST_FRAMED,
        };
        if self.done.len() >= most {
            self.merge();
        }
    }

    /// Every two pieces become one.
    fn merge(&mut self) {
        let mut is_second = true;
        self.done.retain(|_| {
            is_second = !is_second;
            is_second
        });
        self.is_coarse = true;
        self.gap_ns = self.gap_ns.saturating_mul(2);
    }

    /// The timeline of a message whose first byte came at `begin`.
    pub(crate) fn finish(self, begin: Timestamp, places: &Places) -> Timeline {
        if self.done.is_empty() {
            return Timeline::default();
        }
        let seen = self.done.into_iter().chain(self.last);
        let marks = seen.map(|seen| Mark {
            end: places.stored(seen.end),
            after_ns: seen.time.since_ns(begin),
            piece: seen.piece,
            dropped_bytes: 0,
        });
        Timeline {
            marks: marks.collect(),
            is_coarse: self.is_coarse,
            is_scaled: matches!(places, Places::Scaled { .. }),
        }
    }
}

/// Where places of a body as it was sent are in it as it is stored.
#[derive(Debug)]
pub(crate) enum Places {
    /// Where they were.
    Same,
    /// Moved by values that became longer or shorter.
    Moved(Vec<Moved>),
    /// About there: the body's coding was undone.
    Scaled { sent: u64, stored: u64 },
}

/// A span of a body, and what took its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub(crate) from: (u64, u64),
    pub(crate) to: (u64, u64),
}

impl Places {
    /// The place after `sent` bytes as they were sent, in bytes as they are stored.
    pub(crate) fn stored(&self, sent: u64) -> u64 {
        match self {
            Places::Same => sent,
            Places::Scaled { sent: 0, .. } => 0,
            Places::Scaled { sent: all, stored } => in_proportion(sent.min(*all), *all, *stored),
            Places::Moved(moves) => {
                let passed = moves.partition_point(|moved| moved.from.1 <= sent);
                let (before, after) = match passed.checked_sub(1) {
                    Some(last) => (moves[last].from.1, moves[last].to.1),
                    None => (0, 0),
                };
                match moves.get(passed) {
                    Some(moved) if moved.from.0 < sent => {
                        let all = moved.from.1 - moved.from.0;
                        let new = moved.to.1 - moved.to.0;
                        moved.to.0 + in_proportion(sent - moved.from.0, all, new)
                    }
                    _ => after + (sent - before),
                }
            }
        }
    }
}

fn in_proportion(part: u64, all: u64, new: u64) -> u64 {
    let scaled = u128::from(part) * u128::from(new) / u128::from(all.max(1));
    u64::try_from(scaled).unwrap_or(new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timeline(pieces: &[(u64, u64, Piece)]) -> Timeline {
        let mut seen = Pieces::default();
        for &(end, ns, piece) in pieces {
            seen.add(end, Timestamp(1_000 + ns), piece);
        }
        seen.finish(Timestamp(1_000), &Places::Same)
    }

    fn ends(timeline: &Timeline) -> Vec<(u64, u64)> {
        let marks = timeline.marks.iter();
        marks.map(|mark| (mark.end, mark.after_ns)).collect()
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn bytes_that_come_together_are_one_piece() {
        let come = [(10, 0), (20, MS / 2), (30, MS), (40, 2 * MS), (50, 9 * MS)];
        let come = come.map(|(end, ns)| (end, ns, Piece::Bytes));
        let expected = [(30, MS), (40, 2 * MS), (50, 9 * MS)];
        assert_eq!(ends(&timeline(&come)), expected);
        assert!(timeline(&come[..3]).is_empty(), "one piece says nothing");
    }

    #[test]
    fn what_the_sender_framed_counts_for_more() {
        let come = [
            (5, 0, Piece::Bytes),
            (10, 3 * MS, Piece::Chunk),
            (12, 4 * MS, Piece::Bytes),
            (15, 4 * MS, Piece::Chunk),
        ];
        let found = timeline(&come);
        assert_eq!(ends(&found), [(10, 3 * MS), (15, 4 * MS)]);
        assert_eq!(found.chunk_sizes(15), [10, 5]);
        assert!(
            found.chunk_sizes(16).is_empty(),
            "the last chunk is unknown"
        );
    }

    #[test]
    fn too_many_pieces_are_merged_and_it_says_so() {
        let many = MOST_FRAMED as u64 * 3;
        let come: Vec<_> = (1..=many).map(|at| (at, at, Piece::Chunk)).collect();
        let found = timeline(&come);
        assert!(found.is_coarse);
        assert!(
            found.marks.len() <= MOST_FRAMED + 1,
            "{}",
            found.marks.len()
        );
        assert_eq!(ends(&found).last(), Some(&(many, many)));
        assert!(found.chunk_sizes(many).is_empty());
    }

    #[test]
    fn ends_follow_values_that_changed_their_length() {
        let places = Places::Moved(vec![
            Moved {
                from: (10, 20),
                to: (10, 40),
            },
            Moved {
                from: (30, 30),
                to: (50, 55),
            },
        ]);
        let cases = [(0, 0), (10, 10), (15, 25), (20, 40), (30, 55), (31, 56)];
        for (sent, stored) in cases {
            assert_eq!(places.stored(sent), stored, "{sent}");
        }
    }

    proptest! {
        #[test]
        fn ends_and_times_never_go_back(
            come in prop::collection::vec((0_u64..50, 0_u64..3 * MS, 0_u8..4), 0..600),
            sent in 1_u64..1000,
            stored in 0_u64..1000,
        ) {
            let kinds = [Piece::Bytes, Piece::Chunk, Piece::Message, Piece::Event];
            let mut seen = Pieces::default();
            let (mut end, mut time) = (0, 0);
            for (bytes, ns, kind) in come {
                (end, time) = (end + bytes, time + ns);
                seen.add(end, Timestamp(time), kinds[usize::from(kind)]);
            }
            let found = seen.finish(Timestamp(0), &Places::Scaled { sent, stored });
            prop_assert!(found.marks.is_sorted_by_key(|mark| (mark.end, mark.after_ns)));
            prop_assert!(found.marks.iter().all(|mark| mark.end <= stored));
        }
    }
}
