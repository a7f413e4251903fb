//! What this crate makes of a case, and whether that is what the suite expects.

use std::collections::BTreeMap;

use super::cases::{Case, Expected, Failure, Kind};
use crate::common::{Talk, Tap};
use twintap_stream::message::{Framing, MessageState};
use twintap_stream::{Direction, EventKind, Exchange, Field, Limits, Message, Segment, Timestamp};

/// How the input is cut into segments.
#[derive(Clone, Copy)]
pub enum Splitting {
    Whole,
    EveryByte,
}

/// Flags that say what a message has, not that something is wrong with it.
const HARMLESS: &[&str] = &[
    "chunk_extension",
    "no_version",
    "pairing_unknown",
    "unsolicited",
];

/// What each class of llhttp's errors is here: a flag of a message, or the cause of a discard.
/// `opaque` means that no protocol claims such bytes at the begin of a flow.
const CLASSES: &[(u32, &[&str])] = &[
    // Strict line ends, and what must follow what.
    (
        2,
        &[
            "bare_cr",
            "bare_lf",
            "bad_chunk",
            "unfinished_head",
            "malformed",
        ],
    ),
    (3, &["bare_cr"]),
    (
        4,
        &[
            "conflicting_length",
            "duplicate_length",
            "length_and_coding",
        ],
    ),
    (5, &["after_close", "malformed"]),
    (6, &["bad_method", "malformed", "opaque"]),
    (
        7,
        &[
            "odd_target",
            "target_not_ascii",
            "control_in_target",
            "bare_cr",
        ],
    ),
    (
        8,
        &[
            "space_in_target",
            "malformed",
            "malformed_status_line",
            "opaque",
        ],
    ),
    (
        9,
        &[
            "odd_version",
            "malformed",
            "malformed_status_line",
            "opaque",
        ],
    ),
    (
        10,
        &[
            "bad_field_name",
            "space_before_colon",
            "no_colon",
            "no_field_name",
            "control_byte",
            "bare_cr",
            "bare_lf",
            "nul",
            "obs_fold",
        ],
    ),
    (11, &["bad_length"]),
    (
        12,
        &["bad_chunk", "bad_chunk_extension", "space_after_chunk_size"],
    ),
    (13, &["odd_status", "malformed", "malformed_status_line"]),
    (
        15,
        &[
            "length_and_coding",
            "unknown_coding",
            "chunked_not_last",
            "chunked_twice",
        ],
    ),
    (25, &["bare_lf", "bare_cr"]),
    (30, &["space_before_field"]),
];

/// One message as this crate gives it.
#[derive(Debug, PartialEq)]
pub struct OurMessage {
    method: Vec<u8>,
    url: Vec<u8>,
    version: Vec<u8>,
    status: Option<u16>,
    reason: Vec<u8>,
    fields: Vec<Field>,
    trailers: Vec<Field>,
    host: Option<Vec<u8>>,
    body: Vec<u8>,
    state: MessageState,
    framing: Framing,
    flags: Vec<String>,
}

/// All that came of a case in the direction of its input.
#[derive(Debug, PartialEq)]
pub struct Ours {
    messages: Vec<OurMessage>,
    discarded: BTreeMap<String, u64>,
    opaque: Vec<u8>,
}

impl Ours {
    /// Feeds a case's input as a flow.
    pub fn of(case: &Case, splitting: Splitting) -> Ours {
        let direction = match case.kind {
            Kind::Request | Kind::Url => Direction::Client,
            Kind::Response => Direction::Server,
        };
        let mut tap = Tap::new(Limits {
            emit_opaque: true,
            ..Limits::default()
        });
        for segment in talk(case, direction) {
            match splitting {
                Splitting::Whole => tap.segment(segment),
                Splitting::EveryByte => bytes_of(&segment)
                    .into_iter()
                    .for_each(|one| tap.segment(one)),
            }
        }
        tap.finish(Timestamp(1 << 50));
        let ledger = tap.streams.ledger();
        let mut ours = Ours {
            messages: Vec::new(),
            discarded: ledger.discarded_bytes,
            opaque: Vec::new(),
        };
        let mut bodies: BTreeMap<_, Vec<u8>> = BTreeMap::new();
        for event in &tap.events {
            match &event.kind {
                EventKind::Body {
                    exchange,
                    direction: from,
                    chunk,
                    ..
                } if *from == direction => {
                    bodies
                        .entry(exchange.clone())
                        .or_default()
                        .extend_from_slice(chunk);
                }
                EventKind::Opaque {
                    direction: from,
                    chunk,
                    ..
                } if *from == direction => ours.opaque.extend_from_slice(chunk),
                EventKind::Exchange(exchange) => {
                    let body = bodies.remove(&exchange.id).unwrap_or_default();
                    match direction {
                        Direction::Client => ours.request(exchange, body),
                        Direction::Server => ours.response(exchange, body),
                    }
                }
                _ => {}
            }
        }
        ours
    }

    fn request(&mut self, exchange: &Exchange, body: Vec<u8>) {
        if exchange.request.state == MessageState::Absent {
            return;
        }
        let mut ours = OurMessage::of(&exchange.request, body);
        if let Some(head) = &exchange.request.head {
            ours.method = head.method.to_vec();
            ours.url = head.target.to_vec();
            ours.version = head.version.to_vec();
            ours.fields = head.fields.clone();
            ours.host = head.authority().map(Vec::from);
        }
        self.messages.push(ours);
    }

    fn response(&mut self, exchange: &Exchange, body: Vec<u8>) {
        let response = &exchange.response;
        let heads = exchange.interim.iter().chain(&response.head);
        let last = heads.clone().count().max(1) - 1;
        if response.state == MessageState::Absent && exchange.interim.is_empty() {
            return;
        }
        let mut heads = heads.peekable();
        if heads.peek().is_none() {
            self.messages.push(OurMessage::of(response, body.clone()));
        }
        for (index, head) in heads.enumerate() {
            let mut ours = OurMessage::of(response, Vec::new());
            if index == last {
                ours.body = body.clone();
            } else {
                ours.state = MessageState::Complete;
                ours.framing = Framing::None;
                ours.trailers.clear();
            }
            ours.version = head.version.to_vec();
            ours.status = Some(head.status);
            ours.reason = head.reason.to_vec();
            ours.fields = head.fields.clone();
            self.messages.push(ours);
        }
    }

    /// Messages, bytes that nobody claims, and how many bytes were discarded.
    pub fn but_for_causes(&self) -> (&[OurMessage], &[u8], u64) {
        (&self.messages, &self.opaque, self.discarded.values().sum())
    }

    pub fn is_cut_short(&self) -> bool {
        self.discarded.contains_key("unfinished_head")
    }

    /// Flags, causes, and `opaque`.
    fn evidence(&self) -> Vec<&str> {
        let flags = self.messages.iter().flat_map(|message| &message.flags);
        let mut names: Vec<_> = flags
            .chain(self.discarded.keys())
            .map(String::as_str)
            .collect();
        if !self.opaque.is_empty() {
            names.push("opaque");
        }
        names
    }
}

impl OurMessage {
    fn of<H>(message: &Message<H>, body: Vec<u8>) -> OurMessage {
        OurMessage {
            method: Vec::new(),
            url: Vec::new(),
            version: Vec::new(),
            status: None,
            reason: Vec::new(),
            fields: Vec::new(),
            trailers: message.trailers.clone(),
            host: None,
            body,
            state: message.state,
            framing: message.framing,
            flags: message.flags.clone(),
        }
    }

    /// What differs from the suite's head.
    fn differs_in_head(&self, expected: &Expected) -> Option<String> {
        let pairs = [
            ("method", &expected.method, &self.method),
            ("url", &expected.url, &self.url),
            ("version", &expected.version, &self.version),
            ("reason", &expected.reason, &self.reason),
        ];
        for (what, expected, ours) in pairs {
            if expected.as_bytes() != ours.as_slice() {
                return Some(format!("{what} {:?}, not {expected:?}", lossy(ours)));
            }
        }
        if expected.status != self.status {
            return Some(format!(
                "status {:?}, not {:?}",
                self.status, expected.status
            ));
        }
        let ours = plain(&self.fields);
        (ours != plain_expected(&expected.fields)).then(|| format!("fields {ours:?}"))
    }

    fn differs(&self, expected: &Expected) -> Option<String> {
        if let Some(what) = self.differs_in_head(expected) {
            return Some(what);
        }
        if self.state != MessageState::Complete {
            return Some(format!("state {:?}", self.state));
        }
        if self.body != expected.body.as_bytes() {
            return Some(format!("body {:?}", lossy(&self.body)));
        }
        let trailers = plain(&self.trailers);
        if trailers != plain_expected(&expected.trailers) {
            return Some(format!("trailers {trailers:?}"));
        }
        let has_extensions = self.flags.iter().any(|flag| flag == "chunk_extension");
        (has_extensions == expected.extensions.is_empty())
            .then(|| "the flag chunk_extension".to_owned())
    }

    fn alarms(&self) -> Vec<&str> {
        let flags = self.flags.iter().map(String::as_str);
        flags.filter(|flag| !HARMLESS.contains(flag)).collect()
    }
}

/// Names and values with folds undone and without surrounding white space.
fn plain(fields: &[Field]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| lossy(bytes).replace(['\r', '\n'], "");
    let pair = |field: &Field| (text(&field.name), text(&field.value));
    fields.iter().map(pair).collect()
}

fn plain_expected(fields: &[(String, String)]) -> Vec<(String, String)> {
    let trim = |text: &str| text.trim_matches([' ', '\t']).to_owned();
    fields
        .iter()
        .map(|(name, value)| (trim(name), trim(value)))
        .collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The case's input, with what the other side says to it.
fn talk(case: &Case, direction: Direction) -> Vec<Segment> {
    let input = &case.input;
    let switches = case.error.as_ref().is_some_and(|error| error.code == 22);
    let talk = Talk::new().handshake();
    let talk = match direction {
        Direction::Client if case.kind == Kind::Url => {
            talk.ask([b"GET ", &input[..], b" HTTP/1.1\r\n\r\n"].concat())
        }
        Direction::Client
            if switches && case.messages.iter().any(|one| one.method == "CONNECT") =>
        {
            talk.ask(input).answer("HTTP/1.1 200 OK\r\n\r\n")
        }
        Direction::Client if switches => talk
            .ask(input)
            .answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        Direction::Client => talk.ask(input),
        Direction::Server => {
            let is_final = |message: &&Expected| !matches!(message.status, Some(100 | 102..=199));
            let finals = case.messages.iter().filter(is_final).count();
            let request = match (case.skips_body, switches) {
                (true, _) => "HEAD / HTTP/1.1\r\n\r\n",
                (_, true) => "GET / HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
                _ => "GET / HTTP/1.1\r\n\r\n",
            };
            talk.ask(request.repeat(finals.max(1))).answer(input)
        }
    };
    talk.close().segments()
}

fn bytes_of(segment: &Segment) -> Vec<Segment> {
    if segment.payload.len() < 2 {
        return vec![segment.clone()];
    }
    let one = |at: usize| Segment {
        sequence_number: segment.sequence_number.wrapping_add(at as u32),
        payload: segment.payload.slice(at..=at),
        wire_bytes: 1,
        ..segment.clone()
    };
    (0..segment.payload.len()).map(one).collect()
}

/// What is not as the suite expects.
pub fn judge(case: &Case, ours: &Ours) -> Result<(), String> {
    if case.kind == Kind::Url {
        return judge_target(case, ours);
    }
    let end = case.messages.len();
    let failure = case
        .error
        .as_ref()
        .filter(|error| !matches!(error.code, 22 | 23));
    let failed = failure.filter(|failure| failure.within_message);
    for (index, expected) in case.messages.iter().enumerate() {
        let ours = ours.messages.get(index);
        if failed.is_some() && index + 1 == end {
            break;
        }
        if expected.is_complete {
            let ours = ours.ok_or("a message is missing")?;
            if let Some(what) = ours.differs(expected) {
                return Err(what);
            }
            if !case.is_lenient && !ours.alarms().is_empty() {
                return Err(format!("flags {:?}", ours.alarms()));
            }
        } else if let Some(ours) = ours {
            if expected.has_head
                && let Some(what) = ours.differs_in_head(expected)
            {
                return Err(what);
            }
            if ours.state == MessageState::Complete && ours.framing != Framing::Close {
                return Err("complete, and the suite waits for more".to_owned());
            }
        } else if expected.has_head {
            return Err("a message is missing".to_owned());
        }
    }
    if let Some(failure) = failure {
        return judge_failure(failure, ours);
    }
    if let Some(extra) = ours.messages.get(end) {
        return Err(format!("one message more: {extra:?}"));
    }
    let is_switch = case.error.is_some();
    if case.is_lenient && !is_switch {
        let evidence = ours.evidence();
        let is_flagged = evidence.iter().any(|name| !HARMLESS.contains(name));
        return is_flagged
            .then_some(())
            .ok_or("no flag, and only lenient parsers take it".to_owned());
    }
    if !ours.opaque.is_empty() && !is_switch {
        return Err(format!("opaque {:?}", lossy(&ours.opaque)));
    }
    let is_whole = case.messages.iter().all(|message| message.is_complete);
    if is_whole && !ours.discarded.is_empty() {
        return Err(format!("discarded {:?}", ours.discarded));
    }
    Ok(())
}

fn judge_failure(failure: &Failure, ours: &Ours) -> Result<(), String> {
    let (_, class) = CLASSES
        .iter()
        .find(|(code, _)| *code == failure.code)
        .ok_or_else(|| format!("no class for error {}", failure.code))?;
    let evidence = ours.evidence();
    match evidence.iter().any(|name| class.contains(name)) {
        true => Ok(()),
        false => Err(format!(
            "error {} ({}), and here {evidence:?}",
            failure.code, failure.reason
        )),
    }
}

fn judge_target(case: &Case, ours: &Ours) -> Result<(), String> {
    if let Some(failure) = &case.error {
        return judge_failure(failure, ours);
    }
    let [message] = &ours.messages[..] else {
        return Err(format!("{} messages", ours.messages.len()));
    };
    if message.url != case.input || message.state != MessageState::Complete {
        return Err(format!("target {:?}", lossy(&message.url)));
    }
    if message.host != case.host.as_ref().map(|host| host.as_bytes().to_vec()) {
        return Err(format!(
            "authority {:?}",
            message.host.as_deref().map(lossy)
        ));
    }
    match &message.alarms()[..] {
        [] => Ok(()),
        alarms => Err(format!("flags {alarms:?}")),
    }
}
