//! The thread that empties the rings. It does nothing slow, so that the rings never fill for its
//! sake: it merges, sheds what does not fit the budget, and collects batches.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    batch::{Batcher, RECORD_MEMORY_BYTES, RawBatch},
    budget::{Admission, Flows, Memory},
    ledger::{Counts, boottime_ns},
    outbox::Outbox,
    probes::{Heartbeat, LateCloses},
    rings::{Captured, Rings},
};

/// A batch waits no longer than this.
const MAX_BATCH_AGE_NS: u64 = 50_000_000;
/// How long the thread sleeps at most while records come in.
const BUSY_WAIT: Duration = Duration::from_millis(10);
/// How long it sleeps at most while none do.
const IDLE_WAIT: Duration = Duration::from_millis(40);
/// After so much time without a record the agent is idle.
const IDLE_AFTER_NS: u64 = 1_000_000_000;
/// How often the clock is read while records come in.
const RECORDS_PER_CLOCK: usize = 64;
/// How often late close records are looked for.
const LATE_CLOSES_EVERY_NS: u64 = 100_000_000;
/// How often the kernel programs are told that somebody drains their rings.
const HEARTBEAT_EVERY_NS: u64 = 500_000_000;
/// After so much time without that they capture nothing: far longer than a busy machine lets the
/// thread wait, and short for a copy that nobody wants.
pub const HEARTBEAT_LIMIT: Duration = Duration::from_secs(10);

/// What the parts of the pipeline share.
#[derive(Debug)]
pub struct Shared {
    /// The memory budget in bytes.
    pub budget_bytes: usize,
    /// Memory of records that are not in a frame yet.
    pub open_bytes: AtomicUsize,
    /// The frames.
    pub outbox: Mutex<Outbox>,
    /// Memory that the frames hold, as of the outbox's last change.
    pub outbox_bytes: AtomicUsize,
    /// The largest batch, encoded, that the daemon takes.
    pub batch_limit_bytes: AtomicUsize,
    /// What the agent counts.
    pub counts: Counts,
    /// Tells the shipper that there is a frame.
    pub sealed: tokio::sync::Notify,
    /// Whether frames are to be compressed as fast as can be.
    pub compress_fast: AtomicBool,
    /// Whether the daemon wants nothing captured.
    pub pause_wanted: watch::Sender<bool>,
    /// Tells the shipper that this was done.
    pub pause_done: tokio::sync::Notify,
}

impl Shared {
    /// An empty pipeline.
    pub fn new(budget_bytes: usize, batch_limit_bytes: usize) -> Self {
        Self {
            budget_bytes,
            open_bytes: AtomicUsize::new(0),
            outbox: Mutex::default(),
            outbox_bytes: AtomicUsize::new(0),
            batch_limit_bytes: AtomicUsize::new(batch_limit_bytes),
            counts: Counts::default(),
            sealed: tokio::sync::Notify::new(),
            compress_fast: AtomicBool::new(false),
            pause_wanted: watch::Sender::new(false),
            pause_done: tokio::sync::Notify::new(),
        }
    }

    /// Does something with the frames and keeps account of their memory.
    pub fn with_outbox<T>(&self, act: impl FnOnce(&mut Outbox) -> T) -> T {
        // A thread that died holding the lock left whole frames: they are still good.
        let mut outbox = self.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut outbox);
        self.outbox_bytes.store(outbox.memory_bytes(), Relaxed);
        result
    }

    fn memory(&self) -> Memory {
        Memory {
            used: self.open_bytes.load(Relaxed) + self.outbox_bytes.load(Relaxed),
            limit: self.budget_bytes,
        }
    }

    /// The memory in use, after received frames were let go where it is short.
    fn memory_with_room(&self) -> Memory {
        let memory = self.memory();
        if !memory.is_short() {
            return memory;
        }
        // Half of the budget, so that the next records find room too.
        let let_go = self.with_outbox(|outbox| outbox.make_room(memory.used - memory.limit / 2));
        self.counts
            .unprotected_frames
            .fetch_add(let_go.frames, Relaxed);
        self.counts
            .unprotected_bytes
            .fetch_add(let_go.payload_bytes, Relaxed);
        self.memory()
    }
}

/// The draining thread's state.
pub struct Drain {
    rings: Rings,
    late_closes: LateCloses,
    heartbeat: Heartbeat,
    shared: Arc<Shared>,
    batches: mpsc::Sender<RawBatch>,
    batcher: Batcher,
    flows: Flows,
    last_record_ns: u64,
    last_heartbeat_ns: Option<u64>,
    last_late_closes_ns: u64,
}

impl Drain {
    /// Drains `rings` into `batches`.
    pub fn new(
        rings: Rings,
        late_closes: LateCloses,
        heartbeat: Heartbeat,
        shared: Arc<Shared>,
        batches: mpsc::Sender<RawBatch>,
    ) -> Self {
        let limit = shared.batch_limit_bytes.load(Relaxed);
        Self {
            rings,
            late_closes,
            heartbeat,
            shared,
            batches,
            batcher: Batcher::new(limit, MAX_BATCH_AGE_NS),
            flows: Flows::default(),
            last_record_ns: 0,
            last_heartbeat_ns: None,
            last_late_closes_ns: 0,
        }
    }

    /// Runs until `stop` is set and the rings are empty, then hands on what is left.
    pub fn run(mut self, stop: &AtomicBool) {
        loop {
            // Read before the rings are: what comes in later is nobody's concern any more.
            let stops = stop.load(Relaxed);
            let now_ns = self.pass();
            if self.batcher.is_due(now_ns) || stops {
                self.hand_on();
            }
            if stops {
                return;
            }
            let idle = now_ns.saturating_sub(self.last_record_ns) > IDLE_AFTER_NS;
            self.rings.wait(if idle { IDLE_WAIT } else { BUSY_WAIT });
        }
    }

    /// Takes everything that is in the rings; gives the time.
    fn pass(&mut self) -> u64 {
        let limit = self.shared.batch_limit_bytes.load(Relaxed);
        self.batcher.set_limit(limit);
        let mut now_ns = boottime_ns();
        self.beat(now_ns);
        let mut taken: usize = 0;
        while let Some(record) = self.rings.next_record() {
            self.take(now_ns, record);
            taken += 1;
            if taken.is_multiple_of(RECORDS_PER_CLOCK) {
                now_ns = boottime_ns();
                self.beat(now_ns);
                if self.batcher.is_due(now_ns) {
                    self.hand_on();
                }
            }
        }
        if taken != 0 {
            self.last_record_ns = now_ns;
        }
        if now_ns.saturating_sub(self.last_late_closes_ns) > LATE_CLOSES_EVERY_NS {
            self.last_late_closes_ns = now_ns;
            for close in self.late_closes.take() {
                self.take(now_ns, Captured::Close(close));
            }
        }
        let counts = &self.shared.counts;
        counts.records.fetch_add(taken as u64, Relaxed);
        counts.unreadable.store(self.rings.unreadable(), Relaxed);
        counts.flows.store(self.flows.len() as u64, Relaxed);
        now_ns
    }

    fn beat(&mut self, now_ns: u64) {
        let is_due = |last| now_ns.saturating_sub(last) >= HEARTBEAT_EVERY_NS;
        if self.last_heartbeat_ns.is_none_or(is_due) {
            self.last_heartbeat_ns = Some(now_ns);
            if let Err(error) = self.heartbeat.beat() {
                tracing::error!(%error, "the kernel programs could not be told to go on");
            }
        }
    }

    fn take(&mut self, now_ns: u64, record: Captured) {
        let flow = record.header().flow;
        let (payload_bytes, dropped_bytes) = match &record {
            Captured::Close(_) => (0, self.flows.close(flow)),
            Captured::Segment(header, payload) => {
                let bytes = payload.len();
                let memory = self.shared.memory_with_room();
                let admission =
                    self.flows
                        .admit(flow, bytes + RECORD_MEMORY_BYTES, bytes as u64, memory);
                let counts = &self.shared.counts;
                if self.flows.is_tls(flow, header.offset, payload) {
                    counts.tls_bytes.fetch_add(bytes as u64, Relaxed);
                }
                if admission == Admission::Shed {
                    counts.shed_bytes.fetch_add(bytes as u64, Relaxed);
                    counts.shed_records.fetch_add(1, Relaxed);
                    return;
                }
                (bytes, 0)
            }
        };
        if self.batcher.is_full_for(payload_bytes) {
            self.hand_on();
        }
        self.shared
            .open_bytes
            .fetch_add(payload_bytes + RECORD_MEMORY_BYTES, Relaxed);
        self.batcher.push(now_ns, record, dropped_bytes);
    }

    fn hand_on(&mut self) {
        if let Some(batch) = self.batcher.take() {
            // The sealing thread outlives this one.
            let _ = self.batches.send(batch);
        }
    }
}
