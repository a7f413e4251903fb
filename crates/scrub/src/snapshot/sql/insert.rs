//! `INSERT INTO table (columns) VALUES (...), (...)`, of any length.

use std::sync::Arc;

use super::lex::{Dialect, Kind, Token};
use super::tables::{Column, Names, TableName, Tables};
use super::{NOT_SCRUBBED, Next, Problem, literal, upper};
use crate::snapshot::values::Values;

/// An INSERT on its way.
pub(super) struct Insert {
    dialect: Dialect,
    table: TableName,
    columns: Arc<[Column]>,
    at: At,
}

enum At {
    /// INTO and the name.
    Table,
    Columns(Names),
    /// Until VALUES.
    BeforeValues,
    /// A row or the end comes.
    Rows {
        has_row: bool,
    },
    Row(Row),
    /// What is done with rows that are there already.
    Conflict,
}

/// A row on its way.
struct Row {
    /// The column of the present value.
    column: usize,
    /// Parentheses and brackets that are open.
    depth: u32,
    /// Whether the present value, or argument of a function, has a text or number.
    has_value: bool,
    /// Whether the name of a type comes.
    is_type: bool,
    /// Whether the length of a type comes, `varchar(200)`.
    is_length: bool,
}

/// Words before the name of the table.
const MODIFIERS: &[&str] = &["INTO", "IGNORE", "LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY"];
/// Words before VALUES.
const OVERRIDING: &[&str] = &["OVERRIDING", "SYSTEM", "USER", "VALUE"];
/// Words that values may be made with. Another one is rather part of a text that was
/// taken for its end.
const FUNCTIONS: &[&str] = &[
    "NULL",
    "DEFAULT",
    "NOW",
    "CAST",
    "CONVERT",
    "ARRAY",
    "ROW",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
];
/// Words between a value and its type.
const CONVERSIONS: &[&str] = &["AS", "USING"];
/// Words that the names of types are made of.
const TYPES: &[&str] = &[
    "BIGINT",
    "BINARY",
    "BIT",
    "BOOLEAN",
    "BYTEA",
    "CHAR",
    "CHARACTER",
    "CIDR",
    "DATE",
    "DATETIME",
    "DECIMAL",
    "DOUBLE",
    "INET",
    "INTEGER",
    "INTERVAL",
    "JSON",
    "JSONB",
    "NUMERIC",
    "PG_CATALOG",
    "PRECISION",
    "REAL",
    "SIGNED",
    "SMALLINT",
    "TEXT",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "UNSIGNED",
    "UTF8MB4",
    "UUID",
    "VARBIT",
    "VARCHAR",
    "VARYING",
    "WITH",
    "WITHOUT",
    "ZONE",
];
/// Digits of such a length; a longer number is a value.
const LENGTH_DIGITS: usize = 4;
const INTRODUCERS: &[&str] = &[
    "_BINARY", "_UTF8MB4", "_UTF8MB3", "_UTF8", "_LATIN1", "_ASCII",
];

const WRONG_ROW: &str = "what is in this row is no value that can be scrubbed";

impl Insert {
    pub(super) fn new(dialect: Dialect) -> Insert {
        Insert {
            dialect,
            table: TableName::default(),
            columns: Arc::from([]),
            at: At::Table,
        }
    }

    /// Whether a dump may end here.
    pub(super) fn may_end(&self) -> bool {
        matches!(self.at, At::Rows { has_row: true } | At::Conflict)
    }

    /// Takes a token, and writes it or what takes its place.
    pub(super) fn token(
        &mut self,
        token: &Token,
        text: &[u8],
        tables: &Tables,
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<Next, Problem> {
        if token.kind == Kind::End {
            out.extend_from_slice(text);
            return match self.may_end() {
                true => Ok(Next::Start),
                false => Problem::new(0, NOT_SCRUBBED),
            };
        }
        if let At::Row(row) = &mut self.at {
            if !row.token(token, text, &self.columns, self.dialect, values, out)? {
                return Ok(Next::Same);
            }
            if row.column + 1 != self.columns.len() {
                let (values, columns) = (row.column + 1, self.columns.len());
                return Problem::new(0, format!("a row of {values} values for {columns} columns"));
            }
            self.at = At::Rows { has_row: true };
            return Ok(Next::Same);
        }
        out.extend_from_slice(text);
        self.around_rows(token, text, tables)?;
        Ok(Next::Same)
    }

    fn around_rows(&mut self, token: &Token, text: &[u8], tables: &Tables) -> Result<(), Problem> {
        let word = match token.kind {
            Kind::Word => upper(text),
            _ => String::new(),
        };
        let is_values = word == "VALUES" || word == "VALUE" && self.dialect == Dialect::Mysql;
        match &mut self.at {
            At::Table if is_values && self.table.is_whole() => {
                self.columns = tables.columns(&self.table)?;
                self.at = At::Rows { has_row: false };
            }
            At::Table if text == b"(" && self.table.is_whole() => {
                self.at = At::Columns(Names::default());
            }
            At::Table if MODIFIERS.contains(&word.as_str()) && !self.table.is_whole() => (),
            At::Table if OVERRIDING.contains(&word.as_str()) && self.table.is_whole() => (),
            At::Table if self.table.token(token, text, self.dialect) => (),
            At::Columns(names) => {
                if names.token(token, text, self.dialect)? {
                    self.columns = tables.named(&self.table, &names.read);
                    self.at = At::BeforeValues;
                }
            }
            At::BeforeValues if is_values => self.at = At::Rows { has_row: false },
            At::BeforeValues if OVERRIDING.contains(&word.as_str()) => (),
            At::Rows { .. } if text == b"(" => self.at = At::Row(Row::new()),
            At::Rows { has_row: true } if text == b"," => (),
            At::Rows { has_row: true } if word == "ON" => self.at = At::Conflict,
            At::Conflict if !matches!(token.kind, Kind::Text(_) | Kind::Number) => (),
            _ => return Problem::new(0, NOT_SCRUBBED),
        }
        Ok(())
    }
}

impl Row {
    fn new() -> Row {
        Row {
            column: 0,
            depth: 1,
            has_value: false,
            is_type: false,
            is_length: false,
        }
    }

    /// Takes a token; true where the row ends with it.
    fn token(
        &mut self,
        token: &Token,
        text: &[u8],
        columns: &[Column],
        dialect: Dialect,
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<bool, Problem> {
        match token.kind {
            Kind::Number if self.is_length && text.len() <= LENGTH_DIGITS => (),
            Kind::Text(_) | Kind::Number => {
                let column = self.value(columns)?;
                literal::scrub(column, token, text, dialect, values, out);
                return Ok(false);
            }
            Kind::Word if matches!(upper(text).as_str(), "TRUE" | "FALSE") => {
                let column = self.value(columns)?;
                literal::scrub_boolean(column, text, values, out);
                return Ok(false);
            }
            Kind::Word => self.word(upper(text).as_str(), dialect)?,
            Kind::Mark => self.mark(text)?,
            Kind::Name | Kind::Space | Kind::End => return Problem::new(0, WRONG_ROW),
        }
        out.extend_from_slice(text);
        Ok(self.depth == 0)
    }

    /// The column of a text or number that comes, the first of its value or argument.
    fn value<'a>(&mut self, columns: &'a [Column]) -> Result<&'a Column, Problem> {
        if self.has_value && !self.is_type {
            return Problem::new(0, WRONG_ROW);
        }
        self.has_value = true;
        match columns.get(self.column) {
            Some(column) => Ok(column),
            None => Problem::new(0, "this row has more values than there are columns"),
        }
    }

    fn word(&mut self, word: &str, dialect: Dialect) -> Result<(), Problem> {
        let is_known = match (self.is_type, self.has_value) {
            (true, _) => TYPES.contains(&word),
            (false, true) => CONVERSIONS.contains(&word),
            (false, false) => {
                FUNCTIONS.contains(&word)
                    || dialect == Dialect::Mysql && INTRODUCERS.contains(&word)
            }
        };
        if !is_known {
            return Problem::new(0, WRONG_ROW);
        }
        self.is_type |= self.has_value;
        Ok(())
    }

    fn mark(&mut self, text: &[u8]) -> Result<(), Problem> {
        match text {
            b"," if self.is_length => (),
            b"," => {
                self.column += usize::from(self.depth == 1);
                self.has_value = false;
                self.is_type = false;
            }
            b"(" if self.is_type => {
                self.depth += 1;
                self.is_length = true;
            }
            b")" if self.is_length => {
                self.depth -= 1;
                self.is_length = false;
            }
            b"(" | b"[" => {
                self.depth += 1;
                self.has_value &= self.is_type;
            }
            b")" | b"]" => {
                self.depth -= 1;
                self.has_value = true;
                self.is_type = false;
            }
            // `'{}'::pg_catalog.text[]`
            b":" if self.has_value => self.is_type = true,
            b"." if self.is_type => (),
            _ => return Problem::new(0, WRONG_ROW),
        }
        Ok(())
    }
}
