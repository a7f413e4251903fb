//! Which flows are kept when memory is short.

use std::collections::HashMap;

use twintap_abi::MID_STREAM_OFFSET;

/// Flows that are remembered at most; the kernel reports the end of nearly all, so that few stay.
const MAX_FLOWS: usize = 131_072;

/// How much of the memory budget is taken.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Bytes in use.
    pub used: usize,
    /// The budget.
    pub limit: usize,
}

impl Memory {
    /// Whether more than three quarters are taken.
    pub fn is_short(&self) -> bool {
        self.used > self.limit / 4 * 3
    }

    /// Whether at most half is taken.
    pub fn is_ample(&self) -> bool {
        self.used <= self.limit / 2
    }
}

/// What the agent knows of the flows that pass through it.
///
/// Whole flows give way, never single segments: a flow without its middle is of no use. New flows
/// give way first; those under way only when nothing fits any more. A flow that gave way comes back
/// when half of the budget is free again, with a gap that its offsets show.
#[derive(Debug, Default)]
pub struct Flows {
    notes: HashMap<u64, Note>,
    round: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Note {
    is_shed: bool,
    is_tls: bool,
    shed_bytes: u64,
    used_in: u64,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is shipped.
    Keep,
    /// It is dropped and counted.
    Shed,
}

impl Flows {
    /// Decides about a segment that takes `bytes` of memory, `payload` of them payload.
    pub fn admit(&mut self, flow: u64, bytes: usize, payload: u64, memory: Memory) -> Admission {
        self.round += 1;
        let is_new = !self.notes.contains_key(&flow);
        if is_new && self.notes.len() >= MAX_FLOWS {
            self.forget_oldest();
        }
        let note = self.notes.entry(flow).or_default();
        note.used_in = self.round;
        note.is_shed = match (note.is_shed, is_new) {
            (true, _) => !memory.is_ample(),
            (false, true) => memory.is_short(),
            (false, false) => memory.used + bytes > memory.limit,
        };
        if note.is_shed {
            note.shed_bytes += payload;
            return Admission::Shed;
        }
        Admission::Keep
    }

    /// Whether the flow looks like TLS, given one of its segments. The first byte of a TLS
    /// connection is that of a handshake record, the second the major version 3 (RFC 8446, 5.1); in
    /// the middle of a flow any type of record tells.
    pub fn is_tls(&mut self, flow: u64, offset: u64, payload: &[u8]) -> bool {
        let Some(note) = self.notes.get_mut(&flow) else {
            return false;
        };
        if let [kind, 3, ..] = payload {
            let begins = offset == 0 && *kind == 0x16;
            let joins = offset == MID_STREAM_OFFSET && (0x14..=0x17).contains(kind);
            note.is_tls |= begins || joins;
        }
        note.is_tls
    }

    /// Forgets a flow that ended; gives the payload bytes that were shed of it.
    pub fn close(&mut self, flow: u64) -> u64 {
        self.notes.remove(&flow).map_or(0, |note| note.shed_bytes)
    }

    /// How many flows are remembered.
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// Whether no flow is remembered.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    fn forget_oldest(&mut self) {
        let mut uses: Vec<u64> = self.notes.values().map(|note| note.used_in).collect();
        let middle = uses.len() / 2;
        let (_, median, _) = uses.select_nth_unstable(middle);
        let median = *median;
        self.notes.retain(|_, note| note.used_in > median);
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, Flows, MAX_FLOWS, Memory};

    const LIMIT: usize = 1_000;

    fn admit(flows: &mut Flows, flow: u64, used: usize) -> Admission {
        let memory = Memory { used, limit: LIMIT };
        flows.admit(flow, 100, 80, memory)
    }

    #[test]
    fn new_flows_give_way_before_those_under_way() {
        let mut flows = Flows::default();
        assert_eq!(admit(&mut flows, 1, 0), Admission::Keep);
        assert_eq!(admit(&mut flows, 2, 760), Admission::Shed);
        assert_eq!(admit(&mut flows, 1, 900), Admission::Keep);
        assert_eq!(admit(&mut flows, 1, 901), Admission::Shed);
    }

    #[test]
    fn a_flow_that_gave_way_stays_away_until_memory_is_ample() {
        let mut flows = Flows::default();
        assert_eq!(admit(&mut flows, 1, 760), Admission::Shed);
        assert_eq!(admit(&mut flows, 1, 501), Admission::Shed);
        assert_eq!(admit(&mut flows, 1, 500), Admission::Keep);
        assert_eq!(admit(&mut flows, 1, 890), Admission::Keep);
        assert_eq!(flows.close(1), 160);
        assert_eq!(flows.close(1), 0);
    }

    #[test]
    fn tls_is_told_by_the_first_bytes_and_remembered() {
        let mut flows = Flows::default();
        for flow in 1..=4 {
            admit(&mut flows, flow, 0);
        }
        assert!(flows.is_tls(1, 0, &[0x16, 3, 1]));
        assert!(flows.is_tls(1, 500, b"whatever"));
        assert!(!flows.is_tls(2, 0, b"GET /"));
        assert!(!flows.is_tls(2, 5, &[0x16, 3, 1]));
        assert!(flows.is_tls(3, 1 << 40, &[0x17, 3, 3]));
        assert!(!flows.is_tls(4, 0, &[0x16]));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_oldest() {
        let mut flows = Flows::default();
        for flow in 0..=MAX_FLOWS as u64 {
            admit(&mut flows, flow, 760);
        }
        assert!(flows.len() <= MAX_FLOWS / 2 + 1);
        assert_eq!(flows.close(0), 0);
        assert_eq!(flows.close(MAX_FLOWS as u64), 80);
    }
}
