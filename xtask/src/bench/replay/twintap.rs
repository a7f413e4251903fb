//! Our side: import of a generated capture, and a run of it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::super::traffic::Paced;
use crate::target_directory;

/// The program, and a folder for what it works on, which goes on drop.
pub struct Twintap {
    program: PathBuf,
    /// The folder.
    pub folder: PathBuf,
}

/// What is said about a run beside its twins.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunSettings<'a> {
    /// The core that it is kept to.
    pub core: Option<&'a str>,
    /// Further lines of the run file.
    pub lines: &'a str,
}

impl Twintap {
    /// Builds it.
    pub fn build(shell: &Shell) -> Result<Twintap> {
        cmd!(
            shell,
            "cargo build --profile dist --package twintap-replayer --bin twintap"
        )
        .run()?;
        let folder = std::env::temp_dir().join(format!("twintap-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Twintap {
            program: target_directory().join("dist/twintap"),
            folder,
        })
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Generates a capture and imports it; gives the archive.
    pub fn import(&self, name: &str, traffic: Paced) -> Result<PathBuf> {
        let file = self.folder.join(format!("{name}.pcap"));
        traffic.write(&file)?;
        let archive = self.folder.join(name);
        let output = Command::new(&self.program)
            .arg("import")
            .arg(&file)
            .arg("--archive")
            .arg(&archive)
            .args(["--policy", "allow-all"])
            .output()
            .context("running twintap import")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        fs::remove_file(&file)?;
        Ok(archive)
    }

    /// Starts to replay an archive. What it prints is lost.
    pub fn start(
        &self,
        archive: &Path,
        twins: [SocketAddr; 2],
        settings: RunSettings,
    ) -> Result<Child> {
        self.command(archive, twins, settings)?
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("running twintap replay")
    }

    fn command(
        &self,
        archive: &Path,
        twins: [SocketAddr; 2],
        settings: RunSettings,
    ) -> Result<Command> {
        let run_file = self.folder.join("run.yaml");
        fs::write(&run_file, run_file_text(archive, twins, settings.lines))?;
        let mut command = match settings.core {
            Some(core) => on_core(core, &self.program.display().to_string()),
            None => Command::new(&self.program),
        };
        command.arg("replay").arg(&run_file).stdin(Stdio::null());
        Ok(command)
    }

    /// Replays an archive and gives what `run.json` says of firing. Each request must have been
    /// answered by both twins.
    pub fn replay(
        &self,
        archive: &Path,
        twins: [SocketAddr; 2],
        settings: RunSettings,
    ) -> Result<Value> {
        let output = self
            .command(archive, twins, settings)?
            .output()
            .context("running twintap replay")?;
        // 0 and 1 are verdicts.
        if !matches!(output.status.code(), Some(0 | 1)) {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        let text = fs::read_to_string(self.folder.join("results/run.json"))?;
        let mut record: Value = serde_json::from_str(&text)?;
        let fired = record["fired"].take();
        for twin in ["candidate", "baseline"] {
            let ledger = &fired[twin]["ledger"];
            ensure!(
                ledger["answered"] == ledger["planned"] && ledger["planned"] != 0,
                "the {twin} did not answer all: {ledger}"
            );
        }
        Ok(fired)
    }
}

impl Drop for Twintap {
    fn drop(&mut self) {
        // What can't be removed is in the directory for what nobody needs.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A command that is kept to a core and, where that is allowed, goes before what else runs on
/// this machine: as the firing thread asks for by itself.
pub fn on_core(core: &str, program: &str) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "-10", "taskset", "-c", core, program]);
    command
}

/// A number of `run.json`.
pub fn number(fired: &Value, pointer: &str) -> Result<f64> {
    fired
        .pointer(pointer)
        .and_then(Value::as_f64)
        .with_context(|| format!("run.json has no number at {pointer}"))
}

fn run_file_text(archive: &Path, twins: [SocketAddr; 2], lines: &str) -> String {
    let [candidate, baseline] = twins;
    format!(
        "version: 1\narchive: {archive}\npolicy: allow-all\noutput: results\n\
         targets:\n  candidate: {{address: \"{candidate}\"}}\n  baseline: {{address: \"{baseline}\"}}\n\
         allow: [\"{candidate}\", \"{baseline}\"]\n{lines}\n",
        archive = archive.display()
    )
}
