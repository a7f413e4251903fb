//! Times that a twin made up itself: how far they lie from when it answered.
//!
//! Two runs of the same code never agree on the time, so that times are not compared by
//! value; but what one twin calls now, the other does not call in two hours.

use std::collections::{BTreeMap, BTreeSet};

use crate::range::{Range, joined};
use crate::stats::pair_exceedance;
use crate::tally::{Session, Signal};

/// A time lies elsewhere only by so much more than all others: clocks of two machines
/// differ, and one twin may be asked later.
const LEAST_MARGIN_S: f64 = 30.0;
/// And by so much of how far those are apart.
const MARGIN: f64 = 0.25;

/// The times at one place that both twins made up, in seconds after each twin's request
/// (whenever that was: both count from the same moment).
#[derive(Debug, Default)]
pub(crate) struct Ages {
    baseline: Option<Range>,
    candidate: BTreeMap<Session, Range>,
    /// The candidate's exchanges with such times.
    pub(crate) signal: Signal,
}

/// How the candidate's times lie elsewhere.
pub(crate) struct Elsewhere {
    /// The chance of as many sessions by chance.
    pub(crate) p_value: f64,
    pub(crate) sessions: BTreeSet<Session>,
    /// By how much, at the least, in a few words.
    pub(crate) statement: String,
}

impl Ages {
    /// Takes what both twins said in one exchange.
    pub(crate) fn add(&mut self, session: Session, baseline: f64, candidate: f64) {
        self.baseline = joined(self.baseline, Some(Range::of(baseline)));
        self.show(session, Range::of(candidate));
    }

    pub(crate) fn merge(&mut self, other: Ages) {
        self.baseline = joined(self.baseline, other.baseline);
        for (session, shown) in other.candidate {
            self.show(session, shown);
        }
        self.signal.merge(other.signal);
    }

    fn show(&mut self, session: Session, shown: Range) {
        let known = self.candidate.get(&session).copied();
        self.candidate
            .extend(joined(known, Some(shown)).map(|all| (session, all)));
    }

    /// In which sessions the candidate's times lie beyond all of the baseline's, if they do.
    pub(crate) fn elsewhere(&self) -> Option<Elsewhere> {
        let known = self.baseline?;
        let margin = LEAST_MARGIN_S + (known.high - known.low) * MARGIN;
        // What lies elsewhere does so as a whole: one request that hung is no other clock.
        let after = |shown: &Range| shown.low - known.high;
        let before = |shown: &Range| known.low - shown.high;
        let of = |beyond: &dyn Fn(&Range) -> f64| -> Vec<(Session, f64)> {
            let shown = self.candidate.iter();
            let shown = shown.map(|(session, shown)| (*session, beyond(shown)));
            shown.filter(|(_, by)| *by > margin).collect()
        };
        let (later, earlier) = (of(&after), of(&before));
        let (found, word) = match later.len() >= earlier.len() {
            true => (later, "later"),
            false => (earlier, "earlier"),
        };
        let least = found.iter().map(|(_, by)| *by).reduce(f64::min)?;
        Some(Elsewhere {
            p_value: pair_exceedance(found.len()),
            sessions: found.into_iter().map(|(session, _)| session).collect(),
            statement: format!(
                "times that are {least:.0} s and more {word} than any of the baseline's, seen from \
                 the request"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ages(pairs: &[(Session, f64, f64)]) -> Ages {
        let mut ages = Ages::default();
        for (session, baseline, candidate) in pairs {
            ages.add(*session, *baseline, *candidate);
        }
        ages
    }

    #[test]
    fn another_clock_is_told_from_times_of_all_kinds() {
        let of = |shift: f64| -> Vec<(Session, f64, f64)> {
            let sessions = (0..20).map(|session| (session, f64::from(session % 3)));
            sessions
                .map(|(session, age)| (session, age, age + shift))
                .collect()
        };
        let found = ages(&of(7200.0)).elsewhere().expect("two hours");
        assert_eq!(found.sessions.len(), 20);
        assert!(found.p_value < 1e-3 && found.statement.contains("7198 s and more later"));
        let found = ages(&of(-3600.0)).elsewhere().expect("an hour");
        assert!(found.statement.contains("3598 s and more earlier"));
        assert!(ages(&of(5.0)).elsewhere().is_none());
        // Where times are of any age, two hours are nothing.
        let mut wide = of(7200.0);
        wide.push((30, -86_400.0, 0.0));
        assert!(ages(&wide).elsewhere().is_none());
        assert!(Ages::default().elsewhere().is_none());
    }

    #[test]
    fn few_sessions_are_no_proof() {
        let found = ages(&[(0, 0.0, 600.0)]).elsewhere().expect("ten minutes");
        assert!(found.p_value >= 1.0);
    }
}
