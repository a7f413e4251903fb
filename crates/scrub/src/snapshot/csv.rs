//! Comma-separated values (RFC 4180) under a line of names.
//!
//! Read here by hand, since values are replaced by their spans: what is quoted stays
//! quoted, and the ends of lines stay what they are.

use std::borrow::Cow;

use super::Problem;
use super::values::{Place, Values};
use crate::names;

#[derive(Default)]
pub(super) struct Csv {
    /// What rules see of each column: `csv.NAME`.
    columns: Vec<String>,
    /// The first line was read.
    is_named: bool,
    /// The column of the next field.
    column: usize,
}

/// Names of columns that are kept; more is no table.
const MOST_COLUMNS: usize = 1 << 16;

const PREFIX: &str = "csv.";

/// The mark of UTF-8 that some programs begin a file with.
const BOM: &[u8] = b"\xef\xbb\xbf";

impl Csv {
    /// Takes a field, and the comma or the end of the line after it.
    pub(super) fn step(
        &mut self,
        src: &[u8],
        is_end: bool,
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<usize, Problem> {
        if self.column == 0 && matches!(src[0], b'\r' | b'\n') && self.columns.len() != 1 {
            // An empty line is no row. In a table of one column it is an empty value.
            out.push(src[0]);
            return Ok(1);
        }
        let is_first = !self.is_named && self.column == 0;
        if is_first && !is_end && src.len() < BOM.len() {
            return Ok(0);
        }
        let start = match is_first && src.starts_with(BOM) {
            true => BOM.len(),
            false => 0,
        };
        let Some(field) = Field::read(src, start, is_end)? else {
            return Ok(0);
        };
        let raw = field.raw(src);
        if self.is_named {
            self.value(&field, &raw, src, values, out)?;
        } else {
            self.name(&raw)?;
            out.extend_from_slice(&src[..field.len]);
        }
        self.column += 1;
        out.extend_from_slice(&src[field.len..field.len + field.end_len]);
        if src.get(field.len) != Some(&b',') {
            self.end_row(self.column)?;
            self.is_named = true;
            self.column = 0;
        }
        Ok(field.len + field.end_len)
    }

    /// Whether a file may end here: after a comma there is one more value, an empty one.
    pub(super) fn end(&self) -> Result<(), Problem> {
        match self.column {
            0 => Ok(()),
            column => self.end_row(column + 1),
        }
    }

    fn end_row(&self, values: usize) -> Result<(), Problem> {
        let names = self.columns.len();
        if values == names {
            return Ok(());
        }
        Problem::new(0, format!("a row of {values} values under {names} names"))
    }

    /// A name that looks like a value may be one: of a file without names.
    fn name(&mut self, raw: &[u8]) -> Result<(), Problem> {
        let text = String::from_utf8_lossy(raw);
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        if !words.all(names::is_structural) || self.columns.len() == MOST_COLUMNS {
            return Problem::new(
                0,
                "the first line must hold the names of the columns, and this does not look like one",
            );
        }
        self.columns.push(format!("{PREFIX}{text}"));
        Ok(())
    }

    fn value(
        &self,
        field: &Field,
        raw: &[u8],
        src: &[u8],
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        let Some(path) = self.columns.get(self.column) else {
            return Problem::new(0, "this row has more values than there are names");
        };
        let place = Place {
            path,
            name: &path[PREFIX.len()..],
            is_in_path: false,
        };
        match values.scrub(place, raw) {
            Some(new) => write(&new, field.is_quoted, out),
            None => out.extend_from_slice(&src[..field.len]),
        }
        Ok(())
    }
}

struct Field {
    start: usize,
    /// With its quotes, and with what is before its start.
    len: usize,
    is_quoted: bool,
    /// Of the comma or the end of the line.
    end_len: usize,
}

impl Field {
    fn read(src: &[u8], start: usize, is_end: bool) -> Result<Option<Field>, Problem> {
        let is_quoted = src.get(start) == Some(&b'"');
        let len = if is_quoted {
            quoted_len(&src[start..]).map(|len| start + len)
        } else {
            src.iter().position(|byte| b",\r\n".contains(byte))
        };
        let len = match len {
            Some(len) if len < src.len() => len,
            Some(len) if is_end => len,
            None if is_end && !is_quoted => src.len(),
            _ => return Ok(None),
        };
        let end_len = match (src.get(len), src.get(len + 1)) {
            (None, _) => 0,
            (Some(b'\r'), None) if !is_end => return Ok(None),
            (Some(b'\r'), Some(b'\n')) => 2,
            (Some(b',' | b'\r' | b'\n'), _) => 1,
            _ => return Problem::new(len, "a value goes on after its quotes"),
        };
        Ok(Some(Field {
            start,
            len,
            is_quoted,
            end_len,
        }))
    }

    fn raw<'a>(&self, src: &'a [u8]) -> Cow<'a, [u8]> {
        let field = &src[self.start..self.len];
        if !self.is_quoted {
            return Cow::Borrowed(field);
        }
        let inside = &field[1..field.len() - 1];
        match memchr::memchr(b'"', inside) {
            None => Cow::Borrowed(inside),
            Some(_) => {
                let mut raw = Vec::with_capacity(inside.len());
                let mut bytes = inside.iter();
                while let Some(&byte) = bytes.next() {
                    raw.push(byte);
                    if byte == b'"' {
                        bytes.next();
                    }
                }
                Cow::Owned(raw)
            }
        }
    }
}

/// The length of the quoted field at the beginning of `src`, as far as it can be told:
/// where it ends with `src` it may go on.
fn quoted_len(src: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr(b'"', src.get(at..)?)? + 1;
        if src.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

fn write(new: &[u8], is_quoted: bool, out: &mut Vec<u8>) {
    if !is_quoted && !new.iter().any(|byte| b",\"\r\n".contains(byte)) {
        return out.extend_from_slice(new);
    }
    out.push(b'"');
    for &byte in new {
        out.push(byte);
        if byte == b'"' {
            out.push(b'"');
        }
    }
    out.push(b'"');
}
