//! What the packets tell that end a result, and those that describe its columns.

use bytes::Bytes;

use super::cursor::Cursor;
use super::login::Capabilities;
use super::values::Type;

/// Bits of the server's status that tell what follows.
pub(super) mod status {
    pub const MORE_RESULTS: u16 = 1 << 3;
    pub const CURSOR_EXISTS: u16 = 1 << 6;
    pub const SESSION_STATE_CHANGED: u16 = 1 << 14;
}

/// What `OK` tells.
pub(super) struct Done {
    pub affected: u64,
    /// 0 where no row was given a number.
    pub last_insert_id: u64,
    pub status: Option<u16>,
    pub text: Bytes,
}

impl Done {
    pub fn read(head: &[u8], capabilities: Option<Capabilities>) -> Option<Done> {
        let mut cursor = Cursor(head);
        cursor.byte()?;
        let affected = cursor.length()?;
        let last_insert_id = cursor.length()?;
        let status = cursor.short();
        if capabilities.is_none_or(|known| known.has(Capabilities::PROTOCOL_41)) {
            let _warnings = cursor.short()?;
        }
        let text = Done::text(cursor, status.unwrap_or(0));
        Some(Done {
            affected,
            last_insert_id,
            status,
            text: Bytes::copy_from_slice(text),
        })
    }

    /// The text stands with its length before it, or, by some servers, without.
    fn text(cursor: Cursor<'_>, status: u16) -> &[u8] {
        let mut sized = cursor;
        match sized.text() {
            Some(text) if sized.is_empty() => text,
            Some(text) if status & status::SESSION_STATE_CHANGED != 0 => text,
            _ => cursor.0,
        }
    }
}

/// The status that `EOF` tells.
pub(super) fn eof_status(head: &[u8]) -> Option<u16> {
    Cursor(head.get(3..)?).short()
}

/// The name in a column's definition.
pub(super) fn column_name(head: &[u8]) -> Option<String> {
    let mut cursor = Cursor(head);
    // Before version 4.1 there were only the table and the name.
    let before = if head.starts_with(b"\x03def") { 4 } else { 1 };
    for _ in 0..before {
        cursor.text()?;
    }
    Some(String::from_utf8_lossy(cursor.text()?).into_owned())
}

/// A column's definition.
pub(super) struct Definition {
    pub name: String,
    pub kind: Type,
}

impl Definition {
    pub fn read(head: &[u8]) -> Option<Definition> {
        let name = column_name(head)?;
        let mut cursor = Cursor(head);
        // Catalog, schema, table and name, both as the statement and as the schema calls them
        for _ in 0..6 {
            cursor.text()?;
        }
        // What MariaDB says of the type beside it
        if cursor.0.len() != FIXED_BYTES {
            cursor.text()?;
        }
        // Their length, the character set, the column's length
        cursor.take(7)?;
        let code = cursor.byte()?;
        let flags = cursor.short()?;
        Some(Definition {
            name,
            kind: Type::of_column(code, flags & UNSIGNED != 0),
        })
    }
}

/// What a definition has after its strings.
const FIXED_BYTES: usize = 13;

/// The bit of a column's flags for numbers without sign.
const UNSIGNED: u16 = 1 << 5;
