//! An agent in a test's hands: it speaks twintap.v1 as the test says, right or wrong.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use prost::Message as _;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};
use twintap_proto::v1::flow_order::Order;
use twintap_proto::v1::ingest_client::IngestClient;
use twintap_proto::v1::ship_request::Message as Outbound;
use twintap_proto::v1::ship_response::Message as Inbound;
use twintap_proto::v1::{
    Batch, ClockReading, Codec, Finish, Flow, FlowEnd, Frame, Heartbeat, Hello, KernelLedger,
    Marks, Range, Record, RecordKind, Role, ShipRequest, ShipResponse, Welcome,
};

/// How long the daemon may take to say something.
const LIMIT: Duration = Duration::from_secs(30);
/// Unix time at boot-time 0, nanoseconds.
const BOOTED_UNIX_NS: i64 = 1_700_000_000_000_000_000;

/// One stream of `Ingest.Ship`, with a runtime of its own.
#[derive(Debug)]
pub struct Ship {
    runtime: Runtime,
    requests: Option<mpsc::Sender<ShipRequest>>,
    responses: Streaming<ShipResponse>,
    /// The marks that the daemon sent last.
    pub marks: Marks,
    /// The orders that it gave for flows.
    pub orders: Vec<(u64, Order)>,
    /// Whether it wanted nothing captured when the stream began.
    pub welcome_paused: bool,
    /// What it said of that since.
    told: Option<bool>,
}

impl Ship {
    /// Opens a stream with a Hello and takes the Welcome.
    ///
    /// # Errors
    /// What the daemon says instead.
    pub fn open(daemon: SocketAddr, node: &str, boot: u64) -> Result<Ship, Status> {
        let hello = Hello {
            node: node.to_owned(),
            boot,
            agent_version: "test".to_owned(),
            captured_endpoints: Vec::new(),
        };
        Ship::open_with(daemon, Outbound::Hello(hello))
    }

    /// Opens a stream with any first message.
    ///
    /// # Errors
    /// What the daemon says instead of a Welcome.
    pub fn open_with(daemon: SocketAddr, first: Outbound) -> Result<Ship, Status> {
        let broken = |error: &dyn std::fmt::Display| Status::internal(error.to_string());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| broken(&error))?;
        let (requests, outgoing) = mpsc::channel(64);
        let first = ShipRequest {
            message: Some(first),
        };
        let _ = requests.try_send(first);
        let opened = runtime.block_on(async {
            let channel = Endpoint::from_shared(format!("http://{daemon}"))
                .map_err(|error| broken(&error))?
                .connect()
                .await
                .map_err(|error| broken(&error))?;
            let mut client = IngestClient::new(channel).max_encoding_message_size(usize::MAX);
            let mut responses = client
                .ship(ReceiverStream::new(outgoing))
                .await?
                .into_inner();
            let welcome = responses.message().await?.and_then(|first| first.message);
            let Some(Inbound::Welcome(Welcome { marks, paused, .. })) = welcome else {
                return Err(Status::internal(format!("no welcome but {welcome:?}")));
            };
            Ok((responses, marks.unwrap_or_default(), paused))
        });
        let (responses, marks, welcome_paused) = opened?;
        Ok(Ship {
            runtime,
            requests: Some(requests),
            responses,
            marks,
            orders: Vec::new(),
            welcome_paused,
            told: None,
        })
    }

    /// Sends a frame; an error when the stream is broken.
    pub fn send(&mut self, frame: Frame) -> Result<()> {
        self.request(Outbound::Frame(frame))
    }

    fn request(&mut self, message: Outbound) -> Result<()> {
        let requests = self.requests.as_ref().context("the stream is closed")?;
        let message = Some(message);
        requests
            .blocking_send(ShipRequest { message })
            .map_err(|_| anyhow!("the stream is broken"))
    }

    /// Reads marks until all of these frames are durable.
    ///
    /// # Errors
    /// When the stream ends before.
    pub fn until_durable(&mut self, frames: &[u64]) -> Result<(), Status> {
        while !frames
            .iter()
            .all(|&frame| is_in(&self.marks.durable, frame))
        {
            if !self.next()? {
                return Err(Status::cancelled("the stream ended"));
            }
        }
        Ok(())
    }

    /// Reads marks to the end of the stream, and returns how it ended.
    pub fn until_end(&mut self) -> Status {
        loop {
            match self.next() {
                Ok(true) => {}
                Ok(false) => return Status::new(Code::Ok, ""),
                Err(status) => return status,
            }
        }
    }

    /// Sends a sign of life at the time of frame `sequence`; an error when the stream is broken.
    pub fn tell_time(&mut self, sequence: u64) -> Result<()> {
        self.tell_paused(sequence, false)
    }

    /// The same, and whether nothing is captured.
    pub fn tell_paused(&mut self, sequence: u64, paused: bool) -> Result<()> {
        self.request(Outbound::Heartbeat(Heartbeat {
            clock: Some(clock(sequence)),
            ledger: None,
            paused,
        }))
    }

    /// Waits until the daemon wants nothing captured, or wants it again.
    pub fn until_told(&mut self) -> Result<bool> {
        loop {
            if let Some(told) = self.told.take() {
                return Ok(told);
            }
            if !self.next()? {
                bail!("the stream ended");
            }
        }
    }

    /// Closes this side without a word, and waits until the daemon has closed its own.
    pub fn give_up(mut self) {
        self.requests = None;
        self.until_end();
    }

    /// Ends the boot in order, and reads the last marks.
    pub fn finish(mut self) -> Result<Marks> {
        self.request(Outbound::Finish(Finish {}))?;
        self.requests = None;
        let end = self.until_end();
        if end.code() != Code::Ok {
            bail!("the stream ended with {end}");
        }
        Ok(self.marks.clone())
    }

    /// Reads the next marks.
    ///
    /// # Errors
    /// When the stream ends before.
    pub fn next_marks(&mut self) -> Result<(), Status> {
        match self.next()? {
            true => Ok(()),
            false => Err(Status::cancelled("the stream ended")),
        }
    }

    /// False at the end of the stream.
    fn next(&mut self) -> Result<bool, Status> {
        let responses = &mut self.responses;
        let response = self
            .runtime
            .block_on(async { timeout(LIMIT, responses.message()).await })
            .map_err(|_| Status::deadline_exceeded("the daemon says nothing"))??;
        let Some(response) = response else {
            return Ok(false);
        };
        match response.message {
            Some(Inbound::Marks(marks)) => self.marks = marks,
            Some(Inbound::Order(order)) => self.orders.push((order.flow, order.order())),
            Some(Inbound::Pause(pause)) => self.told = Some(pause.paused),
            Some(Inbound::Welcome(_)) | None => {}
        }
        Ok(true)
    }
}

/// Whether a frame is in these ranges.
pub fn is_in(ranges: &[Range], frame: u64) -> bool {
    ranges
        .iter()
        .any(|range| (range.first..=range.last).contains(&frame))
}

/// A frame of a batch, not compressed. Its ledger says that `delivered_bytes` of payload
/// were seen and delivered up to it.
pub fn frame(sequence: u64, batch: &Batch, delivered_bytes: u64) -> Frame {
    let payload = batch.encode_to_vec();
    Frame {
        sequence,
        codec: Codec::None.into(),
        batch_bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        payload: payload.into(),
        clock: Some(clock(sequence)),
        ledger: Some(KernelLedger {
            seen_bytes: delivered_bytes,
            delivered_bytes,
            ..KernelLedger::default()
        }),
    }
}

/// A millisecond passes from frame to frame.
fn clock(sequence: u64) -> ClockReading {
    ClockReading {
        boottime_ns: sequence * 1_000_000,
        unix_ns: BOOTED_UNIX_NS + (sequence * 1_000_000).cast_signed(),
        uncertainty_ns: 1_000,
    }
}

/// A batch with one flow and one whole exchange in it: a GET of `/FLOW`, answered with `body`.
pub fn exchange(flow: u64, body: &[u8]) -> Batch {
    let request = format!("GET /{flow} HTTP/1.1\r\nHost: shop\r\n\r\n").into_bytes();
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(body);
    let at = flow * 1_000;
    let close = Record {
        flow: 0,
        boottime_ns: at + 2,
        kind: RecordKind::Close.into(),
        end: Some(FlowEnd {
            client_final_offset: request.len() as u64,
            server_final_offset: response.len() as u64,
            dropped_bytes: 0,
            final_offsets_known: true,
        }),
        ..Record::default()
    };
    Batch {
        flows: vec![Flow {
            id: flow,
            role: Role::Server.into(),
            client_address: vec![10, 0, 0, 1].into(),
            client_port: 40_000,
            server_address: vec![10, 0, 0, 2].into(),
            server_port: 80,
            ..Flow::default()
        }],
        records: vec![
            segment(at, false, request),
            segment(at + 1, true, response),
            close,
        ],
    }
}

/// Bytes of payload in a batch.
pub fn payload_bytes(batch: &Batch) -> u64 {
    batch
        .records
        .iter()
        .map(|record| record.payload.len() as u64)
        .sum()
}

fn segment(boottime_ns: u64, from_server: bool, payload: Vec<u8>) -> Record {
    Record {
        flow: 0,
        boottime_ns,
        from_server,
        sequence_number: 1,
        acknowledgement: 1,
        // ACK.
        flags: 0x10,
        payload: payload.into(),
        kind: RecordKind::Segment.into(),
        ..Record::default()
    }
}
