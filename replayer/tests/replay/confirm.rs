//! Findings whose sessions are fired again at freshly reset twins.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use twintap_replayer::fire::RunControl;
use twintap_replayer::run::{Phase, RunFile, execute, only};
use twintap_scrub::Policy;
use twintap_stream::Timestamp;
use twintap_verdict::{ConfirmationOutcome, Report, Verdict};

use crate::recording::Recorder;
use crate::run::{json, run, run_file};
use crate::twins::{Reply, Seen, TwinServer};

/// Notes by name, of which production had none: `PUT /notes/NAME` makes one and tells how
/// often the service was asked to, `GET /notes/NAME` shows it.
#[derive(Default)]
pub struct Notes {
    made: Mutex<HashMap<String, u64>>,
    /// Requests so far, resets aside.
    asked: AtomicU64,
    resets: AtomicU64,
}

impl Notes {
    pub fn answer(&self, seen: &Seen, spoil: impl Fn(&str, u64) -> bool) -> Reply {
        let mut words = seen.line.split(' ');
        let (method, path) = (words.next(), words.next().unwrap_or_default());
        let mut made = self.made.lock().expect("no thread failed");
        if path == "/reset" {
            self.resets.fetch_add(1, Ordering::Relaxed);
            made.clear();
            return Reply::ok();
        }
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if spoil(&seen.line, asked) {
            return Reply::Text(json("500 Internal Server Error", "", r#"{"error":"no"}"#));
        }
        let count = made.entry(path.to_owned()).or_default();
        *count += u64::from(method == Some("PUT"));
        Reply::Text(note(*count))
    }
}

pub fn note(count: u64) -> String {
    json("200 OK", "", &format!(r#"{{"count":{count}}}"#))
}

/// Twins of which the candidate fails where `spoil` says so of a request's line and of how
/// many came before it.
pub struct Twins {
    pub servers: [TwinServer; 2],
    notes: [Arc<Notes>; 2],
}

impl Twins {
    pub fn new(spoil: impl Fn(&str, u64) -> bool + Send + Sync + 'static) -> Twins {
        let notes: [Arc<Notes>; 2] = Default::default();
        let (candidate, baseline) = (Arc::clone(&notes[0]), Arc::clone(&notes[1]));
        Twins {
            servers: [
                TwinServer::start(move |seen| candidate.answer(seen, &spoil)),
                TwinServer::start(move |seen| baseline.answer(seen, |_, _| false)),
            ],
            notes,
        }
    }

    /// A run file in which neither can be reset; no slowness is a finding.
    pub fn bare_file(&self, directory: &Path, more: &str) -> RunFile {
        let rules = "policy: allow-all\nverdict: {latency: {min_shift_ms: 1000000}}\n";
        run_file(directory, &self.servers, &(rules.to_owned() + more))
    }

    /// A run file in which both can be reset.
    fn file(&self, directory: &Path, more: &str) -> RunFile {
        let mut file = self.bare_file(directory, more);
        let [candidate, baseline] = self.servers.each_ref().map(|twin| {
            let hook = format!("request: 'POST http://{}/reset'", twin.address);
            serde_saphyr::from_str(&hook).expect("a hook")
        });
        file.settings.targets.candidate.reset = Some(candidate);
        file.settings.targets.baseline.reset = Some(baseline);
        file
    }

    pub fn resets(&self) -> [u64; 2] {
        let notes = self.notes.each_ref();
        notes.map(|notes| notes.resets.load(Ordering::Relaxed))
    }
}

pub fn request(method: &str, name: &str) -> String {
    format!("{method} /notes/{name} HTTP/1.1\r\nHost: notes\r\nContent-Length: 0\r\n\r\n")
}

/// Records what these flows asked for, one request a millisecond. Names stay what they are,
/// since faults go by them.
fn record_requests(directory: &Path, requests: &[(u64, String, String)]) {
    let mut recorder = Recorder::with_policy(directory, Policy::allow_all());
    for ((flow, request, response), at_ms) in requests.iter().zip(0..) {
        let time = Timestamp(1_700_000_000_000_000_000_u64 + at_ms * 1_000_000);
        recorder.exchange(*flow, time, request, response);
    }
    recorder.finish();
}

/// `names` are asked for, over so many connections.
pub fn record_names(names: u64, flows: u64) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let requests: Vec<(u64, String, String)> = (0..names)
        .map(|name| {
            (
                name % flows,
                request("GET", &format!("name{name}")),
                note(0),
            )
        })
        .collect();
    record_requests(directory.path(), &requests);
    directory
}

fn outcome(report: &Report) -> ConfirmationOutcome {
    let confirmation = report.findings[0].confirmation.as_ref();
    confirmation.expect("an exact finding").outcome
}

/// Both ledgers of what was fired again close, and so do those of the run.
#[track_caller]
fn check_ledgers(report: &Report, planned: u64, fired_again: u64) {
    let runs = &report.ledgers.runs;
    for ledger in [&runs.candidate, &runs.baseline] {
        assert_eq!((ledger.planned, ledger.unexplained), (planned, 0));
    }
    let again = report.confirmation.as_ref().map(|again| &again.ledgers);
    let again = again.expect("something was fired again");
    for ledger in [&again.candidate, &again.baseline] {
        assert_eq!((ledger.planned, ledger.unexplained), (fired_again, 0));
        assert_eq!(ledger.answered, fired_again);
    }
}

#[test]
fn a_fault_for_one_name_in_ten_thousand_shows_again() {
    let directory = record_names(10_000, 500);
    let twins = Twins::new(|line, _| line.contains("/notes/name7777 "));
    let file = twins.file(directory.path(), "pace: asap\n");
    let report = run(&file).expect("a run");
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    let finding = &report.findings[0];
    assert_eq!((finding.count, finding.sessions), (1, 1));
    assert_eq!(outcome(&report), ConfirmationOutcome::Confirmed);
    // Its session up to it: every 500th name.
    check_ledgers(&report, 10_000, 16);
    assert_eq!(twins.resets(), [2, 2]);
    let commands = finding.evidence[0].reproduce.as_ref().expect("commands");
    let expected = format!("{} --only {}", file.replay, finding.evidence[0].exchange);
    assert_eq!(commands.replay, expected);
    let address = twins.servers[0].address;
    let curl = commands.curl.as_deref().expect("a plain request");
    assert!(
        curl.contains(&format!(" http://{address}/notes/")),
        "{curl}"
    );
}

#[test]
fn a_failure_that_comes_once_by_chance_is_kept_apart() {
    let directory = record_names(200, 50);
    let twins = Twins::new(|_, asked| asked == 100);
    let report = run(&twins.file(directory.path(), "pace: asap\n")).expect("a run");
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let [finding] = &report.not_reproduced[..] else {
        panic!("{:?}", report.not_reproduced);
    };
    assert_eq!(finding.id, "N1");
    let confirmation = finding.confirmation.as_ref().expect("an exact finding");
    assert_eq!(confirmation.outcome, ConfirmationOutcome::NotReproduced);
    assert_eq!((confirmation.fired, confirmation.shown), (1, 0));
    assert!(finding.evidence[0].reproduce.is_some());
    assert!(
        report.reasons.join(" ").contains("did not show again"),
        "{:?}",
        report.reasons
    );
}

#[test]
fn failures_by_chance_of_several_sessions_count() {
    let directory = record_names(200, 50);
    let twins = Twins::new(|_, asked| (100..140).contains(&asked));
    let report = run(&twins.file(directory.path(), "pace: asap\n")).expect("a run");
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    assert!(report.not_reproduced.is_empty());
    assert!(report.findings[0].sessions > 1, "{:?}", report.findings);
    assert_eq!(outcome(&report), ConfirmationOutcome::NotReproduced);
}

#[test]
fn what_others_wrote_before_is_fired_again_too() {
    let directory = TempDir::new().expect("a temporary directory");
    let mut requests = Vec::new();
    for name in 0..20 {
        let name = format!("note-{name}");
        requests.push((requests.len() as u64, request("PUT", &name), note(1)));
        requests.push((requests.len() as u64, request("GET", &name), note(1)));
    }
    record_requests(directory.path(), &requests);
    // The fault shows only where the note was made.
    let notes: [Arc<Notes>; 2] = Default::default();
    let (candidate, baseline) = (Arc::clone(&notes[0]), Arc::clone(&notes[1]));
    let servers = [
        TwinServer::start(move |seen| {
            let is_look = seen.line.starts_with("GET /notes/note-7 ");
            match candidate.answer(seen, |_, _| false) {
                Reply::Text(text) if is_look => Reply::Text(text.replace(":1}", ":9}")),
                reply => reply,
            }
        }),
        TwinServer::start(move |seen| baseline.answer(seen, |_, _| false)),
    ];
    let twins = Twins { servers, notes };
    let report = run(&twins.file(directory.path(), "")).expect("a run");
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(outcome(&report), ConfirmationOutcome::Confirmed);
    check_ledgers(&report, 40, 2);
}

#[test]
fn each_round_is_fired_at_fresh_twins() {
    let directory = record_names(40, 20);
    let twins = Twins::new(|line, _| line.contains("/notes/name3 "));
    let file = twins.file(directory.path(), "confirm: {rounds: 3}\n");
    let control = RunControl::new().expect("an eventfd");
    let mut phases = Vec::new();
    let report = execute(&file, &control, &mut |progress| {
        if phases.last() != Some(&progress.phase) {
            phases.push(progress.phase);
        }
    });
    let report = report.expect("a run");
    assert_eq!(twins.resets(), [4, 4]);
    let confirmation = report.findings[0].confirmation.as_ref();
    let confirmation = confirmation.expect("an exact finding");
    assert_eq!((confirmation.fired, confirmation.shown), (3, 3));
    check_ledgers(&report, 40, 3);
    assert_eq!(
        phases[2..],
        [Phase::Firing, Phase::Confirming, Phase::Concluding]
    );
}

#[track_caller]
fn check_not_tried(report: &Report, expected: &str) {
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    assert_eq!(outcome(report), ConfirmationOutcome::NotTried);
    let confirmation = report.findings[0].confirmation.as_ref();
    let statement = &confirmation.expect("an exact finding").statement;
    assert!(statement.contains(expected), "{statement}");
    let again = report.confirmation.as_ref().expect("why it was not tried");
    assert_eq!((again.rounds, again.ledgers.candidate.planned), (0, 0));
}

#[test]
fn without_a_reset_nothing_is_fired_again() {
    let directory = record_names(40, 20);
    let twins = Twins::new(|line, _| line.contains("/notes/name3 "));
    let file = twins.bare_file(directory.path(), "");
    check_not_tried(&run(&file).expect("a run"), "no `reset` hook");
    assert_eq!(twins.servers[0].lines().len(), 40);
}

#[test]
fn it_can_be_switched_off() {
    let directory = record_names(40, 20);
    let twins = Twins::new(|line, _| line.contains("/notes/name3 "));
    let file = twins.file(directory.path(), "confirm: off\n");
    check_not_tried(&run(&file).expect("a run"), "`confirm` is off");
    assert_eq!(twins.resets(), [1, 1]);
}

#[test]
fn a_reset_that_fails_then_is_said_and_ends_no_run() {
    let directory = record_names(40, 20);
    let twins = Twins::new(|line, _| line.contains("/notes/name3 "));
    let mut file = twins.file(directory.path(), "");
    let once = directory.path().join("was-reset");
    let hook = format!("command: [mkdir, '{}']", once.display());
    file.settings.targets.candidate.reset = Some(serde_saphyr::from_str(&hook).expect("a hook"));
    check_not_tried(
        &run(&file).expect("a run"),
        "targets.candidate.reset failed",
    );
}

#[test]
fn one_exchange_is_fired_alone_with_what_it_depends_on() {
    let directory = record_names(200, 50);
    let twins = Twins::new(|line, _| line.contains("/notes/name77 "));
    let file = twins.file(directory.path(), "");
    let report = run(&file).expect("a run");
    let example = &report.findings[0].evidence[0];
    let sent = twins.servers[0].lines().len();

    let mut file = file;
    file.load_once();
    let control = || RunControl::new().expect("an eventfd");
    let fire = |name: &str| only(&file, &[name.to_owned()], &control(), &mut |_| {});
    let alone = fire(&example.exchange).expect("a run");
    assert_eq!(alone.verdict, Verdict::Fail);
    assert_eq!((alone.requests, alone.exchanges.len()), (2, 1));
    assert!(alone.reset);
    assert_eq!(alone.exchanges[0].exchange.exchange, example.exchange);
    assert_eq!(alone.exchanges[0].differences[0].location, "status");
    assert_eq!(alone.ledgers.candidate.answered, 2);
    // With the reset.
    assert_eq!(twins.servers[0].lines().len(), sent + 3);

    let session = fire(&example.session).expect("a run");
    assert_eq!(session.verdict, Verdict::Fail);
    assert_eq!(session.exchanges.len(), 4);
    let differing = session.exchanges.iter();
    let differing = differing.filter(|one| !one.differences.is_empty());
    assert_eq!(differing.count(), 1);

    let wrong = format!("{:#}", fire("F9").expect_err("no such"));
    assert!(wrong.contains("there is no session"), "{wrong}");
    let wrong = format!("{:#}", fire("n/1/2/3").expect_err("no such"));
    assert!(wrong.contains("there is no exchange n/1/2/3"), "{wrong}");
}
