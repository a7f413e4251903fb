//! Real captures against what tshark sees in them.

use twintap_stream::command::ReplyKind;
use twintap_stream::message::Protocol;
use twintap_stream::{CommandExchange, EventKind};
use twintap_tests::corpus::{Corpus, replay};

/// What tshark 4's dissection of a capture counts (`tshark -d tcp.port==P,pgsql -T fields
/// -e pgsql.type`).
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    /// SSLRequest and GSSENCRequest.
    encryption: u64,
    startup: u64,
    query: u64,
    execute: u64,
    terminate: u64,
    /// CommandComplete.
    complete: u64,
    error: u64,
    /// DataRow.
    rows: u64,
}

/// Capture, then the counts in the order of their fields.
const DISSECTED: &[(&str, [u64; 8])] = &[
    ("arkime/postgres-good.pcap", [1, 1, 0, 0, 0, 0, 0, 0]),
    (
        "deepflow/postgre/simple_query.pcap",
        [0, 0, 1, 0, 0, 1, 0, 0],
    ),
    ("ndpi/pgsql.pcap", [4, 4, 0, 7, 0, 7, 0, 1]),
    (
        "suricata-verify/pgsql/pgsql-5524/input.pcap",
        [0, 1, 0, 4, 1, 2, 2, 0],
    ),
    (
        "suricata-verify/pgsql/pgsql-copy-data-in/TLPW-Jason-copyfrom-small.pcap",
        [1, 1, 1, 0, 1, 1, 0, 0],
    ),
    (
        "suricata-verify/pgsql/pgsql-simple-query-rollback/input.pcap",
        [1, 1, 22, 0, 1, 17, 5, 8],
    ),
    (
        "suricata-verify/pgsql/pgsql-upgrade-tls/input.pcap",
        [1, 1, 0, 0, 0, 0, 1, 0],
    ),
    (
        "zeek/postgresql/psql-aws-ssl-disable-15432.pcap",
        [0, 1, 1, 0, 1, 1, 0, 1],
    ),
    (
        "zeek/postgresql/psql-aws-ssl-require.pcap",
        [1, 0, 0, 0, 0, 0, 0, 0],
    ),
    (
        "zeek/postgresql/psql-insert-fail-drop-fail.pcap",
        [0, 1, 5, 0, 1, 3, 2, 0],
    ),
    (
        "zeek/postgresql/psql-login-no-sslrequest.pcap",
        [0, 2, 0, 0, 1, 0, 0, 0],
    ),
    ("zeek/postgresql/psql-login.pcap", [1, 1, 0, 0, 0, 0, 0, 0]),
    (
        "zeek/postgresql/psql-select-now.pcap",
        [1, 1, 1, 0, 1, 1, 0, 1],
    ),
];

#[test]
fn captures_equal_the_dissection() {
    let Ok(corpus) = Corpus::find(None) else {
        twintap_tests::skip("captures_equal_the_dissection", "no corpus");
        return;
    };
    let mut seen = 0;
    for name in corpus.listed().expect("the corpus was found").into_keys() {
        let Ok(replayed) = replay(&corpus.capture(&name)) else {
            continue;
        };
        let mut ours = Counts::default();
        for event in &replayed.events {
            if let EventKind::Command(exchange) = &event.kind
                && exchange.protocol == Protocol::Postgres
            {
                ours.add(exchange);
            }
        }
        let dissected = DISSECTED.iter().find(|(capture, _)| *capture == name);
        seen += u64::from(dissected.is_some());
        // Whatever is not listed is none of ours.
        let expected = dissected.map_or([0; 8], |(_, counts)| *counts);
        assert_eq!(ours, Counts::from(expected), "{name}");
    }
    assert_eq!(seen, DISSECTED.len() as u64);
}

impl Counts {
    fn add(&mut self, exchange: &CommandExchange) {
        let name = exchange.request.head.as_ref().map(|head| &head.name[..]);
        match name {
            Some("SSLRequest" | "GSSENCRequest") => self.encryption += 1,
            Some("Startup") => self.startup += 1,
            Some("Query") => self.query += 1,
            Some("Execute") => self.execute += 1,
            Some("Terminate") => self.terminate += 1,
            other => panic!("{other:?} was not dissected"),
        }
        let Some(reply) = &exchange.response.head else {
            return;
        };
        self.rows += reply.rows;
        let is_of_statement = matches!(name, Some("Query" | "Execute"));
        match reply.kind {
            ReplyKind::Error => self.error += 1,
            _ => self.complete += u64::from(is_of_statement && !reply.text.is_empty()),
        }
    }
}

impl From<[u64; 8]> for Counts {
    fn from(counts: [u64; 8]) -> Counts {
        let [
            encryption,
            startup,
            query,
            execute,
            terminate,
            complete,
            error,
            rows,
        ] = counts;
        Counts {
            encryption,
            startup,
            query,
            execute,
            terminate,
            complete,
            error,
            rows,
        }
    }
}
