//! A cgroup v2 of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A cgroup v2 that this process made; removed on drop.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes a cgroup with a name that begins with `twintap-NAME`.
    pub fn new(name: &str) -> Result<Cgroup> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = mount()?.join(format!("twintap-{name}-{}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("making the cgroup {}", path.display()))?;
        Ok(Cgroup { path })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file that takes process ids.
    pub fn procs(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The processes in it have just been killed by their owners; a cgroup is
        // busy until the kernel has reaped them.
        for _ in 0..200 {
            if fs::remove_dir(&self.path).is_ok() || !self.path.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("the cgroup {} is still busy", self.path.display());
    }
}

/// Where cgroup v2 is mounted.
pub fn mount() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")?;
    for line in mounts.lines() {
        let mut parts = line.split(' ');
        if let (Some(_), Some(path), Some("cgroup2")) = (parts.next(), parts.next(), parts.next()) {
            return Ok(PathBuf::from(path));
        }
    }
    bail!("no cgroup v2 is mounted on this machine")
}
