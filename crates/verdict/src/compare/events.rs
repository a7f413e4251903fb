//! Server-sent events as a document: an array of them, each with its `event`, `id` and `data`,
//! which is a document where it is one of one line, and else a text. Comments keep connections
//! open, and are not compared.

use serde_json::{Map, Value};
use twintap_scrub::read_events;

/// The document of a body.
pub(super) fn document(body: &[u8]) -> Value {
    let text = |bytes: &[u8]| Value::String(String::from_utf8_lossy(bytes).into_owned());
    let events = read_events(body).into_iter().map(|read| {
        let mut members = Map::new();
        for (name, value) in [("event", read.event), ("id", read.id)] {
            if let Some(value) = value {
                members.insert(name.to_owned(), text(value));
            }
        }
        let data = match &read.data[..] {
            [] => None,
            [line] => Some(said(line).unwrap_or_else(|| text(line))),
            lines => Some(text(&lines.join(&b'\n'))),
        };
        members.extend(data.map(|data| ("data".to_owned(), data)));
        Value::Object(members)
    });
    Value::Array(events.collect())
}

/// The object or array that a line is.
fn said(line: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(line).ok()?;
    (value.is_object() || value.is_array()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_a_document() {
        let body = b": beat\n\nid: 7\ndata: {\"a\":[1]}\n\nevent: news\ndata: one\ndata: two\n\ndata: 5\n\n";
        let expected = serde_json::json!([
            {"id": "7", "data": {"a": [1]}},
            {"event": "news", "data": "one\ntwo"},
            {"data": "5"},
        ]);
        assert_eq!(document(body), expected);
    }
}
