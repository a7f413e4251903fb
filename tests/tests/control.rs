//! A daemon that is steered by `twintap ctl`, over an archive that was imported before.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use twintap_tests::Scenario;
use twintap_tests::scenario::{Daemon, expect_success};
use twintap_tests::shop::Shop;

/// How long a run may take to get to what a test waits for.
const LIMIT: Duration = Duration::from_secs(120);
/// Many requests are due within it.
const STANDSTILL: Duration = Duration::from_secs(2);
const ENDS: [&str; 4] = ["answered", "errored", "refused", "skipped"];
const TWINS: [&str; 2] = ["candidate", "baseline"];

struct Play {
    scenario: Scenario,
    daemon: Daemon,
    twins: [Shop; 2],
    directory: tempfile::TempDir,
}

impl Play {
    fn new() -> Result<Play> {
        let (directory, scenario) = Scenario::temporary("allow-all")?;
        scenario.import(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/shop.pcap.gz"))?;
        let daemon = scenario.daemon(0, &[])?;
        let shop = || Shop::start(scenario.binaries(), &scenario.logs(), None, &[]);
        let twins = [shop()?, shop()?];
        Ok(Play {
            scenario,
            daemon,
            twins,
            directory,
        })
    }

    /// `twintap ctl`: its exit code, and what it printed.
    fn ctl(&self, args: &[&str]) -> Result<(i32, String)> {
        let daemon = format!("http://{}", self.daemon.address);
        let mut all = vec!["ctl", "--daemon", &daemon, "--format", "jsonl"];
        all.extend_from_slice(args);
        self.scenario.twintap(&all)
    }

    /// The objects that `twintap ctl` prints, one a line.
    fn objects(&self, args: &[&str]) -> Result<Vec<Value>> {
        let (code, output) = self.ctl(args)?;
        ensure!(code == 0, "{args:?} ended with {code}: {output}");
        let line = |line| serde_json::from_str(line).with_context(|| format!("{args:?}: {line}"));
        output.lines().map(line).collect()
    }

    /// The one object that it prints.
    fn object(&self, args: &[&str]) -> Result<Value> {
        let mut objects = self.objects(args)?;
        ensure!(objects.len() == 1, "{args:?}: {objects:#?}");
        objects.pop().context("one object")
    }

    /// What it says on refusing.
    fn refusal(&self, args: &[&str]) -> Result<String> {
        let (code, output) = self.ctl(args)?;
        ensure!(code == 3, "{args:?} ended with {code}: {output}");
        Ok(output)
    }

    /// A run file at these twins with more lines, written to the test's directory.
    fn run_file(&self, more: &str) -> Result<String> {
        let [candidate, baseline] = self.twins.each_ref().map(|twin| twin.address);
        self.write(&format!(
            "version: 1\npolicy: allow-all\n\
             targets:\n  candidate:\n    address: {candidate}\n  baseline:\n    address: {baseline}\n\
             allow: [\"{candidate}\", \"{baseline}\"]\n{more}"
        ))
    }

    fn write(&self, text: &str) -> Result<String> {
        let path = self.directory.path().join("run.yaml");
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// The plan of the recording as recorded.
    fn plan(&self) -> Result<Value> {
        let archive = self.scenario.archive().display().to_string();
        let file = self.run_file(&format!("archive: {archive}\n"))?;
        let (code, output) =
            self.scenario
                .twintap(&["replay", &file, "--dry-run", "--format", "json"])?;
        ensure!(code == 0, "{output}");
        Ok(serde_json::from_str(&output)?)
    }

    fn create(&self, more: &str) -> Result<String> {
        let run = self.object(&["create", &self.run_file(more)?])?;
        ensure!(run["state"] == "created", "{run}");
        Ok(run["id"].as_str().context("an id")?.to_owned())
    }

    /// Looks at a run until `done` says so.
    fn wait(&self, id: &str, what: &str, done: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let run = self.object(&["get", id])?;
            if done(&run) {
                return Ok(run);
            }
            if Instant::now() > deadline {
                bail!("{id} is not {what}: {run}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn count(run: &Value, twin: &str, what: &str) -> u64 {
    run[twin][what].as_u64().unwrap_or(0)
}

fn ended(run: &Value, twin: &str) -> u64 {
    ENDS.iter().map(|end| count(run, twin, end)).sum()
}

fn in_flight(run: &Value) -> u64 {
    TWINS.iter().map(|twin| count(run, twin, "in_flight")).sum()
}

fn ensure_ledger_closes(run: &Value) -> Result<()> {
    for twin in TWINS {
        ensure!(
            run["planned"] == ended(run, twin) && count(run, twin, "in_flight") == 0,
            "the {twin}'s ledger does not close: {run}"
        );
    }
    Ok(())
}

#[test]
fn a_run_is_paused_resumed_and_stopped() -> Result<()> {
    let mut play = Play::new()?;
    // Slow, so that it does not end before it was steered.
    let id = play.create("speed: 0.25\n")?;
    let run = play.object(&["start", &id])?;
    ensure!(run["state"] == "running", "{run}");
    play.wait(&id, "firing", |run| {
        TWINS.iter().all(|twin| count(run, twin, "answered") > 0)
    })?;

    let run = play.object(&["pause", &id])?;
    ensure!(run["state"] == "paused", "{run}");
    let paused = play.wait(&id, "quiet", |run| in_flight(run) == 0)?;
    std::thread::sleep(STANDSTILL);
    let still = play.object(&["get", &id])?;
    ensure!(
        still == paused,
        "a paused run went on: {paused} then {still}"
    );

    // A pause is no moment that goes by: what is left keeps its spacing.
    ensure!(still["position_ms"] == paused["position_ms"], "{still}");
    let run = play.object(&["resume", &id])?;
    ensure!(run["state"] == "running", "{run}");
    play.wait(&id, "firing again", |run| {
        TWINS
            .iter()
            .all(|twin| count(run, twin, "answered") > count(&paused, twin, "answered"))
    })?;

    play.object(&["stop", &id])?;
    let run = play.wait(&id, "stopped", |run| run["state"] == "stopped")?;
    ensure_ledger_closes(&run)?;
    for twin in TWINS {
        ensure!(count(&run, twin, "refused") > 0, "nothing was left: {run}");
    }
    let report = run["report_path"].as_str().context("a report")?;
    let report: Value = serde_json::from_str(&fs::read_to_string(report)?)?;
    for twin in TWINS {
        for end in ENDS {
            ensure!(
                report["ledgers"]["runs"][twin][end] == run[twin][end],
                "{twin}.{end}: {run} and {}",
                report["ledgers"]["runs"]
            );
        }
    }
    for order in ["start", "pause", "resume", "stop"] {
        let refusal = play.refusal(&[order, &id])?;
        ensure!(refusal.contains(&id), "{order}: {refusal}");
    }
    for [order, value] in [["speed", "2"], ["seek", "1h"]] {
        let refusal = play.refusal(&[order, &id, value])?;
        ensure!(refusal.contains("stopped"), "{order}: {refusal}");
    }
    expect_success("the daemon", &mut play.daemon.process)
}

#[test]
fn a_run_changes_speed_and_is_sought_forward() -> Result<()> {
    let mut play = Play::new()?;
    let id = play.create("speed: 0.25\n")?;
    let refusal = play.refusal(&["speed", &id, "2"])?;
    ensure!(refusal.contains("created"), "{refusal}");
    play.object(&["start", &id])?;
    let firing = play.wait(&id, "firing", |run| {
        TWINS.iter().all(|twin| count(run, twin, "answered") > 0)
    })?;
    ensure!(firing["speed"] == 0.25, "{firing}");

    // Where it can't go: nothing of the run changes.
    let refusal = play.refusal(&["speed", &id, "1000"])?;
    ensure!(refusal.contains("0.1 to 100"), "{refusal}");
    play.object(&["pause", &id])?;
    let paused = play.wait(&id, "quiet", |run| in_flight(run) == 0)?;
    let refusal = play.refusal(&["seek", &id, "1ns"])?;
    ensure!(refusal.contains("can't go back"), "{refusal}");

    // Half of what is left is passed over, in the pause; the rest goes quickly.
    let position = paused["position_ms"].as_f64().context("a position")?;
    let plan = play.plan()?;
    let due: Vec<f64> = plan["plan"]["requests"]
        .as_array()
        .context("requests")?
        .iter()
        .filter_map(|request| Some(request["due_ns"].as_f64()? / 1e6))
        .collect();
    let last = due.last().copied().context("a plan")?;
    let middle = position + (last - position) / 2.0;
    let to = format!("{:.0}ms", middle);
    play.object(&["seek", &id, &to])?;
    play.object(&["speed", &id, "50"])?;
    // Recorded time and the plan's differ by the speed that it was made for: a microsecond is near
    // enough.
    let run = play.wait(&id, "sought", |run| {
        run["position_ms"].as_f64() >= Some(middle.round() - 0.001)
    })?;
    ensure!(run["state"] == "paused" && run["speed"] == 50.0, "{run}");
    ensure!(
        TWINS
            .iter()
            .all(|twin| count(&run, twin, "answered") == count(&paused, twin, "answered")),
        "a seek fired something: {paused} then {run}"
    );
    play.object(&["resume", &id])?;
    let run = play.wait(&id, "finished", |run| run["state"] == "finished")?;
    ensure_ledger_closes(&run)?;
    let report = run["report_path"].as_str().context("a report")?;
    let record = Path::new(report).with_file_name("run.json");
    let record: Value = serde_json::from_str(&fs::read_to_string(record)?)?;
    let between = |due: &&f64| **due > position && **due < middle.floor();
    for twin in TWINS {
        let skipped = &record["fired"][twin]["ledger"]["skipped"];
        let seeked = skipped["seeked"].as_u64().unwrap_or(0);
        let all = due.iter().filter(between).count() as u64;
        ensure!(
            0 < seeked && seeked <= all + 1,
            "{skipped}, {all} lie between"
        );
    }
    expect_success("the daemon", &mut play.daemon.process)
}

#[test]
fn a_run_is_watched_to_its_end() -> Result<()> {
    let mut play = Play::new()?;
    let id = play.create("speed: 20\nstate:\n  scrubbed: false\n  snapshot: seeded\n")?;
    play.object(&["start", &id])?;
    let (code, output) = play.ctl(&["watch", &id])?;
    let states: Vec<Value> = output
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| output.clone())?;
    let last = states.last().context("a state")?;
    ensure!(last["state"] == "finished", "{output}");
    ensure_ledger_closes(last)?;
    let expected = match last["verdict"].as_str() {
        Some("pass") => 0,
        Some("fail") => 1,
        Some("inconclusive") => 2,
        _ => bail!("no verdict: {last}"),
    };
    ensure!(code == expected, "exit code {code} for {last}");
    for pair in states.windows(2) {
        for twin in TWINS {
            ensure!(
                ended(&pair[0], twin) <= ended(&pair[1], twin),
                "{} went back to {}",
                pair[0],
                pair[1]
            );
        }
    }

    let waiting = play.create("")?;
    let runs = play.objects(&["runs"])?;
    let ids: Vec<&str> = runs.iter().filter_map(|run| run["id"].as_str()).collect();
    ensure!(ids == [&id, &waiting], "{ids:?}");
    let run = play.object(&["stop", &waiting])?;
    ensure!(run["state"] == "stopped" && run["planned"] == 0, "{run}");
    expect_success("the daemon", &mut play.daemon.process)
}

#[test]
fn captures_and_sessions_are_those_of_the_archive() -> Result<()> {
    let play = Play::new()?;
    let capture = play.object(&["captures"])?;
    ensure!(capture["source"] == "pcap", "{capture}");
    ensure!(capture["connected"] == false, "{capture}");
    ensure!(capture["delivered_bytes"].as_u64() > Some(0), "{capture}");

    let archive = play.scenario.archive().display().to_string();
    let (code, listed) = play
        .scenario
        .twintap(&["sessions", &archive, "--format", "jsonl"])?;
    ensure!(code == 0, "{listed}");
    let line = |line: &str| -> Result<(String, u64)> { entry(&serde_json::from_str(line)?) };
    let listed: BTreeSet<_> = listed.lines().map(line).collect::<Result<_>>()?;
    let told = play.objects(&["sessions"])?;
    let told: BTreeSet<_> = told.iter().map(entry).collect::<Result<_>>()?;
    ensure!(!listed.is_empty() && listed == told, "{listed:?}, {told:?}");
    Ok(())
}

/// A session's name and the number of its exchanges.
fn entry(session: &Value) -> Result<(String, u64)> {
    let id = session["id"].as_str().context("an id")?;
    let exchanges = session["exchanges"].as_u64().context("a count")?;
    Ok((id.to_owned(), exchanges))
}

#[test]
fn what_cannot_be_run_is_refused_in_words() -> Result<()> {
    let play = Play::new()?;
    for order in [
        &["start"][..],
        &["pause"],
        &["resume"],
        &["stop"],
        &["get"],
        &["watch"],
        &["speed", "2"],
        &["seek", "1m"],
    ] {
        let args = [&order[..1], &["r-99"], &order[1..]].concat();
        let refusal = play.refusal(&args)?;
        ensure!(
            refusal.contains("no run") && refusal.contains("r-99"),
            "{order:?}: {refusal}"
        );
    }
    let refused = |text: &str, expected: &str| -> Result<()> {
        let refusal = play.refusal(&["create", &play.write(text)?])?;
        ensure!(refusal.contains(expected), "{refusal} lacks {expected}");
        Ok(())
    };
    let file = fs::read_to_string(play.run_file("")?)?;
    refused(&format!("{file}sped: 2\n"), "sped")?;
    refused("version: 1\n", "targets")?;
    refused(
        &file.replace("allow: [", "allow: [] #"),
        "not on the allow-list",
    )?;
    refused(&format!("{file}key: /nowhere.key\n"), "/nowhere.key")?;
    let other = play.directory.path().join("other.key");
    fs::write(&other, "5a".repeat(32))?;

    // Only the exchanges tell that a key is another one; the run says so.
    let id = play.create(&format!("key: {}\n", other.display()))?;
    play.object(&["start", &id])?;
    let refusal = play.refusal(&["watch", &id])?;
    ensure!(refusal.contains("another key"), "{refusal}");
    let run = play.object(&["get", &id])?;
    ensure!(run["state"] == "failed", "{run}");
    ensure!(
        run["error"].as_str().is_some_and(|why| why.contains("key")),
        "{run}"
    );
    Ok(())
}
