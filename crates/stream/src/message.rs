//! Exchanges and their messages, kept as they were sent.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::id::ExchangeId;
use crate::segment::Endpoints;
use crate::time::Timestamp;

/// The protocol that an exchange was parsed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1 (RFC 9112).
    Http1,
    /// HTTP/2 (RFC 9113), gRPC included.
    Http2,
    /// RESP2 or RESP3.
    Redis,
    /// PostgreSQL's frontend/backend protocol, version 3.
    Postgres,
    /// MySQL's client/server protocol.
    Mysql,
    /// A flow that no parser claimed.
    Opaque,
}

impl Protocol {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http1 => "http1",
            Protocol::Http2 => "http2",
            Protocol::Redis => "redis",
            Protocol::Postgres => "postgres",
            Protocol::Mysql => "mysql",
            Protocol::Opaque => "opaque",
        }
    }
}

/// Bytes around a header field that differ from `name: value\r\n`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spelling {
    /// Between name and value, the colon included (between method and target in a start line).
    pub before_value: Bytes,
    /// From the value's end through the line's end.
    pub after_value: Bytes,
}

/// One header field as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The name in its recorded case.
    pub name: Bytes,
    /// The value without surrounding white space; an obsolete fold stays inside.
    pub value: Bytes,
    /// Only where the field was not spelled `name: value\r\n`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spelling: Option<Box<Spelling>>,
}

impl Field {
    /// A field spelled the usual way.
    pub fn new(name: impl Into<Bytes>, value: impl Into<Bytes>) -> Field {
        Field {
            name: name.into(),
            value: value.into(),
            spelling: None,
        }
    }

    /// True when the field's name is `name`, ASCII case ignored.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_slice(&self.name);
        match &self.spelling {
            None => {
                out.put_slice(b": ");
                out.put_slice(&self.value);
                out.put_slice(b"\r\n");
            }
            Some(spelling) => {
                out.put_slice(&spelling.before_value);
                out.put_slice(&self.value);
                out.put_slice(&spelling.after_value);
            }
        }
    }
}

/// The values of all fields named `name`, in order.
pub fn field_values<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a Bytes> {
    fields
        .iter()
        .filter(move |field| field.is(name))
        .map(|field| &field.value)
}

/// The head of a request.
///
/// Of HTTP/2 the method and the target are the fields `:method` and `:path`, empty where there is
/// none; all other pseudo-header fields stay among the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestHead {
    /// The method as sent.
    pub method: Bytes,
    /// The request target as sent (RFC 9112, section 3.2).
    pub target: Bytes,
    /// `HTTP/1.1` as sent; empty for HTTP/0.9.
    pub version: Bytes,
    /// The header fields in order.
    pub fields: Vec<Field>,
    /// The bytes between start line parts and at its end, when not
    /// `method SP target SP version CRLF`: between method and target, then
    /// from the target's end to the version, then the line's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_spelling: Option<Box<[Bytes; 3]>>,
    /// The bytes that end the head, usually CRLF.
    pub end: Bytes,
}

impl RequestHead {
    /// The very bytes that were sent.
    pub fn to_wire(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256);
        write_line(
            &mut out,
            [&self.method, &self.target, &self.version],
            &self.line_spelling,
        );
        for field in &self.fields {
            field.write(&mut out);
        }
        out.put_slice(&self.end);
        out.freeze()
    }

    /// The authority of an absolute target, or the value of the `:authority` or Host field.
    pub fn authority(&self) -> Option<Bytes> {
        if let Some(rest) = find(&self.target, b"://") {
            let authority = &self.target[rest + 3..];
            let end = authority
                .iter()
                .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
                .unwrap_or(authority.len());
            if !self.target.starts_with(b"/") {
                return Some(self.target.slice(rest + 3..rest + 3 + end));
            }
        }
        let mut names = [":authority", "host"].into_iter();
        names.find_map(|name| field_values(&self.fields, name).next().cloned())
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHead {
    /// `HTTP/1.1` as sent.
    pub version: Bytes,
    /// The status code; 0 when that of an HTTP/2 response is unknown, or no number.
    pub status: u16,
    /// The reason phrase; may be empty.
    pub reason: Bytes,
    /// The header fields in order.
    pub fields: Vec<Field>,
    /// As in [`RequestHead::line_spelling`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_spelling: Option<Box<[Bytes; 3]>>,
    /// The bytes that end the head, usually CRLF.
    pub end: Bytes,
}

impl ResponseHead {
    /// The very bytes that were sent.
    pub fn to_wire(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256);
        let status = Bytes::from(format!("{:03}", self.status));
        write_line(
            &mut out,
            [&self.version, &status, &self.reason],
            &self.line_spelling,
        );
        for field in &self.fields {
            field.write(&mut out);
        }
        out.put_slice(&self.end);
        out.freeze()
    }
}

fn write_line(out: &mut BytesMut, parts: [&Bytes; 3], spelling: &Option<Box<[Bytes; 3]>>) {
    let usual: [&[u8]; 3] = [b" ", b" ", b"\r\n"];
    for (index, part) in parts.iter().enumerate() {
        out.put_slice(part);
        match spelling {
            Some(spelling) => out.put_slice(&spelling[index]),
            None => out.put_slice(usual[index]),
        }
    }
}

/// How much of a message was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// From the first byte to the last.
    Complete,
    /// Some of it.
    Incomplete,
    /// None of it.
    #[default]
    Absent,
}

/// How the body was framed on the wire (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// No body.
    #[default]
    None,
    /// By Content-Length.
    Length,
    /// By chunked transfer coding.
    Chunked,
    /// Until the connection closed.
    Close,
    /// By the DATA frames of HTTP/2.
    Frames,
    /// By the frames of a WebSocket, after the head that opened it.
    Socket,
}

/// One message: its head and what is known of its body.
///
/// The body's bytes are not here; they flow as chunks beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message<H> {
    /// The head; absent when it was lost.
    pub head: Option<H>,
    /// How much was seen.
    pub state: MessageState,
    /// How the body was framed.
    pub framing: Framing,
    /// Body bytes seen, after transfer decoding and before content decoding.
    pub body_bytes: u64,
    /// Trailer fields of a chunked body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<Field>,
    /// When the first byte was seen.
    pub first_byte: Timestamp,
    /// When the last byte was seen.
    pub last_byte: Timestamp,
    /// Stream offset of the first byte in its direction.
    pub offset: u64,
    /// Names of irregularities, e.g. `conflicting_length`, `duplicate_length`,
    /// `bare_lf`, `obs_fold`, `reset_cancel`, `headers_unknown`; such a message is replayed byte for byte or not at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

impl<H> Default for Message<H> {
    fn default() -> Self {
        Message {
            head: None,
            state: MessageState::Absent,
            framing: Framing::None,
            body_bytes: 0,
            trailers: Vec::new(),
            first_byte: Timestamp::default(),
            last_byte: Timestamp::default(),
            offset: 0,
            flags: Vec::new(),
        }
    }
}

impl<H> Message<H> {
    /// A whole one, whose body was framed by its length.
    pub fn whole(head: H) -> Message<H> {
        Message {
            head: Some(head),
            state: MessageState::Complete,
            framing: Framing::Length,
            ..Message::default()
        }
    }

    /// Notes where and when its first byte is.
    pub(crate) fn begin(&mut self, offset: u64, time: Timestamp) {
        (self.offset, self.first_byte, self.last_byte) = (offset, time, time);
    }

    /// Counts bytes of its body, or of a command, seen at `time`; 0 notes the time alone.
    pub(crate) fn add(&mut self, bytes: usize, time: Timestamp) {
        self.body_bytes += bytes as u64;
        self.last_byte = time.max(self.last_byte);
    }
}

/// One application request and its response, without the bodies' bytes.
///
/// The heads are those of HTTP, or those of a [`CommandExchange`](crate::command::CommandExchange).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange<Q = RequestHead, S = ResponseHead> {
    /// Its identity.
    pub id: ExchangeId,
    /// The parser that made it.
    pub protocol: Protocol,
    /// The flow's client and server.
    pub endpoints: Endpoints,
    /// Round trip of the flow's handshake in nanoseconds, where it was seen.
    pub round_trip_ns: Option<u64>,
    /// True when the flow's first bytes were before the capture.
    pub flow_began_before_capture: bool,
    /// Position of the exchange in its flow, from 0.
    pub index_in_flow: u32,
    /// The request.
    pub request: Message<Q>,
    /// The final response (status 200 and above, or 101).
    pub response: Message<S>,
    /// Interim responses (1xx), in order.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub interim: Vec<S>,
}

impl<Q, S> Exchange<Q, S> {
    /// One that no flow carried: between nobody, at no time.
    pub fn of_no_flow(request: Message<Q>, response: Message<S>) -> Exchange<Q, S> {
        let nowhere = ([0, 0, 0, 0], 0).into();
        Exchange {
            id: ExchangeId {
                node: "".into(),
                boot: 0,
                flow: Default::default(),
                offset: 0,
                from_response: false,
            },
            protocol: Protocol::Http1,
            endpoints: Endpoints::normalised(nowhere, nowhere),
            round_trip_ns: None,
            flow_began_before_capture: false,
            index_in_flow: 0,
            request,
            response,
            interim: Vec::new(),
        }
    }
}

impl Exchange {
    /// True when the connection became a WebSocket with it (RFC 6455, section 4).
    pub fn opens_websocket(&self) -> bool {
        let response = self.response.head.as_ref();
        response.is_some_and(|response| {
            crate::websocket::is_opened_by(self.request.head.as_ref(), response)
        })
    }

    /// True when its bodies are what both sides of a WebSocket said.
    pub fn is_conversation(&self) -> bool {
        self.request.framing == Framing::Socket
    }
}
