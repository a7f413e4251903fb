//! Frame headers (RFC 9113, sections 4.1 and 6).

/// What a client says first (section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's header.
pub(super) const HEADER_BYTES: usize = 9;

/// The largest payload that every endpoint takes.
pub(super) const MIN_MAX_FRAME: u32 = 1 << 14;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
/// RFC 7838, RFC 8336 and RFC 9218.
pub(super) const ALTSVC: u8 = 0xa;
pub(super) const ORIGIN: u8 = 0xc;
pub(super) const PRIORITY_UPDATE: u8 = 0x10;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const HAS_PRIORITY: u8 = 0x20;

/// The header of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the payload.
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    /// The bit before the stream's number is set.
    pub is_reserved: bool,
}

impl Header {
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

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// True when no rule speaks against it: for places where it is unknown whether there is a
    /// frame.
    pub fn is_plausible(&self) -> bool {
        let is_of_stream = self.stream != 0;
        let (fits, flags) = match self.kind {
            DATA => (is_of_stream, END_STREAM | PADDED),
            HEADERS => (
                is_of_stream && self.length > 0,
                END_STREAM | END_HEADERS | PADDED | HAS_PRIORITY,
            ),
            PRIORITY => (is_of_stream && self.length == 5, 0),
            RST_STREAM => (is_of_stream && self.length == 4, 0),
            SETTINGS => {
                let limit = if self.has(ACK) { 0 } else { 6 * 64 };
                (
                    !is_of_stream && self.length.is_multiple_of(6) && self.length <= limit,
                    ACK,
                )
            }
            PUSH_PROMISE => (is_of_stream && self.length > 4, END_HEADERS | PADDED),
            PING => (!is_of_stream && self.length == 8, ACK),
            GOAWAY => (
                !is_of_stream && (8..=MIN_MAX_FRAME).contains(&self.length),
                0,
            ),
            WINDOW_UPDATE => (self.length == 4, 0),
            CONTINUATION => (is_of_stream, END_HEADERS),
            ALTSVC => ((2..=MIN_MAX_FRAME).contains(&self.length), 0),
            ORIGIN => (!is_of_stream && self.length <= MIN_MAX_FRAME, 0),
            PRIORITY_UPDATE => (
                !is_of_stream && (4..=MIN_MAX_FRAME).contains(&self.length),
                0,
            ),
            _ => (false, 0),
        };
        fits && !self.is_reserved && self.flags & !flags == 0
    }
}

/// What is left of a payload without its padding (section 6.1), and how much the padding has,
/// its length included. None when it is longer than the payload.
pub(super) fn without_padding(header: Header, payload: &[u8]) -> Option<(&[u8], usize)> {
    if !header.has(PADDED) {
        return Some((payload, 0));
    }
    let (length, rest) = payload.split_first()?;
    let end = rest.len().checked_sub(usize::from(*length))?;
    Some((&rest[..end], 1 + usize::from(*length)))
}

/// The flag for a stream that was reset with `code` (section 7).
pub(super) fn reset_flag(code: u32) -> &'static str {
    match code {
        0x0 => "reset_no_error",
        0x1 => "reset_protocol_error",
        0x2 => "reset_internal_error",
        0x3 => "reset_flow_control_error",
        0x4 => "reset_settings_timeout",
        0x5 => "reset_stream_closed",
        0x6 => "reset_frame_size_error",
        0x7 => "reset_refused_stream",
        0x8 => "reset_cancel",
        0x9 => "reset_compression_error",
        0xa => "reset_connect_error",
        0xb => "reset_enhance_your_calm",
        0xc => "reset_inadequate_security",
        0xd => "reset_http_1_1_required",
        _ => "reset_unknown",
    }
}
