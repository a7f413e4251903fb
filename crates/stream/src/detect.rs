//! Which protocol a flow speaks.

use std::collections::VecDeque;

use crate::event::Watermark;
use crate::protocol::{self, Opening, Parser, Start, Verdict};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use crate::time::Timestamp;

/// A flow whose begin was seen may still turn into a known protocol after so many opaque bytes
/// (a proxy's handshake).
const PREFACE_BYTES: u64 = 4096;

/// What takes the bytes of a flow: a parser once a protocol claims it.
#[derive(Debug)]
pub(crate) struct Reader {
    parser: Option<Box<dyn Parser>>,
    /// The directions until a protocol claims them. None: nothing was seen.
    sides: Option<Box<[Undecided; 2]>>,
    /// Messages may start anywhere in it, at any time.
    mid_stream: bool,
    /// Its first bytes are the first of a message, if of anything.
    at_boundary: bool,
    has_gap: bool,
    opaque_bytes: u64,
    is_unreadable: bool,
    unclaimed: Unclaimed,
    first_index: u32,
}

/// What is known of a flow that nobody claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unclaimed {
    /// A protocol may claim it yet.
    #[default]
    Open,
    /// Nobody will, and that was not told yet.
    Found { is_tls: bool },
    /// It was.
    Told,
}

/// One direction of an unclaimed flow.
#[derive(Debug, Default)]
struct Undecided {
    held: VecDeque<Piece>,
    held_bytes: u64,
    /// Everything below is accounted for.
    consumed: u64,
    /// Bytes of it were given up as opaque.
    is_opaque: bool,
}

impl Reader {
    /// For a new flow.
    pub fn new(mid_stream: bool) -> Reader {
        Reader::at(Watermark::default(), mid_stream, !mid_stream, 0)
    }

    /// For a flow that goes on between messages.
    pub fn resumed(from: Watermark, first_index: u32) -> Reader {
        Reader::at(from, true, true, first_index)
    }

    /// For a tunnel in a flow.
    pub fn inside(from: Watermark, first_index: u32) -> Reader {
        Reader::at(from, false, true, first_index)
    }

    /// For a protocol that is known not to be one of ours.
    pub fn unreadable(from: Watermark, first_index: u32) -> Reader {
        let mut reader = Reader::inside(from, first_index);
        reader.is_unreadable = true;
        reader
    }

    fn at(from: Watermark, mid_stream: bool, at_boundary: bool, first_index: u32) -> Reader {
        let side = |consumed| Undecided {
            consumed,
            ..Undecided::default()
        };
        let is_new = from == Watermark::default();
        Reader {
            parser: None,
            sides: (!is_new).then(|| Box::new([side(from.client), side(from.server)])),
            mid_stream,
            at_boundary,
            has_gap: false,
            opaque_bytes: 0,
            is_unreadable: false,
            unclaimed: Unclaimed::Open,
            first_index,
        }
    }
}

impl Parser for Reader {
    fn piece(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        if let Some(parser) = &mut self.parser {
            return parser.piece(direction, piece, sink);
        }
        if self.is_unreadable || self.opaque_bytes > PREFACE_BYTES && !self.mid_stream {
            return self.opaque(direction, piece, sink);
        }
        if direction == Direction::Server && !self.mid_stream && self.is_opaque(direction) {
            // A server's first bytes claim a flow, later ones don't.
            return self.opaque(direction, piece, sink);
        }
        let verdict = self.judge(direction, &piece);
        self.hold(direction, piece);
        match verdict {
            Verdict::Claimed(opening) => self.start(opening, sink),
            Verdict::Unsure => {
                if let Some(opening) = self.judge_both() {
                    self.start(opening, sink);
                } else if self.held_bytes() > sink.limits.max_head_bytes {
                    self.flush(sink);
                }
            }
            Verdict::Nobodys => self.flush(sink),
        }
    }

    fn gap(&mut self, direction: Direction, offset: u64, bytes: u64, sink: &mut Sink<'_>) {
        match &mut self.parser {
            Some(parser) => parser.gap(direction, offset, bytes, sink),
            None => {
                self.flush(sink);
                // What the gap hid may have been the start of a message.
                self.mid_stream = true;
                self.at_boundary = false;
                self.has_gap = true;
                let side = self.side(direction);
                side.consumed = side.consumed.max(offset + bytes);
            }
        }
    }

    fn end(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        if let Some(parser) = &mut self.parser {
            parser.end(direction, sink);
        }
    }

    fn close(&mut self, now: Timestamp, cause: &'static str, sink: &mut Sink<'_>) {
        match &mut self.parser {
            Some(parser) => parser.close(now, cause, sink),
            None => self.flush(sink),
        }
    }

    fn held_bytes(&self) -> u64 {
        match &self.parser {
            Some(parser) => parser.held_bytes(),
            None => self
                .sides
                .as_ref()
                .map_or(0, |sides| sides.iter().map(|side| side.held_bytes).sum()),
        }
    }

    fn pending_exchanges(&self) -> u64 {
        self.parser
            .as_ref()
            .map_or(0, |parser| parser.pending_exchanges())
    }

    fn watermark(&self) -> Watermark {
        match &self.parser {
            Some(parser) => parser.watermark(),
            None => self
                .sides
                .as_ref()
                .map_or(Watermark::default(), |sides| Watermark {
                    client: sides[0].consumed,
                    server: sides[1].consumed,
                }),
        }
    }

    fn next_index(&self) -> u32 {
        self.parser
            .as_ref()
            .map_or(self.first_index, |parser| parser.next_index())
    }

    fn state_bytes(&self) -> u64 {
        self.parser
            .as_ref()
            .map_or(0, |parser| parser.state_bytes())
    }
}

impl Reader {
    /// Once, when nobody will ever claim the flow: whether it looks like TLS.
    pub fn take_unclaimed(&mut self) -> Option<bool> {
        let Unclaimed::Found { is_tls } = self.unclaimed else {
            return None;
        };
        self.unclaimed = Unclaimed::Told;
        Some(is_tls)
    }

    fn side(&mut self, direction: Direction) -> &mut Undecided {
        let sides = self.sides.get_or_insert_default();
        &mut sides[direction as usize]
    }

    /// Bytes of the direction were given up as opaque.
    fn is_opaque(&self, direction: Direction) -> bool {
        let sides = self.sides.as_ref();
        sides.is_some_and(|sides| sides[direction as usize].is_opaque)
    }

    /// Probes what is held of the direction with the new piece, and the new piece alone.
    fn judge(&mut self, direction: Direction, piece: &Piece) -> Verdict {
        let at_boundary = self.at_boundary;
        let side = self.side(direction);
        let begins = at_boundary && !side.is_opaque;
        if side.held.is_empty() {
            return protocol::probe(direction, &piece.bytes, begins);
        }
        let mut bytes: Vec<u8> = Vec::new();
        for held in &side.held {
            bytes.extend_from_slice(&held.bytes);
        }
        bytes.extend_from_slice(&piece.bytes);
        match protocol::probe(direction, &bytes, begins) {
            Verdict::Nobodys => protocol::probe(direction, &piece.bytes, false),
            verdict => verdict,
        }
    }

    /// Probes the first pieces of both directions, when the server's answers the client's.
    fn judge_both(&self) -> Option<&'static Opening> {
        let [client_side, server_side] = self.sides.as_deref()?;
        let (client, server) = (client_side.held.front()?, server_side.held.front()?);
        let is_answer = server.after.is_none_or(|after| after > client.offset);
        let is_first = self.at_boundary && !client_side.is_opaque && !server_side.is_opaque;
        match is_answer && is_first {
            true => protocol::probe_both(&client.bytes, &server.bytes),
            false => None,
        }
    }

    fn hold(&mut self, direction: Direction, mut piece: Piece) {
        // Held for a while: it must not pin the buffer it came in.
        piece.bytes = bytes::Bytes::copy_from_slice(&piece.bytes);
        let side = self.side(direction);
        side.held_bytes += piece.bytes.len() as u64;
        side.held.push_back(piece);
    }

    fn start(&mut self, opening: &'static Opening, sink: &mut Sink<'_>) {
        let mut parser = (opening.start)(Start {
            from: self.watermark(),
            client_is_lost: !self.at_boundary || self.is_opaque(Direction::Client),
            server_is_lost: !self.at_boundary || self.is_opaque(Direction::Server),
            has_gap: self.has_gap,
            begins: !self.mid_stream,
            first_index: self.first_index,
        });
        for direction in [Direction::Client, Direction::Server] {
            let side = self.side(direction);
            side.held_bytes = 0;
            for piece in std::mem::take(&mut side.held) {
                parser.piece(direction, piece, sink);
            }
        }
        self.parser = Some(parser);
        self.sides = None;
    }

    fn flush(&mut self, sink: &mut Sink<'_>) {
        self.flush_side(Direction::Client, sink);
        self.flush_side(Direction::Server, sink);
    }

    fn flush_side(&mut self, direction: Direction, sink: &mut Sink<'_>) {
        let side = self.side(direction);
        side.held_bytes = 0;
        for piece in std::mem::take(&mut side.held) {
            self.pass(direction, piece, sink);
        }
    }

    /// Gives up a piece, after what is held of its direction.
    fn opaque(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        self.flush_side(direction, sink);
        self.pass(direction, piece, sink);
    }

    fn pass(&mut self, direction: Direction, piece: Piece, sink: &mut Sink<'_>) {
        let is_first = self.opaque_bytes == 0;
        self.opaque_bytes += piece.bytes.len() as u64;
        if self.unclaimed == Unclaimed::Open {
            let is_tls = is_first && is_tls_record(&piece.bytes, !self.mid_stream);
            let is_past_preface = self.opaque_bytes > PREFACE_BYTES && !self.mid_stream;
            if is_tls || is_past_preface || self.is_unreadable {
                self.unclaimed = Unclaimed::Found { is_tls };
            }
        }
        let side = self.side(direction);
        side.consumed = piece.end();
        side.is_opaque = true;
        sink.opaque(direction, piece);
    }
}

/// Whether the bytes begin like a record of TLS 1.0 to 1.3 (RFC 8446, section 5.1): its type, its
/// version, and a length that it may have. A connection begins with a handshake.
fn is_tls_record(bytes: &[u8], begins: bool) -> bool {
    const HANDSHAKE: u8 = 22;
    const LARGEST: u16 = (1 << 14) + 2048;
    let [kind, 3, 0..=4, upper, lower, ..] = *bytes else {
        return false;
    };
    let is_kind = match begins {
        true => kind == HANDSHAKE,
        false => (20..=23).contains(&kind),
    };
    let length = u16::from_be_bytes([upper, lower]);
    is_kind && (1..=LARGEST).contains(&length)
}

#[cfg(test)]
mod tests {
    use super::is_tls_record;

    #[test]
    fn tls_is_told_by_a_record_s_head() {
        let hello = [22, 3, 1, 2, 0, 1];
        let data = [23, 3, 3, 0x40, 0x18, 9];
        assert!(is_tls_record(&hello, true) && is_tls_record(&hello, false));
        assert!(is_tls_record(&data, false) && !is_tls_record(&data, true));
        assert!(!is_tls_record(&[23, 3, 3, 0x50, 0, 9], false), "too long");
        assert!(!is_tls_record(&[22, 3, 1], true), "no length");
        assert!(!is_tls_record(b"\x16\x02\x01\x00\x10", true));
    }
}
