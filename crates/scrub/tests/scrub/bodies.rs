//! What becomes of bodies.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use twintap_scrub::{BodyFate, Piece, SocketMessage};
use twintap_stream::Direction;
use twintap_stream::message::MessageState;

use crate::support::{body, exchange, reason, request, response, scrub, scrubber, scrubber_of};

#[test]
fn what_cannot_be_read_is_dropped() {
    let scrubber = scrubber();
    for (media_type, raw, wanted) in [
        ("", "x", "unknown_type"),
        ("image/png", "x", "unknown_type"),
        ("multipart/form-data; boundary=x", "x", "unparsable"),
        ("application/json", "{\"a\":", "unparsable"),
        ("application/json", "{\"a\":1} trailing", "unparsable"),
        ("application/json", "{\"a\":01}", "unparsable"),
        ("application/json", "{'a':1}", "unparsable"),
        ("application/json", "\"\\ud83\"", "unparsable"),
    ] {
        let (kept, note) = body(&scrubber, media_type, raw.as_bytes());
        assert_eq!((kept, reason(&note)), (None, wanted), "{media_type} {raw}");
        assert!(
            note.leaves
                .iter()
                .all(|leaf| leaf.path.starts_with("header."))
        );
        assert!(note.body_tag.is_some());
    }
    let deep = "[".repeat(100_000);
    assert_eq!(
        reason(&body(&scrubber, "application/json", deep.as_bytes()).1),
        "unparsable"
    );
    assert_eq!(
        reason(&body(&scrubber, "text/html", b"\xff\xfe").1),
        "unparsable"
    );
}

#[test]
fn a_body_past_the_limit_is_dropped() {
    let scrubber = scrubber_of("version: 1\nlimits: {body_bytes: 10, decoded_body_bytes: 20}\n");
    assert_eq!(
        body(&scrubber, "text/plain", b"0123456789").1.body,
        BodyFate::Scrubbed
    );
    assert_eq!(
        reason(&body(&scrubber, "text/plain", b"0123456789a").1),
        "too_large"
    );
}

#[test]
fn an_incomplete_body_is_dropped() {
    let head = response(200, "OK", &[("Content-Type", "text/plain")]);
    let mut exchange = exchange(request("GET /", &[]), head);
    exchange.response.state = MessageState::Incomplete;
    let scrubbed = scrub(&scrubber(), exchange, b"", b"some of it");
    assert_eq!(reason(&scrubbed.response), "incomplete");
    assert_eq!(scrubbed.response.body_tag, None);
    assert!(scrubbed.response_body.is_empty());
}

#[test]
fn codings_are_undone() {
    let raw = br#"{"name":"Ada Lovelace","n":1}"#;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(raw).unwrap();
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(raw).unwrap();
    let deflate = deflate.finish().unwrap();
    let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
    bare.write_all(raw).unwrap();
    let mut twice = GzEncoder::new(Vec::new(), Compression::default());
    twice.write_all(&deflate).unwrap();
    let (plain, _) = body(&scrubber(), "application/json", raw);
    let plain = plain.unwrap();
    for (coding, coded) in [
        ("gzip", gzip.finish().unwrap()),
        ("deflate", deflate),
        ("deflate", bare.finish().unwrap()),
        ("deflate, gzip", twice.finish().unwrap()),
    ] {
        let length = coded.len().to_string();
        let fields = [
            ("Content-Type", "application/json"),
            ("Content-Encoding", coding),
            ("Content-Length", &length),
        ];
        let exchange = exchange(request("GET /", &[]), response(200, "OK", &fields));
        let scrubbed = scrub(&scrubber(), exchange, b"", &coded);
        assert_eq!(scrubbed.response.body, BodyFate::Scrubbed);
        assert_eq!(scrubbed.response_body, plain);
        let undone = scrubbed.response.undone.as_ref();
        assert_eq!(undone.map(ToString::to_string).as_deref(), Some(coding));
        let fields = &scrubbed.response_head().fields;
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[1].value, plain.len().to_string());
        // The indexes of fields are those of the scrubbed head.
        let values = scrubbed.response_values();
        let (_, length) = values
            .iter()
            .find(|(leaf, _)| leaf.path == "header.content-length")
            .unwrap();
        assert_eq!(length, &fields[1].value);

        let cut = &coded[..coded.len() / 2];
        let head = response(
            200,
            "OK",
            &[
                ("Content-Type", "application/json"),
                ("Content-Encoding", coding),
            ],
        );
        let request = request("GET /", &[]);
        let (_, none, note) =
            crate::support::scrubber().scrub_response(&request, &head, Bytes::copy_from_slice(cut));
        assert_eq!((none, reason(&note)), (None, "content_coding"));
    }
    let fields = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", "br"),
    ];
    let exchange = exchange(request("GET /", &[]), response(200, "OK", &fields));
    let scrubbed = scrub(&scrubber(), exchange, b"", b"whatever");
    assert_eq!(reason(&scrubbed.response), "content_coding");
    assert_eq!(scrubbed.response_head().fields.len(), 2);
}

#[test]
fn a_bomb_is_too_large() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![b' '; 16 << 20]).unwrap();
    let head = response(
        200,
        "OK",
        &[("Content-Type", "text/plain"), ("Content-Encoding", "gzip")],
    );
    let (_, none, note) =
        scrubber().scrub_response(&request("GET /", &[]), &head, gzip.finish().unwrap().into());
    assert_eq!((none, reason(&note)), (None, "too_large"));
}

#[test]
fn allowed_bodies_pass_uncopied_and_at_once() {
    let mut scrubbing = scrubber().exchange();
    scrubbing.request_head(&request("GET /style.css", &[]));
    let head = response(200, "OK", &[("Content-Type", "text/css")]);
    scrubbing.response_head(&head);
    let chunk = Bytes::from(vec![b'x'; 3 << 20]);
    let passed = scrubbing.body(Direction::Server, chunk.clone()).unwrap();
    assert_eq!(passed.as_ptr(), chunk.as_ptr());
    let finished = scrubbing.finish(exchange(request("GET /style.css", &[]), head));
    assert_eq!(finished.record.response.body, BodyFate::Allowed);
    assert!(finished.response_rest.is_none());
}

#[test]
fn a_body_without_its_head_is_dropped() {
    let mut exchange = exchange(request("GET /", &[]), response(200, "OK", &[]));
    exchange.request.head = None;
    exchange.response.head = None;
    let scrubbed = scrub(&scrubber(), exchange, b"who", b"knows");
    assert_eq!(reason(&scrubbed.request), "unknown_type");
    assert_eq!(reason(&scrubbed.response), "unknown_type");
}

#[test]
fn an_empty_body_leaves_the_head_alone() {
    let fields = [
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
        ("Content-Length", "512"),
    ];
    let head = response(200, "OK", &fields);
    let scrubbed = scrub(
        &scrubber(),
        exchange(request("HEAD /", &[]), head.clone()),
        b"",
        b"",
    );
    assert_eq!(scrubbed.response.body, BodyFate::Empty);
    assert_eq!(scrubbed.response_head(), &head);
}

#[test]
fn lines_of_json_are_elements() {
    let (kept, note) = body(
        &scrubber(),
        "application/x-ndjson",
        b"{\"step\":1}\n{\"step\":2}\n",
    );
    assert_eq!(kept.unwrap(), "{\"step\":1}\n{\"step\":2}\n");
    let paths: Vec<&str> = note.leaves.iter().map(|leaf| leaf.path.as_str()).collect();
    assert_eq!(paths[1..], ["json./0/step", "json./1/step"]);
}

#[test]
fn messages_beyond_what_a_side_keeps_are_told_of_by_their_bytes() {
    let message = |payload: &str, dropped_bytes| SocketMessage {
        piece: Piece::Text,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        start: 0,
        fragments: Vec::new(),
        after_ns: 0,
        dropped_bytes,
    };
    let head = request("GET /feed", &[]);
    let said = |messages: &[SocketMessage]| -> serde_json::Value {
        let (body, _) = scrubber().scrub_messages(&head, messages);
        serde_json::from_slice(&body).expect("JSON")
    };
    let few = said(&[message("[1]", 0), message("", 9), message("[2]", 0)]);
    assert_eq!(few, serde_json::json!([[1], {"bytes_not_kept": 9}, [2]]));
    let many = said(&vec![message("[1]", 0); 65_536 + 7]);
    let many = many.as_array().expect("an array");
    assert_eq!(many.len(), 65_536 + 1);
    assert_eq!(many[65_536], serde_json::json!({"bytes_not_kept": 21}));
}

#[test]
fn the_reason_of_a_close_frame_is_a_value() {
    let message = |piece, payload: &'static [u8]| SocketMessage {
        piece,
        payload: Bytes::from_static(payload),
        start: 0,
        fragments: Vec::new(),
        after_ns: 0,
        dropped_bytes: 0,
    };
    let said = [
        message(Piece::Text, b"{\"a\":\"Ada Lovelace\"}"),
        message(
            Piece::Close { code: Some(1000) },
            b"\x03\xe8Ada \"Lovelace\"",
        ),
    ];
    let scrubber = scrubber();
    let (body, leaves) = scrubber.scrub_messages(&request("GET /feed", &[]), &said);
    let document: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let [first, reason] = &leaves[..] else {
        panic!("two values: {leaves:?}");
    };
    assert_eq!(
        (&*first.path, &*reason.path),
        ("json./0/a", "json./1/reason")
    );
    let span = reason.start as usize..(reason.start + reason.len) as usize;
    let written = twintap_scrub::decode(&body[span], reason.encoding);
    let shown = document
        .pointer("/1/reason")
        .and_then(|value| value.as_str());
    assert_eq!(shown.map(str::as_bytes), Some(&*written));
    let pseudonym = scrubber.pseudonym(b"Ada \"Lovelace\"");
    assert_eq!(*written, pseudonym);
}
