//! What a head says of its body.

use bytes::Bytes;
use twintap_stream::content::{self, Codings, DecodeLimits, Fault};
use twintap_stream::document;
use twintap_stream::message::field_values;
use twintap_stream::{Field, RequestHead};

/// What is known of how a body is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    /// Type and subtype in lower case, without parameters; empty when unknown.
    pub(crate) media_type: String,
    /// None when they can't be undone.
    pub(crate) codings: Option<Codings>,
    /// The name of a database's command whose document it is.
    pub(crate) command: Option<String>,
}

/// The formats whose values are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    JsonLines,
    Form,
    Html,
    Xml,
    Multipart,
    Grpc,
    Events,
    Text,
    /// A command of a database, or its reply.
    Command,
}

impl Media {
    pub(crate) fn unknown() -> Media {
        Media {
            media_type: String::new(),
            codings: Some(Codings::default()),
            command: None,
        }
    }

    /// `version` is the head's: documents of commands, whose heads were made, have none, and
    /// what a peer calls so is JSON like any other.
    pub(crate) fn of(fields: &[Field], version: &[u8]) -> Media {
        let mut types = field_values(fields, "content-type").map(|value| essence(value));
        let media_type = types.next().unwrap_or_default();
        // Two different types: who would read it how is anyone's guess.
        let media_type = if types.all(|other| other == media_type) {
            media_type
        } else {
            String::new()
        };
        let media_type = match media_type == document::CONTENT_TYPE && !version.is_empty() {
            true => "application/json".to_owned(),
            false => media_type,
        };
        let is_in_transfer = field_values(fields, "transfer-encoding")
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .any(|coding| {
                !["", "identity", "chunked"]
                    .iter()
                    .any(|plain| coding.eq_ignore_ascii_case(plain.as_bytes()))
            });
        let codings = Codings::of(fields).ok().filter(|_| !is_in_transfer);
        Media {
            media_type,
            codings,
            command: None,
        }
    }

    /// That of a request's body.
    pub(crate) fn of_request(head: &RequestHead) -> Media {
        let media = Media::of(&head.fields, &head.version);
        let is_command = media.kind() == Some(Kind::Command);
        Media {
            command: is_command.then(|| String::from_utf8_lossy(&head.method).into_owned()),
            ..media
        }
    }

    /// True when the body is sent as it is.
    pub(crate) fn is_plain(&self) -> bool {
        self.codings.as_ref().is_some_and(Codings::is_identity)
    }

    /// Undoes the codings of a body, up to `limit` bytes.
    pub(crate) fn decoded(&self, body: &Bytes, limit: usize) -> Result<Bytes, CodingError> {
        let codings = self.codings.as_ref().ok_or(CodingError::Unsound)?;
        let decoded = content::decode(body, codings, DecodeLimits::bytes(limit as u64));
        decoded.sound().map_err(|fault| match fault {
            Fault::TooLarge { .. } | Fault::TooDense { .. } => CodingError::TooLarge,
            _ => CodingError::Unsound,
        })
    }

    /// The format, where its values can be found.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self.media_type.as_str() {
            "application/json" | "text/json" => Some(Kind::Json),
            document::CONTENT_TYPE => Some(Kind::Command),
            json if json.ends_with("+json") => Some(Kind::Json),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => Some(Kind::JsonLines),
            "application/x-www-form-urlencoded" => Some(Kind::Form),
            "text/html" => Some(Kind::Html),
            "application/xml" | "text/xml" => Some(Kind::Xml),
            xml if xml.ends_with("+xml") && !xml.starts_with("image/") => Some(Kind::Xml),
            "multipart/form-data" => Some(Kind::Multipart),
            "application/grpc" | "application/grpc+proto" => Some(Kind::Grpc),
            "text/event-stream" => Some(Kind::Events),
            "text/plain" => Some(Kind::Text),
            _ => None,
        }
    }
}

/// RFC 9110, section 8.3.1.
fn essence(value: &[u8]) -> String {
    let end = memchr::memchr2(b';', b',', value).unwrap_or(value.len());
    String::from_utf8_lossy(value[..end].trim_ascii()).to_ascii_lowercase()
}

/// Why codings could not be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodingError {
    TooLarge,
    Unsound,
}
