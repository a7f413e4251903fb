//! Commands of databases and their replies as JSON: the form in which they are stored, compared
//! and shown (`docs/stream-protocols.md`, part "Documents").
//!
//! A [`CommandExchange`] and the bytes of its reply become an ordinary [`Exchange`] with two
//! bodies ([`make`]), so that what reads JSON reads databases. Whoever has the bytes gathers them
//! in a [`ReplyBytes`] as they come.

pub(crate) mod json;
pub(crate) mod results;
mod status;
pub(crate) mod table;

use bytes::{Bytes, BytesMut};

use self::json::{Budget, Json};
use self::results::Results;
use crate::command::{Argument, CommandExchange, CommandHead, ReplyHead, ReplyKind, Transaction};
use crate::message::{Exchange, Field, Framing, Message, MessageState, Protocol};
use crate::message::{RequestHead, ResponseHead};
use crate::{mysql, postgres, redis};

pub use self::status::status;

/// The type of both documents.
pub const CONTENT_TYPE: &str = "application/vnd.twintap.command+json";

/// How large a document may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Bytes of a reply that are gathered, and about as many of its document.
    pub bytes: usize,
    /// Rows of all results of a reply.
    pub rows: usize,
}

impl Default for DocumentLimits {
    fn default() -> DocumentLimits {
        DocumentLimits {
            bytes: 1 << 20,
            rows: 10_000,
        }
    }
}

/// The bytes of a reply as they come, up to a limit.
#[derive(Clone, Debug, Default)]
pub struct ReplyBytes {
    bytes: BytesMut,
    is_cut: bool,
}

impl ReplyBytes {
    /// Takes the next bytes; what is past `room` in all is left out.
    pub fn push(&mut self, chunk: &[u8], room: usize) {
        let room = room.saturating_sub(self.bytes.len());
        self.is_cut |= room < chunk.len();
        let kept = chunk.get(..room).unwrap_or(chunk);
        self.bytes.extend_from_slice(kept);
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when none are held.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A document of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// One JSON object.
    pub json: Bytes,
    /// Something was left out, which its member `cut` says too.
    pub is_cut: bool,
}

/// A command and its reply as any other exchange.
#[derive(Clone, Debug)]
pub struct Made {
    /// The exchange, with heads made from those of the command.
    pub exchange: Exchange,
    /// The request's body; none where the command was not seen.
    pub request: Option<Bytes>,
    /// The response's body; none where there is no reply.
    pub response: Option<Bytes>,
}

/// Makes an exchange of a command whose reply has these bytes.
pub fn make(command: CommandExchange, reply: &ReplyBytes, limits: DocumentLimits) -> Made {
    let protocol = command.protocol;
    let asked = command.request.head.as_ref();
    let is_cut = |flag: &String| matches!(&flag[..], "arguments_cut" | "statement_cut");
    let is_cut = command.request.flags.iter().any(is_cut);
    let request = asked.map(|head| command_document(head, is_cut, limits));
    let response = command.response.head.as_ref();
    let response = response
        .filter(|head| head.kind != ReplyKind::None)
        .map(|head| {
            let whole = command.response.state == MessageState::Complete;
            let reply = whole.then_some(reply);
            reply_document(protocol, asked, head, reply, limits)
        });
    let request_head = asked.map(|head| request_head(&head.name));
    let response_head = command.response.head.as_ref();
    let response_head = response_head.map(|head| response_head_of(status(protocol, head)));
    let exchange = Exchange {
        id: command.id,
        protocol,
        endpoints: command.endpoints,
        round_trip_ns: command.round_trip_ns,
        flow_began_before_capture: command.flow_began_before_capture,
        index_in_flow: command.index_in_flow,
        request: message(command.request, request_head, request.as_ref()),
        response: message(command.response, response_head, response.as_ref()),
        interim: Vec::new(),
    };
    Made {
        exchange,
        request: request.map(|document| document.json),
        response: response.map(|document| document.json),
    }
}

/// What a command says.
pub fn command_document(head: &CommandHead, is_cut: bool, limits: DocumentLimits) -> Document {
    let mut budget = Budget::new(limits);
    if is_cut {
        budget.stop();
    }
    let mut members = Vec::new();
    if let Some(statement) = &head.statement {
        members.push(("statement".to_owned(), budget.text(statement)));
    }
    if let Some(prepared) = &head.prepared {
        members.push(("prepared".to_owned(), budget.text(prepared.as_bytes())));
    }
    if !head.arguments.is_empty() {
        let arguments = head.arguments.iter();
        let arguments = arguments.map(|argument| self::argument(argument, &mut budget));
        members.push(("arguments".to_owned(), Json::List(arguments.collect())));
    }
    if let Some(transaction) = head.transaction {
        members.push(("transaction".to_owned(), self::transaction(transaction)));
    }
    document(members, budget.is_over())
}

/// What a reply says, read from its bytes. Those of one that is not whole are not read: what seems
/// to be a column's name there may be another's value.
pub fn reply_document(
    protocol: Protocol,
    command: Option<&CommandHead>,
    reply: &ReplyHead,
    bytes: Option<&ReplyBytes>,
    limits: DocumentLimits,
) -> Document {
    let mut budget = Budget::new(limits);
    if bytes.is_none_or(|bytes| bytes.is_cut) {
        budget.stop_after();
    }
    let wire = bytes.map_or(&[][..], |bytes| &bytes.bytes);
    let statement = command.and_then(|command| command.statement.as_ref());
    let folds_case = protocol == Protocol::Postgres;
    let told = statement.map(|statement| table::told(statement, folds_case));
    let mut results = Results::new(reply, told, budget);
    let mut members = Vec::new();
    match protocol {
        Protocol::Redis => {
            if reply.kind != ReplyKind::Error {
                let value = redis::read_reply(wire, results.budget());
                let name = command.map_or("", |command| &command.name);
                let value = value.map(|value| match PAIRS.contains(&name) {
                    true => redis::pairs(value),
                    false => value,
                });
                members.extend(value.map(|value| ("reply".to_owned(), value)));
                if UNORDERED.contains(&name) {
                    members.push(("unordered".to_owned(), Json::Bool(true)));
                }
            }
        }
        _ if is_words(protocol, reply) => {
            let text = results.budget().text(&reply.text);
            members.push(("text".to_owned(), text));
        }
        // What a statement gives is in the replies that give it; whether a client has it
        // described before is its own affair.
        Protocol::Postgres if command.is_some_and(|command| command.name == "Parse") => {}
        Protocol::Postgres => postgres::read_reply(wire, &mut results),
        Protocol::Mysql => mysql::read_reply(wire, command, &mut results),
        Protocol::Http1 | Protocol::Http2 | Protocol::Opaque => {}
    }
    if reply.kind == ReplyKind::Error {
        members.push(("error".to_owned(), error(protocol, reply)));
    }
    let is_error = reply.kind == ReplyKind::Error;
    let (list, is_cut) = results.finish();
    let is_sql = matches!(protocol, Protocol::Postgres | Protocol::Mysql);
    if !list.is_empty() || is_sql && !is_error && members.is_empty() {
        members.insert(0, ("results".to_owned(), Json::List(list)));
    }
    document(members, is_cut)
}

/// Commands of Redis whose reply is names and values in turn where RESP2 has no maps.
const PAIRS: &[&str] = &["HGETALL"];

/// Commands of Redis whose reply is a set, in the order that the server has it in.
const UNORDERED: &[&str] = &[
    "HKEYS", "HVALS", "KEYS", "SDIFF", "SINTER", "SMEMBERS", "SUNION",
];

/// True for an answer that is words alone: what was pushed, statistics, the answer to a request
/// for encryption.
fn is_words(protocol: Protocol, reply: &ReplyHead) -> bool {
    match (protocol, reply.kind) {
        (Protocol::Postgres, ReplyKind::Done) => reply.text.len() == 1,
        (Protocol::Mysql, ReplyKind::Value) | (_, ReplyKind::Push) => true,
        _ => false,
    }
}

fn error(protocol: Protocol, reply: &ReplyHead) -> Json {
    let mut members = Vec::new();
    if let Some(code) = &reply.code {
        members.push(("code".to_owned(), Json::text(code.as_bytes())));
    }
    let (state, message) = match protocol {
        Protocol::Mysql => mysql::state_and_message(&reply.text),
        _ => (None, &reply.text[..]),
    };
    members.extend(state.map(|state| ("state".to_owned(), Json::text(state))));
    members.push(("message".to_owned(), Json::text(message)));
    Json::Object(members)
}

fn argument(argument: &Argument, budget: &mut Budget) -> Json {
    match argument {
        Argument::Null => Json::Null,
        Argument::Text(bytes) => budget.text(bytes),
        Argument::Binary(bytes) => {
            budget.take(bytes.len() / 3 * 4);
            Json::Base64(bytes.to_vec())
        }
        Argument::Number(digits) => {
            budget.take(digits.len());
            Json::number(digits)
        }
    }
}

fn transaction(transaction: Transaction) -> Json {
    Json::Object(vec![
        ("index".to_owned(), Json::Number(transaction.index.into())),
        (
            "step".to_owned(),
            Json::text(transaction.step.name().as_bytes()),
        ),
    ])
}

fn document(mut members: Vec<(String, Json)>, is_cut: bool) -> Document {
    if is_cut {
        members.push(("cut".to_owned(), Json::Bool(true)));
    }
    Document {
        json: Json::Object(members).to_bytes(),
        is_cut,
    }
}

fn request_head(name: &str) -> RequestHead {
    RequestHead {
        method: Bytes::copy_from_slice(name.as_bytes()),
        target: Bytes::from_static(b"/"),
        version: Bytes::new(),
        fields: vec![Field::new("content-type", CONTENT_TYPE)],
        line_spelling: None,
        end: Bytes::new(),
    }
}

fn response_head_of(status: u16) -> ResponseHead {
    ResponseHead {
        version: Bytes::new(),
        status,
        reason: Bytes::new(),
        fields: vec![Field::new("content-type", CONTENT_TYPE)],
        line_spelling: None,
        end: Bytes::new(),
    }
}

/// The message with another head, and the document as its body.
fn message<H, G>(from: Message<H>, head: Option<G>, document: Option<&Document>) -> Message<G> {
    let is_cut = document.is_some_and(|document| document.is_cut);
    Message {
        head,
        state: match is_cut {
            true => MessageState::Incomplete,
            false => from.state,
        },
        framing: match document {
            Some(_) => Framing::Length,
            None => Framing::None,
        },
        body_bytes: document.map_or(0, |document| document.json.len() as u64),
        trailers: from.trailers,
        first_byte: from.first_byte,
        last_byte: from.last_byte,
        offset: from.offset,
        flags: from.flags,
    }
}
