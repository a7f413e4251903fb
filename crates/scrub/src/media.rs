//! What a head says of its body.

use std::io::Read as _;

use bytes::Bytes;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use twintap_stream::Field;
use twintap_stream::message::field_values;

/// What is known of how a body is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    /// Type and subtype in lower case, without parameters; empty when unknown.
    pub(crate) media_type: String,
    pub(crate) coding: Coding,
}

/// A content coding (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    None,
    Gzip,
    Deflate,
    /// Another one, or several.
    Other,
}

/// The formats whose values are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    JsonLines,
    Form,
    Html,
    Text,
}

impl Media {
    pub(crate) fn unknown() -> Media {
        Media {
            media_type: String::new(),
            coding: Coding::None,
        }
    }

    pub(crate) fn of(fields: &[Field]) -> Media {
        let mut types = field_values(fields, "content-type").map(|value| essence(value));
        let media_type = types.next().unwrap_or_default();
        // Two different types: who would read it how is anyone's guess.
        let media_type = if types.all(|other| other == media_type) {
            media_type
        } else {
            String::new()
        };
        let mut codings = field_values(fields, "content-encoding")
            .chain(field_values(fields, "transfer-encoding"))
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(|coding| coding.trim_ascii().to_ascii_lowercase())
            .filter(|coding| !matches!(coding.as_slice(), b"" | b"identity" | b"chunked"));
        let is_in_transfer = field_values(fields, "transfer-encoding")
            .any(|value| !value.trim_ascii().eq_ignore_ascii_case(b"chunked"));
        let coding = match (codings.next().as_deref(), codings.next()) {
            (None, _) => Coding::None,
            (Some(b"gzip" | b"x-gzip"), None) if !is_in_transfer => Coding::Gzip,
            (Some(b"deflate"), None) if !is_in_transfer => Coding::Deflate,
            _ => Coding::Other,
        };
        Media { media_type, coding }
    }

    /// The format, where its values can be found.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self.media_type.as_str() {
            "application/json" | "text/json" => Some(Kind::Json),
            json if json.ends_with("+json") => Some(Kind::Json),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => Some(Kind::JsonLines),
            "application/x-www-form-urlencoded" => Some(Kind::Form),
            "text/html" => Some(Kind::Html),
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

/// Why a coding could not be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodingError {
    TooLarge,
    Unsound,
}

/// Undoes a coding, up to `limit` bytes.
pub(crate) fn decoded(body: &Bytes, coding: Coding, limit: usize) -> Result<Bytes, CodingError> {
    let read = |reader: &mut dyn std::io::Read| {
        let mut out = Vec::with_capacity((body.len() * 4).min(limit));
        // One byte more tells a body that is too large from one that just fits.
        reader
            .take(limit as u64 + 1)
            .read_to_end(&mut out)
            .map_err(|_| CodingError::Unsound)?;
        if out.len() > limit {
            return Err(CodingError::TooLarge);
        }
        Ok(Bytes::from(out))
    };
    match coding {
        Coding::None => Ok(body.clone()),
        Coding::Gzip => read(&mut MultiGzDecoder::new(&body[..])),
        Coding::Deflate => read(&mut ZlibDecoder::new(&body[..])),
        Coding::Other => Err(CodingError::Unsound),
    }
}
