//! What is committed together with the exchanges: ledgers and watermarks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use twintap_stream::event::Watermark;
use twintap_stream::{Endpoints, FlowId, StoreLedger, Timestamp};

/// What is known of all captures at a commit.
///
/// A caller of [`Archive::commit`](crate::Archive::commit) may leave out
/// captures and flows that have not changed since the last commit; what it gives
/// takes the place of what was there. What is read back is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// When it was made.
    pub at: Timestamp,
    /// The captures, one for each node and boot.
    pub captures: Vec<Capture>,
}

/// Where a capture's segments came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureSource {
    /// The kernel programs of an agent.
    #[default]
    Ebpf,
    /// An imported pcap or pcapng file.
    Pcap,
}

/// One boot of an agent, or one imported file. All numbers are totals since it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capture {
    /// The node's name, as in the ids of its exchanges.
    pub node: Arc<str>,
    /// The boot, as in the ids of its exchanges.
    pub boot: u64,
    /// Where its segments came from.
    pub source: CaptureSource,
    /// What was captured: addresses and ports, as `address:port` or a cgroup's path.
    /// A run refuses them as targets.
    pub captured_endpoints: Vec<String>,
    /// The agent's ledger; the last one received.
    pub kernel: KernelLedger,
    /// The store ledger.
    pub store: StoreLedger,
    /// Frames that never have to be sent again, as ranges (first, last), both included.
    pub durable_frames: Vec<(u64, u64)>,
    /// Frames received, each counted once.
    pub received_frames: u64,
    /// Frames, or records in them, that could not be decoded.
    pub undecodable_frames: u64,
    /// Holes in the flows' streams.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// The earliest exchange or segment; 0 for none yet.
    pub first: Timestamp,
    /// The latest exchange or segment.
    pub last: Timestamp,
    /// True when nothing more comes: the file was read to its end, or the agent said so.
    pub finished: bool,
    /// In a commit: flows whose mark changed. Read back: every flow not closed.
    pub flows: Vec<FlowMark>,
    /// In a commit: flows to forget, because no frame that touches them can come
    /// again (they are closed, and such frames are durable). Read back: empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub closed_flows: Vec<FlowId>,
}

impl Default for Capture {
    fn default() -> Self {
        Capture {
            node: Arc::from(""),
            boot: 0,
            source: CaptureSource::default(),
            captured_endpoints: Vec::new(),
            kernel: KernelLedger::default(),
            store: StoreLedger::default(),
            durable_frames: Vec::new(),
            received_frames: 0,
            undecodable_frames: 0,
            gaps: 0,
            gap_bytes: 0,
            first: Timestamp::default(),
            last: Timestamp::default(),
            finished: false,
            flows: Vec::new(),
            closed_flows: Vec::new(),
        }
    }
}

/// From where a flow goes on after a restart: what lies below is stored or counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowMark {
    /// The flow.
    pub flow: FlowId,
    /// Its client and server.
    pub endpoints: Endpoints,
    /// Up to where both directions are accounted for.
    pub watermark: Watermark,
    /// The position in the flow that its next exchange has.
    pub next_index: u32,
    /// One past the highest offset that names a stored exchange, by the direction it counts in.
    /// Exchanges from the watermark to there may be stored, and come again.
    #[serde(default)]
    pub reached: Watermark,
    /// It is a WebSocket that is open: its exchange is neither stored nor counted, and can't go
    /// on from here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_websocket: bool,
}

/// The kernel ledger of one boot, in bytes of TCP payload:
/// seen = delivered + dropped + pending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelLedger {
    /// Bytes that the hooks saw.
    pub seen_bytes: u64,
    /// Bytes that the frames carry.
    pub delivered_bytes: u64,
    /// What was dropped, by cause.
    pub dropped: BTreeMap<String, Dropped>,
    /// Bytes in the rings and in the agent's open batch.
    pub pending_bytes: u64,
    /// Bytes that began like TLS records and so could not be read; part of those seen.
    pub tls_bytes: u64,
    /// Frames that the agent gave up after they were received, before they were durable.
    pub unprotected_frames: u64,
    /// Bytes in them.
    pub unprotected_bytes: u64,
}

/// What was dropped for one cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Bytes of TCP payload.
    pub bytes: u64,
    /// Records that would have carried them.
    pub records: u64,
}

impl KernelLedger {
    /// seen minus everything that explains it: 0 when the ledger closes.
    pub fn unexplained(&self) -> i128 {
        let dropped: u128 = self
            .dropped
            .values()
            .map(|dropped| u128::from(dropped.bytes))
            .sum();
        let explained = u128::from(self.delivered_bytes) + dropped + u128::from(self.pending_bytes);
        i128::from(self.seen_bytes) - explained as i128
    }

    /// True when the ledger closes.
    pub fn closes(&self) -> bool {
        self.unexplained() == 0
    }
}
