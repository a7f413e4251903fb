//! Services that nobody here wrote: installed, driven, captured, replayed.
//!
//! Each is installed from its registry into a directory of its own, with a state that every copy
//! of it starts from. Scripts of `tests/services` prepare it, serve it, and live its users' lives.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::process::{Process, Start};
use crate::scenario::Scenario;

/// How long each step of an installation may take.
const INSTALL_SECONDS: &str = "600";
/// How long a service may take to start, or its users to live their lives.
const LIMIT: Duration = Duration::from_secs(300);
/// What the run file says beside the twins. The services number what they make one after the
/// other, in whatever session, so that the recorded order is kept. On one machine two twins
/// take longer than the one production did: users go on some time after what they waited for.
const PACE: &str = "order: recorded\npace: closed\n";

/// One of the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, as the driver knows it.
    pub name: &'static str,
    packages: &'static [&'static str],
    script: &'static str,
}

/// All of them.
pub const SERVICES: [Service; 2] = [
    Service {
        name: "roundup",
        packages: &["roundup==2.6.0", "waitress==3.0.2"],
        script: "roundup_tracker.py",
    },
    Service {
        name: "wagtail",
        packages: &["wagtail==7.0.3", "waitress==3.0.2"],
        script: "wagtail_site.py",
    },
];

/// How well a service was replayed.
#[derive(Clone, Debug, Serialize)]
pub struct Played {
    /// The service.
    pub service: &'static str,
    /// Its release.
    pub version: &'static str,
    /// The policy that it was scrubbed with.
    pub policy: String,
    /// The report's verdict.
    pub verdict: String,
    /// Sessions of the plan.
    pub sessions: u64,
    /// What the fidelity counts.
    pub exchanges: u64,
    /// Those of them in which the baseline answered as production did.
    pub equal: u64,
    /// The share of these.
    pub fidelity: f64,
    /// The others by cause.
    pub unequal: BTreeMap<String, u64>,
    /// Values that take those of the twins' own answers.
    pub bound: u64,
    /// Requests that are not fired because a value has no place to come from.
    pub unbound: u64,
    /// Requests that went to the baseline without a value which it had not given.
    pub fired_unbound: u64,
    /// Values that are sent as recorded, by leaf and reason.
    pub kept: Vec<Kept>,
    /// Places where values were not compared.
    pub masked: Vec<Masked>,
    /// What the baseline's ledger does not explain.
    pub unexplained: u64,
}

/// Values that are sent as they were recorded.
#[derive(Clone, Debug, Serialize)]
pub struct Kept {
    /// The leaf, without the number of its repetition.
    pub leaf: String,
    /// Why, in the words of docs/bindings.md.
    pub reason: String,
    /// How many.
    pub values: u64,
}

/// A place where values of baseline and production differ and are of one form.
#[derive(Clone, Debug, Serialize)]
pub struct Masked {
    /// The endpoint.
    pub endpoint: String,
    /// Where in its answers.
    pub location: String,
    /// Why, in the words of docs/run-file.md.
    pub reason: String,
    /// In how many answers.
    pub exchanges: u64,
}

impl Service {
    /// Its release.
    pub fn version(self) -> &'static str {
        let package = self.packages.first().copied().unwrap_or_default();
        package.split_once("==").map_or("", |(_, version)| version)
    }

    /// Where it is installed below `root`.
    fn home(self, root: &Path) -> PathBuf {
        root.join(self.name)
    }

    /// True when [`install`](Self::install) has finished there.
    pub fn is_installed(self, root: &Path) -> bool {
        self.home(root).join("ready").exists()
    }

    /// Installs it below `root`, and prepares the state that every copy starts from.
    pub fn install(self, root: &Path) -> Result<()> {
        let home = self.home(root);
        if home.exists() {
            fs::remove_dir_all(&home).with_context(|| format!("emptying {}", home.display()))?;
        }
        fs::create_dir_all(&home)?;
        step("python3", &["-m", "venv", text(&home.join("venv"))?])
            .context("Python is missing; type: apt-get install -y python3-venv")?;
        let pip = home.join("venv/bin/pip");
        let mut args = vec!["install", "--quiet"];
        args.extend_from_slice(self.packages);
        step(text(&pip)?, &args)?;
        let state = home.join("state");
        let script = self.script();
        step(
            text(&self.python(root))?,
            &[text(&script)?, "prepare", text(&state)?],
        )?;
        fs::write(home.join("ready"), self.packages.join("\n"))?;
        Ok(())
    }

    /// Captures the lives of its users, replays them at two fresh copies, and says how that
    /// went. Needs root and tcpdump.
    pub fn play(self, root: &Path, scenario: &Scenario) -> Result<Played> {
        let capture = scenario.logs().join("lives.pcap");
        {
            let production = self.start(root, scenario, "production")?;
            let mut tcpdump = sniff(scenario, &capture, production.address)?;
            let mut driver = Start::new(
                self.python(root),
                [
                    text(&scripts().join("drive.py"))?.to_owned(),
                    self.name.to_owned(),
                    production.address.to_string(),
                ],
                &scenario.logs(),
            )
            .spawn()?;
            let status = driver.wait(LIMIT)?;
            ensure!(status.success(), "the driver failed: {}", driver.log_tail());
            tcpdump.signal(libc::SIGINT)?;
            tcpdump.wait(Duration::from_secs(60))?;
        }
        scenario.import(&capture)?;
        let candidate = self.start(root, scenario, "candidate")?;
        let baseline = self.start(root, scenario, "baseline")?;
        let state = format!("{} as it was installed", self.name);
        let replayed = scenario.replay_at(candidate.address, baseline.address, &state, PACE)?;
        let run_file = scenario.run_file();
        let (status, plan) = scenario.twintap(&["plan", text(&run_file)?, "--format", "json"])?;
        ensure!(status == 0, "twintap plan failed with {status}: {plan}");
        // What it says beside the plan comes after it.
        let mut plans = serde_json::Deserializer::from_str(&plan).into_iter();
        let plan: Value = plans.next().context("a plan")??;
        self.played(scenario.policy(), &replayed.report, &plan)
    }

    fn played(self, policy: &str, report: &Value, plan: &Value) -> Result<Played> {
        let number = |place: &str| {
            let found = report.pointer(place).and_then(Value::as_u64);
            found.with_context(|| format!("no {place} in the report"))
        };
        let unequal = serde_json::from_value(report["fidelity_detail"]["unequal"].clone());
        Ok(Played {
            service: self.name,
            version: self.version(),
            policy: policy.to_owned(),
            verdict: report["verdict"].as_str().unwrap_or_default().to_owned(),
            sessions: number("/plan/sessions")?,
            exchanges: number("/fidelity_detail/exchanges")?,
            equal: number("/fidelity_detail/equal")?,
            fidelity: report["fidelity"].as_f64().context("the fidelity")?,
            unequal: unequal.context("the unequal by cause")?,
            bound: number("/correlation/bound")?,
            unbound: number("/correlation/unbound")?,
            fired_unbound: number("/correlation/other/baseline_fired_unbound")?,
            kept: kept(plan),
            masked: masked(report),
            unexplained: number("/ledgers/runs/baseline/unexplained")?
                + number("/ledgers/runs/candidate/unexplained")?,
        })
    }

    /// Starts a copy of the service with a fresh state.
    fn start(self, root: &Path, scenario: &Scenario, role: &str) -> Result<Running> {
        let state = scenario.logs().join(role);
        let copied = Command::new("cp")
            .args(["-r", text(&self.home(root).join("state"))?, text(&state)?])
            .status()?;
        ensure!(copied.success(), "copying the state to {}", state.display());
        let (python, script) = (self.python(root), self.script());
        let args = [
            // In which order a set is printed is drawn anew with each process.
            "PYTHONHASHSEED=0",
            text(&python)?,
            text(&script)?,
            "serve",
            text(&state)?,
        ];
        let mut process = Start::new("/usr/bin/env".into(), args, &scenario.logs()).spawn()?;
        let line = process.wait_for_line("listening on ", LIMIT)?;
        let address = line
            .parse()
            .with_context(|| format!("the address of {} {line:?}", self.name))?;
        Ok(Running {
            _process: process,
            address,
        })
    }

    fn python(self, root: &Path) -> PathBuf {
        self.home(root).join("venv/bin/python")
    }

    fn script(self) -> PathBuf {
        scripts().join(self.script)
    }
}

/// The values of all requests that are sent as recorded.
fn kept(plan: &Value) -> Vec<Kept> {
    let members = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for session in members(plan, "sessions") {
        for request in members(&session, "requests") {
            for kept in members(&request, "kept") {
                let word = |name: &str| kept[name].as_str().unwrap_or_default().to_owned();
                let leaf = word("leaf")
                    .split('#')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                *counts.entry((leaf, word("reason"))).or_default() += 1;
            }
        }
    }
    let counts = counts.into_iter();
    let all = counts.map(|((leaf, reason), values)| Kept {
        leaf,
        reason,
        values,
    });
    all.collect()
}

/// The places at which the baseline differed from production and that say nothing.
fn masked(report: &Value) -> Vec<Masked> {
    let places = report["masked"].as_array().into_iter().flatten();
    let all = places.map(|place| {
        let word = |name: &str| place[name].as_str().unwrap_or_default().to_owned();
        Masked {
            endpoint: word("endpoint"),
            location: word("location"),
            reason: word("reason"),
            exchanges: place["baseline_vs_production"].as_u64().unwrap_or_default(),
        }
    });
    all.filter(|masked| masked.exchanges > 0).collect()
}

/// A running copy; ends on drop.
struct Running {
    _process: Process,
    address: SocketAddr,
}

/// Captures what goes to and from an address on this machine, until it is interrupted.
fn sniff(scenario: &Scenario, file: &Path, address: SocketAddr) -> Result<Process> {
    let port = address.port().to_string();
    let args = [
        "-i",
        "lo",
        "-s",
        "0",
        "-B",
        "65536",
        // What was last said must not stay in a buffer.
        "--immediate-mode",
        "-Z",
        "root",
        "-U",
        "-w",
        text(file)?,
        "tcp",
        "port",
        &port,
    ];
    let process = Start::new("tcpdump".into(), args, &scenario.logs())
        .spawn()
        .context("tcpdump is missing; type: apt-get install -y tcpdump")?;
    let deadline = Instant::now() + LIMIT;
    while !process.log_tail().contains("listening on") {
        ensure!(
            Instant::now() < deadline,
            "tcpdump does not listen: {}",
            process.log_tail()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(process)
}

/// Runs one step of an installation.
fn step(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new("timeout")
        .args([INSTALL_SECONDS, program])
        .args(args)
        .output()
        .with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} {} ended with {}: {}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services")
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is no UTF-8", path.display()))
}
