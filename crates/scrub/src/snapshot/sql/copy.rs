//! `COPY table (columns) FROM stdin` of PostgreSQL, and the rows after it
//! (its manual, COPY, "Text Format").

use std::sync::Arc;

use super::lex::{Dialect, Kind, Token};
use super::tables::{Column, Names, TableName, Tables};
use super::{Next, Problem, literal, upper};
use crate::snapshot::values::Values;
use crate::snapshot::without_end;

/// A COPY on its way.
pub(super) struct Copy {
    table: TableName,
    columns: Option<Arc<[Column]>>,
    at: At,
}

enum At {
    Table,
    Columns(Names),
    From,
    Stdin,
    End,
}

const NO_COPY: &str = "a COPY that can't be scrubbed, expected `COPY table (columns) FROM stdin;`";

impl Copy {
    pub(super) fn new() -> Copy {
        Copy {
            table: TableName::default(),
            columns: None,
            at: At::Table,
        }
    }

    /// Takes a token, which stays.
    pub(super) fn token(
        &mut self,
        token: &Token,
        text: &[u8],
        tables: &Tables,
    ) -> Result<Next, Problem> {
        let is_word = |word: &str| token.kind == Kind::Word && upper(text) == word;
        match &mut self.at {
            At::End if token.kind == Kind::End => return Ok(Next::Rows(self.rows(tables)?)),
            At::Columns(names) => {
                if names.token(token, text, Dialect::Postgres)? {
                    self.columns = Some(tables.named(&self.table, &names.read));
                    self.at = At::From;
                }
            }
            At::Table | At::From if is_word("FROM") && self.table.is_whole() => {
                self.at = At::Stdin;
            }
            At::Table if text == b"(" && self.table.is_whole() => {
                self.at = At::Columns(Names::default());
            }
            At::Table if self.table.token(token, text, Dialect::Postgres) => (),
            At::Stdin if is_word("STDIN") => self.at = At::End,
            _ => return Problem::new(0, NO_COPY),
        }
        Ok(Next::Same)
    }

    fn rows(&mut self, tables: &Tables) -> Result<Rows, Problem> {
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => tables.columns(&self.table)?,
        };
        Ok(Rows {
            columns,
            has_begun: false,
        })
    }
}

/// The rows of a COPY.
pub(super) struct Rows {
    columns: Arc<[Column]>,
    /// The line of the COPY is over.
    has_begun: bool,
}

impl Rows {
    /// Takes a line; true for the one that ends the rows.
    pub(super) fn line(
        &mut self,
        line: &[u8],
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<bool, Problem> {
        let row = without_end(line);
        if !self.has_begun {
            if !row.trim_ascii().is_empty() {
                return Problem::new(0, "rows of a COPY begin on a line of their own");
            }
            self.has_begun = true;
            out.extend_from_slice(line);
            return Ok(false);
        }
        if row == b"\\." {
            out.extend_from_slice(line);
            return Ok(true);
        }
        if !(row.is_empty() && self.columns.is_empty()) {
            self.row(row, values, out)?;
        }
        out.extend_from_slice(&line[row.len()..]);
        Ok(false)
    }

    fn row(&self, row: &[u8], values: &mut Values, out: &mut Vec<u8>) -> Result<(), Problem> {
        let fields = memchr::memchr_iter(b'\t', row).count() + 1;
        if fields != self.columns.len() {
            let columns = self.columns.len();
            return Problem::new(0, format!("a row of {fields} values for {columns} columns"));
        }
        for (index, (field, column)) in row
            .split(|byte| *byte == b'\t')
            .zip(self.columns.iter())
            .enumerate()
        {
            if index > 0 {
                out.push(b'\t');
            }
            scrub(column, field, values, out);
        }
        Ok(())
    }
}

/// Writes a field, or what takes its place. NULL stays NULL.
fn scrub(column: &Column, field: &[u8], values: &mut Values, out: &mut Vec<u8>) {
    if field == b"\\N" {
        return out.extend_from_slice(field);
    }
    if column.is_boolean && matches!(field, b"t" | b"f") {
        let mut written = Vec::new();
        let text: &[u8] = if field == b"t" { b"true" } else { b"false" };
        literal::scrub_boolean(column, text, values, &mut written);
        return out.push(written[0]);
    }
    let raw = read(field);
    match literal::scrub_text(column, &raw, values) {
        Some(new) => write(&new, out),
        None => out.extend_from_slice(field),
    }
}

fn read(field: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        raw.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let len = literal::of_c(rest, &mut raw);
        rest = &rest[len..];
    }
    raw.extend_from_slice(rest);
    raw
}

fn write(new: &[u8], out: &mut Vec<u8>) {
    for &byte in new {
        let escape = match byte {
            8 => b'b',
            9 => b't',
            10 => b'n',
            11 => b'v',
            12 => b'f',
            13 => b'r',
            b'\\' => b'\\',
            other => {
                out.push(other);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escape]);
    }
}
