//! Real captures.

use std::collections::BTreeMap;

use twintap_stream::EventKind;
use twintap_stream::message::{MessageState, Protocol};
use twintap_tests::corpus::{Corpus, replay};

/// Complete commands and replies in each capture that has any, and in no other. A login is a
/// command; one that has no reply has a complete one.
///
/// They equal what tshark 4.0.17 has when it is told the port (`mysql.command` and logins), but:
/// - `mysql-compressed-response` and `mysql-use` are compressed from before the capture: tshark
///   takes the frames for `COM_SLEEP`.
/// - `Packet++Test/.../mysql.pcapng` begins with the client's login: without the greeting tshark
///   takes it for a command 141. Its reply is lost; the reply that is there answers a
///   `COM_FIELD_LIST` that is lost.
/// - `one_tcp_stream_fin_rst_close_packet` has a line of the PROXY protocol before the login, and
///   tshark sees no login. The connection is reset before the reply.
/// - `change-user-success`: tshark has two users, one of them in `COM_CHANGE_USER`.
const COUNTS: &[(&str, usize, usize)] = &[
    ("arkime/mysql-tls.pcap", 1, 1),
    ("deepflow/mysql/binary-in-sql.pcap", 2, 2),
    ("deepflow/mysql/mysql-compressed-response.pcap", 1, 1),
    ("deepflow/mysql/mysql-database.pcap", 6, 6),
    ("deepflow/mysql/mysql-statement-id.pcap", 1, 1),
    ("deepflow/mysql/mysql-table-delete.pcap", 4, 4),
    ("deepflow/mysql/mysql-use.pcap", 1, 1),
    ("deepflow/mysql/truncate-1024.pcap", 4, 4),
    ("ndpi/mysql.pcapng", 4, 4),
    (
        "pcapplusplus/Packet++Test/PacketExamples/mysql.pcapng",
        1,
        1,
    ),
    (
        "pcapplusplus/one_tcp_stream_fin_rst_close_packet.pcap",
        1,
        0,
    ),
    ("pcapplusplus/pcapng-example.pcapng", 1, 1),
    ("zeek/mysql/change-user-success.pcap", 7, 7),
    ("zeek/mysql/mysql-9.0.0-query-attributes.pcap", 4, 4),
    ("zeek/mysql/mysql.pcap", 18, 18),
    ("zeek/mysql/query-attr.pcap", 4, 4),
    ("zeek/mysql/tls-13-amazon-rds.pcap", 1, 1),
];

#[test]
fn captures_have_the_counts_that_were_verified() {
    let corpus = match Corpus::find(None) {
        Ok(corpus) => corpus,
        Err(error) => return twintap_tests::skip("mysql::corpus", &error.to_string()),
    };
    let mut found = BTreeMap::new();
    for path in corpus.files().expect("the corpus was found") {
        let Ok(replayed) = replay(&path) else {
            continue;
        };
        let exchanges = replayed
            .events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Command(exchange) if exchange.protocol == Protocol::Mysql => {
                    Some(exchange)
                }
                _ => None,
            });
        let name = corpus.relative(&path);
        for exchange in exchanges {
            let (commands, replies) = found.entry(name.clone()).or_insert((0, 0));
            *commands += usize::from(exchange.request.state == MessageState::Complete);
            *replies += usize::from(exchange.response.state == MessageState::Complete);
        }
    }
    let found: Vec<(&str, usize, usize)> = found
        .iter()
        .map(|(name, (commands, replies))| (name.as_str(), *commands, *replies))
        .collect();
    assert_eq!(found, COUNTS);
}
