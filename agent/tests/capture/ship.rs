//! The whole agent, from the kernel to a daemon of the test's own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{self, AgentProcess, EchoServer, exchange, skips, until};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::{runtime::Runtime, sync::mpsc, task::JoinHandle};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};
use twintap_proto::v1::{
    self,
    ingest_server::{Ingest, IngestServer},
    ship_request, ship_response,
};

/// What the daemon knows, over all its lives.
#[derive(Debug, Default)]
struct Seen {
    frames: BTreeMap<u64, v1::Frame>,
    arrivals: Vec<u64>,
    hellos: Vec<v1::Hello>,
    /// Boots that said that they were over.
    finishes: u64,
    /// Whether frames become durable as they come.
    stores: bool,
    /// Whether agents are to capture nothing.
    pauses: bool,
    /// What the last heartbeat said of that.
    paused: bool,
}

/// A daemon that keeps what it is sent.
#[derive(Clone, Debug, Default)]
struct Daemon(Arc<Mutex<Seen>>);

impl Daemon {
    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().expect("no test panics while it looks"))
    }

    fn serve(&self, runtime: &Runtime, address: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
        let daemon = self.clone();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(address))
            .expect("the address is free");
        let address = listener.local_addr().expect("bound");
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder()
            .add_service(IngestServer::new(daemon).max_decoding_message_size(16 << 20));
        let serving = runtime.spawn(async move {
            server
                .serve_with_incoming(incoming)
                .await
                .expect("it serves");
        });
        (address, serving)
    }

    fn marks(&self) -> v1::Marks {
        self.seen(|seen| {
            let ranges = seen.frames.keys().map(|&sequence| v1::Range {
                first: sequence,
                last: sequence,
            });
            let received: Vec<_> = ranges.collect();
            v1::Marks {
                durable: if seen.stores {
                    received.clone()
                } else {
                    Vec::new()
                },
                received,
            }
        })
    }

    /// The captured streams by direction, reassembled by offset.
    fn stream(&self, from_server: bool) -> Vec<u8> {
        let mut pieces: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for record in self.records() {
            if record.from_server == from_server && !record.payload.is_empty() {
                pieces.insert(record.offset, record.payload.to_vec());
            }
        }
        let mut stream = Vec::new();
        for (offset, piece) in pieces {
            let have = stream.len() as u64;
            assert!(offset <= have, "a hole at {have}");
            stream.extend_from_slice(piece.get((have - offset) as usize..).unwrap_or(&[]));
        }
        stream
    }

    fn records(&self) -> Vec<v1::Record> {
        let batches: Vec<v1::Batch> = self.seen(|seen| seen.frames.values().map(decode).collect());
        batches
            .into_iter()
            .flat_map(|batch| batch.records)
            .collect()
    }
}

fn decode(frame: &v1::Frame) -> v1::Batch {
    let bytes = match frame.codec() {
        v1::Codec::Zstd => zstd::bulk::decompress(&frame.payload, frame.batch_bytes as usize)
            .expect("it was compressed"),
        _ => frame.payload.to_vec(),
    };
    assert_eq!(bytes.len(), frame.batch_bytes as usize);
    v1::Batch::decode(&bytes[..]).expect("it was encoded")
}

#[tonic::async_trait]
impl Ingest for Daemon {
    type ShipStream = Pin<Box<dyn Stream<Item = Result<v1::ShipResponse, Status>> + Send>>;

    async fn ship(
        &self,
        request: Request<Streaming<v1::ShipRequest>>,
    ) -> Result<Response<Self::ShipStream>, Status> {
        let mut requests = request.into_inner();
        let (answers, outgoing) = mpsc::channel(64);
        let daemon = self.clone();
        tokio::spawn(async move {
            while let Some(Ok(request)) = requests.next().await {
                let answer = match request.message {
                    Some(ship_request::Message::Hello(hello)) => {
                        daemon.seen(|seen| seen.hellos.push(hello));
                        ship_response::Message::Welcome(v1::Welcome {
                            max_frame_bytes: 4 << 20,
                            marks: Some(daemon.marks()),
                            paused: daemon.seen(|seen| seen.pauses),
                        })
                    }
                    Some(ship_request::Message::Frame(frame)) => {
                        daemon.seen(|seen| {
                            seen.arrivals.push(frame.sequence);
                            seen.frames.insert(frame.sequence, frame);
                        });
                        ship_response::Message::Marks(daemon.marks())
                    }
                    Some(ship_request::Message::Finish(_)) => {
                        return daemon.seen(|seen| seen.finishes += 1);
                    }
                    Some(ship_request::Message::Heartbeat(heartbeat)) => {
                        let (pauses, paused) = daemon.seen(|seen| {
                            seen.paused = heartbeat.paused;
                            (seen.pauses, seen.paused)
                        });
                        match pauses == paused {
                            true => ship_response::Message::Marks(daemon.marks()),
                            false => ship_response::Message::Pause(v1::Pause { paused: pauses }),
                        }
                    }
                    None => ship_response::Message::Marks(daemon.marks()),
                };
                let message = Some(answer);
                if answers
                    .send(Ok(v1::ShipResponse { message }))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn dropped(ledger: &v1::KernelLedger) -> u64 {
    ledger.dropped.iter().map(|drop| drop.bytes).sum()
}

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Rings that each hold all of a test's traffic, so that nothing is lost however long the agent
/// waits for a processor.
const ROOMY: &[&str] = &["--rings", "2", "--ring-bytes", "32MiB"];

#[test]
fn everything_arrives_and_the_ledger_closes() {
    if skips() {
        return;
    }
    const BYTES: usize = 8 << 20;
    let runtime = Runtime::new().expect("threads are left");
    let daemon = Daemon::default();
    daemon.seen(|seen| seen.stores = true);
    let (address, _serving) = daemon.serve(&runtime, anywhere());
    let cgroup = support::new_cgroup();
    let agent = AgentProcess::start(&cgroup, address, ROOMY);
    let server = EchoServer::start(&cgroup, "127.0.0.1:0");
    let exchanged = exchange(server.address, BYTES);
    assert!(agent.terminate().0, "the agent ends well");
    assert_eq!(daemon.seen(|seen| seen.finishes), 1, "it says so");

    daemon.seen(|seen| {
        let last = seen.frames.values().next_back().expect("frames came");
        let ledger = last.ledger.clone().expect("each frame has one");
        assert_eq!(ledger.pending_bytes, 0);
        assert_eq!(ledger.dropped, [], "the rings have room for everything");
        assert_eq!(ledger.seen_bytes, ledger.delivered_bytes);
        assert!(ledger.seen_bytes >= 2 * BYTES as u64);
        assert_eq!(seen.hellos.len(), 1);
    });
    assert_eq!(sha256(&daemon.stream(false)), exchanged.sent_sha256);
    assert_eq!(sha256(&daemon.stream(true)), exchanged.received_sha256);
    let close = daemon
        .records()
        .into_iter()
        .find_map(|record| record.end)
        .expect("the flow ended");
    assert_eq!(
        (close.client_final_offset, close.server_final_offset),
        (BYTES as u64, BYTES as u64)
    );
}

#[test]
fn a_daemon_that_died_is_sent_again_what_it_forgot() {
    if skips() {
        return;
    }
    const BYTES: usize = 4 << 20;
    let runtime = Runtime::new().expect("threads are left");
    let first = Daemon::default();
    let (address, serving) = first.serve(&runtime, anywhere());
    let cgroup = support::new_cgroup();
    let agent = AgentProcess::start(&cgroup, address, ROOMY);
    let server = EchoServer::start(&cgroup, "127.0.0.1:0");
    let mut client = support::Client::connect(server.address);
    client.exchange(BYTES);
    until(Duration::from_secs(30), || {
        first.seen(|seen| seen.frames.len() >= 3)
    });
    // It received them, stored nothing, and dies with its connections.
    serving.abort();
    runtime.shutdown_background();

    client.exchange(BYTES);
    let exchanged = client.finish();
    let runtime = Runtime::new().expect("threads are left");
    let second = Daemon::default();
    second.seen(|seen| seen.stores = true);
    let mut bound = None;
    until(Duration::from_secs(30), || {
        let free = runtime
            .block_on(tokio::net::TcpListener::bind(address))
            .is_ok();
        if free {
            bound = Some(second.serve(&runtime, address));
        }
        free
    });
    until(Duration::from_secs(60), || {
        !second.seen(|seen| seen.hellos.is_empty())
    });
    assert!(agent.terminate().0, "the agent ends well");

    assert_eq!(sha256(&second.stream(false)), exchanged.sent_sha256);
    assert_eq!(sha256(&second.stream(true)), exchanged.received_sha256);
    let (firsts, seconds) = (
        first.seen(|seen| seen.hellos[0].boot),
        second.seen(|seen| seen.hellos[0].boot),
    );
    assert_eq!(firsts, seconds, "one life of the agent");
    second.seen(|seen| {
        assert!(seen.arrivals.is_sorted(), "in order: {:?}", seen.arrivals);
        assert_eq!(seen.arrivals.first(), Some(&1));
    });
}

#[test]
fn without_a_daemon_whole_flows_are_shed_and_counted() {
    if skips() {
        return;
    }
    const FLOW_BYTES: usize = 256 << 10;
    const FLOWS: u64 = 24;
    let runtime = Runtime::new().expect("threads are left");
    let cgroup = support::new_cgroup();
    // A port that nobody listens at, until the daemon comes.
    let address = runtime
        .block_on(tokio::net::TcpListener::bind(anywhere()))
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let agent = AgentProcess::start(
        &cgroup,
        address,
        &["--memory-budget", "4MiB", "--compression", "0"],
    );
    let server = EchoServer::start(&cgroup, "127.0.0.1:0");
    for _ in 0..FLOWS {
        exchange(server.address, FLOW_BYTES);
    }
    let daemon = Daemon::default();
    daemon.seen(|seen| seen.stores = true);
    let (_, _serving) = daemon.serve(&runtime, address);
    until(Duration::from_secs(60), || {
        !daemon.seen(|seen| seen.frames.is_empty())
    });
    assert!(agent.terminate().0, "the agent ends well");

    let shed = shed_as_a_whole(&daemon, "agent_budget", FLOWS);
    assert!(shed > 0, "12 MiB do not fit into 4");
}

/// Holds that the ledger closes, that the frames carry what it says, and that the end of each of
/// so many flows is told with what was dropped; gives the bytes that were shed for `cause`.
#[track_caller]
fn shed_as_a_whole(daemon: &Daemon, cause: &str, flows: u64) -> u64 {
    let last = daemon.seen(|seen| seen.frames.values().next_back().cloned());
    let ledger = last.expect("frames came").ledger.expect("each has one");
    assert_eq!(ledger.pending_bytes, 0);
    assert_eq!(ledger.seen_bytes, ledger.delivered_bytes + dropped(&ledger));
    let records = daemon.records();
    let carried: u64 = records
        .iter()
        .map(|record| record.payload.len() as u64)
        .sum();
    assert_eq!(carried, ledger.delivered_bytes);
    let ends: Vec<v1::FlowEnd> = records.iter().filter_map(|record| record.end).collect();
    assert_eq!(
        ends.len() as u64,
        flows,
        "each end is told, of shed flows too"
    );
    assert_eq!(
        ends.iter().map(|end| end.dropped_bytes).sum::<u64>(),
        dropped(&ledger)
    );
    let shed = ledger.dropped.iter().find(|drop| drop.cause == cause);
    shed.expect("something was shed").bytes
}

#[test]
fn the_daemon_pauses_the_capture_and_lets_it_go_on() {
    if skips() {
        return;
    }
    let runtime = Runtime::new().expect("threads are left");
    let daemon = Daemon::default();
    daemon.seen(|seen| (seen.stores, seen.pauses) = (true, true));
    let (address, _serving) = daemon.serve(&runtime, anywhere());
    let cgroup = support::new_cgroup();
    let agent = AgentProcess::start(&cgroup, address, &[]);
    let server = EchoServer::start(&cgroup, "127.0.0.1:0");
    let says = |paused| {
        until(Duration::from_secs(30), || {
            daemon.seen(|seen| seen.paused == paused)
        })
    };
    says(true);
    exchange(server.address, 1_000);
    daemon.seen(|seen| seen.pauses = false);
    says(false);
    exchange(server.address, 2_000);
    daemon.seen(|seen| seen.pauses = true);
    says(true);
    exchange(server.address, 4_000);
    let (ended, log) = agent.terminate();
    assert!(ended, "the agent ends well");
    assert_eq!(daemon.stream(false).len(), 2_000, "{log}");
    assert_eq!(log.matches("paused by the daemon").count(), 2, "{log}");
}

#[test]
fn beyond_the_cpu_budget_whole_clients_are_shed_and_counted() {
    if skips() {
        return;
    }
    let runtime = Runtime::new().expect("threads are left");
    let daemon = Daemon::default();
    daemon.seen(|seen| seen.stores = true);
    let (address, _serving) = daemon.serve(&runtime, anywhere());
    let cgroup = support::new_cgroup();
    // Less than the agent needs to look at what it costs.
    let agent = AgentProcess::start(&cgroup, address, &["--cpu-budget", "0.001%"]);
    let server = EchoServer::start(&cgroup, "127.0.0.1:0");
    let mut exchanges = 0;
    until(Duration::from_secs(60), || {
        exchange(server.address, 100_000);
        exchanges += 1;
        let log = agent.log();
        log.contains("shedding all clients")
    });
    exchange(server.address, 50_000);
    let (ended, log) = agent.terminate();
    assert!(ended, "the agent ends well");
    let told: Vec<&str> = [
        "compressing as fast",
        "shedding 1/4",
        "shedding 2/4",
        "shedding 3/4",
        "shedding all",
    ]
    .into_iter()
    .filter(|words| log.contains(words))
    .collect();
    assert_eq!(told.len(), 5, "{log}");

    let shed = shed_as_a_whole(&daemon, "cpu_budget", exchanges + 1);
    assert!(shed >= 100_000, "the last exchange was shed: {shed}");
}

#[test]
fn top_shows_what_the_agent_does() {
    if skips() {
        return;
    }
    let runtime = Runtime::new().expect("threads are left");
    let free = runtime
        .block_on(tokio::net::TcpListener::bind(anywhere()))
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let daemon = Daemon::default();
    daemon.seen(|seen| (seen.stores, seen.pauses) = (true, true));
    let (address, _serving) = daemon.serve(&runtime, anywhere());
    let cgroup = support::new_cgroup();
    let metrics = free.to_string();
    let agent = AgentProcess::start(&cgroup, address, &["--metrics-addr", &metrics]);
    until(Duration::from_secs(30), || daemon.seen(|seen| seen.paused));
    let top = |format: &str| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_twintap-agent"))
            .args(["top", &metrics, "--count", "2", "--format", format])
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    for line in top("jsonl").lines() {
        let view: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(view["paused"], true, "{line}");
        assert_eq!(view["connected"], true, "{line}");
        assert_eq!(view["budget_bytes"], 32 << 20, "{line}");
    }
    let text = top("text");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("connected, paused"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert!(agent.terminate().0, "the agent ends well");
}

#[test]
fn a_ring_without_room_is_told_once_and_without_colours() {
    if skips() {
        return;
    }
    let cgroup = support::new_cgroup();
    let more = [
        "--ring-bytes",
        "256KiB",
        "--rings",
        "1",
        "--drain-seconds",
        "0",
    ];
    let agent = AgentProcess::start(&cgroup, SocketAddr::from(([127, 0, 0, 1], 9)), &more);
    let server = EchoServer::start(&cgroup, "127.0.0.1:0");
    // Nobody drains while the traffic runs.
    agent.signal(libc::SIGSTOP);
    exchange(server.address, 8 << 20);
    agent.signal(libc::SIGCONT);
    let (_, log) = agent.terminate();
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("no room"))
        .collect();
    let cpus = std::thread::available_parallelism().expect("it is known");
    assert!((1..=cpus.get()).contains(&told.len()), "{log}");
    assert!(told.iter().all(|line| line.contains("WARN")), "{log}");
    assert!(!log.contains('\x1b'), "{log}");
}
