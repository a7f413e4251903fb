//! Parameters in binary form, and query attributes.

use bytes::Bytes;

use super::cursor::Cursor;
use crate::command::Argument;

/// The type of a parameter as its client declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Type {
    code: u8,
    is_unsigned: bool,
}

/// The most parameters that a statement can have.
const MAX_PARAMETERS: u64 = 65_535;

/// Parameters as they stand in a message.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub values: Vec<Argument>,
    /// The types, where they were sent along.
    pub types: Option<Vec<Type>>,
}

/// How to read parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout<'a> {
    pub count: u64,
    /// Each type has a name beside it.
    pub has_names: bool,
    /// Types that were declared before.
    pub known: Option<&'a [Type]>,
    /// Parameters whose value was sent ahead.
    pub sent_ahead: &'a [(u16, Vec<u8>)],
}

impl Parameters {
    /// Reads null bitmap, types and values.
    pub fn read(cursor: &mut Cursor<'_>, layout: Layout<'_>) -> Option<Parameters> {
        if layout.count > MAX_PARAMETERS {
            return None;
        }
        let count = layout.count as usize;
        if count == 0 {
            return Some(Parameters::default());
        }
        let nulls = cursor.take(count.div_ceil(8))?;
        let types = match cursor.byte()? {
            0 => None,
            1 => Some(read_types(cursor, count, layout.has_names)?),
            _ => return None,
        };
        let current = types.as_deref().or(layout.known)?;
        if current.len() != count {
            return None;
        }
        let mut values = Vec::with_capacity(count.min(64));
        for (index, declared) in current.iter().enumerate() {
            let is_null = nulls
                .get(index / 8)
                .is_some_and(|byte| byte & (1 << (index % 8)) != 0);
            let ahead = layout
                .sent_ahead
                .iter()
                .find(|(at, _)| usize::from(*at) == index);
            values.push(match ahead {
                Some((_, data)) => declared.long(data),
                None if is_null => Argument::Null,
                None => declared.read(cursor)?,
            });
        }
        Some(Parameters { values, types })
    }
}

fn read_types(cursor: &mut Cursor<'_>, count: usize, has_names: bool) -> Option<Vec<Type>> {
    let mut types = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let code = cursor.byte()?;
        let flags = cursor.byte()?;
        if has_names {
            cursor.text()?;
        }
        types.push(Type {
            code,
            is_unsigned: flags & 0x80 != 0,
        });
    }
    Some(types)
}

impl Type {
    /// The type of a result's column.
    pub fn of_column(code: u8, is_unsigned: bool) -> Type {
        Type { code, is_unsigned }
    }

    /// Reads a value in binary form.
    pub fn read(self, cursor: &mut Cursor<'_>) -> Option<Argument> {
        let argument = match self.code {
            // TINY, SHORT, YEAR, LONG, INT24, LONGLONG
            1 => self.integer(cursor, 1)?,
            2 | 13 => self.integer(cursor, 2)?,
            3 | 9 => self.integer(cursor, 4)?,
            8 => self.integer(cursor, 8)?,
            4 => Argument::Number(f32::from_bits(cursor.long()?).to_string()),
            5 => Argument::Number(f64::from_bits(cursor.number(8)?).to_string()),
            6 => Argument::Null,
            // TIMESTAMP, DATE, DATETIME; TIME
            7 | 10 | 12 => Argument::Text(date(cursor)?.into()),
            11 => Argument::Text(time(cursor)?.into()),
            _ => self.long(cursor.text()?),
        };
        Some(argument)
    }

    /// A value that comes with its length.
    fn long(self, bytes: &[u8]) -> Argument {
        let bytes = Bytes::copy_from_slice(bytes);
        match self.code {
            // DECIMAL, VARCHAR, JSON, NEWDECIMAL, ENUM, SET, VAR_STRING, STRING
            0 | 15 | 245 | 246 | 247 | 248 | 253 | 254 => Argument::Text(bytes),
            _ => Argument::Binary(bytes),
        }
    }

    fn integer(self, cursor: &mut Cursor<'_>, bytes: usize) -> Option<Argument> {
        let raw = cursor.number(bytes)?;
        let shift = 64 - 8 * bytes as u32;
        let text = match self.is_unsigned {
            true => raw.to_string(),
            false => (((raw << shift) as i64) >> shift).to_string(),
        };
        Some(Argument::Number(text))
    }
}

fn date(cursor: &mut Cursor<'_>) -> Option<String> {
    let length = cursor.byte()?;
    if !matches!(length, 0 | 4 | 7 | 11) {
        return None;
    }
    let mut fields = Cursor(cursor.take(usize::from(length))?);
    let year = fields.short().unwrap_or(0);
    let month = fields.byte().unwrap_or(0);
    let day = fields.byte().unwrap_or(0);
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    if length >= 7 {
        text.push(' ');
        text.push_str(&clock(&mut fields)?);
    }
    Some(text)
}

fn time(cursor: &mut Cursor<'_>) -> Option<String> {
    let length = cursor.byte()?;
    if !matches!(length, 0 | 8 | 12) {
        return None;
    }
    let mut fields = Cursor(cursor.take(usize::from(length))?);
    if length == 0 {
        return Some("00:00:00".to_owned());
    }
    let sign = if fields.byte()? == 0 { "" } else { "-" };
    let days = fields.long()?;
    let clock = clock(&mut fields)?;
    Some(match days {
        0 => format!("{sign}{clock}"),
        _ => format!("{sign}{days} {clock}"),
    })
}

fn clock(fields: &mut Cursor<'_>) -> Option<String> {
    let (hour, minute, second) = (fields.byte()?, fields.byte()?, fields.byte()?);
    let mut text = format!("{hour:02}:{minute:02}:{second:02}");
    if let Some(fraction) = fields.long() {
        text.push_str(&format!(".{fraction:06}"));
    }
    Some(text)
}
