//! Flows that no parser claims: counted always, stored only where the policy says so.

use twintap_stream::Direction;
use twintap_stream::message::Protocol;

use crate::played;

const HELLO: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
const ANSWER: &[u8] = b"SSH-2.0-server\r\n\x00\x00\x01\x02\x03binary follows";
const TALK: [(Direction, &[u8]); 2] = [(Direction::Client, HELLO), (Direction::Server, ANSWER)];

#[test]
fn kept_where_the_policy_says_so() {
    let (ledger, stored) = played("version: 1\nbase: default\nkeep_opaque: true\n", &TALK);
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!(ledger.opaque_bytes, (HELLO.len() + ANSWER.len()) as u64);
    assert_eq!((ledger.rebuilt, ledger.stored), (1, 1));
    let [flow] = &stored[..] else {
        panic!("stored {} exchanges", stored.len());
    };
    assert_eq!(flow.exchange().protocol, Protocol::Opaque);
    for (body, expected) in [(&flow.request_body, HELLO), (&flow.response_body, ANSWER)] {
        let twintap_archive::StoredBody::Inline(bytes) = body else {
            panic!("a small body lies in its record, not {body:?}");
        };
        assert_eq!(&bytes[..], expected);
    }
}

#[test]
fn only_counted_elsewhere() {
    let (ledger, stored) = played("version: 1\nbase: default\n", &TALK);
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!(ledger.opaque_bytes, (HELLO.len() + ANSWER.len()) as u64);
    assert_eq!((ledger.rebuilt, ledger.stored), (0, 0));
    assert!(stored.is_empty());
}
