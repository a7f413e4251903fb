//! Server-sent events (WHATWG HTML, section 9.2 "Server-sent events").
//!
//! A block of lines up to an empty line is an event when it has a `data` field. Blocks without one
//! (comments that keep the connection alive, `retry`, a lone `id`) are dispatched to nobody, and
//! are no parts: their bytes stay between those of the parts.

use super::{Found, Out};
use crate::part::PartKind;
use crate::time::Timestamp;

/// Follows the events of one body.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Bytes of the body that were seen.
    offset: u64,
    line: Line,
    /// The last byte was a CR: an LF belongs to the same line end.
    after_return: bool,
    /// The block that is being received, or whose end may still be followed by an LF.
    block: Option<Block>,
}

/// The line that is being received.
#[derive(Clone, Copy, Debug, Default)]
enum Line {
    #[default]
    Empty,
    /// So many bytes of `data:`.
    Name(usize),
    /// So many bytes of the byte order mark that may begin a body.
    Mark(usize),
    Other,
    /// Its begin is missing.
    Lost,
}

const DATA: &[u8] = b"data:";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Debug)]
struct Block {
    start: u64,
    has_data: bool,
    has_gap: bool,
    is_over: bool,
    first_byte: Timestamp,
    last_byte: Timestamp,
}

impl Events {
    pub fn push(&mut self, chunk: &[u8], time: Timestamp, out: &mut Out<'_, '_>) {
        let mut rest = chunk;
        while let Some(byte) = rest.first() {
            let follows_return = std::mem::take(&mut self.after_return) && *byte == b'\n';
            if follows_return {
                self.count(1, time);
            }
            self.settle(out);
            let taken = match byte {
                _ if follows_return => 1,
                b'\r' | b'\n' => {
                    self.line_end(time);
                    self.after_return = *byte == b'\r';
                    1
                }
                _ => self.in_line(rest, time),
            };
            if *byte == b'\n' {
                self.settle(out);
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// What is missing may have had ends of events in it. What was seen before it and what follows
    /// up to the next empty line are one incomplete part.
    pub fn gap(&mut self, out: &mut Out<'_, '_>) {
        self.after_return = false;
        self.settle(out);
        if let Some(block) = &mut self.block {
            block.has_gap = true;
        }
        self.line = Line::Lost;
    }

    pub fn end(&mut self, is_complete: bool, out: &mut Out<'_, '_>) {
        self.settle(out);
        self.close(is_complete, out);
    }

    fn in_line(&mut self, rest: &[u8], time: Timestamp) -> usize {
        self.begin(time);
        let line = self.line;
        let (next, taken) = match (line, rest) {
            (Line::Empty, [0xef, ..]) if self.offset == 0 => (Line::Mark(1), 1),
            (Line::Empty, [b'd', ..]) => (Line::Name(1), 1),
            (Line::Name(seen), [byte, ..]) if DATA.get(seen) == Some(byte) => {
                (Line::Name(seen + 1), 1)
            }
            (Line::Mark(seen), [byte, ..]) if BYTE_ORDER_MARK.get(seen) == Some(byte) => {
                (Line::Mark(seen + 1), 1)
            }
            _ => {
                let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                let is_lost = matches!(line, Line::Lost);
                (if is_lost { Line::Lost } else { Line::Other }, end)
            }
        };
        self.line = next;
        self.count(taken, time);
        match (next, &mut self.block) {
            (Line::Mark(seen), block) if seen == BYTE_ORDER_MARK.len() => {
                *block = None;
                self.line = Line::Empty;
            }
            (Line::Name(seen), Some(block)) if seen == DATA.len() => {
                block.has_data = true;
                self.line = Line::Other;
            }
            _ => {}
        }
        taken
    }

    fn line_end(&mut self, time: Timestamp) {
        match self.line {
            Line::Lost => self.begin(time),
            Line::Name(seen) if seen + 1 == DATA.len() => {
                // A name without a colon is a field without a value.
                if let Some(block) = &mut self.block {
                    block.has_data = true;
                }
            }
            Line::Empty => {
                if let Some(block) = &mut self.block {
                    block.is_over = true;
                }
            }
            _ => {}
        }
        self.line = Line::Empty;
        self.count(1, time);
    }

    fn begin(&mut self, time: Timestamp) {
        let has_gap = matches!(self.line, Line::Lost);
        self.block.get_or_insert(Block {
            start: self.offset,
            has_data: false,
            has_gap,
            is_over: false,
            first_byte: time,
            last_byte: time,
        });
    }

    fn count(&mut self, bytes: usize, time: Timestamp) {
        self.offset += bytes as u64;
        if let Some(block) = &mut self.block {
            block.last_byte = time;
        }
    }

    /// Emits the block if it is over, unless an LF may follow that belongs to it.
    fn settle(&mut self, out: &mut Out<'_, '_>) {
        if !self.after_return && self.block.as_ref().is_some_and(|block| block.is_over) {
            self.close(false, out);
        }
    }

    fn close(&mut self, is_cut_off: bool, out: &mut Out<'_, '_>) {
        let Some(block) = self.block.take() else {
            return;
        };
        if !block.has_data && !block.has_gap {
            return;
        }
        let mut flags = Vec::new();
        if block.has_gap {
            flags.push("gap_in_part");
        }
        if is_cut_off && !block.is_over {
            flags.push("cut_off");
        }
        out.part(Found {
            kind: PartKind::ServerSentEvent,
            offset: block.start,
            bytes: self.offset - block.start,
            is_complete: block.is_over && !block.has_gap,
            first_byte: block.first_byte,
            last_byte: block.last_byte,
            flags,
        });
    }
}
