//! Frames of HTTP/2 (RFC 9113, sections 4.1 and 6), for those who observe it and those who
//! speak it.

/// What a client says first (section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's header.
pub const HEADER_BYTES: usize = 9;

/// The largest payload that every endpoint takes.
pub const MIN_MAX_FRAME: u32 = 1 << 14;

/// Bytes of a body.
pub const DATA: u8 = 0;
/// The begin of a header block.
pub const HEADERS: u8 = 1;
/// Deprecated (section 5.3.2).
pub const PRIORITY: u8 = 2;
/// A stream ends without its end.
pub const RST_STREAM: u8 = 3;
/// What an endpoint takes.
pub const SETTINGS: u8 = 4;
/// A server's own request.
pub const PUSH_PROMISE: u8 = 5;
/// A question after the other side.
pub const PING: u8 = 6;
/// No more streams are taken.
pub const GOAWAY: u8 = 7;
/// More may be sent.
pub const WINDOW_UPDATE: u8 = 8;
/// More of a header block.
pub const CONTINUATION: u8 = 9;

/// Of SETTINGS and PING: an answer.
pub const ACK: u8 = 0x1;
/// The last frame of a message but for its CONTINUATIONs.
pub const END_STREAM: u8 = 0x1;
/// The last frame of a header block.
pub const END_HEADERS: u8 = 0x4;
/// The payload has padding.
pub const PADDED: u8 = 0x8;
/// HEADERS begin with five bytes of priority.
pub const HAS_PRIORITY: u8 = 0x20;

/// The header of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the payload.
    pub length: u32,
    /// One of the constants here, or another.
    pub kind: u8,
    /// Bits of the constants here.
    pub flags: u8,
    /// 0 for the connection.
    pub stream: u32,
    /// The bit before the stream's number is set.
    pub is_reserved: bool,
}

impl Header {
    /// Reads one.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Header {
        let [a, b, c, kind, flags, s, t, u, v] = *bytes;
        let stream = u32::from_be_bytes([s, t, u, v]);
        Header {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            stream: stream & 0x7fff_ffff,
            is_reserved: stream >> 31 != 0,
        }
    }

    /// True where the flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What is left of a payload without its padding (section 6.1), and how much the padding has,
/// its length included. None when it is longer than the payload.
pub fn without_padding(header: Header, payload: &[u8]) -> Option<(&[u8], usize)> {
    if !header.has(PADDED) {
        return Some((payload, 0));
    }
    let (length, rest) = payload.split_first()?;
    let end = rest.len().checked_sub(usize::from(*length))?;
    Some((&rest[..end], 1 + usize::from(*length)))
}
