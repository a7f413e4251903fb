//! Transactions of a flow, from command tags and from what ReadyForQuery says.

use super::exchange::Open;
use crate::command::{Transaction, TransactionStep};

/// Which transaction a flow is in.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    current: Option<u32>,
    next: u32,
    /// The last status was seen, and nothing was lost since.
    is_known: bool,
}

impl Transactions {
    /// Something was lost: a transaction may have ended or begun.
    pub fn lose(&mut self) {
        self.current = None;
        self.is_known = false;
    }

    /// A command of `open` is done, says its `tag`.
    pub fn tag(&mut self, tag: &[u8], open: &mut Open) {
        let step = match tag {
            b"BEGIN" | b"START TRANSACTION" => TransactionStep::Begin,
            b"COMMIT" | b"PREPARE TRANSACTION" => TransactionStep::Commit,
            b"ROLLBACK" if !is_to_savepoint(open.statement_text()) => TransactionStep::Rollback,
            _ => TransactionStep::Inside,
        };
        match (step, self.current) {
            (TransactionStep::Begin, None) => self.begin(open, step),
            (TransactionStep::Begin | TransactionStep::Inside, Some(index)) => {
                self.mark(open, index, TransactionStep::Inside);
            }
            (TransactionStep::Commit | TransactionStep::Rollback, Some(index)) => {
                self.mark(open, index, step);
                self.current = None;
            }
            (_, None) => {}
        }
    }

    /// What ReadyForQuery says after `open`: idle, in a transaction, or in a failed one.
    pub fn status(&mut self, status: u8, open: &mut Open) {
        match (status, self.current) {
            (b'I', Some(index)) => {
                // No command ended it: an error did.
                self.mark(open, index, TransactionStep::Rollback);
                open.answer_flag("implicit_rollback");
                self.current = None;
            }
            (b'T' | b'E', None) if open.transaction().is_none() && self.is_known => {
                self.begin(open, TransactionStep::Begin);
            }
            // COMMIT AND CHAIN ends one and begins another.
            (b'T' | b'E', None) if open.transaction().is_some() => {
                self.current = Some(self.next);
                self.next = self.next.saturating_add(1);
            }
            (b'T' | b'E', None) => self.begin(open, TransactionStep::Inside),
            (b'T' | b'E', Some(index)) if open.transaction().is_none() => {
                self.mark(open, index, TransactionStep::Inside);
            }
            _ => {}
        }
        if status == b'E' {
            open.answer_flag("transaction_failed");
        }
        self.is_known = true;
    }

    fn begin(&mut self, open: &mut Open, step: TransactionStep) {
        let index = self.next;
        self.next = self.next.saturating_add(1);
        self.current = Some(index);
        self.mark(open, index, step);
    }

    fn mark(&self, open: &mut Open, index: u32, step: TransactionStep) {
        let before = open.transaction();
        // The first command of a transaction stays that one, whatever follows in its exchange.
        let stays =
            before.is_some_and(|before| before.index == index) && step == TransactionStep::Inside;
        if !stays {
            open.set_transaction(Transaction { index, step });
        }
    }
}

/// True for `ROLLBACK [WORK | TRANSACTION] TO [SAVEPOINT] name`, which ends nothing.
fn is_to_savepoint(statement: &[u8]) -> bool {
    let mut words = statement
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .take(3);
    words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case(b"ROLLBACK"))
        && words.any(|word| word.eq_ignore_ascii_case(b"TO"))
}
