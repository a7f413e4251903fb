//! Gate, business figures and scope, as the programs take them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use twintap_tests::{Binaries, Scenario, shop::Shop};

const METRICS: &str = "version: 1
metrics:
- name: orders
  of: {endpoint: POST /checkout, status: 2xx}
  aggregate: count
- name: revenue
  unit: cents
  of: {endpoint: POST /checkout, status: 2xx}
  value: {json: $.totals.total_cents}
  aggregate: sum
  harmful: drop
- name: conversion
  aggregate: rate
  per: session
  where: {endpoint: POST /checkout, status: 2xx}
";

/// The rounding of totals is let pass, and so is the revenue that it costs.
const LENIENT: &str = "version: 1
levels:
- {name: rounding is known, endpoint: POST /checkout, locations: ['**total_cents'], level: pass}
- {name: cents do not matter, kinds: [business], level: warn}
- {name: this machine is slow, kinds: [latency], level: warn}
budgets:
  metrics: {revenue: {max_drop: 1%}}
coverage:
  endpoints: [{endpoint: POST /checkout, compared: 10}]
  traffic: 90%
fidelity: {floor: 95%}
";

const STRICT: &str = "version: 1
levels: [{level: pass}]
budgets:
  metrics: {revenue: {name: every cent counts, max_drop: 0}}
fidelity: {floor: 0%}
";

const DEMANDING: &str = "version: 1
levels: [{level: pass}]
coverage:
  endpoints: [{endpoint: POST /refunds, compared: 1}]
fidelity: {floor: 0%}
";

const SCOPE: &str = "version: 1
components:
- {name: shop, as: full}
- {name: payments, as: mocked, reason: no sandbox, endpoints: [POST /checkout]}
";

const INCIDENTS: &str = "version: 1
incidents:
- {name: double charge, component: payments}
- {name: no change of heart, endpoint: POST /checkout}
";

const UNKNOWN: &str = "- {name: stock below nothing, endpoint: GET /products/17, component: shop}
- {name: no refund, endpoint: POST /refunds}
";

#[test]
fn a_gate_decides_what_a_candidate_may_do() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str, text: &str| -> Result<PathBuf> {
        let path = directory.path().join(name);
        fs::write(&path, text)?;
        Ok(path)
    };
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/policies/demo.yaml");
    let scenario = Scenario::new(
        Binaries::beside_this_test()?,
        &directory.path().join("scenario"),
        &policy.display().to_string(),
    )?;
    scenario.import(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/shop.pcap.gz"))?;
    let lines = format!(
        "speed: 5\ngate: {}\nmetrics: {}\nscope: {}\n",
        file("lenient.yaml", LENIENT)?.display(),
        file("metrics.yaml", METRICS)?.display(),
        file("scope.yaml", SCOPE)?.display(),
    );
    let rounding = ["--candidate", "--regressions", "rounding"];
    let shop = |flags: &[&str]| Shop::start(scenario.binaries(), &scenario.logs(), None, flags);
    let (baseline, candidate) = (shop(&[])?, shop(&rounding)?);
    let passed = scenario.replay_at(candidate.address, baseline.address, "seeded", &lines)?;
    ensure!(passed.exit_code == 0, "{}", passed.output);
    check_passed(&passed.report)?;
    ensure!(
        passed
            .output
            .contains("let pass, by the gate's rule “rounding is known”")
            || passed.output.contains("level          pass"),
        "{}",
        passed.output
    );

    // The same twins again: what they hold is another state, and these gates do not mind.
    let again = |gate: &Path, extra: &[&str]| {
        let (run, gate) = (scenario.run_file(), gate.display().to_string());
        let run = run.display().to_string();
        let mut args = vec!["replay", &run, "--gate", &gate];
        args.extend_from_slice(extra);
        scenario.twintap(&args)
    };
    let (code, output) = again(&file("strict.yaml", STRICT)?, &[])?;
    ensure!(code == 1, "{code}: {output}");
    ensure!(
        output.contains("“every cent counts” does not hold"),
        "{output}"
    );

    let (junit, markdown) = (
        directory.path().join("junit.xml"),
        directory.path().join("out.md"),
    );
    let outputs = [
        "--junit",
        junit.to_str().context("a path")?,
        "--markdown",
        markdown.to_str().context("a path")?,
    ];
    let (code, output) = again(&file("demanding.yaml", DEMANDING)?, &outputs)?;
    ensure!(code == 2, "{code}: {output}");
    let junit = fs::read_to_string(junit)?;
    ensure!(
        junit.contains("name=\"coverage POST /refunds\"") && junit.contains("failures=\"0\""),
        "{junit}"
    );
    ensure!(junit.contains("name=\"GET /products/{id}\""), "{junit}");
    let markdown = fs::read_to_string(markdown)?;
    ensure!(
        markdown.starts_with("## Twintap: inconclusive"),
        "{markdown}"
    );
    check_incidents(&scenario, &file)
}

fn check_passed(report: &Value) -> Result<()> {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/report.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema)?)?;
    if let Err(error) = jsonschema::validate(&schema, report) {
        bail!("{}: {error}", error.instance_path());
    }
    ensure!(report["verdict"] == "pass", "{}", report["reasons"]);
    let list = |key: &str| report[key].as_array().context("a list");
    let revenue = list("business")?
        .iter()
        .find(|row| row["name"] == "revenue");
    let revenue = revenue.context("revenue")?;
    let value = |of: &str| revenue[of]["value"].as_f64().context("a value");
    ensure!(value("baseline")? > 0.0, "{revenue:#}");
    ensure!(value("candidate")? < value("baseline")?, "{revenue:#}");
    ensure!(value("production")? == value("baseline")?, "{revenue:#}");
    ensure!(revenue["is_finding"] == true, "{revenue:#}");
    let orders = list("business")?.iter().find(|row| row["name"] == "orders");
    ensure!(
        orders.context("orders")?["difference"] == 0.0,
        "{orders:#?}"
    );
    let levels: Vec<(&Value, &Value)> = list("findings")?
        .iter()
        .filter(|finding| finding["kind"] != "latency")
        .map(|finding| (&finding["kind"], &finding["level"]))
        .collect();
    ensure!(
        levels.contains(&(&"body_changed".into(), &"pass".into()))
            && levels.contains(&(&"business".into(), &"warn".into())),
        "{levels:?}"
    );
    ensure!(report["scope"]["components"][1]["as"] == "mocked");
    let covered = report["scope"]["traffic"]["share"]
        .as_f64()
        .context("a share")?;
    ensure!(covered > 0.9, "{covered}");
    let errors = &report["scope"]["error_paths"];
    ensure!(errors["seen"].as_u64() > Some(0), "{errors}");
    Ok(())
}

fn check_incidents(
    scenario: &Scenario,
    file: &impl Fn(&str, &str) -> Result<PathBuf>,
) -> Result<()> {
    let scope = file("scope.yaml", SCOPE)?.display().to_string();
    let run = scenario.run_file();
    let results = run.parent().context("a directory")?.display().to_string();
    let check = |incidents: &Path, format: &str| {
        let incidents = incidents.display().to_string();
        scenario.twintap(&[
            "scope",
            "check",
            "--scope",
            &scope,
            "--incidents",
            &incidents,
            "--report",
            &results,
            "--format",
            format,
        ])
    };
    let (code, output) = check(&file("incidents.yaml", INCIDENTS)?, "text")?;
    ensure!(code == 0, "{code}: {output}");
    ensure!(
        output.contains("2 of 2 incidents are explained"),
        "{output}"
    );
    let more = format!("{INCIDENTS}{UNKNOWN}");
    let (code, output) = check(&file("more.yaml", &more)?, "json")?;
    ensure!(code == 1, "{code}: {output}");
    let checks: Value = serde_json::from_str(&output).context("JSON")?;
    ensure!(checks[2]["is_explained"] == false, "{checks:#}");
    ensure!(
        checks[3]["is_explained"] == false
            && checks[3]["explanations"][0]["by"] == "not_seen"
            && checks[3]["explanations"][0]["nearest"].is_string(),
        "{checks:#}"
    );
    Ok(())
}
