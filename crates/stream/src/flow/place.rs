//! Where a segment belongs in its flow, and what its flags say of the other direction.

use super::Flow;
use crate::segment::{Direction, Segment, Source, TcpFlags};
use crate::sink::Sink;

/// Offsets from here on belong to a direction whose begin was not seen.
const MID_STREAM_OFFSET: u64 = 1 << 39;

/// An acknowledgement of bytes that are missing here is believed when its segment lies no farther
/// than this from its sender's other bytes: else it may be of an earlier connection.
const IN_PLACE_BYTES: u64 = 1 << 20;

impl Flow {
    pub(super) fn see_handshake(&mut self, direction: Direction, segment: &Segment) {
        let flags = segment.flags;
        let is_syn = flags.has(TcpFlags::SYN);
        if is_syn && flags.has(TcpFlags::ACK) {
            // Whoever sent an RST before, the connection begins now.
            self.forget_reset();
        }
        if self.handshake_is_over {
            return;
        }
        if is_syn {
            let handshake = self.handshake.get_or_insert_default();
            match flags.has(TcpFlags::ACK) {
                false => handshake.syn(segment.time),
                true => handshake.syn_ack(segment.time),
            }
        } else if flags.has(TcpFlags::ACK)
            && !flags.has(TcpFlags::RST)
            && let Some(handshake) = &self.handshake
            && handshake.acknowledgement(direction)
        {
            self.facts.round_trip_ns = handshake.round_trip_ns(segment.time);
            self.handshake_is_over = true;
            self.handshake = None;
        }
    }

    /// The stream offset of the segment's payload, negative when before the stream's begin.
    pub(super) fn place(&mut self, direction: Direction, segment: &Segment) -> Option<i64> {
        let is_syn = segment.flags.has(TcpFlags::SYN);
        let first = segment.sequence_number.wrapping_add(u32::from(is_syn));
        if let Source::Kernel { offset, .. } = segment.source {
            let half = self.half(direction);
            if !half.is_begun() && !half.has_data && offset >= MID_STREAM_OFFSET {
                half.begin(first, offset);
            }
            half.learn(first, offset);
            return i64::try_from(offset).ok();
        }
        let flags = segment.flags;
        if flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::RST) {
            let other = self.half(direction.opposite());
            let known = other.offset_of(segment.acknowledgement);
            let plausible = known.is_some_and(|offset| (0..1 << 30).contains(&offset));
            if !other.has_data && !plausible {
                other.begin(segment.acknowledgement, 0);
            }
        }
        let half = self.half(direction);
        // A second SYN-ACK with another number replaces the first. Nothing but a SYN or bytes
        // tells where a direction begins: a forged FIN must not.
        let tells = is_syn || !half.is_begun() && segment.wire_bytes > 0;
        if !half.has_data && tells {
            half.begin(first, 0);
        }
        half.offset_of(first)
    }

    /// Up to where the sender has received the other direction.
    pub(super) fn see_acknowledgement(
        &mut self,
        direction: Direction,
        offset: i64,
        segment: &Segment,
    ) -> Option<u64> {
        if !segment.flags.has(TcpFlags::ACK) || segment.flags.has(TcpFlags::RST) {
            return None;
        }
        let is_in_place = offset.abs_diff(self.half(direction).next() as i64) <= IN_PLACE_BYTES;
        let other = self.half(direction.opposite());
        let offset = u64::try_from(other.offset_of(segment.acknowledgement)?).ok()?;
        // The acknowledgement of a FIN counts one past the last byte.
        let offset = match other.fin() {
            Some(fin) => offset.min(fin),
            None => offset,
        };
        if offset > other.highest().saturating_add(crate::tcp::half::MAX_WINDOW) {
            return None;
        }
        if offset > other.next() && !is_in_place {
            return None;
        }
        other.acknowledge(offset);
        if segment.source == Source::Packet {
            // A hook passes over empty acknowledgements: silence says nothing there.
            other.hear_receiver(offset);
        }
        Some(offset)
    }

    pub(super) fn see_reset(
        &mut self,
        direction: Direction,
        offset: i64,
        segment: &Segment,
        sink: &mut Sink<'_>,
    ) {
        let half = self.half(direction);
        // The sender's next byte, give or take what the capture has not seen: what the receiver
        // acknowledged, and one more for a FIN (RFC 5961, section 3).
        let low = half.next().min(half.acknowledged());
        let high = half.highest().max(half.acknowledged()) + 1;
        let fits = u64::try_from(offset).is_ok_and(|offset| (low..=high).contains(&offset));
        if fits || matches!(segment.source, Source::Kernel { .. }) || !half.has_data {
            self.begin_reset(direction, sink.now);
        } else {
            sink.books.counts.ignored_resets += 1;
        }
    }
}

/// True when a kernel offset says that the begin of its direction was not seen.
pub(crate) fn is_mid_stream(offset: u64) -> bool {
    offset >= MID_STREAM_OFFSET
}
