//! Messages of gRPC as a document: an array of them, each with its fields.
//!
//! Where descriptors know the method, fields have their names and values their types. Else
//! `proto.3.1` is field 1 of the message in field 3. Whether a field is repeated no message
//! says, so that each is an array of its values.

use std::collections::HashMap;
use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Map, Number, Value as Json, json};
use twintap_stream::grpc::{self, Descriptors, Item, Tree, TreeLimits, Value};
use twintap_stream::{DecodeLimits, Direction, Field};

use super::parse::{Places, Reading};

/// The most bytes that a compressed message may become.
const MOST_DECODED: u64 = 64 << 20;

/// True for the media type of a body that is one message.
pub(super) fn is_protobuf(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/protobuf" | "application/x-protobuf" | "application/vnd.google.protobuf"
    )
}

/// The document of one message, whose type nothing says.
pub(super) fn message(body: &[u8]) -> Option<Json> {
    let body = Bytes::copy_from_slice(body);
    let tree = Descriptors::new().read_as(None, &body, TreeLimits::default());
    is_sound(&tree).then(|| by_numbers(&tree, &body))
}

/// The document of a body of gRPC; `None` where it is none, or a message can't be read. Leaves
/// whose fields have names are noted in `places`.
pub(super) fn document(
    body: &[u8],
    head: &[Field],
    reading: Reading<'_>,
    places: &mut Places,
) -> Option<Json> {
    let body = Bytes::copy_from_slice(body);
    let mut read = grpc::messages(head, &body, DecodeLimits::bytes(MOST_DECODED))?;
    let mut messages = Vec::new();
    for message in &mut read {
        if !message.is_complete {
            return None;
        }
        let payload = message.decoded.sound().ok()?;
        if message.is_trailers {
            messages.push(trailers(&payload));
            continue;
        }
        let limits = TreeLimits::default();
        let descriptors = reading.descriptors;
        let tree = descriptors.read(reading.target, Direction::Server, &payload, limits);
        if !is_sound(&tree) {
            return None;
        }
        messages.push(match tree.type_name {
            Some(_) => {
                let mut named = Named::new(messages.len(), &payload, places);
                let pointer = format!("/{}", messages.len());
                named.tree(&tree, pointer)
            }
            None => by_numbers(&tree, &payload),
        });
    }
    read.rest().is_empty().then_some(Json::Array(messages))
}

fn is_sound(tree: &Tree) -> bool {
    tree.is_whole() && !tree.is_text
}

/// The trailers that gRPC-Web has in its body.
fn trailers(payload: &Bytes) -> Json {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = grpc::web_trailers(payload).into_iter().map(|field| {
        let name = text(&field.name).to_ascii_lowercase();
        (name, Json::from(text(&field.value)))
    });
    json!({"trailers": Json::Object(fields.collect())})
}

fn by_numbers(tree: &Tree, message: &Bytes) -> Json {
    let mut members = Map::new();
    for leaf in tree.leaves() {
        let numbers: Vec<String> = leaf.path.iter().map(u32::to_string).collect();
        let name = format!("proto.{}", numbers.join("."));
        let value = match leaf.value {
            Value::Text(text) => Json::from(text.as_str()),
            Value::Varint(number) | Value::Fixed64(number) => Json::from(*number),
            Value::Fixed32(number) => Json::from(*number),
            _ => {
                let bytes = message.get(leaf.span).unwrap_or_default();
                Json::from(String::from_utf8_lossy(bytes))
            }
        };
        push(&mut members, name, value);
    }
    Json::Object(members)
}

fn push(members: &mut Map<String, Json>, name: String, value: Json) -> usize {
    let values = members
        .entry(name)
        .or_insert_with(|| Json::Array(Vec::new()));
    match values {
        Json::Array(values) => {
            values.push(value);
            values.len() - 1
        }
        _ => 0,
    }
}

/// Reads a message whose type is known.
struct Named<'p> {
    /// The number of the message in the body.
    message: usize,
    bytes: &'p Bytes,
    places: &'p mut Places,
    /// The numbers of the fields around what is read.
    numbers: Vec<u32>,
    /// How often leaves with these numbers came before.
    repeats: HashMap<Vec<u32>, usize>,
}

impl<'p> Named<'p> {
    fn new(message: usize, bytes: &'p Bytes, places: &'p mut Places) -> Named<'p> {
        Named {
            message,
            bytes,
            places,
            numbers: Vec::new(),
            repeats: HashMap::new(),
        }
    }

    fn tree(&mut self, tree: &Tree, pointer: String) -> Json {
        let mut members: Map<String, Json> = Map::new();
        for node in &tree.fields {
            let name = match &node.name {
                Some(name) => name.to_string(),
                None => format!("proto.{}", node.number),
            };
            self.numbers.push(node.number);
            let count = |members: &Map<String, Json>| {
                members
                    .get(&name)
                    .and_then(Json::as_array)
                    .map_or(0, Vec::len)
            };
            let at = |count: usize| format!("{pointer}/{}/{count}", super::json::escape(&name));
            match &node.value {
                Value::Message(inner) | Value::Group(inner) => {
                    let value = self.tree(inner, at(count(&members)));
                    push(&mut members, name.clone(), value);
                }
                Value::List(items) => {
                    for Item { span, value } in items {
                        self.leaf(at(count(&members)));
                        let bytes = self.bytes.get(span.clone()).unwrap_or_default();
                        push(&mut members, name.clone(), scalar(value, bytes));
                    }
                }
                value => {
                    self.leaf(at(count(&members)));
                    let bytes = self.bytes.get(node.span.clone()).unwrap_or_default();
                    push(&mut members, name.clone(), scalar(value, bytes));
                }
            }
            self.numbers.pop();
        }
        Json::Object(members)
    }

    /// Notes where the leaf stands that scrubbing calls by its numbers.
    fn leaf(&mut self, pointer: String) {
        let count = self.repeats.entry(self.numbers.clone()).or_default();
        let mut path = format!("grpc.{}>proto.", self.message);
        for number in &self.numbers {
            // Writing to a String can't fail.
            let _ = write!(path, "/{number}");
        }
        if *count > 0 {
            let _ = write!(path, "#{count}");
        }
        *count += 1;
        self.places.insert(path, format!("json.{pointer}"));
    }
}

fn scalar(value: &Value, bytes: &[u8]) -> Json {
    let float = |number: f64| match Number::from_f64(number) {
        Some(number) => Json::Number(number),
        None => Json::from(number.to_string()),
    };
    match value {
        Value::Int(number) => Json::from(*number),
        Value::Uint(number) | Value::Varint(number) | Value::Fixed64(number) => Json::from(*number),
        Value::Fixed32(number) => Json::from(*number),
        Value::Bool(is_true) => Json::from(*is_true),
        Value::Float(number) => float(f64::from(*number)),
        Value::Double(number) => float(*number),
        Value::Enum { number, name } => match name {
            Some(name) => Json::from(&**name),
            None => Json::from(*number),
        },
        Value::Text(text) => Json::from(text.as_str()),
        _ => Json::from(String::from_utf8_lossy(bytes)),
    }
}

/// Where a leaf of a message stands in the document, called as leaves of JSON are:
/// `grpc.0>proto./3/1#1` is `json./0/proto.3.1/1`.
pub(super) fn place_of(path: &str) -> Option<String> {
    let (message, field) = path.strip_prefix("grpc.")?.split_once(">proto./")?;
    let (field, place) = field.split_once('#').unwrap_or((field, "0"));
    let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_field = field.split('/').all(is_whole) && is_whole(place) && is_whole(message);
    is_field.then(|| format!("json./{message}/proto.{}/{place}", field.replace('/', ".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_types::field_descriptor_proto::{Label, Type};
    use prost_types::{
        DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
        MethodDescriptorProto, ServiceDescriptorProto,
    };

    /// 1: "a", 3: {1: "x"}, 3: {1: "y"}, 2: 300, and a message of nothing.
    const BODY: &[u8] =
        b"\0\0\0\0\x10\x0a\x01a\x1a\x03\x0a\x01x\x1a\x03\x0a\x01y\x10\xac\x02\0\0\0\0\0";

    fn read(body: &[u8], descriptors: &Descriptors) -> (Option<Json>, Places) {
        let mut places = Places::new();
        let reading = Reading {
            target: b"/shop.Cart/Show",
            descriptors,
        };
        let head = [Field::new("content-type", "application/grpc+proto")];
        (document(body, &head, reading, &mut places), places)
    }

    #[test]
    fn messages_are_documents_and_leaves_have_places_in_them() {
        let expected = json!([
            {"proto.1": ["a"], "proto.3.1": ["x", "y"], "proto.2": [300]},
            {},
        ]);
        let none = Descriptors::new();
        let (document, _) = read(BODY, &none);
        assert_eq!(document, Some(expected.clone()));
        for (path, value) in [
            ("grpc.0>proto./1", "a"),
            ("grpc.0>proto./3/1", "x"),
            ("grpc.0>proto./3/1#1", "y"),
        ] {
            let place = place_of(path).expect("a leaf of a message");
            let pointer = place.strip_prefix("json.").expect("a leaf of JSON");
            assert_eq!(
                expected.pointer(pointer),
                Some(&Json::from(value)),
                "{path}"
            );
        }
        assert_eq!(place_of("grpc.0"), None);
        assert_eq!(place_of("grpc.0>proto./1>json./a"), None);
        assert_eq!(read(b"\x01\0\0\0\x01x", &none).0, None, "compressed");
        assert_eq!(read(b"\0\0\0\0\x09x", &none).0, None, "cut");
        assert_eq!(read(b"\0\0\0", &none).0, None, "no frame");
    }

    #[test]
    fn fields_have_their_names_where_descriptors_know_them() {
        let (document, places) = read(BODY, &descriptors());
        let expected = json!([
            {"id": ["a"], "items": [{"name": ["x"]}, {"name": ["y"]}], "cents": [150]},
            {},
        ]);
        assert_eq!(document, Some(expected));
        let place = |path: &str| places.get(path).map(String::as_str);
        assert_eq!(place("grpc.0>proto./3/1#1"), Some("json./0/items/1/name/0"));
        assert_eq!(place("grpc.0>proto./2"), Some("json./0/cents/0"));
    }

    fn descriptors() -> Descriptors {
        let field =
            |name: &str, number, kind: Type, type_name: Option<&str>| FieldDescriptorProto {
                name: Some(name.to_owned()),
                number: Some(number),
                label: Some(Label::Optional.into()),
                r#type: Some(kind.into()),
                type_name: type_name.map(str::to_owned),
                ..FieldDescriptorProto::default()
            };
        let message = |name: &str, fields| DescriptorProto {
            name: Some(name.to_owned()),
            field: fields,
            ..DescriptorProto::default()
        };
        let method = MethodDescriptorProto {
            name: Some("Show".to_owned()),
            input_type: Some(".shop.Shown".to_owned()),
            output_type: Some(".shop.Shown".to_owned()),
            ..MethodDescriptorProto::default()
        };
        let file = FileDescriptorProto {
            package: Some("shop".to_owned()),
            message_type: vec![
                message("Item", vec![field("name", 1, Type::String, None)]),
                message(
                    "Shown",
                    vec![
                        field("id", 1, Type::String, None),
                        field("cents", 2, Type::Sint32, None),
                        field("items", 3, Type::Message, Some(".shop.Item")),
                    ],
                ),
            ],
            service: vec![ServiceDescriptorProto {
                name: Some("Cart".to_owned()),
                method: vec![method],
                ..ServiceDescriptorProto::default()
            }],
            ..FileDescriptorProto::default()
        };
        let mut descriptors = Descriptors::new();
        let set = FileDescriptorSet { file: vec![file] };
        descriptors.add_set(&set.encode_to_vec()).expect("a set");
        descriptors
    }
}
