//! What is committed of a capture: its ledgers, and from where its flows go on.

use std::collections::HashMap;

use twintap_archive::{Capture as CaptureState, CaptureSource, Dropped, FlowMark, KernelLedger};
use twintap_proto::v1::KernelLedger as WireLedger;
use twintap_stream::FlowId;

use crate::capture::Capture;

/// Which flow marks changed since the last commit, and which may be forgotten.
///
/// The mark of a closed flow stays until every frame that was received before it
/// closed is durable: until then such a frame can come again after a crash, and
/// must find the flow accounted for.
#[derive(Debug, Default)]
pub struct FlowMarks {
    committed: HashMap<FlowId, FlowMark>,
    closed: Vec<(FlowMark, u64)>,
}

impl FlowMarks {
    /// Marks that an earlier life committed.
    pub fn resumed(marks: &[FlowMark]) -> FlowMarks {
        FlowMarks {
            committed: marks.iter().map(|mark| (mark.flow, *mark)).collect(),
            closed: Vec::new(),
        }
    }

    /// The marks that changed, and the flows to forget. `last_frame` is the highest
    /// frame received, `first_held` the lowest that is not durable.
    pub fn changes(
        &mut self,
        capture: &mut Capture,
        last_frame: u64,
        first_held: Option<u64>,
    ) -> (Vec<FlowMark>, Vec<FlowId>) {
        let mut changed = Vec::new();
        for mark in capture.take_closed() {
            if self.committed.insert(mark.flow, mark) != Some(mark) {
                changed.push(mark);
            }
            self.closed.push((mark, last_frame));
        }
        for mark in capture.flow_marks() {
            if self.committed.insert(mark.flow, mark) != Some(mark) {
                changed.push(mark);
            }
        }
        let committed = &mut self.committed;
        let mut forgotten = Vec::new();
        self.closed.retain(|(mark, frame)| {
            let keep = first_held.is_some_and(|held| held <= *frame);
            // The flow may live again under the same id after a late segment.
            if !keep && committed.get(&mark.flow) == Some(mark) {
                committed.remove(&mark.flow);
                forgotten.push(mark.flow);
            }
            keep
        });
        changed.retain(|mark| !forgotten.contains(&mark.flow));
        (changed, forgotten)
    }
}

/// What a capture has come to, its flows left out. `before` is what earlier
/// lives of the daemon committed.
pub fn totals(
    node: &str,
    boot: u64,
    source: CaptureSource,
    capture: &Capture,
    before: &CaptureState,
) -> CaptureState {
    let gaps = capture.gaps();
    let (first, last) = match capture.seen() {
        Some((first, last)) if before.last.0 == 0 => (first, last),
        Some((first, last)) => (first.min(before.first), last.max(before.last)),
        None => (before.first, before.last),
    };
    CaptureState {
        node: node.into(),
        boot,
        source,
        store: capture.ledger(),
        gaps: before.gaps + gaps.count,
        gap_bytes: before.gap_bytes + gaps.bytes,
        first,
        last,
        ..CaptureState::default()
    }
}

/// The agent's ledger as it is stored.
pub fn kernel_ledger(wire: WireLedger) -> KernelLedger {
    let mut ledger = KernelLedger {
        seen_bytes: wire.seen_bytes,
        delivered_bytes: wire.delivered_bytes,
        pending_bytes: wire.pending_bytes,
        tls_bytes: wire.tls_bytes,
        unprotected_frames: wire.unprotected_frames,
        unprotected_bytes: wire.unprotected_bytes,
        ..KernelLedger::default()
    };
    for drop in wire.dropped {
        let dropped: &mut Dropped = ledger.dropped.entry(drop.cause).or_default();
        dropped.bytes += drop.bytes;
        dropped.records += drop.records;
    }
    ledger
}
