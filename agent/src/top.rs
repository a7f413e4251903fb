//! `twintap-agent top`: what a running agent does and costs, from its metrics.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

/// How long the agent has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// No agent's metrics are longer.
const MOST_BYTES: u64 = 4 << 20;
/// Clears a terminal and goes to its first place.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What to show, and how.
#[derive(Clone, Copy, Debug, Args)]
pub struct Options {
    /// Where the agent serves its metrics: its --metrics-addr.
    #[arg(value_name = "ADDRESS")]
    pub address: SocketAddr,
    /// How to print: on a terminal, text is one page that changes.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Seconds from one look to the next.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// End after so many lines or pages [default: never].
    #[arg(long, value_name = "COUNT")]
    pub count: Option<u64>,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Jsonl,
}

/// Prints what the agent does until it is interrupted, or as often as was asked for.
///
/// # Errors
///
/// When the agent does not answer, or what it answers is none of its metrics.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let every = Duration::from_secs(options.every);
    let is_page = options.format == Format::Text && io::stdout().is_terminal();
    let mut before = (Instant::now(), Sample::fetch(options.address)?);
    let mut printed = 0;
    while options.count.is_none_or(|count| printed < count) {
        thread::sleep(every);
        let now = (Instant::now(), Sample::fetch(options.address)?);
        let view = View::between(&before.1, &now.1, now.0 - before.0);
        before = now;
        let mut out = io::stdout().lock();
        match options.format {
            Format::Jsonl => writeln!(out, "{}", serde_json::to_string(&view)?)?,
            Format::Text if is_page => write!(out, "{CLEAR}{}", view.page())?,
            Format::Text => writeln!(out, "{}", view.line())?,
        }
        out.flush()?;
        printed += 1;
    }
    Ok(())
}

/// The metrics of one moment, by name; those with a label by `name{value}`.
#[derive(Debug, Default)]
struct Sample(BTreeMap<String, f64>);

impl Sample {
    fn fetch(address: SocketAddr) -> anyhow::Result<Self> {
        let asked = || format!("no agent serves metrics at {address}");
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(asked)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        let mut metrics = stream.take(MOST_BYTES);
        metrics.read_to_string(&mut answer).with_context(asked)?;
        let sample = Self::parse(&answer);
        if !sample.0.contains_key("seen_bytes_total") {
            bail!("what is served at {address} are not the metrics of an agent");
        }
        Ok(sample)
    }

    fn parse(text: &str) -> Self {
        let own = text.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("twintap_agent_")?.rsplit_once(' ')?;
            let name = match name.split_once("{cause=\"") {
                Some((name, cause)) => format!("{name}{{{}", cause.replace('"', "")),
                None => name.to_owned(),
            };
            Some((name, value.parse().ok()?))
        });
        Self(own.collect())
    }

    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    fn count(&self, name: &str) -> u64 {
        // Metrics are counts where this is asked.
        self.get(name) as u64
    }
}

/// What is shown. Rates are of the time between two looks.
#[derive(Debug, PartialEq, Serialize)]
struct View {
    live_flows: u64,
    seen_bytes_per_s: f64,
    delivered_bytes_per_s: f64,
    frame_bytes_per_s: f64,
    records_per_s: f64,
    dropped_bytes_per_s: BTreeMap<String, f64>,
    /// Of one processor.
    cpu_percent: f64,
    /// Of one processor; 0 where the machine keeps no statistics of programs.
    programs_cpu_percent: f64,
    back_off_level: u64,
    paused: bool,
    connected: bool,
    memory_bytes: u64,
    budget_bytes: u64,
    /// Since the agent began.
    dropped_bytes: BTreeMap<String, u64>,
    inert_packets: u64,
}

impl View {
    fn between(before: &Sample, now: &Sample, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        // An agent that began anew counts from zero.
        let rate = |name: &str| (now.get(name) - before.get(name)).max(0.0) / seconds;
        let drops = now.0.keys().filter_map(|name| {
            let cause = name.strip_prefix("dropped_bytes_total{")?;
            Some((name, cause.trim_end_matches('}').to_owned()))
        });
        let drops: Vec<(&String, String)> = drops.collect();
        Self {
            live_flows: now.count("live_flows"),
            seen_bytes_per_s: rate("seen_bytes_total"),
            delivered_bytes_per_s: rate("delivered_bytes_total"),
            frame_bytes_per_s: rate("frame_bytes_total"),
            records_per_s: rate("records_total"),
            dropped_bytes_per_s: drops
                .iter()
                .map(|(name, cause)| (cause.clone(), rate(name)))
                .collect(),
            cpu_percent: rate("cpu_seconds_total") * 100.0,
            programs_cpu_percent: rate("programs_cpu_seconds_total") * 100.0,
            back_off_level: now.count("back_off_level"),
            paused: now.count("paused") == 1,
            connected: now.count("connected") == 1,
            memory_bytes: now.count("outbox_bytes") + now.count("open_bytes"),
            budget_bytes: now.count("budget_bytes"),
            dropped_bytes: drops
                .iter()
                .map(|(name, cause)| (cause.clone(), now.count(name)))
                .collect(),
            inert_packets: now.count("inert_packets_total"),
        }
    }

    fn state(&self) -> String {
        let mut words = vec![
            match self.connected {
                true => "connected",
                false => "not connected",
            }
            .to_owned(),
        ];
        if self.paused {
            words.push("paused".to_owned());
        }
        if self.back_off_level > 0 {
            words.push(format!("backed off to {}", self.back_off_level));
        }
        words.join(", ")
    }

    fn line(&self) -> String {
        let dropped: f64 = self.dropped_bytes_per_s.values().sum();
        format!(
            "{} flows  {}/s seen  {}/s delivered  {}/s dropped  cpu {:.2}%  programs {:.2}%  {}",
            self.live_flows,
            size(self.seen_bytes_per_s),
            size(self.delivered_bytes_per_s),
            size(dropped),
            self.cpu_percent,
            self.programs_cpu_percent,
            self.state(),
        )
    }

    fn page(&self) -> String {
        let mut page = format!(
            "{}\n\nflows      {}\nseen       {}/s, {:.0} records/s\ndelivered  {}/s, {}/s as sent\n\
             cpu        {:.2}% of a processor, kernel programs {:.2}%\nmemory     {} of {}\n\nlost",
            self.state(),
            self.live_flows,
            size(self.seen_bytes_per_s),
            self.records_per_s,
            size(self.delivered_bytes_per_s),
            size(self.frame_bytes_per_s),
            self.cpu_percent,
            self.programs_cpu_percent,
            size(self.memory_bytes as f64),
            size(self.budget_bytes as f64),
        );
        for (cause, bytes) in &self.dropped_bytes {
            let rate = self.dropped_bytes_per_s.get(cause).copied();
            page.push_str(&format!(
                "\n  {cause:<16} {:>10}  {:>10}/s",
                size(*bytes as f64),
                size(rate.unwrap_or(0.0)),
            ));
        }
        if self.dropped_bytes.is_empty() {
            page.push_str("       nothing");
        }
        page.push('\n');
        page
    }
}

fn size(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1024.0 => format!("{bytes:.0} B"),
        bytes if bytes < 1024.0 * 1024.0 => format!("{:.1} KiB", bytes / 1024.0),
        bytes if bytes < 1024.0 * 1024.0 * 1024.0 => format!("{:.1} MiB", bytes / 1_048_576.0),
        bytes => format!("{:.1} GiB", bytes / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Sample, View};

    fn sample(seen: u64, shed: u64, cpu: f64) -> Sample {
        Sample::parse(&format!(
            "HTTP/1.1 200 OK\r\n\r\n# TYPE twintap_agent_seen_bytes counter\n\
             twintap_agent_seen_bytes_total {seen}\n\
             twintap_agent_dropped_bytes_total{{cause=\"cpu_budget\"}} {shed}\n\
             twintap_agent_cpu_seconds_total {cpu}\n\
             twintap_agent_live_flows 7\ntwintap_agent_connected 1\n\
             twintap_agent_back_off_level 2\ntwintap_frames_received_total 9\n# EOF\n"
        ))
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let elapsed = Duration::from_secs(2);
        let view = View::between(&sample(1_000, 0, 1.0), &sample(5_096, 2_048, 1.5), elapsed);
        assert_eq!((view.live_flows, view.seen_bytes_per_s), (7, 2_048.0));
        assert_eq!(view.dropped_bytes_per_s["cpu_budget"], 1_024.0);
        assert_eq!(view.dropped_bytes["cpu_budget"], 2_048);
        assert_eq!(
            view.line(),
            "7 flows  2.0 KiB/s seen  0 B/s delivered  1.0 KiB/s dropped  cpu 25.00%  \
             programs 0.00%  connected, backed off to 2"
        );
        assert!(view.page().contains("cpu_budget"), "{}", view.page());
    }

    #[test]
    fn an_agent_that_began_anew_has_no_negative_rates() {
        let elapsed = Duration::from_secs(1);
        let view = View::between(&sample(9_000, 9, 9.0), &sample(10, 0, 0.0), elapsed);
        assert_eq!((view.seen_bytes_per_s, view.cpu_percent), (0.0, 0.0));
    }
}
