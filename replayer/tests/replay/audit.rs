//! The audit log of the command line, and of who steers.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::recording::{Recorded, record};
use crate::run::run_file;
use crate::twins::{Reply, TwinServer};

/// An archive with one exchange.
fn recording() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let exchange = Recorded {
        flow: 1,
        at_ms: 0,
        request: "GET /page HTTP/1.1\r\nHost: shop\r\n\r\n",
        response: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    };
    record(directory.path(), &[exchange]);
    directory
}

pub fn twintap(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twintap"));
    command
        .args(words)
        .output()
        .expect("the program that was built")
}

#[track_caller]
pub fn done(words: &[&str]) -> String {
    let output = twintap(words);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn log_of(directory: &Path) -> PathBuf {
    directory.join("archive.audit.jsonl")
}

/// The entries beside the archive, which have to be sound.
#[track_caller]
pub fn entries(directory: &Path) -> Vec<Value> {
    let log = log_of(directory);
    done(&["audit", "verify", text(&log)]);
    let lines = done(&["audit", "show", text(&log), "--format", "jsonl"]);
    assert_eq!(
        lines,
        fs::read_to_string(&log).expect("a log"),
        "the lines as they are"
    );
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect()
}

pub fn actions(entries: &[Value]) -> Vec<&str> {
    let actions = entries.iter().map(|entry| entry["action"].as_str());
    actions.map(|action| action.expect("an action")).collect()
}

#[test]
fn runs_and_what_was_shown_are_told_with_who_did_it() {
    let directory = recording();
    let path = directory.path();
    let twins = [(); 2].map(|()| TwinServer::start(|_| Reply::ok()));
    run_file(path, &twins, "");
    let (archive, file) = (path.join("archive"), path.join("shop.yaml"));
    let (archive, file) = (text(&archive), text(&file));
    done(&["exchanges", archive]);
    done(&["sessions", archive]);
    done(&["plan", file]);
    done(&["replay", file, "--dry-run"]);
    let run = twintap(&["replay", file]);
    assert_eq!(run.status.code(), Some(2), "one session decides nothing");

    let entries = entries(path);
    let told = ["revealed"; 4]
        .into_iter()
        .chain(["run_started", "run_ended"]);
    let expected: Vec<&str> = ["log_begun"].into_iter().chain(told).collect();
    assert_eq!(actions(&entries), expected);
    let data: Vec<&Value> = entries[1..5]
        .iter()
        .map(|entry| &entry["subject"]["data"])
        .collect();
    assert_eq!(data, ["exchanges", "sessions", "plan", "plan"]);
    let uid = rustix::process::geteuid().as_raw();
    for entry in &entries {
        assert_eq!(
            (&entry["actor"]["kind"], &entry["actor"]["uid"]),
            (&"local".into(), &uid.into())
        );
    }
    let started = &entries[5]["subject"];
    let addresses = twins.each_ref().map(|twin| twin.address.to_string());
    assert_eq!(
        (&started["candidate"], &started["baseline"]),
        (&addresses[0].as_str().into(), &addresses[1].as_str().into())
    );
    assert_eq!(started["archive"], archive);
    assert_eq!(entries[6]["subject"]["verdict"], "inconclusive");
    let log = fs::read_to_string(log_of(path)).expect("a log");
    assert!(!log.contains(crate::recording::KEY), "never the key");
}

#[test]
fn nothing_is_shown_or_fired_that_the_log_can_not_be_told() {
    let directory = recording();
    let path = directory.path();
    let twins = [(); 2].map(|()| TwinServer::start(|_| Reply::ok()));
    run_file(path, &twins, "");
    let (archive, file) = (path.join("archive"), path.join("shop.yaml"));
    let nowhere = path.join("nowhere/audit.jsonl");
    for words in [
        &["exchanges", text(&archive)][..],
        &["sessions", text(&archive)],
        &["plan", text(&archive)],
        &["plan", text(&file)],
        &["replay", text(&file)],
        &["replay", text(&file), "--dry-run"],
    ] {
        let output = twintap(&[words, &["--audit-log", text(&nowhere)]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {errors}");
        assert!(
            errors.contains("nothing is done that the audit log"),
            "{errors}"
        );
        assert_eq!(output.stdout, b"", "{words:?}");
    }
    assert!(twins.iter().all(|twin| twin.lines().is_empty()));
}

#[test]
fn what_is_wrong_with_a_log_is_said_and_is_the_exit_code() {
    let directory = recording();
    let path = directory.path();
    let archive = path.join("archive");
    done(&["exchanges", text(&archive)]);
    let verify = |flags: &[&str]| {
        let words = ["audit", "verify", text(&archive), "--format", "json"];
        let output = twintap(&[&words[..], flags].concat());
        let found: Value = serde_json::from_slice(&output.stdout).expect("an object");
        (output.status.code(), found)
    };
    let (code, found) = verify(&[]);
    assert_eq!((code, &found["is_sound"]), (Some(0), &true.into()));
    let head = found["head"].as_str().expect("a head").to_owned();
    let key = found["public_key"].as_str().expect("a key").to_owned();
    done(&["exchanges", text(&archive)]);
    let known = ["--expect", &head, "--public-key", &key];
    assert_eq!(verify(&known).0, Some(0), "an earlier head is still there");

    let log = fs::read_to_string(log_of(path)).expect("a log");
    fs::write(
        log_of(path),
        log.replacen("\"exchanges\"", "\"nothing\"", 1),
    )
    .expect("a log");
    let (code, found) = verify(&known);
    assert_eq!((code, &found["fault"]["line"]), (Some(1), &2.into()));
    let output = twintap(&["audit", "verify", text(&path.join("none"))]);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn entries_are_shown_by_action_and_time() {
    let directory = recording();
    let archive = directory.path().join("archive");
    done(&["exchanges", text(&archive)]);
    done(&["sessions", text(&archive)]);
    let show = |flags: &[&str]| done(&[&["audit", "show", text(&archive)][..], flags].concat());
    assert_eq!(show(&[]).lines().count(), 3);
    let revealed = show(&["--action", "revealed"]);
    assert_eq!(revealed.lines().count(), 2);
    assert!(revealed.contains(" data=sessions"), "{revealed}");
    let entries = entries(directory.path());
    let last = entries[2]["time"].as_str().expect("a time");
    assert_eq!(show(&["--since", last]).lines().count(), 1);
    assert_eq!(show(&["--since", "2500-01-01T00:00:00Z"]), "");
    let refused = twintap(&["audit", "show", text(&archive), "--action", "x"]);
    assert_eq!(refused.status.code(), Some(3));
}

/// `twintap serve` in the background of the test.
struct Daemon {
    child: Child,
    address: String,
}

impl Daemon {
    fn start(directory: &Path, flags: &[&str]) -> Daemon {
        let archive = directory.join("archive");
        let words = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--archive",
            text(&archive),
        ];
        let mut child = Command::new(env!("CARGO_BIN_EXE_twintap"))
            .args(words)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program that was built");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let line = lines.next().expect("a line").expect("text");
        let address = line.strip_prefix("listening on ").expect("an address");
        Daemon {
            address: address.to_owned(),
            child,
        }
    }

    fn end(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a child");
        let status = self.child.wait().expect("a child");
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has mostly ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_daemon_tells_who_steers_by_the_certificate() {
    let directory = recording();
    let path = directory.path();
    let twins = [(); 2].map(|()| TwinServer::start(|_| Reply::ok()));
    let file = run_file(path, &twins, "");
    let certs = path.join("certs");
    let hosts = ["--daemon", "127.0.0.1", "--agent", "dana"];
    done(&[&["certs", "--out", text(&certs)], &hosts[..]].concat());
    let pem = |name: &str| text(&certs.join(name)).to_owned();
    let (ca, own, key) = (pem("ca.pem"), pem("daemon.pem"), pem("daemon.key"));
    let tls = [
        "--tls-cert",
        &own,
        "--tls-key",
        &key,
        "--tls-client-ca",
        &ca,
    ];
    let daemon = Daemon::start(path, &tls);
    let url = format!("https://{}", daemon.address);
    let (own, key) = (pem("dana.pem"), pem("dana.key"));
    let ctl = |words: &[&str]| {
        let who = ["--tls-ca", &ca, "--tls-cert", &own, "--tls-key", &key];
        twintap(&[&["ctl", "--daemon", &url], &who[..], words].concat())
    };
    // The daemon's archive and key, wherever it was started.
    let settings = fs::read_to_string(path.join("shop.yaml")).expect("a run file");
    let archive = text(&file.archive).to_owned();
    let settings = settings.replacen("archive: archive", &format!("archive: {archive}"), 1);
    fs::write(path.join("shop.yaml"), settings).expect("a run file");
    assert_eq!(
        ctl(&["create", text(&path.join("shop.yaml"))])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(ctl(&["start", "r-1"]).status.code(), Some(0));
    assert_eq!(ctl(&["watch", "r-1"]).status.code(), Some(2));
    assert_eq!(ctl(&["sessions"]).status.code(), Some(0));
    // What is refused was asked for all the same.
    assert_eq!(ctl(&["pause", "r-1"]).status.code(), Some(3));
    daemon.end();

    let entries = entries(path);
    let expected = [
        "log_begun",
        "key_loaded",
        "policy_used",
        "daemon_started",
        "run_steered",
        "run_steered",
        "run_started",
        "run_ended",
        "revealed",
        "run_steered",
        "daemon_stopped",
    ];
    assert_eq!(actions(&entries), expected);
    for entry in &entries[4..10] {
        let actor = &entry["actor"];
        assert_eq!(actor["kind"], "certificate", "{entry}");
        assert_eq!(actor["subject"], "CN=dana");
        assert_eq!(actor["names"][0], "dana");
    }
    assert_eq!(entries[10]["actor"]["kind"], "local");
    let orders = [4, 5, 9].map(|at: usize| &entries[at]["subject"]["order"]);
    assert_eq!(orders, ["create", "start", "pause"]);
}

#[test]
fn a_daemon_tells_which_user_of_the_machine_steers() {
    let directory = recording();
    let daemon = Daemon::start(directory.path(), &[]);
    let url = format!("http://{}", daemon.address);
    done(&["ctl", "--daemon", &url, "sessions"]);
    // Where the log can't be told, nothing is shown.
    let log = log_of(directory.path());
    let aside = directory.path().join("aside");
    fs::rename(&log, &aside).expect("a log");
    fs::create_dir(&log).expect("a directory");
    let refused = twintap(&["ctl", "--daemon", &url, "sessions"]);
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{errors}");
    assert!(
        errors.contains("nothing is done that the audit log"),
        "{errors}"
    );
    fs::remove_dir(&log).expect("a directory");
    fs::rename(&aside, &log).expect("a log");
    daemon.end();

    let entries = entries(directory.path());
    let revealed: Vec<&Value> = entries
        .iter()
        .filter(|entry| entry["action"] == "revealed")
        .collect();
    assert_eq!(revealed.len(), 1);
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(revealed[0]["actor"]["uid"], uid);
}

#[test]
fn imports_tell_of_policy_and_key() {
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path();
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/pcaps/shop.pcap.gz");
    let archive = path.join("archive");
    let import = |policy: &str| {
        let words = [
            "import",
            text(&capture),
            "--archive",
            text(&archive),
            "--policy",
            policy,
        ];
        twintap(&words).status.code()
    };
    assert_eq!(import("default"), Some(0));
    assert_eq!(import("allow-all"), Some(3), "it is there already");
    let entries = entries(path);
    let expected = [
        "log_begun",
        "key_loaded",
        "policy_used",
        "import_started",
        "import_ended",
        "key_loaded",
        "policy_changed",
        "import_started",
        "import_ended",
    ];
    assert_eq!(actions(&entries), expected);
    let subject = |at: usize| &entries[at]["subject"];
    assert!(subject(4)["stored"].as_u64() > Some(0), "{}", subject(4));
    assert_eq!(subject(6)["before"], subject(2)["policy"]);
    assert!(subject(8)["error"].is_string(), "{}", subject(8));
    let key = fs::read_to_string(path.join("archive.key")).expect("a key");
    let log = fs::read_to_string(log_of(path)).expect("a log");
    assert!(!log.contains(key.trim()), "never the key");
}
