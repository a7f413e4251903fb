//! Messages of a client to frames (RFC 6455, section 5).

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::{Compress, Compression, FlushCompress};
use twintap_scrub::Piece;
use twintap_stream::websocket::{Deflate, unmask};

/// Writes the frames of one client.
#[derive(Debug)]
pub struct FrameWriter {
    deflater: Option<Deflater>,
    /// What the next mask is made from.
    mask: u32,
}

/// Compresses messages (RFC 7692, section 7.2.1).
#[derive(Debug)]
struct Deflater {
    state: Compress,
    keeps_context: bool,
}

impl FrameWriter {
    /// Compresses messages where that was agreed on.
    pub fn new(deflate: Option<Deflate>) -> FrameWriter {
        FrameWriter {
            deflater: deflate.map(|deflate| Deflater {
                state: Compress::new(Compression::fast(), false),
                keeps_context: deflate.client_keeps_context,
            }),
            mask: 0x9e37_79b9,
        }
    }

    /// The frames of a message, cut where its fragments end, the last end left out.
    pub fn write(&mut self, piece: Piece, payload: &[u8], fragments: &[usize]) -> Bytes {
        let mut out = BytesMut::with_capacity(payload.len() + 14 * (fragments.len() + 1));
        let opcode = match piece {
            Piece::Binary => 2,
            Piece::Close { .. } => 8,
            Piece::Ping => 9,
            Piece::Pong => 10,
            _ => 1,
        };
        if opcode >= 8 {
            self.frame(&mut out, 0x80 | opcode, payload);
            return out.freeze();
        }
        let is_compressed = self.deflater.is_some();
        if let Some(deflater) = &mut self.deflater
            && !deflater.keeps_context
        {
            deflater.state.reset();
        }
        let mut start = 0;
        let ends = fragments.iter().copied().chain([payload.len()]);
        for (place, end) in ends.enumerate() {
            let end = end.clamp(start, payload.len());
            let is_last = place == fragments.len();
            let first = match place {
                0 => opcode | if is_compressed { 0x40 } else { 0 },
                _ => 0,
            };
            let first = first | if is_last { 0x80 } else { 0 };
            let fragment = &payload[start..end];
            match &mut self.deflater {
                Some(deflater) => {
                    let deflated = deflater.deflate(fragment, is_last);
                    self.frame(&mut out, first, &deflated);
                }
                None => self.frame(&mut out, first, fragment),
            }
            start = end;
        }
        out.freeze()
    }

    fn frame(&mut self, out: &mut BytesMut, first: u8, payload: &[u8]) {
        out.put_u8(first);
        match payload.len() {
            length @ 0..=125 => out.put_u8(0x80 | length as u8),
            length @ 126..=0xffff => {
                out.put_u8(0x80 | 126);
                out.put_u16(length as u16);
            }
            length => {
                out.put_u8(0x80 | 127);
                out.put_u64(length as u64);
            }
        }
        let mask = self.next_mask();
        out.put_slice(&mask);
        let start = out.len();
        out.put_slice(payload);
        unmask(&mut out[start..], mask, 0);
    }

    /// Masks keep a client's scripts from choosing bytes on the wire (section 10.3); here
    /// the recording chose them, and masks that come again make runs comparable.
    fn next_mask(&mut self) -> [u8; 4] {
        self.mask ^= self.mask << 13;
        self.mask ^= self.mask >> 17;
        self.mask ^= self.mask << 5;
        self.mask.to_be_bytes()
    }
}

impl Deflater {
    fn deflate(&mut self, bytes: &[u8], is_last: bool) -> Vec<u8> {
        if bytes.is_empty() {
            // The head of the empty block whose rest is left off (section 7.2.3.6).
            return if is_last { vec![0] } else { Vec::new() };
        }
        let mut out = Vec::with_capacity(bytes.len() / 2 + 64);
        let mut rest = bytes;
        loop {
            out.reserve(rest.len() / 2 + 64);
            let before = self.state.total_in();
            // Compressing to memory that grows never fails.
            let _ = self.state.compress_vec(rest, &mut out, FlushCompress::Sync);
            let taken = (self.state.total_in() - before) as usize;
            rest = &rest[taken..];
            // What fills the room up may have more to come.
            if rest.is_empty() && out.len() < out.capacity() {
                break;
            }
        }
        if is_last && out.ends_with(&[0, 0, 0xff, 0xff]) {
            out.truncate(out.len() - 4);
        }
        out
    }
}
