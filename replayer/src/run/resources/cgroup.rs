//! A control group of version 2 (`Documentation/admin-guide/cgroup-v2.rst` of Linux).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use twintap_verdict::Resource;

use super::{Look, Use};

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

    /// What its processes use.
    ///
    /// # Errors
    /// When it has gone.
    pub fn look(&self) -> Result<Look, String> {
        let stat = self.read("memory.stat");
        let stat = stat.ok_or_else(|| format!("{} has gone", self.directory.display()))?;
        let mut used = Use::new();
        // Not what is cached of files: the kernel takes that back.
        if let Some(bytes) = anonymous(&stat) {
            used.insert(Resource::Memory, bytes);
        }
        if let Some(threads) = self.number("pids.current") {
            used.insert(Resource::Threads, threads);
        }
        let cpu = self.read("cpu.stat");
        let cpu_seconds = cpu.and_then(|text| line(&text, "usage_usec").map(|us| us / 1e6));
        Ok(Look { used, cpu_seconds })
    }

    /// The lowest limits of it and of the groups that it is in.
    pub fn limits(&self) -> Use {
        let files = [
            (Resource::Memory, "memory.max"),
            (Resource::Threads, "pids.max"),
        ];
        let mut limits = Use::new();
        for directory in self.directory.ancestors() {
            for (resource, file) in files {
                if let Some(limit) = number(&directory.join(file)) {
                    let lowest = limits.entry(resource).or_insert(limit);
                    *lowest = limit.min(*lowest);
                }
            }
        }
        limits
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.directory.join(file)).ok()
    }

    fn number(&self, file: &str) -> Option<f64> {
        number(&self.directory.join(file))
    }
}

/// None where the file says `max`.
fn number(file: &Path) -> Option<f64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The number on the line that begins with `name`.
fn line(stat: &str, name: &str) -> Option<f64> {
    stat.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.parse().ok())
}

/// Bytes of anonymous memory, kernel memory and shared memory.
fn anonymous(stat: &str) -> Option<f64> {
    let values = ["anon", "kernel", "shmem"]
        .into_iter()
        .filter_map(|name| line(stat, name));
    values.reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_group_are_read() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let directory = parent.path().join("twin");
        fs::create_dir(&directory).expect("there is room");
        let write = |file: &str, text: &str| {
            fs::write(directory.join(file), text).expect("there is room");
        };
        assert!(Cgroup::open(&directory).is_err());
        write("memory.stat", "anon 4096\nfile 8192\nkernel 10\nshmem 1\n");
        write("memory.max", "max\n");
        write("pids.current", "7\n");
        write("pids.max", "100\n");
        write("cpu.stat", "usage_usec 2500000\nuser_usec 2000000\n");
        let group = Cgroup::open(&directory).expect("it is a group");
        let look = group.look().expect("it is there");
        let expected = [(Resource::Memory, 4107.0), (Resource::Threads, 7.0)];
        assert_eq!(look.used, Use::from(expected));
        assert_eq!(look.cpu_seconds, Some(2.5));
        assert_eq!(group.limits(), Use::from([(Resource::Threads, 100.0)]));
        // What holds for the group around it holds for it.
        for (file, limit) in [("memory.max", "5000\n"), ("pids.max", "50\n")] {
            fs::write(parent.path().join(file), limit).expect("there is room");
        }
        let expected = [(Resource::Memory, 5000.0), (Resource::Threads, 50.0)];
        assert_eq!(group.limits(), Use::from(expected));
        fs::remove_dir_all(&directory).expect("it is there");
        assert!(group.look().expect_err("it is not").contains("has gone"));
    }
}
