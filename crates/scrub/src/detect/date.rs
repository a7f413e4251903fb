//! Dates, of which those of birth matter.

use std::ops::Range;

use super::number::Digits;
use super::topics::Topic;
use super::{Evidence, Kind, Search, checksum};

const BIRTH: Evidence = Evidence {
    kind: Kind::BirthDate,
    pattern: "date",
    weight: 20,
    is_checked: false,
    topics: &[Topic::Birth],
};

/// A date with its month's name.
pub(super) fn named(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let end = span.end;
    search.weigh(span, BIRTH);
    Some(end)
}

/// A date in digits: year first, or last; day or month first; or eight digits, year first.
pub(super) fn numeric(digits: &Digits<'_>) -> Option<Evidence> {
    let mut parts = [0; 3];
    match digits.lengths() {
        [8] => {
            let values = digits.values();
            for (part, range) in parts.iter_mut().zip([0..4, 4..6, 6..8]) {
                *part = checksum::value(&values[range]);
            }
        }
        &[first, second, third] => {
            let mut marks = digits.marks();
            let mark = marks.next()?;
            if !b"-/.".contains(&mark) || !marks.eq([mark]) || second > 2 {
                return None;
            }
            let mut rest = digits.values();
            for (part, length) in parts.iter_mut().zip([first, second, third]) {
                let (head, tail) = rest.split_at(usize::from(length));
                (*part, rest) = (checksum::value(head), tail);
            }
            if !matches!((first, third), (4, 1..=2) | (1..=2, 4 | 2)) {
                return None;
            }
        }
        _ => return None,
    }
    let is_date = match parts {
        [1850..2100, month, day] => is_day(day, month),
        [first, second, 0..100 | 1850..2100] => is_day(first, second) || is_day(second, first),
        _ => false,
    };
    is_date.then_some(BIRTH)
}

/// Whether a day can be in a month of some year.
pub(super) fn is_day(day: u64, month: u64) -> bool {
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}
