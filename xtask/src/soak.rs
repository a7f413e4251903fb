//! `cargo xtask soak`: a run without end for a while, and whether it stays as it was.
//!
//! Users visit a shop that is captured by eBPF; the daemon follows with a replay at two shops.
//! Meanwhile the daemon's memory and the run's lag are noted; at the end the ledgers must close.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;
use twintap_tests::arrivals::statistics::Trend;
use twintap_tests::scenario::Daemon;
use twintap_tests::shop::{self, Shop};
use twintap_tests::{Binaries, Cgroup, Privileges, Scenario};
use xshell::{Shell, cmd};

use crate::{ebpf, target_directory};

/// How long and how much.
#[derive(Args)]
pub struct Options {
    /// How long users visit.
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// How many users visit at the same time; each makes about a request a second.
    #[arg(long, default_value_t = 200)]
    users: u32,
    /// Take the programs as they are built.
    #[arg(long)]
    as_built: bool,
}

/// How often memory and lag are noted.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The share of the time in which memory fills up to its bounds.
const FILLING: f64 = 0.4;
/// What memory may grow by in a minute, in shares of what it is.
const BAR_GROWTH: f64 = 0.01;
/// From a request's being sent to its being due.
const DELAY: Duration = Duration::from_secs(10);
/// What the lag may be, in delays.
const BAR_LAG: u32 = 3;
/// How long what is on its way may take at the end.
const DRAIN: Duration = Duration::from_secs(120);

const TWINS: [&str; 2] = ["candidate", "baseline"];
const ENDS: [&str; 4] = ["answered", "errored", "refused", "skipped"];

/// What was noted at one time.
#[derive(Clone, Copy, Debug)]
struct Noted {
    minutes: f64,
    mib: f64,
    lag_ms: f64,
}

/// Soaks, and prints what came of it.
///
/// # Errors
/// When a program fails, or a bar is not met.
pub fn run(shell: &Shell, options: &Options) -> Result<()> {
    if let Some(missing) = Privileges::of_this_process().missing() {
        bail!("live capture needs {missing}");
    }
    if !options.as_built {
        ebpf::setup(shell)?;
        ebpf::build_ebpf(shell)?;
        cmd!(
            shell,
            "cargo build --release --bins --package twintap-replayer --package twintap-agent --package twintap-shop"
        )
        .run()?;
    }
    let directory = shell.current_dir().join("target/soak");
    let scenario = Scenario::new(
        Binaries::in_directory(target_directory().join("release")),
        &directory,
        "allow-all",
    )?;
    let soak = Soak::start(&scenario, &directory)?;
    let noted = soak.drive(options)?;
    soak.finish(&noted)
}

struct Soak<'a> {
    scenario: &'a Scenario,
    shop: Shop,
    _twins: [Shop; 2],
    _cgroup: Cgroup,
    daemon: Daemon,
    agent: twintap_tests::Process,
    run: String,
}

impl<'a> Soak<'a> {
    fn start(scenario: &'a Scenario, directory: &Path) -> Result<Soak<'a>> {
        let (binaries, logs) = (scenario.binaries(), scenario.logs());
        let cgroup = Cgroup::new("shop")?;
        let shop = Shop::start(binaries, &logs, Some(&cgroup), &[])?;
        let twin = || Shop::start(binaries, &logs, None, &[]);
        let twins = [twin()?, twin()?];
        let daemon = scenario.daemon(0, &["--commit-every", "1s"])?;
        let agent = scenario.agent(daemon.address, &cgroup, shop.address.port(), &[])?;
        let [candidate, baseline] = twins.each_ref().map(|twin| twin.address);
        let run_file = directory.join("run.yaml");
        // Bounds that are reached soon, so that there is a time after.
        let text = format!(
            "version: 1\npolicy: allow-all\n\
             follow: {{delay: {}s, memory_bytes: 8388608, report_every: 1m}}\n\
             targets:\n  candidate:\n    address: {candidate}\n  baseline:\n    address: {baseline}\n\
             allow: [\"{candidate}\", \"{baseline}\"]\n",
            DELAY.as_secs()
        );
        fs::write(&run_file, text)?;
        let mut soak = Soak {
            scenario,
            shop,
            _twins: twins,
            _cgroup: cgroup,
            daemon,
            agent,
            run: String::new(),
        };
        let created = soak.ctl(&["create", &run_file.display().to_string()])?;
        created["id"]
            .as_str()
            .context("an id")?
            .clone_into(&mut soak.run);
        soak.ctl(&["start", &soak.run])?;
        let deadline = Instant::now() + DRAIN;
        while soak.state()?["following"].is_null() {
            ensure!(Instant::now() < deadline, "the run does not begin");
            thread::sleep(Duration::from_millis(100));
        }
        Ok(soak)
    }

    /// Lets users visit, and notes how the daemon is meanwhile.
    fn drive(&self, options: &Options) -> Result<Vec<Noted>> {
        let seconds = options.minutes * 60;
        let (users, duration) = (options.users.to_string(), seconds.to_string());
        let limit = Duration::from_secs(u64::from(seconds)) + DRAIN;
        let (binaries, logs) = (self.scenario.binaries(), self.scenario.logs());
        let address = self.shop.address;
        thread::scope(|scope| {
            let driving = scope.spawn(|| {
                let flags = ["--users", &users, "--duration", &duration];
                shop::drive(binaries, &logs, address, &flags, limit)
            });
            let begun = Instant::now();
            let mut noted = Vec::new();
            while !driving.is_finished() {
                let now = self.note(begun)?;
                eprintln!(
                    "{:5.1} min: {:.1} MiB, lag {:.1} s",
                    now.minutes,
                    now.mib,
                    now.lag_ms / 1000.0
                );
                noted.push(now);
                thread::sleep(LOOK_EVERY);
            }
            let drove = driving.join();
            drove.map_err(|_| anyhow::anyhow!("the driver's thread failed"))??;
            Ok(noted)
        })
    }

    fn note(&self, begun: Instant) -> Result<Noted> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.process.pid()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.split_whitespace().next());
        let kib: f64 = kib.context("VmRSS in /proc/PID/status")?.parse()?;
        let state = self.state()?;
        let lag = &state["following"]["lag_ms"];
        Ok(Noted {
            minutes: begun.elapsed().as_secs_f64() / 60.0,
            mib: kib / 1024.0,
            lag_ms: lag.as_f64().with_context(|| format!("a lag: {state}"))?,
        })
    }

    /// Waits for what is on its way, ends everything, and looks at the figures.
    fn finish(mut self, noted: &[Noted]) -> Result<()> {
        let limit = Duration::from_secs(60);
        ensure!(self.agent.terminate(limit)?.success(), "the agent failed");
        // The last request is due a delay after it was sent.
        thread::sleep(DELAY * 2);
        let deadline = Instant::now() + DRAIN;
        let state = loop {
            let state = self.state()?;
            if TWINS.iter().all(|twin| is_closed(&state, twin)) {
                break state;
            }
            ensure!(
                Instant::now() < deadline,
                "the ledger does not close: {state}"
            );
            thread::sleep(Duration::from_millis(500));
        };
        ensure!(
            self.daemon.process.terminate(DRAIN)?.success(),
            "the daemon failed: {}",
            self.daemon.process.log_tail()
        );
        print(&state, noted)
    }

    fn state(&self) -> Result<Value> {
        self.ctl(&["get", &self.run])
    }

    fn ctl(&self, args: &[&str]) -> Result<Value> {
        let address = format!("http://{}", self.daemon.address);
        let mut all = vec!["ctl", "--daemon", &address, "--format", "jsonl"];
        all.extend_from_slice(args);
        let (code, output) = self.scenario.twintap(&all)?;
        ensure!(code == 0, "{args:?} ended with {code}: {output}");
        Ok(serde_json::from_str(&output)?)
    }
}

fn is_closed(state: &Value, twin: &str) -> bool {
    let ends = ENDS
        .iter()
        .map(|end| state[twin][end].as_u64().unwrap_or(0));
    state["planned"].as_u64() == Some(ends.sum())
}

fn print(state: &Value, noted: &[Noted]) -> Result<()> {
    let planned = state["planned"].as_u64().context("planned")?;
    for twin in TWINS {
        let ends = ENDS.map(|end| format!("{} {end}", state[twin][end].as_u64().unwrap_or(0)));
        println!("{twin}: {planned} planned = {}", ends.join(" + "));
    }
    println!("following: {}", state["following"]);
    let filled = &noted[(noted.len() as f64 * FILLING) as usize..];
    let points: Vec<(f64, f64)> = filled.iter().map(|now| (now.minutes, now.mib)).collect();
    let Trend {
        mean,
        slope,
        half_width,
    } = Trend::of(&points);
    let bar = BAR_GROWTH * mean;
    let grows = slope - half_width > 0.0 && slope > bar;
    let found = match grows {
        true => "it GROWS",
        false if slope + half_width <= bar => "flat",
        false => "not told from flat: soak for longer",
    };
    println!(
        "memory: {mean:.1} MiB, slope {slope:.3} MiB a minute (95 %: {:.3} to {:.3}): {found}",
        slope - half_width,
        slope + half_width,
    );
    let most_lag_s = filled
        .iter()
        .map(|now| now.lag_ms / 1000.0)
        .fold(0.0, f64::max);
    let bar_s = (DELAY * BAR_LAG).as_secs_f64();
    println!("lag: {most_lag_s:.1} s at most, of which the delay is {DELAY:?} (bar {bar_s} s)");
    ensure!(planned > 0, "nothing was planned");
    ensure!(!grows, "memory grows");
    ensure!(most_lag_s <= bar_s, "the run lags");
    Ok(())
}
