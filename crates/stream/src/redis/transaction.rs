//! Transactions of which a reply tells what their commands did not.

use super::Redis;
use super::open::Open;
use crate::command::{Transaction, TransactionStep};

impl Redis {
    /// MULTI was refused: what follows it is in no transaction.
    pub(super) fn forget_transaction(&mut self, multi: usize) {
        let head = self
            .queue
            .open
            .get(multi)
            .and_then(|open| open.request.head.as_ref());
        let refused = head
            .and_then(|head| head.transaction)
            .filter(|transaction| transaction.step == TransactionStep::Begin);
        let Some(Transaction { index, .. }) = refused else {
            return;
        };
        for open in self.queue.open.range_mut(multi..) {
            if let Some(head) = &mut open.request.head {
                head.transaction = head.transaction.filter(|of| of.index != index);
            }
        }
        if self.client.transaction == Some(index) {
            self.client.transaction = None;
        }
    }

    /// A command was queued though no transaction is known: its begin was not seen.
    pub(super) fn adopt_transaction(&mut self, first: usize) {
        let is_unknown = |open: &Open| {
            let head = open.request.head.as_ref();
            head.is_some_and(|head| head.transaction.is_none())
        };
        if !self.queue.open.get(first).is_some_and(is_unknown) {
            return;
        }
        let index = self.client.next_transaction;
        self.client.next_transaction = index.saturating_add(1);
        for open in self.queue.open.range_mut(first..) {
            let Some(head) = &mut open.request.head else {
                continue;
            };
            let step = match &head.name[..] {
                "EXEC" => TransactionStep::Commit,
                "DISCARD" | "RESET" | "QUIT" => TransactionStep::Rollback,
                _ => TransactionStep::Inside,
            };
            head.transaction.get_or_insert(Transaction { index, step });
            if step != TransactionStep::Inside {
                return;
            }
        }
        self.client.transaction.get_or_insert(index);
    }
}
