//! What the agent is told: flags, and a YAML file with the same names. Flags win.

use std::{
    fmt, fs,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use serde::Deserialize;
use twintap_abi::MAX_RINGS;

use crate::{governor::CpuShare, top};

const EXAMPLES: &str = "\
Examples:
  Capture the service in one cgroup, port 8080, and ship it to a daemon on this machine:
    twintap-agent --cgroup system.slice/shop.service --port 8080

  The same to a daemon elsewhere (TLS with a client certificate is required off loopback):
    twintap-agent --cgroup system.slice/shop.service --daemon https://twintap.internal:7310 \\
        --tls-ca ca.pem --tls-cert agent.pem --tls-key agent.key

  Everything in a file, whose keys are the names of the flags with _ for -:
    twintap-agent --config /etc/twintap/agent.yaml

  Say what this machine lacks:
    twintap-agent check

  Watch an agent that was started with --metrics-addr 127.0.0.1:7311:
    twintap-agent top 127.0.0.1:7311";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "twintap-agent",
    version,
    about = "Captures the traffic of named services and ships it to the Twintap daemon.",
    long_about = "Captures the traffic of named services by eBPF and ships it to the Twintap \
                  daemon. Nothing is captured until it is named by --cgroup or --port. The \
                  traffic itself is never touched.",
    after_help = EXAMPLES
)]
pub struct CommandLine {
    /// What to do instead of capturing.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What and how to capture.
    #[command(flatten)]
    pub options: Options,
    /// A YAML file with the same options; flags win over it. SIGHUP reads its filters anew.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

/// What the agent does instead of capturing.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// Says what this machine has and lacks for capturing, line by line; fails if it lacks something.
    Check,
    /// Shows what a running agent does and costs: flows, rates, processor time, loss.
    Top(top::Options),
}

/// Options, as flags and as keys of the file.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The daemon's address [default: http://127.0.0.1:7310].
    #[arg(long, value_name = "URL")]
    pub daemon: Option<String>,
    /// The name of this node, unique among the agents of a daemon [default: the host's name].
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// A cgroup to capture, with all below it: a path of the cgroup v2 file system, or relative to
    /// where it is mounted. May be given several times.
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// A server port to capture; all when none is given. May be given several times.
    #[arg(long, value_name = "PORT")]
    pub port: Vec<u16>,
    /// Capture only peers within this prefix. May be given several times.
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Vec<IpNet>,
    /// Whose side to capture: of sockets that accepted, that connected, or both
    /// [default: server].
    #[arg(long, value_name = "ROLE")]
    pub role: Option<RoleChoice>,
    /// Memory for what the daemon has not stored yet; beyond it whole flows are shed and counted
    /// [default: 32MiB].
    #[arg(long, value_name = "SIZE")]
    pub memory_budget: Option<ByteSize>,
    /// Processor time that the agent may take, of one processor; beyond it compression, then whole
    /// clients, then the capture give way until there is room again [default: no limit].
    #[arg(long, value_name = "PERCENT")]
    pub cpu_budget: Option<CpuShare>,
    /// The size of each ring between kernel and agent, a power of two [default: 8MiB].
    #[arg(long, value_name = "SIZE")]
    pub ring_bytes: Option<ByteSize>,
    /// How many rings, a power of two up to 8 [default: one for each CPU, up to 8].
    #[arg(long, value_name = "COUNT")]
    pub rings: Option<usize>,
    /// How many flows the kernel follows at a time [default: 65536].
    #[arg(long, value_name = "COUNT")]
    pub max_flows: Option<u32>,
    /// The level of zstd for what is shipped; negative ones are faster, 0 ships it as it is
    /// [default: -1].
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    pub compression: Option<i32>,
    /// The address for metrics (/metrics, /healthz, /readyz); none when it is not given.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_addr: Option<SocketAddr>,
    /// The certificate authority that signed the daemon's certificate (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// The certificate of this agent (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The key of this agent's certificate (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// How to write logs [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// How many seconds SIGTERM waits for the daemon to store what was captured [default: 10].
    #[arg(long, value_name = "SECONDS")]
    pub drain_seconds: Option<u64>,
}

/// Whose side is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleChoice {
    /// Of sockets that accepted.
    Server,
    /// Of sockets that connected.
    Client,
    /// Both; a connection between two captured sockets is recorded from each side.
    Both,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A number of bytes: `4096`, `64KiB`, `32MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub struct ByteSize(pub u64);

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl TryFrom<NumberOrText> for ByteSize {
    type Error = String;

    fn try_from(value: NumberOrText) -> Result<Self, String> {
        match value {
            NumberOrText::Number(bytes) => Ok(Self(bytes)),
            NumberOrText::Text(text) => text.parse(),
        }
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let factor: u64 = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            unit => return Err(format!("unit {unit:?} is none of B, KiB, MiB, GiB")),
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no size: write for example 32MiB"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// Where the daemon is, and how to speak to it.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Its URL.
    pub url: String,
    /// Its addresses, which are never captured.
    pub addresses: Vec<SocketAddr>,
    /// Certificates; always there when the daemon is not on this machine's loopback.
    pub tls: Option<Tls>,
}

/// PEM texts.
#[derive(Clone)]
pub struct Tls {
    /// Of the authority that signed the daemon's certificate.
    pub ca: Vec<u8>,
    /// Of this agent.
    pub certificate: Vec<u8>,
    /// Of this agent.
    pub key: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tls")
    }
}

/// Everything, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The daemon.
    pub daemon: Daemon,
    /// The name of this node.
    pub node: String,
    /// Cgroups, as they were named; never empty.
    pub cgroups: Vec<String>,
    /// Server ports; empty for all.
    pub ports: Vec<u16>,
    /// Prefixes of peers; empty for all.
    pub prefixes: Vec<IpNet>,
    /// Whose side.
    pub role: RoleChoice,
    /// The memory budget.
    pub memory_budget_bytes: usize,
    /// The share of one processor that the agent may take.
    pub cpu_budget: Option<CpuShare>,
    /// The size of a ring.
    pub ring_bytes: u32,
    /// How many rings.
    pub rings: usize,
    /// How many flows the kernel follows.
    pub max_flows: u32,
    /// The level of zstd; `None` for no compression.
    pub compression: Option<i32>,
    /// Where metrics are served.
    pub metrics_addr: Option<SocketAddr>,
    /// How logs are written.
    pub log_format: LogFormat,
    /// How long the end may take.
    pub drain: Duration,
}

impl Options {
    /// Reads the file of options.
    ///
    /// # Errors
    ///
    /// When it cannot be read; when it is wrong, the error names the key and the line.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the configuration {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        // A file of comments alone says nothing.
        let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(is_blank) {
            return Ok(Self::default());
        }
        Ok(serde_saphyr::from_str(text)?)
    }

    /// These options where they say something, else those of `file`.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        fn list<T>(flags: Vec<T>, file: Vec<T>) -> Vec<T> {
            if flags.is_empty() { file } else { flags }
        }
        Self {
            daemon: self.daemon.or(file.daemon),
            node: self.node.or(file.node),
            cgroup: list(self.cgroup, file.cgroup),
            port: list(self.port, file.port),
            prefix: list(self.prefix, file.prefix),
            role: self.role.or(file.role),
            memory_budget: self.memory_budget.or(file.memory_budget),
            cpu_budget: self.cpu_budget.or(file.cpu_budget),
            ring_bytes: self.ring_bytes.or(file.ring_bytes),
            rings: self.rings.or(file.rings),
            max_flows: self.max_flows.or(file.max_flows),
            compression: self.compression.or(file.compression),
            metrics_addr: self.metrics_addr.or(file.metrics_addr),
            tls_ca: self.tls_ca.or(file.tls_ca),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            log_format: self.log_format.or(file.log_format),
            drain_seconds: self.drain_seconds.or(file.drain_seconds),
        }
    }

    /// Checks the options and fills in what they leave open.
    ///
    /// # Errors
    ///
    /// When an option is wrong: the error names it, its value and what would be right.
    pub fn check(self) -> anyhow::Result<Config> {
        if self.cgroup.is_empty() && self.port.is_empty() {
            bail!(
                "nothing is named: give --cgroup PATH (the service's cgroup) or --port PORT (the \
                 service's port, on the whole machine)"
            );
        }
        let memory_budget = self.memory_budget.unwrap_or(ByteSize(32 << 20));
        if memory_budget.0 < 1 << 20 {
            bail!("memory-budget is {memory_budget}: it has to be at least 1MiB");
        }
        let ring_bytes = self.ring_bytes.unwrap_or(ByteSize(8 << 20));
        if !ring_bytes.0.is_power_of_two() || !(1 << 18..=1 << 30).contains(&ring_bytes.0) {
            bail!(
                "ring-bytes is {ring_bytes}: it has to be a power of two from 256KiB to 1GiB, for \
                 example 8MiB"
            );
        }
        let rings = self.rings.unwrap_or_else(default_rings);
        if !rings.is_power_of_two() || rings > MAX_RINGS {
            bail!("rings is {rings}: it has to be 1, 2, 4 or 8");
        }
        let compression = self.compression.unwrap_or(-1);
        if !zstd::compression_level_range().contains(&compression) {
            bail!(
                "compression is {compression}: it has to be in {:?}",
                zstd::compression_level_range()
            );
        }
        let node = match self.node {
            Some(node) => node,
            None => host_name()?,
        };
        let url = self
            .daemon
            .unwrap_or_else(|| "http://127.0.0.1:7310".to_owned());
        let tls = TlsFiles {
            ca: self.tls_ca,
            certificate: self.tls_cert,
            key: self.tls_key,
        };
        Ok(Config {
            daemon: Daemon::check(url, tls)?,
            node,
            cgroups: if self.cgroup.is_empty() {
                vec!["/".to_owned()]
            } else {
                self.cgroup
            },
            ports: self.port,
            prefixes: self.prefix,
            role: self.role.unwrap_or(RoleChoice::Server),
            memory_budget_bytes: usize::try_from(memory_budget.0).unwrap_or(usize::MAX),
            cpu_budget: self.cpu_budget,
            ring_bytes: u32::try_from(ring_bytes.0).unwrap_or(u32::MAX),
            rings,
            max_flows: self.max_flows.unwrap_or(65_536).max(1024),
            compression: (compression != 0).then_some(compression),
            metrics_addr: self.metrics_addr,
            log_format: self.log_format.unwrap_or(LogFormat::Text),
            drain: Duration::from_secs(self.drain_seconds.unwrap_or(10)),
        })
    }
}

struct TlsFiles {
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Daemon {
    fn check(url: String, tls: TlsFiles) -> anyhow::Result<Self> {
        let wrong = || format!("daemon is {url:?}: it has to be like http://127.0.0.1:7310");
        let uri: tonic::transport::Uri = url.parse().with_context(wrong)?;
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
            bail!(wrong());
        };
        let is_tls = match scheme {
            "http" => false,
            "https" => true,
            _ => bail!(wrong()),
        };
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if !is_tls && !is_loopback(&host) {
            bail!(
                "daemon is {url:?}, which is not on loopback: that takes TLS; write https:// and \
                 give --tls-ca, --tls-cert and --tls-key"
            );
        }
        let tls = match (is_tls, tls.ca, tls.certificate, tls.key) {
            (true, Some(ca), Some(certificate), Some(key)) => Some(Tls {
                ca: read_pem("tls-ca", &ca)?,
                certificate: read_pem("tls-cert", &certificate)?,
                key: read_pem("tls-key", &key)?,
            }),
            (true, ..) => bail!("daemon is {url:?}: give --tls-ca, --tls-cert and --tls-key"),
            (false, None, None, None) => None,
            (false, ..) => bail!("daemon is {url:?}: certificates are given, so write https://"),
        };
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let addresses = (host.as_str(), port)
            .to_socket_addrs()
            .with_context(|| format!("daemon is {url:?}: its name has no address"))?
            .collect();
        Ok(Self {
            url,
            addresses,
            tls,
        })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn read_pem(option: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{option} is {}: cannot read it", path.display()))
}

fn default_rings() -> usize {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    cpus.next_power_of_two().min(MAX_RINGS)
}

fn host_name() -> anyhow::Result<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .context("the host's name cannot be read: give --node NAME")?;
    Ok(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{ByteSize, CommandLine, Options};

    fn error(yaml: &str) -> String {
        let options = Options::parse(yaml);
        format!("{:#}", options.expect_err("the options are wrong"))
    }

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!("32MiB".parse(), Ok(ByteSize(32 << 20)));
        assert_eq!("4096".parse(), Ok(ByteSize(4096)));
        assert!("32MB".parse::<ByteSize>().is_err());
        assert!("MiB".parse::<ByteSize>().is_err());
        assert!("99999999999GiB".parse::<ByteSize>().is_err());
    }

    #[test]
    fn errors_in_the_file_name_the_key_and_the_line() {
        let unknown = error("port: [80]\ncgruop: [a]\n");
        assert!(
            unknown.contains("cgruop") && unknown.contains('2'),
            "{unknown}"
        );
        let wrong = error("node: a\n\nport: [eighty]\n");
        assert!(wrong.contains('3'), "{wrong}");
        let size = error("memory_budget: 32MB\n");
        assert!(size.contains("MiB"), "{size}");
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = Options::parse("port: [80]\nnode: file\nrole: both\n").expect("right");
        let flags = Options {
            port: vec![81],
            ..Options::default()
        };
        let both = flags.or(file);
        assert_eq!(both.port, [81]);
        assert_eq!(both.node.as_deref(), Some("file"));
    }

    #[test]
    fn nothing_named_is_an_error() {
        let error = Options::default().check().expect_err("nothing is named");
        assert!(error.to_string().contains("--cgroup"));
    }

    #[test]
    fn off_loopback_takes_tls() {
        let check = |url: &str| {
            let options = Options {
                port: vec![80],
                node: Some("a".to_owned()),
                daemon: Some(url.to_owned()),
                ..Options::default()
            };
            options.check().map(|config| config.daemon.addresses)
        };
        assert!(check("http://127.0.0.1:7310").is_ok());
        assert!(check("http://[::1]:7310").is_ok());
        for refused in [
            "http://10.0.0.1:7310",
            "https://10.0.0.1:7310",
            "ftp://127.0.0.1",
            "x",
        ] {
            assert!(check(refused).is_err(), "{refused}");
        }
    }
}
