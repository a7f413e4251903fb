//! Commands of databases are stored, with what answers them, and scrubbed.

use twintap_archive::StoredBody;
use twintap_stream::Direction::{Client, Server};
use twintap_stream::message::{MessageState, Protocol};

use crate::played;

const POLICY: &str = "version: 1\nbase: default\n";

#[test]
fn commands_are_stored_with_their_replies() {
    let (ledger, stored) = played(
        POLICY,
        &[
            (Client, b"\0\0\0\x10\0\x03\0\0user\0u\0\0"),
            (Server, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"),
            (Client, b"Q\0\0\0\x26SELECT name FROM t WHERE id='Ada'\0"),
            (
                Server,
                b"T\0\0\0\x1d\0\x01name\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
            ),
            (Server, b"D\0\0\0\x0e\0\x01\0\0\0\x04AdaL"),
            (Server, b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"),
        ],
    );
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!((ledger.rebuilt, ledger.stored), (2, 2), "{ledger:?}");
    assert!(ledger.discarded.is_empty(), "{ledger:?}");
    let query = stored.last().expect("two exchanges");
    let exchange = query.exchange();
    assert_eq!(exchange.protocol, Protocol::Postgres);
    assert_eq!(exchange.response.state, MessageState::Complete);
    let head = exchange.request.head.as_ref().expect("a head");
    assert_eq!(head.method, b"Query"[..]);
    let texts = [&query.request_body, &query.response_body].map(|body| {
        let StoredBody::Inline(body) = body else {
            panic!("a small body lies in its record, not {body:?}");
        };
        String::from_utf8(body.to_vec()).expect("JSON")
    });
    let [request, response] = texts;
    assert!(
        request.starts_with(r#"{"statement":"SELECT name FROM t WHERE id='"#),
        "{request}"
    );
    assert!(response.contains(r#""columns":["name"]"#), "{response}");
    assert!(
        !request.contains("Ada") && !response.contains("Ada"),
        "{request} {response}"
    );
}
