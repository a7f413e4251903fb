//! Checkpoints laid on top of each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use twintap_stream::{FlowId, Timestamp};

use crate::checkpoint::{Capture, Checkpoint, FlowMark};

/// The payload of a checkpoint block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckpointBlock {
    /// True when it does not build on the one before.
    pub full: bool,
    /// Length of the part that was on disk when the block was written.
    pub synced: u64,
    pub exchanges_before: u64,
    pub bytes_before: u64,
    pub checkpoint: Checkpoint,
}

/// What all checkpoints so far say together.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    at: Timestamp,
    captures: BTreeMap<(Arc<str>, u64), State>,
}

#[derive(Clone, Debug)]
struct State {
    /// Without its flows.
    capture: Capture,
    flows: BTreeMap<FlowId, FlowMark>,
}

impl View {
    /// Lays a stored block on top.
    pub fn apply(&mut self, block: CheckpointBlock) {
        if block.full {
            self.captures.clear();
        }
        self.merge(block.checkpoint);
    }

    /// Lays `checkpoint` on top; gives what it changed, or `None` when that is nothing
    /// but the time.
    pub fn merge(&mut self, checkpoint: Checkpoint) -> Option<Checkpoint> {
        self.at = checkpoint.at;
        let captures: Vec<Capture> = checkpoint
            .captures
            .into_iter()
            .filter_map(|capture| self.merge_capture(capture))
            .collect();
        (!captures.is_empty()).then_some(Checkpoint {
            at: self.at,
            captures,
        })
    }

    fn merge_capture(&mut self, mut capture: Capture) -> Option<Capture> {
        let flows = std::mem::take(&mut capture.flows);
        let closed = std::mem::take(&mut capture.closed_flows);
        let key = (capture.node.clone(), capture.boot);
        let mut changed = false;
        let state = self.captures.entry(key).or_insert_with(|| {
            changed = true;
            State {
                capture: capture.clone(),
                flows: BTreeMap::new(),
            }
        });
        if state.capture != capture {
            changed = true;
            state.capture = capture.clone();
        }
        capture.flows = flows
            .into_iter()
            .filter(|mark| state.flows.insert(mark.flow, *mark) != Some(*mark))
            .collect();
        capture.closed_flows = closed
            .into_iter()
            .filter(|flow| state.flows.remove(flow).is_some())
            .collect();
        changed |= !capture.flows.is_empty() || !capture.closed_flows.is_empty();
        changed.then_some(capture)
    }

    /// A checkpoint that changes nothing.
    pub fn unchanged(&self) -> Checkpoint {
        Checkpoint {
            at: self.at,
            captures: Vec::new(),
        }
    }

    /// Everything, as one checkpoint.
    pub fn full(&self) -> Checkpoint {
        let captures = self
            .captures
            .values()
            .map(|state| Capture {
                flows: state.flows.values().copied().collect(),
                ..state.capture.clone()
            })
            .collect();
        Checkpoint {
            at: self.at,
            captures,
        }
    }
}

#[cfg(test)]
mod tests {
    use twintap_stream::Endpoints;
    use twintap_stream::event::Watermark;

    use super::*;

    fn mark(flow: u64, client: u64) -> FlowMark {
        let end = |port| ([10, 0, 0, 1], port).into();
        FlowMark {
            flow: FlowId(flow),
            endpoints: Endpoints {
                client: end(1000),
                server: end(80),
            },
            watermark: Watermark { client, server: 0 },
            next_index: 1,
            reached: Watermark::default(),
            is_websocket: false,
        }
    }

    fn checkpoint(flows: Vec<FlowMark>, closed_flows: Vec<FlowId>) -> Checkpoint {
        Checkpoint {
            at: Timestamp(1),
            captures: vec![Capture {
                node: Arc::from("a"),
                flows,
                closed_flows,
                ..Capture::default()
            }],
        }
    }

    #[test]
    fn a_delta_has_the_changed_flows_alone() {
        let mut view = View::default();
        view.merge(checkpoint(vec![mark(1, 10), mark(2, 20)], vec![]));
        let delta = view
            .merge(checkpoint(vec![mark(1, 10), mark(2, 21)], vec![]))
            .expect("flow 2 changed");
        assert_eq!(delta, checkpoint(vec![mark(2, 21)], vec![]));
    }

    #[test]
    fn nothing_changed_is_no_delta() {
        let mut view = View::default();
        assert!(view.merge(checkpoint(vec![mark(1, 10)], vec![])).is_some());
        assert!(view.merge(checkpoint(vec![mark(1, 10)], vec![])).is_none());
        assert!(view.merge(checkpoint(vec![], vec![FlowId(7)])).is_none());
    }

    #[test]
    fn a_closed_flow_is_forgotten_and_others_stay() {
        let mut view = View::default();
        view.merge(checkpoint(vec![mark(1, 10), mark(2, 20)], vec![]));
        view.merge(checkpoint(vec![], vec![FlowId(1)]));
        assert_eq!(view.full(), checkpoint(vec![mark(2, 20)], vec![]));
    }

    #[test]
    fn deltas_on_top_of_each_other_are_the_view() {
        let mut writer = View::default();
        let mut reader = View::default();
        let steps = [
            checkpoint(vec![mark(1, 10), mark(2, 20)], vec![]),
            checkpoint(vec![mark(3, 1)], vec![FlowId(2)]),
            checkpoint(vec![mark(1, 11)], vec![FlowId(3)]),
        ];
        for step in steps {
            reader.merge(writer.merge(step).expect("each step changes a flow"));
        }
        assert_eq!(reader.full(), writer.full());
    }
}
