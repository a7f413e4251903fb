//! The gRPC side of control.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use twintap_archive::{CaptureSource, Reader};
use twintap_proto::v1::control_server::Control;
use twintap_proto::v1::{
    Agent, AgentsRequest, Capture, CreateRunRequest, ListAgentsRequest, ListAgentsResponse,
    ListCapturesRequest, ListCapturesResponse, ListRunsRequest, ListRunsResponse,
    ListSessionsRequest, Run, RunRequest, RunState, SeekRunRequest, Session, SetRunSpeedRequest,
};
use twintap_stream::Timestamp;

use super::{Runs, peer};
use crate::audit::{Data, Event, Order, Trail, path};
use crate::ingest::KeeperHandle;
use crate::sessions::plan_of;

/// How often a watched run is looked at while it changes no state.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Answers `twintap ctl`.
#[derive(Clone, Debug)]
pub struct ControlService {
    /// Who has captures, in a daemon.
    keeper: Option<KeeperHandle>,
    runs: Arc<Runs>,
    archive: PathBuf,
    trail: Trail,
}

impl ControlService {
    /// A service over these.
    pub fn new(
        keeper: Option<KeeperHandle>,
        runs: Arc<Runs>,
        archive: PathBuf,
        trail: Trail,
    ) -> ControlService {
        ControlService {
            keeper,
            runs,
            archive,
            trail,
        }
    }

    /// The audit log, of what this client does.
    fn trail_of<T>(&self, request: &Request<T>) -> Trail {
        self.trail.of(peer::actor(request))
    }

    /// Tells that a client steers the run that `request` names, before it does.
    async fn steer<T>(
        &self,
        request: Request<T>,
        order: Order,
        id: impl FnOnce(&T) -> Option<&str>,
    ) -> Result<(T, Trail), Status> {
        let trail = self.trail_of(&request);
        let message = request.into_inner();
        let run = id(&message).map(str::to_owned);
        tell(&trail, Event::RunSteered { run, order }).await?;
        Ok((message, trail))
    }
}

impl ControlService {
    fn keeper(&self) -> Result<&KeeperHandle, Status> {
        self.keeper.as_ref().ok_or_else(|| {
            Status::failed_precondition(
                "a run in the foreground captures nothing; a daemon does: `twintap serve`",
            )
        })
    }

    /// Pauses agents, or lets them go on, once the log says who wanted that.
    async fn steer_agents(
        &self,
        request: Request<AgentsRequest>,
        order: Order,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let keeper = self.keeper()?;
        let trail = self.trail_of(&request);
        let node = Some(request.into_inner().node).filter(|node| !node.is_empty());
        let steered = Event::AgentsSteered {
            node: node.clone(),
            order,
        };
        tell(&trail, steered).await?;
        let paused = order == Order::Pause;
        keeper
            .pause(node, paused)
            .await
            .map_err(|error| refusal(&error))?;
        self.agents().await
    }

    async fn agents(&self) -> Result<Response<ListAgentsResponse>, Status> {
        let overview = self.keeper()?.overview().await;
        let agents = overview.captures.into_iter().filter_map(|capture| {
            let agent = capture.agent?;
            Some(Agent {
                node: capture.state.node.to_string(),
                boot: capture.state.boot,
                connected: capture.connected,
                pause_wanted: agent.pause_wanted,
                paused: agent.paused,
                flows: capture.flows,
                stop_orders: agent.stop_orders,
                headers_only_orders: agent.headers_only_orders,
            })
        });
        let mut agents: Vec<Agent> = agents.collect();
        agents.sort_by(|one, other| (&one.node, one.boot).cmp(&(&other.node, other.boot)));
        Ok(Response::new(ListAgentsResponse { agents }))
    }
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Control for ControlService {
    type WatchRunStream = Streamed<Run>;
    type ListSessionsStream = Streamed<Session>;

    async fn create_run(
        &self,
        request: Request<CreateRunRequest>,
    ) -> Result<Response<Run>, Status> {
        let (message, _) = self.steer(request, Order::Create, |_| None).await?;
        let text = message.run_file_yaml;
        let runs = self.runs.clone();
        // Names are looked up and files are read.
        let created = tokio::task::spawn_blocking(move || runs.create(&text))
            .await
            .map_err(|error| Status::internal(error.to_string()))?;
        answer(created)
    }

    async fn start_run(&self, request: Request<RunRequest>) -> Result<Response<Run>, Status> {
        let (run, trail) = self.steer(request, Order::Start, id).await?;
        answer(self.runs.start(&run.id, trail))
    }

    async fn pause_run(&self, request: Request<RunRequest>) -> Result<Response<Run>, Status> {
        let (run, _) = self.steer(request, Order::Pause, id).await?;
        answer(self.runs.pause(&run.id))
    }

    async fn resume_run(&self, request: Request<RunRequest>) -> Result<Response<Run>, Status> {
        let (run, _) = self.steer(request, Order::Resume, id).await?;
        answer(self.runs.resume(&run.id))
    }

    async fn stop_run(&self, request: Request<RunRequest>) -> Result<Response<Run>, Status> {
        let (run, _) = self.steer(request, Order::Stop, id).await?;
        answer(self.runs.stop(&run.id))
    }

    async fn set_run_speed(
        &self,
        request: Request<SetRunSpeedRequest>,
    ) -> Result<Response<Run>, Status> {
        let (message, _) = self
            .steer(request, Order::Speed, |message| Some(&message.id))
            .await?;
        let SetRunSpeedRequest { id, speed } = message;
        answer(self.runs.set_speed(&id, speed))
    }

    async fn seek_run(&self, request: Request<SeekRunRequest>) -> Result<Response<Run>, Status> {
        let (message, _) = self
            .steer(request, Order::Seek, |message| Some(&message.id))
            .await?;
        let SeekRunRequest { id, offset } = message;
        let offset = offset.unwrap_or_default().try_into().map_err(|_| {
            Status::invalid_argument("offset must not lie before the plan's first request")
        })?;
        answer(self.runs.seek(&id, offset))
    }

    async fn get_run(&self, request: Request<RunRequest>) -> Result<Response<Run>, Status> {
        answer(self.runs.get(&request.into_inner().id))
    }

    async fn list_runs(
        &self,
        _request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        Ok(Response::new(ListRunsResponse {
            runs: self.runs.list(),
        }))
    }

    async fn watch_run(
        &self,
        request: Request<RunRequest>,
    ) -> Result<Response<Self::WatchRunStream>, Status> {
        let id = request.into_inner().id;
        let mut changes = self.runs.watch(&id).map_err(|error| refusal(&error))?;
        let runs = self.runs.clone();
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            while let Ok(run) = runs.get(&id) {
                let ended = matches!(
                    run.state(),
                    RunState::Finished | RunState::Stopped | RunState::Failed
                );
                if sender.send(Ok(run)).await.is_err() || ended {
                    return;
                }
                // Either something changed, or it is time to look again.
                let _ = tokio::time::timeout(WATCH_EVERY, changes.changed()).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn list_agents(
        &self,
        _request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        self.agents().await
    }

    async fn pause_agents(
        &self,
        request: Request<AgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        self.steer_agents(request, Order::Pause).await
    }

    async fn resume_agents(
        &self,
        request: Request<AgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        self.steer_agents(request, Order::Resume).await
    }

    async fn list_captures(
        &self,
        _request: Request<ListCapturesRequest>,
    ) -> Result<Response<ListCapturesResponse>, Status> {
        let overview = self.keeper()?.overview().await;
        let captures = overview.captures.into_iter().map(|capture| Capture {
            node: capture.state.node.to_string(),
            boot: capture.state.boot,
            source: match capture.state.source {
                CaptureSource::Ebpf => "ebpf".to_owned(),
                CaptureSource::Pcap => "pcap".to_owned(),
            },
            frames: capture.state.received_frames,
            delivered_bytes: capture.state.store.delivered_bytes,
            connected: capture.connected,
        });
        Ok(Response::new(ListCapturesResponse {
            captures: captures.collect(),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<Self::ListSessionsStream>, Status> {
        let trail = self.trail_of(&request);
        let revealed = Event::Revealed {
            archive: path(&self.archive),
            data: Data::Sessions,
        };
        tell(&trail, revealed).await?;
        let archive = self.archive.clone();
        let (sender, receiver) = mpsc::channel(64);
        // Reading the archive and planning are blocking work.
        tokio::task::spawn_blocking(move || {
            let reader = match Reader::open(&archive) {
                Ok(reader) => reader,
                Err(error) => {
                    let error = anyhow::Error::from(error);
                    // Whoever asked may have gone.
                    let _ = sender.blocking_send(Err(Status::internal(format!("{error:#}"))));
                    return;
                }
            };
            let plan = plan_of(&reader);
            for session in &plan.sessions {
                let at = |position: Option<&u32>| {
                    let due = position.map_or(0, |&p| plan.requests[p as usize].due_ns);
                    Some(wire_time(plan.capture_start.plus_ns(due)))
                };
                let message = Session {
                    id: session.id.clone(),
                    exchanges: session.requests.len() as u64,
                    first: at(session.requests.first()),
                    last: at(session.requests.last()),
                    began_before_capture: session.began_before_capture,
                };
                if sender.blocking_send(Ok(message)).is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

fn id(request: &RunRequest) -> Option<&str> {
    Some(&request.id)
}

/// What the log can't be told is refused.
async fn tell(trail: &Trail, event: Event) -> Result<(), Status> {
    let trail = trail.clone();
    // It waits for a lock and for the disk.
    let told = tokio::task::spawn_blocking(move || trail.tell(&[event])).await;
    told.map_err(|error| Status::internal(error.to_string()))?
        .map_err(|error| refusal(&error))
}

fn answer(outcome: anyhow::Result<Run>) -> Result<Response<Run>, Status> {
    outcome.map(Response::new).map_err(|error| refusal(&error))
}

fn refusal(error: &anyhow::Error) -> Status {
    Status::failed_precondition(format!("{error:#}"))
}

fn wire_time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(time.0 / 1_000_000_000).unwrap_or(i64::MAX),
        nanos: (time.0 % 1_000_000_000) as i32,
    }
}
