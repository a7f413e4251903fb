//! Redis.

use std::path::Path;

use tempfile::TempDir;
use twintap_replayer::run::{RunFile, dry_run};
use twintap_scrub::Policy;
use twintap_stream::message::Protocol;
use twintap_tests::databases::{Database, redis};
use twintap_tests::skip;
use twintap_verdict::{Report, Verdict};

use super::tape::{Said, store};
use crate::run::run;

/// Commands a connection of a recorded user sends, other than those that are passed over.
const FIRED: u64 = 13;

/// Twelve users, each over a connection of its own: single commands, a transaction, a pipeline,
/// and what no run repeats.
fn record(directory: &Path, policy: Policy) {
    let mut connections = Vec::new();
    for user in 1..=12 {
        let name = format!("Ada Example {user:02}");
        let key = format!("user:{user:04}");
        let (name_bytes, shop_bytes) = (name.len(), "shop".len());
        let single = |words: &[&str], reply: &str| (array(words), reply.to_owned());
        let mut connection = vec![
            single(&["AUTH", "secret-of-production"], "+OK\r\n"),
            single(&["SELECT", "0"], "+OK\r\n"),
            single(&["SET", &key, &name], "+OK\r\n"),
            single(&["GET", &key], &format!("${name_bytes}\r\n{name}\r\n")),
            single(&["GET", "rate"], "$1\r\n5\r\n"),
            single(&["GET", "nobody"], "$-1\r\n"),
            single(
                &["LPUSH", &key, "x"],
                "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
            ),
            single(&["MULTI"], "+OK\r\n"),
            single(&["HSET", &format!("of:{key}"), "shop", "5"], "+QUEUED\r\n"),
            single(&["HGETALL", &format!("of:{key}")], "+QUEUED\r\n"),
            single(
                &["EXEC"],
                &format!("*2\r\n:1\r\n*2\r\n${shop_bytes}\r\nshop\r\n$1\r\n5\r\n"),
            ),
        ];
        let pipeline = ["INCR", "INCR", "GET"].map(|name| array(&[name, &format!("seen:{key}")]));
        connection.push((pipeline.concat(), ":1\r\n:2\r\n$1\r\n2\r\n".to_owned()));
        connection.push((
            array(&["SUBSCRIBE", "news"]),
            "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n".to_owned(),
        ));
        let said = connection.into_iter().map(|(client, server)| Said {
            client: client.into(),
            server: server.into(),
        });
        connections.push(said.collect());
    }
    store(directory, policy, Protocol::Redis, &connections);
}

fn array(words: &[&str]) -> String {
    let words = words.iter();
    let words: Vec<String> = words
        .map(|word| format!("${}\r\n{word}\r\n", word.len()))
        .collect();
    format!("*{}\r\n{}", words.len(), words.concat())
}

/// Two servers with production's state, and each its rate.
fn twins(directory: &Path, rates: [&str; 2], arguments: &[&str]) -> Option<[Database; 2]> {
    let twins = rates.map(|rate| {
        let server = redis(directory, arguments).expect("Redis starts")?;
        let answer = server.ask(&format!("SET rate {rate}\r\n"));
        assert_eq!(answer.expect("an answer"), "+OK\r\n");
        Some(server)
    });
    let [Some(candidate), Some(baseline)] = twins else {
        return None;
    };
    Some([candidate, baseline])
}

fn run_file(directory: &Path, addresses: [String; 2], more: &str) -> RunFile {
    let [candidate, baseline] = addresses;
    let text = format!(
        "version: 1\narchive: archive\noutput: results\ntargets:\n  candidate: \
         {{address: 'redis://{candidate}'}}\n  baseline: {{address: 'redis://{baseline}'}}\n\
         allow: ['{candidate}', '{baseline}']\n{more}"
    );
    let path = directory.join("cache.yaml");
    std::fs::write(&path, text).expect("a directory to write to");
    RunFile::read(&path).expect("a sound run file")
}

fn addresses(twins: &[Database; 2]) -> [String; 2] {
    twins.each_ref().map(|twin| twin.address.to_string())
}

/// What comes of a run at servers with these rates; none where there is no Redis.
fn replay(test: &str, policy: &str, rates: [&str; 2]) -> Option<Report> {
    let directory = TempDir::new().expect("a temporary directory");
    let Some(twins) = twins(directory.path(), rates, &[]) else {
        skip(test, "redis-server is not installed");
        return None;
    };
    let of_name = match policy {
        "allow-all" => Policy::allow_all(),
        _ => Policy::default_policy(),
    };
    record(directory.path(), of_name);
    let more = format!("policy: {policy}\nconfirm: off\n");
    let file = run_file(directory.path(), addresses(&twins), &more);
    let report = run(&file).expect("a run");
    for ledger in [
        &report.ledgers.runs.candidate,
        &report.ledgers.runs.baseline,
    ] {
        assert_eq!(ledger.answered, 12 * FIRED, "{ledger:?}");
        assert_eq!(ledger.skipped_by_cause["login"], 12);
        assert_eq!(ledger.skipped_by_cause["stream"], 12);
        assert_eq!(ledger.planned, 12 * (FIRED + 2));
    }
    Some(report)
}

#[test]
fn servers_alike_pass() {
    let Some(report) = replay("servers_alike_pass", "allow-all", ["5", "5"]) else {
        return;
    };
    let why = (&report.reasons, &report.findings, &report.fidelity_detail);
    assert_eq!(report.verdict, Verdict::Pass, "{why:?}");
    assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
}

#[test]
fn a_value_that_differs_is_a_finding_that_shows_both() {
    let test = "a_value_that_differs_is_a_finding_that_shows_both";
    let Some(report) = replay(test, "allow-all", ["6", "5"]) else {
        return;
    };
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    let [finding] = &report.findings[..] else {
        panic!("{:?}", report.findings);
    };
    let text = serde_json::to_string(finding).expect("JSON");
    assert!(finding.endpoint.contains("GET"), "{text}");
    assert!(finding.location.contains("reply"), "{text}");
    assert!(finding.claim.contains(r#""5" → "6""#), "{text}");
}

#[test]
fn what_the_policy_replaced_is_replayed_as_such() {
    let test = "what_the_policy_replaced_is_replayed_as_such";
    let Some(report) = replay(test, "default", ["5", "5"]) else {
        return;
    };
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// The password is in the environment of whoever runs it; Cargo's own version will do.
const PASSWORD: (&str, &str) = ("CARGO_PKG_NAME", env!("CARGO_PKG_NAME"));

#[test]
fn a_run_logs_in_itself() {
    let directory = TempDir::new().expect("a temporary directory");
    let users = format!(
        "user default on nopass ~* &* +@all\nuser app on >{} ~* +@all\n",
        PASSWORD.1
    );
    let list = directory.path().join("users.acl");
    std::fs::write(&list, users).expect("a directory to write to");
    let arguments = ["--aclfile", &list.to_string_lossy()];
    let Some(twins) = twins(directory.path(), ["5", "5"], &arguments) else {
        return skip("a_run_logs_in_itself", "redis-server is not installed");
    };
    for twin in &twins {
        let answer = twin.ask("ACL SETUSER default resetpass\r\n");
        assert_eq!(answer.expect("an answer"), "+OK\r\n");
    }
    record(directory.path(), Policy::allow_all());
    let policy = "policy: allow-all\nconfirm: off\n";
    let file = run_file(directory.path(), addresses(&twins), policy);
    let path = directory.path().join("cache.yaml");
    let text = std::fs::read_to_string(&path).expect("it is there");
    let with = |variable: &str| {
        let text = text.replace("redis://", "redis://app@");
        let text = text.replace("'}", &format!("', password_env: {variable}}}"));
        std::fs::write(&path, text).expect("a disk");
        run(&RunFile::read(&path).expect("a sound run file")).expect("a run")
    };
    let nobody = run(&file).expect("a run").ledgers.runs.candidate;
    // Without a password each command is answered, by an error.
    assert_eq!(nobody.answered, 12 * FIRED, "{nobody:?}");
    let known = with(PASSWORD.0);
    assert_eq!(known.verdict, Verdict::Pass, "{:?}", known.findings);
    assert_eq!(known.fidelity, 1.0, "{:?}", known.fidelity_detail);
    let wrong = with("CARGO_PKG_VERSION");
    assert_eq!(wrong.verdict, Verdict::Inconclusive);
    let ledger = wrong.ledgers.runs.candidate;
    assert_eq!(
        ledger.errored_by_cause["login_failed"],
        12 * FIRED,
        "{ledger:?}"
    );
    let written = std::fs::read_to_string(directory.path().join("results/run.json"));
    assert!(!written.expect("the run wrote it").contains(PASSWORD.1));
}

#[test]
fn nothing_is_fired_at_what_speaks_something_else() {
    let directory = TempDir::new().expect("a temporary directory");
    record(directory.path(), Policy::allow_all());
    let file = run_file(
        directory.path(),
        ["127.0.0.1:7", "127.0.0.1:8"].map(str::to_owned),
        "policy: allow-all\n",
    );
    let text = std::fs::read_to_string(directory.path().join("cache.yaml")).expect("it is there");
    let path = directory.path().join("web.yaml");
    std::fs::write(&path, text.replace("redis://", "http://")).expect("a disk");
    let web = RunFile::read(&path).expect("a sound run file");
    let skipped = |file: &RunFile| dry_run(file).expect("a plan").summary.skipped;
    let all = 12 * (FIRED + 2);
    let words: Vec<_> = skipped(&web).into_iter().collect();
    assert_eq!(words, [(twintap_plan::SkipReason::Protocol, all)]);
    assert_eq!(skipped(&file).values().sum::<u64>(), 24);
}
