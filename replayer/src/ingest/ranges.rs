//! Sets of frame sequence numbers, as ranges.

use std::collections::BTreeMap;

use twintap_proto::v1::Range;

/// A set of sequence numbers kept as disjoint ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    // first -> last
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// The set of these ranges.
    pub fn from_pairs(pairs: &[(u64, u64)]) -> RangeSet {
        let mut set = RangeSet::default();
        for &(first, last) in pairs {
            set.insert_range(first, last);
        }
        set
    }

    /// Adds one number; false when it was there already.
    pub fn insert(&mut self, value: u64) -> bool {
        if self.contains(value) {
            return false;
        }
        self.insert_range(value, value);
        true
    }

    /// True when `value` is in the set.
    pub fn contains(&self, value: u64) -> bool {
        self.ranges
            .range(..=value)
            .next_back()
            .is_some_and(|(_, &last)| value <= last)
    }

    fn insert_range(&mut self, mut first: u64, mut last: u64) {
        if first > last {
            return;
        }
        if let Some((&before, &end)) = self.ranges.range(..=first).next_back()
            && end.saturating_add(1) >= first
        {
            first = before;
            last = last.max(end);
            self.ranges.remove(&before);
        }
        while let Some((&next, &end)) = self.ranges.range(first..).next() {
            if next > last.saturating_add(1) {
                break;
            }
            last = last.max(end);
            self.ranges.remove(&next);
        }
        self.ranges.insert(first, last);
    }

    /// The set without `holes`: the first and the last number of each, sorted. They may overlap.
    #[must_use]
    pub fn without(&self, holes: &[(u64, u64)]) -> RangeSet {
        let mut out = RangeSet::default();
        let mut holes = holes.iter().copied().peekable();
        // What is below it lies in a hole that was seen.
        let mut clear = Some(0);
        for (&first, &last) in &self.ranges {
            let mut from = clear.map(|clear: u64| clear.max(first));
            while let Some(start) = from
                && start <= last
            {
                match holes.peek() {
                    Some(&(hole_first, hole_last)) if hole_first <= last => {
                        if hole_first > start {
                            out.ranges.insert(start, hole_first - 1);
                        }
                        // None: nothing lies above it.
                        from = hole_last.checked_add(1).map(|next| next.max(start));
                        clear = from;
                        holes.next();
                    }
                    _ => {
                        out.ranges.insert(start, last);
                        from = None;
                    }
                }
            }
        }
        out
    }

    /// The highest number.
    pub fn last(&self) -> Option<u64> {
        self.ranges.values().next_back().copied()
    }

    /// How many numbers are in the set.
    pub fn len(&self) -> u64 {
        self.ranges
            .iter()
            .map(|(first, last)| last - first + 1)
            .sum()
    }

    /// True when the set is empty.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, ascending, as first and last.
    pub fn pairs(&self) -> Vec<(u64, u64)> {
        self.ranges.iter().map(|(&a, &b)| (a, b)).collect()
    }

    /// The ranges as they go over the wire.
    pub fn to_wire(&self) -> Vec<Range> {
        self.ranges
            .iter()
            .map(|(&first, &last)| Range { first, last })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set(values in prop::collection::vec(0u64..64, 0..64), holes in prop::collection::btree_set((0u64..64, 0u64..6), 0..16)) {
            let mut set = RangeSet::default();
            let mut model = BTreeSet::new();
            for value in values {
                prop_assert_eq!(set.insert(value), model.insert(value));
            }
            prop_assert_eq!(set.len(), model.len() as u64);
            let holes: Vec<_> = holes.into_iter().map(|(first, more)| (first, first + more)).collect();
            let is_held = |value| holes.iter().any(|(first, last)| (*first..=*last).contains(&value));
            let rest = set.without(&holes);
            for value in 0..64 {
                prop_assert_eq!(set.contains(value), model.contains(&value));
                prop_assert_eq!(rest.contains(value), model.contains(&value) && !is_held(value));
            }
            prop_assert_eq!(RangeSet::from_pairs(&set.pairs()), set);
        }
    }
}
