//! One direction of a flow: bytes in order out of segments in any order.

use std::collections::BTreeMap;

use bytes::Bytes;

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
}

/// The largest window that TCP can have (RFC 7323, section 2.3).
pub(crate) const MAX_WINDOW: u64 = 1 << 30;

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
    /// Disjoint pieces at or above `next`.
    waiting: BTreeMap<u64, Piece>,
    waiting_bytes: u64,
    /// Offset at which the direction ends.
    fin: Option<u64>,
    hole: Option<Hole>,
    /// Ranges that segments had on the wire and that the capture cut off.
    cut: BTreeMap<u64, u64>,
    /// True once its end was handed on.
    pub ended: bool,
    /// True once any payload was seen, or given up: its offsets are settled.
    pub has_data: bool,
}

impl Half {
    /// Sets where the stream begins: `sequence` is that of the byte at `offset`.
    pub fn begin(&mut self, sequence: u32, offset: u64) {
        self.base = Some(sequence.wrapping_sub(offset as u32));
        self.next = offset;
        self.highest = offset;
        self.acknowledged = offset;
        self.fin = None;
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
        self.fin
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The receiver acknowledged everything below `offset`.
    pub fn acknowledge(&mut self, offset: u64) {
        // An acknowledgement of bytes that nobody could have sent is no evidence.
        if offset > self.acknowledged && offset <= self.highest.saturating_add(MAX_WINDOW) {
            self.acknowledged = match self.fin {
                Some(fin) => offset.min(fin.max(self.acknowledged)),
                None => offset,
            };
        }
    }

    /// The sender ends its direction at `offset`.
    pub fn set_fin(&mut self, offset: u64) {
        if offset >= self.next && offset >= self.highest {
            self.fin = Some(offset);
            self.acknowledged = self.acknowledged.min(offset);
        }
    }

    /// Forgets a FIN that later data contradicts.
    pub fn clear_fin(&mut self) {
        self.fin = None;
    }

    /// Everything that the sender sent is handed on.
    pub fn is_at_fin(&self) -> bool {
        self.fin.is_some_and(|fin| fin <= self.next)
    }

    pub fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// What holding the waiting pieces costs.
    pub fn cost(&self) -> u64 {
        self.waiting_bytes + self.waiting.len() as u64 * PIECE_OVERHEAD
    }

    /// Takes bytes in. `wire_end` is one past the last byte that the segment had on the wire.
    /// Bytes seen first win; the rest of an overlap is duplicate.
    pub fn insert(&mut self, piece: Piece, wire_end: u64) -> Inserted {
        let mut result = Inserted::default();
        self.has_data = true;
        self.highest = self.highest.max(wire_end).max(piece.end());
        if wire_end > piece.end() && wire_end > self.next {
            let end = self.cut.entry(piece.end()).or_default();
            *end = wire_end.max(*end);
        }
        let mut rest = piece;
        if rest.offset < self.next {
            let seen = (self.next - rest.offset).min(rest.bytes.len() as u64);
            result.duplicate += seen;
            skip(&mut rest, seen);
        }
        while !rest.bytes.is_empty() {
            // The held piece that covers the first byte of the rest, else the next one above.
            let below = self.waiting.range(..=rest.offset).next_back();
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
            let above = self.waiting.range(rest.offset..).next();
            let room = above.map_or(u64::MAX, |(offset, _)| offset - rest.offset);
            let length = room.min(rest.bytes.len() as u64);
            let mut part = Piece {
                bytes: rest.bytes.slice(..length as usize),
                ..rest.clone()
            };
            if part.offset != self.next {
                // It will be held for a while: a small piece must not pin the buffer it came in.
                part.bytes = Bytes::copy_from_slice(&part.bytes);
            }
            result.fresh += length;
            self.waiting_bytes += length;
            self.waiting.insert(part.offset, part);
            skip(&mut rest, length);
        }
        result
    }

    /// The piece at the front, when nothing is missing before it.
    pub fn front(&self) -> Option<&Piece> {
        let (offset, piece) = self.waiting.first_key_value()?;
        (*offset == self.next).then_some(piece)
    }

    /// Takes the piece that [`Half::front`] showed.
    pub fn pop(&mut self) -> Option<Piece> {
        self.front()?;
        let (_, piece) = self.waiting.pop_first()?;
        self.waiting_bytes -= piece.bytes.len() as u64;
        self.advance(piece.end());
        Some(piece)
    }

    /// Where the missing bytes at the front end; None when nothing is known to be missing.
    fn hole_end(&self) -> Option<u64> {
        let known = match self.waiting.first_key_value() {
            Some((offset, _)) => *offset,
            None => self.acknowledged.max(self.cut_end().unwrap_or(0)),
        };
        (known > self.next).then_some(known)
    }

    /// Where the range ends that the capture cut off at the front.
    fn cut_end(&self) -> Option<u64> {
        let (_, end) = self.cut.range(..=self.next).next_back()?;
        (*end > self.next).then_some(*end)
    }

    /// Counts a segment of the flow for the age of a hole at the front.
    pub fn age_hole(&mut self, now: Timestamp) {
        let end = self.hole_end();
        match (&mut self.hole, end) {
            (hole, None) => *hole = None,
            (Some(hole), Some(_)) if hole.offset == self.next => hole.segments += 1,
            (hole, Some(_)) => {
                *hole = Some(Hole {
                    offset: self.next,
                    since: now,
                    segments: 0,
                });
            }
        }
    }

    /// Bytes at the front to give up now, by the limits; None when it is worth waiting.
    pub fn overdue_gap(&self, now: Timestamp, limits: &crate::Limits) -> Option<u64> {
        let end = self.hole_end()?;
        if let Some(cut) = self.cut_end() {
            return Some(cut.min(end) - self.next);
        }
        let hole = self.hole?;
        let age = now.since_ns(hole.since);
        if age >= limits.gap_unacknowledged_ns || self.cost() > limits.flow_buffer_bytes {
            return Some(end - self.next);
        }
        let acknowledged = end.min(self.acknowledged);
        let waited = age >= limits.gap_ns || hole.segments >= limits.gap_segments;
        (acknowledged > self.next && waited).then(|| acknowledged - self.next)
    }

    /// When [`Half::overdue_gap`] will say so by time alone.
    pub fn gap_due(&self, limits: &crate::Limits) -> Option<Timestamp> {
        self.hole_end()?;
        let hole = self.hole?;
        let wait = match self.acknowledged > self.next {
            true => limits.gap_ns.min(limits.gap_unacknowledged_ns),
            false => limits.gap_unacknowledged_ns,
        };
        Some(hole.since.plus_ns(wait))
    }

    /// Bytes missing at the front when nothing more will come.
    pub fn final_gap(&self) -> Option<u64> {
        let end = match self.waiting.first_key_value() {
            Some((offset, _)) => *offset,
            None => self
                .acknowledged
                .max(self.highest)
                .max(self.fin.unwrap_or(0)),
        };
        (end > self.next).then(|| end - self.next)
    }

    /// Forgets the waiting pieces; counts their bytes.
    pub fn drop_waiting(&mut self) -> u64 {
        self.waiting.clear();
        std::mem::take(&mut self.waiting_bytes)
    }

    /// Gives up `bytes` at the front.
    pub fn skip_gap(&mut self, bytes: u64) {
        self.has_data = true;
        self.advance(self.next + bytes);
        self.highest = self.highest.max(self.next);
    }

    fn advance(&mut self, next: u64) {
        self.next = next;
        self.hole = None;
        while let Some(entry) = self.cut.first_entry()
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
