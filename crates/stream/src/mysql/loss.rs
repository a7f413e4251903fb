//! Messages of which something is missing, and where it goes on after them.

use bytes::Bytes;

use super::Mysql;
use super::frames::Frames;
use super::login::Capabilities;
use super::probe::{self, Found};
use super::reply::Stage;
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;

impl Mysql {
    /// Bytes are missing: a hole within one payload is passed over, any other loses the place.
    pub(super) fn pass_gap(
        &mut self,
        direction: Direction,
        offset: u64,
        bytes: u64,
        sink: &mut Sink<'_>,
    ) {
        let side = self.side(direction);
        if side.lost.is_some() {
            return;
        }
        if side.frames.is_none() && side.packets.skip(bytes) {
            // The payload may end with the hole.
            let nothing = Piece {
                offset: offset + bytes,
                bytes: Bytes::new(),
                time: sink.now,
                after: None,
            };
            self.run_packets(direction, &nothing, sink);
            return;
        }
        self.break_off(direction, "gap_in_framing", offset, sink);
    }

    /// A message that can't be followed any more is over.
    pub(super) fn break_off(
        &mut self,
        direction: Direction,
        cause: &'static str,
        offset: u64,
        sink: &mut Sink<'_>,
    ) {
        self.drop_message(direction, cause, sink);
        let is_framed = self.session.is_framed;
        let side = self.side(direction);
        side.lost.get_or_insert(offset);
        side.is_regained = false;
        if is_framed {
            side.frames = Some(Frames::default());
        }
    }

    /// No more bytes come in `direction`.
    pub(super) fn stop(&mut self, direction: Direction, cause: &'static str, sink: &mut Sink<'_>) {
        self.drop_message(direction, cause, sink);
        if direction == Direction::Server {
            while self.queue.answering().is_some() {
                self.lose_reply();
            }
        }
    }

    /// Finishes what is in progress, and discards what is held.
    fn drop_message(&mut self, direction: Direction, cause: &'static str, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        sink.discard(cause, side.held().len());
        side.packets.reset();
        side.frames = None;
        side.frame_exchange = None;
        side.awaits_packet = false;
        side.expected = None;
        match direction {
            Direction::Client => {
                self.client.current = None;
                self.client.is_login = false;
                if let Some(open) = self.queue.receiving() {
                    open.request_progress.damaged |= open.request_progress.begun;
                    open.request_progress.done = true;
                    open.sends_file = false;
                }
            }
            Direction::Server if self.server.current.is_some() => self.lose_reply(),
            Direction::Server => {}
        }
    }

    /// The reply in progress, or the next one, is over without its end having been seen.
    pub(super) fn lose_reply(&mut self) {
        let is_whole = self.stage == Stage::LastEof && self.server.current.is_some();
        self.with_reply(|open| {
            open.response_progress.damaged |= open.response_progress.begun && !is_whole;
        });
        self.finish_reply();
    }

    /// After a place where replies may be missing: a command that its client began when it had
    /// received bytes past that place tells that the commands before it were answered there. Where
    /// acknowledgements are unknown, that the protocol has one command at a time tells it.
    pub(super) fn settle_lost_replies(&mut self, after: Option<u64>) {
        let Some(lost_from) = self.server.lost else {
            return;
        };
        if after.is_none_or(|after| after > lost_from) {
            while self.queue.answering().is_some() {
                self.lose_reply();
            }
        }
    }

    /// Where a reply begins after a loss: the commands before one that its client began when it
    /// had received bytes past the place of the loss were answered there.
    pub(super) fn settle_answered(&mut self, begins: u64) {
        while let Some(index) = self.queue.answering()
            && let Some(next) = self.queue.open.get(index + 1)
            && next
                .request_after
                .is_none_or(|after| after > self.server.lost_from && after <= begins)
        {
            self.lose_reply();
        }
    }

    /// More commands wait for their replies than any client sends: the oldest is given up.
    pub(super) fn drop_oldest(&mut self, sink: &mut Sink<'_>) {
        self.with_reply(|open| open.response_progress.flags.set("reply_unseen"));
        if self.server.current.is_some() {
            let offset = self.server.consumed;
            self.break_off(Direction::Server, "resync", offset, sink);
        } else {
            self.lose_reply();
        }
        self.queue.emit(sink);
    }

    /// Whether a message that can be understood begins with this piece, after a loss.
    pub(super) fn regain(&mut self, direction: Direction, piece: &Piece) -> bool {
        let is_regained = match direction {
            Direction::Client => self.regain_client(&piece.bytes),
            Direction::Server => self.regain_server(piece),
        };
        if is_regained {
            let side = self.side(direction);
            side.lost_from = side.lost.take().unwrap_or(0);
            side.is_regained = true;
        }
        is_regained
    }

    fn regain_client(&mut self, bytes: &[u8]) -> bool {
        let found = probe::client(bytes);
        if self.session.is_framed {
            return found == Some(Found::Framed) || probe::frame(bytes, 0);
        }
        match found {
            Some(Found::Login) => self.client.is_login = true,
            Some(Found::Command) => self.miss_login(),
            Some(Found::Framed) => {
                self.miss_login();
                self.begin_frames();
            }
            None if self.awaits_compression() && probe::frame(bytes, 0) => self.begin_frames(),
            None => return false,
        }
        true
    }

    /// The client is past its login, if it had one to say.
    fn miss_login(&mut self) {
        self.client.is_login = false;
        // All that it had begun was over when its place was lost.
        if let Some(login) = self.queue.receiving() {
            login.request_progress.done = true;
        }
    }

    fn regain_server(&mut self, piece: &Piece) -> bool {
        if probe::greeting(&piece.bytes) && self.queue.open.is_empty() {
            return true;
        }
        let is_framed = self.session.is_framed;
        if let Some(open) = self.queue.answered() {
            let is_past = open.request_after.is_none_or(|after| piece.offset >= after);
            let sequence = open.expected.unwrap_or(1);
            let fits = match is_framed {
                true => probe::frame(&piece.bytes, 1),
                false => probe::fits(&piece.bytes, sequence, open.shape),
            };
            if is_past && fits {
                return true;
            }
        }
        !is_framed && probe::reply(&piece.bytes)
    }

    /// True once both sides agreed to compress, until frames are seen.
    pub(super) fn awaits_compression(&self) -> bool {
        !self.session.is_framed
            && self.session.capabilities.is_some_and(|known| {
                known.has(Capabilities::COMPRESS) || known.has(Capabilities::ZSTD)
            })
    }

    /// The client sends frames from here on, and so does the server where its place is lost.
    pub(super) fn begin_frames(&mut self) {
        self.session.is_framed = true;
        if self.client.frames.is_none() {
            // What is held of a packet's header is of a frame's.
            let held = self.client.packets.take_held();
            self.client.frames.insert(Frames::default()).header(&held);
        }
        if self.server.lost.is_some() {
            self.server.frames.get_or_insert_default();
        }
    }
}
