//! Control of a run in the foreground, as a daemon has it of its runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use twintap_proto::v1::control_server::ControlServer;

use super::control::ControlService;
use super::door::Door;
use super::{Runs, Tls};
use crate::audit::Trail;

/// How long whoever watches the run has to hear of its end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where and how control is served.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// Where `ctl` connects.
    pub listen: SocketAddr,
    /// Required unless `listen` is a loopback address.
    pub tls: Option<Tls>,
    /// The run's archive.
    pub archive: PathBuf,
    /// Told what clients do.
    pub trail: Trail,
}

/// Serves control of `runs` until `stop` is cancelled; `ready` is told the address in use.
///
/// # Errors
/// When the address can't be listened on, or would let anybody in.
pub async fn serve_control(
    config: ControlConfig,
    runs: Arc<Runs>,
    stop: CancellationToken,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    let door = Door::open("--control", config.listen, config.tls.as_ref()).await?;
    ready(door.address()?);

    let service = ControlService::new(None, runs, config.archive, config.trail);
    let router = Server::builder().add_service(ControlServer::new(service));
    let stopped = stop.clone().cancelled_owned();
    tokio::select! {
        outcome = door.serve(router, stopped) => outcome.context("serving control"),
        () = async { stop.cancelled().await; tokio::time::sleep(FAREWELL).await } => Ok(()),
    }
}
