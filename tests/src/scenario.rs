//! The main job, played through with the programs as users run them: capture a
//! shop, replay it at two twins, read the report.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::Start;
use crate::shop::Shop;
use crate::{Binaries, Cgroup, Process};

/// How long a program may take to start or to end.
const PROGRAM_LIMIT: Duration = Duration::from_secs(60);

/// A directory with everything that one play leaves behind.
#[derive(Clone, Debug)]
pub struct Scenario {
    binaries: Binaries,
    directory: PathBuf,
    policy: String,
}

/// A daemon that takes frames.
#[derive(Debug)]
pub struct Daemon {
    /// Its process.
    pub process: Process,
    /// Where agents connect.
    pub address: SocketAddr,
}

impl Daemon {
    /// What it answers to a GET of `path` where its metrics are served: the status and
    /// the body. It must have been started with `--metrics-addr`.
    pub fn http(&self, path: &str) -> Result<(u16, String)> {
        let address = self.metrics_address()?;
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).context("a status line")?;
        let (_, body) = answer.split_once("\r\n\r\n").context("a body")?;
        Ok((status.parse()?, body.to_owned()))
    }

    /// Where it serves metrics, as its log says.
    pub fn metrics_address(&self) -> Result<SocketAddr> {
        let log = fs::read_to_string(self.process.log())?;
        let address = log
            .lines()
            .filter(|line| line.contains("serving metrics"))
            .find_map(|line| line.split_once("address="))
            .context("the log names no address for metrics")?;
        Ok(address.1.trim().parse()?)
    }

    /// One metric's sum over all its labels.
    pub fn metric(&self, name: &str) -> Result<u64> {
        let (_, text) = self.http("/metrics")?;
        let mut sum = 0;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix(name)
                && rest.starts_with([' ', '{'])
            {
                let value = rest.rsplit(' ').next().context("a value")?;
                sum += value.parse::<u64>()?;
            }
        }
        Ok(sum)
    }
}

/// What a replay came to.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The exit code of `twintap replay`.
    pub exit_code: i32,
    /// report.json.
    pub report: Value,
    /// What it printed.
    pub output: String,
}

impl Scenario {
    /// A scenario in `directory`, which is made empty, under a policy (`allow-all`,
    /// `default`, or a file).
    pub fn new(binaries: Binaries, directory: &Path, policy: &str) -> Result<Scenario> {
        if directory.exists() {
            fs::remove_dir_all(directory)
                .with_context(|| format!("emptying {}", directory.display()))?;
        }
        fs::create_dir_all(directory.join("logs"))
            .with_context(|| format!("making {}", directory.display()))?;
        Ok(Scenario {
            binaries,
            directory: directory.to_owned(),
            policy: policy.to_owned(),
        })
    }

    /// A scenario in a directory of its own, which goes with the first of the two.
    pub fn temporary(policy: &str) -> Result<(tempfile::TempDir, Scenario)> {
        let directory = tempfile::tempdir()?;
        let binaries = Binaries::beside_this_test()?;
        let scenario = Scenario::new(binaries, &directory.path().join("scenario"), policy)?;
        Ok((directory, scenario))
    }

    /// The programs it runs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Where the programs' standard errors go.
    pub fn logs(&self) -> PathBuf {
        self.directory.join("logs")
    }

    /// The archive.
    pub fn archive(&self) -> PathBuf {
        self.directory.join("archive")
    }

    /// The policy, as `twintap import` is told it.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// The run file of the last replay.
    pub fn run_file(&self) -> PathBuf {
        self.directory.join("run.yaml")
    }

    /// Starts `twintap serve` on a free port, or on `port` of 127.0.0.1.
    pub fn daemon(&self, port: u16, extra: &[&str]) -> Result<Daemon> {
        let archive = self.archive().display().to_string();
        let listen = format!("127.0.0.1:{port}");
        let mut args = vec![
            "serve",
            "--listen",
            &listen,
            "--archive",
            &archive,
            "--policy",
            &self.policy,
        ];
        args.extend_from_slice(extra);
        let mut process = Start::new(self.binaries.path("twintap")?, args, &self.logs()).spawn()?;
        let line = process.wait_for_line("listening on ", PROGRAM_LIMIT)?;
        let address = line
            .parse()
            .with_context(|| format!("the daemon's address {line:?}"))?;
        Ok(Daemon { process, address })
    }

    /// Starts `twintap-agent` for the services in `cgroup` on `port`, and waits until it captures.
    pub fn agent(
        &self,
        daemon: SocketAddr,
        cgroup: &Cgroup,
        port: u16,
        extra: &[&str],
    ) -> Result<Process> {
        let daemon = format!("http://{daemon}");
        let cgroup = cgroup.path().display().to_string();
        let port = port.to_string();
        let mut args = vec![
            "--daemon", &daemon, "--cgroup", &cgroup, "--port", &port, "--node", "node-1",
        ];
        args.extend_from_slice(extra);
        let mut process =
            Start::new(self.binaries.path("twintap-agent")?, args, &self.logs()).spawn()?;
        process.wait_for_line("capturing", PROGRAM_LIMIT)?;
        Ok(process)
    }

    /// Captures a fresh shop by eBPF, with these flags of the agent, while `drive` works on it.
    /// Needs root.
    pub fn capture_live<T>(
        &self,
        agent_flags: &[&str],
        drive: impl FnOnce(SocketAddr) -> Result<T>,
    ) -> Result<T> {
        let cgroup = Cgroup::new("shop")?;
        let mut shop = Shop::start(&self.binaries, &self.logs(), Some(&cgroup), &[])?;
        let mut daemon = self.daemon(0, &[])?;
        let mut agent = self.agent(daemon.address, &cgroup, shop.address.port(), agent_flags)?;
        let outcome = drive(shop.address)?;
        // The agent drains first, so that the daemon has everything when it ends.
        expect_success("the agent", &mut agent)?;
        expect_success("the daemon", &mut daemon.process)?;
        expect_success("the shop", &mut shop.process)?;
        Ok(outcome)
    }

    /// Imports a capture file in place of a live capture.
    pub fn import(&self, file: &Path) -> Result<()> {
        let archive = self.archive().display().to_string();
        let file = file.display().to_string();
        let (status, output) = self.twintap(&[
            "import",
            &file,
            "--archive",
            &archive,
            "--policy",
            &self.policy,
        ])?;
        if status != 0 {
            bail!("twintap import failed with {status}: {output}");
        }
        Ok(())
    }

    /// Replays the archive at a fresh baseline and a fresh candidate, which is
    /// started with these flags.
    pub fn replay(&self, candidate_flags: &[&str]) -> Result<Replayed> {
        self.replay_with(candidate_flags, "")
    }

    /// The same with further lines of the run file.
    pub fn replay_with(&self, candidate_flags: &[&str], lines: &str) -> Result<Replayed> {
        let may_reset = "--allow-reset";
        let candidate_flags = [candidate_flags, &[may_reset]].concat();
        let baseline = Shop::start(&self.binaries, &self.logs(), None, &[may_reset])?;
        let candidate = Shop::start(&self.binaries, &self.logs(), None, &candidate_flags)?;
        let twins = [candidate.address, baseline.address];
        let reset = |twin| format!("    reset: {{request: 'POST http://{twin}/admin/reset'}}\n");
        let state = "seeded start of the shop";
        self.replay_run(&(self.run_text(twins, state, reset) + lines))
    }

    /// Replays the archive at twins that run already, in a state that has a name. `lines` are
    /// further lines of the run file.
    pub fn replay_at(
        &self,
        candidate: SocketAddr,
        baseline: SocketAddr,
        state: &str,
        lines: &str,
    ) -> Result<Replayed> {
        let text = self.run_text([candidate, baseline], state, |_| String::new());
        self.replay_run(&(text + lines))
    }

    /// Carries out this run file.
    fn replay_run(&self, text: &str) -> Result<Replayed> {
        let run_file = self.write_run(text)?;
        let (exit_code, output) = self.twintap(&["replay", &run_file.display().to_string()])?;
        let report = self.directory.join("report.json");
        let text = fs::read_to_string(&report).with_context(|| {
            format!(
                "no report at {}; twintap replay said ({exit_code}):\n{output}",
                report.display()
            )
        })?;
        Ok(Replayed {
            exit_code,
            report: serde_json::from_str(&text)?,
            output,
        })
    }

    /// Starts to replay the archive at twins that run already; a run without end goes on
    /// until the process is ended.
    pub fn start_replay(
        &self,
        candidate: SocketAddr,
        baseline: SocketAddr,
        state: &str,
        lines: &str,
    ) -> Result<Process> {
        let resources = |twin| format!("    resources: {}\n", resources_of(twin));
        let text = self.run_text([candidate, baseline], state, resources);
        let run_file = self.write_run(&(text + lines))?;
        let args = ["replay".to_owned(), run_file.display().to_string()];
        Start::new(self.binaries.path("twintap")?, args, &self.logs()).spawn()
    }

    /// Where results go.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn write_run(&self, text: &str) -> Result<PathBuf> {
        let run_file = self.run_file();
        fs::write(&run_file, text).with_context(|| format!("writing {}", run_file.display()))?;
        Ok(run_file)
    }

    /// Runs `twintap` to its end: its exit code, and what it printed (standard output, then
    /// the end of its standard error).
    pub fn twintap(&self, args: &[&str]) -> Result<(i32, String)> {
        let output = std::process::Command::new(self.binaries.path("twintap")?)
            .args(args)
            .output()
            .context("running twintap")?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code().unwrap_or(-1), text))
    }

    /// `further` gives more lines of each twin.
    fn run_text(
        &self,
        [candidate, baseline]: [SocketAddr; 2],
        state: &str,
        further: impl Fn(SocketAddr) -> String,
    ) -> String {
        let directory = self.directory.display();
        format!(
            "version: 1\n\
             archive: {directory}/archive\n\
             policy: {policy}\n\
             key: {directory}/archive.key\n\
             output: {directory}\n\
             targets:\n\
             \x20 candidate:\n    address: {candidate}\n{of_candidate}\
             \x20 baseline:\n    address: {baseline}\n{of_baseline}\
             allow: [\"{candidate}\", \"{baseline}\"]\n\
             state:\n  scrubbed: false\n  snapshot: {state}\n\
             egress: none\n",
            policy = self.policy,
            of_candidate = further(candidate),
            of_baseline = further(baseline),
        )
    }
}

/// Where a run finds what a shop uses: the process as it is seen from outside, and what it
/// tells of its heap.
pub fn resources_of(shop: SocketAddr) -> String {
    format!("[listener, {{prometheus: {{url: \"http://{shop}/metrics\"}}}}]")
}

/// Ends a process and fails unless it ends in order.
pub fn expect_success(name: &str, process: &mut Process) -> Result<()> {
    let status = process.terminate(PROGRAM_LIMIT)?;
    if !status.success() {
        bail!(
            "{name} ended with {status}; its log:\n{}",
            process.log_tail()
        );
    }
    Ok(())
}
