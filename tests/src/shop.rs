//! The sample shop as a service of its own, and its driver.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::Start;
use crate::{Binaries, Cgroup, Process};

/// A running shop; ends on drop.
#[derive(Debug)]
pub struct Shop {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Shop {
    /// Starts a shop on a free port of 127.0.0.1, with `extra` flags, in `cgroup` if given.
    pub fn start(
        binaries: &Binaries,
        logs: &Path,
        cgroup: Option<&Cgroup>,
        extra: &[&str],
    ) -> Result<Shop> {
        Shop::start_at("127.0.0.1:0", binaries, logs, cgroup, extra)
    }

    /// The same at this address.
    pub fn start_at(
        listen: &str,
        binaries: &Binaries,
        logs: &Path,
        cgroup: Option<&Cgroup>,
        extra: &[&str],
    ) -> Result<Shop> {
        let mut args = vec!["--listen", listen, "--state", ":memory:"];
        args.extend_from_slice(extra);
        let mut start = Start::new(binaries.path("twintap-shop")?, args, logs);
        if let Some(cgroup) = cgroup {
            start = start.in_cgroup(cgroup);
        }
        let mut process = start.spawn()?;
        let line = process.wait_for_line("listening on ", Duration::from_secs(60))?;
        let address = line
            .parse()
            .with_context(|| format!("the shop's address {line:?}"))?;
        Ok(Shop { process, address })
    }
}

/// Runs the driver against a shop to its end and returns its summary.
pub fn drive(
    binaries: &Binaries,
    logs: &Path,
    target: SocketAddr,
    extra: &[&str],
    limit: Duration,
) -> Result<Value> {
    let target = target.to_string();
    let mut args = vec!["--target", &target, "--summary", "json"];
    args.extend_from_slice(extra);
    let mut driver = Start::new(binaries.path("twintap-shop-driver")?, args, logs).spawn()?;
    let status = driver.wait(limit)?;
    let output = driver.rest_of_output().join("\n");
    if !status.success() {
        bail!(
            "the driver failed ({status}): {}\n{output}",
            driver.log_tail()
        );
    }
    serde_json::from_str(&output).with_context(|| format!("the driver's summary {output:?}"))
}
