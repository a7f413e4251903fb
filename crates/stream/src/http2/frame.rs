//! Frames as an observer sees them.

pub(super) use crate::http2_frame::*;

/// RFC 7838, RFC 8336 and RFC 9218.
pub(super) const ALTSVC: u8 = 0xa;
pub(super) const ORIGIN: u8 = 0xc;
pub(super) const PRIORITY_UPDATE: u8 = 0x10;

impl Header {
    /// True when no rule speaks against it: for places where it is unknown whether there is a
    /// frame.
    pub(super) fn is_plausible(&self) -> bool {
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
