//! Requests of any shape arrive as they were recorded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;
use twintap_replayer::run::RunFile;
use twintap_scrub::Policy;
use twintap_stream::{Direction, Timestamp};

use crate::recording::{production, segment, store};
use crate::run::run;

/// What parsers disagree about, and what only a careless client writes.
const SHAPES: [&str; 18] = [
    "POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /twice HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "POST /zeros HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello",
    "GET /space-before-colon HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET /fold HTTP/1.1\r\nHost: a\r\nX-Long: one\r\n two\r\n\r\n",
    "GET /bare-lf HTTP/1.1\nHost: a\n\n",
    "GET  /two-spaces HTTP/1.1\r\nHost:a\r\nX-Padded:   b  \r\n\r\n",
    "gEt /case HTTP/1.1\r\nhOST: a\r\nX-tWICE: 1\r\nx-Twice: 2\r\n\r\n",
    "POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nX-End: yes\r\n\r\n",
    "GET /old HTTP/1.0\r\n\r\n",
    "POST /contradiction HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "POST /list HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
    "POST /list-apart HTTP/1.1\r\nHost: a\r\nContent-Length: 5,x\r\n\r\nhello",
    "POST /codings HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding:\tchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /coding-of-old HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "GET /no-colon HTTP/1.1\r\nHost: a\r\nwhat is this\r\n: no name\r\nbad name: x\r\n\r\n",
    "GET /controls HTTP/1.1\r\nHost: a\r\nX-Odd: \u{1}a\0b\rc é\r\n\r\n",
    "GET /first-is-folded HTTP/1.1\r\n X-Fold: 1\r\nHost: a\r\n\r\n",
];

/// A server that answers what it takes, if that comes first, and notes it.
fn server(takes: &'static [&'static str]) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let received: Arc<Mutex<Vec<String>>> = Arc::default();
    let all = Arc::clone(&received);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let all = Arc::clone(&all);
            thread::spawn(move || {
                let mut own = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    own.extend_from_slice(&buffer[..count]);
                    let text = String::from_utf8_lossy(&own).into_owned();
                    let is_whole = takes.contains(&text.as_str());
                    if is_whole {
                        all.lock().expect("no thread failed").push(text);
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                        if stream.write_all(answer).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (address, received)
}

/// Shapes of requests with what a run in this form sent of them.
fn sent(wire: &str, takes: &'static [&'static str]) -> (Vec<String>, u64) {
    let directory = TempDir::new().expect("a temporary directory");
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let segments = (0..).zip(SHAPES).flat_map(|(flow, request)| {
        let time = Timestamp(1_700_000_000_000_000_000 + flow * 2_000_000);
        let said =
            |direction, bytes, time| segment(production(), (flow, direction), 0, bytes, time);
        [
            said(Direction::Client, request.as_bytes(), time),
            said(Direction::Server, &response[..], time.plus_ns(1_000_000)),
        ]
    });
    store(directory.path(), Policy::allow_all(), segments);
    let ((candidate, received), (baseline, _)) = (server(takes), server(takes));
    let text = format!(
        "version: 1\narchive: archive\noutput: results\npolicy: allow-all\nwire: {wire}\ntargets:\n  \
         candidate:\n    address: {candidate}\n  baseline:\n    address: {baseline}\n\
         allow: [\"{candidate}\", \"{baseline}\"]\ntimeouts: {{response: 5s}}\n"
    );
    let path = directory.path().join("shapes.yaml");
    std::fs::write(&path, text).expect("a directory to write to");
    let report = run(&RunFile::read(&path).expect("a sound run file")).expect("a run");
    let mut received = received.lock().expect("no thread failed").clone();
    received.sort_unstable();
    (received, report.ledgers.runs.candidate.answered)
}

#[test]
fn requests_of_any_shape_arrive_as_they_were_recorded() {
    let (received, answered) = sent("exact", &SHAPES);
    let mut expected = SHAPES.to_vec();
    expected.sort_unstable();
    assert_eq!(received, expected);
    assert_eq!(answered, SHAPES.len() as u64);
}

/// The same, as nobody can read them in two ways.
const CLEAN: [&str; 18] = [
    "POST /both HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /twice HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /zeros HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "GET /space-before-colon HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /fold HTTP/1.1\r\nHost: a\r\nX-Long: one   two\r\n\r\n",
    "GET /bare-lf HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /two-spaces HTTP/1.1\r\nHost: a\r\nX-Padded: b\r\n\r\n",
    "gEt /case HTTP/1.1\r\nhOST: a\r\nX-tWICE: 1\r\nx-Twice: 2\r\n\r\n",
    "POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nX-End: yes\r\n\r\n",
    "GET /old HTTP/1.0\r\n\r\n",
    "POST /contradiction HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /list HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /list-apart HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /codings HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /coding-of-old HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "GET /no-colon HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /controls HTTP/1.1\r\nHost: a\r\nX-Odd:  a b c é\r\n\r\n",
    "GET /first-is-folded HTTP/1.1\r\nHost: a\r\n\r\n",
];

#[test]
fn requests_of_any_shape_arrive_clean_where_that_is_asked_for() {
    let (received, answered) = sent("clean", &CLEAN);
    let mut expected = CLEAN.to_vec();
    expected.sort_unstable();
    assert_eq!(received, expected);
    assert_eq!(answered, CLEAN.len() as u64);
}
