//! Names of tables and columns.

use std::collections::HashMap;
use std::sync::Arc;

use super::Problem;
use super::lex::{Dialect, Kind, Quoting, Token};
use crate::snapshot::values::Place;

/// The columns of the tables that were defined so far.
#[derive(Default)]
pub(super) struct Tables {
    known: HashMap<String, Arc<[Column]>>,
    /// Columns of all of them.
    columns: usize,
}

/// Columns that are remembered; more is no schema.
const MOST_COLUMNS: usize = 1 << 20;
/// Columns of one table, and bytes of a name: several times what the databases allow.
const MOST_COLUMNS_OF_TABLE: usize = 1 << 14;
const MOST_NAME_BYTES: usize = 1 << 10;

/// A column of a table.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// What rules see: `sql.TABLE.COLUMN`.
    path: String,
    /// Where its own name begins.
    name: usize,
    /// Whether its type says that it holds true and false.
    pub(super) is_boolean: bool,
}

impl Column {
    pub(super) fn new(table: &TableName, name: &str) -> Column {
        let path = format!("sql.{}.{name}", table.last());
        Column {
            name: path.len() - name.len(),
            path,
            is_boolean: false,
        }
    }

    /// One that rules call by this path.
    pub(super) fn at(path: String) -> Column {
        Column {
            name: path.rfind('.').map_or(0, |dot| dot + 1),
            path,
            is_boolean: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.path[self.name..]
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place {
            path: &self.path,
            name: self.name(),
            is_in_path: false,
        }
    }
}

impl Tables {
    pub(super) fn add(&mut self, table: &TableName, columns: Vec<Column>) -> Result<(), Problem> {
        self.columns += columns.len();
        if self.columns > MOST_COLUMNS {
            return Problem::new(0, "more columns than any schema has");
        }
        let before = self.known.insert(table.key(), columns.into());
        self.columns -= before.map_or(0, |before| before.len());
        Ok(())
    }

    /// The columns of a table, in their order.
    pub(super) fn columns(&self, table: &TableName) -> Result<Arc<[Column]>, Problem> {
        match self.known.get(&table.key()) {
            Some(columns) => Ok(Arc::clone(columns)),
            None => Problem::new(
                0,
                "the columns of this table are not known: dump its definition before it, or the names of columns with the rows",
            ),
        }
    }

    /// The columns with these names, what is known of them filled in.
    pub(super) fn named(&self, table: &TableName, names: &[String]) -> Arc<[Column]> {
        let known = self.known.get(&table.key());
        let column = |name: &String| {
            let known = known.and_then(|known| known.iter().find(|known| known.name() == name));
            known.cloned().unwrap_or_else(|| Column::new(table, name))
        };
        names.iter().map(column).collect()
    }
}

/// The name of a table, with those of its schema.
#[derive(Clone, Debug, Default)]
pub(super) struct TableName {
    parts: Vec<String>,
    /// A dot came after the last.
    is_open: bool,
}

impl TableName {
    /// Takes a part of the name or a dot; false for what is none.
    pub(super) fn token(&mut self, token: &Token, text: &[u8], dialect: Dialect) -> bool {
        if token.kind == Kind::Mark && text == b"." && !self.is_open {
            self.is_open = !self.parts.is_empty();
            return self.is_open;
        }
        if !(self.is_open || self.parts.is_empty()) || self.parts.len() == 4 {
            return false;
        }
        let Some(name) = name(token, text, dialect) else {
            return false;
        };
        self.parts.push(name);
        self.is_open = false;
        true
    }

    pub(super) fn is_whole(&self) -> bool {
        !self.parts.is_empty() && !self.is_open
    }

    fn last(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// No part has the character that they are joined by, or a dump could choose one to
    /// be taken for another.
    fn key(&self) -> String {
        self.parts.join("\0")
    }
}

/// A list of names between parentheses, whose first was read.
#[derive(Default)]
pub(super) struct Names {
    pub(super) read: Vec<String>,
    has_comma: bool,
}

impl Names {
    /// Takes a token; true where the list ends.
    pub(super) fn token(
        &mut self,
        token: &Token,
        text: &[u8],
        dialect: Dialect,
    ) -> Result<bool, Problem> {
        let expects_name = self.has_comma || self.read.is_empty();
        match text {
            b"," if !expects_name => self.has_comma = true,
            b")" if !self.has_comma => return Ok(true),
            _ => match name(token, text, dialect) {
                Some(name) if expects_name && self.read.len() < MOST_COLUMNS_OF_TABLE => {
                    self.read.push(name);
                    self.has_comma = false;
                }
                _ => return Problem::new(0, "expected names of columns"),
            },
        }
        Ok(false)
    }
}

/// The name that a token is. PostgreSQL's without quotes are in small letters.
pub(super) fn name(token: &Token, text: &[u8], dialect: Dialect) -> Option<String> {
    let body = String::from_utf8_lossy(&text[token.body.clone()]);
    if body.len() > MOST_NAME_BYTES || body.contains('\0') {
        return None;
    }
    let quote = char::from(text[0]);
    match token.kind {
        Kind::Word if dialect == Dialect::Postgres => Some(body.to_ascii_lowercase()),
        Kind::Word => Some(body.into_owned()),
        Kind::Name => Some(body.replace(&format!("{quote}{quote}"), &quote.to_string())),
        // In MySQL's ANSI mode names stand in double quotes.
        Kind::Text(Quoting::Mysql) if quote == '"' => Some(body.into_owned()),
        _ => None,
    }
}
