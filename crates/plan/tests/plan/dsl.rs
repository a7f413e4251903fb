//! Captures as text, and plans as text.
//!
//! One exchange a line, times in milliseconds:
//!
//! ```text
//! START FLOW [OPTION ...] METHOD TARGET [LEAF ...] [-> END [STATUS] [LEAF ...]]
//! ```
//!
//! - `FLOW` is `f1`; its client is `10.1.0.1` with the flow's number as port.
//! - Options: `@IP` the client, `>IP:PORT` the server, `rtt=MS` the handshake's
//!   round trip, `!began` a flow from before the capture, `!part` a request that
//!   was seen in part, `!unseen` one that was not seen, `!dropped` a body that the
//!   policy dropped, `!http2` and `!redis` of that protocol, `index=N` the place in the flow.
//! - Without `->` there is no response; `END?` is one that was seen in part.
//! - `END` is `FIRST..END` for a conversation: each leaf of its body is a message of its
//!   own, the first of which came at FIRST, and each other a millisecond after the one before.
//! - A leaf is `PATH=VALUE`, `PATH=#VALUE` for a JSON literal, `location=/a/17` all
//!   of a Location. What follows `;` in
//!   a Set-Cookie's value are its attributes. The target's leaves are made of it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use twintap_plan::{Plan, PlanOptions, Planner, WaitReason};
use twintap_scrub::{
    Action, BodyFate, Encoding, ExchangeRecord, Leaf, LinkTag, Mark, MessageNote, Part, Piece,
    PolicyHash, Timeline,
};
use twintap_stream::message::{Field, Framing, Message, MessageState, Protocol};
use twintap_stream::{
    Endpoints, Exchange, ExchangeId, FlowId, RequestHead, ResponseHead, Timestamp,
};

/// The instant that a capture's times count from.
pub const BASE_NS: u64 = 1_700_000_000_000_000_000;

/// An exchange and whether its body can be sent again.
pub type Recorded = (ExchangeRecord, bool);

/// The exchanges of a capture.
#[track_caller]
pub fn capture(text: &str) -> Vec<Recorded> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    let mut indexes = std::collections::HashMap::new();
    lines
        .map(|line| {
            let (mut record, replayable, index) = exchange(line);
            let next = indexes.entry(record.exchange.id.flow).or_insert(0);
            record.exchange.index_in_flow = index.unwrap_or(*next);
            record.exchange.id.offset = u64::from(record.exchange.index_in_flow) * 1000;
            *next += 1;
            (record, replayable)
        })
        .collect()
}

/// The plan of a capture.
pub fn plan_of(records: &[Recorded], options: &PlanOptions) -> Plan {
    let mut planner = Planner::new(options.clone());
    for (record, replayable) in records {
        planner.add(record, *replayable);
    }
    planner.finish()
}

/// A session's name for people: `A`, `B`, ...
fn letter(session: u32) -> String {
    char::from_u32('A' as u32 + session).map_or_else(|| session.to_string(), String::from)
}

/// The sessions of a plan, each with its requests.
pub fn render_sessions(plan: &Plan) -> String {
    let mut out = String::new();
    for (session, index) in plan.sessions.iter().zip(0..) {
        let identity = format!("{:?}", session.identity).to_lowercase();
        let requests: Vec<String> = session
            .requests
            .iter()
            .map(|position| {
                let request = &plan.requests[*position as usize];
                let offset = request.exchange.offset / 1000;
                format!("f{}.{offset}", request.flow.0)
            })
            .collect();
        let began = if session.began_before_capture {
            " began before"
        } else {
            ""
        };
        writeln!(
            out,
            "{} {identity}: {}{began}",
            letter(index),
            requests.join(" ")
        )
        .expect("a String takes all");
    }
    out
}

/// The requests of a plan.
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    for (request, position) in plan.requests.iter().zip(0..) {
        let offset = request.exchange.offset / 1000;
        let mut line = format!(
            "{position} {}ms f{}.{offset} {}",
            request.due_ns as f64 / 1e6,
            request.flow.0,
            letter(request.session),
        );
        if request.copy > 0 {
            write!(line, " copy {}", request.copy).expect("a String takes all");
        }
        if let Some(think) = request.think {
            let ms = think.ns as f64 / 1e6;
            write!(line, " {ms}ms from {}", think.after).expect("a String takes all");
        }
        for wait in &request.waits {
            let reason = match wait.reason {
                WaitReason::Binding => "binding",
                WaitReason::Connection => "connection",
                WaitReason::ClientHad => "had",
                WaitReason::Resource => "resource",
                WaitReason::Think => "think",
                WaitReason::Recorded => "recorded",
            };
            write!(line, " after {}({reason})", wait.request).expect("a String takes all");
        }
        for race in &request.races {
            let (request, resource) = (race.request, &race.resource);
            write!(line, " races {request}({resource})").expect("a String takes all");
        }
        for binding in &request.bindings {
            let producer = &binding.producer;
            let (from, to) = (&binding.producer_path, &binding.path);
            write!(line, " {to}<-{producer}:{from}").expect("a String takes all");
        }
        if let Some(skip) = request.skip {
            let reason = format!("{skip:?}").to_lowercase();
            write!(line, " {reason}").expect("a String takes all");
        }
        if let Some(missing) = &request.missing {
            write!(line, "({missing})").expect("a String takes all");
        }
        if request.internal {
            line.push_str(" internal");
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// For each request what its values are bound to, and why the others are kept.
pub fn render_reasons(plan: &Plan) -> String {
    let mut out = String::new();
    for (request, position) in plan.requests.iter().zip(0..) {
        write!(out, "{position}").expect("a String takes all");
        if let Some(skip) = request.skip {
            write!(out, " {}", format!("{skip:?}").to_lowercase()).expect("a String takes all");
        }
        for binding in &request.bindings {
            let (path, producer) = (&binding.path, binding.producer);
            write!(out, " {path}<-{producer} {}", binding.reason.word())
                .expect("a String takes all");
        }
        for kept in &request.kept {
            write!(out, " {}={}", kept.path, kept.reason.word()).expect("a String takes all");
        }
        out.push('\n');
    }
    out
}

#[track_caller]
fn exchange(line: &str) -> (ExchangeRecord, bool, Option<u32>) {
    let (request, response) = match line.split_once("->") {
        Some((request, response)) => (request, Some(response)),
        None => (line, None),
    };
    let mut words = request.split_whitespace().peekable();
    let mut word = || words.next().unwrap_or_else(|| panic!("too short: {line}"));
    let start_ns = millis(word());
    let flow: u64 = number(word().trim_start_matches('f'));
    let mut client = SocketAddr::from(([10, 1, 0, 1], flow as u16));
    let mut server = SocketAddr::from(([10, 0, 0, 9], 80));
    let (mut began, mut dropped, mut unseen) = (false, false, false);
    let (mut round_trip_ns, mut index) = (None, None);
    let mut state = MessageState::Complete;
    let mut protocol = Protocol::Http1;
    let method = loop {
        let word = word();
        if let Some(ip) = word.strip_prefix('@') {
            client.set_ip(ip.parse().unwrap_or_else(|_| panic!("no address: {ip}")));
        } else if let Some(address) = word.strip_prefix('>') {
            server = address
                .parse()
                .unwrap_or_else(|_| panic!("no address: {address}"));
        } else if let Some(ms) = word.strip_prefix("rtt=") {
            round_trip_ns = Some(millis(ms) - BASE_NS);
        } else if let Some(place) = word.strip_prefix("index=") {
            index = Some(number(place) as u32);
        } else if let Some(flag) = word.strip_prefix('!') {
            match flag {
                "began" => began = true,
                "part" => state = MessageState::Incomplete,
                "unseen" => unseen = true,
                "dropped" => dropped = true,
                "http2" => protocol = Protocol::Http2,
                "redis" => protocol = Protocol::Redis,
                _ => panic!("no such flag: {flag}"),
            }
        } else {
            break word;
        }
    };
    let target = word();
    let mut request = Parts::default();
    request.target(target);
    words.for_each(|leaf| request.leaf(leaf));
    let head = RequestHead {
        method: Bytes::copy_from_slice(method.as_bytes()),
        target: Bytes::copy_from_slice(target.as_bytes()),
        version: Bytes::from_static(b"HTTP/1.1"),
        fields: request.fields,
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    };
    let request_message = Message {
        head: Some(head),
        state,
        framing: Framing::None,
        first_byte: Timestamp(start_ns),
        last_byte: Timestamp(start_ns + 1000),
        ..Message::default()
    };
    let (response_message, response_leaves, timeline) =
        response.map_or_else(Default::default, message);
    let record = ExchangeRecord {
        exchange: Exchange {
            id: ExchangeId {
                node: Arc::from("n"),
                boot: 1,
                flow: FlowId(flow),
                offset: 0,
                from_response: unseen,
            },
            protocol,
            endpoints: Endpoints { client, server },
            round_trip_ns,
            flow_began_before_capture: began,
            index_in_flow: 0,
            request: if unseen {
                Message::default()
            } else {
                request_message
            },
            response: response_message,
            interim: Vec::new(),
        },
        policy: PolicyHash("test".to_owned()),
        request: MessageNote {
            leaves: if unseen { Vec::new() } else { request.leaves },
            body: if dropped {
                BodyFate::Dropped("unparsable".to_owned())
            } else {
                BodyFate::Empty
            },
            ..MessageNote::default()
        },
        response: MessageNote {
            leaves: response_leaves,
            timeline,
            ..MessageNote::default()
        },
    };
    (record, !dropped, index)
}

#[track_caller]
fn message(text: &str) -> (Message<ResponseHead>, Vec<Leaf>, Timeline) {
    let mut words = text.split_whitespace().peekable();
    let end = words.next().expect("the response's end");
    let (first, end) = match end.split_once("..") {
        Some((first, end)) => (Some(millis(first)), end),
        None => (None, end),
    };
    let mut status = 200;
    if let Some(word) = words.next_if(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
        status = number(word) as u16;
    }
    let mut parts = Parts::default();
    words.for_each(|leaf| parts.leaf(leaf));
    let head = ResponseHead {
        version: Bytes::from_static(b"HTTP/1.1"),
        status,
        reason: Bytes::new(),
        fields: parts.fields,
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    };
    let end_ns = millis(end.trim_end_matches('?'));
    let message = Message {
        head: Some(head),
        state: if end.ends_with('?') {
            MessageState::Incomplete
        } else {
            MessageState::Complete
        },
        first_byte: Timestamp(first.unwrap_or(end_ns.saturating_sub(1000))),
        last_byte: Timestamp(end_ns),
        ..Message::default()
    };
    let of_body = parts.leaves.iter().filter(|leaf| leaf.part == Part::Body);
    let marks = of_body.zip(0..).map(|(leaf, place)| Mark {
        end: u64::from(leaf.start + leaf.len),
        after_ns: place * 1_000_000,
        piece: Piece::Message,
        dropped_bytes: 0,
    });
    let timeline = Timeline {
        marks: marks.filter(|_| first.is_some()).collect(),
        ..Timeline::default()
    };
    (message, parts.leaves, timeline)
}

/// The fields and leaves of a message.
#[derive(Default)]
struct Parts {
    fields: Vec<Field>,
    leaves: Vec<Leaf>,
    body_bytes: u32,
}

impl Parts {
    fn target(&mut self, target: &str) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut at = 1;
        for (index, segment) in path.split('/').skip(1).enumerate() {
            self.push(Part::Target, format!("path.{index}"), at, segment);
            at += segment.len() + 1;
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.push(
                Part::Target,
                format!("query.{name}"),
                at + name.len() + 1,
                value,
            );
            at += pair.len() + 1;
        }
    }

    #[track_caller]
    fn leaf(&mut self, text: &str) {
        let (path, value) = text
            .split_once('=')
            .unwrap_or_else(|| panic!("no leaf: {text}"));
        if let Some(name) = path.strip_prefix("cookie.") {
            self.field("cookie", &format!("{name}="), path, value);
        } else if let Some(name) = path.strip_prefix("set-cookie.") {
            self.field("set-cookie", &format!("{name}="), path, value);
        } else if let Some(name) = path.strip_prefix("header.") {
            let (name, scheme) = name.split_once('.').unwrap_or((name, ""));
            self.field(name, scheme, path, value);
        } else if path == "location" {
            self.location(value);
        } else if path.starts_with("location.") {
            self.field("location", "/", path, value);
        } else {
            let start = self.body_bytes as usize;
            let bare = value.trim_start_matches('#');
            self.push(Part::Body, path.to_owned(), start, bare);
            self.body_bytes += bare.len() as u32 + 1;
            let leaf = self.leaves.last_mut().expect("just pushed");
            leaf.encoding = if value.starts_with('#') {
                Encoding::JsonLiteral
            } else {
                Encoding::JsonString
            };
        }
    }

    fn field(&mut self, name: &str, before: &str, path: &str, value: &str) {
        let part = Part::Field(self.fields.len() as u32);
        let field = Bytes::from(format!("{before}{value}"));
        self.fields
            .push(Field::new(Bytes::copy_from_slice(name.as_bytes()), field));
        let value = value.split(';').next().unwrap_or(value);
        self.push(part, path.to_owned(), before.len(), value);
    }

    /// A Location of words and ids.
    fn location(&mut self, target: &str) {
        let part = Part::Field(self.fields.len() as u32);
        let value = Bytes::copy_from_slice(target.as_bytes());
        self.fields
            .push(Field::new(Bytes::from_static(b"location"), value));
        let mut at = 1;
        for (index, segment) in target.split('/').skip(1).enumerate() {
            self.push(part, format!("location.path.{index}"), at, segment);
            at += segment.len() + 1;
        }
    }

    fn push(&mut self, part: Part, path: String, start: usize, value: &str) {
        self.leaves.push(Leaf {
            part,
            path,
            start: start as u32,
            len: value.len() as u32,
            tag: tag_of(value),
            encoding: Encoding::Plain,
            action: Action::Pseudonym,
            raw_chars: value.chars().count() as u32,
        });
    }
}

/// The link tag of a value: a digest, as in life.
pub fn tag_of(value: &str) -> LinkTag {
    let digest = blake3::hash(value.as_bytes());
    let head = digest.as_bytes().first_chunk().expect("32 bytes");
    LinkTag(u64::from_be_bytes(*head))
}

#[track_caller]
fn millis(text: &str) -> u64 {
    let ms: f64 = text.parse().unwrap_or_else(|_| panic!("no time: {text}"));
    BASE_NS + (ms * 1e6) as u64
}

#[track_caller]
fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}
