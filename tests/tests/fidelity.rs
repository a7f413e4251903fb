//! How far a fresh twin answers as production did, and what correlation has to do with it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use twintap_tests::Scenario;

/// The least share of equal answers that a fresh shop must give.
const FAITHFUL: f64 = 0.995;
/// With recorded ids and tokens no share above this is possible.
const BROKEN: f64 = 0.9;

#[test]
fn the_shops_whole_life_replays_and_without_correlation_does_not() -> Result<()> {
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/policies/demo.yaml");
    let (_directory, scenario) = Scenario::temporary(&policy.display().to_string())?;
    scenario.import(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/shop.pcap.gz"))?;

    let faithful = scenario.replay(&[])?.report;
    ensure!(
        fidelity(&faithful)? >= FAITHFUL,
        "{:#}",
        faithful["fidelity_detail"]
    );
    let correlation = &faithful["correlation"];
    ensure!(
        correlation["bound"].as_u64() > Some(0) && correlation["unbound"] == 0,
        "{correlation}"
    );

    let broken = scenario.replay_with(&[], "correlate: false\n")?.report;
    ensure!(
        fidelity(&broken)? < BROKEN,
        "fidelity {} though every value was sent as recorded",
        broken["fidelity"]
    );
    ensure!(
        broken["correlation"]["bound"] == 0,
        "{}",
        broken["correlation"]
    );
    for report in [&faithful, &broken] {
        for twin in ["candidate", "baseline"] {
            let unexplained = &report["ledgers"]["runs"][twin]["unexplained"];
            ensure!(unexplained == 0, "{}", report["ledgers"]);
        }
        check_resources(&report["resources"])?;
    }
    Ok(())
}

/// Both shops are processes of this machine, and were looked at.
fn check_resources(resources: &Value) -> Result<()> {
    let all = resources.as_array().context("resources")?;
    for name in ["memory", "file_descriptors", "threads", "sockets"] {
        let found = all.iter().find(|resource| resource["resource"] == name);
        let found = found.with_context(|| format!("{name} in {resources}"))?;
        for twin in ["candidate", "baseline"] {
            let largest = found[twin]["max"].as_f64().context("a number")?;
            ensure!(largest >= 1.0, "{found}");
        }
    }
    Ok(())
}

fn fidelity(report: &Value) -> Result<f64> {
    report["fidelity"].as_f64().context("a fidelity")
}
