//! What a plan costs as sessions grow, and what an idle session holds in memory.
//!
//! Archives of a shop's sessions are written by the example `write_sessions` of the archive, and
//! planned by the program as users run it, up to its first request: one twin notes when a byte
//! of that arrives, and what the program took until then is read before it ends.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use super::super::line::{Line, median};
use super::Effort;
use super::process::{Running, Taken};
use super::twintap::{RunSettings, Twintap};
use crate::target_directory;

/// How many sessions are planned.
const SESSIONS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// What the costs of others are held against.
const BASE: u32 = 10_000;
/// What the cost of a session may grow by.
const BAR: f64 = 1.5;
/// Above it one round says enough.
const MOST_REPEATED: u32 = 100_000;
/// Planning that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What one plan took, up to the first request.
#[derive(Clone, Copy, Debug)]
struct Turn {
    wall_s: f64,
    taken: Taken,
}

/// A figure of a turn: its name, its unit, whether the bar holds for it, and how it is made.
type Figure = (&'static str, &'static str, bool, fn(&Turn, f64) -> f64);

const FIGURES: [Figure; 4] = [
    (
        "CPU for a session, read and planned",
        "us",
        true,
        |turn, sessions| turn.taken.cpu_s * 1e6 / sessions,
    ),
    (
        "time for a session, from start to first request",
        "us",
        false,
        |turn, sessions| turn.wall_s * 1e6 / sessions,
    ),
    (
        "memory for a session at the first request",
        "bytes",
        true,
        |turn, sessions| turn.taken.resident_bytes / sessions,
    ),
    (
        "memory for a session while planning, at most",
        "bytes",
        true,
        |turn, sessions| turn.taken.peak_bytes / sessions,
    ),
];

/// Measures plans of more and more sessions.
pub fn run(shell: &Shell, twintap: &Twintap, effort: Effort) -> Result<Vec<Line>> {
    cmd!(
        shell,
        "cargo build --release --package twintap-archive --example write_sessions"
    )
    .run()?;
    let mut middles = Vec::new();
    for sessions in SESSIONS {
        let archive = written(twintap, sessions)?;
        let rounds = match sessions {
            0..=MOST_REPEATED => effort.rounds.max(1),
            _ => 1,
        };
        let mut turns = Vec::new();
        for _ in 0..rounds {
            let turn = planned(twintap, &archive)?;
            eprintln!(
                "{sessions} sessions: first request after {:.2} s, {:.2?}",
                turn.wall_s, turn.taken
            );
            turns.push(turn);
        }
        fs::remove_dir_all(&archive)?;
        middles.push((sessions, turns));
    }
    let (_, base) = middles
        .iter()
        .find(|(sessions, _)| *sessions == BASE)
        .context("the base is one of those planned")?;
    let mut lines = Vec::new();
    for (sessions, turns) in &middles {
        for (name, unit, has_bar, figure) in FIGURES {
            let ours = middle(turns, *sessions, figure);
            let theirs = middle(base, BASE, figure);
            let has_bar = has_bar && *sessions > BASE;
            lines.push(Line {
                metric: format!("{name}, of {sessions} sessions of 4 requests"),
                unit,
                ours,
                peer: format!("of {BASE} sessions"),
                theirs,
                ratio: ours / theirs,
                bar: if has_bar { "<= 1.5" } else { "reported" },
                meets: !has_bar || ours / theirs <= BAR,
            });
        }
    }
    Ok(lines)
}

fn middle(turns: &[Turn], sessions: u32, figure: fn(&Turn, f64) -> f64) -> f64 {
    let figures = turns.iter().map(|turn| figure(turn, f64::from(sessions)));
    median(&mut figures.collect::<Vec<_>>())
}

/// An archive of so many sessions.
fn written(twintap: &Twintap, sessions: u32) -> Result<PathBuf> {
    let archive = twintap.folder.join(format!("sessions-{sessions}"));
    let status = Command::new(target_directory().join("release/examples/write_sessions"))
        .arg(&archive)
        .arg(sessions.to_string())
        .stdout(Stdio::null())
        .status()
        .context("running write_sessions")?;
    if !status.success() {
        bail!("write_sessions failed: {status}");
    }
    Ok(archive)
}

/// Plans an archive; what fires it ends at its first request.
fn planned(twintap: &Twintap, archive: &Path) -> Result<Turn> {
    let twins = [
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    ];
    let addresses = [twins[0].local_addr()?, twins[1].local_addr()?];
    let (arrived, first) = mpsc::channel();
    let [candidate, _baseline] = twins;
    // It stays in `accept` where the program fails; the process ends all the same.
    thread::spawn(move || {
        let (mut stream, _) = candidate.accept()?;
        stream.read_exact(&mut [0])?;
        // Nobody waits any longer where planning took too long.
        let _ = arrived.send(Instant::now());
        Ok::<_, std::io::Error>(())
    });
    let begun = Instant::now();
    let child = twintap.start(archive, addresses, RunSettings::default())?;
    let mut running = Running(child);
    let at = wait_for(&first, &mut running.0)?;
    Ok(Turn {
        wall_s: (at - begun).as_secs_f64(),
        taken: running.taken()?,
    })
}

/// When the first byte arrived.
fn wait_for(first: &mpsc::Receiver<Instant>, child: &mut Child) -> Result<Instant> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match first.recv_timeout(Duration::from_millis(200)) {
            Ok(at) => return Ok(at),
            Err(RecvTimeoutError::Disconnected) => bail!("the twin failed"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(status) = child.try_wait()? {
            bail!("the run ended before its first request: {status}");
        }
        if Instant::now() > deadline {
            bail!("no request in {PATIENCE:?}");
        }
    }
}
