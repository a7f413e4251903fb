//! One direction of a flow: bytes in order out of segments in any order.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::maybe::Maybe;
use crate::time::Timestamp;

/// Bytes that lie together in one direction, out of one segment.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Stream offset of the first byte.
    pub offset: u64,
    pub bytes: Bytes,
    /// When the segment was seen.
    pub time: Timestamp,
    /// Up to where the sender had acknowledged the other direction when it sent this.
    pub after: Option<u64>,
}

impl Piece {
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// What became of the bytes of one [`Half::insert`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// Bytes that were seen before.
    pub duplicate: u64,
    /// Bytes that are now held.
    pub fresh: u64,
    /// Whether bytes disagreed with held ones.
    pub conflict: bool,
}

/// A place where bytes are missing.
#[derive(Clone, Copy, Debug)]
struct Hole {
    offset: u64,
    since: Timestamp,
    segments: u32,
    /// The receiver spoke since, and did not acknowledge what lies beyond.
    is_refused: bool,
}

/// What to do about a hole whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Give up so many bytes at the front: the receiver has them, or nobody can tell.
    Gap(u64),
    /// Give up what waits beyond the hole: the receiver never got it. It is of another
    /// connection between the same ends, or forged, or was lost and never sent again.
    Refused,
}

/// The largest window that TCP can have (RFC 7323, section 2.3).
pub(crate) const MAX_WINDOW: u64 = 1 << 30;

/// So many of the last bytes that were handed on are kept, to compare with what overlaps them.
/// What came before them can't be compared any more.
const RECENT_BYTES: usize = 32;

/// What a held piece costs beside its bytes.
const PIECE_OVERHEAD: u64 = 128;

/// One direction of a flow.
#[derive(Debug, Default)]
pub(crate) struct Half {
    /// Sequence number of offsets whose low 32 bits are zero.
    base: Option<u32>,
    /// First offset not yet handed on.
    next: u64,
    /// One past the last byte seen, here or by its sender's FIN.
    highest: u64,
    /// Up to where the receiver acknowledged.
    acknowledged: u64,
    /// Offset at which the direction ends.
    fin: Maybe,
    /// What is not in order. Most directions never need it.
    disorder: Option<Box<Disorder>>,
    /// The last bytes before `next`.
    recent: Recent,
    /// True once its end was handed on.
    pub ended: bool,
    /// True once any payload was seen, or given up: its offsets are settled.
    pub has_data: bool,
}

/// What can't be handed on yet, and why.
#[derive(Debug, Default)]
struct Disorder {
    /// Disjoint pieces at or above `next`.
    waiting: BTreeMap<u64, Piece>,
    waiting_bytes: u64,
    hole: Option<Hole>,
    /// Ranges that segments had on the wire and that the capture cut off.
    cut: BTreeMap<u64, u64>,
}

impl Disorder {
    fn first(&self) -> Option<&Piece> {
        self.waiting.first_key_value().map(|(_, piece)| piece)
    }

    /// Removes and counts the piece at `offset`.
    fn take(&mut self, offset: u64) -> Option<Piece> {
        let piece = self.waiting.remove(&offset)?;
        self.waiting_bytes -= piece.bytes.len() as u64;
        Some(piece)
    }

    fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.hole.is_none() && self.cut.is_empty()
    }
}

impl Half {
    /// Sets where the stream begins: `sequence` is that of the byte at `offset`.
    pub fn begin(&mut self, sequence: u32, offset: u64) {
        self.base = Some(sequence.wrapping_sub(offset as u32));
        self.next = offset;
        self.highest = offset;
        self.acknowledged = offset;
        self.fin = Maybe::NONE;
    }

    /// Like [`Half::begin`] for a direction that continues and whose sequence numbers are unknown.
    pub fn resume(&mut self, offset: u64) {
        self.next = offset;
        self.highest = offset;
        self.acknowledged = offset;
        self.has_data = true;
    }

    /// Learns which sequence number an offset has.
    pub fn learn(&mut self, sequence: u32, offset: u64) {
        self.base = Some(sequence.wrapping_sub(offset as u32));
    }

    pub fn is_begun(&self) -> bool {
        self.base.is_some()
    }

    /// The offset of a sequence number within 2 GiB of the highest offset seen; negative when
    /// it lies before the stream's begin.
    pub fn offset_of(&self, sequence: u32) -> Option<i64> {
        let expected = self.base?.wrapping_add(self.highest as u32);
        let ahead = sequence.wrapping_sub(expected) as i32;
        Some(self.highest as i64 + i64::from(ahead))
    }

    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn highest(&self) -> u64 {
        self.highest
    }

    pub fn fin(&self) -> Option<u64> {
        self.fin.get()
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The receiver acknowledged everything below `offset`.
    pub fn acknowledge(&mut self, offset: u64) {
        // An acknowledgement of bytes that nobody could have sent is no evidence.
        if offset > self.acknowledged && offset <= self.highest.saturating_add(MAX_WINDOW) {
            self.acknowledged = match self.fin.get() {
                Some(fin) => offset.min(fin.max(self.acknowledged)),
                None => offset,
            };
        }
    }

    /// The sender ends its direction at `offset`. Bytes beyond it contradict it, and win, unless
    /// all before it was handed on and the receiver has none of them: they are dropped, and
    /// counted.
    pub fn set_fin(&mut self, offset: u64) -> u64 {
        let mut dropped = 0;
        let is_whole = offset == self.next && self.acknowledged <= offset;
        if is_whole && self.hole().is_some_and(|hole| hole.is_refused) {
            dropped = self.drop_waiting();
        }
        if offset >= self.next && offset >= self.highest {
            self.fin = offset.into();
            self.acknowledged = self.acknowledged.min(offset);
        }
        dropped
    }

    /// The receiver spoke, and this is what it had received.
    pub fn hear_receiver(&mut self, acknowledged: u64) {
        if let Some(disorder) = &mut self.disorder
            && let Some(hole) = &mut disorder.hole
            && acknowledged <= hole.offset
        {
            hole.is_refused = true;
        }
    }

    fn hole(&self) -> Option<Hole> {
        self.disorder.as_ref()?.hole
    }

    /// Forgets a FIN that later data contradicts.
    pub fn clear_fin(&mut self) {
        self.fin = Maybe::NONE;
    }

    /// Everything that the sender sent is handed on.
    pub fn is_at_fin(&self) -> bool {
        self.fin.get().is_some_and(|fin| fin <= self.next)
    }

    pub fn waiting_bytes(&self) -> u64 {
        self.disorder
            .as_ref()
            .map_or(0, |disorder| disorder.waiting_bytes)
    }

    /// What holding the waiting pieces costs.
    pub fn cost(&self) -> u64 {
        self.disorder.as_ref().map_or(0, |disorder| {
            disorder.waiting_bytes + disorder.waiting.len() as u64 * PIECE_OVERHEAD
        })
    }

    /// Takes bytes that are next in order, when nothing waits: true, and the caller hands them on
    /// at once.
    pub fn pass(&mut self, piece: &Piece, wire_end: u64) -> bool {
        let fits = self.disorder.is_none() && piece.offset == self.next && piece.end() == wire_end;
        if fits {
            self.has_data = true;
            self.recent.push(&piece.bytes);
            self.next = wire_end;
            self.highest = self.highest.max(wire_end);
        }
        fits
    }

    /// Takes bytes in. `wire_end` is one past the last byte that the segment had on the wire.
    /// Bytes seen first win; the rest of an overlap is duplicate.
    pub fn insert(&mut self, piece: Piece, wire_end: u64) -> Inserted {
        let mut result = Inserted::default();
        self.has_data = true;
        self.highest = self.highest.max(wire_end).max(piece.end());
        if wire_end > piece.end() && wire_end > self.next {
            let disorder = self.disorder.get_or_insert_default();
            let end = disorder.cut.entry(piece.end()).or_default();
            *end = wire_end.max(*end);
        }
        let mut rest = piece;
        if rest.offset < self.next {
            let seen = (self.next - rest.offset).min(rest.bytes.len() as u64);
            result.duplicate += seen;
            result.conflict |= self.contradicts(rest.offset, &rest.bytes);
            skip(&mut rest, seen);
        }
        if rest.bytes.is_empty() {
            return result;
        }
        let next = self.next;
        let disorder = self.disorder.get_or_insert_default();
        while !rest.bytes.is_empty() {
            // The held piece that covers the first byte of the rest, else the next one above.
            let below = disorder.waiting.range(..=rest.offset).next_back();
            if let Some((_, held)) = below
                && held.end() > rest.offset
            {
                let from = (rest.offset - held.offset) as usize;
                let length = (held.end() - rest.offset).min(rest.bytes.len() as u64);
                result.conflict |=
                    held.bytes[from..from + length as usize] != rest.bytes[..length as usize];
                result.duplicate += length;
                skip(&mut rest, length);
                continue;
            }
            let above = disorder.waiting.range(rest.offset..).next();
            let room = above.map_or(u64::MAX, |(offset, _)| offset - rest.offset);
            let length = room.min(rest.bytes.len() as u64);
            let mut part = Piece {
                bytes: rest.bytes.slice(..length as usize),
                ..rest.clone()
            };
            if part.offset != next {
                // It will be held for a while: a small piece must not pin the buffer it came in.
                part.bytes = Bytes::copy_from_slice(&part.bytes);
            }
            result.fresh += length;
            disorder.waiting_bytes += length;
            disorder.waiting.insert(part.offset, part);
            skip(&mut rest, length);
        }
        result
    }

    /// True when the bytes at `offset` disagree with those handed on, as far as those are
    /// remembered. The byte of a keep-alive probe says nothing (RFC 9293, section 3.8.4).
    pub fn contradicts(&self, offset: u64, bytes: &[u8]) -> bool {
        let is_probe = bytes.len() == 1 && offset + 1 == self.next;
        let recent = self.recent.bytes();
        let first = self.next.saturating_sub(recent.len() as u64).max(offset);
        let end = self.next.min(offset.saturating_add(bytes.len() as u64));
        if is_probe || first >= end {
            return false;
        }
        let length = (end - first) as usize;
        let theirs = &bytes[(first - offset) as usize..][..length];
        let ours = &recent[recent.len() - (self.next - first) as usize..][..length];
        theirs != ours
    }

    /// The piece at the front, when nothing is missing before it.
    pub fn front(&self) -> Option<&Piece> {
        let first = self.disorder.as_ref()?.first()?;
        (first.offset == self.next).then_some(first)
    }

    /// Takes the piece that [`Half::front`] showed.
    pub fn pop(&mut self) -> Option<Piece> {
        let piece = self.disorder.as_mut()?.take(self.next)?;
        self.recent.push(&piece.bytes);
        self.advance(piece.end());
        Some(piece)
    }

    /// Where the missing bytes at the front end; None when nothing is known to be missing.
    fn hole_end(&self) -> Option<u64> {
        let first = self.disorder.as_ref().and_then(|disorder| disorder.first());
        let known = match first {
            Some(piece) => piece.offset,
            None => self.acknowledged.max(self.cut_end().unwrap_or(0)),
        };
        (known > self.next).then_some(known)
    }

    /// Where the range ends that the capture cut off at the front.
    fn cut_end(&self) -> Option<u64> {
        let cut = &self.disorder.as_ref()?.cut;
        let (_, end) = cut.range(..=self.next).next_back()?;
        (*end > self.next).then_some(*end)
    }

    /// Counts a segment of the flow for the age of a hole at the front.
    pub fn age_hole(&mut self, now: Timestamp) {
        if self.hole_end().is_none() {
            if let Some(disorder) = &mut self.disorder {
                disorder.hole = None;
                if disorder.is_over() {
                    self.disorder = None;
                }
            }
            return;
        }
        let next = self.next;
        match &mut self.disorder.get_or_insert_default().hole {
            Some(hole) if hole.offset == next => hole.segments += 1,
            hole => {
                *hole = Some(Hole {
                    offset: next,
                    since: now,
                    segments: 0,
                    is_refused: false,
                });
            }
        }
    }

    /// What to give up now, by the limits; None when it is worth waiting.
    pub fn overdue(&self, now: Timestamp, limits: &crate::Limits) -> Option<Overdue> {
        let end = self.hole_end()?;
        if let Some(cut) = self.cut_end() {
            return Some(Overdue::Gap(cut.min(end) - self.next));
        }
        let hole = self.hole()?;
        let age = now.since_ns(hole.since);
        let acknowledged = end.min(self.acknowledged);
        if now >= self.given_up_at(&hole, limits) {
            return Some(match self.is_refused(&hole) {
                true => Overdue::Refused,
                false => Overdue::Gap(end - self.next),
            });
        }
        if self.cost() > limits.flow_buffer_bytes {
            return Some(Overdue::Gap(end - self.next));
        }
        let waited = age >= limits.gap_ns || hole.segments >= limits.gap_segments;
        (acknowledged > self.next && waited).then(|| Overdue::Gap(acknowledged - self.next))
    }

    /// When [`Half::overdue`] will say so by time alone.
    pub fn gap_due(&self, limits: &crate::Limits) -> Option<Timestamp> {
        self.hole_end()?;
        let hole = self.hole()?;
        let given_up = self.given_up_at(&hole, limits);
        Some(match self.acknowledged > self.next {
            true => given_up.min(hole.since.plus_ns(limits.gap_ns)),
            false => given_up,
        })
    }

    /// When a hole is not waited for any longer. The receiver's refusal is believed late: a sender
    /// may take its time to send again, and nothing is lost by waiting.
    fn given_up_at(&self, hole: &Hole, limits: &crate::Limits) -> Timestamp {
        let patience = match self.is_refused(hole) {
            true => limits.gap_unacknowledged_ns.saturating_mul(4),
            false => limits.gap_unacknowledged_ns,
        };
        hole.since.plus_ns(patience)
    }

    fn is_refused(&self, hole: &Hole) -> bool {
        hole.is_refused && self.waiting_bytes() > 0 && self.acknowledged <= self.next
    }

    /// Drops the pieces that the receiver refused all the time; counts their bytes.
    pub fn drop_refused(&mut self) -> u64 {
        let Some(disorder) = &mut self.disorder else {
            return 0;
        };
        let before = disorder.waiting_bytes;
        let since = disorder.hole.take().map(|hole| hole.since);
        while let Some(first) = disorder.first()
            && since.is_some_and(|since| first.time <= since)
        {
            let (offset, end) = (first.offset, first.end());
            disorder.cut.remove(&end);
            disorder.take(offset);
        }
        let last = disorder.waiting.last_key_value();
        let last = last.map_or(0, |(_, piece)| piece.end());
        self.highest = self.next.max(self.acknowledged).max(last);
        before - disorder.waiting_bytes
    }

    /// Bytes missing at the front when nothing more will come.
    pub fn final_gap(&self) -> Option<u64> {
        let first = self.disorder.as_ref().and_then(|disorder| disorder.first());
        let end = match first {
            Some(piece) => piece.offset,
            None => self
                .acknowledged
                .max(self.highest)
                .max(self.fin.get().unwrap_or(0)),
        };
        (end > self.next).then(|| end - self.next)
    }

    /// Forgets the waiting pieces, and what else was seen beyond them; counts their bytes.
    pub fn drop_waiting(&mut self) -> u64 {
        self.highest = self.next.max(self.acknowledged);
        let disorder = self.disorder.take();
        disorder.map_or(0, |disorder| disorder.waiting_bytes)
    }

    /// Gives up `bytes` at the front.
    pub fn skip_gap(&mut self, bytes: u64) {
        self.has_data = true;
        self.recent = Recent::default();
        self.advance(self.next + bytes);
        self.highest = self.highest.max(self.next);
    }

    fn advance(&mut self, next: u64) {
        self.next = next;
        let Some(disorder) = &mut self.disorder else {
            return;
        };
        disorder.hole = None;
        while let Some(entry) = disorder.cut.first_entry()
            && *entry.get() <= next
        {
            entry.remove();
        }
    }
}

fn skip(piece: &mut Piece, bytes: u64) {
    let _ = piece.bytes.split_to(bytes as usize);
    piece.offset += bytes;
}

/// The last bytes of a stream.
#[derive(Clone, Copy)]
struct Recent {
    /// Filled from the end.
    bytes: [u8; RECENT_BYTES],
    length: u8,
}

impl Recent {
    fn bytes(&self) -> &[u8] {
        &self.bytes[RECENT_BYTES - usize::from(self.length)..]
    }

    fn push(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(RECENT_BYTES);
        self.bytes.copy_within(taken.., 0);
        self.bytes[RECENT_BYTES - taken..].copy_from_slice(&bytes[bytes.len() - taken..]);
        self.length = (usize::from(self.length) + taken).min(RECENT_BYTES) as u8;
    }
}

impl Default for Recent {
    fn default() -> Recent {
        Recent {
            bytes: [0; RECENT_BYTES],
            length: 0,
        }
    }
}

impl std::fmt::Debug for Recent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recent({})", self.length)
    }
}
