//! `twintap ctl`: the gRPC control of a daemon.

use std::error::Error as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use twintap_proto::v1::control_client::ControlClient;
use twintap_proto::v1::{
    Capture, CreateRunRequest, Following, ListCapturesRequest, ListRunsRequest,
    ListSessionsRequest, Run, RunRequest, RunState, SeekRunRequest, Session, SetRunSpeedRequest,
    TwinProgress,
};

use super::{EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS, agents};
use crate::run::values::Span;
use crate::serve::state_word;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap ctl captures\n  \
    twintap ctl agents pause\n  \
    twintap ctl create run.yaml\n  \
    twintap ctl start r-1 && twintap ctl watch r-1\n  \
    twintap ctl speed r-1 10\n  \
    twintap ctl seek r-1 15m\n  \
    twintap ctl --daemon https://twintap.internal:7310 --tls-ca ca.pem --tls-cert me.pem --tls-key me.key runs")]
pub struct Args {
    /// The daemon.
    #[arg(long, env = "TWINTAP_DAEMON", default_value = "http://127.0.0.1:7310")]
    daemon: String,
    /// Who signed the daemon's certificate, PEM.
    #[arg(long)]
    tls_ca: Option<PathBuf>,
    /// One's own certificate, PEM.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Jsonl,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a run from a run file; it starts with `start`.
    Create {
        /// The run file; paths in it are the daemon's.
        run_file: PathBuf,
    },
    /// Start a run.
    Start {
        /// The run's id.
        id: String,
    },
    /// Pause a run: nothing more goes out, what is left keeps its spacing.
    Pause {
        /// The run's id.
        id: String,
    },
    /// Go on with a paused run.
    Resume {
        /// The run's id.
        id: String,
    },
    /// Change how fast a run goes on; what was due stays due.
    Speed {
        /// The run's id.
        id: String,
        /// How many times faster than recorded, 0.1 to 100.
        speed: f64,
    },
    /// Go on from a later place in the recording; what lies between is not fired.
    Seek {
        /// The run's id.
        id: String,
        /// From the plan's first request, in recorded time: `90s`, `15m`.
        offset: Span,
    },
    /// End a run early; what is left counts as refused.
    Stop {
        /// The run's id.
        id: String,
    },
    /// Show a run.
    Get {
        /// The run's id.
        id: String,
    },
    /// Follow a run until it ends; the exit code is that of its verdict, as of `replay`.
    Watch {
        /// The run's id.
        id: String,
    },
    /// List the runs.
    Runs,
    /// List what was captured: one line a boot, or a file.
    Captures,
    /// List the sessions of the daemon's archive.
    Sessions,
    /// List the agents, or make them capture nothing (`pause`) and again (`resume`).
    Agents(agents::Args),
}

pub fn run(args: Args) -> Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let mut client = ControlClient::new(connect(&args).await?);
        let format = args.format;
        let request = |id: String| RunRequest { id };
        match args.action {
            Action::Create { run_file } => {
                let run_file_yaml = std::fs::read_to_string(&run_file)
                    .with_context(|| format!("reading the run file {}", run_file.display()))?;
                let run = client.create_run(CreateRunRequest { run_file_yaml }).await;
                print_run(format, &answer(run)?)?;
            }
            Action::Start { id } => {
                print_run(format, &answer(client.start_run(request(id)).await)?)?
            }
            Action::Pause { id } => {
                print_run(format, &answer(client.pause_run(request(id)).await)?)?
            }
            Action::Resume { id } => {
                print_run(format, &answer(client.resume_run(request(id)).await)?)?;
            }
            Action::Speed { id, speed } => {
                let request = SetRunSpeedRequest { id, speed };
                print_run(format, &answer(client.set_run_speed(request).await)?)?;
            }
            Action::Seek { id, offset } => {
                let offset = offset.0.try_into().context("the offset")?;
                let offset = Some(offset);
                let request = SeekRunRequest { id, offset };
                print_run(format, &answer(client.seek_run(request).await)?)?;
            }
            Action::Stop { id } => print_run(format, &answer(client.stop_run(request(id)).await)?)?,
            Action::Get { id } => print_run(format, &answer(client.get_run(request(id)).await)?)?,
            Action::Watch { id } => {
                let mut runs = answer(client.watch_run(request(id)).await)?;
                let mut last = Run::default();
                while let Some(run) = runs.message().await.map_err(refusal)? {
                    print_run(format, &run)?;
                    last = run;
                }
                return exit_code(&last);
            }
            Action::Runs => {
                for run in answer(client.list_runs(ListRunsRequest {}).await)?.runs {
                    print_run(format, &run)?;
                }
            }
            Action::Captures => {
                let captures = client.list_captures(ListCapturesRequest {}).await;
                for capture in answer(captures)?.captures {
                    print_capture(format, &capture)?;
                }
            }
            Action::Agents(args) => agents::run(&mut client, format, args).await?,
            Action::Sessions => {
                let mut sessions = answer(client.list_sessions(ListSessionsRequest {}).await)?;
                while let Some(session) = sessions.message().await.map_err(refusal)? {
                    print_session(format, &session)?;
                }
            }
        }
        Ok(EXIT_PASS)
    })
}

/// The exit code of a run that was watched to its end.
fn exit_code(run: &Run) -> Result<u8> {
    match (run.state(), &run.verdict[..]) {
        (RunState::Failed, _) => bail!("run {} failed: {}", run.id, run.error),
        (RunState::Finished | RunState::Stopped, "pass") => Ok(EXIT_PASS),
        (RunState::Finished | RunState::Stopped, "fail") => Ok(EXIT_FAIL),
        (RunState::Finished | RunState::Stopped, _) => Ok(EXIT_INCONCLUSIVE),
        (state, _) => bail!(
            "the daemon ended while run {} was {}",
            run.id,
            state_word(state)
        ),
    }
}

async fn connect(args: &Args) -> Result<Channel> {
    let mut endpoint = Endpoint::from_shared(args.daemon.clone())
        .with_context(|| format!("--daemon {:?} is no URL", args.daemon))?;
    if args.daemon.starts_with("https:") {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("reading {}", path.display()))
        };
        let mut tls = ClientTlsConfig::new();
        if let Some(ca) = &args.tls_ca {
            tls = tls.ca_certificate(Certificate::from_pem(read(ca)?));
        }
        if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        endpoint = endpoint.tls_config(tls).context("the certificates")?;
    }
    endpoint.connect().await.with_context(|| {
        format!(
            "no daemon answers at {}; is `twintap serve` running?",
            args.daemon
        )
    })
}

pub(super) fn answer<T>(response: Result<tonic::Response<T>, tonic::Status>) -> Result<T> {
    response.map(tonic::Response::into_inner).map_err(refusal)
}

/// What the daemon said, without the wrapping of gRPC; or why it could say nothing.
fn refusal(status: tonic::Status) -> anyhow::Error {
    let Some(source) = status.source() else {
        return anyhow::anyhow!("the daemon refused: {}", status.message());
    };
    let mut why = source.to_string();
    let mut cause = source.source();
    while let Some(next) = cause {
        why = format!("{why}: {next}");
        cause = next.source();
    }
    anyhow::anyhow!(
        "the connection to the daemon failed: {why}; a daemon with certificates is reached by https:// and takes only clients with a certificate of its CA (--tls-ca, --tls-cert, --tls-key)"
    )
}

pub(super) fn print(format: Format, value: &Value, text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Jsonl => writeln!(out, "{value}")?,
        Format::Text => writeln!(out, "{text}")?,
    }
    out.flush()?;
    Ok(())
}

fn print_run(format: Format, run: &Run) -> Result<()> {
    let state = state_word(run.state());
    let twin = |twin: &Option<TwinProgress>| {
        let twin = twin.unwrap_or_default();
        json!({
            "answered": twin.answered, "errored": twin.errored, "refused": twin.refused,
            "skipped": twin.skipped, "in_flight": twin.in_flight,
        })
    };
    let value = json!({
        "id": run.id, "state": state, "planned": run.planned,
        "speed": run.speed, "position_ms": seconds(run.position) * 1000.0,
        "candidate": twin(&run.candidate), "baseline": twin(&run.baseline),
        "verdict": run.verdict, "error": run.error, "report_path": run.report_path,
        "following": run.following.as_ref().map(following),
    });
    let candidate = run.candidate.unwrap_or_default();
    let mut text = format!(
        "{}  {state}  {}/{} answered, {} errored, {} refused, {} skipped",
        run.id,
        candidate.answered,
        run.planned,
        candidate.errored,
        candidate.refused,
        candidate.skipped
    );
    if let Some(following) = &run.following {
        let down = if following.twin_down {
            ", a twin is down"
        } else {
            ""
        };
        text.push_str(&format!("  {:.1} s behind{down}", seconds(following.lag)));
    }
    for (name, value) in [
        ("verdict", &run.verdict),
        ("report", &run.report_path),
        ("error", &run.error),
    ] {
        if !value.is_empty() {
            text.push_str(&format!("  {name}: {value}"));
        }
    }
    print(format, &value, &text)
}

fn following(following: &Following) -> Value {
    json!({
        "lag_ms": seconds(following.lag) * 1000.0, "windows": following.windows,
        "tardy": following.tardy, "missed": following.missed, "kept": following.kept,
        "forgotten": following.forgotten, "twin_down": following.twin_down,
    })
}

fn seconds(span: Option<prost_types::Duration>) -> f64 {
    let span = Duration::try_from(span.unwrap_or_default());
    span.unwrap_or_default().as_secs_f64()
}

fn print_capture(format: Format, capture: &Capture) -> Result<()> {
    let boot = format!("{:016x}", capture.boot);
    let value = json!({
        "node": capture.node, "boot": boot, "source": capture.source, "frames": capture.frames,
        "delivered_bytes": capture.delivered_bytes, "connected": capture.connected,
    });
    let text = format!(
        "{}  {boot}  {}  {} frames  {} bytes  {}",
        capture.node,
        capture.source,
        capture.frames,
        capture.delivered_bytes,
        if capture.connected {
            "connected"
        } else {
            "not connected"
        }
    );
    print(format, &value, &text)
}

fn print_session(format: Format, session: &Session) -> Result<()> {
    let time = |time: &Option<prost_types::Timestamp>| {
        time.map(|time| time.to_string()).unwrap_or_default()
    };
    let (first, last) = (time(&session.first), time(&session.last));
    let value = json!({
        "id": session.id, "exchanges": session.exchanges, "first": first, "last": last,
        "began_before_capture": session.began_before_capture,
    });
    let text = format!(
        "{}  {} exchanges  {first} to {last}",
        session.id, session.exchanges
    );
    print(format, &value, &text)
}
