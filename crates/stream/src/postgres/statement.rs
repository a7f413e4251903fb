//! Prepared statements and portals of a flow.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::read::Parameter;
use crate::command::Argument;

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
    pub columns: OnceLock<Vec<String>>,
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
    /// Parameters were left out.
    pub is_cut: bool,
}

impl Portal {
    pub fn cost(&self) -> u64 {
        let values = self.parameters.iter();
        let bytes: usize = values
            .map(|parameter| 48 + parameter.value.as_ref().map_or(0, Bytes::len))
            .sum();
        bytes as u64
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
                Some(value) => binary(of_type(index), value),
            })
            .collect()
    }
}

/// A value in binary form, by the object id of its type (`pg_type.dat`).
fn binary(of_type: u32, value: &Bytes) -> Argument {
    let number = match (of_type, &value[..]) {
        (20, bytes) => bytes
            .try_into()
            .ok()
            .map(|bytes| i64::from_be_bytes(bytes).to_string()),
        (21, bytes) => bytes
            .try_into()
            .ok()
            .map(|bytes| i16::from_be_bytes(bytes).to_string()),
        (23, bytes) => bytes
            .try_into()
            .ok()
            .map(|bytes| i32::from_be_bytes(bytes).to_string()),
        (26, bytes) => bytes
            .try_into()
            .ok()
            .map(|bytes| u32::from_be_bytes(bytes).to_string()),
        (700, bytes) => bytes
            .try_into()
            .ok()
            .map(|bytes| f32::from_be_bytes(bytes).to_string()),
        (701, bytes) => bytes
            .try_into()
            .ok()
            .map(|bytes| f64::from_be_bytes(bytes).to_string()),
        // char, name, text, json, xml, unknown, bpchar, varchar: their binary form is text.
        (18 | 19 | 25 | 114 | 142 | 705 | 1042 | 1043, _) => {
            return Argument::Text(value.clone());
        }
        _ => None,
    };
    match number {
        Some(number) => Argument::Number(number),
        None => Argument::Binary(value.clone()),
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
    Columns(Vec<String>),
}

impl Description {
    fn cost(&self) -> u64 {
        let bytes = match self {
            Description::Types(types) => types.len() * 4,
            Description::Columns(columns) => columns.iter().map(|name| 24 + name.len()).sum(),
        };
        bytes as u64
    }
}
