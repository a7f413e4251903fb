//! Processor time for a request on the wire.
//!
//! The recorded requests come so densely that each connection has its next request waiting: so
//! firing goes as fast as one core can, as wrk and oha do with as many connections. A run fires
//! at two twins, so it has two requests on the wire for each recorded one, over twice the
//! connections of one twin.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::super::line::{Line, median};
use super::super::stream::children_seconds;
use super::super::traffic::Paced;
use super::Effort;
use super::server::{Server, answer};
use super::twintap::{RunSettings, Twintap, number, on_core};

/// The core of the clients.
const CORE: &str = "0";
/// Connections of a peer; each twin has half.
const CONNECTIONS: u32 = 64;
const EXCHANGES: u32 = 100_000;
/// How long a peer runs each time.
const PEER_SECONDS: &str = "4";
/// What a request may cost, in those of wrk.
const BAR: f64 = 1.67;

/// What one turn came to, for a request on the wire.
#[derive(Clone, Copy, Debug)]
struct Turn {
    cpu_us: f64,
    per_second: f64,
}

/// What one turn of ours came to beside that, for a request on the wire.
#[derive(Clone, Copy, Debug)]
struct Beside {
    load_us: f64,
    compare_us: f64,
    spun_us: f64,
}

/// Measures.
pub fn run(twintap: &Twintap, effort: Effort) -> Result<Vec<Line>> {
    let server = Server::start(&twintap.folder)?;
    let archive = twintap.import(
        "cost",
        Paced {
            flows: CONNECTIONS / 2,
            exchanges: EXCHANGES,
            spacing_us: 10,
            response: answer(),
        },
    )?;
    let oha = find_oha();
    let url = format!("http://{}/items/1/1000", server.addresses[0]);
    let (mut ours, mut beside) = (Vec::new(), Vec::new());
    let (mut by_wrk, mut by_oha) = (Vec::new(), Vec::new());
    for _ in 0..effort.rounds.max(1) {
        let (turn, extra) = our_turn(twintap, &archive, &server)?;
        ours.push(turn);
        beside.push(extra);
        by_wrk.push(wrk(&url)?);
        eprintln!("twintap {turn:.2?} {extra:.2?}, wrk {:.2?}", by_wrk.last());
        if let Some(oha) = &oha {
            by_oha.push(oha_turn(oha, &url, &twintap.folder)?);
        }
    }
    let mut lines = Vec::new();
    if oha.is_none() {
        eprintln!("oha is missing; type: cargo install oha --locked --root target/tools");
    }
    let fired = middle(&ours, |turn| turn.cpu_us);
    for (peer, turns, bar) in [
        ("wrk -t1 -c64", by_wrk, Some(BAR)),
        ("oha -c64", by_oha, None),
    ] {
        if turns.is_empty() {
            continue;
        }
        let theirs = middle(&turns, |turn| turn.cpu_us);
        lines.push(Line {
            metric: "client CPU for a request on the wire".to_owned(),
            unit: "us",
            ours: fired,
            peer: peer.to_owned(),
            theirs,
            ratio: fired / theirs,
            bar: if bar.is_some() { "<= 1.67" } else { "reported" },
            meets: bar.is_none_or(|bar| fired / theirs <= bar),
        });
        let (rate, theirs) = (
            middle(&ours, |turn| turn.per_second),
            middle(&turns, |turn| turn.per_second),
        );
        lines.push(Line {
            metric: "requests a second of one core, all of our threads on it".to_owned(),
            unit: "1/s",
            ours: rate,
            peer: peer.to_owned(),
            theirs,
            ratio: rate / theirs,
            bar: "reported",
            meets: true,
        });
    }
    lines.extend(parts(&beside, fired));
    Ok(lines)
}

/// What belongs to a run's cost, beside the client CPU of `fired` microseconds.
fn parts(turns: &[Beside], fired: f64) -> [Line; 3] {
    let line = |metric: &str, part: f64| Line {
        metric: metric.to_owned(),
        unit: "us",
        ours: part,
        peer: "client CPU".to_owned(),
        theirs: fired,
        ratio: part / fired,
        bar: "reported",
        meets: true,
    };
    [
        line(
            "of the client CPU, reading the archive",
            middle(turns, |turn| turn.load_us),
        ),
        line(
            "of the client CPU, spinning before due times",
            middle(turns, |turn| turn.spun_us),
        ),
        line(
            "comparison's CPU for a request on the wire, beside the client's",
            middle(turns, |turn| turn.compare_us),
        ),
    ]
}

fn our_turn(twintap: &Twintap, archive: &Path, server: &Server) -> Result<(Turn, Beside)> {
    let settings = RunSettings {
        core: Some(CORE),
        // Waiting for the connection is the point here, and the comparison comes after.
        lines: "timeouts: {wait: 10m}\nlimits: {held_answer_bytes: 4294967296}",
    };
    let fired = twintap.replay(archive, server.addresses, settings)?;
    let requests = number(&fired, "/candidate/ledger/answered")?
        + number(&fired, "/baseline/ledger/answered")?;
    let us = |key: &str| Ok::<_, anyhow::Error>(number(&fired, key)? / 1000.0 / requests);
    let load_us = us("/load_cpu_ns")?;
    let turn = Turn {
        cpu_us: us("/wire_cpu_ns")? + load_us,
        per_second: requests / (number(&fired, "/wall_ns")? / 1e9),
    };
    let beside = Beside {
        load_us,
        compare_us: us("/compare_cpu_ns")?,
        spun_us: us("/spun_ns")?,
    };
    Ok((turn, beside))
}

fn wrk(url: &str) -> Result<Turn> {
    let connections = CONNECTIONS.to_string();
    let duration = format!("-d{PEER_SECONDS}s");
    let args = ["-t1", "-c", &connections, &duration, url];
    let (printed, cpu_seconds) = peer("wrk", &args)
        .context("the peer is missing or failed; type: apt-get install -y wrk")?;
    let requests = word_before(&printed, "requests in").context("wrk prints no requests")?;
    let per_second = printed
        .lines()
        .find_map(|line| {
            line.trim()
                .strip_prefix("Requests/sec:")?
                .trim()
                .parse()
                .ok()
        })
        .context("wrk prints no rate")?;
    Ok(Turn {
        cpu_us: cpu_seconds * 1e6 / requests,
        per_second,
    })
}

fn oha_turn(oha: &str, url: &str, folder: &Path) -> Result<Turn> {
    let duration = format!("{PEER_SECONDS}s");
    let connections = CONNECTIONS.to_string();
    let output = folder.join("oha.json");
    let output_text = output.display().to_string();
    let args = [
        "--no-tui",
        "--output-format",
        "json",
        "--output",
        &output_text,
        "-z",
        &duration,
        "-c",
        &connections,
        url,
    ];
    let (_, cpu_seconds) = peer(oha, &args)?;
    let printed: Value = serde_json::from_str(&fs::read_to_string(&output)?)?;
    let answers = printed["statusCodeDistribution"]["200"]
        .as_f64()
        .context("oha counts no answers")?;
    Ok(Turn {
        cpu_us: cpu_seconds * 1e6 / answers,
        per_second: number(&printed, "/summary/requestsPerSec")?,
    })
}

/// Runs a peer on the clients' core; gives what it printed, and its user and system time.
fn peer(program: &str, args: &[&str]) -> Result<(String, f64)> {
    let before = children_seconds()?;
    let output = on_core(CORE, program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((printed, children_seconds()? - before))
}

fn find_oha() -> Option<String> {
    let own = crate::workspace_root().join("target/tools/bin/oha");
    [own.display().to_string(), "oha".to_owned()]
        .into_iter()
        .find(|program| {
            let version = Command::new(program).arg("--version").output();
            version.is_ok_and(|output| output.status.success())
        })
}

/// The number that stands before `words`.
fn word_before(text: &str, words: &str) -> Option<f64> {
    let (before, _) = text.split_once(words)?;
    before.split_whitespace().last()?.parse().ok()
}

fn middle<T>(turns: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    median(&mut turns.iter().map(figure).collect::<Vec<_>>())
}
