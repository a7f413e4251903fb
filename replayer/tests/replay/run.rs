//! Whole runs: from an archive and a run file to a report.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use twintap_replayer::fire::RunControl;
use twintap_replayer::run::{Phase, RunFile, dry_run, execute};
use twintap_verdict::{Report, Verdict};

use crate::recording::{Recorded, production, record};
use crate::twins::{Reply, Seen, TwinServer};

pub fn json(status: &str, fields: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Twelve users who log in, make an order and look at it.
fn record_shop(directory: &Path) {
    let mut texts = Vec::new();
    for user in 0..12u64 {
        let session = format!("sess-{user:04}-abcdefghijkl");
        let order = format!("ord{user:04}xyzuvw");
        let login_body = format!(r#"{{"user":"user{user}"}}"#);
        let login = format!(
            "POST /login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{login_body}",
            login_body.len()
        );
        let cookie = format!("Set-Cookie: sid={session}; Path=/; HttpOnly\r\n");
        let at_ms = user * 7;
        texts.push((
            user,
            at_ms,
            login,
            json("200 OK", &cookie, r#"{"ok":true}"#),
        ));
        let make = format!(
            "POST /orders HTTP/1.1\r\nHost: shop\r\nCookie: sid={session}\r\nContent-Length: 0\r\n\r\n"
        );
        let made = json(
            "201 Created",
            "",
            &format!(r#"{{"order_id":"{order}","total":5}}"#),
        );
        texts.push((user, at_ms + 10, make, made));
        let look =
            format!("GET /orders/{order} HTTP/1.1\r\nHost: shop\r\nCookie: sid={session}\r\n\r\n");
        let seen = json(
            "200 OK",
            "",
            &format!(r#"{{"order_id":"{order}","total":5}}"#),
        );
        texts.push((user, at_ms + 20, look, seen));
    }
    texts.sort_by_key(|(_, at_ms, ..)| *at_ms);
    let exchanges: Vec<Recorded<'_>> = texts
        .iter()
        .map(|(flow, at_ms, request, response)| Recorded {
            flow: *flow,
            at_ms: *at_ms,
            request,
            response,
        })
        .collect();
    record(directory, &exchanges);
}

/// A shop whose ids are its own; an order is only seen with the right session.
pub fn shop(name: &'static str, total: u64) -> TwinServer {
    TwinServer::start(shopkeeper(name, total))
}

/// What such a shop answers.
pub fn shopkeeper(name: &'static str, total: u64) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let made = Arc::new(AtomicU64::new(1));
    move |seen: &Seen| {
        let number = || made.fetch_add(1, Ordering::Relaxed);
        let has_session = seen.head.contains(&format!("sid=own-{name}-"));
        let mut words = seen.line.split(' ');
        let (method, path) = (words.next(), words.next().unwrap_or_default());
        Reply::Text(match (method, path) {
            (Some("POST"), "/login") => {
                let cookie = format!(
                    "Set-Cookie: sid=own-{name}-{:08}; Path=/; HttpOnly\r\n",
                    number()
                );
                json("200 OK", &cookie, r#"{"ok":true}"#)
            }
            _ if !has_session => json("401 Unauthorized", "", r#"{"error":"who"}"#),
            (Some("POST"), "/orders") => {
                let order = format!("{name}{:08}", number());
                json(
                    "201 Created",
                    "",
                    &format!(r#"{{"order_id":"{order}","total":5}}"#),
                )
            }
            (Some("GET"), path) if path.starts_with(&format!("/orders/{name}")) => {
                let order = path.trim_start_matches("/orders/");
                json(
                    "200 OK",
                    "",
                    &format!(r#"{{"order_id":"{order}","total":{total}}}"#),
                )
            }
            _ => json("404 Not Found", "", r#"{"error":"what"}"#),
        })
    }
}

pub fn run_file(directory: &Path, twins: &[TwinServer; 2], more: &str) -> RunFile {
    let [candidate, baseline] = twins.each_ref().map(|twin| twin.address);
    let text = format!(
        "version: 1\narchive: archive\noutput: results\ntargets:\n  candidate:\n    address: {candidate}\n  \
         baseline:\n    address: {baseline}\nallow: [\"{candidate}\", \"{baseline}\"]\n{more}"
    );
    let path = directory.join("shop.yaml");
    fs::write(&path, text).expect("a directory to write to");
    RunFile::read(&path).expect("a sound run file")
}

pub fn run(file: &RunFile) -> anyhow::Result<Report> {
    execute(file, &RunControl::new().expect("an eventfd"), &mut |_| {})
}

pub fn shop_in_archive() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    record_shop(directory.path());
    directory
}

#[test]
fn without_correlation_the_shop_visibly_fails() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let file = run_file(directory.path(), &twins, "correlate: false\n");
    let report = run(&file).expect("a run");
    assert_ne!(report.verdict, Verdict::Pass);
    // The logins alone answer as production did.
    assert!(report.fidelity < 0.5, "{:?}", report.fidelity_detail);
}

#[test]
fn twins_alike_pass() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let file = run_file(directory.path(), &twins, "");
    let mut phases = Vec::new();
    let control = RunControl::new().expect("an eventfd");
    let report = execute(&file, &control, &mut |progress| {
        if phases.last() != Some(&progress.phase) {
            phases.push(progress.phase);
        }
    })
    .expect("a run");
    assert_eq!(
        report.verdict,
        Verdict::Pass,
        "{:?} {:?}",
        report.reasons,
        report.findings
    );
    assert!(report.fidelity > 0.99, "{:?}", report.fidelity_detail);
    let order = [
        Phase::Planning,
        Phase::Preparing,
        Phase::Firing,
        Phase::Concluding,
    ];
    assert_eq!(phases, order);

    let read = |name: &str| {
        let text = fs::read_to_string(directory.path().join("results").join(name));
        text.expect("the run wrote it")
    };
    let written: Value = serde_json::from_str(&read("report.json")).expect("JSON");
    assert_eq!(written["verdict"], "pass");
    let record: Value = serde_json::from_str(&read("run.json")).expect("JSON");
    assert_eq!(record["fired"]["candidate"]["ledger"]["answered"], 36);
    assert_eq!(record["fired"]["baseline"]["fired_unbound"], 0);
    assert!(read("report.html").contains("<html"));
    // No raw value of a twin is in what was written.
    for name in ["report.json", "run.json", "report.html"] {
        assert!(!read(name).contains("own-cand-"), "{name}");
    }
}

#[test]
fn a_regression_fails() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 6), shop("base", 5)];
    let report = run(&run_file(directory.path(), &twins, "")).expect("a run");
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    let finding = &report.findings[0];
    assert!(finding.location.contains("total"), "{finding:?}");
}

#[test]
fn a_stopped_run_closes_its_ledgers() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let file = run_file(directory.path(), &twins, "");
    let control = RunControl::new().expect("an eventfd");
    control.stop();
    let report = execute(&file, &control, &mut |_| {}).expect("a report all the same");
    assert_eq!(report.verdict, Verdict::Inconclusive);
    for ledger in [
        &report.ledgers.runs.candidate,
        &report.ledgers.runs.baseline,
    ] {
        assert_eq!((ledger.planned, ledger.unexplained), (36, 0));
        assert_eq!(ledger.refused, 36);
    }
}

#[test]
fn an_absent_twin_makes_the_run_inconclusive() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let mut file = run_file(directory.path(), &twins, "");
    file.settings.targets.baseline.address = "127.0.0.1:10".parse().expect("an address");
    file.settings.allow.push("127.0.0.1:10".to_owned());
    let report = run(&file).expect("a report all the same");
    assert_eq!(
        report.verdict,
        Verdict::Inconclusive,
        "{:?}",
        report.reasons
    );
    let reasons = report.reasons.join(" ");
    assert!(
        reasons.contains("The baseline was never reached."),
        "{reasons}"
    );
}

#[test]
fn production_is_never_fired_at() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let mut file = run_file(directory.path(), &twins, "");
    let address = production().to_string();
    file.settings.targets.candidate.address = address.parse().expect("an address");
    file.settings.allow.push(address);
    let refused = format!("{:#}", run(&file).expect_err("production"));
    assert!(refused.contains("127.0.0.1:9 is production"), "{refused}");
    assert!(dry_run(&file).is_err());
    assert!(twins[1].received().is_empty());
}

#[test]
fn another_policy_or_key_is_refused() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let refused = |more: &str| {
        let file = run_file(directory.path(), &twins, more);
        format!(
            "{:#}",
            run(&file).expect_err("it does not belong to the archive")
        )
    };
    let policy = refused("policy: allow-all\n");
    assert!(policy.contains("was scrubbed with policy"), "{policy}");
    fs::write(directory.path().join("other.key"), "ff".repeat(32)).expect("a place to write");
    let key = refused("key: other.key\n");
    assert!(key.contains("scrubbed with another key"), "{key}");
}

#[test]
fn a_dry_run_shows_the_plan() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let plan = dry_run(&run_file(directory.path(), &twins, "")).expect("a plan");
    assert_eq!((plan.summary.planned, plan.summary.fired), (36, 36));
    assert!(
        plan.text().contains("planned                 36\n"),
        "{}",
        plan.text()
    );
    assert!(serde_json::to_string(&plan).is_ok());
    assert!(twins.iter().all(|twin| twin.received().is_empty()));
}

#[test]
fn hooks_come_before_the_first_request() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let mut file = run_file(directory.path(), &twins, "egress: nothing\n");
    let text = format!(
        "address: {}\nreset: {{command: [sh, -c, 'echo $TWINTAP_TWIN $TWINTAP_EGRESS']}}\n\
         health: {{request: 'POST http://{}/login', timeout: 5s}}\n",
        twins[0].address, twins[0].address
    );
    file.settings.targets.candidate = serde_saphyr::from_str(&text).expect("a target");
    run(&file).expect("a run");
    let log = fs::read_to_string(file.output.join("hooks.log")).expect("the command's output");
    assert_eq!(log, "candidate nothing\n");
    assert!(twins[0].received()[0].starts_with("POST /login HTTP/1.1\r\nHost: 127.0.0.1:"));
}

#[test]
fn hooks_that_fail_end_the_run() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    let failing = |hook: &str| {
        let mut file = run_file(directory.path(), &twins, "");
        let text = format!("address: {}\n{hook}\n", twins[0].address);
        file.settings.targets.candidate = serde_saphyr::from_str(&text).expect("a target");
        format!("{:#}", run(&file).expect_err("a failing hook"))
    };
    let command = failing("reset: {command: ['false']}");
    assert!(
        command.contains("targets.candidate.reset failed"),
        "{command}"
    );
    let slow = failing("reset: {command: [sleep, '60'], timeout: 50ms}");
    assert!(slow.contains("did not end within 50ms"), "{slow}");
    let request = format!("http://{}/nowhere", twins[0].address);
    let health = failing(&format!(
        "health: {{request: 'GET {request}', timeout: 1s}}"
    ));
    assert!(health.contains("status 401"), "{health}");
    let other = failing("reset: {request: 'POST http://127.0.0.1:11/reset'}");
    assert!(
        other.contains("127.0.0.1:11 is not on the allow-list"),
        "{other}"
    );
}

#[test]
fn bodies_too_large_to_hold_are_compared_by_digest() {
    let directory = TempDir::new().expect("a temporary directory");
    let page = |text: &str| {
        json(
            "200 OK",
            "",
            &format!(r#"{{"page":"{}"}}"#, text.repeat(2000)),
        )
    };
    let request = "GET /page HTTP/1.1\r\nHost: shop\r\n\r\n";
    let response = page("word ");
    let exchanges: Vec<Recorded<'_>> = (0..20)
        .map(|flow| Recorded {
            flow,
            at_ms: flow,
            request,
            response: &response,
        })
        .collect();
    record(directory.path(), &exchanges);
    let serve = |text: &str| {
        let answer = page(text);
        TwinServer::start(move |_| Reply::Text(answer.clone()))
    };
    let limits = "limits: {body_bytes: 1000}\n";

    let twins = [serve("word "), serve("word ")];
    let report = run(&run_file(directory.path(), &twins, limits)).expect("a run");
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert!(report.fidelity > 0.999, "{:?}", report.fidelity_detail);

    let twins = [serve("work "), serve("word ")];
    let report = run(&run_file(directory.path(), &twins, limits)).expect("a run");
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
}
