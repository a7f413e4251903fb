//! Runs that go through their recording until they are stopped.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use twintap_replayer::fire::RunControl;
use twintap_replayer::run::{RunFile, execute};
use twintap_verdict::{Report, Twin, Verdict};

use crate::recording::{Recorded, record};
use crate::run::{json, run, run_file, shop, shop_in_archive, shopkeeper};
use crate::twins::{Reply, TwinServer};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Fires a shop's recording until both twins have answered so much.
pub fn until(answered: u64, directory: &Path, twins: &[TwinServer; 2], more: &str) -> Report {
    let file = run_file(directory, twins, &format!("loop: forever\n{more}"));
    let control = RunControl::new().expect("an eventfd");
    let steering = control.clone();
    let stopping = thread::spawn(move || {
        let deadline = Instant::now() + LIMIT;
        let is_there = |twin| steering.progress(twin).answered >= answered;
        while ![Twin::Candidate, Twin::Baseline]
            .map(is_there)
            .iter()
            .all(|is| *is)
        {
            if Instant::now() > deadline {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        steering.stop();
    });
    let report = execute(&file, &control, &mut |_| {}).expect("a run");
    stopping.join().expect("no panic");
    report
}

fn record_of(directory: &Path) -> Value {
    let text = fs::read_to_string(directory.join("results/run.json")).expect("the run wrote it");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn rounds_go_on_with_values_and_sessions_of_their_own() {
    for more in [
        "",
        "pace: asap\n",
        "pace: closed\nspeed: 10\n",
        "scale: 2\nspeed: 3\n",
        "limits: {threads: 1}\n",
    ] {
        let directory = shop_in_archive();
        let twins = [shop("cand", 5), shop("base", 5)];
        let report = until(36 * 8, directory.path(), &twins, more);
        // How long answers take is the machine's doing here.
        let mut findings = report.findings.iter();
        let differs = findings.find(|finding| finding.location != "latency");
        assert!(differs.is_none(), "{more}{differs:?}");
        // Each order was looked at with the session that made it, or the shop refuses it.
        let record = record_of(directory.path());
        for twin in ["candidate", "baseline"] {
            let fired = &record["fired"][twin];
            let ledger = &fired["ledger"];
            let answered = ledger["answered"].as_u64().expect("a number");
            assert!(answered >= 36 * 8, "{more}{ledger}");
            assert_eq!(fired["fired_unbound"], 0, "{more}{fired}");
            assert_eq!(
                ledger["errored"].as_object().map(|by| by.len()),
                Some(0),
                "{more}{ledger}"
            );
            // The rest is what the stop kept back, and what was planned ahead.
            let stopped = ledger["refused"]["stopped"].as_u64().unwrap_or(0);
            let not_due = ledger["skipped"]["not_due"].as_u64().unwrap_or(0);
            assert!(not_due > 0, "{more}{ledger}");
            assert_eq!(
                ledger["planned"],
                answered + stopped + not_due,
                "{more}{ledger}"
            );
            assert_eq!(ledger["planned"], record["plan"]["planned"]);
        }
        for twin in &twins {
            let lines = twin.lines();
            let looked_at = lines.iter().filter(|line| line.starts_with("GET /orders/"));
            let mut looked_at: Vec<&String> = looked_at.collect();
            let all = looked_at.len();
            looked_at.sort_unstable();
            looked_at.dedup();
            assert_eq!(looked_at.len(), all, "{more}no order is looked at twice");
        }
    }
}

#[test]
fn a_run_that_was_stopped_is_judged_by_what_was_due() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let more = "pace: closed\nverdict: {min_exchanges: 36}\n";
    let report = until(36 * 4, directory.path(), &twins, more);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert!(report.fidelity > 0.9, "{:?}", report.fidelity_detail);
}

#[test]
fn a_regression_in_a_late_round_is_found() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 6), shop("base", 5)];
    let report = until(36 * 3, directory.path(), &twins, "");
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    assert!(report.findings[0].location.contains("total"));
}

#[test]
fn connections_of_past_rounds_close() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    // Twelve users, who go on with the next round over connections of their own.
    let more = "pace: closed\nspeed: 10\nlimits: {connections: 30}\n";
    let report = until(36 * 10, directory.path(), &twins, more);
    let record = record_of(directory.path());
    for twin in ["candidate", "baseline"] {
        let refused = &record["fired"][twin]["ledger"]["refused"];
        assert!(refused["connections"].is_null(), "{refused}");
    }
    assert_eq!(report.ledgers.runs.candidate.unexplained, 0);
}

#[test]
fn each_period_has_its_report() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 6), shop("base", 5)];
    // Rounds are appended by windows, and a period begins with one.
    let more = "pace: asap\nreport_every: 1ms\nlimits: {in_flight: 8}\n";
    until(10_000, directory.path(), &twins, more);
    let period = directory.path().join("results/period-000001.json");
    let period: Value =
        serde_json::from_str(&fs::read_to_string(period).expect("a period")).expect("JSON");
    assert_eq!(period["verdict"], "fail");
    let last = fs::read_to_string(directory.path().join("results/report.json"));
    let last: Value = serde_json::from_str(&last.expect("a report")).expect("JSON");
    for twin in ["candidate", "baseline"] {
        assert_eq!(last["ledgers"]["runs"][twin]["unexplained"], 0);
    }
    let ledger = &period["ledgers"]["runs"]["candidate"];
    assert_eq!(ledger["planned"], ledger["answered"]);
}

/// A shop that loses sight of its orders.
fn failing_shop() -> TwinServer {
    let keeps = shopkeeper("cand", 5);
    TwinServer::start(move |seen| match seen.line.starts_with("GET /orders/") {
        true => Reply::Text(json("500 Internal Server Error", "", "{}")),
        false => keeps(seen),
    })
}

/// Fires until the run ends by itself.
fn until_it_ends(file: &RunFile) -> Report {
    let control = RunControl::new().expect("an eventfd");
    let steering = control.clone();
    let (ended, end) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        let is_late = end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout);
        steering.stop();
        is_late
    });
    let report = execute(file, &control, &mut |_| {}).expect("a run");
    drop(ended);
    assert!(!guard.join().expect("no panic"), "it had to be stopped");
    report
}

#[test]
fn a_run_ends_as_soon_as_it_knows_enough() {
    // With an end and without, with one period and with many.
    for more in [
        "loop: forever\n",
        "loop: forever\nreport_every: 1ms\npace: asap\nlimits: {in_flight: 8}\n",
        "loop: 100\n",
    ] {
        let directory = shop_in_archive();
        let twins = [failing_shop(), shop("base", 5)];
        let more = format!("{more}verdict: {{stop_early: true}}\n");
        let report = until_it_ends(&run_file(directory.path(), &twins, &more));
        assert_eq!(report.verdict, Verdict::Fail, "{more}{:?}", report.reasons);
        let is_alarm = |reason: &String| reason.contains("requests fail at the candidate alone");
        assert!(
            report.reasons.iter().any(is_alarm),
            "{more}{:?}",
            report.reasons
        );
        let record = record_of(directory.path());
        let sequential = &record["sequential"];
        assert_eq!(sequential["is_alarm"], true, "{more}{sequential}");
        assert_eq!(sequential["over_all_periods"], more.contains("forever"));
        // Eleven sessions are enough; the rest is what was under way.
        let pluses = sequential["streams"][0]["pluses"].as_u64();
        assert!(
            pluses.is_some_and(|pluses| pluses >= 11),
            "{more}{sequential}"
        );
        assert_eq!(sequential["streams"][0]["minuses"], 0);
        let ledger = &record["fired"]["candidate"]["ledger"];
        let answered = ledger["answered"].as_u64().expect("a number");
        assert!(answered < 36 * 99, "{more}{ledger}");
        for ledger in [
            &report.ledgers.runs.candidate,
            &report.ledgers.runs.baseline,
        ] {
            assert_eq!(ledger.unexplained, 0, "{more}{ledger:?}");
        }
    }
}

#[test]
fn a_run_that_may_not_end_itself_goes_on_and_says_so() {
    let directory = shop_in_archive();
    let twins = [failing_shop(), shop("base", 5)];
    let report = until(36 * 8, directory.path(), &twins, "");
    assert!(report.sequential.is_alarm, "{:?}", report.sequential);
    assert_eq!(report.verdict, Verdict::Fail);
}

#[test]
fn nothing_to_fire_is_an_error() {
    let directory = TempDir::new().expect("a temporary directory");
    record(
        directory.path(),
        &[Recorded {
            flow: 1,
            at_ms: 0,
            request: "GET / HTTP/1.1\r\nHost: shop\r\n\r\n",
            response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        }],
    );
    let twins = [(); 2].map(|()| TwinServer::start(|_| Reply::ok()));
    let more = "loop: forever\nfilter: {methods: [PUT]}\n";
    let error = run(&run_file(directory.path(), &twins, more)).expect_err("nothing");
    assert!(
        format!("{error:#}").contains("needs a request to fire"),
        "{error:#}"
    );
}

#[test]
fn in_a_closed_loop_a_slow_twin_is_asked_less() {
    let directory = shop_in_archive();
    let slow = || TwinServer::start(|_| Reply::Later(Duration::from_millis(50)));
    let twins = [slow(), slow()];
    // A round lasts a millisecond as recorded, and there are twelve users.
    let more = "pace: closed\nspeed: 100\nunbound: fire\nlimits: {connections: 24}\n";
    let report = until(36 * 4, directory.path(), &twins, more);
    let record = record_of(directory.path());
    for twin in ["candidate", "baseline"] {
        let ledger = &record["fired"][twin]["ledger"];
        // Twelve users, the first of whom connect ahead, never need more connections.
        assert!(ledger["refused"]["connections"].is_null(), "{ledger}");
        assert_eq!(
            ledger["errored"].as_object().map(|by| by.len()),
            Some(0),
            "{ledger}"
        );
    }
    assert_eq!(report.ledgers.runs.candidate.unexplained, 0);
}
