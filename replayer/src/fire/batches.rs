//! A plan as it is fired: batch by batch, each let go when it is settled.
//!
//! A finite plan is one batch. A plan that grows has positions that go on from batch
//! to batch and begin again at 0 after 2^32 requests, so that positions are compared
//! by how far one is ahead of the other.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use twintap_plan::{PlannedRequest, Window};

use super::flows::FlowsOfBatch;
use super::schedule::Timetable;

/// The requests of one batch.
#[derive(Clone, Debug)]
pub(crate) enum Requests<'a> {
    /// Of a finite plan.
    Whole(&'a [PlannedRequest]),
    /// Of a plan that grows.
    Window(Arc<Window>),
}

impl Requests<'_> {
    /// The position of the first.
    pub(crate) fn first(&self) -> u32 {
        match self {
            Requests::Whole(_) => 0,
            Requests::Window(window) => window.first,
        }
    }
}

impl Deref for Requests<'_> {
    type Target = [PlannedRequest];

    fn deref(&self) -> &[PlannedRequest] {
        match self {
            Requests::Whole(requests) => requests,
            Requests::Window(window) => &window.requests,
        }
    }
}

/// A batch with what the firing thread makes of it.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) requests: Requests<'a>,
    pub(crate) table: Arc<Timetable>,
    pub(crate) flows: FlowsOfBatch,
}

impl Batch<'_> {
    /// The request at a position of this batch.
    pub(crate) fn request(&self, position: u32) -> &PlannedRequest {
        &self.requests[self.table.place(position)]
    }
}

/// How many requests `later` is ahead of `earlier`; `None` when it is behind.
pub(crate) fn ahead(later: u32, earlier: u32) -> Option<u32> {
    let ahead = later.wrapping_sub(earlier);
    (ahead < 1 << 31).then_some(ahead)
}

/// Something for each batch that is not settled, found by positions.
#[derive(Debug)]
pub(crate) struct PerBatch<T> {
    list: VecDeque<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    first: u32,
    len: u32,
    value: T,
}

impl<T> Entry<T> {
    fn place(&self, position: u32) -> Option<usize> {
        let place = position.wrapping_sub(self.first);
        (place < self.len).then_some(place as usize)
    }
}

impl<T> Default for PerBatch<T> {
    fn default() -> PerBatch<T> {
        PerBatch {
            list: VecDeque::new(),
        }
    }
}

impl<T> PerBatch<T> {
    /// Adds what belongs to the `len` requests from `first` on; there is one at least.
    pub(crate) fn push(&mut self, first: u32, len: u32, value: T) {
        self.list.push_back(Entry { first, len, value });
    }

    /// What belongs to the batch of a position, and its place there.
    pub(crate) fn get(&self, position: u32) -> Option<(&T, usize)> {
        let entry = self.list.get(self.find(position)?)?;
        Some((&entry.value, entry.place(position)?))
    }

    /// As [`get`](Self::get).
    pub(crate) fn get_mut(&mut self, position: u32) -> Option<(&mut T, usize)> {
        let index = self.find(position)?;
        let entry = self.list.get_mut(index)?;
        let place = entry.place(position)?;
        Some((&mut entry.value, place))
    }

    /// The earliest batch's first position and what belongs to it.
    pub(crate) fn front(&self) -> Option<(u32, &T)> {
        self.list.front().map(|entry| (entry.first, &entry.value))
    }

    /// Lets the earliest batch go.
    pub(crate) fn pop_front(&mut self) {
        self.list.pop_front();
    }

    /// The index of the batch that may have the position.
    fn find(&self, position: u32) -> Option<usize> {
        let front = self.list.front()?.first;
        if self.list.len() == 1 {
            return Some(0);
        }
        let place = ahead(position, front)?;
        let after = self
            .list
            .partition_point(|entry| entry.first.wrapping_sub(front) <= place);
        after.checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_find_their_batch_where_numbers_begin_again() {
        let mut batches = PerBatch::default();
        batches.push(u32::MAX - 2, 2, 'a');
        batches.push(u32::MAX, 3, 'b');
        batches.push(2, 1, 'c');
        let found = |batches: &PerBatch<char>, position: u32| {
            batches.get(position).map(|(value, place)| (*value, place))
        };
        let expected = [
            (u32::MAX - 3, None),
            (u32::MAX - 2, Some(('a', 0))),
            (u32::MAX - 1, Some(('a', 1))),
            (u32::MAX, Some(('b', 0))),
            (0, Some(('b', 1))),
            (1, Some(('b', 2))),
            (2, Some(('c', 0))),
            (3, None),
        ];
        for (position, place) in expected {
            assert_eq!(found(&batches, position), place, "{position}");
        }
        batches.pop_front();
        assert_eq!(found(&batches, u32::MAX - 1), None);
        assert_eq!(batches.front(), Some((u32::MAX, &'b')));
        assert_eq!(found(&batches, 0), Some(('b', 1)));
    }

    #[test]
    fn later_is_ahead_by_less_than_half_of_all() {
        assert_eq!(ahead(5, 3), Some(2));
        assert_eq!(ahead(3, 5), None);
        assert_eq!(ahead(1, u32::MAX), Some(2));
        assert_eq!(ahead(u32::MAX, 1), None);
    }
}
