//! What had ended before an instant, less what something else of it came after.

use std::collections::VecDeque;

/// Positions in the order of an instant.
#[derive(Default)]
pub(crate) struct Timeline {
    instants: Vec<(u64, u32)>,
    past: usize,
}

impl Timeline {
    /// Nothing is past yet.
    pub fn of(mut instants: Vec<(u64, u32)>) -> Timeline {
        instants.sort_unstable();
        Timeline { instants, past: 0 }
    }

    /// The next position whose instant is before `now_ns`.
    pub fn next_before(&mut self, now_ns: u64) -> Option<(u64, u32)> {
        let next = *self.instants.get(self.past)?;
        (next.0 < now_ns).then(|| {
            self.past += 1;
            next
        })
    }
}

/// The exchanges that had ended, but for those before which another one of them began:
/// that one came after them, and who comes after it comes after them, too.
#[derive(Default)]
pub(crate) struct Front {
    /// When they had ended, and their positions, in that order.
    ended: VecDeque<(u64, u32)>,
    /// The latest start among all that had ended.
    latest_start_ns: u64,
}

impl Front {
    /// Takes up an exchange that began at `start_ns` and was over at `end_ns`, which is
    /// no earlier than that of any before.
    pub fn add(&mut self, position: u32, start_ns: u64, end_ns: u64) {
        self.latest_start_ns = self.latest_start_ns.max(start_ns);
        self.ended.push_back((end_ns, position));
        let latest_start_ns = self.latest_start_ns;
        while let Some((end_ns, _)) = self.ended.front()
            && *end_ns < latest_start_ns
        {
            self.ended.pop_front();
        }
    }

    /// The last to end first: when, and the position.
    pub fn newest_first(&self) -> impl Iterator<Item = (u64, u32)> {
        self.ended.iter().rev().copied()
    }
}
