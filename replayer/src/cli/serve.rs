//! `twintap serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use twintap_archive::Options;
use twintap_proto::v1::flow_order::Order;
use twintap_scrub::Scrubber;
use twintap_stream::Limits;
use twintap_verdict::EndpointPattern;

use super::audit::AuditArgs;
use crate::audit::{Event, path};
use crate::capture::OrderRules;
use crate::keys;
use crate::privacy::{QuarantineWatch, try_canaries};
use crate::serve::{Config, Tls, serve};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap serve --archive ./archive\n  \
    twintap serve --listen 0.0.0.0:7310 --archive /var/lib/twintap/archive \\\n    \
        --tls-cert daemon.pem --tls-key daemon.key --tls-client-ca ca.pem\n\n\
    Prints `listening on ADDRESS` once it takes agents. SIGTERM commits and ends.")]
pub struct Args {
    /// Where agents and `twintap ctl` connect; TLS is required off loopback.
    #[arg(long, default_value = "127.0.0.1:7310")]
    listen: SocketAddr,
    /// Where /metrics, /healthz and /readyz are served.
    #[arg(long)]
    metrics_addr: Option<SocketAddr>,
    /// The archive's directory; made when absent.
    #[arg(long)]
    archive: PathBuf,
    /// Where runs write their reports [default: beside the archive, `runs`].
    #[arg(long)]
    runs: Option<PathBuf>,
    /// The scrubbing rules: `default`, `allow-all`, or a policy file.
    #[arg(long, default_value = "default")]
    policy: String,
    /// The pseudonym key: a file of 64 hex digits, made when absent
    /// [default: beside the archive, NAME.key].
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// The daemon's certificate chain, PEM.
    #[arg(long, requires_all = ["tls_key", "tls_client_ca"])]
    tls_cert: Option<PathBuf>,
    /// The daemon's key, PEM.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The CA that signs the certificates of agents, PEM.
    #[arg(long, requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// The archive's size cap in bytes (suffixes K, M, G, T); the oldest parts go first.
    #[arg(long, default_value = "10G", value_parser = parse_bytes)]
    max_bytes: u64,
    /// How long exchanges are kept (suffixes s, m, h, d).
    #[arg(long, default_value = "7d", value_parser = parse_duration)]
    max_age: Duration,
    /// The longest time between commits (suffixes ms, s).
    #[arg(long, default_value = "250ms", value_parser = parse_duration)]
    commit_every: Duration,
    /// Memory for reassembly over all flows of an agent, in bytes (suffixes K, M, G).
    #[arg(long, default_value = "256M", value_parser = parse_bytes)]
    stream_memory: u64,
    /// An endpoint whose exchanges are never stored, such as 'POST /login' or '/cards/{id}'; a
    /// flow that asks for it is captured without payload from there on. Repeatable.
    #[arg(long, value_name = "ENDPOINT", value_parser = parse_endpoint)]
    protect: Vec<EndpointPattern>,
    /// What agents do with flows of TLS and of protocols that nobody can read
    /// [default: stop; capture where the policy keeps opaque flows].
    #[arg(long, value_enum)]
    unclaimed: Option<Unclaimed>,
    #[command(flatten)]
    audit: AuditArgs,
}

/// What agents do with flows that nobody claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Unclaimed {
    /// Copy them as any other.
    Capture,
    /// Send lengths and times alone.
    HeadersOnly,
    /// Send their end alone.
    Stop,
}

impl Unclaimed {
    fn order(self) -> Option<Order> {
        match self {
            Unclaimed::Capture => None,
            Unclaimed::HeadersOnly => Some(Order::HeadersOnly),
            Unclaimed::Stop => Some(Order::Stop),
        }
    }
}

pub fn run(args: Args) -> Result<()> {
    let policy = keys::load_policy(&args.policy)?;
    let key_file = args
        .key_file
        .unwrap_or_else(|| keys::default_key_file(&args.archive));
    let key = keys::load_or_create_key(&key_file)?;
    let canaries = try_canaries(&policy, &key)?;
    let trail = args.audit.trail(&args.archive);
    let [loaded, used] = trail.scrubbing(&args.archive, &policy.hash(), &key)?;
    let archive = path(&args.archive);
    let started = Event::DaemonStarted {
        archive: archive.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let orders = OrderRules {
        protected: args.protect,
        unclaimed: args
            .unclaimed
            .unwrap_or(match policy.keep_opaque() {
                true => Unclaimed::Capture,
                false => Unclaimed::Stop,
            })
            .order(),
    };
    let scrubber = Scrubber::new(policy, &key);
    let tls = match (args.tls_cert, args.tls_key, args.tls_client_ca) {
        (Some(certificate), Some(key), Some(client_ca)) => Some(Tls {
            certificate,
            key,
            client_ca,
        }),
        _ => None,
    };
    let runs = args
        .runs
        .unwrap_or_else(|| args.archive.with_file_name("runs"));
    let config = Config {
        listen: args.listen,
        tls,
        metrics: args.metrics_addr,
        archive_options: Options {
            max_bytes: Some(args.max_bytes),
            max_age_ns: Some(
                u64::try_from(args.max_age.as_nanos()).context("--max-age is too long")?,
            ),
            ..Options::default()
        },
        archive: args.archive,
        runs,
        limits: Limits {
            total_buffer_bytes: args.stream_memory,
            ..Limits::default()
        },
        commit_every: args.commit_every,
        orders,
        trail: trail.clone(),
        canaries,
    };
    let watch = QuarantineWatch::new(scrubber.clone(), trail.clone(), &config.archive);
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    trail.tell(&[loaded, used, started])?;
    let outcome = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        let token = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => info!("SIGTERM: draining"),
                _ = interrupt.recv() => info!("SIGINT: draining"),
            }
            token.cancel();
        });
        let watching = tokio::spawn(watch.watch(stop.clone()));
        let outcome = serve(config, scrubber, stop.clone(), |address| {
            println!("listening on {address}");
        })
        .await;
        stop.cancel();
        let told = watching.await.context("watching what is quarantined");
        outcome.and(told.and_then(|mut watch| watch.tell()))
    });
    let stopped = trail.tell(&[Event::DaemonStopped {
        archive,
        error: outcome.as_ref().err().map(|error| format!("{error:#}")),
    }]);
    outcome.and(stopped)
}

fn parse_endpoint(text: &str) -> Result<EndpointPattern> {
    Ok(EndpointPattern::try_from(text.to_owned())?)
}

/// Bytes with an optional suffix K, M, G or T (powers of 1024).
fn parse_bytes(text: &str) -> Result<u64> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        Some(b'T' | b't') => (&text[..text.len() - 1], 1u64 << 40),
        _ => (text, 1),
    };
    let number: u64 = digits
        .parse()
        .ok()
        .with_context(|| format!("{text:?} is no size; write for example 512M or 10G"))?;
    match number.checked_mul(factor) {
        Some(0) | None => bail!("{text:?} is out of range"),
        Some(bytes) => Ok(bytes),
    }
}

/// A duration with a suffix ms, s, m, h or d.
fn parse_duration(text: &str) -> Result<Duration> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => bail!("{text:?} is no duration; write for example 250ms, 30s, 12h or 7d"),
    };
    let number: u64 = digits
        .parse()
        .ok()
        .with_context(|| format!("{text:?} is no duration; write for example 30s or 7d"))?;
    match number.checked_mul(millis) {
        Some(0) | None => bail!("{text:?} is out of range"),
        Some(millis) => Ok(Duration::from_millis(millis)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_have_suffixes() {
        assert_eq!(parse_bytes("10G").ok(), Some(10 << 30));
        assert_eq!(parse_bytes("7").ok(), Some(7));
        assert!(parse_bytes("0").is_err());
        assert!(parse_bytes("99999999999T").is_err());
        assert!(parse_bytes("x").is_err());
        assert_eq!(
            parse_duration("250ms").ok(),
            Some(Duration::from_millis(250))
        );
        assert_eq!(
            parse_duration("2d").ok(),
            Some(Duration::from_secs(172_800))
        );
        assert!(parse_duration("5").is_err());
        assert!(parse_duration("5 minutes").is_err());
    }
}
