//! What holds for documents of all commands.

use std::collections::HashSet;

use crate::common::made;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use twintap_stream::command::{Argument, ReplyKind};
use twintap_stream::document::{DocumentLimits, ReplyBytes, command_document, reply_document};
use twintap_stream::message::{MessageState, Protocol};
use twintap_stream::{CommandHead, Event, EventKind, ExchangeId, ReplyHead};
use twintap_tests::corpus::{Corpus, replay};

const DATABASES: [Protocol; 3] = [Protocol::Redis, Protocol::Postgres, Protocol::Mysql];

/// What is read from any bytes of a reply, by every protocol and for commands of each kind.
fn read(bytes: &[u8], limits: DocumentLimits) {
    let mut reply = ReplyBytes::default();
    reply.push(bytes, limits.bytes);
    let names = ["COM_QUERY", "COM_STMT_EXECUTE", "COM_STMT_PREPARE", "GET"];
    for (protocol, name) in DATABASES
        .into_iter()
        .zip(names.iter().cycle())
        .chain(names.iter().map(|name| (Protocol::Mysql, name)))
    {
        let command = CommandHead {
            name: (*name).to_owned(),
            ..CommandHead::default()
        };
        let head = ReplyHead {
            kind: ReplyKind::Rows,
            columns: vec!["a".to_owned(), "a".to_owned()],
            ..ReplyHead::default()
        };
        let document = reply_document(protocol, Some(&command), &head, Some(&reply), limits);
        let json: Value = serde_json::from_slice(&document.json).expect("JSON");
        assert!(json.is_object(), "{json}");
        assert_eq!(json.get("cut").is_some(), document.is_cut, "{json}");
    }
}

/// Parts of replies.
const PARTS: &[&[u8]] = &[
    b"*3\r\n",
    b"%2\r\n+a\r\n",
    b"$3\r\nabc\r\n",
    b"$?\r\n;2\r\nab\r\n",
    b"|1\r\n+a\r\n:1\r\n",
    b"=6\r\ntxt:ab\r\n",
    b"*?\r\n",
    b".\r\n",
    b"T\0\0\0\x1a\0\x01a\0\0\0\0\0\0\0\0\0\x06\xa4\0\0\0\0\0\0\0\x01",
    b"D\0\0\0\x0e\0\x01\0\0\0\x04\0\x01\0\0",
    b"C\0\0\0\x0dSELECT 1\0",
    b"\x01\0\0\x01\x01",
    b"\x07\0\0\x01\0\x01\x02\x02\0\0\0",
    b"\x05\0\0\x04\xfe\0\0\x0a\0",
    b"\x0a\0\0\0\0\x0a\0\0ab",
];

/// Bytes that look like replies.
fn reply() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => select(PARTS).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..20),
    ];
    vec(part, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_reply_is_json(bytes in vec(any::<u8>(), 0..500), near in reply()) {
        read(&bytes, DocumentLimits::default());
        read(&near, DocumentLimits::default());
        read(&near, DocumentLimits { bytes: 40, rows: 2 });
    }

    #[test]
    fn any_command_is_json(words in vec(vec(any::<u8>(), 0..20), 0..6)) {
        let head = CommandHead {
            name: "SET".to_owned(),
            statement: words.first().cloned().map(Bytes::from),
            arguments: words.iter().cloned().map(|word| Argument::Text(word.into())).collect(),
            ..CommandHead::default()
        };
        let document = command_document(&head, false, DocumentLimits::default());
        let json: Value = serde_json::from_slice(&document.json).expect("JSON");
        prop_assert_eq!(json["arguments"].as_array().map_or(0, Vec::len), words.len());
    }
}

#[test]
fn nested_beyond_measure() {
    read(&b"*1\r\n".repeat(100_000), DocumentLimits::default());
    read(&b"|1\r\n".repeat(100_000), DocumentLimits::default());
}

#[test]
fn real_captures() {
    let Ok(corpus) = Corpus::find(None) else {
        twintap_tests::skip("documents::real_captures", "no corpus");
        return;
    };
    let mut counts = [0_u32; 3];
    for (name, listed) in corpus.listed().expect("the corpus was found") {
        let is_database = matches!(&listed.protocol[..], "redis" | "postgres" | "mysql");
        let Some(replayed) = is_database.then(|| replay(&corpus.capture(&name))) else {
            continue;
        };
        let replayed = replayed.expect("a capture of the corpus");
        let whole: HashSet<_> = replayed.events.iter().filter_map(whole_reply).collect();
        for made in made(&replayed.events, DocumentLimits::default()) {
            let mut known = DATABASES.iter();
            let which = known.position(|known| *known == made.exchange.protocol);
            counts[which.expect("a database")] += 1;
            for body in made.request.iter().chain(&made.response) {
                serde_json::from_slice::<Value>(body).expect("JSON");
            }
            let response = made.response.unwrap_or_default();
            if response.ends_with(b"\"cut\":true}") {
                assert!(
                    !whole.contains(&made.exchange.id),
                    "{name} {}",
                    made.exchange.id
                );
            }
        }
    }
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// The exchange, where its reply was seen whole, and the command that says how to read it.
fn whole_reply(event: &Event) -> Option<&ExchangeId> {
    match &event.kind {
        EventKind::Command(command) => {
            let is_whole = command.response.state == MessageState::Complete;
            (is_whole && command.request.head.is_some()).then_some(&command.id)
        }
        _ => None,
    }
}
