//! PostgreSQL.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use tempfile::TempDir;
use twintap_replayer::run::RunFile;
use twintap_scrub::Policy;
use twintap_stream::message::Protocol;
use twintap_tests::databases::{Database, postgres};
use twintap_tests::skip;
use twintap_verdict::{Report, Verdict};

use super::tape::{Said, store};
use crate::run::run;

/// Commands of each connection that are fired.
const FIRED: u64 = 9;
const USERS: u64 = 6;
/// The password is in the environment of whoever runs it; Cargo's own name for this will do.
const PASSWORD: (&str, &str) = ("CARGO_PKG_NAME", env!("CARGO_PKG_NAME"));

/// A client of production's server, all of whose words and answers are kept.
struct Client {
    socket: TcpStream,
    said: Vec<Said>,
}

impl Client {
    fn connect(server: &Database) -> Client {
        let mut client = Client {
            socket: TcpStream::connect(server.address).expect("a server"),
            said: Vec::new(),
        };
        client.say(|out| {
            let parameters = [("user", "app"), ("database", "postgres")];
            frontend::startup_message(parameters, out).expect("a start-up");
        });
        client
    }

    /// Says something, and gives what answers it up to ReadyForQuery.
    fn say(&mut self, write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
        let mut out = BytesMut::new();
        write(&mut out);
        self.socket.write_all(&out).expect("a connection");
        let mut answer = Vec::new();
        while !answer.ends_with(b"Z\0\0\0\x05I") && !answer.ends_with(b"Z\0\0\0\x05T") {
            let mut bytes = [0; 4096];
            let count = self.socket.read(&mut bytes).expect("an answer");
            assert!(count > 0, "the server closed");
            answer.extend_from_slice(&bytes[..count]);
        }
        self.said.push(Said {
            client: out.freeze(),
            server: Bytes::from(answer.clone()),
        });
        answer
    }

    fn query(&mut self, statement: &str) -> Vec<u8> {
        self.say(|out| frontend::query(statement, out).expect("a query"))
    }

    /// Prepares a statement of one parameter.
    fn prepare(&mut self, name: &str, statement: &str) {
        self.say(|out| {
            frontend::parse(name, statement, [], out).expect("a statement");
            frontend::describe(b'S', name, out).expect("a statement");
            frontend::sync(out);
        });
    }

    fn execute(&mut self, name: &str, parameter: &str) {
        self.say(|out| {
            let write = |text: &str, out: &mut BytesMut| {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            };
            let bound = frontend::bind("", name, [], [parameter], write, [0], out);
            assert!(bound.is_ok());
            frontend::execute("", 0, out).expect("an execution");
            frontend::sync(out);
        });
    }
}

const TABLES: &str = "CREATE TABLE orders (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), \
                      customer text UNIQUE, total int); \
                      CREATE TABLE rates (name text PRIMARY KEY, rate int); \
                      INSERT INTO rates VALUES ('base', RATE);";

/// Six users, each over a connection of its own: a transaction, an order with an id of the
/// server's that is asked for again, an error, and what no run repeats.
fn record(directory: &Path, production: &Database) {
    let mut connections = Vec::new();
    for user in 1..=USERS {
        let mut client = Client::connect(production);
        client.query("BEGIN");
        let insert = format!(
            "INSERT INTO orders (customer, total) VALUES ('Ada {user:03}', 5) RETURNING id"
        );
        let made = client.query(&insert);
        let made = String::from_utf8_lossy(&made).into_owned();
        let dash = made.find('-').expect("an id");
        let id = &made[dash - 8..dash + 28];
        client.prepare("look", "SELECT customer, total FROM orders WHERE id = $1");
        client.execute("look", id);
        client.query("COMMIT");
        client.query("SELECT rate FROM rates WHERE name = 'base'");
        client.query(&insert);
        client.query("SELECT nothing FROM nowhere");
        client.execute("look", id);
        client.query("COPY (SELECT 1) TO STDOUT");
        connections.push(client.said);
    }
    store(
        directory,
        Policy::allow_all(),
        Protocol::Postgres,
        &connections,
    );
}

/// What comes of a run at servers with these rates; none where there is no PostgreSQL.
fn replay(test: &str, rates: [&str; 2]) -> Option<Report> {
    let directory = TempDir::new().expect("a temporary directory");
    let place = directory.path();
    let start = |name: &str, password: Option<&str>, rate: &str| {
        let tables = TABLES.replace("RATE", rate);
        postgres(place, name, password, &tables).expect("PostgreSQL starts")
    };
    let password = Some(PASSWORD.1);
    let Some(production) = start("production", None, "5") else {
        skip(test, "postgresql-15 is not installed, or this is not root");
        return None;
    };
    let candidate = start("candidate", password, rates[0])?;
    let baseline = start("baseline", password, rates[1])?;
    record(place, &production);
    let [candidate_address, baseline_address] = [candidate.address, baseline.address];
    let password_env = PASSWORD.0;
    let target = |address| {
        format!("{{address: 'postgres://app@{address}/postgres', password_env: {password_env}}}")
    };
    let text = format!(
        "version: 1\narchive: archive\noutput: results\npolicy: allow-all\nconfirm: off\n\
         targets:\n  candidate: {}\n  baseline: {}\n\
         allow: ['{candidate_address}', '{baseline_address}']\n",
        target(candidate_address),
        target(baseline_address)
    );
    let path = place.join("orders.yaml");
    std::fs::write(&path, text).expect("a directory to write to");
    let report = run(&RunFile::read(&path).expect("a sound run file")).expect("a run");
    for ledger in [
        &report.ledgers.runs.candidate,
        &report.ledgers.runs.baseline,
    ] {
        assert_eq!(ledger.answered, USERS * FIRED, "{ledger:?}");
        assert_eq!(ledger.skipped_by_cause["login"], USERS);
        assert_eq!(ledger.skipped_by_cause["stream"], USERS);
        assert_eq!(ledger.planned, USERS * (FIRED + 2));
    }
    Some(report)
}

#[test]
fn servers_alike_pass() {
    let Some(report) = replay("servers_alike_pass", ["5", "5"]) else {
        return;
    };
    let why = (&report.reasons, &report.findings, &report.fidelity_detail);
    assert_eq!(report.verdict, Verdict::Pass, "{why:?}");
    assert_eq!(report.fidelity, 1.0, "{why:?}");
    assert_eq!(
        report.correlation.bound,
        2 * USERS,
        "{:?}",
        report.correlation
    );
}

#[test]
fn a_row_that_differs_is_a_finding_that_shows_both() {
    let test = "a_row_that_differs_is_a_finding_that_shows_both";
    let Some(report) = replay(test, ["6", "5"]) else {
        return;
    };
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    let [finding] = &report.findings[..] else {
        panic!("{:?}", report.findings);
    };
    assert!(finding.location.contains("rate"), "{finding:?}");
    assert!(finding.claim.contains(r#""5" → "6""#), "{finding:?}");
}
