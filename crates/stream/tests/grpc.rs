//! Messages of gRPC: how bodies split, what is read of messages with descriptors and without.

use std::fmt::Write as _;

use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto,
};
use twintap_stream::content::{DecodeLimits, Fault};
use twintap_stream::grpc::{
    Basis, Descriptors, Status, Tree, TreeLimits, Value, code_name, is_reflection, messages,
    web_trailers,
};
use twintap_stream::{Direction, Field};

use crate::hostile;

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn payload(field: u64, bytes: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(bytes.len() as u64),
        bytes.to_vec(),
    ]
    .concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&[flags], &length[..], payload].concat()
}

fn field(name: &str, number: i32, kind: Type) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        r#type: Some(kind as i32),
        label: Some(Label::Optional as i32),
        ..FieldDescriptorProto::default()
    }
}

fn of_type(type_name: &str, field: FieldDescriptorProto) -> FieldDescriptorProto {
    FieldDescriptorProto {
        type_name: Some(type_name.to_owned()),
        ..field
    }
}

fn repeated(field: FieldDescriptorProto) -> FieldDescriptorProto {
    FieldDescriptorProto {
        label: Some(Label::Repeated as i32),
        ..field
    }
}

fn message(name: &str, field: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto {
        name: Some(name.to_owned()),
        field,
        ..DescriptorProto::default()
    }
}

/// A shop with one method, and a type for each kind of field.
fn shop() -> FileDescriptorProto {
    let colour = EnumDescriptorProto {
        name: Some("Colour".to_owned()),
        value: [("RED", 0), ("BLUE", 1), ("AZURE", 1)]
            .map(|(name, number)| EnumValueDescriptorProto {
                name: Some(name.to_owned()),
                number: Some(number),
                ..EnumValueDescriptorProto::default()
            })
            .to_vec(),
        ..EnumDescriptorProto::default()
    };
    let mut order = message(
        "Order",
        vec![
            field("id", 1, Type::Int64),
            field("customer", 2, Type::String),
            repeated(of_type(
                ".shop.Order.Line",
                field("lines", 3, Type::Message),
            )),
            of_type(".shop.Colour", field("colour", 4, Type::Enum)),
            repeated(field("marks", 5, Type::Sint32)),
            field("secret", 6, Type::Bytes),
            of_type(".google.protobuf.Any", field("extra", 7, Type::Message)),
            of_type(".shop.Order.Old", field("old", 8, Type::Group)),
        ],
    );
    order.nested_type = vec![
        message(
            "Line",
            vec![
                field("price", 1, Type::Double),
                field("weight", 2, Type::Float),
                field("amount", 3, Type::Uint32),
                field("code", 4, Type::Sfixed64),
                field("gift", 5, Type::Bool),
            ],
        ),
        message("Old", vec![field("name", 1, Type::String)]),
    ];
    FileDescriptorProto {
        name: Some("shop.proto".to_owned()),
        package: Some("shop".to_owned()),
        dependency: vec!["google/protobuf/any.proto".to_owned()],
        message_type: vec![order, message("Receipt", vec![field("id", 1, Type::Int64)])],
        enum_type: vec![colour],
        service: vec![ServiceDescriptorProto {
            name: Some("Shop".to_owned()),
            method: vec![MethodDescriptorProto {
                name: Some("Buy".to_owned()),
                input_type: Some(".shop.Order".to_owned()),
                output_type: Some(".shop.Receipt".to_owned()),
                server_streaming: Some(true),
                ..MethodDescriptorProto::default()
            }],
            ..ServiceDescriptorProto::default()
        }],
        extension: vec![FieldDescriptorProto {
            extendee: Some(".shop.Receipt".to_owned()),
            ..field("stamp", 100, Type::String)
        }],
        ..FileDescriptorProto::default()
    }
}

/// `google.protobuf.Any`, which the shop's file imports.
fn any_file() -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some("google/protobuf/any.proto".to_owned()),
        package: Some("google.protobuf".to_owned()),
        message_type: vec![message(
            "Any",
            vec![
                field("type_url", 1, Type::String),
                field("value", 2, Type::Bytes),
            ],
        )],
        ..FileDescriptorProto::default()
    }
}

fn descriptors() -> Descriptors {
    let set = FileDescriptorSet {
        file: vec![shop(), any_file()],
    };
    let mut descriptors = Descriptors::new();
    descriptors.add_set(&set.encode_to_vec()).expect("a set");
    descriptors
}

fn render(tree: &Tree) -> String {
    let mut text = String::new();
    lines(tree, 0, &mut text);
    text
}

fn lines(tree: &Tree, depth: usize, text: &mut String) {
    for node in &tree.fields {
        let name = node.name.as_deref().unwrap_or("?");
        let _ = write!(text, "{}{} {name}", "  ".repeat(depth), node.number);
        if node.basis != Basis::Schema {
            let _ = write!(text, " ({:?})", node.basis);
        }
        if let Some(note) = node.note {
            let _ = write!(text, " !{note:?}");
        }
        let _ = write!(text, " {}..{}:", node.span.start, node.span.end);
        match &node.value {
            Value::Message(inner) | Value::Group(inner) => {
                let is_group = matches!(node.value, Value::Group(_));
                let kind = if is_group { "group" } else { "message" };
                let _ = writeln!(
                    text,
                    " {kind} {}",
                    inner.type_name.as_deref().unwrap_or("?")
                );
                lines(inner, depth + 1, text);
            }
            Value::List(items) => {
                for item in items {
                    let (span, value) = (&item.span, &item.value);
                    let _ = write!(text, " {}..{} {value:?}", span.start, span.end);
                }
                text.push('\n');
            }
            value => {
                let _ = writeln!(text, " {value:?}");
            }
        }
    }
    if let Some(fault) = tree.fault {
        let _ = writeln!(text, "{}{fault:?}", "  ".repeat(depth));
    }
}

#[track_caller]
fn check(message: &[u8], expect: Expect) {
    let message = Bytes::copy_from_slice(message);
    let tree = Descriptors::new().read_as(None, &message, TreeLimits::default());
    expect.assert_eq(&render(&tree));
}

/// The same with the shop's descriptors, as a request.
#[track_caller]
fn check_order(message: &[u8], expect: Expect) {
    let message = Bytes::copy_from_slice(message);
    let limits = TreeLimits::default();
    let tree = descriptors().read(b"/shop.Shop/Buy", Direction::Client, &message, limits);
    assert_eq!(tree.type_name.as_deref(), Some("shop.Order"));
    expect.assert_eq(&render(&tree));
}

#[test]
fn by_descriptor() {
    let line = [
        vec![1 << 3 | 1],
        1.5_f64.to_le_bytes().to_vec(),
        vec![2 << 3 | 5],
        0.25_f32.to_le_bytes().to_vec(),
        number(3, 7),
        vec![4 << 3 | 1],
        (-2_i64).to_le_bytes().to_vec(),
        number(5, 1),
    ]
    .concat();
    let old = [vec![8 << 3 | 3], payload(1, b"old"), vec![8 << 3 | 4]].concat();
    let message = [
        number(1, u64::MAX),
        payload(2, "Zoë".as_bytes()),
        payload(3, &line),
        number(4, 1),
        payload(5, &[1, 2, 0x80, 1]),
        number(5, 3),
        payload(6, b"text too"),
        old,
        number(9, 9),
    ]
    .concat();
    check_order(
        &message,
        expect![[r#"
        1 id 1..11: Int(-1)
        2 customer 13..17: Text("Zoë")
        3 lines 19..46: message shop.Order.Line
          1 price 20..28: Double(1.5)
          2 weight 29..33: Float(0.25)
          3 amount 34..35: Uint(7)
          4 code 36..44: Int(-2)
          5 gift 45..46: Bool(true)
        4 colour 47..48: Enum { number: 1, name: Some("BLUE") }
        5 marks 50..54: 50..51 Int(-1) 51..52 Int(1) 52..54 Int(64)
        5 marks 55..56: Int(-2)
        6 secret 58..66: Bytes(b"text too")
        8 old 67..72: group shop.Order.Old
          1 name 69..72: Text("old")
        9 ? (Wire) 74..75: Varint(9)
    "#]],
    );
}

#[test]
fn encoded_otherwise_than_described() {
    let message = [
        payload(1, b"no number"),
        payload(2, b"\xff"),
        number(3, 1),
        payload(3, &[0x08]),
        payload(4, b"list"),
        payload(5, &[1, 0x80]),
        number(4, 77),
    ]
    .concat();
    check_order(
        &message,
        expect![[r#"
        1 id (Guess) !WireTypeDiffers 2..11: Text("no number")
        2 customer !NotUtf8 13..14: Bytes(b"\xff")
        3 lines (Wire) !WireTypeDiffers 15..16: Varint(1)
        3 lines 18..19: message shop.Order.Line
          Unsound { at: 18 }
        4 colour (Guess) !WireTypeDiffers 21..25: Text("list")
        5 marks !CutShort 27..29: 27..28 Int(-1)
        4 colour 30..31: Enum { number: 77, name: None }
    "#]],
    );
}

#[test]
fn any_holds_what_it_says() {
    let known = [
        payload(1, b"type.googleapis.com/shop.Receipt"),
        payload(2, &[number(1, 5), payload(100, b"paid")].concat()),
    ];
    let unknown = [
        payload(1, b"type.googleapis.com/other.Type"),
        payload(2, &number(1, 5)),
    ];
    check_order(
        &[payload(7, &known.concat()), payload(7, &unknown.concat())].concat(),
        expect![[r#"
            7 extra 2..47: message google.protobuf.Any
              1 type_url 4..36: Text("type.googleapis.com/shop.Receipt")
              2 value 38..47: message shop.Receipt
                1 id 39..40: Int(5)
                100 [shop.stamp] 43..47: Text("paid")
            7 extra 49..85: message google.protobuf.Any
              1 type_url 51..81: Text("type.googleapis.com/other.Type")
              2 value 83..85: message other.Type
                1 ? (Wire) 84..85: Varint(5)
        "#]],
    );
}

#[test]
fn by_guess() {
    let message = [
        number(1, 300),
        payload(2, b"some text"),
        payload(3, &[number(1, 1), payload(2, b"inner")].concat()),
        payload(4, &[0xff, 0xfe]),
        payload(5, b""),
        payload(6, b"two\nlines"),
        // Text, and field 4 with the value 65.
        payload(7, b" A"),
        // Text of a line, and field 1 with nine letters.
        payload(8, b"\n\tabcdefghi"),
        vec![9 << 3 | 5, 1, 0, 0, 0],
        vec![10 << 3 | 1, 1, 0, 0, 0, 0, 0, 0, 0],
        vec![11 << 3 | 3, 1 << 3, 5, 11 << 3 | 4],
    ]
    .concat();
    check(
        &message,
        expect![[r#"
        1 ? (Wire) 1..3: Varint(300)
        2 ? (Guess) 5..14: Text("some text")
        3 ? (Guess) 16..25: message ?
          1 ? (Wire) 17..18: Varint(1)
          2 ? (Guess) 20..25: Text("inner")
        4 ? (Guess) 27..29: Bytes(b"\xff\xfe")
        5 ? (Ambiguous) 31..31: Text("")
        6 ? (Guess) 33..42: Text("two\nlines")
        7 ? (Ambiguous) 44..46: Text(" A")
        8 ? (Ambiguous) 48..59: message ?
          1 ? (Ambiguous) 50..59: Text("abcdefghi")
        9 ? (Wire) 60..64: Fixed32(1)
        10 ? (Wire) 65..73: Fixed64(1)
        11 ? (Wire) 74..76: group ?
          1 ? (Wire) 75..76: Varint(5)
    "#]],
    );
}

#[test]
fn unsound_messages_are_read_up_to_where_they_break() {
    check(
        &[number(1, 1), vec![0x12, 9, 1]].concat(),
        expect![[r#"
        1 ? (Wire) 1..2: Varint(1)
        Unsound { at: 2 }
    "#]],
    );
    check(
        &[number(1, 1), vec![0]].concat(),
        expect![[r#"
        1 ? (Wire) 1..2: Varint(1)
        Unsound { at: 2 }
    "#]],
    );
    check(
        &[number(1, 1), vec![0x0c]].concat(),
        expect![[r#"
        1 ? (Wire) 1..2: Varint(1)
        Unsound { at: 2 }
    "#]],
    );
    check(
        &[0x0b, 0x10, 1, 0x14],
        expect![[r#"
        1 ? (Wire) 1..4: group ?
          2 ? (Wire) 2..3: Varint(1)
          Unsound { at: 3 }
        Unsound { at: 3 }
    "#]],
    );
    check(
        &[0x0b, 0x10, 1],
        expect![[r#"
        1 ? (Wire) 1..3: group ?
          2 ? (Wire) 2..3: Varint(1)
          Unsound { at: 3 }
        Unsound { at: 3 }
    "#]],
    );
    check(
        &[&[8][..], &[0xff; 9], &[2]].concat(),
        expect![[r#"
        Unsound { at: 0 }
    "#]],
    );
    check(
        &[0x0e],
        expect![[r#"
        Unsound { at: 0 }
    "#]],
    );
}

#[test]
fn text_in_place_of_a_message() {
    for (text, is_text) in [
        ("{\n  \"id\": 1\n}", true),
        ("{\u{1}\"id\": 1}", false),
        ("", false),
        // A sound message too: field 4, 65.
        (" A", false),
    ] {
        let bytes = Bytes::from(text);
        let tree = Descriptors::new().read_as(None, &bytes, TreeLimits::default());
        assert_eq!(tree.is_text, is_text, "{text:?}");
        assert!(tree.fields.is_empty() || !is_text);
        let tree = descriptors().read_as(Some("shop.Order"), &bytes, TreeLimits::default());
        assert!(!tree.is_text);
    }
}

#[test]
fn limits_hold() {
    let mut nested = number(1, 1);
    for _ in 0..100 {
        nested = payload(1, &[payload(2, &[0, 0xff]), nested].concat());
    }
    let limits = TreeLimits::default();
    let tree = Descriptors::new().read_as(None, &nested.into(), limits);
    let mut depth = 0;
    let mut inner = &tree;
    while let Some(Value::Message(next)) = inner.fields.last().map(|node| &node.value) {
        inner = next;
        depth += 1;
    }
    assert_eq!((depth, tree.is_whole()), (limits.depth, false));

    let groups = Bytes::from([vec![0x0b; 100_000], vec![0x0c; 100_000]].concat());
    let tree = Descriptors::new().read_as(None, &groups, limits);
    assert!(tree.fault.is_none() && !tree.is_whole());

    let many = Bytes::from(number(1, 1).repeat(10));
    let limits = TreeLimits { nodes: 9, ..limits };
    let tree = Descriptors::new().read_as(None, &many, limits);
    expect!["Some(TooManyFields { at: 18 })"].assert_eq(&format!("{:?}", tree.fault));
    let list = Bytes::from(payload(5, &[1; 20]));
    let tree = descriptors().read_as(Some("shop.Order"), &list, limits);
    let Value::List(items) = &tree.fields[0].value else {
        panic!("no list: {tree:?}");
    };
    assert_eq!((items.len(), tree.is_whole()), (8, false));
}

#[test]
fn leaves_have_their_spans() {
    let message = [
        payload(3, &[number(3, 300), payload(9, b"unknown")].concat()),
        payload(5, &[1, 2]),
    ]
    .concat();
    let bytes = Bytes::from(message);
    let tree = descriptors().read_as(Some("shop.Order"), &bytes, TreeLimits::default());
    let mut text = String::new();
    for leaf in tree.leaves() {
        let slice = &bytes[leaf.span.clone()];
        let _ = writeln!(text, "{:?} {:?} {slice:?}", leaf.path, leaf.value);
    }
    expect![[r#"
        [3, 3] Uint(300) [172, 2]
        [3, 9] Text("unknown") [117, 110, 107, 110, 111, 119, 110]
        [5] Int(-1) [1]
        [5] Int(1) [2]
    "#]]
    .assert_eq(&text);
}

#[test]
fn values_are_replaced_and_lengths_mended() {
    let group = [vec![8 << 3 | 3], payload(1, b"old"), vec![8 << 3 | 4]].concat();
    let message = [
        number(1, 5),
        payload(3, &[number(3, 300), payload(9, b"")].concat()),
        payload(5, &[1, 2, 3]),
        group,
        payload(2, b"Ada"),
        vec![0],
    ];
    let bytes = Bytes::from(message.concat());
    let read =
        |bytes: &Bytes| descriptors().read_as(Some("shop.Order"), bytes, TreeLimits::default());
    let tree = read(&bytes);
    let new = |index: usize, bytes: Vec<u8>| {
        let leaf = &tree.leaves()[index];
        (leaf.span.clone(), Bytes::from(bytes))
    };
    let edits = [
        new(0, varint(1 << 40)),
        new(2, vec![b'x'; 200]),
        new(4, varint(0x80)),
        new(6, b"older".to_vec()),
        new(7, b"Eve".to_vec()),
    ];
    let spliced = tree.splice(&bytes, &edits).expect("spans of leaves");
    let long = "x".repeat(200);
    let expected = render(&read(&spliced)).replace(&long, "x*200");
    expect![[r#"
        1 id 1..7: Int(1099511627776)
        3 lines 10..216: message shop.Order.Line
          3 amount 11..13: Uint(300)
          9 ? (Ambiguous) 16..216: Text("x*200")
        5 marks 218..222: 218..219 Int(-1) 219..221 Int(64) 221..222 Int(-2)
        8 old 223..230: group shop.Order.Old
          1 name 225..230: Text("older")
        2 customer 233..236: Text("Eve")
        Unsound { at: 236 }
    "#]]
    .assert_eq(&expected);
    assert_eq!(tree.splice(&bytes, &[]), Some(bytes.clone()));
    let elsewhere = (0..1, Bytes::new());
    assert_eq!(tree.splice(&bytes, &[elsewhere]), None);
    let twice = [new(0, vec![1]), new(0, vec![1])];
    assert_eq!(tree.splice(&bytes, &twice), None);
}

#[test]
fn as_json() {
    let message = Bytes::from([payload(6, b"\x01\xff"), number(4, 0), vec![0]].concat());
    let tree = descriptors().read_as(Some("shop.Order"), &message, TreeLimits::default());
    let json = serde_json::to_string_pretty(&tree).expect("JSON");
    expect![[r#"
        {
          "type_name": "shop.Order",
          "fields": [
            {
              "number": 6,
              "name": "secret",
              "basis": "schema",
              "record": {
                "start": 0,
                "end": 4
              },
              "span": {
                "start": 2,
                "end": 4
              },
              "value": {
                "bytes": "Af8="
              }
            },
            {
              "number": 4,
              "name": "colour",
              "basis": "schema",
              "record": {
                "start": 4,
                "end": 6
              },
              "span": {
                "start": 5,
                "end": 6
              },
              "value": {
                "enum": {
                  "number": 0,
                  "name": "RED"
                }
              }
            }
          ],
          "fault": {
            "unsound": {
              "at": 6
            }
          }
        }"#]]
    .assert_eq(&json);
}

#[test]
fn reflection_teaches() {
    let path = b"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
    assert!(is_reflection(path));
    assert!(!is_reflection(b"/grpc.health.v1.Health/Check"));
    let files = [
        payload(1, &shop().encode_to_vec()),
        payload(1, b"\xffno file"),
    ];
    let answer = [payload(1, b"host"), payload(4, &files.concat())].concat();
    let mut descriptors = Descriptors::new();
    assert_eq!(descriptors.learn(b"/shop.Shop/Buy", &answer), 0);
    assert_eq!(descriptors.learn(path, &answer), 1);
    assert_eq!(descriptors.learn(path, &payload(7, b"error")), 0);
    let method = descriptors
        .method(b"/proxy/shop.Shop/Buy?x")
        .expect("a method");
    assert_eq!(
        (&*method.input, &*method.output),
        ("shop.Order", "shop.Receipt")
    );
    assert!(method.is_server_streaming && !method.is_client_streaming);
    let receipt = Bytes::from(number(1, 4));
    let limits = TreeLimits::default();
    let tree = descriptors.read(b"/shop.Shop/Buy", Direction::Server, &receipt, limits);
    expect![[r#"
        1 id 1..2: Int(4)
    "#]]
    .assert_eq(&render(&tree));
    // A type whose file never came is read as the message that it is.
    let order = Bytes::from(payload(7, &payload(1, b"type/x")));
    let tree = descriptors.read(b"/shop.Shop/Buy", Direction::Client, &order, limits);
    expect![[r#"
        7 extra 2..10: message google.protobuf.Any
          1 ? (Guess) 4..10: Text("type/x")
    "#]]
    .assert_eq(&render(&tree));
}

#[test]
fn bodies_split_into_messages() {
    let gzip = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"packed").expect("memory");
        encoder.finish().expect("memory")
    };
    let fields = [
        Field::new("content-type", "application/grpc+proto"),
        Field::new("grpc-encoding", "gzip"),
    ];
    let body = [
        frame(0, b"one"),
        frame(1, &gzip),
        frame(1, b"no gzip"),
        frame(0, b"cut off")[..8].to_vec(),
    ]
    .concat();
    let body = Bytes::from(body);
    let found: Vec<_> = messages(&fields, &body, DecodeLimits::default())
        .expect("gRPC")
        .map(|message| {
            let at = message.offset..message.offset + message.payload.len();
            assert_eq!(body.slice(at), message.payload);
            let fault = message.decoded.fault.map(|fault| fault.to_string());
            (message.is_complete, message.decoded.bytes, fault)
        })
        .collect();
    expect![[r#"
        [
            (
                true,
                b"one",
                None,
            ),
            (
                true,
                b"packed",
                None,
            ),
            (
                true,
                b"",
                Some(
                    "the body is no sound gzip",
                ),
            ),
            (
                false,
                b"cut",
                None,
            ),
        ]"#]]
    .assert_eq(&format!("{found:#?}"));
    let fields = &fields[..1];
    let mut found = messages(fields, &body.slice(8..), DecodeLimits::default()).expect("gRPC");
    let fault = found.next().and_then(|message| message.decoded.fault);
    let name = "identity".to_owned();
    assert_eq!(fault, Some(Fault::Unknown { name }));
    let none = messages(&[], &body, DecodeLimits::default());
    assert!(none.is_none());
    let noise = Bytes::from_static(b"<html>");
    let mut found = messages(fields, &noise, DecodeLimits::default()).expect("gRPC");
    assert_eq!((found.next(), found.rest()), (None, &noise));
}

#[test]
fn web_bodies_have_their_trailers() {
    let trailers = b"grpc-status: 5\r\ngrpc-message:no such%20thing%zz\r\n";
    let body = [frame(0, b"one"), frame(0x80, trailers)].concat();
    let text = {
        use base64::Engine as _;
        let encode = |bytes: &[u8]| base64::prelude::BASE64_STANDARD.encode(bytes);
        // Padded within, as a server does that flushes.
        encode(&body[..7]) + &encode(&body[7..])
    };
    for (media_type, body) in [
        ("application/grpc-web", Bytes::from(body.clone())),
        ("application/grpc-web-text; x=y", Bytes::from(text)),
    ] {
        let fields = [Field::new("Content-Type", media_type)];
        let found: Vec<_> = messages(&fields, &body, DecodeLimits::default())
            .expect("gRPC-Web")
            .collect();
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|message| message.is_complete));
        assert_eq!(found[0].payload, "one");
        assert!(found[1].is_trailers && !found[0].is_trailers);
        let status = Status::of(&[], &web_trailers(&found[1].payload)).expect("a status");
        assert_eq!(status.code.and_then(code_name), Some("NOT_FOUND"));
        assert_eq!(status.message.as_deref(), Some("no such thing%zz"));
    }
}

#[test]
fn status_in_trailers_or_head() {
    let ok = [Field::new("grpc-status", "0")];
    let details = payload(2, b"why");
    let failed = [
        Field::new("grpc-status", "13"),
        Field::new("grpc-status-details-bin", "EgN3aHk"),
    ];
    let status = Status::of(&failed, &ok).expect("a status");
    assert_eq!((status.code, status.is_trailers_only), (Some(0), false));
    let status = Status::of(&failed, &[]).expect("a status");
    assert_eq!((status.code, status.is_trailers_only), (Some(13), true));
    assert_eq!(status.details, Some(Bytes::from(details)));
    let odd = [Field::new("grpc-status", "+1")];
    assert_eq!(Status::of(&[], &odd).expect("a status").code, None);
    assert_eq!(Status::of(&[], &[]), None);
    assert_eq!(
        (code_name(16), code_name(17)),
        (Some("UNAUTHENTICATED"), None)
    );
}

/// Encoded messages of any shape, and noise within them.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        "[ -~\n]{0,12}".prop_map(String::into_bytes),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let field = (1_u64..12, inner, any::<u64>(), 0..4_u8);
        let field = field.prop_map(|(at, bytes, value, kind)| match kind {
            0 => number(at, value),
            1 => [varint(at << 3 | 3), bytes, varint(at << 3 | 4)].concat(),
            _ => payload(at, &bytes),
        });
        prop::collection::vec(field, 0..6).prop_map(|fields| fields.concat())
    })
}

proptest! {
    #[test]
    fn anything_is_no_panic(data in prop::collection::vec(any::<u8>(), 0..600)) {
        hostile::grpc(&data);
    }

    #[test]
    fn messages_are_no_panic(message in any_message(), pick in any::<u8>()) {
        hostile::grpc(&[&[pick], &message[..]].concat());
    }

    /// Spans of fields lie in order, cover the message where it is sound, and hold the values.
    #[test]
    fn records_cover_sound_messages(message in any_message()) {
        for type_name in [None, Some("shop.Order")] {
            let bytes = Bytes::from(message.clone());
            let tree = descriptors().read_as(type_name, &bytes, TreeLimits::default());
            let mut at = 0;
            for node in &tree.fields {
                prop_assert_eq!(node.record.start, at);
                prop_assert!(node.span.start > at && node.span.end <= node.record.end);
                at = node.record.end;
                if let Value::Text(text) = &node.value {
                    prop_assert_eq!(text.as_bytes(), &bytes[node.span.clone()]);
                }
            }
            prop_assert!(tree.fault.is_some() || at == bytes.len());
            let leaves = tree.leaves().into_iter();
            let same: Vec<_> = leaves.map(|leaf| (leaf.span.clone(), bytes.slice(leaf.span))).collect();
            prop_assert_eq!(tree.splice(&bytes, &same), Some(bytes));
        }
    }
}
