//! Opening a WebSocket (RFC 6455, section 4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use twintap_stream::message::field_values;
use twintap_stream::websocket::{Deflate, accept, is_opened_by};
use twintap_stream::{Field, ResponseHead};

/// A key for the handshake of a recorded request: the recorded one may be a pseudonym, of
/// which no server would make anything. Another request has another, and each run the same.
pub fn fresh_key(recorded: &[u8]) -> Bytes {
    let hash = blake3::hash(recorded);
    Bytes::from(STANDARD.encode(&hash.as_bytes()[..16]))
}

/// Whether the twin opened a WebSocket with this answer to a request with this key; an error
/// says why a client must take it for none (section 4.1).
pub(crate) fn is_opened(key: &[u8], answer: &ResponseHead) -> Result<bool, &'static str> {
    if !is_opened_by(None, answer) {
        return Ok(false);
    }
    let accepted = field_values(&answer.fields, "sec-websocket-accept").next();
    match accepted == Some(&accept(key)) {
        true => Ok(true),
        false => Err("Sec-WebSocket-Accept is not what the key asks for"),
    }
}

/// The compression that the client's messages take. A window smaller than the usual is
/// kept to by not compressing, which RFC 7692 (section 6) leaves to each message.
pub(crate) fn client_deflate(answer: &[Field], agreed: Option<Deflate>) -> Option<Deflate> {
    let mut values = field_values(answer, "sec-websocket-extensions");
    let is_narrow = values.any(|value| {
        let value = value.to_ascii_lowercase();
        memchr::memmem::find(&value, b"client_max_window_bits").is_some()
    });
    agreed.filter(|_| !is_narrow)
}
