//! Exchanges of database and cache protocols: commands and their replies.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::message::Exchange;

/// One command and its reply.
///
/// The bytes of both messages, framing included, are the chunks of
/// [`EventKind::CommandData`](crate::EventKind::CommandData); what is here is read from them.
pub type CommandExchange = Exchange<CommandHead, ReplyHead>;

/// What a command asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandHead {
    /// The command in its protocol's own words: `SET`, `Query`, `COM_STMT_EXECUTE`.
    /// Redis commands are upper-case, as their documentation has them.
    pub name: String,
    /// The statement in the database's language as sent, be it in this message or when the
    /// statement that this one executes was prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Bytes>,
    /// The name or number of the prepared statement that is made or used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<String>,
    /// What is passed to the command, in order: words after a Redis command's name, parameters
    /// of a prepared statement. Values past the limit on heads are left out, and flagged
    /// `arguments_cut`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Argument>,
    /// The transaction that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Transaction>,
}

impl CommandHead {
    /// Bytes of memory that it takes, as far as its sender chooses them.
    pub(crate) fn cost(&self) -> u64 {
        let bytes = |argument: &Argument| match argument {
            Argument::Null => 0,
            Argument::Text(bytes) | Argument::Binary(bytes) => bytes.len(),
            Argument::Number(digits) => digits.len(),
        };
        let arguments = self.arguments.iter();
        let arguments: usize = arguments
            .map(|argument| size_of::<Argument>() + bytes(argument))
            .sum();
        (arguments + self.statement.as_ref().map_or(0, Bytes::len)) as u64
    }
}

/// One argument of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Argument {
    /// No value.
    Null,
    /// Text, or bytes that the protocol does not tell from text.
    Text(Bytes),
    /// Bytes in a binary form that only its type explains.
    Binary(Bytes),
    /// A number that the protocol writes in binary form, in decimal.
    Number(String),
}

/// A transaction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Its position among the transactions of the flow, from 0.
    pub index: u32,
    /// What the command does to it.
    pub step: TransactionStep,
}

impl TransactionStep {
    /// Its name in documents: `begin`, `inside`, `commit`, `rollback`.
    pub fn name(self) -> &'static str {
        match self {
            TransactionStep::Begin => "begin",
            TransactionStep::Inside => "inside",
            TransactionStep::Commit => "commit",
            TransactionStep::Rollback => "rollback",
        }
    }
}

/// What a command does to its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionStep {
    /// It opens it.
    Begin,
    /// It is one of its commands.
    Inside,
    /// It ends it, and what was done stays.
    Commit,
    /// It ends it, and what was done is undone.
    Rollback,
}

/// What a command was answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyHead {
    /// What kind of answer.
    pub kind: ReplyKind,
    /// The error's code: an SQLSTATE, MySQL's error number, the first word of a Redis error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The answer's own words: a Redis status or error, PostgreSQL's command tag, an error's
    /// message.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub text: Bytes,
    /// Names of the columns of the (last) result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// How the values of rows are written, where a description among the reply does not tell:
    /// rows of a statement of PostgreSQL that was prepared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forms: Vec<ColumnForm>,
    /// Rows, or elements of an aggregate, that were sent.
    pub rows: u64,
    /// Rows that the command changed, where the answer tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affected: Option<u64>,
}

/// How the values of a column are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnForm {
    /// The object id of PostgreSQL's type; 0 where it is not known.
    pub type_id: u32,
    /// In the type's binary form, not as text.
    pub is_binary: bool,
}

/// Kinds of replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyKind {
    /// Done, without data.
    #[default]
    Done,
    /// One value, or none.
    Value,
    /// Rows, or an aggregate of values.
    Rows,
    /// An error.
    Error,
    /// Sent without being asked: a notification, a published message.
    Push,
    /// The client asks for none (`CLIENT REPLY OFF`, `COM_STMT_CLOSE`, a PostgreSQL cancel).
    None,
}
