//! What a session that waits for its next request holds in memory.
//!
//! Each session has one request and, seconds later, another one, so that before the second
//! ones all connections are open and idle. What the process holds then beyond what it held
//! before its first connection is beside wrk's with as many connections, each of them used.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::line::{Line, median};
use super::super::traffic::Paced;
use super::Effort;
use super::process::Running;
use super::release::raise_file_limit;
use super::server::{Server, answer};
use super::twintap::{RunSettings, Twintap, on_core};

/// Sessions; the memory of one is how much more the larger number takes.
const SESSIONS: [u32; 2] = [2_000, 8_000];
/// From a session's first request to its second: so long, the first requests of all come.
const IDLE: Duration = Duration::from_secs(6);
/// More descriptors than the program has before it connects.
const DESCRIPTORS: usize = 32;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longer than planning and the first requests take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long wrk runs.
const WRK_SECONDS: u64 = 4;

/// Measures.
pub fn run(twintap: &Twintap, effort: Effort) -> Result<Vec<Line>> {
    let needed = u64::from(SESSIONS[1]) * 2 + DESCRIPTORS as u64;
    let limit = raise_file_limit()?;
    if limit < needed {
        eprintln!("left out: idle sessions take {needed} file descriptors, and there are {limit}");
        return Ok(Vec::new());
    }
    let server = Server::start(&twintap.folder)?;
    let (mut ours, mut whole, mut by_wrk) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds.max(1) {
        let few = held(twintap, &server, SESSIONS[0])?;
        let many = held(twintap, &server, SESSIONS[1])?;
        let more = f64::from(SESSIONS[1] - SESSIONS[0]);
        // Each session has a connection to both twins.
        ours.push((many.grown - few.grown) / more / 2.0);
        whole.push((many.resident - few.resident) / more);
        let url = format!("http://{}/items/1/1000", server.addresses[0]);
        let [few, many] = [wrk(&url, SESSIONS[0])?, wrk(&url, SESSIONS[1])?];
        by_wrk.push((many - few) / more);
        eprintln!(
            "an idle connection {:.0} bytes, of wrk {:.0} bytes, a session {:.0} bytes",
            ours[ours.len() - 1],
            by_wrk[by_wrk.len() - 1],
            whole[whole.len() - 1]
        );
    }
    let [ours, whole, theirs] = [ours, whole, by_wrk].map(|mut values| median(&mut values));
    let line = |metric: &str, ours| Line {
        metric: metric.to_owned(),
        unit: "bytes",
        ours,
        peer: "wrk, a connection that was used".to_owned(),
        theirs,
        ratio: ours / theirs,
        bar: "reported",
        meets: true,
    };
    Ok(vec![
        line("memory for an idle connection to a twin", ours),
        line(
            "memory for an idle session: its plan, and connections to both twins",
            whole,
        ),
    ])
}

/// Memory of a run whose sessions are all idle, in bytes.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Since its first connection.
    grown: f64,
    resident: f64,
}

fn held(twintap: &Twintap, server: &Server, sessions: u32) -> Result<Held> {
    let archive = twintap.import(
        &format!("idle-{sessions}"),
        Paced {
            flows: sessions,
            exchanges: sessions * 2,
            spacing_us: IDLE.as_micros() as u64 / u64::from(sessions),
            response: answer(),
        },
    )?;
    let settings = RunSettings {
        lines: "limits: {connections: 20000}",
        ..RunSettings::default()
    };
    let running = Running(twintap.start(&archive, server.addresses, settings)?);
    let deadline = Instant::now() + PATIENCE;
    let mut before = None;
    let all = 2 * sessions as usize;
    let held = loop {
        let open = running.descriptors()?;
        let resident = running.taken()?.resident_bytes;
        if open < DESCRIPTORS {
            before = Some(resident);
        } else if open > all {
            let before = before.context("the program was seen before it connected")?;
            break Held {
                grown: resident - before,
                resident,
            };
        }
        ensure!(Instant::now() < deadline, "{open} connections, not {all}");
        thread::sleep(LOOK_EVERY);
    };
    std::fs::remove_dir_all(&archive)?;
    Ok(held)
}

/// Memory of wrk with so many connections, in bytes.
fn wrk(url: &str, connections: u32) -> Result<f64> {
    let child = on_core("0", "wrk")
        .args(["-t1", "-c", &connections.to_string()])
        .args([&format!("-d{WRK_SECONDS}s"), url])
        .stdout(Stdio::null())
        .spawn()
        .context("the peer is missing; type: apt-get install -y wrk")?;
    let running = Running(child);
    thread::sleep(Duration::from_secs(WRK_SECONDS) * 3 / 4);
    Ok(running.taken()?.resident_bytes)
}
