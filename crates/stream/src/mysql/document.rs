//! Replies as JSON.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::done::{Definition, Done, eof_status, status};
use super::frames::{Frames, STEP};
use super::packets::MAX_PAYLOAD;
use super::values::Type;
use crate::command::{Argument, CommandHead};
use crate::document::json::Json;
use crate::document::results::{End, Results};

/// A frame's payload may inflate to so many bytes; what is more is not read.
const MAX_INFLATED: usize = 16 << 20;

/// The SQLSTATE and the words of an error's text.
pub(crate) fn state_and_message(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let rest = text.strip_prefix(b"#");
    match rest.and_then(|rest| rest.split_at_checked(5)) {
        Some((state, message)) => (Some(state), message),
        None => (None, text),
    }
}

/// Reads the results of a reply out of its packets.
pub(crate) fn read_reply(bytes: &[u8], command: Option<&CommandHead>, results: &mut Results<'_>) {
    let name = command.map_or("", |command| &command.name[..]);
    match name {
        // Salts and proofs are no result.
        "Handshake" | "COM_CHANGE_USER" => return,
        _ => {}
    }
    let is_whole = !results.budget().is_over();
    let inflated;
    let messages = match packets(bytes, true, is_whole) {
        Some(messages) => Some(messages),
        None => {
            inflated = inflate(bytes).unwrap_or_default();
            packets(&inflated, false, is_whole)
        }
    };
    let Some(messages) = messages else {
        return results.budget().stop();
    };
    let mut reader = Reader {
        messages: messages.into_iter(),
        is_binary: matches!(name, "COM_STMT_EXECUTE" | "COM_STMT_FETCH"),
    };
    let read = match name {
        "COM_STMT_PREPARE" => reader.prepared(results),
        // Their types were told with the execution.
        "COM_STMT_FETCH" => None,
        "COM_FIELD_LIST" => {
            results.begin(results.head.columns.clone());
            Some(())
        }
        _ => reader.results(results),
    };
    if read.is_none() {
        results.budget().stop();
    }
}

/// The messages that packets carry, in order; none where these are no packets. The last one may be
/// cut, and is left out, where they are not whole.
fn packets(bytes: &[u8], are_numbered: bool, is_whole: bool) -> Option<Vec<Cow<'_, [u8]>>> {
    let mut left = Cursor(bytes);
    let mut messages = Vec::new();
    let mut begun: Option<Vec<u8>> = None;
    let mut expected = None;
    let mut is_cut = false;
    while !left.is_empty() {
        let (Some(length), Some(sequence)) = (left.number(3), left.byte()) else {
            is_cut = true;
            break;
        };
        if are_numbered && expected.is_some_and(|expected| expected != sequence) {
            return None;
        }
        expected = Some(sequence.wrapping_add(1));
        let length = length as usize;
        let Some(payload) = left.take(length) else {
            is_cut = true;
            break;
        };
        let is_continued = length == MAX_PAYLOAD;
        match (begun.take(), is_continued) {
            (None, false) => messages.push(Cow::Borrowed(payload)),
            (before, _) => {
                let mut message = before.unwrap_or_default();
                message.extend_from_slice(payload);
                match is_continued {
                    true => begun = Some(message),
                    false => messages.push(Cow::Owned(message)),
                }
            }
        }
    }
    let is_unsound = messages.is_empty() || is_cut && is_whole;
    (!is_unsound).then_some(messages)
}

/// What is in compressed frames.
fn inflate(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut frames = Frames::default();
    let mut inflated = Vec::new();
    let mut step = vec![0; STEP];
    while !bytes.is_empty() {
        let (used, is_whole) = frames.header(bytes);
        bytes = bytes.get(used..)?;
        if !is_whole {
            break;
        }
        frames.begin().ok()?;
        let (payload, rest) = bytes.split_at_checked(frames.payload(bytes.len()))?;
        bytes = rest;
        if frames.is_stored() {
            inflated.extend_from_slice(payload);
        } else {
            let mut left = payload;
            loop {
                let (used, filled) = frames.inflate(left, &mut step).ok()?;
                left = left.get(used..)?;
                inflated.extend_from_slice(step.get(..filled)?);
                if used == 0 && filled == 0 || inflated.len() > MAX_INFLATED {
                    break;
                }
            }
        }
        if !frames.is_over() || frames.end().is_err() {
            break;
        }
    }
    Some(inflated)
}

struct Reader<'a> {
    messages: std::vec::IntoIter<Cow<'a, [u8]>>,
    is_binary: bool,
}

impl<'a> Reader<'a> {
    fn results(&mut self, results: &mut Results<'_>) -> Option<()> {
        while !results.is_stopped() {
            let head = self.messages.next()?;
            let status = match head.first()? {
                0 | 0xfe => ok(&head, results)?,
                0xff => return Some(()),
                // The client sends a file.
                0xfb => continue,
                _ => self.rows(&head, results)?,
            };
            if status & status::MORE_RESULTS == 0 {
                return Some(());
            }
        }
        Some(())
    }

    /// A statement that was prepared. Its number is the connection's own, and not told.
    fn prepared(&mut self, results: &mut Results<'_>) -> Option<()> {
        let head = self.messages.next()?;
        if head.first() == Some(&0xff) {
            return Some(());
        }
        let mut cursor = Cursor(&head);
        cursor.take(7)?;
        results.begin(results.head.columns.clone());
        results.end(End {
            parameters: Some(u64::from(cursor.short()?)),
            ..End::default()
        });
        Some(())
    }

    /// Definitions of columns, then rows; the status at their end.
    fn rows(&mut self, head: &[u8], results: &mut Results<'_>) -> Option<u16> {
        let mut cursor = Cursor(head);
        let count = cursor.length()?;
        let has_definitions = cursor.byte() != Some(0);
        let mut columns = Vec::new();
        if has_definitions {
            for _ in 0..count {
                let head = self.messages.next()?;
                if head.first() == Some(&0xff) {
                    return Some(0);
                }
                columns.push(Definition::read(&head)?);
            }
        }
        let names = match has_definitions {
            true => columns.iter().map(|column| column.name.clone()).collect(),
            false => results.head.columns.clone(),
        };
        results.begin(names);
        let mut message = self.messages.next()?;
        if is_eof(&message) {
            let status = eof_status(&message).unwrap_or(0);
            if status & status::CURSOR_EXISTS != 0 {
                results.end(End::default());
                return Some(status);
            }
            message = self.messages.next()?;
        }
        while !results.is_stopped() {
            match message.first()? {
                0xff => return Some(0),
                0xfe if message.len() < MAX_PAYLOAD => return end_of_rows(&message, results),
                _ => {
                    let values = match self.is_binary {
                        true => binary_row(&message, &columns, results)?,
                        false => text_row(&message, results)?,
                    };
                    results.row(values);
                }
            }
            message = self.messages.next()?;
        }
        None
    }
}

fn is_eof(message: &[u8]) -> bool {
    message.first() == Some(&0xfe) && message.len() <= 5
}

/// `OK`, or `EOF`; its status.
fn ok(message: &[u8], results: &mut Results<'_>) -> Option<u16> {
    if is_eof(message) {
        results.end(End::default());
        return Some(eof_status(message).unwrap_or(0));
    }
    let done = Done::read(message, None)?;
    results.end(End {
        tag: Some(&done.text[..]).filter(|text| !text.is_empty()),
        affected: Some(done.affected),
        last_insert_id: Some(done.last_insert_id).filter(|id| *id != 0),
        ..End::default()
    });
    Some(done.status.unwrap_or(0))
}

/// `EOF`, or the `OK` that stands for it; its status.
fn end_of_rows(message: &[u8], results: &mut Results<'_>) -> Option<u16> {
    results.end(End::default());
    match is_eof(message) {
        true => Some(eof_status(message).unwrap_or(0)),
        false => Some(Done::read(message, None)?.status.unwrap_or(0)),
    }
}

fn text_row(message: &[u8], results: &mut Results<'_>) -> Option<Vec<Json>> {
    let mut cursor = Cursor(message);
    let mut values = Vec::new();
    while let Some(first) = cursor.0.first() {
        values.push(match first {
            0xfb => {
                cursor.byte()?;
                Json::Null
            }
            _ => {
                let text = cursor.text()?;
                results.budget().text(text)
            }
        });
    }
    Some(values)
}

fn binary_row(
    message: &[u8],
    columns: &[Definition],
    results: &mut Results<'_>,
) -> Option<Vec<Json>> {
    let mut cursor = Cursor(message);
    cursor.byte()?;
    // The bits of the null bitmap begin at the third.
    let nulls = cursor.take((columns.len() + 9) / 8)?;
    let mut values = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let bit = index + 2;
        let is_null = nulls
            .get(bit / 8)
            .is_some_and(|byte| byte & (1 << (bit % 8)) != 0);
        values.push(match is_null {
            true => Json::Null,
            false => value(column.kind, &mut cursor, results)?,
        });
    }
    Some(values)
}

/// A value in binary form, written as text results have it.
fn value(kind: Type, cursor: &mut Cursor<'_>, results: &mut Results<'_>) -> Option<Json> {
    Some(match kind.read(cursor)? {
        Argument::Null => Json::Null,
        Argument::Text(bytes) | Argument::Binary(bytes) => results.budget().text(&bytes),
        Argument::Number(digits) => results.budget().text(digits.as_bytes()),
    })
}
