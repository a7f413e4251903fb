//! Ships frames to the daemon, over and over until the agent ends.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rand::Rng as _;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use twintap_abi::Order;
use twintap_proto::v1::{
    self, flow_order, ingest_client::IngestClient, ship_request, ship_response,
};

use crate::{config::Daemon, drain::Shared, ledger::clock_reading, probes::KernelLedger};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
const PING_EVERY: Duration = Duration::from_secs(10);
/// How often the end looks whether every frame is sent.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Frames between the outbox and the connection; the outbox's budget counts them too.
const FRAMES_UNDER_WAY: usize = 2;
/// What a frame takes beside its batch: sequence, clocks, ledger.
const FRAME_HEAD_BYTES: usize = 2048;

/// An order of the daemon for one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowOrder {
    /// The flow's id.
    pub flow: u64,
    /// What to do with it; `None` captures all of it again.
    pub order: Option<Order>,
}

/// The shipping task's state.
pub struct Ship {
    /// Where to, and how.
    pub daemon: Daemon,
    /// Who is speaking.
    pub hello: v1::Hello,
    /// The frames.
    pub shared: Arc<Shared>,
    /// For heartbeats.
    pub kernel: Arc<KernelLedger>,
    /// Where orders go.
    pub orders: mpsc::Sender<FlowOrder>,
}

impl Ship {
    /// Connects, ships, and connects anew when that ends, until `stop`. After `finish`
    /// it ends by itself once the daemon has taken everything.
    pub async fn run(self, finish: CancellationToken, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let session = self.session(&finish);
            let result = tokio::select! {
                result = session => result,
                () = stop.cancelled() => return,
            };
            let counts = &self.shared.counts;
            let was_connected = counts.connected.swap(0, Relaxed) == 1;
            if was_connected {
                pause = FIRST_PAUSE;
            }
            match result {
                Ok(()) => return,
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    retry_ms = pause.as_millis() as u64,
                    "not connected to the daemon"
                ),
            }
            // Between half and all of the pause, so that many agents do not come back together.
            let jittered = pause.mul_f64(rand::rng().random_range(0.5..=1.0));
            tokio::select! {
                () = sleep(jittered) => {}
                () = stop.cancelled() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One connection. It ends well only after `finish`: the agent says that it ends once
    /// everything is sent, the daemon finishes the boot's flows, sends the last marks, and closes.
    async fn session(&self, finish: &CancellationToken) -> anyhow::Result<()> {
        let channel = connect(&self.daemon).await?;
        let (requests, outgoing) = mpsc::channel(FRAMES_UNDER_WAY);
        requests
            .send(request(ship_request::Message::Hello(self.hello.clone())))
            .await?;
        let mut client = IngestClient::new(channel);
        let mut incoming = timeout(WELCOME_TIMEOUT, client.ship(ReceiverStream::new(outgoing)))
            .await
            .context("the daemon did not answer")?
            .context("the daemon refused")?
            .into_inner();
        let welcome = timeout(WELCOME_TIMEOUT, incoming.message())
            .await
            .context("the daemon sent no welcome")??
            .and_then(|response| response.message);
        let Some(ship_response::Message::Welcome(welcome)) = welcome else {
            bail!("the daemon's first message is no welcome");
        };
        self.welcome(welcome);

        let mut heartbeat = interval(HEARTBEAT_EVERY);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                response = incoming.message() => {
                    let Some(response) = response.context("the connection broke")? else {
                        bail!("the daemon ended the connection");
                    };
                    self.handle(response).await;
                }
                () = self.all_sent(finish) => break,
                permit = self.permit_for_frame(&requests) => {
                    let permit = permit.context("the connection broke")?;
                    if let Some(frame) = self.shared.with_outbox(|outbox| outbox.next_to_send()) {
                        permit.send(request(ship_request::Message::Frame(frame)));
                        heartbeat.reset();
                    }
                }
                () = self.shared.pause_done.notified() => {
                    let said = request(ship_request::Message::Heartbeat(self.heartbeat()));
                    requests.send(said).await.context("the connection broke")?;
                }
                _ = heartbeat.tick() => {
                    // A connection that is busy needs no sign of life.
                    let _ = requests.try_send(request(ship_request::Message::Heartbeat(
                        self.heartbeat(),
                    )));
                }
            }
        }
        // The last ledger: nothing is pending any more.
        requests
            .send(request(ship_request::Message::Heartbeat(self.heartbeat())))
            .await
            .context("the connection broke")?;
        requests
            .send(request(ship_request::Message::Finish(v1::Finish {})))
            .await
            .context("the connection broke")?;
        drop(requests);
        while let Some(response) = incoming.message().await.context("the connection broke")? {
            self.handle(response).await;
        }
        Ok(())
    }

    /// Waits until the agent ends and every frame is sent.
    async fn all_sent(&self, finish: &CancellationToken) {
        finish.cancelled().await;
        while self.shared.with_outbox(|outbox| outbox.has_next_to_send()) {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until there is a frame to send and room on the connection.
    async fn permit_for_frame<'a>(
        &self,
        requests: &'a mpsc::Sender<v1::ShipRequest>,
    ) -> Result<mpsc::Permit<'a, v1::ShipRequest>, mpsc::error::SendError<()>> {
        while !self.shared.with_outbox(|outbox| outbox.has_next_to_send()) {
            self.shared.sealed.notified().await;
        }
        requests.reserve().await
    }

    fn welcome(&self, welcome: v1::Welcome) {
        let counts = &self.shared.counts;
        counts.connections.fetch_add(1, Relaxed);
        counts.connected.store(1, Relaxed);
        let marks = welcome.marks.unwrap_or_default();
        self.shared.with_outbox(|outbox| outbox.resume(&marks));
        self.shared.pause_wanted.send_replace(welcome.paused);
        if welcome.max_frame_bytes > 0 {
            let limit = welcome.max_frame_bytes as usize;
            let too_large = self
                .shared
                .with_outbox(|outbox| outbox.remove_larger(limit));
            // They were counted as delivered when they were sealed.
            counts
                .delivered_bytes
                .fetch_sub(too_large.payload_bytes, Relaxed);
            counts
                .too_large_bytes
                .fetch_add(too_large.payload_bytes, Relaxed);
            counts.too_large_frames.fetch_add(too_large.frames, Relaxed);
            // Uncompressed, since nobody knows before how well a batch compresses.
            let batch_limit = limit.saturating_sub(FRAME_HEAD_BYTES).max(FRAME_HEAD_BYTES);
            self.shared
                .batch_limit_bytes
                .fetch_min(batch_limit, Relaxed);
        }
        tracing::info!("connected to the daemon");
    }

    async fn handle(&self, response: v1::ShipResponse) {
        match response.message {
            Some(ship_response::Message::Marks(marks)) => {
                self.shared.with_outbox(|outbox| outbox.apply(&marks));
            }
            Some(ship_response::Message::Order(order)) => {
                let flow = order.flow;
                let order = match order.order() {
                    flow_order::Order::Stop => Some(Order::Stop),
                    flow_order::Order::HeadersOnly => Some(Order::HeadersOnly),
                    flow_order::Order::Resume => None,
                    // Orders that this agent does not know are ignored.
                    flow_order::Order::Unspecified => return,
                };
                // Nobody takes them when the agent ends, and then they have no meaning.
                let _ = self.orders.send(FlowOrder { flow, order }).await;
            }
            Some(ship_response::Message::Pause(pause)) => {
                self.shared.pause_wanted.send_replace(pause.paused);
            }
            Some(ship_response::Message::Welcome(_)) | None => {}
        }
    }

    fn heartbeat(&self) -> v1::Heartbeat {
        let ledger = self
            .kernel
            .read()
            .map(|kernel| self.shared.counts.ledger(&kernel));
        v1::Heartbeat {
            clock: Some(clock_reading()),
            ledger: ledger.ok(),
            paused: self.shared.counts.paused.load(Relaxed) == 1,
        }
    }
}

fn request(message: ship_request::Message) -> v1::ShipRequest {
    v1::ShipRequest {
        message: Some(message),
    }
}

async fn connect(daemon: &Daemon) -> anyhow::Result<Channel> {
    let mut endpoint = Endpoint::from_shared(daemon.url.clone())
        .context("the daemon's URL")?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .keep_alive_while_idle(true);
    if let Some(tls) = &daemon.tls {
        endpoint = endpoint
            .tls_config(
                ClientTlsConfig::new()
                    .ca_certificate(Certificate::from_pem(&tls.ca))
                    .identity(Identity::from_pem(&tls.certificate, &tls.key)),
            )
            .context("the certificates")?;
    }
    Ok(endpoint.connect().await?)
}
