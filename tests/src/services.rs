//! Services that nobody here wrote: installed, driven, captured, replayed.
//!
//! Each is installed from its registry into a directory of its own, with a state that every copy
//! of it starts from. Scripts of `tests/services` prepare it, serve it, and live its users' lives.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process::{Process, Start};
use crate::scenario::{Replayed, Scenario};

/// How long each step of an installation may take.
const INSTALL_SECONDS: &str = "600";
/// How long a service may take to start, or its users to live their lives.
const LIMIT: Duration = Duration::from_secs(300);
/// What the run file says beside the twins: on a small machine two twins take longer than one
/// production did, and a request that another user's came before must not overtake it.
const PACE: &str = "speed: 0.4\ntimeouts: {wait: 30s}\n";

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

impl Service {
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

    /// Captures the lives of its users, replays them at two fresh copies, and gives the report.
    /// Needs root and tcpdump.
    pub fn play(self, root: &Path, scenario: &Scenario) -> Result<Replayed> {
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
        scenario.replay_at(candidate.address, baseline.address, &state, PACE)
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
