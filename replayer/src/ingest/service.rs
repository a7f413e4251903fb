//! The gRPC side of ingest.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, warn};
use twintap_proto::v1::ingest_server::Ingest;
use twintap_proto::v1::{
    ShipRequest, ShipResponse, Welcome, ship_request::Message as Inbound,
    ship_response::Message as Outbound,
};

use super::frames::{MAX_BATCH_BYTES, decode_batch};
use super::keeper::{Command, KeeperHandle};

/// Takes the streams of agents.
#[derive(Clone)]
pub struct IngestService {
    keeper: KeeperHandle,
}

impl IngestService {
    /// A service that hands everything to `keeper`.
    pub fn new(keeper: KeeperHandle) -> IngestService {
        IngestService { keeper }
    }
}

#[tonic::async_trait]
impl Ingest for IngestService {
    type ShipStream = Pin<Box<dyn Stream<Item = Result<ShipResponse, Status>> + Send>>;

    async fn ship(
        &self,
        request: Request<Streaming<ShipRequest>>,
    ) -> Result<Response<Self::ShipStream>, Status> {
        let mut inbound = request.into_inner();
        let hello = match inbound.next().await {
            Some(Ok(ShipRequest {
                message: Some(Inbound::Hello(hello)),
            })) => hello,
            Some(Ok(_)) => {
                return Err(Status::invalid_argument(
                    "the first message of a stream must be a Hello",
                ));
            }
            Some(Err(status)) => return Err(status),
            None => return Err(Status::invalid_argument("the stream ended before a Hello")),
        };
        let is_odd = |char: char| char == '/' || char.is_control();
        if hello.node.is_empty() || hello.node.len() > 253 || hello.node.contains(is_odd) {
            return Err(Status::invalid_argument(format!(
                "node name {:?} must have 1 to 253 bytes, no slash and no control character",
                hello.node
            )));
        }
        let (node, boot) = (hello.node.clone(), hello.boot);
        let (marks_out, mut marks_in) = mpsc::channel(64);
        let marks_way = marks_out.downgrade();
        let (marks, paused) = self
            .keeper
            .connect(hello, marks_out)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        info!(node, boot = format!("{boot:016x}"), "agent connected");

        let (out, responses) = mpsc::channel(16);
        let welcome = ShipResponse {
            message: Some(Outbound::Welcome(Welcome {
                max_frame_bytes: MAX_BATCH_BYTES,
                marks: Some(marks),
                paused,
            })),
        };
        // The channel is empty and its receiver is held below.
        let _ = out.try_send(Ok(welcome));
        let keeper = self.keeper.clone();
        tokio::spawn(async move {
            let mut finished = false;
            loop {
                tokio::select! {
                    message = marks_in.recv() => {
                        let Some(message) = message else {
                            if !finished {
                                let _ = out.send(Err(Status::unavailable(
                                    "a later stream of this boot took over, or the archive takes no data, or the daemon ends; see its log",
                                ))).await;
                            }
                            break;
                        };
                        let message = Some(message);
                        if out.send(Ok(ShipResponse { message })).await.is_err() {
                            break;
                        }
                    }
                    message = inbound.next(), if !finished => {
                        match message {
                            Some(Ok(ShipRequest { message: Some(Inbound::Finish(_)) })) => {
                                // What is unfinished becomes incomplete, and the last marks follow.
                                finished = true;
                                keeper.send(Command::Finish { node: node.clone(), boot }).await;
                            }
                            Some(Ok(message)) => {
                                if !forward(&keeper, &node, boot, message).await {
                                    break;
                                }
                            }
                            Some(Err(status)) => {
                                warn!(node, %status, "agent's stream broke");
                                // It may be there still: a message was too large.
                                let _ = out.try_send(Err(status));
                                break;
                            }
                            None => {
                                warn!(node, "agent gave its stream up");
                                break;
                            }
                        }
                    }
                }
            }
            keeper
                .send(Command::Disconnect {
                    node: node.clone(),
                    boot,
                    marks: marks_way,
                })
                .await;
            info!(node, "agent disconnected");
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }
}

/// False when the keeper is gone.
async fn forward(keeper: &KeeperHandle, node: &str, boot: u64, message: ShipRequest) -> bool {
    let node = node.to_owned();
    match message.message {
        Some(Inbound::Frame(frame)) => {
            let batch = decode_batch(&frame);
            if let Err(error) = &batch {
                warn!(node, sequence = frame.sequence, %error, "frame can't be decoded; counted");
            }
            keeper
                .send(Command::Frame {
                    node,
                    boot,
                    sequence: frame.sequence,
                    clock: frame.clock,
                    ledger: frame.ledger,
                    batch: batch.map_err(|error| error.to_string()),
                })
                .await
        }
        Some(Inbound::Heartbeat(heartbeat)) => {
            keeper
                .send(Command::Heartbeat {
                    node,
                    boot,
                    clock: heartbeat.clock,
                    ledger: heartbeat.ledger,
                    paused: heartbeat.paused,
                })
                .await
        }
        Some(Inbound::Hello(_) | Inbound::Finish(_)) | None => true,
    }
}
