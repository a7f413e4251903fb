//! `twintap plan`, from the command line.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::recording::{Recorded, record};

const LOGIN: &str = "POST /login HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n";
const LOGGED_IN: &str = "HTTP/1.1 200 OK\r\nSet-Cookie: sid=sess-0001-abcdefghijkl; Path=/\r\nContent-Length: 0\r\n\r\n";
const LOOK: &str =
    "GET /cart?page=2 HTTP/1.1\r\nHost: shop\r\nCookie: sid=sess-0001-abcdefghijkl\r\n\r\n";
const SEEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn archive() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let exchange = |at_ms, request, response| Recorded {
        flow: 1,
        at_ms,
        request,
        response,
    };
    record(
        directory.path(),
        &[exchange(0, LOGIN, LOGGED_IN), exchange(10, LOOK, SEEN)],
    );
    directory
}

/// What the command prints, and whether it succeeded.
fn plan(directory: &Path, arguments: &[&str]) -> (String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_twintap"))
        .arg("plan")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("the program");
    let stream = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    let text = String::from_utf8(stream).expect("UTF-8");
    (text, output.status.success())
}

#[test]
fn an_archive_shows_its_bindings_with_reasons() {
    let directory = archive();
    let (text, is_fine) = plan(directory.path(), &["archive"]);
    assert!(is_fine, "{text}");
    for line in [
        "waits for 0 (binding)",
        "cookie.sid <- 0 set-cookie.sid (same_session)",
        "query.page kept (short)",
        "2 requests in 1 sessions, 2 fired, 1 values bound (0 across sessions)",
    ] {
        assert!(text.contains(line), "{line:?} is not in:\n{text}");
    }
    let (lines, _) = plan(directory.path(), &["archive", "--format", "jsonl"]);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["request"], "GET /cart?page=2");
    assert_eq!(lines[1]["bindings"][0]["reason"], "same_session");
    let (whole, _) = plan(
        directory.path(),
        &["archive", "--format", "json", "--limit", "1"],
    );
    let whole: Value = serde_json::from_str(&whole).expect("JSON");
    assert_eq!(whole["summary"]["planned"], 2);
    let requests = &whole["sessions"][0]["requests"];
    assert_eq!(requests.as_array().map(Vec::len), Some(1));
}

#[test]
fn a_bindings_file_changes_the_plan() {
    let directory = archive();
    let file = directory.path().join("b.yaml");
    let text = "version: 1\nbindings:\n  - {action: forbid, consumer: {leaf: cookie.sid}}\n";
    std::fs::write(&file, text).expect("a directory to write to");
    let (text, is_fine) = plan(directory.path(), &["archive", "--bindings", "b.yaml"]);
    assert!(is_fine, "{text}");
    assert!(text.contains("cookie.sid kept (forbidden)"), "{text}");
    let (error, is_fine) = plan(directory.path(), &["archive", "--bindings", "c.yaml"]);
    assert!(!is_fine && error.contains("c.yaml"), "{error}");
}

#[test]
fn an_unknown_session_is_an_error() {
    let directory = archive();
    let (error, is_fine) = plan(directory.path(), &["archive", "--session", "s-nobody"]);
    assert!(!is_fine, "{error}");
    assert!(error.contains("there is no session s-nobody"), "{error}");
}
