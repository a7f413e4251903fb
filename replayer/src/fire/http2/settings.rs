//! What each side allows the other (RFC 9113, sections 6.5 and 6.9).

use bytes::{BufMut, Bytes, BytesMut};

use super::error::Violation;
use super::frame::{self, HEADER_BYTES, INITIAL_WINDOW, MAX_FRAME_BYTES, MAX_WINDOW};

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;

/// The window that is given to each answer's body. What comes is taken at once, so
/// that it only has to cover what is on the way.
pub(super) const OWN_STREAM_WINDOW: i64 = 16 << 20;
/// The window that is given to all of them together.
pub(super) const OWN_WINDOW: i64 = 1 << 30;

/// Streams before the twin says how many it takes: fewer than that none should say
/// (section 6.5.2).
const FIRST_STREAMS: u32 = 100;

/// What a client says first: its preface, its settings, and a wide window.
pub(super) fn opening() -> Bytes {
    let mut out = BytesMut::with_capacity(64);
    out.put_slice(frame::PREFACE);
    frame::write_header(&mut out, 12, frame::SETTINGS, 0, 0);
    out.put_u16(ENABLE_PUSH);
    out.put_u32(0);
    out.put_u16(INITIAL_WINDOW_SIZE);
    out.put_u32(OWN_STREAM_WINDOW as u32);
    debug_assert_eq!(out.len(), frame::PREFACE.len() + HEADER_BYTES + 12);
    frame::write_header(&mut out, 4, frame::WINDOW_UPDATE, 0, 0);
    out.put_u32((OWN_WINDOW - INITIAL_WINDOW) as u32);
    out.freeze()
}

/// What the twin allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Streams at a time.
    pub(super) streams: u32,
    /// The window of a new stream.
    pub(super) window: i64,
    /// The largest payload of a frame.
    pub(super) frame_bytes: usize,
    /// The largest header table.
    pub(super) table_bytes: usize,
}

impl Default for Peer {
    fn default() -> Peer {
        Peer {
            streams: FIRST_STREAMS,
            window: INITIAL_WINDOW,
            frame_bytes: MAX_FRAME_BYTES,
            table_bytes: 4096,
        }
    }
}

impl Peer {
    /// Takes a SETTINGS frame's payload; the first that says nothing of streams takes
    /// any number of them.
    pub(super) fn apply(&mut self, payload: &[u8], is_first: bool) -> Result<(), Violation> {
        let fault = Err(Violation::Frame("SETTINGS"));
        if !payload.len().is_multiple_of(6) {
            return fault;
        }
        if is_first {
            self.streams = u32::MAX;
        }
        for setting in payload.chunks_exact(6) {
            let [a, b, c, d, e, f] = *setting else {
                continue;
            };
            let value = u32::from_be_bytes([c, d, e, f]);
            match u16::from_be_bytes([a, b]) {
                HEADER_TABLE_SIZE => self.table_bytes = value as usize,
                ENABLE_PUSH if value != 0 => return fault,
                MAX_CONCURRENT_STREAMS => self.streams = value,
                INITIAL_WINDOW_SIZE if i64::from(value) > MAX_WINDOW => return fault,
                INITIAL_WINDOW_SIZE => self.window = i64::from(value),
                MAX_FRAME_SIZE if !(MAX_FRAME_BYTES..1 << 24).contains(&(value as usize)) => {
                    return fault;
                }
                MAX_FRAME_SIZE => self.frame_bytes = value as usize,
                _ => {}
            }
        }
        Ok(())
    }
}
