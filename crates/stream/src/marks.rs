//! Which of the caller's marks are still needed.

use smallvec::SmallVec;

/// How many ranges a direction keeps; past it the two that lie nearest become one.
const MAX_RANGES: usize = 8;

/// Marks of segments with bytes that are not accounted for, in the order of arrival. The caller's
/// marks never fall, so they are kept as ranges: what lies between two may be counted in.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// None most of the time, one or two nearly always.
    ranges: SmallVec<[Range; 1]>,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    first: u64,
    last: u64,
    /// Once everything below this stream offset is accounted for, the marks are not needed.
    end: u64,
}

impl Marks {
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Notes that the segment with this mark has bytes up to `end`.
    pub fn add(&mut self, mark: u64, end: u64) {
        if let Some(range) = self.ranges.last_mut()
            && (range.first..=range.last).contains(&mark)
        {
            range.end = range.end.max(end);
            return;
        }
        if self.ranges.len() == MAX_RANGES {
            self.merge();
        }
        self.ranges.push(Range {
            first: mark,
            last: mark,
            end,
        });
    }

    /// Makes one range of the two neighbours with the least between them.
    fn merge(&mut self) {
        let between = |pair: &[Range]| match pair {
            [before, after] => after.first.abs_diff(before.last),
            _ => u64::MAX,
        };
        let gaps = self.ranges.windows(2).map(between).enumerate();
        let Some((index, _)) = gaps.min_by_key(|(_, gap)| *gap) else {
            return;
        };
        let after = self.ranges.remove(index + 1);
        let before = &mut self.ranges[index];
        before.first = before.first.min(after.first);
        before.last = before.last.max(after.last);
        before.end = before.end.max(after.end);
    }

    /// Everything below `offset` is accounted for.
    pub fn settle(&mut self, offset: u64) {
        self.ranges.retain(|range| range.end > offset);
        if self.ranges.is_empty() && self.ranges.spilled() {
            self.ranges = SmallVec::new();
        }
    }

    /// Calls `f` with the first and last mark of each range.
    pub fn each(&self, f: &mut dyn FnMut(u64, u64)) {
        for range in &self.ranges {
            f(range.first, range.last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Marks;

    fn ranges(marks: &Marks) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        marks.each(&mut |first, last| found.push((first, last)));
        found
    }

    #[test]
    fn near_marks_become_ranges() {
        let mut marks = Marks::default();
        for mark in [1, 2, 10, 20, 22, 30, 40, 50] {
            marks.add(mark, mark * 100);
        }
        marks.add(50, 5100);
        assert_eq!(ranges(&marks).len(), 8);
        marks.add(60, 6000);
        assert_eq!(ranges(&marks)[0], (1, 2));
        marks.add(70, 7000);
        assert_eq!(ranges(&marks)[..3], [(1, 2), (10, 10), (20, 22)]);
        marks.settle(150);
        assert_eq!(ranges(&marks)[0], (1, 2));
        marks.settle(2200);
        assert_eq!(ranges(&marks)[0], (30, 30));
        marks.settle(5050);
        assert_eq!(ranges(&marks), [(50, 50), (60, 60), (70, 70)]);
        marks.settle(7000);
        assert!(marks.is_empty());
    }

    #[test]
    fn any_number_of_marks_is_few_ranges() {
        let mut marks = Marks::default();
        for mark in 0..100_000 {
            marks.add(mark, mark + 1);
        }
        let found = ranges(&marks);
        assert!(found.len() <= 8);
        assert_eq!((found[0].0, found[found.len() - 1].1), (0, 99_999));
    }
}
