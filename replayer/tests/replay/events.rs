//! Server-sent events, from what was recorded to a report.

use std::fs;

use tempfile::TempDir;
use twintap_archive::Reader;
use twintap_replayer::run::RunFile;
use twintap_scrub::{Piece, Policy};
use twintap_stream::{Direction, Segment, Timestamp};
use twintap_verdict::{Report, Verdict};

use crate::recording::{production, segment, store};
use crate::run::run;
use crate::twins::{Reply, TwinServer};

const CLIENTS: u64 = 4;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";

/// An event in a chunk of its own.
fn event(text: &str) -> String {
    let event = format!("data: {text}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn stream(last: &str) -> [String; 3] {
    let end = format!("{}0\r\n\r\n", event(last));
    [format!("{HEAD}{}", event("one")), event("two"), end]
}

fn piece(way: (u64, Direction), offset: u64, bytes: &[u8], time_ns: u64) -> Segment {
    let time = Timestamp(1_700_000_000_000_000_000).plus_ns(time_ns);
    segment(production(), way, offset, bytes, time)
}

/// Clients to whom three events come, 20 ms apart.
fn segments() -> Vec<Segment> {
    let mut segments = Vec::new();
    for flow in 0..CLIENTS {
        let begin_ns = flow * 5_000_000;
        let request = format!("GET /events?client={flow} HTTP/1.1\r\nHost: news\r\n\r\n");
        let asked = request.as_bytes();
        segments.push(piece((flow, Direction::Client), 0, asked, begin_ns));
        let mut offset = 0;
        for (text, number) in stream("three").iter().zip(1..) {
            let time_ns = begin_ns + number * 20_000_000;
            let bytes = text.as_bytes();
            segments.push(piece((flow, Direction::Server), offset, bytes, time_ns));
            offset += bytes.len() as u64;
        }
    }
    segments.sort_by_key(|segment| segment.time);
    segments
}

/// What a run comes to where the candidate's last event is this.
fn replayed(last: &'static str) -> Report {
    let directory = TempDir::new().expect("a temporary directory");
    store(directory.path(), Policy::allow_all(), segments());
    let reader = Reader::open(directory.path().join("archive")).expect("an archive");
    for stored in reader.exchanges() {
        let stored = stored.expect("an exchange");
        let marks = &stored.record.response.timeline.marks;
        let times = marks
            .iter()
            .map(|mark| (mark.piece, mark.after_ns / 1_000_000));
        let expected = [0, 20, 40].map(|ms| (Piece::Event, ms));
        assert_eq!(times.collect::<Vec<_>>(), expected);
    }
    let twin = |last| TwinServer::start(move |_| Reply::Text(stream(last).concat()));
    let twins = [twin(last), twin("three")];
    let [candidate, baseline] = twins.each_ref().map(|twin| twin.address);
    let text = format!(
        "version: 1\narchive: archive\npolicy: allow-all\noutput: results\ntargets:\n  \
         candidate:\n    address: {candidate}\n  baseline:\n    address: {baseline}\n\
         allow: [\"{candidate}\", \"{baseline}\"]\nverdict: {{min_exchanges: {CLIENTS}}}\n"
    );
    let path = directory.path().join("news.yaml");
    fs::write(&path, text).expect("a directory to write to");
    run(&RunFile::read(&path).expect("a sound run file")).expect("a run")
}

#[test]
fn events_replay_with_their_times_known() {
    let report = replayed("three");
    assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
}

#[test]
fn an_event_that_changed_is_found() {
    let report = replayed("seven");
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
}
