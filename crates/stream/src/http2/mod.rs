//! HTTP/2 (RFC 9113), gRPC included.
//!
//! Each stream becomes an exchange, which is emitted when both its messages are over, in any
//! order. What can't be known of a connection that was joined late, or of which something was
//! missed, is never guessed: fields that refer to unknown entries of the header table are left
//! out, and their heads flagged `headers_unknown`.

mod frame;
mod frames;
mod head;
mod headers;
pub(crate) mod hpack;
mod loss;
mod probe;
mod receive;
mod settings;
mod side;
mod stream;
mod streams;
#[cfg(test)]
mod tests;
mod upgrade;

use self::side::{Side, State};
use self::stream::Open;
use self::streams::Streams;
use crate::event::Watermark;
use crate::message::Exchange;
use crate::protocol::{Opening, Parser, Protocol, Start};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

pub(crate) const PROTOCOL: Protocol = Protocol {
    opening: Some(Opening {
        probe: probe::probe,
        probe_both: None,
        start: |start| Box::new(Http2::new(start)),
    }),
    upgrade: Some(upgrade::upgrade),
};

/// The parser of one connection.
#[derive(Debug)]
struct Http2 {
    client: Side,
    server: Side,
    streams: Streams,
    has_preface: bool,
    /// The request of stream 1 is still with HTTP/1.
    awaits_request: bool,
    is_closed: bool,
}

impl Parser for Http2 {
    fn piece(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        self.receive(direction, piece, sink);
        self.settle_doubts(sink);
        while let Some(stream) = self.streams.oldest_above(sink.limits.flow_buffer_bytes) {
            self.evict(stream, sink);
        }
    }

    fn gap(&mut self, direction: Direction, offset: u64, bytes: u64, sink: &mut Sink<'_>) {
        self.miss(direction, offset, bytes, sink);
    }

    fn end(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        self.stop(direction, "unfinished_head", sink);
        for stream in self.streams.ids() {
            self.give_up(stream, direction, sink);
        }
    }

    fn close(&mut self, _: Timestamp, cause: &'static str, sink: &mut Sink<'_>) {
        self.is_closed = true;
        for direction in [Direction::Client, Direction::Server] {
            self.stop(direction, cause, sink);
            self.side(direction).drop_tables();
        }
        for stream in self.streams.ids() {
            self.give_up(stream, Direction::Client, sink);
            self.give_up(stream, Direction::Server, sink);
        }
    }

    fn held_bytes(&self) -> u64 {
        self.client.held_bytes() + self.server.held_bytes()
    }

    fn state_bytes(&self) -> u64 {
        self.client.decoder.cost() + self.server.decoder.cost() + self.streams.cost()
    }

    fn pending_exchanges(&self) -> u64 {
        self.streams.len() - u64::from(self.awaits_request)
    }

    fn watermark(&self) -> Watermark {
        self.streams.watermark(Watermark {
            client: self.client.watermark(),
            server: self.server.watermark(),
        })
    }

    fn next_index(&self) -> u32 {
        self.streams.next_index
    }

    fn adopts(&self) -> bool {
        self.awaits_request
    }

    fn adopt(&mut self, exchange: Box<Exchange>, sink: &mut Sink<'_>) {
        self.take_request(*exchange, sink);
    }
}

impl Http2 {
    fn new(start: Start) -> Http2 {
        let side = |consumed, is_lost, first| {
            let state = if is_lost { State::Lost } else { first };
            match start.begins && !is_lost {
                true => Side::fresh(consumed, state),
                false => Side::mid_stream(consumed, state),
            }
        };
        let mut streams = Streams::new(start.first_index);
        if !start.begins || start.client_is_lost || start.server_is_lost {
            streams.doubt();
        }
        Http2 {
            client: side(start.from.client, start.client_is_lost, State::Start),
            server: side(start.from.server, start.server_is_lost, State::Header),
            streams,
            has_preface: false,
            awaits_request: false,
            is_closed: false,
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Client => &mut self.client,
            Direction::Server => &mut self.server,
        }
    }

    /// Takes up a stream that begins now.
    fn open(&mut self, stream: u32, mut open: Open) {
        for direction in [Direction::Client, Direction::Server] {
            open.progress_mut(direction).breaks = self.side(direction).breaks;
        }
        self.streams.insert(stream, open);
    }

    /// Emits the stream if it is over.
    fn settle(&mut self, stream: u32, sink: &mut Sink<'_>) {
        let faults = [&self.client.faults, &self.server.faults];
        self.streams.settle(stream, faults, sink);
    }

    /// The message of the stream in `direction` is over with what was seen last.
    fn finish(&mut self, stream: u32, direction: Direction, sink: &mut Sink<'_>) {
        let breaks = self.side(direction).breaks;
        let (breaks_of_client, is_whole) = (self.client.breaks, self.streams.is_whole());
        let Some(open) = self.streams.get(stream) else {
            return;
        };
        open.finish(direction, breaks);
        if direction == Direction::Server
            && !open.progress(Direction::Client).is_done
            && (open.progress(Direction::Client).breaks != breaks_of_client
                || !open.progress(Direction::Client).is_begun && !is_whole)
        {
            // Its end was among what is missing, or it doesn't matter any more.
            self.give_up(stream, Direction::Client, sink);
        }
        self.settle(stream, sink);
    }

    /// No more is to be expected of the stream's message in `direction`.
    fn give_up(&mut self, stream: u32, direction: Direction, sink: &mut Sink<'_>) {
        let is_awaited = self.awaits_request && stream == 1 && direction == Direction::Client;
        if let Some(open) = self.streams.get(stream)
            && !open.progress(direction).is_done
            && !is_awaited
        {
            open.abandon(direction);
            self.settle(stream, sink);
        }
    }

    /// Gives up what is not over of the stream, with a flag that says why.
    fn break_off(&mut self, stream: u32, flag: &'static str, sink: &mut Sink<'_>) {
        let Some(open) = self.streams.get(stream) else {
            return;
        };
        for direction in [Direction::Client, Direction::Server] {
            if !open.progress(direction).is_done {
                open.flag(direction, flag);
            }
        }
        self.give_up(stream, Direction::Client, sink);
        self.give_up(stream, Direction::Server, sink);
    }

    fn evict(&mut self, stream: u32, sink: &mut Sink<'_>) {
        if self.awaits_request && stream == 1 {
            // HTTP/1 still has its request, and emits it.
            self.awaits_request = false;
        }
        self.break_off(stream, "stream_evicted", sink);
    }
}
