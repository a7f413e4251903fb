//! Prepared statements of a connection.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::values::Type;

/// What remembering a statement costs beside its text.
const OVERHEAD: usize = 128;

/// One prepared statement.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// None when it was prepared before the capture, or had no room.
    pub text: Option<Bytes>,
    /// How many parameters it has, where that is known.
    pub parameters: Option<u16>,
    /// The types that were declared last.
    pub types: Option<Vec<Type>>,
    /// Values that were sent ahead for its next execution.
    pub sent_ahead: Vec<(u16, Vec<u8>)>,
    /// Some of those values are not whole here.
    pub is_cut: bool,
}

impl Prepared {
    fn cost(&self) -> usize {
        let text = self.text.as_ref().map_or(0, Bytes::len);
        let types = self.types.as_ref().map_or(0, |types| types.len() * 2);
        let ahead: usize = self
            .sent_ahead
            .iter()
            .map(|(_, data)| data.len() + 32)
            .sum();
        OVERHEAD + text + types + ahead
    }
}

/// All of them, within a limit on what they cost; the oldest go first.
#[derive(Debug, Default)]
pub(super) struct Statements {
    by_id: BTreeMap<u32, Prepared>,
    /// In the order in which they came; may name closed ones.
    order: VecDeque<u32>,
    cost: usize,
    /// The one that was prepared last: MariaDB's clients may call it -1.
    pub last: Option<u32>,
}

impl Statements {
    pub fn insert(&mut self, id: u32, prepared: Prepared, limit: usize) {
        self.remove(id);
        self.cost += prepared.cost();
        self.by_id.insert(id, prepared);
        self.order.push_back(id);
        self.shrink(limit);
    }

    /// Bytes of memory that they take.
    pub fn cost(&self) -> u64 {
        self.cost as u64
    }

    pub fn get(&self, id: u32) -> Option<&Prepared> {
        self.by_id.get(&id)
    }

    /// Changes a statement, one that is not known too.
    pub fn change(&mut self, id: u32, limit: usize, change: impl FnOnce(&mut Prepared)) {
        if !self.by_id.contains_key(&id) {
            self.insert(id, Prepared::default(), limit);
        }
        if let Some(prepared) = self.by_id.get_mut(&id) {
            self.cost = self.cost.saturating_sub(prepared.cost());
            change(prepared);
            self.cost += prepared.cost();
        }
        self.shrink(limit);
    }

    pub fn remove(&mut self, id: u32) {
        if let Some(gone) = self.by_id.remove(&id) {
            self.cost = self.cost.saturating_sub(gone.cost());
        }
        if self.order.len() > 2 * self.by_id.len() + 16 {
            let by_id = &self.by_id;
            self.order.retain(|id| by_id.contains_key(id));
        }
    }

    pub fn clear(&mut self) {
        *self = Statements::default();
    }

    fn shrink(&mut self, limit: usize) {
        while self.cost > limit
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(gone) = self.by_id.remove(&oldest) {
                self.cost = self.cost.saturating_sub(gone.cost());
            }
        }
    }
}
