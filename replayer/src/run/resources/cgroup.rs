//! A control group of version 2 (`Documentation/admin-guide/cgroup-v2.rst` of Linux).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use twintap_verdict::Resource;

use super::Use;

/// A control group.
#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
}

impl Cgroup {
    /// The one with this directory.
    ///
    /// # Errors
    /// When it is none, or memory is not counted in it.
    pub fn open(directory: &Path) -> Result<Cgroup> {
        let file = directory.join("memory.stat");
        fs::read_to_string(&file).with_context(|| {
            format!(
                "reading {}; a control group of version 2 with the controller `memory` is wanted",
                file.display()
            )
        })?;
        Ok(Cgroup {
            directory: directory.to_owned(),
        })
    }

    pub fn look(&self) -> Use {
        let mut found = Use::new();
        // Not what is cached of files: the kernel takes that back.
        if let Some(bytes) = self.read("memory.stat").as_deref().and_then(anonymous) {
            found.insert(Resource::Memory, bytes);
        }
        if let Some(threads) = self.number("pids.current") {
            found.insert(Resource::Threads, threads);
        }
        found
    }

    pub fn limits(&self) -> Use {
        let limits = [
            (Resource::Memory, "memory.max"),
            (Resource::Threads, "pids.max"),
        ];
        let found = limits
            .into_iter()
            .filter_map(|(resource, file)| Some((resource, self.number(file)?)));
        found.collect()
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.directory.join(file)).ok()
    }

    /// None where the file says `max`.
    fn number(&self, file: &str) -> Option<f64> {
        self.read(file)?.trim().parse().ok()
    }
}

/// Bytes of anonymous memory, kernel memory and shared memory.
fn anonymous(stat: &str) -> Option<f64> {
    let values = stat.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        let counts = matches!(name, "anon" | "kernel" | "shmem");
        value.parse::<f64>().ok().filter(|_| counts)
    });
    values.reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_group_are_read() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let write = |file: &str, text: &str| {
            fs::write(directory.path().join(file), text).expect("there is room");
        };
        assert!(Cgroup::open(directory.path()).is_err());
        write("memory.stat", "anon 4096\nfile 8192\nkernel 10\nshmem 1\n");
        write("memory.max", "max\n");
        write("pids.current", "7\n");
        write("pids.max", "100\n");
        let group = Cgroup::open(directory.path()).expect("it is a group");
        let expected = [(Resource::Memory, 4107.0), (Resource::Threads, 7.0)];
        assert_eq!(group.look(), Use::from(expected));
        assert_eq!(group.limits(), Use::from([(Resource::Threads, 100.0)]));
    }
}
