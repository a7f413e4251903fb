//! Reading what is inside messages. Nothing here trusts a length or a count.

use std::sync::Arc;

use bytes::Bytes;

use crate::command::ColumnForm;

/// Takes fields off the front of a message's content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).and_then(|bytes| bytes.first().copied())
    }

    pub fn int16(&mut self) -> Option<i16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(i16::from_be_bytes(bytes))
    }

    /// A count or length of 16 bits, which clients use as an unsigned number.
    pub fn count(&mut self) -> Option<usize> {
        self.int16().map(|count| usize::from(count as u16))
    }

    pub fn int32(&mut self) -> Option<i32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(i32::from_be_bytes(bytes))
    }

    /// Text up to a zero byte, which is taken too.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let text = self.take(end)?;
        self.byte()?;
        Some(text)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Text for names, with what is no UTF-8 replaced.
pub(super) fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A Parse message.
pub(super) struct Parse<'a> {
    pub name: &'a [u8],
    pub text: &'a [u8],
    /// Types of the first parameters, 0 where the server is to find out.
    pub types: Box<[u32]>,
}

pub(super) fn parse(content: &[u8]) -> Option<Parse<'_>> {
    let mut fields = Fields(content);
    let (name, text) = (fields.text()?, fields.text()?);
    let count = fields.count()?;
    let types = object_ids(&mut fields, count)?;
    fields.is_empty().then_some(Parse { name, text, types })
}

/// A ParameterDescription message.
pub(super) fn parameter_types(content: &[u8]) -> Option<Box<[u32]>> {
    let mut fields = Fields(content);
    let count = fields.count()?;
    object_ids(&mut fields, count)
}

fn object_ids(fields: &mut Fields<'_>, count: usize) -> Option<Box<[u32]>> {
    let bytes = fields.take(count.checked_mul(4)?)?;
    let ids = bytes.chunks_exact(4).filter_map(|id| id.try_into().ok());
    Some(ids.map(u32::from_be_bytes).collect())
}

/// One parameter of a Bind message.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub is_binary: bool,
    /// None is SQL's null.
    pub value: Option<Bytes>,
}

/// A Bind message.
pub(super) struct Bind<'a> {
    pub portal: &'a [u8],
    pub statement: &'a [u8],
    pub parameters: Vec<Parameter>,
    /// The forms in which values are to be sent, true for binary.
    pub formats: Arc<[bool]>,
}

pub(super) fn bind(content: &[u8]) -> Option<Bind<'_>> {
    let mut fields = Fields(content);
    let (portal, statement) = (fields.text()?, fields.text()?);
    let count = fields.count()?;
    let formats = fields.take(count.checked_mul(2)?)?;
    let count = fields.count()?;
    // Every parameter has a length of four bytes at least.
    if count > fields.0.len() / 4 {
        return None;
    }
    let values = Bytes::copy_from_slice(fields.0);
    let begin = fields.0.len();
    let mut parameters = Vec::with_capacity(count);
    for index in 0..count {
        let value = match fields.int32()? {
            -1 => None,
            length => {
                let at = begin - fields.0.len();
                let length = usize::try_from(length).ok()?;
                fields.take(length)?;
                Some(values.slice(at..at + length))
            }
        };
        // One format is that of all parameters, none means text.
        let format = match formats.len() {
            2 => formats.get(1),
            _ => formats.get(index * 2 + 1),
        };
        parameters.push(Parameter {
            is_binary: format == Some(&1),
            value,
        });
    }
    // What a Bind that ends here leaves out is text.
    let count = fields.count().unwrap_or(0);
    let wanted = fields.take(count.saturating_mul(2)).unwrap_or_default();
    let formats = wanted.chunks_exact(2).map(|format| format == [0, 1]);
    Some(Bind {
        portal,
        statement,
        parameters,
        formats: formats.collect(),
    })
}

/// A column of a RowDescription message.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub name: String,
    pub form: ColumnForm,
}

/// The columns in a RowDescription message.
pub(super) fn columns(content: &[u8]) -> Option<Vec<Column>> {
    let mut fields = Fields(content);
    let count = fields.count()?;
    if count > fields.0.len() / 19 {
        return None;
    }
    let mut columns = Vec::with_capacity(count);
    for _ in 0..count {
        let name = name(fields.text()?);
        // The column's table and its number there
        fields.take(6)?;
        let type_id = fields.int32()? as u32;
        // The type's length and modifier
        fields.take(6)?;
        let form = ColumnForm {
            type_id,
            is_binary: fields.int16()? == 1,
        };
        columns.push(Column { name, form });
    }
    Some(columns)
}

pub(super) fn names(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| column.name.clone()).collect()
}

/// What an ErrorResponse or a NoticeResponse says.
#[derive(Debug, Default)]
pub(super) struct Report<'a> {
    pub severity: &'a [u8],
    pub code: &'a [u8],
    pub message: &'a [u8],
}

pub(super) fn report(content: &[u8]) -> Option<Report<'_>> {
    let mut report = Report::default();
    let mut fields = Fields(content);
    loop {
        let kind = fields.byte()?;
        if kind == 0 {
            return fields.is_empty().then_some(report);
        }
        let value = fields.text()?;
        match kind {
            // V is never translated; S is all that servers before 9.6 send.
            b'V' => report.severity = value,
            b'S' if report.severity.is_empty() => report.severity = value,
            b'C' => report.code = value,
            b'M' => report.message = value,
            _ => {}
        }
    }
}

/// A command tag: its words, and the number of rows at its end.
pub(super) fn tag_rows(tag: &[u8]) -> (&[u8], Option<u64>) {
    let word = tag
        .iter()
        .position(|byte| *byte == b' ')
        .map_or(tag, |end| &tag[..end]);
    let last = tag.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let rows = std::str::from_utf8(last)
        .ok()
        .and_then(|text| text.parse().ok());
    (word, rows)
}
