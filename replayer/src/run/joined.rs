//! What the twins did with one request, joined.

use smallvec::SmallVec;
use twintap_scrub::Part;
use twintap_verdict::{Body, Outcome, Twin};

use super::records::Record;
use crate::fire::capture::Held;

/// A request that not all twins have an outcome for.
pub struct Pending {
    /// Its recorded side.
    pub record: Record,
    /// Of all twins but the last to have one: in a run with two, of one.
    outcomes: SmallVec<[(Twin, Settled); 1]>,
}

/// What one twin did: what came of it, and the answer's hold on memory.
pub type Settled = (Outcome, Option<HeldAnswer>);

/// An answer that counts as held until this is dropped.
pub struct HeldAnswer {
    /// The count.
    pub _held: Held,
    /// What is known of its body as a digest.
    pub as_digest: AsDigest,
}

/// A body as a digest.
pub enum AsDigest {
    /// It is one, for it could not be held.
    Is,
    /// It would be this one.
    Would(Body),
    /// It has none.
    NotAtAll,
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

impl Joined {
    /// True where a twin's body could not be held.
    pub fn are_digests(&self) -> bool {
        let is_digest = |(_, held): &Settled| {
            let held = held.as_ref();
            held.is_some_and(|held| matches!(held.as_digest, AsDigest::Is))
        };
        self.twins().any(is_digest)
    }

    /// Makes a digest of each twin's body, so that they compare where one could not be held.
    pub fn make_digests(&mut self) {
        let twins = [&mut self.candidate, &mut self.baseline].into_iter();
        for (outcome, held) in twins.chain(&mut self.second_baseline) {
            if let (Outcome::Answered { answer, .. }, Some(held)) = (outcome, held)
                && let AsDigest::Would(digest) =
                    std::mem::replace(&mut held.as_digest, AsDigest::Is)
            {
                answer.body = digest;
                answer.leaves.retain(|leaf| leaf.part != Part::Body);
            }
        }
    }

    fn twins(&self) -> impl Iterator<Item = &Settled> {
        [&self.candidate, &self.baseline]
            .into_iter()
            .chain(&self.second_baseline)
    }
}
