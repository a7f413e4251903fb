//! From ready to first byte written, at fixed rates, turn by turn with a spinning thread.

use std::time::Duration;

use anyhow::{Context, Result};

use super::super::line::{Line, median};
use super::super::traffic::Paced;
use super::Effort;
use super::server::{Server, answer};
use super::spinner;
use super::twintap::{RunSettings, Twintap, number};

/// Recorded requests a second; each goes to two twins.
const RATES: [u32; 3] = [1_000, 5_000, 10_000];
/// Connections to each twin; a session has one.
const CONNECTIONS: [u32; 2] = [100, 10_000];
/// File descriptors that are no connections to a twin.
const OTHER_DESCRIPTORS: u64 = 200;
/// How much later than the spinner's the 99th percentile may be.
const BAR_US: f64 = 50.0;

const QUANTILES: [(&str, f64, &str); 4] = [
    ("p50", 0.5, "/release_error/p50_us"),
    ("p99", 0.99, "/release_error/p99_us"),
    ("p99.9", 0.999, "/release_error/p999_us"),
    ("max", 1.0, "/release_error/max_us"),
];

/// Measures.
pub fn run(twintap: &Twintap, effort: Effort) -> Result<Vec<Line>> {
    let descriptors = raise_file_limit()?;
    let most = descriptors.saturating_sub(OTHER_DESCRIPTORS) / 2;
    let server = Server::start(&twintap.folder)?;
    let mut lines = Vec::new();
    for asked in CONNECTIONS {
        let connections = asked.min(u32::try_from(most).unwrap_or(u32::MAX));
        if connections < asked {
            eprintln!(
                "{connections} connections to each twin in place of {asked}: this machine gives \
                 {descriptors} file descriptors; see ulimit -Hn"
            );
        }
        for rate in RATES {
            lines.extend(at_rate(twintap, &server, effort, connections, rate)?);
        }
    }
    Ok(lines)
}

/// As many file descriptors as there can be, for this process and what it starts.
pub fn raise_file_limit() -> Result<u64> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let wanted = u64::from(CONNECTIONS[1]) * 2 + OTHER_DESCRIPTORS;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        // Beyond what was given at the start only the privileged get more.
        let mut more = limit;
        (more.current, more.maximum) = (Some(wanted), Some(wanted));
        if setrlimit(Resource::Nofile, more).is_ok() {
            return Ok(wanted);
        }
    }
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raising the limit of file descriptors")?;
    Ok(limit.maximum.unwrap_or(wanted))
}

fn at_rate(
    twintap: &Twintap,
    server: &Server,
    effort: Effort,
    connections: u32,
    rate: u32,
) -> Result<Vec<Line>> {
    let rounds = effort.rounds.max(1);
    let seconds = effort.seconds.div_ceil(rounds as u32).max(1);
    // Every connection is used at least once.
    let exchanges = (rate * seconds).max(connections);
    let spacing = Duration::from_secs(1) / rate;
    let archive = twintap.import(
        &format!("release-{connections}-{rate}"),
        Paced {
            flows: connections,
            exchanges,
            spacing_us: spacing.as_micros() as u64,
            response: answer(),
        },
    )?;
    let mut ours = [const { Vec::new() }; 4];
    let mut spun = [const { Vec::new() }; 4];
    let (mut stolen_ms, mut late_us) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let settings = RunSettings {
            lines: "limits: {connections: 20000, in_flight: 20000}",
            ..RunSettings::default()
        };
        let fired = twintap.replay(&archive, server.addresses, settings)?;
        let errors = spinner::errors(exchanges, spacing);
        for (place, (_, share, pointer)) in QUANTILES.into_iter().enumerate() {
            ours[place].push(number(&fired, pointer)?);
            spun[place].push(spinner::quantile_us(&errors, share));
        }
        stolen_ms.push(number(&fired, "/steal_ns").unwrap_or(0.0) / 1e6);
        late_us.push(number(&fired, "/candidate/lateness/p99_us")?);
    }
    std::fs::remove_dir_all(&archive)?;
    let what = format!("{rate} requests a second at each twin over {connections} connections");
    let mut lines = Vec::new();
    for (place, (name, ..)) in QUANTILES.into_iter().enumerate() {
        let [ours, theirs] = [&mut ours[place], &mut spun[place]].map(|turns| match name {
            "max" => turns.iter().copied().fold(0.0, f64::max),
            _ => median(turns),
        });
        let has_bar = name == "p99";
        lines.push(Line {
            metric: format!("release error {name}, {what}"),
            unit: "us",
            ours,
            peer: "spinning thread".to_owned(),
            theirs,
            ratio: ours / theirs.max(0.001),
            bar: if has_bar {
                "<= theirs + 50 us"
            } else {
                "reported"
            },
            meets: !has_bar || ours <= theirs + BAR_US,
        });
        eprintln!("{name}, {what}: {ours:.1} us, spinning thread {theirs:.1} us");
    }
    for (metric, unit, mut values) in [
        ("time stolen by the hypervisor", "ms", stolen_ms),
        ("lateness p99 (ready after due)", "us", late_us),
    ] {
        let value = median(&mut values);
        lines.push(Line {
            metric: format!("{metric}, {what}"),
            unit,
            ours: value,
            peer: "itself".to_owned(),
            theirs: value,
            ratio: 1.0,
            bar: "reported",
            meets: true,
        });
    }
    Ok(lines)
}
