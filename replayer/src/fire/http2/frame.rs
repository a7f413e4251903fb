//! Frames (RFC 9113, sections 4 and 6): headers read and written.

use bytes::{BufMut, Bytes, BytesMut};
pub(super) use twintap_stream::http2_frame::*;

/// The largest payload that everyone takes, and that is taken here (section 4.2).
pub(super) const MAX_FRAME_BYTES: usize = MIN_MAX_FRAME as usize;

/// The largest window (section 6.9.1).
pub(super) const MAX_WINDOW: i64 = (1 << 31) - 1;

/// The window of a new connection, and of streams until settings say otherwise
/// (section 6.9.2).
pub(super) const INITIAL_WINDOW: i64 = 65_535;

/// The error code of who needs a stream no more (section 7).
pub(super) const REFUSED_STREAM: u32 = 0x7;
pub(super) const CANCEL: u32 = 0x8;
/// The error code for a malformed message.
pub(super) const PROTOCOL_ERROR: u32 = 0x1;

/// Appends the header of a frame with a payload of `length` bytes.
pub(super) fn write_header(out: &mut BytesMut, length: usize, kind: u8, flags: u8, stream: u32) {
    // Payloads written here have at most 2^24 - 1 bytes.
    out.put_uint(length as u64, 3);
    out.put_u8(kind);
    out.put_u8(flags);
    out.put_u32(stream);
}

/// A whole frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    write_header(&mut out, payload.len(), kind, flags, stream);
    out.put_slice(payload);
    out.freeze()
}

/// A header block in as many frames as it needs (section 6.2 and 6.10).
pub(super) fn header_block(stream: u32, block: &[u8], ends_stream: bool, most: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(block.len() + HEADER_BYTES);
    let mut kind = HEADERS;
    let mut rest = block;
    loop {
        let (piece, after) = rest.split_at(rest.len().min(most));
        rest = after;
        let mut flags = 0;
        if kind == HEADERS && ends_stream {
            flags |= END_STREAM;
        }
        if rest.is_empty() {
            flags |= END_HEADERS;
        }
        write_header(&mut out, piece.len(), kind, flags, stream);
        out.put_slice(piece);
        if rest.is_empty() {
            return out.freeze();
        }
        kind = CONTINUATION;
    }
}

/// The name of an error code (section 7).
pub(super) fn code_name(code: u32) -> &'static str {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    NAMES.get(code as usize).copied().unwrap_or("unknown code")
}

/// Frames out of pieces of a stream of bytes; one unfinished frame is held at most.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    held: BytesMut,
}

/// A frame: its header, and its payload.
pub(super) type Frame = (Header, Bytes);

impl FrameReader {
    /// Takes bytes from the front of `input`, and gives a frame once it is whole.
    ///
    /// # Errors
    /// When a frame is larger than everyone must take.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, TooLarge> {
        if !self.fill(HEADER_BYTES, input) {
            return Ok(None);
        }
        let Some(bytes) = self.held.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = Header::parse(bytes);
        let length = header.length as usize;
        if length > MAX_FRAME_BYTES {
            return Err(TooLarge);
        }
        if !self.fill(HEADER_BYTES + length, input) {
            return Ok(None);
        }
        let mut frame = self.held.split();
        let payload = frame.split_off(HEADER_BYTES).freeze();
        Ok(Some((header, payload)))
    }

    /// Fills what is held up to `want` bytes; says whether there were enough.
    fn fill(&mut self, want: usize, input: &mut &[u8]) -> bool {
        let lacking = want.saturating_sub(self.held.len());
        let (piece, rest) = input.split_at(lacking.min(input.len()));
        self.held.extend_from_slice(piece);
        *input = rest;
        self.held.len() >= want
    }

    /// True when a part of a frame is held.
    pub(super) fn is_within_frame(&self) -> bool {
        !self.held.is_empty()
    }

    /// What is held of a frame that is not whole.
    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }
}

/// A frame larger than was allowed (section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_however_they_are_cut() {
        let frames = [
            frame(PING, ACK, 0, b"12345678"),
            frame(DATA, END_STREAM, 7, b""),
            header_block(9, &[b'x'; 40_000], true, MAX_FRAME_BYTES),
        ];
        let all = frames.concat();
        for step in [1, 8, 9, 10, 100_000] {
            let mut reader = FrameReader::default();
            let mut found = Vec::new();
            for mut piece in all.chunks(step) {
                while let Ok(Some((header, payload))) = reader.next(&mut piece) {
                    found.push((header.kind, header.flags, header.stream, payload.len()));
                }
            }
            let expected = [
                (PING, ACK, 0, 8),
                (DATA, END_STREAM, 7, 0),
                (HEADERS, END_STREAM, 9, MAX_FRAME_BYTES),
                (CONTINUATION, 0, 9, MAX_FRAME_BYTES),
                (CONTINUATION, END_HEADERS, 9, 40_000 - 2 * MAX_FRAME_BYTES),
            ];
            assert_eq!(found, expected);
            assert!(!reader.is_within_frame());
        }
    }

    #[test]
    fn a_frame_that_is_too_large_is_not_held() {
        let mut reader = FrameReader::default();
        let mut input = &[0x00, 0x40, 0x01, DATA, 0, 0, 0, 0, 1, 0][..];
        assert_eq!(reader.next(&mut input).map(|_| ()), Err(TooLarge));
    }
}
