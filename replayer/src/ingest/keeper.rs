//! The one thread that owns the archive and all captures.
//!
//! It takes commands over a bounded channel, so that a slow disk makes agents
//! wait (and shed, counted, by their own budgets) and never grows memory here.
//! When the archive fails (a full disk), all captures are dropped, the agents'
//! streams end, and the archive is opened anew from its last commit until it
//! works: the agents still hold every frame that was not durable.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};
use twintap_archive::{
    Archive, Capture as CaptureState, CaptureSource, Checkpoint, KernelLedger, Options,
};
use twintap_proto::v1::{
    Batch, ClockReading, FlowOrder, Hello, KernelLedger as WireLedger, Marks, Pause, RecordKind,
    flow_order::Order, ship_response::Message as Outbound,
};
use twintap_scrub::Scrubber;
use twintap_stream::{FlowId, Limits, Timestamp};

use super::frames;
use super::pauses::Pauses;
use super::ranges::RangeSet;
use crate::capture::{Capture, OrderRules, ledger_to_resume};
use crate::checkpoint::{self, FlowMarks};

/// Commands that may wait before a sender has to.
const QUEUE: usize = 16;
/// How long between attempts to open a failed archive.
const REOPEN_AFTER: Duration = Duration::from_secs(2);
/// How often retention is enforced.
const RETENTION_EVERY: Duration = Duration::from_secs(30);

/// How the keeper works.
#[derive(Clone, Debug)]
pub struct KeeperOptions {
    /// The archive's directory.
    pub archive: PathBuf,
    /// How the archive is written and kept small.
    pub archive_options: Options,
    /// Limits of each capture's reassembly.
    pub limits: Limits,
    /// The longest time between commits while something is new.
    pub commit_every: Duration,
    /// Which flows agents need not copy any longer.
    pub orders: OrderRules,
    /// Where it is written which agents are to capture nothing.
    pub pauses: PathBuf,
}

/// What the keeper is asked to do.
pub enum Command {
    /// An agent introduced itself.
    Connect {
        /// Its words.
        hello: Hello,
        /// Where its marks and orders go; dropped when the archive fails.
        marks: mpsc::Sender<Outbound>,
        /// The marks as they stand, and whether the agent is to capture nothing.
        reply: oneshot::Sender<Result<(Marks, bool)>>,
    },
    /// A frame arrived.
    Frame {
        /// The agent's node.
        node: String,
        /// The agent's boot.
        boot: u64,
        /// The frame's number.
        sequence: u64,
        /// Both clocks when the frame was closed.
        clock: Option<ClockReading>,
        /// The agent's ledger then.
        ledger: Option<WireLedger>,
        /// What was in it, or why that can't be told.
        batch: Result<Batch, String>,
    },
    /// Nothing new but the ledger.
    Heartbeat {
        /// The agent's node.
        node: String,
        /// The agent's boot.
        boot: u64,
        /// Both clocks: idle flows time out by them.
        clock: Option<ClockReading>,
        /// The agent's ledger.
        ledger: Option<WireLedger>,
        /// Whether it captures nothing, because it was told so.
        paused: bool,
    },
    /// The boot is over.
    Finish {
        /// The agent's node.
        node: String,
        /// The agent's boot.
        boot: u64,
    },
    /// The agent's stream ended.
    Disconnect {
        /// The agent's node.
        node: String,
        /// The agent's boot.
        boot: u64,
        /// Where this stream's marks went: a later stream of the boot goes on.
        marks: mpsc::WeakSender<Outbound>,
    },
    /// Somebody wants agents to capture nothing, or to go on.
    Pause {
        /// One node; all, with those to come, without.
        node: Option<String>,
        /// Nothing, or on.
        paused: bool,
        /// Why it was not done.
        reply: oneshot::Sender<Result<()>>,
    },
    /// Somebody wants to know.
    Overview(oneshot::Sender<Overview>),
    /// Commit, seal the archive and end.
    Shutdown(oneshot::Sender<()>),
}

/// The state of all captures, for metrics and listings.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Every capture of this life and those resumed.
    pub captures: Vec<CaptureOverview>,
    /// Why the archive takes no data, when it does not.
    pub archive_error: Option<String>,
    /// Commits since the start.
    pub commits: u64,
    /// Parts removed by retention since the start.
    pub retired_parts: u64,
    /// Exchanges removed with them.
    pub retired_exchanges: u64,
}

/// The state of one capture.
#[derive(Clone, Debug)]
pub struct CaptureOverview {
    /// As it is in the checkpoint.
    pub state: CaptureState,
    /// True while its agent is connected.
    pub connected: bool,
    /// Live flows.
    pub flows: u64,
    /// Its agent; none of captures whose boots are over or have not come back.
    pub agent: Option<AgentOverview>,
}

/// The state of an agent.
#[derive(Clone, Copy, Debug, Default)]
pub struct AgentOverview {
    /// Whether it is to capture nothing.
    pub pause_wanted: bool,
    /// Whether it captures nothing, as it said last.
    pub paused: bool,
    /// Flows that it was ordered to stop.
    pub stop_orders: u64,
    /// Flows of which it was ordered to send lengths and times alone.
    pub headers_only_orders: u64,
}

/// The sending side.
#[derive(Clone, Debug)]
pub struct KeeperHandle {
    commands: mpsc::Sender<Command>,
}

impl KeeperHandle {
    /// Hands over a command; false when the keeper has ended.
    pub async fn send(&self, command: Command) -> bool {
        self.commands.send(command).await.is_ok()
    }

    /// Introduces an agent and returns its marks.
    pub async fn connect(
        &self,
        hello: Hello,
        marks: mpsc::Sender<Outbound>,
    ) -> Result<(Marks, bool)> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Connect {
            hello,
            marks,
            reply,
        };
        self.send(command).await;
        answer.await.map_err(|_| anyhow!("the daemon is ending"))?
    }

    /// Makes the agent of `node`, or all of them, capture nothing, or go on.
    ///
    /// # Errors
    /// When no such agent is known, or it can't be kept over a restart.
    pub async fn pause(&self, node: Option<String>, paused: bool) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Pause {
            node,
            paused,
            reply,
        };
        self.send(command).await;
        answer.await.map_err(|_| anyhow!("the daemon is ending"))?
    }

    /// The state of all captures; empty when the keeper has ended.
    pub async fn overview(&self) -> Overview {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Overview(reply)).await;
        answer.await.unwrap_or_default()
    }

    /// Commits, seals and ends; returns when that is done.
    pub async fn shutdown(&self) {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Shutdown(reply)).await;
        // An error says that it has ended already.
        let _ = answer.await;
    }
}

/// The keeper's own state.
pub struct Keeper {
    options: KeeperOptions,
    scrubber: Scrubber,
    commands: mpsc::Receiver<Command>,
    pauses: Pauses,
    open: Option<Open>,
    failure: Option<(String, Instant)>,
    commits: u64,
    retired_parts: u64,
    retired_exchanges: u64,
}

struct Open {
    archive: Archive,
    captures: HashMap<(String, u64), Live>,
    /// Captures of earlier lives whose agents have not come back.
    dormant: Vec<CaptureState>,
    dirty: bool,
    last_retention: Instant,
}

struct Live {
    capture: Capture,
    captured_endpoints: Vec<String>,
    /// What earlier lives committed.
    before: CaptureState,
    flow_marks: FlowMarks,
    kernel: KernelLedger,
    received: RangeSet,
    durable: RangeSet,
    frames_undecodable: u64,
    /// Unix minus boot-time clock, nanoseconds; the first reading of this life,
    /// so that spacing within a boot is that of the boot-time clock.
    clock_offset_ns: Option<i128>,
    /// The agent's Unix time when it last spoke; none before it did, in this life.
    now: Option<Timestamp>,
    marks: Option<mpsc::Sender<Outbound>>,
    /// What the agent is to be told beside marks, in order.
    unsent: VecDeque<Outbound>,
    agent: AgentOverview,
    finished: bool,
}

impl Keeper {
    /// Opens the archive and starts the keeper's thread.
    pub fn start(options: KeeperOptions, scrubber: Scrubber) -> Result<KeeperHandle> {
        let pauses = Pauses::load(options.pauses.clone())?;
        let open = Open::new(&options)?;
        let (sender, commands) = mpsc::channel(QUEUE);
        let keeper = Keeper {
            options,
            scrubber,
            commands,
            pauses,
            open: Some(open),
            failure: None,
            commits: 0,
            retired_parts: 0,
            retired_exchanges: 0,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .context("starting the keeper")?;
        std::thread::Builder::new()
            .name("keeper".to_owned())
            .spawn(move || runtime.block_on(keeper.run()))
            .context("starting the keeper's thread")?;
        Ok(KeeperHandle { commands: sender })
    }

    async fn run(mut self) {
        let mut tick = tokio::time::interval(self.options.commit_every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => self.tick(),
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown(reply)) => {
                        self.end();
                        // Whoever asked may have gone.
                        let _ = reply.send(());
                        return;
                    }
                    Some(command) => self.handle(command),
                    None => {
                        self.end();
                        return;
                    }
                },
            }
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Connect {
                hello,
                marks,
                reply,
            } => {
                let answer = self.connect(hello, marks);
                // The agent may have gone.
                let _ = reply.send(answer);
            }
            Command::Frame {
                node,
                boot,
                sequence,
                clock,
                ledger,
                batch,
            } => {
                let Some(open) = &mut self.open else { return };
                if let Err(error) = open.frame((node, boot), sequence, clock, ledger, batch) {
                    self.fail(&error);
                }
            }
            Command::Heartbeat {
                node,
                boot,
                clock,
                ledger,
                paused,
            } => {
                let Some(open) = &mut self.open else { return };
                if let Some(live) = open.captures.get_mut(&(node, boot)) {
                    live.agent.paused = paused;
                    live.read_clock(clock);
                    if let Some(ledger) = ledger {
                        live.kernel = checkpoint::kernel_ledger(ledger);
                    }
                    open.dirty = true;
                }
            }
            Command::Finish { node, boot } => {
                let Some(open) = &mut self.open else { return };
                let outcome = open.finish((node, boot));
                match outcome {
                    Ok(()) => self.commit(),
                    Err(error) => self.fail(&error),
                }
            }
            Command::Disconnect { node, boot, marks } => {
                let Some(open) = &mut self.open else { return };
                let Some(live) = open.captures.get_mut(&(node, boot)) else {
                    return;
                };
                let is_current = |current: &mpsc::Sender<Outbound>| {
                    marks
                        .upgrade()
                        .is_some_and(|ended| ended.same_channel(current))
                };
                live.marks.take_if(|current| is_current(current));
            }
            Command::Pause {
                node,
                paused,
                reply,
            } => {
                let answer = self.pause(node.as_deref(), paused);
                // Whoever asked may have gone.
                let _ = reply.send(answer);
            }
            Command::Overview(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.overview());
            }
            Command::Shutdown(_) => unreachable!("handled by the loop"),
        }
    }

    fn connect(&mut self, hello: Hello, marks: mpsc::Sender<Outbound>) -> Result<(Marks, bool)> {
        let Some(open) = &mut self.open else {
            let (why, _) = self.failure.as_ref().context("the archive is closed")?;
            return Err(anyhow!("the archive takes no data: {why}"));
        };
        open.dirty = true;
        let live = open.live(&hello, &self.options, &self.scrubber);
        live.captured_endpoints = hello.captured_endpoints;
        live.marks = Some(marks);
        live.agent.pause_wanted = self.pauses.has(&hello.node);
        // The welcome says what holds now.
        live.unsent
            .retain(|message| !matches!(message, Outbound::Pause(_)));
        Ok((live.marks_now(), live.agent.pause_wanted))
    }

    /// Writes the pause down and tells the agents.
    fn pause(&mut self, node: Option<&str>, paused: bool) -> Result<()> {
        let open = self.open.as_mut();
        if let (Some(node), Some(open)) = (node, &open)
            && !open.knows(node)
        {
            return Err(anyhow!("no agent of a node {node:?} has ever connected"));
        }
        let outcome = self.pauses.set(node, paused);
        if let (None, Some((why, _))) = (&open, &self.failure) {
            outcome?;
            return Err(anyhow!(
                "kept, and agents are told as they connect: none is connected while the archive \
                 takes no data: {why}"
            ));
        }
        for ((node, _), live) in open.into_iter().flat_map(|open| &mut open.captures) {
            let wanted = self.pauses.has(node);
            if live.agent.pause_wanted != wanted {
                live.agent.pause_wanted = wanted;
                live.tell(Outbound::Pause(Pause { paused: wanted }));
            }
        }
        outcome
    }

    fn tick(&mut self) {
        if self.open.is_none() {
            self.reopen();
        }
        let Some(open) = &mut self.open else { return };
        if open.dirty {
            self.commit();
        }
        let Some(open) = &mut self.open else { return };
        if open.last_retention.elapsed() >= RETENTION_EVERY {
            open.last_retention = Instant::now();
            match open.archive.enforce_retention(unix_now()) {
                Ok(retired) => {
                    self.retired_parts += retired.parts;
                    self.retired_exchanges += retired.exchanges;
                    if retired.parts > 0 {
                        info!(
                            parts = retired.parts,
                            exchanges = retired.exchanges,
                            bytes = retired.bytes,
                            "retention removed the oldest parts"
                        );
                    }
                }
                Err(error) => self.fail(&anyhow!(error)),
            }
        }
    }

    fn commit(&mut self) {
        let Some(open) = &mut self.open else { return };
        match open.commit() {
            Ok(()) => self.commits += 1,
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &anyhow::Error) {
        error!(
            "the archive takes no data ({error:#}); agents keep what is not durable, trying again in {} s",
            REOPEN_AFTER.as_secs()
        );
        self.failure = Some((format!("{error:#}"), Instant::now()));
        self.open = None;
    }

    fn reopen(&mut self) {
        let waited = self
            .failure
            .as_ref()
            .is_none_or(|(_, at)| at.elapsed() >= REOPEN_AFTER);
        if !waited {
            return;
        }
        match Open::new(&self.options) {
            Ok(open) => {
                info!("the archive takes data again");
                self.open = Some(open);
                self.failure = None;
            }
            Err(error) => self.failure = Some((format!("{error:#}"), Instant::now())),
        }
    }

    fn end(&mut self) {
        self.commit();
        if let Some(open) = self.open.take()
            && let Err(error) = open.archive.close()
        {
            error!("closing the archive: {error:#}");
        }
    }

    fn overview(&self) -> Overview {
        let captures = self.open.iter().flat_map(|open| {
            let dormant = open.dormant.iter().map(|state| CaptureOverview {
                state: state.clone(),
                connected: false,
                flows: 0,
                agent: None,
            });
            let live = open
                .captures
                .iter()
                .map(|((node, boot), live)| CaptureOverview {
                    state: live.state(node, *boot),
                    connected: live.marks.is_some(),
                    flows: live.capture.flow_marks().count() as u64,
                    agent: Some(live.agent),
                });
            dormant.chain(live)
        });
        Overview {
            captures: captures.collect(),
            archive_error: self.failure.as_ref().map(|(why, _)| why.clone()),
            commits: self.commits,
            retired_parts: self.retired_parts,
            retired_exchanges: self.retired_exchanges,
        }
    }
}

impl Open {
    fn new(options: &KeeperOptions) -> Result<Open> {
        let (archive, recovery) = Archive::open(&options.archive, options.archive_options.clone())
            .with_context(|| format!("opening the archive {}", options.archive.display()))?;
        if recovery.truncated_bytes > 0 {
            warn!(
                bytes = recovery.truncated_bytes,
                "the archive ended in the middle of a commit; what was not committed is gone from it, and agents send it again"
            );
        }
        Ok(Open {
            archive,
            captures: HashMap::new(),
            dormant: recovery
                .checkpoint
                .map(|checkpoint| checkpoint.captures)
                .unwrap_or_default(),
            dirty: false,
            last_retention: Instant::now(),
        })
    }

    /// The capture of this boot: as it is, resumed from an earlier life, or new.
    fn live(&mut self, hello: &Hello, options: &KeeperOptions, scrubber: &Scrubber) -> &mut Live {
        let dormant = &mut self.dormant;
        self.captures
            .entry((hello.node.clone(), hello.boot))
            .or_insert_with(|| {
                let node: Arc<str> = Arc::from(hello.node.as_str());
                let known = dormant
                    .iter()
                    .position(|state| *state.node == *node && state.boot == hello.boot)
                    .map(|position| dormant.swap_remove(position));
                Live::new(node, hello.boot, known, options, scrubber.clone())
            })
    }

    /// Whether an agent of the node has ever connected.
    fn knows(&self, node: &str) -> bool {
        self.captures.keys().any(|(known, _)| known == node)
            || self.dormant.iter().any(|state| *state.node == *node)
    }

    fn frame(
        &mut self,
        key: (String, u64),
        sequence: u64,
        clock: Option<ClockReading>,
        ledger: Option<WireLedger>,
        batch: Result<Batch, String>,
    ) -> Result<()> {
        let Some(live) = self.captures.get_mut(&key) else {
            return Ok(());
        };
        self.dirty = true;
        if let Some(ledger) = ledger {
            live.kernel = checkpoint::kernel_ledger(ledger);
        }
        if !live.received.insert(sequence) {
            return Ok(());
        }
        let Ok(batch) = batch else {
            live.frames_undecodable += 1;
            return Ok(());
        };
        live.read_clock(clock);
        live.take(batch, sequence, &mut self.archive)?;
        live.give_orders();
        Ok(())
    }

    fn finish(&mut self, key: (String, u64)) -> Result<()> {
        if let Some(live) = self.captures.get_mut(&key) {
            live.capture.finish(&mut self.archive)?;
            live.finished = true;
            self.dirty = true;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        for live in self.captures.values_mut() {
            if let Some(now) = live.now {
                live.capture.handle_timeout(now, &mut self.archive)?;
            }
        }
        // What a commit leaves out stays as it was committed before.
        let mut captures = Vec::with_capacity(self.captures.len());
        for ((node, boot), live) in &mut self.captures {
            let held = live.capture.held_marks();
            live.durable = live.received.without(&held);
            let (flows, closed_flows) = live.flow_marks.changes(
                &mut live.capture,
                live.received.last().unwrap_or(0),
                held.first().map(|(first, _)| *first),
            );
            let mut state = live.state(node, *boot);
            state.flows = flows;
            state.closed_flows = closed_flows;
            captures.push(state);
        }
        self.archive.commit(Checkpoint {
            at: unix_now(),
            captures,
        })?;
        self.dirty = false;
        for live in self.captures.values_mut() {
            live.capture.rest();
            live.flush();
            if let Some(marks) = &live.marks {
                // A full channel means that newer marks will follow.
                let _ = marks.try_send(Outbound::Marks(live.marks_now()));
            }
        }
        // A boot that is over needs no memory; dropping it closes its agent's stream.
        let over = self.captures.extract_if(|_, live| live.finished);
        for ((node, boot), live) in over {
            self.dormant.push(live.state(&node, boot));
        }
        Ok(())
    }
}

impl Live {
    fn new(
        node: Arc<str>,
        boot: u64,
        known: Option<CaptureState>,
        options: &KeeperOptions,
        scrubber: Scrubber,
    ) -> Live {
        let known = known.unwrap_or_default();
        let base = ledger_to_resume(known.store.clone());
        let mut capture = Capture::new(node, boot, options.limits.clone(), scrubber, base)
            .with_orders(options.orders.clone());
        for mark in &known.flows {
            capture.resume_flow(mark);
        }
        let durable = RangeSet::from_pairs(&known.durable_frames);
        Live {
            capture,
            flow_marks: FlowMarks::resumed(&known.flows),
            captured_endpoints: known.captured_endpoints.clone(),
            kernel: known.kernel.clone(),
            before: known,
            received: durable.clone(),
            durable,
            frames_undecodable: 0,
            clock_offset_ns: None,
            now: None,
            marks: None,
            unsent: VecDeque::new(),
            agent: AgentOverview::default(),
            finished: false,
        }
    }

    /// Has the agent told what came of the rules for flows.
    fn give_orders(&mut self) {
        for (flow, order) in self.capture.take_orders() {
            match order {
                Order::Stop => self.agent.stop_orders += 1,
                Order::HeadersOnly => self.agent.headers_only_orders += 1,
                Order::Resume | Order::Unspecified => {}
            }
            self.tell(Outbound::Order(FlowOrder {
                flow: flow.0,
                order: order.into(),
            }));
        }
    }

    fn tell(&mut self, message: Outbound) {
        self.unsent.push_back(message);
        self.flush();
    }

    /// Sends what the connection has room for; what has no room goes with the next marks.
    fn flush(&mut self) {
        let Some(connection) = &self.marks else {
            return;
        };
        while let Some(message) = self.unsent.front() {
            if connection.try_send(message.clone()).is_err() {
                return;
            }
            self.unsent.pop_front();
        }
    }

    fn read_clock(&mut self, clock: Option<ClockReading>) {
        if let Some(clock) = clock {
            let offset = i128::from(clock.unix_ns) - i128::from(clock.boottime_ns);
            self.clock_offset_ns.get_or_insert(offset);
            self.now = Some(self.unix(clock.boottime_ns));
        }
    }

    fn unix(&self, boottime_ns: u64) -> Timestamp {
        let ns = i128::from(boottime_ns) + self.clock_offset_ns.unwrap_or(0);
        Timestamp(u64::try_from(ns).unwrap_or(0))
    }

    fn take(&mut self, batch: Batch, sequence: u64, archive: &mut Archive) -> Result<()> {
        let flows: Vec<_> = batch
            .flows
            .iter()
            .map(|flow| (FlowId(flow.id), frames::endpoints(flow)))
            .collect();
        for record in batch.records {
            let Some(&(flow, Some(endpoints))) = flows.get(record.flow as usize) else {
                // A record that names no flow of its frame comes from a broken agent.
                self.frames_undecodable += 1;
                continue;
            };
            let time = self.unix(record.boottime_ns);
            if record.kind == RecordKind::Close as i32 {
                let finals = record
                    .end
                    .filter(|end| end.final_offsets_known)
                    .map(|end| (end.client_final_offset, end.server_final_offset));
                self.capture.handle_close(flow, time, finals, archive)?;
            } else {
                let segment = frames::segment(record, flow, endpoints, time, sequence);
                self.capture.handle_segment(segment, archive)?;
            }
        }
        Ok(())
    }

    fn marks_now(&self) -> Marks {
        Marks {
            received: self.received.to_wire(),
            durable: self.durable.to_wire(),
        }
    }

    /// What the capture has come to, its flows left out.
    fn state(&self, node: &str, boot: u64) -> CaptureState {
        let source = CaptureSource::Ebpf;
        let mut state = checkpoint::totals(node, boot, source, &self.capture, &self.before);
        state.captured_endpoints = self.captured_endpoints.clone();
        state.kernel = self.kernel.clone();
        state.durable_frames = self.durable.pairs();
        state.received_frames = self.received.len();
        state.undecodable_frames = self.before.undecodable_frames + self.frames_undecodable;
        state.finished = self.finished;
        state
    }
}

fn unix_now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
