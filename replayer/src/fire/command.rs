//! Commands of databases as they are recorded: documents, read for being said again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use twintap_stream::RequestHead;
use twintap_stream::command::Argument;
use twintap_stream::document::CONTENT_TYPE;
use twintap_stream::message::field_values;

use super::statement::unrepeated;
use super::wire::WireError;

/// A command to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name, in its protocol's own words.
    pub name: String,
    /// The statement in the database's language.
    pub statement: Option<Bytes>,
    /// The name of the prepared statement that it makes or uses.
    pub prepared: Option<String>,
    /// What is passed to it.
    pub arguments: Vec<Argument>,
    /// The document that all of it is from.
    pub document: Bytes,
}

/// True for the head of a command, which is no message of HTTP.
pub(crate) fn is_command(head: &RequestHead) -> bool {
    let mut types = field_values(&head.fields, "content-type");
    head.version.is_empty() && types.next().is_some_and(|own| own == CONTENT_TYPE)
}

impl Command {
    /// The command that a document tells of.
    ///
    /// # Errors
    /// When it is no such document, which no archive has, or no run repeats its statement.
    pub(crate) fn of(head: &RequestHead, document: Bytes) -> Result<Command, WireError> {
        let read: Document = match document.is_empty() {
            true => Document::default(),
            false => serde_json::from_slice(&document).map_err(|_| WireError::Command)?,
        };
        let name = std::str::from_utf8(&head.method).map_err(|_| WireError::Command)?;
        let statement = match read.statement {
            None => None,
            Some(Value(Argument::Text(text))) => Some(text),
            Some(_) => return Err(WireError::Command),
        };
        if let Some(reason) = statement.as_deref().and_then(unrepeated) {
            return Err(WireError::Unrepeated(reason));
        }
        Ok(Command {
            name: name.to_owned(),
            statement,
            prepared: read.prepared,
            arguments: read.arguments.into_iter().map(|one| one.0).collect(),
            document,
        })
    }
}

/// As much of a command's document as it is said again by.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Document {
    statement: Option<Value>,
    prepared: Option<String>,
    arguments: Vec<Value>,
}

/// A string, bytes in base64, a number or a truth, or nothing.
struct Value(Argument);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        use serde::de::Error;
        let json = serde_json::Value::deserialize(deserializer)?;
        Ok(Value(match json {
            serde_json::Value::Null => Argument::Null,
            serde_json::Value::String(text) => Argument::Text(Bytes::from(text)),
            serde_json::Value::Object(members) => {
                let text = members.get("base64").and_then(|text| text.as_str());
                let text = text.ok_or_else(|| D::Error::custom("an object that is no bytes"))?;
                let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
                Argument::Binary(Bytes::from(bytes))
            }
            other => Argument::Number(other.to_string()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use twintap_stream::Field;

    use super::*;

    fn head(name: &'static str) -> RequestHead {
        RequestHead {
            method: Bytes::from_static(name.as_bytes()),
            target: Bytes::from_static(b"/"),
            version: Bytes::new(),
            fields: vec![Field::new("content-type", CONTENT_TYPE)],
            line_spelling: None,
            end: Bytes::new(),
        }
    }

    #[test]
    fn a_document_is_read_value_by_value() {
        let document = r#"{"statement":"SELECT $1","prepared":"s1","arguments":["a",null,12,{"base64":"/w=="}],"transaction":{"index":0,"step":"begin"}}"#;
        let head = head("Execute");
        assert!(is_command(&head));
        let command = Command::of(&head, Bytes::from_static(document.as_bytes()));
        let expected = Command {
            name: "Execute".to_owned(),
            statement: Some(Bytes::from_static(b"SELECT $1")),
            prepared: Some("s1".to_owned()),
            arguments: vec![
                Argument::Text(Bytes::from_static(b"a")),
                Argument::Null,
                Argument::Number("12".to_owned()),
                Argument::Binary(Bytes::from_static(b"\xff")),
            ],
            document: Bytes::from_static(document.as_bytes()),
        };
        assert_eq!(command, Ok(expected));
    }

    #[test]
    fn what_is_no_document_is_no_command() {
        for document in [
            "[",
            r#"{"arguments":[{"base64":"%"}]}"#,
            r#"{"arguments":[{}]}"#,
        ] {
            let command = Command::of(&head("SET"), Bytes::from_static(document.as_bytes()));
            assert_eq!(command, Err(WireError::Command), "{document}");
        }
    }
}
