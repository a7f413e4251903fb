//! When the values of a response came: those of a conversation come message by message, and
//! can be used long before it ends.

use twintap_scrub::{ExchangeRecord, Leaf, Part, Piece, Timeline};
use twintap_stream::Timestamp;

/// When what a response of several messages says came.
pub(crate) struct Arrivals<'a> {
    timeline: &'a Timeline,
    begin: Timestamp,
}

impl Arrivals<'_> {
    /// Those of the response of `record`; `None` where its body came as one, or nothing says
    /// which part of it came when.
    pub fn of(record: &ExchangeRecord) -> Option<Arrivals<'_>> {
        let timeline = &record.response.timeline;
        // Where a network or a sender cut a document says nothing of what is in it.
        let is_said = |piece: Piece| !matches!(piece, Piece::Bytes | Piece::Chunk);
        let are_messages =
            !timeline.is_empty() && timeline.marks.iter().all(|mark| is_said(mark.piece));
        (are_messages && !timeline.is_scaled).then_some(Arrivals {
            timeline,
            begin: record.exchange.response.first_byte,
        })
    }

    /// When the message that has the leaf was there; what the head says comes with it.
    pub fn of_leaf(&self, leaf: &Leaf) -> Timestamp {
        if leaf.part != Part::Body {
            return self.begin;
        }
        let marks = &self.timeline.marks;
        let place = marks.partition_point(|mark| mark.end <= u64::from(leaf.start));
        let mark = marks.get(place).or(marks.last());
        self.begin.plus_ns(mark.map_or(0, |mark| mark.after_ns))
    }
}
