//! Twins that fail: each failure is an outcome by its word, nothing else of the run
//! moves, and the report says what happened where.

use std::time::Duration;

use tempfile::TempDir;
use twintap_plan::Load;
use twintap_replayer::fire::RunControl;
use twintap_verdict::{Finding, Kind, Report, html};

use crate::recording::{Recorded, record};
use crate::run::{run, run_file};
use crate::script::Script;
use crate::twins::{Reply, TwinServer};

/// Users of the recording, each on a flow of its own.
const USERS: u64 = 8;
const PATHS: [&str; 3] = ["/before", "/bad", "/after"];

fn recording() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n");
    let requests = PATHS.map(request);
    let mut exchanges = Vec::new();
    for (place, request) in (0u64..).zip(&requests) {
        exchanges.extend((0..USERS).map(|flow| Recorded {
            flow,
            at_ms: place * 100 + flow * 3,
            request,
            response: answer,
        }));
    }
    record(directory.path(), &exchanges);
    directory
}

/// Answers everything, but does `bad` on `/bad`.
fn failing(bad: impl Fn() -> Reply + Send + Sync + 'static) -> TwinServer {
    TwinServer::start(move |seen| match seen.line.as_str() {
        "GET /bad HTTP/1.1" => bad(),
        _ => Reply::ok(),
    })
}

fn run_at(directory: &TempDir, candidate: TwinServer) -> (Report, [TwinServer; 2]) {
    let twins = [candidate, TwinServer::start(|_| Reply::ok())];
    let limits = "timeouts: {response: 700ms, connect: 700ms, wait: 5s}\n";
    let report = run(&run_file(directory.path(), &twins, limits)).expect("a run");
    (report, twins)
}

/// What came over each connection, whatever the order in which these opened.
fn arrived(twin: &TwinServer) -> Vec<String> {
    let mut received = twin.received();
    received.sort_unstable();
    received
}

#[track_caller]
fn check(word: &str, candidate: TwinServer) {
    let directory = recording();
    let (sound, sound_twins) = run_at(&directory, failing(Reply::ok));
    assert_eq!(sound.ledgers.runs.candidate.answered, 3 * USERS);
    let (report, twins) = run_at(&directory, candidate);

    let runs = &report.ledgers.runs;
    assert_eq!(runs.candidate.errored_by_cause.get(word), Some(&USERS));
    assert_eq!(runs.candidate.answered, 2 * USERS);
    assert_eq!(
        (runs.candidate.unexplained, runs.baseline.unexplained),
        (0, 0)
    );
    // The other twin gets what it would have got, and so does the failing one.
    assert_eq!(runs.baseline, sound.ledgers.runs.baseline);
    assert_eq!(arrived(&twins[1]), arrived(&sound_twins[1]));
    // A safe request that a kept-alive connection ended under came twice.
    let asked = |twin: &TwinServer| {
        let is_asked = |path: &&str| twin.lines().contains(&format!("GET {path} HTTP/1.1"));
        PATHS.into_iter().filter(is_asked).count()
    };
    assert_eq!(asked(&twins[0]), PATHS.len());
    let after = |twin: &TwinServer| {
        let lines = twin.lines();
        lines.iter().filter(|line| line.contains("/after")).count()
    };
    assert_eq!(after(&twins[0]), USERS as usize);
    assert_eq!(report.release_error_us.count, 6 * USERS);

    // The report says where, how often, and how.
    let change = format!("no answer: {word}");
    let finding = report
        .findings
        .iter()
        .find(|finding| finding.endpoint == "GET /bad");
    let finding = finding.unwrap_or_else(|| panic!("{:?}", report.findings));
    assert_eq!((finding.count, finding.sessions), (USERS, USERS));
    assert!(
        finding
            .evidence
            .iter()
            .any(|example| example.change == change),
        "{:?}",
        finding.evidence
    );
    assert!(html(&report).contains(&change));
    let elsewhere = |finding: &&Finding| finding.endpoint != "GET /bad";
    let others: Vec<_> = report.findings.iter().filter(elsewhere).collect();
    let is_of_answers = |finding: &&Finding| finding.kind == Kind::Latency;
    assert!(others.iter().all(is_of_answers), "{others:?}");
}

#[test]
fn a_stall_is_a_time_out() {
    check("timeout", failing(|| Reply::Stall));
}

#[test]
fn a_reset_is_a_reset() {
    check("reset", failing(|| Reply::Reset));
}

#[test]
fn garbage_is_garbage() {
    check(
        "garbage",
        failing(|| Reply::Text("220 mail ready\r\n\r\n".to_owned())),
    );
}

#[test]
fn a_close_inside_a_body_is_an_early_close() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nnot all";
    check(
        "closed_early",
        failing(move || Reply::Close(cut.to_owned())),
    );
}

#[test]
fn an_answer_that_never_ends_is_a_time_out() {
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    check(
        "timeout",
        failing(move || Reply::Drip(endless.to_owned() + &"x".repeat(1_000_000))),
    );
}

#[test]
fn an_answer_byte_by_byte_is_an_answer() {
    let directory = recording();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (report, _) = run_at(&directory, failing(move || Reply::Drip(answer.to_owned())));
    assert_eq!(report.ledgers.runs.candidate.answered, 3 * USERS);
    let differs = |finding: &&Finding| finding.kind != Kind::Latency;
    assert_eq!(report.findings.iter().find(differs), None);
}

#[test]
fn a_twin_that_accepts_and_never_answers_leaves_the_other_alone() {
    let directory = recording();
    let silent = TwinServer::start(|_| Reply::Stall);
    let (report, twins) = run_at(&directory, silent);
    let runs = &report.ledgers.runs;
    assert_eq!(runs.candidate.answered, 0);
    assert_eq!(runs.candidate.errored_by_cause["timeout"], 3 * USERS);
    assert_eq!(runs.baseline.answered, 3 * USERS);
    assert_eq!(twins[1].lines().len() as u64, 3 * USERS);
    let mut endpoints: Vec<&str> = report
        .findings
        .iter()
        .map(|finding| finding.endpoint.as_str())
        .collect();
    endpoints.sort_unstable();
    assert_eq!(endpoints, ["GET /after", "GET /bad", "GET /before"]);
}

#[test]
fn ten_seconds_of_silence_move_nobody_else() {
    let mut script = Script::default();
    script.get(0, 0, "/bad");
    for number in 1..200 {
        script.get(number * 10, number, "/good");
    }
    script.shape(&Load::default());
    let late = failing(|| Reply::Later(Duration::from_secs(10)));
    let twins = [late, TwinServer::start(|_| Reply::ok())];
    let control = RunControl::new().expect("an eventfd");
    let run = script.fire_with(&twins, &control, |_| {});
    for summary in run.summaries() {
        assert_eq!(summary.ledger.answered, 200);
        // Nobody waited for anything.
        assert_eq!((summary.lateness.max_us, summary.wait_expired), (0.0, 0));
        assert_eq!(summary.release_error.count, 200);
    }
    assert!(run.summary.wall_ns >= 10_000_000_000);
}
