//! What a running process takes.

use std::fs;
use std::process::Child;

use anyhow::{Context, Result};

/// A process of ours, which ends on drop.
pub struct Running(pub Child);

/// What a process took so far.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// User and system time.
    pub cpu_s: f64,
    /// Memory that it holds now.
    pub resident_bytes: f64,
    /// The most that it held.
    pub peak_bytes: f64,
}

impl Running {
    /// What it took so far.
    ///
    /// # Errors
    /// When it is there no longer.
    pub fn taken(&self) -> Result<Taken> {
        let place = format!("/proc/{}", self.0.id());
        let status = fs::read_to_string(format!("{place}/status"))
            .with_context(|| format!("reading {place}/status"))?;
        let stat = fs::read_to_string(format!("{place}/stat"))
            .with_context(|| format!("reading {place}/stat"))?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib: f64 = line?.split_whitespace().next()?.parse().ok()?;
            Some(kib * 1024.0)
        };
        Ok(Taken {
            cpu_s: seconds(&stat).context("/proc/PID/stat")?,
            resident_bytes: bytes("VmRSS:").context("VmRSS in /proc/PID/status")?,
            peak_bytes: bytes("VmHWM:").context("VmHWM in /proc/PID/status")?,
        })
    }
}

impl Running {
    /// How many file descriptors it has open.
    ///
    /// # Errors
    /// When it is there no longer.
    pub fn descriptors(&self) -> Result<usize> {
        let place = format!("/proc/{}/fd", self.0.id());
        let open = fs::read_dir(&place).with_context(|| format!("reading {place}"))?;
        Ok(open.count())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// User and system time of a process, in Linux's ticks of 10 ms.
fn seconds(stat: &str) -> Option<f64> {
    // Fields 14 and 15; the two before the bracket are cut off, and counting begins at 1.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
