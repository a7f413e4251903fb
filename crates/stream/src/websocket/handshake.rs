//! What the HTTP exchange that opened a WebSocket agreed on (RFC 6455, section 4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha1::{Digest as _, Sha1};

use crate::message::{Field, RequestHead, ResponseHead, field_values};
use crate::protocol::Switch;

/// What a server appends to the key before it hashes it (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// permessage-deflate as the server accepted it (RFC 7692, section 7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deflate {
    /// The client's messages may refer to those before them.
    pub client_keeps_context: bool,
    /// The server's messages may.
    pub server_keeps_context: bool,
}

/// True when the connection became a WebSocket.
pub(super) fn is_websocket(switch: &Switch<'_>) -> bool {
    is_opened_by(switch.request, switch.response)
}

/// True when a connection is a WebSocket after this response; the request may have been lost.
pub fn is_opened_by(request: Option<&RequestHead>, response: &ResponseHead) -> bool {
    let names = |fields: &[Field]| {
        items(fields, "upgrade").any(|item| item.eq_ignore_ascii_case(b"websocket"))
    };
    let says = |fields: &[Field]| field_values(fields, "upgrade").next().is_some();
    let answer = &response.fields;
    let asked = request.is_some_and(|request| names(&request.fields));
    response.status == 101 && (names(answer) || !says(answer) && asked)
}

/// True when the server's answer to the client's key is the one that the key asks for.
pub fn is_accepted(request: &RequestHead, answer: &[Field]) -> bool {
    let Some(key) = field_values(&request.fields, "sec-websocket-key").next() else {
        return false;
    };
    field_values(answer, "sec-websocket-accept").next() == Some(&accept(key))
}

/// What a server answers to a client's key.
pub fn accept(key: &[u8]) -> Bytes {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    Bytes::from(STANDARD.encode(digest))
}

/// The compression that the server accepted. The sizes of windows are of no importance here: a
/// window of the largest size reads what any other one wrote.
pub fn deflate(answer: &[Field]) -> Option<Deflate> {
    items(answer, "sec-websocket-extensions").find_map(|item| {
        let mut words = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        if !words.next()?.eq_ignore_ascii_case(b"permessage-deflate") {
            return None;
        }
        let mut deflate = Deflate {
            client_keeps_context: true,
            server_keeps_context: true,
        };
        for word in words {
            if word.eq_ignore_ascii_case(b"client_no_context_takeover") {
                deflate.client_keeps_context = false;
            } else if word.eq_ignore_ascii_case(b"server_no_context_takeover") {
                deflate.server_keeps_context = false;
            }
        }
        Some(deflate)
    })
}

/// The items of all fields of that name that hold lists.
fn items<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    field_values(fields, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}
