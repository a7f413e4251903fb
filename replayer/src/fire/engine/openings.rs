//! Connections that are opened ahead of their first requests.

use std::collections::VecDeque;

/// Time from one opening to the next, at least: what opens at once would hold up what is
/// due meanwhile, and overrun the twin's queue of connections.
const GAP_NS: u64 = 200_000;
/// How much earlier than else a connection opens for that, at most: twins close those over
/// which nothing comes.
const MOST_EARLY_NS: u64 = 2_000_000_000;

/// A flow whose connection is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) flow: u32,
    /// Its first request that is fired.
    pub(super) position: u32,
    /// How much earlier than others it opens, in run time.
    early_ns: u64,
}

/// The connections to be opened, in the order of their first requests.
#[derive(Debug)]
pub(super) struct Openings {
    list: VecDeque<Opening>,
    ahead_ns: u64,
}

impl Openings {
    /// Each opens `ahead_ns` before its first request is due, or somewhat earlier where
    /// many do.
    pub(super) fn new(ahead_ns: u64) -> Openings {
        Openings {
            list: VecDeque::new(),
            ahead_ns,
        }
    }

    /// Takes up flows with their first requests, in the order of these; `due_ns` says when
    /// one is due.
    pub(super) fn extend(&mut self, flows: Vec<(u32, u32)>, due_ns: impl Fn(u32) -> u64) {
        let mut next_ns = u64::MAX;
        let mut openings: Vec<Opening> = Vec::with_capacity(flows.len());
        for &(flow, position) in flows.iter().rev() {
            // Counted from as long before T0 as one can open.
            let usual_ns = due_ns(position).saturating_add(MOST_EARLY_NS);
            let opens_ns = usual_ns
                .min(next_ns.saturating_sub(GAP_NS))
                .max(usual_ns - MOST_EARLY_NS);
            next_ns = opens_ns;
            openings.push(Opening {
                flow,
                position,
                early_ns: usual_ns - opens_ns,
            });
        }
        self.list.extend(openings.into_iter().rev());
    }

    /// The next to be opened, and how long before its request is due.
    pub(super) fn front(&self) -> Option<(Opening, u64)> {
        let opening = *self.list.front()?;
        Some((opening, self.ahead_ns + opening.early_ns))
    }

    /// The next is opened, or not to be opened any more.
    pub(super) fn pop(&mut self) {
        self.list.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// How long before they are due the connections of requests with these due times open.
    fn ahead(dues_ns: &[u64]) -> Vec<u64> {
        let mut openings = Openings::new(100 * MS);
        let flows = (0..dues_ns.len() as u32).map(|place| (place, place));
        openings.extend(flows.collect(), |position| dues_ns[position as usize]);
        let next = |openings: &mut Openings| {
            let (_, ahead_ns) = openings.front()?;
            openings.pop();
            Some(ahead_ns)
        };
        std::iter::from_fn(|| next(&mut openings)).collect()
    }

    #[test]
    fn those_that_open_at_one_time_open_one_after_the_other() {
        let dues = [50 * MS, 50 * MS, 50 * MS, 90 * MS];
        let expected = [100 * MS + 2 * GAP_NS, 100 * MS + GAP_NS, 100 * MS, 100 * MS];
        assert_eq!(ahead(&dues), expected);
    }

    #[test]
    fn none_opens_much_too_early() {
        let dues = vec![0; 20_000];
        let ahead = ahead(&dues);
        assert_eq!(ahead[0], 100 * MS + MOST_EARLY_NS);
        assert_eq!(ahead[19_999], 100 * MS);
    }
}
