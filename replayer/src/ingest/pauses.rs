//! Which agents are to capture nothing. It is kept in a file beside the archive, so
//! that a restart of the daemon does not set off what somebody has stopped.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::replace::replace;

/// Stands for all nodes; no node is called so, since its name has no slash.
const ALL: &str = "/";

/// The paused nodes.
#[derive(Debug)]
pub struct Pauses {
    file: PathBuf,
    nodes: BTreeSet<String>,
}

impl Pauses {
    /// Those in `file`, a node on each line; none when there is no file.
    ///
    /// # Errors
    /// When the file is there and can't be read.
    pub fn load(file: PathBuf) -> Result<Pauses> {
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", file.display()));
            }
        };
        let nodes = text.lines().map(str::to_owned).collect();
        Ok(Pauses { file, nodes })
    }

    /// Whether the agent of `node` is to capture nothing.
    pub fn has(&self, node: &str) -> bool {
        self.nodes.contains(ALL) || self.nodes.contains(node)
    }

    /// Pauses a node, or all with those to come, or lets them go on. It holds at once, also
    /// where it can't be written.
    ///
    /// # Errors
    /// When a restart would forget it; when one node of all is to go on.
    pub fn set(&mut self, node: Option<&str>, paused: bool) -> Result<()> {
        match (node, paused) {
            (Some(_), false) if self.nodes.contains(ALL) => {
                bail!("all agents are paused: resume all, then pause those that are to stay so");
            }
            (node, true) => {
                self.nodes.insert(node.unwrap_or(ALL).to_owned());
            }
            (Some(node), false) => {
                self.nodes.remove(node);
            }
            (None, false) => self.nodes.clear(),
        }
        self.write().with_context(|| {
            format!(
                "done, but a restart forgets it: writing {}",
                self.file.display()
            )
        })
    }

    fn write(&self) -> Result<()> {
        let text: String = self.nodes.iter().map(|node| format!("{node}\n")).collect();
        Ok(replace(&self.file, text.as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::Pauses;

    #[test]
    fn pauses_outlive_the_daemon() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("archive.paused");
        let load = || Pauses::load(file.clone()).expect("it can be read");
        let mut pauses = load();
        assert!(!pauses.has("a"));
        pauses.set(Some("a"), true).expect("written");
        let mut pauses = load();
        assert!(pauses.has("a") && !pauses.has("b"));
        pauses.set(None, true).expect("written");
        assert!(load().has("b"));
        assert!(pauses.set(Some("b"), false).is_err(), "all are paused");
        pauses.set(None, false).expect("written");
        assert!(!load().has("a"), "resuming all resumes each");
    }

    #[test]
    fn a_pause_that_cannot_be_written_holds_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("nowhere/archive.paused");
        let mut pauses = Pauses::load(file).expect("there is none");
        let error = pauses.set(None, true).expect_err("there is no folder");
        assert!(error.to_string().contains("restart"), "{error}");
        assert!(pauses.has("a"));
    }
}
