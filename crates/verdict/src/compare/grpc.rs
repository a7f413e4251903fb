//! Messages of gRPC as a document: an array of them, each with its fields by their numbers.
//!
//! `proto.3.1` is field 1 of the message in field 3. Whether a field is repeated no message
//! says, so that each is an array of its values.

use serde_json::{Map, Number, Value};
use twintap_scrub::{MessageField, read_messages};

/// True for the media type of a body that has such messages.
pub(super) fn is_grpc(media_type: &str) -> bool {
    matches!(media_type, "application/grpc" | "application/grpc+proto")
}

/// The document of a body; `None` where a message can't be read.
pub(super) fn document(body: &[u8]) -> Option<Value> {
    let messages = read_messages(body)?.into_iter().map(|fields| {
        let mut members = Map::new();
        for field in fields {
            let name = key(&field.numbers);
            let values = members
                .entry(name)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = values {
                values.push(value(field));
            }
        }
        Value::Object(members)
    });
    Some(Value::Array(messages.collect()))
}

fn key(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    format!("proto.{}", numbers.join("."))
}

fn value(field: MessageField) -> Value {
    let text = String::from_utf8_lossy(&field.value);
    let number = text.parse::<u64>().ok().filter(|_| field.is_number);
    match number {
        Some(number) => Value::Number(Number::from(number)),
        None => Value::String(text.into_owned()),
    }
}

/// Where a leaf of a message stands in the document, called as leaves of JSON are:
/// `grpc.0>proto./3/1#1` is `json./0/proto.3.1/1`.
pub(crate) fn place_of(path: &str) -> Option<String> {
    let (message, field) = path.strip_prefix("grpc.")?.split_once(">proto./")?;
    let (field, place) = field.split_once('#').unwrap_or((field, "0"));
    let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_field = field.split('/').all(is_whole) && is_whole(place) && is_whole(message);
    is_field.then(|| format!("json./{message}/proto.{}/{place}", field.replace('/', ".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_documents_and_leaves_have_places_in_them() {
        // 1: "a", 3: {1: "x"}, 3: {1: "y"}, 2: 300, and a message of nothing.
        let body = b"\0\0\0\0\x10\x0a\x01a\x1a\x03\x0a\x01x\x1a\x03\x0a\x01y\x10\xac\x02\0\0\0\0\0";
        let expected = serde_json::json!([
            {"proto.1": ["a"], "proto.3.1": ["x", "y"], "proto.2": [300]},
            {},
        ]);
        let document = document(body).expect("sound messages");
        assert_eq!(document, expected);
        for (path, value) in [
            ("grpc.0>proto./1", "a"),
            ("grpc.0>proto./3/1", "x"),
            ("grpc.0>proto./3/1#1", "y"),
        ] {
            let place = place_of(path).expect("a leaf of a message");
            let pointer = place.strip_prefix("json.").expect("a leaf of JSON");
            assert_eq!(
                document.pointer(pointer),
                Some(&Value::from(value)),
                "{path}"
            );
        }
        assert_eq!(place_of("grpc.0"), None);
        assert_eq!(place_of("grpc.0>proto./1>json./a"), None);
        assert!(super::document(b"\x01\0\0\0\x01x").is_none(), "compressed");
        assert!(super::document(b"\0\0\0\0\x09x").is_none(), "cut");
    }
}
