//! Replies as JSON.

use super::read::{self, Column, Fields};
use super::values::text_of;
use crate::document::json::Json;
use crate::document::results::{End, Results};

/// Reads the results of a reply out of its messages.
pub(crate) fn read_reply(bytes: &[u8], results: &mut Results<'_>) {
    let mut left = Fields(bytes);
    let mut columns = Vec::new();
    while !left.is_empty() && !results.is_stopped() {
        match message(&mut left) {
            Some((tag, content)) => take(tag, content, &mut columns, results),
            None => results.budget().stop(),
        }
    }
}

fn message<'a>(left: &mut Fields<'a>) -> Option<(u8, &'a [u8])> {
    let tag = left.byte()?;
    let length = usize::try_from(left.int32()?).ok()?;
    Some((tag, left.take(length.checked_sub(4)?)?))
}

fn take(tag: u8, content: &[u8], columns: &mut Vec<Column>, results: &mut Results<'_>) {
    match tag {
        b'T' => {
            *columns = read::columns(content).unwrap_or_default();
            results.begin(read::names(columns));
        }
        b'D' => match row(content, columns, results) {
            Some(values) => results.row(values),
            None => results.budget().stop(),
        },
        b'd' => results.copied(content),
        b'C' => {
            let tag = Fields(content).text().unwrap_or_default();
            let (word, rows) = read::tag_rows(tag);
            let changes = matches!(word, b"INSERT" | b"UPDATE" | b"DELETE" | b"MERGE" | b"COPY");
            columns.clear();
            results.end(End {
                tag: Some(tag),
                affected: rows.filter(|_| changes),
                ..End::default()
            });
        }
        b's' => results.end(End {
            is_suspended: true,
            ..End::default()
        }),
        // An empty query
        b'I' => results.end(End::default()),
        b'V' => match Fields(content).int32() {
            Some(-1) | None => results.row(vec![Json::Null]),
            Some(_) => {
                let value = results.budget().text(content.get(4..).unwrap_or_default());
                results.row(vec![value]);
            }
        },
        _ => {}
    }
}

/// The values of a row. Their forms are those that the execution asked for; the description of a
/// statement does not know them.
fn row(content: &[u8], columns: &[Column], results: &mut Results<'_>) -> Option<Vec<Json>> {
    let mut fields = Fields(content);
    let count = fields.count()?;
    let mut values = Vec::with_capacity(count.min(64));
    for index in 0..count {
        let form = results.forms().get(index).copied();
        let form = form.or_else(|| Some(columns.get(index)?.form));
        let form = form.unwrap_or_default();
        let value = match fields.int32()? {
            -1 => Json::Null,
            length => {
                let value = fields.take(usize::try_from(length).ok()?)?;
                match form.is_binary {
                    false => results.budget().text(value),
                    true => binary(form.type_id, value, results),
                }
            }
        };
        values.push(value);
    }
    Some(values)
}

fn binary(type_id: u32, value: &[u8], results: &mut Results<'_>) -> Json {
    match text_of(type_id, value) {
        Some(text) => results.budget().text(&text),
        None => {
            results.budget().take(value.len() / 3 * 4);
            Json::Base64(value.to_vec())
        }
    }
}
