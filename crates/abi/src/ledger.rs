//! What the kernel programs count, per CPU.

/// Why payload that was seen did not reach a ring.
#[repr(usize)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The ring had no room.
    RingFull = 0,
    /// The kernel could not read the packet's bytes.
    CopyFailed = 1,
    /// An order stopped the capture of this flow.
    Stopped = 2,
    /// The flow table took no entry.
    FlowTable = 3,
    /// An order keeps the payload of this flow back: lengths and times alone are recorded.
    HeadersOnly = 4,
    /// The client is among those that are shed to keep within the CPU budget.
    CpuBudget = 5,
}

impl Cause {
    /// How many causes there are.
    pub const COUNT: usize = 6;

    /// Every cause, in the order of [`Ledger::dropped`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::RingFull,
        Self::CopyFailed,
        Self::Stopped,
        Self::FlowTable,
        Self::HeadersOnly,
        Self::CpuBudget,
    ];

    /// The name under which the cause is reported.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::CopyFailed => "copy_failed",
            Self::Stopped => "stopped",
            Self::FlowTable => "flow_table",
            Self::HeadersOnly => "headers_only",
            Self::CpuBudget => "cpu_budget",
        }
    }
}

/// Bytes of TCP payload and the records that carried, or would have carried, them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Bytes of TCP payload.
    pub bytes: u64,
    /// Records.
    pub records: u64,
}

/// The kernel's ledger on one CPU: in bytes, seen = submitted + the sum of dropped.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Segments of named flows, before anything else was done with them.
    pub seen: Count,
    /// Records that went into a ring.
    pub submitted: Count,
    /// Records that did not, by [`Cause`].
    pub dropped: [Count; Cause::COUNT],
    /// Close records that found no room in a ring and were kept in the table of late ones.
    pub closes_deferred: u64,
    /// Close records that found no room there either.
    pub closes_lost: u64,
    /// Flows that began to be captured.
    pub flows: u64,
    /// Packets whose headers could not be read.
    pub malformed: u64,
    /// Packets that were IP fragments.
    pub fragments: u64,
    /// Flows whose role nothing could tell.
    pub roles_unknown: u64,
    /// Packets, of whatever flow, that passed while user space gave no sign of life.
    pub inert_packets: u64,
}

impl Ledger {
    /// Adds another CPU's counts.
    pub fn add(&mut self, other: &Self) {
        self.seen.add(&other.seen);
        self.submitted.add(&other.submitted);
        for (own, others) in self.dropped.iter_mut().zip(&other.dropped) {
            own.add(others);
        }
        self.closes_deferred += other.closes_deferred;
        self.closes_lost += other.closes_lost;
        self.flows += other.flows;
        self.malformed += other.malformed;
        self.fragments += other.fragments;
        self.roles_unknown += other.roles_unknown;
        self.inert_packets += other.inert_packets;
    }

    /// Payload bytes dropped, over all causes.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped.iter().map(|count| count.bytes).sum()
    }
}

impl Count {
    /// Adds another count.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.records += other.records;
    }
}
