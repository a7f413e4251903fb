//! What the twins did with one request, joined.

use smallvec::SmallVec;
use twintap_verdict::{Outcome, Twin};

use super::records::Record;
use crate::fire::capture::Held;

/// A request that not all twins have an outcome for.
pub struct Pending {
    /// Its recorded side.
    pub record: Record,
    /// Of all twins but the last to have one: in a run with two, of one.
    outcomes: SmallVec<[(Twin, Settled); 1]>,
}

/// What one twin did.
pub struct Settled {
    /// What came of it.
    pub outcome: Outcome,
    /// Counts its answer as held.
    pub held: Option<Held>,
}

/// A request that all twins have an outcome for.
pub struct Joined {
    /// Its recorded side.
    pub record: Record,
    /// What the candidate did.
    pub candidate: Settled,
    /// What the baseline did.
    pub baseline: Settled,
    /// What the second baseline did, where the run has one.
    pub second_baseline: Option<Settled>,
}

impl Pending {
    /// A request that no twin has an outcome for.
    pub fn new(record: Record) -> Pending {
        Pending {
            record,
            outcomes: SmallVec::new(),
        }
    }

    /// How many twins have one.
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// A further twin has one.
    pub fn add(&mut self, twin: Twin, settled: Settled) {
        self.outcomes.push((twin, settled));
    }

    /// The last twin has one. Nothing where candidate or baseline has none: each has one of
    /// each request, or the ledgers do not close.
    pub fn join(self, twin: Twin, settled: Settled) -> Option<Joined> {
        let (mut candidate, mut baseline, mut second_baseline) = (None, None, None);
        for (twin, settled) in self.outcomes.into_iter().chain([(twin, settled)]) {
            let place = match twin {
                Twin::Candidate => &mut candidate,
                Twin::Baseline => &mut baseline,
                Twin::SecondBaseline => &mut second_baseline,
            };
            *place = Some(settled);
        }
        Some(Joined {
            record: self.record,
            candidate: candidate?,
            baseline: baseline?,
            second_baseline,
        })
    }
}
