//! Bodies and trailers out, by turns and within windows (RFC 9113, section 5.2).

use bytes::BytesMut;

use super::Client;
use super::frame::{self, HEADER_BYTES, MAX_FRAME_BYTES};
use super::stream::Next;

/// DATA that is made ahead of writing: the head of a later request waits behind no
/// more than this.
const AHEAD_BYTES: u64 = 64 << 10;

impl Client {
    /// Makes frames of what may be sent at `now_ns`, until enough wait to
    /// be written.
    pub(super) fn fill(&mut self, now_ns: u64) {
        while self.unwritten() < AHEAD_BYTES
            && let Some((id, next)) = self.next_in_turn(now_ns)
        {
            self.turn = id;
            match next {
                Next::Data(most) => self.send_data(id, most),
                Next::Trailers => self.send_trailers(id),
            }
        }
    }

    /// The next stream after the last one that has something to send now.
    fn next_in_turn(&self, now_ns: u64) -> Option<(u32, Next)> {
        let after = self.sending.range(self.turn + 1..);
        let mut ids = after.chain(self.sending.range(..=self.turn));
        ids.find_map(|id| {
            let next = self.streams.get(id)?.next(self.window, now_ns)?;
            Some((*id, next))
        })
    }

    fn send_data(&mut self, id: u32, most: usize) {
        let frame_bytes = self.peer.frame_bytes.min(MAX_FRAME_BYTES);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let (data, is_last) = stream.take(most.min(frame_bytes));
        stream.window -= data.len() as i64;
        self.window -= data.len() as i64;
        let flags = if is_last { frame::END_STREAM } else { 0 };
        let mut header = BytesMut::with_capacity(HEADER_BYTES);
        frame::write_header(&mut header, data.len(), frame::DATA, flags, id);
        self.write(header.freeze());
        if !data.is_empty() {
            self.write(data);
        }
        if is_last {
            self.sending.remove(&id);
        }
    }

    fn send_trailers(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let sections = stream.end_sending();
        let mut block = Vec::with_capacity(64);
        self.encoder.encode(&sections.trailers, &mut block);
        self.write(frame::header_block(id, &block, true, self.peer.frame_bytes));
        self.sending.remove(&id);
    }
}
