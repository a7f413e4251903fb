//! What scrubbing let through is kept out, found again, and told.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use twintap_scrub::Policy;

use crate::audit::{actions, done, entries, text, twintap};
use crate::recording::Recorder;

const MAIL: &str = "ada@lovelace.org";

/// An archive that keeps every byte, with an address of mail in one of two exchanges.
fn kept() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let mut recorder = Recorder::with_policy(directory.path(), Policy::allow_all());
    for (flow, mail) in [(1, MAIL), (2, "nothing")] {
        let body = format!(r#"{{"to":[{{"mail":"{mail}"}}]}}"#);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let request = "GET /page HTTP/1.1\r\nHost: shop\r\n\r\n";
        recorder.exchange(flow, Default::default(), request, &answer);
    }
    recorder.finish();
    directory
}

fn shop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/pcaps/shop.pcap.gz")
}

/// Imports the shop's capture under a policy: exit code, standard output, standard error.
fn import(directory: &Path, policy: &str) -> (Option<i32>, String, String) {
    let file = directory.join("policy.yaml");
    fs::write(&file, policy).expect("a directory to write to");
    let (shop, archive) = (shop(), directory.join("archive"));
    let output = twintap(&[
        "import",
        text(&shop),
        "--archive",
        text(&archive),
        "--policy",
        text(&file),
        "--format",
        "json",
    ]);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_scan_tells_where_and_never_what() {
    let directory = kept();
    let archive = directory.path().join("archive");
    let scan = |format: &str| {
        let output = twintap(&["audit", "scan", text(&archive), "--format", format]);
        assert_eq!(output.status.code(), Some(1));
        let shown = String::from_utf8(output.stdout).expect("text");
        let told = String::from_utf8(output.stderr).expect("text");
        assert!(!shown.contains("lovelace") && !told.contains("lovelace"));
        shown
    };
    let shown: Value = serde_json::from_str(&scan("json")).expect("an object");
    assert_eq!(shown["exchanges"], 2);
    assert_eq!(shown["found"], 1);
    let found = &shown["findings"][0];
    assert_eq!(found["path"], "json./to/0/mail");
    assert_eq!(found["kind"], "email");
    let line: Value = serde_json::from_str(&scan("jsonl")).expect("one line");
    assert_eq!(&line, found);
    let listed = done(&["exchanges", text(&archive), "--format", "jsonl"]);
    assert!(listed.contains(found["exchange"].as_str().expect("an id")));
    let entries = entries(directory.path());
    let ended = &entries[2];
    assert_eq!(
        actions(&entries)[..3],
        ["log_begun", "scan_started", "scan_ended"]
    );
    assert_eq!(
        (&ended["subject"]["exchanges"], &ended["subject"]["found"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn nothing_of_the_shop_is_quarantined_or_found_again() {
    for policy in [
        "version: 1",
        include_str!("../../../deploy/policies/demo.yaml"),
    ] {
        let directory = TempDir::new().expect("a temporary directory");
        let (code, summary, errors) = import(directory.path(), policy);
        assert_eq!(code, Some(0), "{errors}");
        let summary: Value = serde_json::from_str(&summary).expect("an object");
        let look = &summary["second_look"];
        assert_eq!(look["quarantined"], 0, "{look}");
        assert!(look["looked_bytes"].as_u64() > Some(0), "{look}");
        done(&["audit", "scan", text(&directory.path().join("archive"))]);
    }
}

#[test]
fn what_is_quarantined_is_counted_told_and_gone() {
    let directory = TempDir::new().expect("a temporary directory");
    // Tokens that open an account, allowed by a mistake.
    let policy = "{version: 1, rules: [{at: [json./csrf_token], do: allow}]}";
    let (code, summary, errors) = import(directory.path(), policy);
    assert_eq!(code, Some(0), "{errors}");
    let summary: Value = serde_json::from_str(&summary).expect("an object");
    let quarantined = summary["second_look"]["by_kind"]["secret"].as_u64();
    assert!(quarantined > Some(0), "{summary}");
    assert!(errors.contains("quarantined"), "{errors}");
    let entries = entries(directory.path());
    let told = entries
        .iter()
        .find(|entry| entry["action"] == "quarantined");
    let told = told.expect("an entry");
    assert_eq!(told["subject"]["kinds"]["secret"].as_u64(), quarantined);
    let archive = directory.path().join("archive");
    let scanned = done(&["audit", "scan", text(&archive), "--format", "json"]);
    let scanned: Value = serde_json::from_str(&scanned).expect("an object");
    assert_eq!(scanned["quarantined"].as_u64(), quarantined);
}

#[test]
fn canaries_that_come_through_are_told_and_may_stop_the_start() {
    let leaky =
        "{version: 1, second_look: {look_at: nothing}, rules: [{at: [json./note], do: allow}]";
    let directory = TempDir::new().expect("a temporary directory");
    let (code, _, errors) = import(directory.path(), &format!("{leaky}, canaries: required}}"));
    assert_eq!(code, Some(3));
    assert!(errors.contains("json./note"), "{errors}");
    assert!(!directory.path().join("archive").exists());
    let (code, _, errors) = import(directory.path(), &format!("{leaky}}}"));
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        errors.contains("json./note") && errors.contains("card"),
        "{errors}"
    );
}

#[test]
fn a_policy_is_checked_without_traffic() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("policy.yaml");
    let check = |policy: &str| {
        fs::write(&file, policy).expect("a directory to write to");
        let output = twintap(&["policy", "check", text(&file), "--format", "json"]);
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), shown)
    };
    let (code, shown) = check("version: 1");
    assert_eq!(code, Some(0), "{shown}");
    let (code, shown) = check(
        "{version: 1, second_look: {look_at: nothing}, rules: [{at: [json./a], do: allow}, {at: [json./a], do: replace}]}",
    );
    assert_eq!(code, Some(1), "{shown}");
    assert_eq!(shown["idle_rules"][0]["rule"], 2);
    assert_eq!(shown["leaks"][0]["place"], "json./a");
    assert_eq!(check("version: 2").0, Some(3));
}
