//! A capture file to exchanges, beside tshark and tcpflow on the same bytes, one core.
//!
//! Ours is the example `read_pcap`: it decodes, reassembles, parses, and prints each exchange.
//! tshark dissects with its defaults, which reassemble TCP streams and HTTP bodies, and prints
//! the fields of each request and response. tcpflow only reassembles, and writes each direction
//! to a file of its own. What counts is the time on the processor, so that a busy machine
//! changes little.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use super::ingest::utf8;
use super::line::{Line, median};
use super::traffic::{SEGMENT, Traffic};
use crate::target_directory;

const WORKLOADS: &[(&str, Traffic)] = &[
    (
        "large bodies",
        Traffic {
            mib: 0,
            body_bytes: 1 << 20,
            exchanges_per_flow: 8,
            segment_bytes: SEGMENT,
        },
    ),
    (
        "large bodies in segments of 32 KiB",
        Traffic {
            mib: 0,
            body_bytes: 1 << 20,
            exchanges_per_flow: 8,
            segment_bytes: 32 << 10,
        },
    ),
    (
        "small keep-alive exchanges",
        Traffic {
            mib: 0,
            body_bytes: 512,
            exchanges_per_flow: 200,
            segment_bytes: SEGMENT,
        },
    ),
    (
        "short flows",
        Traffic {
            mib: 0,
            body_bytes: 512,
            exchanges_per_flow: 1,
            segment_bytes: SEGMENT,
        },
    ),
];

/// Fields of requests and responses; `http` alone passes the display filter.
const TSHARK: &[&str] = &[
    "-n",
    "-Y",
    "http",
    "-T",
    "fields",
    "-e",
    "http.request.method",
    "-e",
    "http.request.uri",
    "-e",
    "http.response.code",
    "-r",
];

/// Measures MiB/s of each workload.
pub fn run(shell: &Shell, rounds: usize, mib: u64) -> Result<Vec<Line>> {
    let tshark = version("tshark")?;
    let tcpflow = version("tcpflow")?;
    cmd!(
        shell,
        "cargo build --release --package twintap-stream --example read_pcap"
    )
    .run()?;
    let ours = target_directory().join("release/examples/read_pcap");
    let folder = std::env::temp_dir().join(format!("twintap-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut lines = Vec::new();
    for (name, traffic) in WORKLOADS {
        let measured = measure(&ours, &folder, Traffic { mib, ..*traffic }, rounds);
        if measured.is_err() {
            fs::remove_dir_all(&folder)?;
        }
        let [ours, by_tshark, by_tcpflow] = measured?;
        eprintln!("{name}: {ours:.0} MiB/s, tshark {by_tshark:.1}, tcpflow {by_tcpflow:.1}");
        let line = |peer: &str, theirs: f64, bar, least: f64| Line {
            metric: (*name).to_owned(),
            unit: "MiB/s",
            ours,
            peer: peer.to_owned(),
            theirs,
            ratio: ours / theirs,
            bar,
            meets: ours / theirs >= least,
        };
        lines.push(line(&tshark, by_tshark, ">= 10", 10.0));
        lines.push(line(&tcpflow, by_tcpflow, ">= 1", 1.0));
        if traffic.body_bytes >= 1 << 20 {
            lines.push(line("1 GiB/s", 1024.0, ">= 1", 1.0));
        }
    }
    fs::remove_dir_all(&folder)?;
    lines.extend(memory(shell)?);
    Ok(lines)
}

/// Bytes that an idle flow takes, and what an exchange allocates.
fn memory(shell: &Shell) -> Result<Vec<Line>> {
    const IDLE_BYTES: f64 = 1024.0;
    let printed = cmd!(
        shell,
        "cargo run --quiet --release --package twintap-stream --example memory"
    )
    .read()?;
    let figures = printed.lines().map(|line| {
        let figure: Figure = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let is_idle = figure.metric.contains("idle_flow");
        let limit = match is_idle {
            true => IDLE_BYTES,
            false => figure.value,
        };
        Ok(Line {
            metric: figure.metric,
            unit: if figure.unit == "bytes" {
                "bytes"
            } else {
                "allocations"
            },
            ours: figure.value,
            peer: if is_idle { "1 KiB" } else { "itself" }.to_owned(),
            theirs: limit,
            ratio: figure.value / limit,
            bar: if is_idle { "< 1" } else { "reported" },
            meets: !is_idle || figure.value < IDLE_BYTES,
        })
    });
    figures.collect()
}

/// A line of the example `memory`.
#[derive(serde::Deserialize)]
struct Figure {
    metric: String,
    unit: String,
    value: f64,
}

/// Median MiB/s of ours, tshark and tcpflow, turn by turn.
fn measure(ours: &Path, folder: &Path, traffic: Traffic, rounds: usize) -> Result<[f64; 3]> {
    let file = folder.join("traffic.pcap");
    let exchanges = traffic.write(&file)?;
    let size = fs::metadata(&file)?.len() as f64 / f64::from(1 << 20);
    let (file, ours) = (utf8(&file)?, utf8(ours)?);
    let flows = folder.join("flows");
    let printed = folder.join("printed");
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds.max(1) {
        rates[0].push(size / cpu_seconds(ours, &[file], &printed)?);
        let lines = fs::read(&printed)?.split(|byte| *byte == b'\n').count() as u64 - 1;
        ensure!(lines == exchanges, "found {lines} of {exchanges} exchanges");

        let tshark: Vec<&str> = TSHARK.iter().copied().chain([file]).collect();
        rates[1].push(size / cpu_seconds("tshark", &tshark, &printed)?);
        let lines = fs::read(&printed)?.split(|byte| *byte == b'\n').count() as u64 - 1;
        ensure!(
            lines == 2 * exchanges,
            "tshark found {lines} messages of {exchanges} exchanges"
        );

        fs::create_dir_all(&flows)?;
        rates[2].push(size / cpu_seconds("tcpflow", &["-r", file, "-o", utf8(&flows)?], &printed)?);
        fs::remove_dir_all(&flows)?;
    }
    Ok(rates.map(|mut rates| median(&mut rates)))
}

/// The processor's time in a program that is kept to one core.
fn cpu_seconds(program: &str, args: &[&str], output: &Path) -> Result<f64> {
    let before = children_seconds()?;
    let output = fs::File::create(output).with_context(|| output.display().to_string())?;
    let status = Command::new("taskset")
        .args(["-c", "0", program])
        .args(args)
        .stdout(output)
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("running {program}"))?;
    if !status.success() {
        bail!("{program} failed: {status}");
    }
    Ok(children_seconds()? - before)
}

/// User and system time of all children that ended, in Linux's ticks of 10 ms.
pub fn children_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit_once(") ")
        .map_or("", |(_, rest)| rest)
        .split(' ')
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
    };
    // Fields 16 and 17; the two before the bracket are cut off, and counting begins at 1.
    let (user, system) = ticks(13).zip(ticks(14)).context("/proc/self/stat")?;
    Ok((user + system) as f64 / 100.0)
}

fn version(peer: &str) -> Result<String> {
    // Some end with an error after they named their version.
    let Ok(output) = Command::new(peer).arg("--version").output() else {
        bail!("the peer is missing; type: apt-get install -y {peer}");
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(text.lines().next().unwrap_or(peer).to_owned())
}
