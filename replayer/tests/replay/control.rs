//! Steering a run in the foreground from outside.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::recording::{Recorded, record};
use crate::run::run_file;
use crate::twins::{Reply, TwinServer};

const HOUR_MS: u64 = 3_600_000;
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Requests an hour apart.
fn recording(count: u64) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let exchanges: Vec<Recorded<'_>> = (0..count)
        .map(|number| Recorded {
            flow: number,
            at_ms: number * HOUR_MS,
            request: "GET /page HTTP/1.1\r\nHost: shop\r\n\r\n",
            response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        })
        .collect();
    record(directory.path(), &exchanges);
    directory
}

/// `twintap replay` in the background of the test.
struct Replay {
    child: Child,
    daemon: String,
    directory: TempDir,
}

impl Replay {
    /// Starts with three requests, and waits until it can be steered.
    fn start() -> Replay {
        let directory = recording(3);
        let twins = [(); 2].map(|()| TwinServer::start(|_| Reply::ok()));
        run_file(directory.path(), &twins, "");
        let mut child = command(directory.path(), &["--control", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program that was built");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = lines.by_ref().flatten().find_map(|line| {
            let address = line.strip_prefix("control: listening on ")?;
            Some(address.to_owned())
        });
        thread::spawn(move || lines.for_each(drop));
        Replay {
            child,
            daemon: format!("http://{}", address.expect("an address")),
            directory,
        }
    }

    fn ctl(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_twintap"))
            .args(["ctl", "--daemon", &self.daemon, "--format", "jsonl"])
            .args(words)
            .output()
            .expect("the program that was built")
    }

    /// What `ctl` prints of the run.
    #[track_caller]
    fn state(&self, words: &[&str]) -> Value {
        let output = self.ctl(words);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {errors}");
        serde_json::from_slice(&output.stdout).expect("an object")
    }

    /// Waits until as many requests are answered at both twins.
    fn wait_for(&self, answered: u64) {
        let deadline = Instant::now() + LIMIT;
        let is_there = || {
            let run = self.state(&["get", "r-1"]);
            ["candidate", "baseline"].map(|twin| run[twin]["answered"] == answered) == [true; 2]
        };
        while !is_there() {
            assert!(Instant::now() < deadline, "it fires");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The run's exit code and its report.
    fn end(mut self) -> (Option<i32>, Value) {
        let status = self.child.wait().expect("a child");
        let report = self.directory.path().join("results/report.json");
        let report = fs::read_to_string(report).expect("a report");
        (status.code(), serde_json::from_str(&report).expect("JSON"))
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        // It has mostly ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(directory: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twintap"));
    command.arg("replay").arg(directory.join("shop.yaml"));
    command.args(flags);
    command
}

#[test]
fn ctl_steers_a_run_in_the_foreground() {
    let replay = Replay::start();
    replay.wait_for(1);
    assert_eq!(replay.state(&["pause", "r-1"])["state"], "paused");
    assert_eq!(replay.state(&["speed", "r-1", "50"])["speed"], 50.0);
    let sought = replay.state(&["seek", "r-1", "1h"]);
    assert_eq!(
        (&sought["state"], &sought["planned"]),
        (&"paused".into(), &3.into())
    );
    assert_eq!(replay.state(&["runs"])["id"], "r-1");
    assert_eq!(replay.state(&["resume", "r-1"])["state"], "running");
    replay.wait_for(2);
    // Who watches hears of the end, and exits as the run does.
    thread::scope(|scope| {
        let watching = scope.spawn(|| replay.ctl(&["watch", "r-1"]));
        thread::sleep(Duration::from_millis(50));
        replay.state(&["seek", "r-1", "3h"]);
        let watched = watching.join().expect("no panic");
        let text = String::from_utf8_lossy(&watched.stdout).into_owned();
        let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
        assert_eq!(
            (&last["state"], &last["verdict"]),
            (&"finished".into(), &"inconclusive".into())
        );
        assert_eq!(watched.status.code(), Some(2));
    });
    let (code, report) = replay.end();
    assert_eq!(code, Some(2));
    let ledger = &report["ledgers"]["runs"]["candidate"];
    assert_eq!(
        (&ledger["planned"], &ledger["answered"]),
        (&3.into(), &2.into())
    );
    assert_eq!(ledger["skipped_by_cause"]["seeked"], 1);
}

#[test]
fn what_only_a_daemon_does_is_refused() {
    let replay = Replay::start();
    let run_file = replay.directory.path().join("shop.yaml");
    let run_file = run_file.to_str().expect("a path of text");
    for (words, expected) in [
        (
            &["create", run_file][..],
            "a run in the foreground has no others",
        ),
        (&["start", "r-1"][..], "was started already"),
        (
            &["captures"][..],
            "a run in the foreground captures nothing",
        ),
        (&["get", "r-2"][..], "there is no run"),
        (&["resume", "r-1"][..], "is running and not paused"),
        (&["speed", "r-1", "1000"][..], "speed must be from"),
    ] {
        let output = replay.ctl(words);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{errors}");
        assert!(errors.contains(expected), "{errors}");
    }
    let sessions = replay.ctl(&["sessions"]);
    assert_eq!(String::from_utf8_lossy(&sessions.stdout).lines().count(), 3);
    assert_eq!(replay.state(&["stop", "r-1"])["id"], "r-1");
    let (code, report) = replay.end();
    assert_eq!(code, Some(2));
    assert_eq!(report["ledgers"]["runs"]["candidate"]["unexplained"], 0);
}

#[test]
fn a_signal_stops_a_run_which_then_reports() {
    for signal in [Signal::INT, Signal::TERM] {
        let replay = Replay::start();
        replay.wait_for(1);
        kill_process(Pid::from_child(&replay.child), signal).expect("a child");
        let (code, report) = replay.end();
        assert_eq!(code, Some(2));
        let ledger = &report["ledgers"]["runs"]["baseline"];
        assert_eq!(
            (&ledger["answered"], &ledger["refused"]),
            (&1.into(), &2.into())
        );
    }
}

#[test]
fn control_off_loopback_needs_certificates() {
    let directory = recording(1);
    let twins = [(); 2].map(|()| TwinServer::start(|_| Reply::ok()));
    run_file(directory.path(), &twins, "");
    let output = command(directory.path(), &["--control", "0.0.0.0:0"])
        .output()
        .expect("the program that was built");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(
        errors.contains("--control 0.0.0.0:0 is no loopback address"),
        "{errors}"
    );
}
