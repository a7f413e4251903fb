//! Control of a run in the foreground, as a daemon has it of its runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use twintap_proto::v1::control_server::ControlServer;

use super::control::ControlService;
use super::{Runs, Tls, check_listen, tls};

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
    let listen = config.listen;
    check_listen("--control", listen, config.tls.as_ref())?;
    let acceptor = config.tls.as_ref().map(Tls::acceptor).transpose()?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening on {listen}"))?;
    ready(listener.local_addr()?);

    let service = ControlService::new(None, runs, config.archive);
    let router = Server::builder().add_service(ControlServer::new(service));
    let stopped = stop.clone().cancelled_owned();
    let serving = async {
        match acceptor {
            Some(acceptor) => {
                let incoming = tls::incoming(listener, acceptor);
                router.serve_with_incoming_shutdown(incoming, stopped).await
            }
            None => {
                let incoming = TcpListenerStream::new(listener);
                router.serve_with_incoming_shutdown(incoming, stopped).await
            }
        }
    };
    tokio::select! {
        outcome = serving => outcome.context("serving control"),
        () = async { stop.cancelled().await; tokio::time::sleep(FAREWELL).await } => Ok(()),
    }
}
