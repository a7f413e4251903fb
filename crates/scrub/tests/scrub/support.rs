//! Exchanges from text, and tables of what became of them.

use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use twintap_scrub::{Action, BodyFate, Encoding, Key, Leaf, MessageNote, Part, Policy, Scrubber};
use twintap_stream::{
    Direction, Endpoints, Exchange, ExchangeId, Field, FlowId, Message, RequestHead, ResponseHead,
};

pub fn key() -> Key {
    Key::from_bytes([42; 32])
}

/// A scrubber with the default policy, made once.
pub fn scrubber() -> Scrubber {
    static SCRUBBER: LazyLock<Scrubber> =
        LazyLock::new(|| Scrubber::new(Policy::default_policy(), &key()));
    SCRUBBER.clone()
}

pub fn scrubber_of(yaml: &str) -> Scrubber {
    Scrubber::new(Policy::from_yaml(yaml, "test").unwrap(), &key())
}

/// A policy for a file of `deploy/policies`.
pub fn demo() -> Policy {
    Policy::from_yaml(
        include_str!("../../../../deploy/policies/demo.yaml"),
        "demo.yaml",
    )
    .unwrap()
}

pub fn request(line: &str, fields: &[(&str, &str)]) -> RequestHead {
    let mut words = line.splitn(2, ' ');
    RequestHead {
        method: words.next().unwrap_or_default().to_owned().into(),
        target: words.next().unwrap_or_default().to_owned().into(),
        version: Bytes::from_static(b"HTTP/1.1"),
        fields: fields_of(fields),
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    }
}

pub fn response(status: u16, reason: &str, fields: &[(&str, &str)]) -> ResponseHead {
    ResponseHead {
        version: Bytes::from_static(b"HTTP/1.1"),
        status,
        reason: reason.to_owned().into(),
        fields: fields_of(fields),
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    }
}

fn fields_of(fields: &[(&str, &str)]) -> Vec<Field> {
    fields
        .iter()
        .map(|(name, value)| Field::new(name.to_string(), value.to_string()))
        .collect()
}

/// A complete exchange of these heads.
pub fn exchange(request: RequestHead, response: ResponseHead) -> Exchange {
    Exchange {
        id: ExchangeId {
            node: "node".into(),
            boot: 1,
            flow: FlowId(1),
            offset: 0,
            from_response: false,
        },
        endpoints: Endpoints {
            client: "203.0.113.9:40000".parse().unwrap(),
            server: "198.51.100.1:80".parse().unwrap(),
        },
        ..Exchange::of_no_flow(Message::whole(request), Message::whole(response))
    }
}

/// An exchange after scrubbing, its bodies put together.
pub struct Scrubbed {
    pub exchange: Exchange,
    pub request: MessageNote,
    pub response: MessageNote,
    pub request_body: Bytes,
    pub response_body: Bytes,
}

/// Scrubs an exchange whose bodies come in chunks of `chunk_bytes`.
pub fn scrub_in_chunks(
    scrubber: &Scrubber,
    exchange: Exchange,
    request_body: &[u8],
    response_body: &[u8],
    chunk_bytes: usize,
) -> Scrubbed {
    let mut scrubbing = scrubber.exchange();
    let mut bodies = [Vec::new(), Vec::new()];
    if let Some(head) = &exchange.request.head {
        scrubbing.request_head(head);
    }
    if let Some(head) = &exchange.response.head {
        scrubbing.response_head(head);
    }
    let directions = [
        (Direction::Client, request_body),
        (Direction::Server, response_body),
    ];
    for (body, (direction, raw)) in bodies.iter_mut().zip(directions) {
        for chunk in raw.chunks(chunk_bytes.max(1)) {
            if let Some(chunk) = scrubbing.body(direction, Bytes::copy_from_slice(chunk)) {
                body.extend_from_slice(&chunk);
            }
        }
    }
    let finished = scrubbing.finish(exchange);
    let [mut request_body, mut response_body] = bodies;
    request_body.extend(finished.request_rest.iter().flat_map(|rest| rest.iter()));
    response_body.extend(finished.response_rest.iter().flat_map(|rest| rest.iter()));
    let record = finished.record.into_inner();
    Scrubbed {
        exchange: record.exchange,
        request: record.request,
        response: record.response,
        request_body: request_body.into(),
        response_body: response_body.into(),
    }
}

pub fn scrub(
    scrubber: &Scrubber,
    exchange: Exchange,
    request_body: &[u8],
    response_body: &[u8],
) -> Scrubbed {
    scrub_in_chunks(scrubber, exchange, request_body, response_body, 7)
}

impl Scrubbed {
    pub fn request_head(&self) -> &RequestHead {
        self.exchange.request.head.as_ref().unwrap()
    }

    pub fn response_head(&self) -> &ResponseHead {
        self.exchange.response.head.as_ref().unwrap()
    }

    /// All bytes that would be stored.
    pub fn stored(&self) -> Vec<u8> {
        let mut stored = serde_json::to_vec(&self.request).unwrap();
        stored.extend(serde_json::to_vec(&self.response).unwrap());
        if let Some(head) = &self.exchange.request.head {
            stored.extend_from_slice(&head.to_wire());
        }
        if let Some(head) = &self.exchange.response.head {
            stored.extend_from_slice(&head.to_wire());
        }
        stored.extend_from_slice(&self.request_body);
        stored.extend_from_slice(&self.response_body);
        stored
    }

    /// What stands at the span of each leaf of the request.
    pub fn request_values(&self) -> Vec<(&Leaf, Vec<u8>)> {
        let head = self.request_head();
        self.request
            .leaves
            .iter()
            .map(|leaf| {
                let part: &[u8] = match leaf.part {
                    Part::Target => &head.target,
                    Part::Field(index) => &head.fields[index as usize].value,
                    Part::Body => &self.request_body,
                };
                (leaf, span(leaf, part))
            })
            .collect()
    }

    /// What stands at the span of each leaf of the response.
    pub fn response_values(&self) -> Vec<(&Leaf, Vec<u8>)> {
        let head = self.response_head();
        self.response
            .leaves
            .iter()
            .map(|leaf| {
                let part: &[u8] = match leaf.part {
                    Part::Field(index) => &head.fields[index as usize].value,
                    Part::Body => &self.response_body,
                    Part::Target => unreachable!("a response has no target"),
                };
                (leaf, span(leaf, part))
            })
            .collect()
    }

    /// Both messages as they would be stored, and their leaves.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", "\n");
        write!(
            out,
            "{}{}",
            text(&self.request_head().to_wire()),
            text(&self.request_body)
        )
        .unwrap();
        write!(out, "\n=> {:?}\n", self.request.body).unwrap();
        leaves(&mut out, self.request_values());
        write!(
            out,
            "----\n{}{}",
            text(&self.response_head().to_wire()),
            text(&self.response_body)
        )
        .unwrap();
        write!(out, "\n=> {:?}\n", self.response.body).unwrap();
        leaves(&mut out, self.response_values());
        out
    }
}

fn span(leaf: &Leaf, part: &[u8]) -> Vec<u8> {
    let start = leaf.start as usize;
    part[start..start + leaf.len as usize].to_vec()
}

fn leaves(out: &mut String, values: Vec<(&Leaf, Vec<u8>)>) {
    for (leaf, value) in values {
        let action = match leaf.action {
            Action::Allowed => '=',
            Action::Pseudonym => '~',
            Action::Replaced => '!',
        };
        let encoding = match leaf.encoding {
            Encoding::Plain => "",
            Encoding::Percent => " %",
            Encoding::Form => " +",
            Encoding::JsonString => " \"",
            Encoding::JsonLiteral => " 0",
            Encoding::HtmlAttribute => " &",
        };
        let value = String::from_utf8_lossy(&value);
        writeln!(out, "{action} {}{encoding}: {value}", leaf.path).unwrap();
    }
}

/// Scrubs one body as that of a response.
pub fn body(scrubber: &Scrubber, media_type: &str, raw: &[u8]) -> (Option<Bytes>, MessageNote) {
    let head = response(200, "OK", &[("Content-Type", media_type)]);
    let (_, body, note) =
        scrubber.scrub_response(&request("GET /", &[]), &head, Bytes::copy_from_slice(raw));
    (body.map(|body| body.into_inner()), note)
}

/// Why a body was dropped.
pub fn reason(note: &MessageNote) -> &str {
    match &note.body {
        BodyFate::Dropped(reason) => reason,
        other => panic!("not dropped: {other:?}"),
    }
}
