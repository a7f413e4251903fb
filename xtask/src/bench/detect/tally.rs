//! What of the truth was found, and what was found that isn't there.

use super::{ByKind, Case, Span};

/// Counts of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Spans of the truth that were found.
    found: u64,
    /// Spans of the truth that were not.
    missed: u64,
    /// Spans found that are not true.
    wrong: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.found += other.found;
        self.missed += other.missed;
        self.wrong += other.wrong;
    }

    pub fn truth(&self) -> u64 {
        self.found + self.missed
    }

    /// The share of what was found that is true; 0 when nothing was found.
    pub fn precision(&self) -> f64 {
        share(self.found, self.found + self.wrong)
    }

    /// The share of the truth that was found.
    pub fn recall(&self) -> f64 {
        share(self.found, self.truth())
    }
}

/// The mean of precision and recall in which recall counts twice as much.
pub fn f2(tally: &Tally) -> f64 {
    let (precision, recall) = (tally.precision(), tally.recall());
    match 4.0 * precision + recall {
        0.0 => 0.0,
        sum => 5.0 * precision * recall / sum,
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Counts for each kind of the truth.
pub fn by_kind(cases: &[Case], found: &[Vec<Span>]) -> ByKind {
    let mut tallies = ByKind::new();
    for (case, found) in cases.iter().zip(found) {
        for truth in &case.truth {
            let tally = tallies.entry(truth.kind.clone()).or_default();
            match found.iter().any(|found| is_same(truth, found)) {
                true => tally.found += 1,
                false => tally.missed += 1,
            }
        }
        for found in found {
            if !case.truth.iter().any(|truth| is_same(truth, found)) {
                tallies.entry(found.kind.clone()).or_default().wrong += 1;
            }
        }
    }
    tallies
}

/// The same kind, and more than half of what both cover is covered by both.
fn is_same(truth: &Span, found: &Span) -> bool {
    let both = truth
        .end
        .min(found.end)
        .saturating_sub(truth.start.max(found.start));
    let either = truth.end.max(found.end) - truth.start.min(found.start);
    truth.kind == found.kind && 2 * both > either
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: usize, end: usize, kind: &str) -> Span {
        Span {
            start,
            end,
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn found_missed_and_wrong_are_counted() {
        let case = Case {
            name: String::new(),
            text: String::new(),
            truth: vec![span(0, 10, "card"), span(20, 30, "card")],
        };
        let found = vec![
            span(1, 10, "card"),
            span(20, 30, "phone"),
            span(40, 50, "card"),
        ];
        let tallies = by_kind(&[case], &[found]);
        let card = tallies["card"];
        assert_eq!((card.found, card.missed, card.wrong), (1, 1, 1));
        assert_eq!(
            (card.precision(), card.recall(), f2(&card)),
            (0.5, 0.5, 0.5)
        );
        assert_eq!(tallies["phone"].wrong, 1);
    }
}
