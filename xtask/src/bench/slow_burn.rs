//! A leak of 1 KiB a request, and a cache that warms up, each as the only difference of a
//! candidate: when the leak is found and with which slope, and whether the cache is taken
//! for one.
//!
//! The bundled capture goes round and round at a rate, with a report each minute, which judges
//! all of the run until then. Both runs are fired side by side.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use twintap_tests::shop::Shop;
use twintap_tests::{Binaries, Scenario};
use xshell::{Shell, cmd};

use super::line::Line;
use crate::target_directory;

/// The bundled capture of the shop.
const BUNDLED: &str = "tests/pcaps/shop.pcap.gz";
const POLICY: &str = "deploy/policies/demo.yaml";
/// Requests a second.
const RATE: f64 = 200.0;
/// What a request leaves behind.
const LEAK_BYTES: f64 = 1024.0;
/// What the cache takes when it is full. Each request wants any of its entries of 1 KiB, so
/// that after a third of the ten minutes four fifths of it are filled.
const CACHE_BYTES: &str = "25165824";
/// How far the slope may be from the truth.
const BAR_SLOPE: f64 = 0.1;
/// How long a run may take to write its last report.
const GRACE: Duration = Duration::from_secs(120);
const SECONDS_OF_HOUR: f64 = 3600.0;
/// What the shop tells of itself, and what is seen of it from outside.
const HEAP: &str = "heap";
const MEMORY: &str = "memory";
const MIB: f64 = 1024.0 * 1024.0;

/// How long, and with which programs.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Minutes that both runs fire.
    pub minutes: u32,
    /// Cargo's profile that the programs are built with.
    pub profile: String,
    /// Take them as they are.
    pub as_built: bool,
}

/// Measures.
pub fn run(shell: &Shell, effort: &Effort) -> Result<Vec<Line>> {
    let (profile, minutes) = (effort.profile.as_str(), effort.minutes);
    if !effort.as_built {
        cmd!(
            shell,
            "cargo build --quiet --profile {profile} --bins --package twintap-replayer --package twintap-shop"
        )
        .run()?;
    }
    let built = target_directory().join(match profile {
        "dev" => "debug",
        other => other,
    });
    let root = shell.current_dir();
    let folder = std::env::temp_dir().join(format!("twintap-slow-burn-{}", std::process::id()));
    let soak = |name: &str, flags: &[&str]| {
        let watched = Watched::run(&root, &built, &folder.join(name), flags, minutes);
        watched.with_context(|| format!("the run with {name}"))
    };
    let (leak, cache) = thread::scope(|scope| {
        let leaking = scope.spawn(|| soak("a leak", &["--candidate", "--regressions", "leak"]));
        let warming = scope.spawn(|| soak("a warming cache", &["--warm-cache", CACHE_BYTES]));
        let joined = [leaking.join(), warming.join()];
        let [leak, cache] = joined.map(|run| run.map_err(|_| anyhow::anyhow!("a run failed")));
        Ok::<_, anyhow::Error>((leak??, cache??))
    })?;
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut lines = of_leak(&leak, minutes)?;
    lines.extend(of_cache(&cache)?);
    Ok(lines)
}

/// What a run said of memory, minute by minute.
struct Watched {
    reports: Vec<Value>,
    answered_an_hour: f64,
}

impl Watched {
    fn run(
        root: &Path,
        built: &Path,
        folder: &Path,
        flags: &[&str],
        minutes: u32,
    ) -> Result<Watched> {
        let policy = root.join(POLICY).display().to_string();
        let binaries = Binaries::in_directory(built);
        let scenario = Scenario::new(binaries, folder, &policy)?;
        scenario.import(&root.join(BUNDLED))?;
        let shop = |flags: &[&str]| Shop::start(scenario.binaries(), &scenario.logs(), None, flags);
        let (baseline, candidate) = (shop(&[])?, shop(flags)?);
        let lines = format!("rate: {RATE}\nloop: forever\nreport_every: 1m\nwarm_up: 10s\n");
        let state = "seeded start of the shop";
        let addresses = (candidate.address, baseline.address);
        let mut replay = scenario.start_replay(addresses.0, addresses.1, state, &lines)?;
        thread::sleep(Duration::from_secs(u64::from(minutes) * 60));
        let status = replay.terminate(GRACE)?;
        // 0 to 2 are verdicts.
        if !matches!(status.code(), Some(0..=2)) {
            bail!("twintap replay ended with {status}: {}", replay.log_tail());
        }
        Watched::read(scenario.directory())
    }

    fn read(results: &Path) -> Result<Watched> {
        let json = |name: &str| -> Result<Value> {
            let path = results.join(name);
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok(serde_json::from_str(&text)?)
        };
        let mut reports = Vec::new();
        for number in 1.. {
            let name = format!("period-{number:06}.json");
            if !results.join(&name).exists() {
                break;
            }
            reports.push(json(&name)?);
        }
        reports.push(json("report.json")?);
        let fired = &json("run.json")?["fired"];
        let number = |place: &Value| place.as_f64().context("run.json has no such number");
        let answered = number(&fired["candidate"]["ledger"]["answered"])?;
        ensure!(answered > 0.0, "the candidate answered nothing");
        let hours = number(&fired["wall_ns"])? / 1e9 / SECONDS_OF_HOUR;
        Ok(Watched {
            reports,
            answered_an_hour: answered / hours,
        })
    }

    /// Reports in which one of these grows, by their place.
    fn alarms(&self, resources: &[&str]) -> Vec<usize> {
        let is_growth = |finding: &Value| {
            let location = finding["location"].as_str();
            finding["kind"] == "growth" && location.is_some_and(|name| resources.contains(&name))
        };
        let has = |report: &Value| {
            let findings = report["findings"].as_array();
            findings.is_some_and(|findings| findings.iter().any(is_growth))
        };
        let places = self.reports.iter().enumerate();
        places
            .filter(|(_, report)| has(report))
            .map(|(place, _)| place)
            .collect()
    }

    /// What the last report says of a resource.
    fn last(&self, resource: &str) -> Result<&Value> {
        let last = self.reports.last().context("a report")?;
        let all = last["resources"].as_array().context("resources")?;
        let row = all.iter().find(|row| row["resource"] == resource);
        row.with_context(|| format!("no {resource} in {}", last["resources_unseen"]))
    }
}

fn of_leak(leak: &Watched, minutes: u32) -> Result<Vec<Line>> {
    // The allocator puts part of a leak into what the process holds already: from outside,
    // the slope is less than what is left behind.
    for resource in [HEAP, MEMORY] {
        let row = leak.last(resource)?;
        eprintln!("a leak, {resource}: {} {}", row["course"], row["per_hour"]);
    }
    let slope = &leak.last(HEAP)?["per_hour"];
    let found = slope["slope"].as_f64().context("a slope")? / MIB;
    let truth = leak.answered_an_hour * LEAK_BYTES / MIB;
    let alarms = leak.alarms(&[HEAP, MEMORY]);
    let first = alarms
        .first()
        .map_or(f64::INFINITY, |place| (place + 1) as f64);
    let bar = f64::from(minutes);
    Ok(vec![
        Line {
            metric: "growth of the heap an hour with a leak of 1 KiB a request".to_owned(),
            unit: "MiB",
            ours: found,
            peer: "1 KiB times the requests answered".to_owned(),
            theirs: truth,
            ratio: found / truth,
            bar: "0.9 to 1.1",
            meets: (found / truth - 1.0).abs() <= BAR_SLOPE,
        },
        Line {
            metric: "time to find the leak".to_owned(),
            unit: "min",
            ours: first,
            peer: "the run".to_owned(),
            theirs: bar,
            ratio: first / bar,
            bar: "<= 1, and found in the last report",
            meets: first <= bar && alarms.last() == Some(&(leak.reports.len() - 1)),
        },
    ])
}

fn of_cache(cache: &Watched) -> Result<[Line; 1]> {
    for resource in [HEAP, MEMORY] {
        let row = cache.last(resource)?;
        eprintln!(
            "a warming cache, {resource}: {} {}",
            row["course"], row["per_hour"]
        );
    }
    let alarms = cache.alarms(&[HEAP, MEMORY]).len() as f64;
    let reports = cache.reports.len() as f64;
    Ok([Line {
        metric: "reports that take a warming cache for a leak".to_owned(),
        unit: "reports",
        ours: alarms,
        peer: "all reports of the run".to_owned(),
        theirs: reports,
        ratio: alarms / reports,
        bar: "0",
        meets: alarms == 0.0,
    }])
}
