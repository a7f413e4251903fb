//! What goes on beside a run in the foreground: signals, and `ctl`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use twintap_verdict::Report;

use super::EXIT_ERROR;
use crate::audit::Trail;
use crate::fire::RunControl;
use crate::run::RunFile;
use crate::serve::{ControlConfig, Runs, Tls, serve_control};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "While it runs")]
pub struct ControlArgs {
    /// Let `twintap ctl --daemon http://ADDRESS` steer the run, which is `r-1` there; TLS is
    /// required off loopback. Port 0 takes a free one, which standard error names.
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// The certificate chain that control is served with, PEM.
    #[arg(long, requires_all = ["control", "tls_key", "tls_client_ca"])]
    tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The CA that signs the certificates of who may steer, PEM.
    #[arg(long, requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
}

impl ControlArgs {
    fn config(&self, archive: PathBuf, trail: &Trail) -> Option<ControlConfig> {
        let files = (&self.tls_cert, &self.tls_key, &self.tls_client_ca);
        let tls = match files {
            (Some(certificate), Some(key), Some(client_ca)) => Some(Tls {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca: client_ca.clone(),
            }),
            _ => None,
        };
        self.control.map(|listen| ControlConfig {
            listen,
            tls,
            archive,
            trail: trail.clone(),
        })
    }
}

/// A thread that steers the run as it is told from outside.
pub struct Foreground {
    runs: Arc<Runs>,
    ends: CancellationToken,
    thread: JoinHandle<()>,
}

impl Foreground {
    /// The first SIGINT or SIGTERM stops the run, which then reports; the second ends the
    /// process.
    ///
    /// # Errors
    /// When control can't be served as the flags say.
    pub fn start(
        file: &RunFile,
        control: &RunControl,
        args: &ControlArgs,
        trail: &Trail,
    ) -> Result<Foreground> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let runs = Arc::new(Runs::of_one(file.clone(), control.clone()));
        let ends = CancellationToken::new();
        let (ready, is_ready) = sync_channel(1);
        let work = beside(
            args.config(file.archive.clone(), trail),
            Arc::clone(&runs),
            control.clone(),
            ends.clone(),
            ready,
        );
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || runtime.block_on(work))
            .context("starting a thread")?;
        let failed = || anyhow!("the thread that serves control failed");
        is_ready.recv().map_err(|_| failed())??;
        Ok(Foreground { runs, ends, thread })
    }

    /// Tells whoever watches what the run came to.
    pub fn end(self, outcome: &Result<Report>) {
        self.runs.ended(outcome);
        self.ends.cancel();
        // A panic there was told by its own hook, and the run has ended all the same.
        let _ = self.thread.join();
    }
}

/// Serves and listens to signals until the run has ended. `ready` is told whether it can.
async fn beside(
    config: Option<ControlConfig>,
    runs: Arc<Runs>,
    control: RunControl,
    ends: CancellationToken,
    ready: SyncSender<Result<()>>,
) {
    // The other side waits for exactly one word.
    let tell = |word| drop(ready.try_send(word));
    let (interrupt, terminate) = match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        (Err(error), _) | (_, Err(error)) => {
            return tell(Err(error).context("listening for signals"));
        }
    };
    let steering = stop_by_signal(interrupt, terminate, control);
    let serving = async {
        let Some(config) = config else {
            tell(Ok(()));
            return ends.cancelled().await;
        };
        let listening = |address| {
            eprintln!("control: listening on {address}");
            tell(Ok(()));
        };
        if let Err(error) = serve_control(config, runs, ends.clone(), listening).await {
            tell(Err(error));
        }
        ends.cancelled().await;
    };
    tokio::select! {
        () = serving => {}
        () = steering => {}
    }
}

/// Never ends by itself.
async fn stop_by_signal(mut interrupt: Signal, mut terminate: Signal, control: RunControl) {
    let mut is_stopped = false;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if is_stopped {
            std::process::exit(EXIT_ERROR.into());
        }
        is_stopped = true;
        eprintln!("stopping; the report follows, unless this is asked for once more");
        control.stop();
    }
}
