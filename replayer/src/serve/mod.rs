//! The daemon: ingest, control, metrics, and an orderly end.

mod control;
mod metrics;
mod runs;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tracing::info;
use twintap_archive::Options;
use twintap_proto::v1::control_server::ControlServer;
use twintap_proto::v1::ingest_server::IngestServer;
use twintap_scrub::Scrubber;
use twintap_stream::Limits;

use crate::ingest::frames::MAX_BATCH_BYTES;
use crate::ingest::{IngestService, Keeper, KeeperOptions};

pub use runs::Runs;

/// How long the daemon waits for streams to end once it was told to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Certificates of a daemon that is reached over a network.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The daemon's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Who signs the certificates of agents and of people, PEM.
    pub client_ca: PathBuf,
}

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
}

/// Serves until `stop` is cancelled; `ready` is told the address in use.
pub async fn serve(
    config: Config,
    scrubber: Scrubber,
    stop: CancellationToken,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    if config.tls.is_none() && !config.listen.ip().is_loopback() {
        bail!(
            "--listen {} is no loopback address, so --tls-cert, --tls-key and --tls-client-ca are needed (`twintap certs` makes a set)",
            config.listen
        );
    }
    let keeper = Keeper::start(
        KeeperOptions {
            archive: config.archive.clone(),
            archive_options: config.archive_options.clone(),
            limits: config.limits.clone(),
            commit_every: config.commit_every,
        },
        scrubber,
    )?;
    let runs = Arc::new(Runs::new(config.runs.clone(), config.archive.clone())?);

    let metrics_task = match config.metrics {
        Some(address) => {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("listening for metrics on {address}"))?;
            info!(address = %listener.local_addr()?, "serving metrics");
            let app = metrics::router(keeper.clone(), runs.clone());
            let stop = stop.clone();
            Some(tokio::spawn(async move {
                axum::serve(listener, app)
                    .with_graceful_shutdown(stop.cancelled_owned())
                    .await
            }))
        }
        None => None,
    };

    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    let address = listener.local_addr()?;
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .initial_stream_window_size(4 * 1024 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024);
    if let Some(tls) = &config.tls {
        server = server
            .tls_config(tls_config(tls)?)
            .context("the daemon's certificates")?;
    }
    let ingest = IngestServer::new(IngestService::new(keeper.clone()))
        .max_decoding_message_size(MAX_BATCH_BYTES as usize + 64 * 1024);
    let control = ControlServer::new(control::ControlService::new(
        keeper.clone(),
        runs.clone(),
        config.archive.clone(),
    ));
    info!(%address, archive = %config.archive.display(), "serving");
    ready(address);

    let serving = server
        .add_service(ingest)
        .add_service(control)
        .serve_with_incoming_shutdown(
            TcpListenerStream::new(listener),
            stop.clone().cancelled_owned(),
        );
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
    if let Some(task) = metrics_task {
        task.await.context("the metrics task")??;
    }
    outcome.context("serving")?;
    info!("drained");
    Ok(())
}

fn tls_config(tls: &Tls) -> Result<ServerTlsConfig> {
    let read =
        |path: &PathBuf| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let identity = Identity::from_pem(read(&tls.certificate)?, read(&tls.key)?);
    let client_ca = Certificate::from_pem(read(&tls.client_ca)?);
    Ok(ServerTlsConfig::new()
        .identity(identity)
        .client_ca_root(client_ca))
}
