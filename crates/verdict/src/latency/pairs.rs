//! Both twins' latencies of the same requests, as many as there is room for.

use std::collections::BTreeMap;

use crate::tally::Session;

/// Pairs kept of one session and endpoint, at first.
const MOST_EACH: usize = 256;
/// The fewest that are kept of a session before sessions are left out.
const FEWEST_EACH: usize = 8;
/// Pairs kept of one endpoint.
const MOST_KEPT: usize = 1 << 16;

/// One request that both twins answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pair {
    /// When it was ready, in milliseconds from T0 of the run.
    pub(super) at_ms: u32,
    pub(super) baseline_us: f32,
    pub(super) candidate_us: f32,
}

impl Pair {
    /// Candidate minus baseline.
    pub(super) fn shift_ms(&self) -> f64 {
        (f64::from(self.candidate_us) - f64::from(self.baseline_us)) / 1000.0
    }

    /// (baseline, candidate)
    pub(super) fn both_ms(&self) -> (f64, f64) {
        let ms = |us: f32| f64::from(us) / 1000.0;
        (ms(self.baseline_us), ms(self.candidate_us))
    }

    /// The second of the run that it was ready in.
    pub(super) fn second(&self) -> u32 {
        self.at_ms / 1000
    }
}

/// The pairs of one endpoint by session: the first ones of each, and where there are too many
/// of fewer sessions, chosen by their numbers alone.
#[derive(Debug)]
pub(super) struct Pairs {
    by_session: BTreeMap<Session, Vec<Pair>>,
    count: usize,
    most_each: usize,
    /// Sessions are kept by half so often.
    halvings: u32,
}

impl Default for Pairs {
    fn default() -> Pairs {
        Pairs {
            by_session: BTreeMap::new(),
            count: 0,
            most_each: MOST_EACH,
            halvings: 0,
        }
    }
}

impl Pairs {
    pub(super) fn add(&mut self, session: Session, pair: Pair) {
        if !is_kept(session, self.halvings) {
            return;
        }
        let pairs = self.by_session.entry(session).or_default();
        if pairs.len() < self.most_each {
            pairs.push(pair);
            self.count += 1;
            self.thin();
        }
    }

    pub(super) fn merge(&mut self, other: Pairs) {
        self.most_each = self.most_each.min(other.most_each);
        self.halvings = self.halvings.max(other.halvings);
        for (session, pairs) in other.by_session {
            self.by_session.entry(session).or_default().extend(pairs);
        }
        self.cut();
        self.thin();
    }

    /// Those of which `is_chosen` says so.
    pub(super) fn chosen(&self, is_chosen: impl Fn(&Pair) -> bool) -> Pairs {
        let mut chosen = Pairs::default();
        for (session, pair) in self.all().filter(|(_, pair)| is_chosen(pair)) {
            chosen.add(session, *pair);
        }
        chosen
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn sessions(&self) -> usize {
        self.by_session.len()
    }

    pub(super) fn by_session(&self) -> impl Iterator<Item = (Session, &[Pair])> {
        let sessions = self.by_session.iter();
        sessions.map(|(session, pairs)| (*session, pairs.as_slice()))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (Session, &Pair)> {
        self.by_session()
            .flat_map(|(session, pairs)| pairs.iter().map(move |pair| (session, pair)))
    }

    /// By the second of the run.
    pub(super) fn by_second(&self) -> BTreeMap<u32, Vec<Pair>> {
        let mut seconds: BTreeMap<u32, Vec<Pair>> = BTreeMap::new();
        for (_, pair) in self.all() {
            seconds.entry(pair.second()).or_default().push(*pair);
        }
        seconds
    }

    fn thin(&mut self) {
        while self.count > MOST_KEPT {
            if self.most_each > FEWEST_EACH {
                self.most_each /= 2;
            } else {
                self.halvings += 1;
            }
            self.cut();
        }
    }

    fn cut(&mut self) {
        let halvings = self.halvings;
        self.by_session
            .retain(|session, _| is_kept(*session, halvings));
        self.count = 0;
        for pairs in self.by_session.values_mut() {
            pairs.truncate(self.most_each);
            self.count += pairs.len();
        }
    }
}

/// Neighbours in number are neighbours in time, so that chance must choose.
fn is_kept(session: Session, halvings: u32) -> bool {
    session.wrapping_mul(0x9e37_79b1).leading_zeros() >= halvings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(at_ms: u32) -> Pair {
        Pair {
            at_ms,
            baseline_us: 1000.0,
            candidate_us: 3000.0,
        }
    }

    #[test]
    fn few_pairs_are_all_kept() {
        let mut pairs = Pairs::default();
        (0..600).for_each(|at| pairs.add(at % 3, pair(at)));
        assert_eq!((pairs.count(), pairs.sessions()), (600, 3));
        assert!(pairs.all().all(|(_, pair)| pair.shift_ms() == 2.0));
        (0..900).for_each(|at| pairs.add(3, pair(at)));
        assert_eq!(pairs.count(), 600 + MOST_EACH);
        assert_eq!(pairs.by_second()[&0].len(), pairs.count());
    }

    #[test]
    fn many_sessions_have_a_bound() {
        let mut pairs = Pairs::default();
        for session in 0..20_000 {
            (0..20).for_each(|at| pairs.add(session, pair(at)));
        }
        assert!((MOST_KEPT / 3..=MOST_KEPT).contains(&pairs.count()));
        assert!(
            (4000..12_000).contains(&pairs.sessions()),
            "{}",
            pairs.sessions()
        );
        let mut other = Pairs::default();
        (0..100_000).for_each(|session| other.add(session, pair(0)));
        pairs.merge(other);
        assert!(pairs.count() <= MOST_KEPT);
        let counted: usize = pairs.by_session().map(|(_, of)| of.len()).sum();
        assert_eq!(counted, pairs.count());
    }
}
