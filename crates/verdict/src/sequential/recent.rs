//! What was seen before, as far as there is room.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Keys remembered; the oldest go first.
const MOST: usize = 1 << 17;

/// The latest keys, by their hashes.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Recent {
    /// Whether a key comes for the first time.
    pub(super) fn is_first(&mut self, key: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let hash = hasher.finish();
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut recent = Recent::default();
        assert!(recent.is_first(&0_u64));
        assert!(!recent.is_first(&0_u64));
        assert!((1..=MOST as u64).all(|key| recent.is_first(&key)));
        assert!(!recent.is_first(&(MOST as u64)));
        assert!(recent.is_first(&0_u64));
        assert_eq!(recent.known.len(), MOST);
    }
}
