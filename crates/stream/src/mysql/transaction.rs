//! Which commands belong to one transaction: the server's word where it was seen, the statements
//! where not.

use crate::command::{Transaction, TransactionStep};

/// `SERVER_STATUS_IN_TRANS`.
const IN_TRANSACTION: u16 = 1;

/// What a statement does to a transaction, by its first words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    Begin,
    Commit,
    Rollback,
    /// The session ends, and what it has open is undone.
    Leave,
    Other,
}

impl Intent {
    pub fn of(statement: &[u8]) -> Intent {
        let mut words = Words(statement);
        let first = words.next().unwrap_or_default();
        let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let mut starts = || words.next().is_some_and(|word| is(word, "transaction"));
        if is(first, "begin") || is(first, "start") && starts() {
            Intent::Begin
        } else if is(first, "commit") {
            Intent::Commit
        } else if is(first, "rollback") && !words.any(|word| is(word, "to")) {
            Intent::Rollback
        } else {
            Intent::Other
        }
    }
}

/// The words of a statement's begin, comments left out.
struct Words<'a>(&'a [u8]);

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.0 = skip_comments(self.0);
        let length = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'_')
            .count();
        let (word, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// What follows white space and comments.
pub(super) fn skip_comments(mut text: &[u8]) -> &[u8] {
    loop {
        text = text.trim_ascii_start();
        let end = if text.starts_with(b"/*") {
            memchr::memmem::find(text, b"*/").map(|at| at + 2)
        } else if text.starts_with(b"#") || text.starts_with(b"-- ") {
            memchr::memchr(b'\n', text).map(|at| at + 1)
        } else {
            return text;
        };
        text = end.and_then(|end| text.get(end..)).unwrap_or_default();
    }
}

/// The transactions of a connection.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    open: Option<u32>,
    /// Whether one is open was seen.
    is_known: bool,
    next: u32,
}

impl Transactions {
    /// Takes note of a command that is over, and tells what it was to its transaction. `status` is
    /// the server's last word on it; `undone` when the server ended the transaction by its error.
    pub fn follow(
        &mut self,
        intent: Intent,
        status: Option<u16>,
        undone: bool,
    ) -> Option<Transaction> {
        let before = self.open;
        let is_open = match (status, intent) {
            _ if undone => false,
            (Some(status), _) => status & IN_TRANSACTION != 0,
            (None, Intent::Begin) => true,
            (None, Intent::Commit | Intent::Rollback | Intent::Leave) => false,
            (None, Intent::Other) => before.is_some(),
        };
        let was_known = self.is_known;
        self.is_known |= status.is_some();
        match (before, is_open) {
            (None, false) => None,
            (None, true) => {
                let step = match was_known || intent == Intent::Begin {
                    true => TransactionStep::Begin,
                    // It may have been begun before the capture.
                    false => TransactionStep::Inside,
                };
                let index = self.begin();
                Some(Transaction { index, step })
            }
            // The one before is committed by it.
            (Some(_), true) if intent == Intent::Begin => {
                let index = self.begin();
                let step = TransactionStep::Begin;
                Some(Transaction { index, step })
            }
            (Some(index), true) => {
                let step = match intent {
                    // `AND CHAIN` begins the next one.
                    Intent::Commit => TransactionStep::Commit,
                    Intent::Rollback => TransactionStep::Rollback,
                    _ => TransactionStep::Inside,
                };
                if step != TransactionStep::Inside {
                    self.begin();
                }
                Some(Transaction { index, step })
            }
            (Some(index), false) => {
                self.open = None;
                let step = match intent {
                    Intent::Rollback | Intent::Leave => TransactionStep::Rollback,
                    _ if undone => TransactionStep::Rollback,
                    _ => TransactionStep::Commit,
                };
                Some(Transaction { index, step })
            }
        }
    }

    /// What a command without a reply is to the transaction.
    pub fn inside(&self) -> Option<Transaction> {
        let index = self.open?;
        let step = TransactionStep::Inside;
        Some(Transaction { index, step })
    }

    fn begin(&mut self) -> u32 {
        let index = self.next;
        self.next += 1;
        self.open = Some(index);
        index
    }
}
