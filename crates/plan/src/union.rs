//! Disjoint sets.

/// Disjoint sets of small indexes (union by the smaller root, path halving), so
/// that the representative of a set is its smallest member whatever the order
/// of the unions.
#[derive(Debug)]
pub(crate) struct DisjointSets {
    parents: Vec<u32>,
}

impl DisjointSets {
    /// `count` sets of one member each.
    pub fn new(count: usize) -> DisjointSets {
        DisjointSets {
            parents: (0..count as u32).collect(),
        }
    }

    /// The representative of the set that `member` is in.
    pub fn find(&mut self, member: u32) -> u32 {
        let mut at = member;
        loop {
            let parent = self.parents[at as usize];
            if parent == at {
                return at;
            }
            let grandparent = self.parents[parent as usize];
            self.parents[at as usize] = grandparent;
            at = grandparent;
        }
    }

    /// Makes the sets of `a` and `b` one.
    pub fn union(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        self.parents[a.max(b) as usize] = a.min(b);
    }
}
