//! A readable rendering of events.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use twintap_stream::command::Argument;
use twintap_stream::message::MessageState;
use twintap_stream::{CommandExchange, Direction, Event, EventKind, Exchange};

/// Bodies by exchange and direction.
type Bodies = BTreeMap<(String, Direction), Vec<u8>>;

/// Data of WebSockets by exchange, direction and part.
type Messages = BTreeMap<(String, Direction, u32), Vec<u8>>;

/// One line for each thing that a reader wants to know.
pub fn render(events: &[Event]) -> String {
    let mut bodies = Bodies::new();
    let mut socket = Messages::new();
    let mut text = String::new();
    let several = events.iter().any(|event| event.flow != events[0].flow);
    for event in events {
        let flow = match several {
            true => format!("{} ", event.flow.0),
            false => String::new(),
        };
        let line = match &event.kind {
            EventKind::FlowOpened { before_capture, .. } => {
                before_capture.then(|| "began before".to_owned())
            }
            EventKind::RequestHead { .. }
            | EventKind::ResponseHead { .. }
            | EventKind::CommandData { .. } => None,
            EventKind::Body {
                exchange,
                direction,
                chunk,
                ..
            } => {
                add(&mut bodies, exchange.to_string(), *direction, chunk);
                None
            }
            EventKind::SocketData {
                exchange,
                direction,
                part,
                chunk,
                ..
            } => {
                let key = (exchange.to_string(), *direction, *part);
                socket.entry(key).or_default().extend_from_slice(chunk);
                None
            }
            EventKind::Gap {
                direction,
                offset,
                bytes,
            } => Some(format!("gap {direction:?} {offset}+{bytes}")),
            EventKind::Opaque {
                direction, chunk, ..
            } => Some(format!("opaque {direction:?} {:?}", lossy(chunk))),
            EventKind::Unclaimed { .. } => None,
            EventKind::FlowClosed { reason, .. } => Some(format!("closed {reason:?}")),
            EventKind::Exchange(exchange) => Some(http(exchange, &mut bodies)),
            EventKind::Command(exchange) => Some(command(exchange)),
            EventKind::Part(part) => {
                let source = (part.exchange.to_string(), part.direction);
                let end = part.offset + part.bytes;
                let message = socket.get(&(source.0.clone(), source.1, part.index));
                let bytes = match message {
                    Some(message) => {
                        assert_eq!(message.len() as u64, part.bytes, "{part:?}");
                        Some(&message[..])
                    }
                    None => bodies
                        .get(&source)
                        .and_then(|whole| whole.get(part.offset as usize..end as usize)),
                };
                let payload = match part.flags.iter().any(|flag| flag == "base64") {
                    true => format!("{}+{}", part.offset, part.bytes),
                    false => format!("{:?}", bytes.map(lossy).unwrap_or_default()),
                };
                Some(format!(
                    "part {:?} {} {:?} {payload} {}{}",
                    part.direction,
                    part.index,
                    part.kind,
                    state(part.state),
                    flags(&part.flags),
                ))
            }
        };
        if let Some(line) = line {
            let _ = writeln!(text, "{flow}{line}");
        }
    }
    text
}

fn add(bodies: &mut Bodies, exchange: String, direction: Direction, chunk: &[u8]) {
    let body = bodies.entry((exchange, direction)).or_default();
    body.extend_from_slice(chunk);
}

fn http(exchange: &Exchange, bodies: &mut Bodies) -> String {
    let mut body = |direction| {
        let bytes = bodies.remove(&(exchange.id.to_string(), direction));
        bytes.map_or_else(String::new, |bytes| format!(" {:?}", lossy(&bytes)))
    };
    let request = &exchange.request;
    let response = &exchange.response;
    let request_line = request.head.as_ref().map_or_else(
        || "?".to_owned(),
        |head| lossy(&[&head.method[..], &head.target[..]].join(&b' ')),
    );
    let status = response
        .head
        .as_ref()
        .map_or_else(|| "?".to_owned(), |head| head.status.to_string());
    let interim: String = exchange
        .interim
        .iter()
        .map(|head| format!("{} ", head.status))
        .collect();
    format!(
        "{request_line}{} {}{} -> {interim}{status}{} {}{}",
        body(Direction::Client),
        state(request.state),
        flags(&request.flags),
        body(Direction::Server),
        state(response.state),
        flags(&response.flags),
    )
}

fn command(exchange: &CommandExchange) -> String {
    let request = &exchange.request;
    let response = &exchange.response;
    let mut text = String::new();
    match &request.head {
        None => text.push('?'),
        Some(head) => {
            text.push_str(&head.name);
            if let Some(prepared) = &head.prepared {
                let _ = write!(text, " #{prepared}");
            }
            if let Some(statement) = &head.statement {
                let _ = write!(text, " {:?}", lossy(statement));
            }
            for argument in &head.arguments {
                let _ = match argument {
                    Argument::Null => write!(text, " null"),
                    Argument::Text(bytes) => write!(text, " {:?}", lossy(bytes)),
                    Argument::Binary(bytes) => write!(text, " {bytes:02x?}"),
                    Argument::Number(number) => write!(text, " {number}"),
                };
            }
            if let Some(transaction) = head.transaction {
                let _ = write!(text, " <{} {:?}>", transaction.index, transaction.step);
            }
        }
    }
    let _ = write!(
        text,
        " {}{} -> ",
        state(request.state),
        flags(&request.flags)
    );
    match &response.head {
        None => text.push('?'),
        Some(head) => {
            let _ = write!(text, "{:?}", head.kind);
            if let Some(code) = &head.code {
                let _ = write!(text, " {code}");
            }
            if !head.text.is_empty() {
                let _ = write!(text, " {:?}", lossy(&head.text));
            }
            if !head.columns.is_empty() {
                let _ = write!(text, " {}", head.columns.join(","));
            }
            if head.rows > 0 {
                let _ = write!(text, " rows={}", head.rows);
            }
            if let Some(affected) = head.affected {
                let _ = write!(text, " affected={affected}");
            }
        }
    }
    let _ = write!(text, " {}{}", state(response.state), flags(&response.flags));
    text
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn state(state: MessageState) -> String {
    format!("{state:?}").to_lowercase()
}

fn flags(flags: &[String]) -> String {
    match flags {
        [] => String::new(),
        flags => format!(" [{}]", flags.join(" ")),
    }
}
