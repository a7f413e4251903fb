//! Documents of commands, as they are stored.

use std::collections::HashMap;
use std::fmt::Write as _;

use twintap_stream::document::{DocumentLimits, Made, ReplyBytes, make};
use twintap_stream::{Direction, Event, EventKind, ExchangeId};

/// What is made of all commands, in the order of their ends.
pub fn made(events: &[Event], limits: DocumentLimits) -> Vec<Made> {
    let mut replies: HashMap<ExchangeId, ReplyBytes> = HashMap::new();
    let mut all = Vec::new();
    for event in events {
        match &event.kind {
            EventKind::CommandData {
                exchange,
                direction: Direction::Server,
                chunk,
                ..
            } => replies
                .entry(exchange.clone())
                .or_default()
                .push(chunk, limits.bytes),
            EventKind::Command(command) => {
                let reply = replies.remove(&command.id).unwrap_or_default();
                all.push(make((**command).clone(), &reply, limits));
            }
            _ => {}
        }
    }
    all
}

/// Each with its command's name, documents and status.
pub fn render_documents(all: &[Made]) -> String {
    let mut text = String::new();
    for made in all {
        let head = made.exchange.request.head.as_ref();
        let method = head.map_or("?".into(), |head| String::from_utf8_lossy(&head.method));
        let body = |body: &Option<bytes::Bytes>| match body {
            Some(body) => String::from_utf8_lossy(body).into_owned(),
            None => "-".to_owned(),
        };
        let status = made.exchange.response.head.as_ref();
        let status = status.map_or(0, |head| head.status);
        let (request, response) = (body(&made.request), body(&made.response));
        let _ = writeln!(text, "{method} {request}\n  {status} {response}");
    }
    text
}
