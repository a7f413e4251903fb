//! The daemon: ingest, control, metrics, and an orderly end.

mod control;
mod door;
mod foreground;
mod metrics;
mod peer;
mod runs;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tracing::info;
use twintap_archive::Options;
use twintap_proto::v1::control_server::ControlServer;
use twintap_proto::v1::ingest_server::IngestServer;
use twintap_scrub::{CanaryLeak, Scrubber};
use twintap_stream::Limits;

use crate::audit::Trail;
use crate::capture::OrderRules;
use crate::ingest::frames::MAX_BATCH_BYTES;
use crate::ingest::{IngestService, Keeper, KeeperOptions};
use crate::keys::beside;

use door::Door;

pub use foreground::{ControlConfig, serve_control};
pub use runs::{Runs, state_word};
pub use tls::Tls;

/// How long the daemon waits for streams to end once it was told to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How long it then waits for answers to clients of its metrics.
const METRICS_LIMIT: Duration = Duration::from_secs(1);

/// What a daemon works with, parsed once.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where agents and `ctl` connect.
    pub listen: SocketAddr,
    /// Required unless `listen` is a loopback address.
    pub tls: Option<Tls>,
    /// Where metrics and health are served.
    pub metrics: Option<SocketAddr>,
    /// The archive's directory.
    pub archive: PathBuf,
    /// How the archive is written and kept small.
    pub archive_options: Options,
    /// Where runs write their reports.
    pub runs: PathBuf,
    /// Limits of each capture's reassembly.
    pub limits: Limits,
    /// The longest time between commits.
    pub commit_every: Duration,
    /// Which flows agents need not copy any longer.
    pub orders: OrderRules,
    /// Told what clients of control do.
    pub trail: Trail,
    /// What the policy was found to let through at the start.
    pub canaries: Vec<CanaryLeak>,
}

/// Serves until `stop` is cancelled; `ready` is told the address in use.
pub async fn serve(
    config: Config,
    scrubber: Scrubber,
    stop: CancellationToken,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    let door = Door::open("--listen", config.listen, config.tls.as_ref()).await?;
    let keeper = Keeper::start(
        KeeperOptions {
            archive: config.archive.clone(),
            archive_options: config.archive_options.clone(),
            limits: config.limits.clone(),
            commit_every: config.commit_every,
            orders: config.orders.clone(),
            pauses: beside(&config.archive, ".paused"),
        },
        scrubber.clone(),
    )?;
    let runs = Arc::new(Runs::new(config.runs.clone(), config.archive.clone())?);

    let metrics_task = match config.metrics {
        Some(address) => {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("listening for metrics on {address}"))?;
            info!(address = %listener.local_addr()?, "serving metrics");
            let app = metrics::router(metrics::Context {
                keeper: keeper.clone(),
                runs: runs.clone(),
                scrubber,
                canaries: config.canaries.into(),
            });
            let stop = stop.clone();
            Some(tokio::spawn(async move {
                axum::serve(listener, app)
                    .with_graceful_shutdown(stop.cancelled_owned())
                    .await
            }))
        }
        None => None,
    };

    let address = door.address()?;
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .initial_stream_window_size(4 * 1024 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024);
    let ingest = IngestServer::new(IngestService::new(keeper.clone()))
        .max_decoding_message_size(MAX_BATCH_BYTES as usize + 64 * 1024);
    let control = ControlServer::new(control::ControlService::new(
        Some(keeper.clone()),
        runs.clone(),
        config.archive.clone(),
        config.trail.clone(),
    ));
    info!(%address, archive = %config.archive.display(), "serving");
    ready(address);

    let router = server.add_service(ingest).add_service(control);
    let stopped = stop.clone().cancelled_owned();
    let serving = door.serve(router, stopped);
    tokio::pin!(serving);
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        () = async { stop.cancelled().await; tokio::time::sleep(DRAIN_LIMIT).await } => Ok(()),
        // Agents keep their streams open for ever: what they sent is committed now,
        // and they hold the rest until a daemon is back.
        () = async { stop.cancelled().await; runs.stop_all().await; keeper.shutdown().await } => Ok(()),
    };
    runs.stop_all().await;
    keeper.shutdown().await;
    stop.cancel();
    if let Some(mut task) = metrics_task {
        match tokio::time::timeout(METRICS_LIMIT, &mut task).await {
            Ok(ended) => ended.context("the metrics task")??,
            // A client that never finishes its request holds nothing up.
            Err(_) => task.abort(),
        }
    }
    outcome.context("serving")?;
    info!("drained");
    Ok(())
}
