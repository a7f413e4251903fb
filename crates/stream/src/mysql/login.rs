//! The first messages of a connection, and what they settle.

use bytes::Bytes;

use super::cursor::Cursor;
use crate::command::{Argument, CommandHead};

/// Bits of the capabilities that change how messages are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities(pub u32);

impl Capabilities {
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    pub const COMPRESS: u32 = 1 << 5;
    pub const PROTOCOL_41: u32 = 1 << 9;
    pub const SSL: u32 = 1 << 11;
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    pub const PLUGIN_AUTH_LENENC_DATA: u32 = 1 << 21;
    pub const DEPRECATE_EOF: u32 = 1 << 24;
    pub const ZSTD: u32 = 1 << 26;
    pub const QUERY_ATTRIBUTES: u32 = 1 << 27;

    pub fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}

/// The server's greeting (`HandshakeV10`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub capabilities: Capabilities,
}

impl Greeting {
    /// Reads the payload of the packet; None when it is no greeting.
    pub fn read(payload: &[u8]) -> Option<Greeting> {
        let mut cursor = Cursor(payload);
        if cursor.byte()? != 10 {
            return None;
        }
        let version = cursor.until_nul()?;
        let is_version = version.first().is_some_and(u8::is_ascii_digit)
            && version.len() < 256
            && version.iter().all(|byte| (0x20..0x7f).contains(byte));
        if !is_version {
            return None;
        }
        let _thread = cursor.long()?;
        let _scramble = cursor.take(8)?;
        if cursor.byte()? != 0 {
            return None;
        }
        let low = cursor.number(2)?;
        let _collation = cursor.byte();
        let _status = cursor.short();
        // Servers before 4.1 end before the upper half.
        let high = cursor.number(2).unwrap_or(0);
        Some(Greeting {
            capabilities: Capabilities((low | high << 16) as u32),
        })
    }
}

/// What the client answers the greeting with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub capabilities: Capabilities,
    /// It asks for TLS, and says the rest inside.
    pub asks_for_tls: bool,
    user: Option<Bytes>,
    database: Option<Bytes>,
}

impl Login {
    /// Reads the payload of `SSLRequest`, `HandshakeResponse41` or `HandshakeResponse320`.
    pub fn read(payload: &[u8]) -> Option<Login> {
        let low = Cursor(payload).number(2)? as u32;
        match low & Capabilities::PROTOCOL_41 {
            0 => Login::read_320(payload),
            _ => Login::read_41(payload),
        }
    }

    fn read_41(payload: &[u8]) -> Option<Login> {
        let mut cursor = Cursor(payload);
        let capabilities = Capabilities(cursor.long()?);
        let _largest_packet = cursor.long()?;
        let _collation = cursor.byte()?;
        let _filler = cursor.take(23)?;
        if cursor.is_empty() {
            return Login::tls(capabilities);
        }
        let user = cursor.until_nul()?;
        if capabilities.has(Capabilities::PLUGIN_AUTH_LENENC_DATA) {
            cursor.text()?;
        } else if capabilities.has(Capabilities::SECURE_CONNECTION) {
            let length = cursor.byte()?;
            cursor.take(usize::from(length))?;
        } else {
            cursor.until_nul()?;
        }
        Some(Login {
            capabilities,
            asks_for_tls: false,
            user: Some(Bytes::copy_from_slice(user)),
            database: read_database(capabilities, &mut cursor),
        })
    }

    fn read_320(payload: &[u8]) -> Option<Login> {
        let mut cursor = Cursor(payload);
        let capabilities = Capabilities(u32::from(cursor.short()?));
        if cursor.is_empty() {
            return Login::tls(capabilities);
        }
        let _largest_packet = cursor.number(3)?;
        if cursor.is_empty() {
            return Login::tls(capabilities);
        }
        let user = cursor.until_nul()?;
        let mut database = None;
        if capabilities.has(Capabilities::CONNECT_WITH_DB) {
            cursor.until_nul()?;
            database = read_database(capabilities, &mut cursor);
        }
        Some(Login {
            capabilities,
            asks_for_tls: false,
            user: Some(Bytes::copy_from_slice(user)),
            database,
        })
    }

    fn tls(capabilities: Capabilities) -> Option<Login> {
        capabilities.has(Capabilities::SSL).then_some(Login {
            capabilities,
            asks_for_tls: true,
            user: None,
            database: None,
        })
    }

    /// The exchange's head: user and database are its arguments.
    pub fn into_head(self) -> CommandHead {
        if self.asks_for_tls {
            return CommandHead {
                name: "SSLRequest".to_owned(),
                ..CommandHead::default()
            };
        }
        let text = |value: Option<Bytes>| value.map_or(Argument::Null, Argument::Text);
        CommandHead {
            name: "Handshake".to_owned(),
            arguments: vec![text(self.user), text(self.database)],
            ..CommandHead::default()
        }
    }
}

/// Old clients end the packet instead of the name.
fn read_database(capabilities: Capabilities, cursor: &mut Cursor<'_>) -> Option<Bytes> {
    if !capabilities.has(Capabilities::CONNECT_WITH_DB) {
        return None;
    }
    let name = cursor.until_nul().unwrap_or_else(|| cursor.rest());
    (!name.is_empty()).then(|| Bytes::copy_from_slice(name))
}

/// User and database of `COM_CHANGE_USER`, without its first byte.
pub(super) fn read_change_user(
    payload: &[u8],
    capabilities: Option<Capabilities>,
) -> Option<Vec<Argument>> {
    let mut cursor = Cursor(payload);
    let user = cursor.until_nul()?;
    let is_secure = capabilities.is_none_or(|known| known.has(Capabilities::SECURE_CONNECTION));
    if is_secure {
        let length = cursor.byte()?;
        cursor.take(usize::from(length))?;
    } else {
        cursor.until_nul()?;
    }
    let database = cursor.until_nul()?;
    let text = |value: &[u8]| match value.is_empty() {
        true => Argument::Null,
        false => Argument::Text(Bytes::copy_from_slice(value)),
    };
    Some(vec![
        Argument::Text(Bytes::copy_from_slice(user)),
        text(database),
    ])
}
