//! Messages as comparable lines: ours, spelled as the tables of the ground truth are.

use std::collections::BTreeMap;

use bytes::Bytes;
use twintap_stream::content::{self, Codings, DecodeLimits};
use twintap_stream::message::{Protocol, field_values};
use twintap_stream::{
    Direction, Endpoints, Event, EventKind, Exchange, ExchangeId, Field, Part, PartKind,
};

/// What a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Request,
    Response,
    /// A message or control frame of a WebSocket.
    Part,
}

/// One line, and what it tells of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub protocol: Protocol,
    pub kind: Kind,
    /// The ports of sender and receiver.
    pub ends: String,
    pub text: String,
}

/// Lines and how often each occurs.
#[derive(Clone, Debug, Default)]
pub struct Items(pub BTreeMap<Item, u64>);

impl Items {
    /// Counts one.
    pub fn add(&mut self, protocol: Protocol, kind: Kind, ends: &str, text: String) {
        let item = Item {
            protocol,
            kind,
            ends: ends.to_owned(),
            text,
        };
        *self.0.entry(item).or_default() += 1;
    }

    /// Takes up to `count` of an item out; how many there were.
    pub fn take(&mut self, item: &Item, count: u64) -> u64 {
        let Some(left) = self.0.get_mut(item) else {
            return 0;
        };
        let taken = count.min(*left);
        *left -= taken;
        taken
    }

    /// How many are of this protocol and kind.
    pub fn count(&self, protocol: Protocol, kind: Kind) -> u64 {
        let of_kind = self
            .0
            .iter()
            .filter(|(item, _)| (item.protocol, item.kind) == (protocol, kind));
        of_kind.map(|(_, count)| count).sum()
    }
}

/// The messages in our events.
pub fn of_events(events: &[Event]) -> Items {
    let mut items = Items::default();
    let mut sockets = BTreeMap::new();
    let mut bodies = Bodies::default();
    for event in events {
        match &event.kind {
            EventKind::Body {
                exchange,
                direction,
                chunk,
                ..
            } => bodies.add(exchange, *direction, chunk),
            EventKind::Exchange(exchange) => {
                sockets.insert(exchange.id.clone(), exchange.endpoints);
                let lengths = bodies.lengths(exchange);
                match exchange.protocol {
                    Protocol::Http2 => http2(exchange, &lengths, &mut items),
                    _ => http1(exchange, &lengths, &mut items),
                }
            }
            EventKind::Part(part) => socket_part(part, &sockets, &mut items),
            _ => {}
        }
    }
    items
}

/// The bodies of exchanges that are not over.
#[derive(Default)]
struct Bodies(BTreeMap<(ExchangeId, Direction), Vec<u8>>);

/// How long both bodies are without their content codings: the number, or why there is none.
struct Lengths {
    request: String,
    response: String,
}

impl Bodies {
    fn add(&mut self, exchange: &ExchangeId, direction: Direction, chunk: &[u8]) {
        let key = (exchange.clone(), direction);
        self.0.entry(key).or_default().extend_from_slice(chunk);
    }

    fn lengths(&mut self, exchange: &Exchange) -> Lengths {
        let (request, response) = (&exchange.request, &exchange.response);
        let mut length = |direction, fields: Option<&[Field]>| {
            let body = self.0.remove(&(exchange.id.clone(), direction));
            decoded_length(fields.unwrap_or_default(), body.unwrap_or_default())
        };
        Lengths {
            request: length(
                Direction::Client,
                request.head.as_ref().map(|head| &head.fields[..]),
            ),
            response: length(
                Direction::Server,
                response.head.as_ref().map(|head| &head.fields[..]),
            ),
        }
    }
}

/// Of a body that can't be decoded to its end, how far it can, and what is wrong with it.
fn decoded_length(fields: &[Field], body: Vec<u8>) -> String {
    let codings = match Codings::of(fields) {
        Ok(codings) => codings,
        Err(fault) => return format!("{} ({fault})", body.len()),
    };
    let decoded = content::decode(&Bytes::from(body), &codings, DecodeLimits::default());
    match decoded.fault {
        None => decoded.bytes.len().to_string(),
        Some(fault) => format!("{} ({fault})", decoded.bytes.len()),
    }
}

/// The ports of both directions.
fn ends(endpoints: Endpoints) -> (String, String) {
    let (client, server) = (endpoints.client.port(), endpoints.server.port());
    (format!("{client}>{server}"), format!("{server}>{client}"))
}

fn http1(exchange: &Exchange, lengths: &Lengths, items: &mut Items) {
    let (to_server, to_client) = ends(exchange.endpoints);
    if let Some(head) = &exchange.request.head {
        let line = format!(
            "req {to_server} {} {} {} {}",
            text(&head.method),
            text(&head.target),
            first(&head.fields, "host"),
            lengths.request,
        );
        items.add(Protocol::Http1, Kind::Request, &to_server, line);
    }
    for interim in &exchange.interim {
        let line = format!("resp {to_client} {} 0", interim.status);
        items.add(Protocol::Http1, Kind::Response, &to_client, line);
    }
    if let Some(head) = &exchange.response.head {
        let line = format!("resp {to_client} {} {}", head.status, lengths.response,);
        items.add(Protocol::Http1, Kind::Response, &to_client, line);
    }
}

/// The ground truth has the sum of DATA frames: content codings stay.
fn http2(exchange: &Exchange, lengths: &Lengths, items: &mut Items) {
    let (to_server, to_client) = ends(exchange.endpoints);
    if exchange
        .request
        .head
        .as_ref()
        .is_some_and(|head| head.version != "HTTP/2")
    {
        return upgraded(exchange, lengths, items);
    }
    if let Some(head) = &exchange.request.head {
        let authority = match first(&head.fields, ":authority") {
            authority if authority.is_empty() => first(&head.fields, "host"),
            authority => authority,
        };
        let line = format!(
            "h2req {to_server} {} {} {authority}{} {}",
            text(&head.method),
            text(&head.target),
            declared(&head.fields),
            exchange.request.body_bytes,
        );
        items.add(Protocol::Http2, Kind::Request, &to_server, line);
    }
    http2_response(exchange, &to_client, items);
}

/// An exchange that began with HTTP/1 and was answered in HTTP/2.
fn upgraded(exchange: &Exchange, lengths: &Lengths, items: &mut Items) {
    let mut of_http1 = exchange.clone();
    of_http1.response.head = None;
    of_http1.interim.retain(|head| head.version != "HTTP/2");
    http1(&of_http1, lengths, items);
    http2_response(exchange, &ends(exchange.endpoints).1, items);
}

fn http2_response(exchange: &Exchange, to_client: &str, items: &mut Items) {
    if let Some(head) = &exchange.response.head {
        let trailers = &exchange.response.trailers;
        let status = field_values(trailers, "grpc-status")
            .chain(field_values(&head.fields, "grpc-status"))
            .next();
        let grpc = status.map_or_else(String::new, |code| format!(" grpc-status={}", text(code)));
        let line = format!(
            "h2resp {to_client} {}{}{grpc} {}",
            head.status,
            declared(&head.fields),
            exchange.response.body_bytes,
        );
        items.add(Protocol::Http2, Kind::Response, to_client, line);
    }
}

fn socket_part(part: &Part, sockets: &BTreeMap<ExchangeId, Endpoints>, items: &mut Items) {
    let code = match part.kind {
        PartKind::SocketText => 1,
        PartKind::SocketBinary => 2,
        PartKind::SocketClose { .. } => 8,
        PartKind::SocketPing => 9,
        PartKind::SocketPong => 10,
        _ => return,
    };
    let Some(endpoints) = sockets.get(&part.exchange) else {
        return;
    };
    let (to_server, to_client) = ends(*endpoints);
    let ends = match part.direction {
        Direction::Client => to_server,
        Direction::Server => to_client,
    };
    let line = format!("ws {ends} op={code} {}", part.bytes);
    items.add(Protocol::Http1, Kind::Part, &ends, line);
}

fn declared(fields: &[Field]) -> String {
    match first(fields, "content-length") {
        length if length.is_empty() => length,
        length => format!(" content-length={length}"),
    }
}

fn first(fields: &[Field], name: &str) -> String {
    let value = field_values(fields, name).next();
    value.map_or_else(String::new, |value| text(value))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
