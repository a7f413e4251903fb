//! The main job: capture the shop, replay it, and judge a candidate.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use twintap_tests::scenario::Replayed;
use twintap_tests::{Binaries, Privileges, Scenario, shop, skip};

/// The seeded faults of the candidate: endpoint, kind of the finding, and where.
const SEEDED: &[(&str, &str, &str)] = &[
    ("PUT /profile", "status", ""),
    ("POST /checkout", "body_changed", "total_cents"),
    ("GET /search", "latency", ""),
    ("GET /products", "header_missing", "cache-control"),
    ("GET /products/{id}", "body_type", "stock"),
];

/// Runs compare latencies, so they take turns on a small machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn a_live_capture_finds_each_fault_and_nothing_else() -> Result<()> {
    let test = "a_live_capture_finds_each_fault_and_nothing_else";
    if let Some(missing) = Privileges::of_this_process().missing() {
        skip(test, &format!("live capture needs {missing}"));
        return Ok(());
    }
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::tempdir()?;
    let scenario = new_scenario(directory.path())?;
    scenario.capture_live(&[], |address| {
        shop::drive(
            scenario.binaries(),
            &scenario.logs(),
            address,
            &["--users", "100", "--duration", "15"],
            Duration::from_secs(120),
        )
    })?;
    let broken = scenario.replay(&["--candidate"])?;
    check_report(&broken, "ebpf")?;
    check_findings(&broken)?;
    let same = scenario.replay(&[])?;
    check_report(&same, "ebpf")?;
    check_pass(&same)
}

#[test]
fn the_bundled_capture_finds_each_fault_and_nothing_else() -> Result<()> {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::tempdir()?;
    let scenario = new_scenario(directory.path())?;
    scenario.import(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/shop.pcap.gz"))?;
    let broken = scenario.replay(&["--candidate"])?;
    check_report(&broken, "pcap")?;
    check_findings(&broken)?;
    let same = scenario.replay(&[])?;
    check_report(&same, "pcap")?;
    check_pass(&same)
}

fn new_scenario(directory: &Path) -> Result<Scenario> {
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/policies/demo.yaml");
    Scenario::new(
        Binaries::beside_this_test()?,
        &directory.join("scenario"),
        &policy.display().to_string(),
    )
}

fn check_findings(replayed: &Replayed) -> Result<()> {
    ensure!(
        replayed.exit_code == 1,
        "exit code {}: {}",
        replayed.exit_code,
        replayed.output
    );
    let report = &replayed.report;
    ensure!(report["verdict"] == "fail", "{}", replayed.output);
    let findings = report["findings"].as_array().context("findings")?;
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or("").to_owned();
    let mut found = BTreeSet::new();
    for finding in findings {
        let matching = SEEDED.iter().find(|(endpoint, kind, place)| {
            text(finding, "endpoint") == *endpoint
                && text(finding, "kind") == *kind
                && text(finding, "location").to_lowercase().contains(place)
        });
        if matching.is_none() && is_slowness(finding) {
            continue;
        }
        let seeded = matching.with_context(|| format!("nobody seeded {finding:#}"))?;
        ensure!(found.insert(seeded), "found twice: {seeded:?}");
        ensure!(
            finding["count"].as_u64() > Some(0),
            "no count in {finding:#}"
        );
        ensure!(
            finding["evidence"]
                .as_array()
                .is_some_and(|evidence| !evidence.is_empty())
                || seeded.1 == "latency",
            "no evidence in {finding:#}"
        );
        ensure!(
            finding["confirmation"]["outcome"] == "confirmed" || seeded.1 == "latency",
            "it did not show again: {finding:#}"
        );
    }
    ensure!(found.len() == SEEDED.len(), "found only {found:?}");
    let again = &report["confirmation"];
    ensure!(again["rounds"] == 1, "{again:#}");
    for twin in ["candidate", "baseline"] {
        check_run_ledger(&again["ledgers"][twin])?;
    }
    Ok(())
}

fn check_pass(replayed: &Replayed) -> Result<()> {
    let findings = replayed.report["findings"].as_array().context("findings")?;
    let others: Vec<_> = findings
        .iter()
        .filter(|found| !is_slowness(found))
        .collect();
    ensure!(others.is_empty(), "findings: {others:#?}");
    let (verdict, exit_code) = match findings.is_empty() {
        true => ("pass", 0),
        false => ("fail", 1),
    };
    ensure!(
        replayed.exit_code == exit_code && replayed.report["verdict"] == verdict,
        "exit code {}: {}",
        replayed.exit_code,
        replayed.output
    );
    Ok(())
}

/// One twin may really be slower than the other on a machine that has more to do: no test
/// depends on that.
fn is_slowness(finding: &Value) -> bool {
    finding["kind"] == "latency"
}

fn check_run_ledger(run: &Value) -> Result<()> {
    let mut explained = 0;
    for place in ["answered", "errored", "refused", "skipped"] {
        explained += number(&run[place])?;
    }
    ensure!(number(&run["planned"])? == explained, "run ledger: {run:#}");
    Ok(())
}

fn number(value: &Value) -> Result<u64> {
    value
        .as_u64()
        .with_context(|| format!("no number: {value}"))
}

fn check_report(replayed: &Replayed, source: &str) -> Result<()> {
    let report = &replayed.report;
    ensure!(
        report["capture_source"] == source,
        "{}",
        report["capture_source"]
    );
    let ledgers = &report["ledgers"];
    let kernel = &ledgers["kernel"];
    if source == "ebpf" {
        let explained = number(&kernel["delivered_bytes"])? + number(&kernel["dropped_bytes"])?;
        ensure!(
            number(&kernel["seen_bytes"])? == explained,
            "kernel ledger: {kernel:#}"
        );
    }
    let store = &ledgers["store"];
    let mut explained = 0;
    for place in [
        "message",
        "framing",
        "duplicate",
        "opaque",
        "discarded",
        "pending",
    ] {
        explained += number(&store[format!("{place}_bytes")])?;
    }
    ensure!(
        number(&store["delivered_bytes"])? == explained,
        "store ledger: {store:#}"
    );
    let mut explained = 0;
    for place in ["stored", "discarded", "pending"] {
        explained += number(&store[place])?;
    }
    ensure!(
        number(&store["rebuilt"])? == explained,
        "store ledger: {store:#}"
    );
    ensure!(
        number(&store["stored"])? > 1_000,
        "only {} stored",
        store["stored"]
    );
    for twin in ["candidate", "baseline"] {
        check_run_ledger(&ledgers["runs"][twin])?;
    }
    let fidelity = report["fidelity"].as_f64().context("fidelity")?;
    ensure!(fidelity >= 0.99, "fidelity {fidelity}: {}", replayed.output);
    ensure!(
        report["correlation"]["bound"].as_u64() > Some(0),
        "{}",
        report["correlation"]
    );
    ensure!(
        report["correlation"]["unbound"] == 0,
        "{}",
        report["correlation"]
    );
    ensure!(
        report["release_error_us"]["p99"].is_number(),
        "{}",
        report["release_error_us"]
    );
    Ok(())
}
