//! What is read, and has no form in the archive yet: each is counted by its cause.

use std::collections::BTreeMap;

use twintap_stream::Direction::{Client, Server};

use crate::played;

const POLICY: &str = "version: 1\nbase: default\n";

#[test]
fn commands_of_databases() {
    let (ledger, stored) = played(
        POLICY,
        &[
            (Client, b"\0\0\0\x10\0\x03\0\0user\0u\0\0"),
            (Server, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"),
            (Client, b"Q\0\0\0\x0bBEGIN;\0"),
            (Server, b"C\0\0\0\x0aBEGIN\0Z\0\0\0\x05T"),
        ],
    );
    assert!(stored.is_empty());
    assert!(ledger.closes(), "{ledger:?}");
    assert_eq!(ledger.rebuilt, 2);
    let expected = BTreeMap::from([("postgres_not_stored".to_owned(), 2)]);
    assert_eq!(ledger.discarded, expected);
}
