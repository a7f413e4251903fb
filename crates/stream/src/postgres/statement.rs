//! Prepared statements and portals of a flow.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::read::{Column, Parameter};
use super::values;
use crate::command::{Argument, ColumnForm};

/// What an entry costs beside its bytes.
const ENTRY_BYTES: u64 = 128;

/// A prepared statement.
#[derive(Debug, Default)]
pub(super) struct Statement {
    pub name: String,
    /// Absent when it was lost or too long.
    pub text: Option<Bytes>,
    /// Types of parameters as its Parse message names them.
    pub types: Box<[u32]>,
    /// Types as the server described them.
    pub described: OnceLock<Box<[u32]>>,
    /// Columns as the server described them.
    pub columns: OnceLock<Vec<Column>>,
}

impl Statement {
    fn cost(&self) -> u64 {
        let text = self.text.as_ref().map_or(0, Bytes::len);
        ENTRY_BYTES + (self.name.len() + text + self.types.len() * 4) as u64
    }

    fn type_of(&self, index: usize) -> u32 {
        let described = self.described.get().and_then(|types| types.get(index));
        described.or(self.types.get(index)).copied().unwrap_or(0)
    }
}

/// A statement with its parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Portal {
    /// Absent when unknown.
    pub statement: Option<Arc<Statement>>,
    pub parameters: Arc<Vec<Parameter>>,
    /// The forms in which values are to be sent: one for each, one for all, or none for text.
    pub formats: Arc<[bool]>,
    /// Parameters were left out.
    pub is_cut: bool,
}

impl Portal {
    pub fn cost(&self) -> u64 {
        let values = self.parameters.iter();
        let bytes: usize = values
            .map(|parameter| 48 + parameter.value.as_ref().map_or(0, Bytes::len))
            .sum();
        (bytes + self.formats.len()) as u64
    }

    /// How the values of these columns are written.
    pub fn forms(&self, columns: &[Column]) -> Vec<ColumnForm> {
        let count = columns.len().max(self.formats.len());
        let forms = (0..count).map(|index| ColumnForm {
            type_id: columns.get(index).map_or(0, |column| column.form.type_id),
            is_binary: match self.formats[..] {
                [all] => all,
                _ => self.formats.get(index).is_some_and(|is_binary| *is_binary),
            },
        });
        forms.collect()
    }

    /// The parameters, numbers among them made readable where their type is known.
    pub fn arguments(&self) -> Vec<Argument> {
        let of_type = |index| {
            let statement = self.statement.as_ref();
            statement.map_or(0, |statement| statement.type_of(index))
        };
        let parameters = self.parameters.iter().enumerate();
        parameters
            .map(|(index, parameter)| match &parameter.value {
                None => Argument::Null,
                Some(value) if !parameter.is_binary => Argument::Text(value.clone()),
                Some(value) => values::argument(of_type(index), value),
            })
            .collect()
    }
}

/// What a flow has prepared, as far as there is room for it.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Each with its cost, as counted in `bytes`.
    statements: HashMap<String, (Arc<Statement>, u64)>,
    portals: HashMap<String, (Portal, u64)>,
    bytes: u64,
}

impl Prepared {
    /// Bytes of memory that it takes.
    pub fn cost(&self) -> u64 {
        self.bytes
    }

    pub fn statement(&self, name: &str) -> Option<&Arc<Statement>> {
        self.statements.get(name).map(|(statement, _)| statement)
    }

    pub fn portal(&self, name: &str) -> Option<&Portal> {
        self.portals.get(name).map(|(portal, _)| portal)
    }

    /// Keeps a statement in place of its namesake, which is returned. Past the limit it is not
    /// kept, and unknown later.
    pub fn put(&mut self, statement: &Arc<Statement>, limit: u64) -> Option<Arc<Statement>> {
        let before = self.close_statement(&statement.name);
        let cost = statement.cost();
        if self.bytes + cost <= limit {
            self.bytes += cost;
            let entry = (Arc::clone(statement), cost);
            self.statements.insert(statement.name.clone(), entry);
        }
        before
    }

    /// The server refused `made`: what was there before is there again.
    pub fn restore(&mut self, made: &Arc<Statement>, before: Option<Arc<Statement>>, limit: u64) {
        if !self.is_current(made) {
            return;
        }
        self.close_statement(&made.name);
        // A refused Parse destroys the unnamed statement all the same.
        if let Some(before) = before
            && !before.name.is_empty()
        {
            self.put(&before, limit);
        }
    }

    /// Learns types or columns of a statement, where there is room for them.
    pub fn describe(&mut self, statement: &Statement, description: Description, limit: u64) {
        let cost = description.cost();
        let room = match self.statements.get_mut(&statement.name) {
            Some((current, entry)) if std::ptr::eq(&**current, statement) => {
                let fits = self.bytes + cost <= limit;
                if fits {
                    self.bytes += cost;
                    *entry += cost;
                }
                fits
            }
            // It lives as long as the exchanges that use it.
            _ => cost <= 1024,
        };
        match description {
            _ if !room => {}
            // The first description stays, should a server send more than one.
            Description::Types(types) => drop(statement.described.set(types)),
            Description::Columns(columns) => drop(statement.columns.set(columns)),
        }
    }

    pub fn open(&mut self, name: String, portal: Portal, limit: u64) {
        self.close_portal(&name);
        // It may be the last to know its statement.
        let statement = portal.statement.as_ref();
        let cost = ENTRY_BYTES
            + name.len() as u64
            + portal.cost()
            + statement.map_or(0, |statement| statement.cost());
        if self.bytes + cost <= limit {
            self.bytes += cost;
            self.portals.insert(name, (portal, cost));
        }
    }

    pub fn close_statement(&mut self, name: &str) -> Option<Arc<Statement>> {
        let (before, cost) = self.statements.remove(name)?;
        self.bytes -= cost;
        Some(before)
    }

    pub fn close_portal(&mut self, name: &str) {
        if let Some((_, cost)) = self.portals.remove(name) {
            self.bytes -= cost;
        }
    }

    /// A transaction is over, and its portals with it.
    pub fn close_portals(&mut self) {
        for (_, (_, cost)) in self.portals.drain() {
            self.bytes -= cost;
        }
    }

    pub fn close_all(&mut self) {
        *self = Prepared::default();
    }

    fn is_current(&self, statement: &Arc<Statement>) -> bool {
        self.statement(&statement.name)
            .is_some_and(|current| Arc::ptr_eq(current, statement))
    }
}

/// What a server says of a statement.
pub(super) enum Description {
    Types(Box<[u32]>),
    Columns(Vec<Column>),
}

impl Description {
    fn cost(&self) -> u64 {
        let bytes = match self {
            Description::Types(types) => types.len() * 4,
            Description::Columns(columns) => {
                columns.iter().map(|column| 32 + column.name.len()).sum()
            }
        };
        bytes as u64
    }
}
