//! A capture file to a stored archive, beside tshark on the same bytes, one core.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use super::line::{Line, median};
use super::traffic::{SEGMENT, Traffic};
use crate::target_directory;

/// Measures MiB/s for large bodies and for small keep-alive exchanges.
pub fn run(shell: &Shell, rounds: usize, mib: u64) -> Result<Vec<Line>> {
    if cmd!(shell, "tshark --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_err()
    {
        bail!("the peer is missing; type: apt-get install -y tshark");
    }
    cmd!(
        shell,
        "cargo build --release --package twintap-replayer --bin twintap"
    )
    .run()?;
    let directory = shell.current_dir().join("target/bench");
    fs::create_dir_all(&directory)?;
    let twintap = target_directory().join("release/twintap");
    let peer = cmd!(shell, "tshark --version").read()?;
    let peer = peer.lines().next().unwrap_or("tshark").to_owned();

    let mut lines = Vec::new();
    for (metric, body_bytes, per_flow) in [
        ("ingest of 64 KiB bodies", 64 * 1024, 50),
        ("ingest of 512 B keep-alive exchanges", 512, 200),
    ] {
        let file = directory.join(format!("{body_bytes}.pcap"));
        let traffic = Traffic {
            mib,
            body_bytes,
            exchanges_per_flow: per_flow,
            segment_bytes: SEGMENT,
        };
        traffic.write(&file)?;
        let size = fs::metadata(&file)?.len() as f64 / f64::from(1 << 20);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..rounds.max(1) {
            let archive = directory.join("archive");
            if archive.exists() {
                fs::remove_dir_all(&archive)?;
            }
            let (file, archive) = (utf8(&file)?, utf8(&archive)?);
            ours.push(
                size / seconds(
                    utf8(&twintap)?,
                    &[
                        "import",
                        file,
                        "--archive",
                        archive,
                        "--policy",
                        "allow-all",
                    ],
                )?,
            );
            theirs.push(
                size / seconds(
                    "tshark",
                    &[
                        "-n",
                        "-r",
                        file,
                        "-Y",
                        "http",
                        "-T",
                        "fields",
                        "-e",
                        "http.request.method",
                        "-e",
                        "http.response.code",
                    ],
                )?,
            );
        }
        fs::remove_file(&file)?;
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        lines.push(Line {
            metric: metric.to_owned(),
            unit: "MiB/s",
            ours,
            peer: peer.clone(),
            theirs,
            ratio: ours / theirs,
            bar: ">= 10",
            meets: ours / theirs >= 10.0,
        });
    }
    Ok(lines)
}

/// Seconds that a program takes on one core.
fn seconds(program: &str, args: &[&str]) -> Result<f64> {
    let start = Instant::now();
    let status = Command::new("taskset")
        .args(["-c", "0", program])
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("running {program}"))?;
    if !status.success() {
        bail!("{program} failed: {status}");
    }
    Ok(start.elapsed().as_secs_f64())
}

pub fn utf8(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is no UTF-8", path.display()))
}
